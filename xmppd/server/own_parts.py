"""The parts that are the server's own, put in their places as those of plugins are."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from xmppd import measures
from xmppd.account.accounts import AccountRemoved
from xmppd.api.api import API
from xmppd.cluster.membership import NodeFenced, NodeJoined, NodeLeft, NodeLost
from xmppd.components.components import ComponentConnected, ComponentDisconnected
from xmppd.components.delegation import NS as DELEGATION
from xmppd.console.console import Console
from xmppd.console.own_pages import PAGES
from xmppd.disco.disco import Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import OWNER, On
from xmppd.handler.iq_bind_handler import IQBindHandler, IQSessionHandler
from xmppd.handler.iq_handler import IQHandler
from xmppd.handler.iq_roster_handler import IQRosterHandler
from xmppd.handler.presence_update_handler import (
    SessionAvailable,
)
from xmppd.host.metrics import Metric
from xmppd.host.process import process_metrics
from xmppd.login.bind2 import Bind2
from xmppd.login.sasl import SASL
from xmppd.login.sasl2 import SASL2
from xmppd.login.scram_upgrade import ScramUpgrades
from xmppd.migration.privacy_data import PrivacyData
from xmppd.presence.session_states import (
    directed_state,
    handed_state,
    privacy_state,
    seen_state,
    sightings_state,
)
from xmppd.roster.roster_manager import ContactChanged
from xmppd.routing.guests_stay import GuestsStay
from xmppd.server.own_settings import settings_of
from xmppd.server.wiring import Wiring
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.session.resumable_sessions import SessionResumed
from xmppd.session.session_manager import (
    SessionBound,
    SessionClosed,
)
from xmppd.stanza import ns
from xmppd.stream.inline_feature import InlineFeature
from xmppd.stream.starttls import starttls_feature
from xmppd.stream.stream_feature import Stream, StreamFeature, after_login
from xmppd.web.http_path import HTTPPath


def put_parts(server: Wiring) -> None:
    """Put the server's own parts in their places."""
    for handler in _iq_handlers(server):
        server.iq_router.put(handler, OWNER)
    for interceptor in _packet_interceptors(server):
        server.interceptors.put(interceptor, OWNER)
    for follower in (server.offline_message_strategy, server.held_messages):
        server.followers.put(follower, OWNER)
    for listener in (*_listeners(server), *server.component_trust.listeners()):
        server.events.put(listener, OWNER)
    for state in (
        privacy_state(server.privacy_lists),
        directed_state(server.presence_manager.directed),
        seen_state(server.presence_manager.remote),
        sightings_state(server.presence_manager.introductions.sightings),
        handed_state(server.presence_manager.introductions.sightings),
    ):
        server.saved_sessions.put(state, OWNER)
    for feature in _features(server):
        server.stream_features.put(feature, OWNER)
    for inline in _inline_features(server):
        server.inline_features.put(inline, OWNER)
    server.cluster.claims.put(server.directory_sweep, OWNER)
    for metric in _metrics(server):
        server.metrics.put(metric, OWNER)
    if server.component_trust.delegated:
        server.disco.put(Says(DiscoInfo(features=(DELEGATION,))), OWNER)
    _put_pages(server)
    server.user_data.put(PrivacyData(server.privacy_lists), OWNER)
    for settings in settings_of(server):
        server.settings.put(settings, OWNER)


def _put_pages(server: Wiring) -> None:
    """Put what is there by HTTP."""
    for path in _paths(server):
        server.http_paths.put(path, OWNER)
    for page in PAGES:
        server.console_pages.put(page, OWNER)


def _iq_handlers(server: Wiring) -> tuple[IQHandler, ...]:
    return (
        IQBindHandler(server.binding),
        IQSessionHandler(),
        IQRosterHandler(server.roster_manager, server.presence_subscribe_handler),
    )


def _packet_interceptors(server: Wiring) -> Iterator[PacketInterceptor]:
    auth = server.config.auth
    if "ANONYMOUS" in auth.mechanisms and not auth.guests_to_other_servers:
        yield GuestsStay(server.routing_table)
    yield from server.component_trust.interceptors(server.requests)


def _listeners(server: Wiring) -> tuple[On[Any], ...]:
    return (
        On(NodeJoined, server.component_entries.joined),
        On(NodeLost, server.component_entries.gone),
        On(NodeLeft, server.component_entries.gone),
        On(ComponentConnected, server.component_entries.changed),
        On(ComponentDisconnected, server.component_entries.changed),
        On(ContactChanged, server.privacy_changes.contact_changed),
        On(SessionClosed, server.ended_sessions.closed),
        On(SessionClosed, server.held_messages.closed),
        On(SessionClosed, server.resumable_sessions.closed),
        On(SessionClosed, server.offline_message_flood.closed),
        On(SessionClosed, server.moves.offers.closed),
        On(SessionClosed, server.arrivals.closed),
        On(SessionResumed, server.offline_message_flood.resumed),
        On(AccountRemoved, partial(_forget_account, server)),
        On(SessionResumed, server.client_connections.resumed),
        On(SessionBound, server.client_connections.bound),
        On(SessionAvailable, server.client_connections.arrived),
        On(NodeLost, server.node_loss.lost),
        On(NodeLost, partial(_claims_hear, server)),
        On(NodeLost, server.directory_sweep.node_lost),
        On(NodeFenced, server.cluster.claims.fenced),
        On(NodeLeft, server.node_loss.left),
        On(NodeLost, server.moves.offers.node_gone),
        On(NodeLeft, server.moves.offers.node_gone),
        On(NodeLost, server.stored_messages.lost),
        On(NodeLost, server.reassertions.node_lost),
        On(NodeLeft, server.stored_messages.left),
    )


def _claims_hear(server: Wiring, event: NodeLost) -> None:
    """Have what lives once forget the people of a lost node when the grace is over (CL-36)."""
    server.clock.callLater(server.config.cluster.grace_s, server.cluster.claims.node_lost, event)


def _forget_account(server: Wiring, removed: AccountRemoved) -> None:
    server.presence_manager.last_presences.forget(removed.account.bare)
    server.privacy_lists.forget(removed.account.bare)


def _features(server: Wiring) -> Iterator[StreamFeature]:
    """The stream features of RFC 6120 and RFC 6121, and those of a login."""
    settings, secret = server.config.auth, server.platform.secret
    if server.tls is not None:
        yield starttls_feature(required=server.config.tls.required)
    yield SASL(server.authentication).feature()
    yield SASL2(
        server.authentication,
        server.inline_features,
        Bind2(server.binding, server.inline_features, server.bound_extras, secret),
        server.fast,
        ScramUpgrades(server.store.accounts, settings.mechanisms, settings.scram_iterations),
    ).feature()
    yield after_login(f"<bind xmlns='{ns.BIND}'/>", unless=Stream.BOUND)
    yield after_login(f"<session xmlns='{ns.SESSION}'><optional/></session>", unless=Stream.BOUND)
    yield after_login(f"<ver xmlns='{ns.ROSTER_VERSIONING}'/>")
    yield after_login(f"<sub xmlns='{ns.PRE_APPROVAL}'/>")
    if server.config.stream_management.enabled:
        yield server.resumption.feature()


def _inline_features(server: Wiring) -> Iterator[InlineFeature]:
    yield server.fast.feature()
    if server.config.stream_management.enabled:
        yield from server.resumption.inline_features()


def _paths(server: Wiring) -> Iterator[HTTPPath]:
    """The paths of streams over HTTP, and those by which they are found."""
    yield from server.web_sockets.paths()
    yield from server.bosh_sessions.paths()
    yield from server.well_known.paths()
    yield from server.health.paths()
    api = API(server.commands, server.api_keys, server.jobs, server.http_doors, server.clock)
    yield from api.paths()
    console = Console(
        server.visitors, server.commands, server.console_pages, server.live, server.clock
    )
    yield from console.paths()


def _metrics(server: Wiring) -> Iterator[Metric]:
    """What is counted and measured (ME-1)."""
    clients, servers = server.client_connections, server.server_connections
    components = server.components.connections
    kinds = {"client": clients, "server": servers, "component": components}
    outgoing = server.foreign_routes.outgoing_connections
    carried = measures.Carried(kinds, outgoing, server.http_connections)
    yield from measures.session_metrics(server.session_manager)
    yield from measures.connection_metrics(carried)
    yield from measures.stanza_metrics(carried, server.packet_router, server.broadcast_counts)
    yield from measures.stage_metrics(
        carried,
        server.packet_router,
        server.offline_message_strategy,
        server.presence_update_handler,
        server.presence_subscribe_handler,
        server.stage_samples,
    )
    yield from clients.login_queue.metrics()
    yield from measures.login_metrics(clients, server.authentication, server.resumption)
    yield from measures.loop_metrics(server.loop_watch, server.clock)
    yield from measures.store_metrics(server.store)
    yield from server.stored_counts.metrics()
    yield from measures.server_metrics(server.foreign_routes)
    yield from measures.node_metrics(server.cluster.membership, server.cluster.bus)
    yield from measures.web_metrics(server.http_connections, server.http_doors)
    yield Metric(
        "bosh_sessions",
        "Open BOSH sessions.",
        "gauge",
        lambda: len(server.bosh_sessions.sessions),
    )
    if server.tls is not None:
        yield measures.certificate_metric(server.domains, server.tls.expires, server.wall_clock)
    yield from process_metrics()
