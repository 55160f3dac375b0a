"""XMPPServer: every stage, made once, from the last to the first; each line uses those above it."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from hmac import digest as hmac_digest
from typing import Any, Protocol, cast

from twisted.internet import defer
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater
from twisted.logger import Logger

from xmppd import measures
from xmppd.account.accounts import AccountRemoved, Accounts
from xmppd.account.devices import Devices
from xmppd.account.farewells import Farewells
from xmppd.account.names import Names
from xmppd.account.session_end import SessionEnd
from xmppd.account.stream_ends import StreamEnds
from xmppd.api.api import API
from xmppd.api.jobs import Jobs
from xmppd.auth.api_keys import APIKeys
from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.base import AuthProvider, RunInThread
from xmppd.auth.provider import Passwords, SQLAuthProvider
from xmppd.auth.tokens import Tokens
from xmppd.cluster.cluster import Cluster, alone
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.commands import CommandGiven, CommandMore, CommandUnread
from xmppd.cluster.entries.membership import CountSessions, Swept
from xmppd.cluster.entries.routes import ComponentAt, ServerLost
from xmppd.cluster.entries.stanzas import (
    Behind,
    Delivered,
    DeliveredToMany,
    MessagesWait,
    Routed,
    Secure,
    WhoHas,
)
from xmppd.cluster.entries.things import PluginAsked, PluginTold, TakeUp
from xmppd.cluster.membership import NodeFenced, NodeJoined, NodeLeft, NodeLost
from xmppd.command.audit import Audit
from xmppd.command.command_form import CommandForms
from xmppd.command.command_table import CommandTable
from xmppd.command.roles import Roles
from xmppd.components.component_connections import ComponentConnections
from xmppd.components.component_trust import ComponentTrust
from xmppd.components.components import ComponentConnected, ComponentDisconnected, Components
from xmppd.components.delegation import NS as DELEGATION
from xmppd.components.service_domains import ServiceDomains
from xmppd.config.config import (
    AuthSettings,
    Config,
    ContactSettings,
    ListenSettings,
    LogSettings,
    OfflineSettings,
    PresenceSettings,
    RegistrationSettings,
    S2SSettings,
    StreamSettings,
    TokenSettings,
    WebSettings,
)
from xmppd.config.settings import Settings, SettingsTable
from xmppd.disco.disco import Disco, Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import OWNER, Events, On
from xmppd.handler.iq_bind_handler import IQBindHandler, IQSessionHandler
from xmppd.handler.iq_handler import IQHandler
from xmppd.handler.iq_roster_handler import IQRosterHandler
from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.handler.presence_update_handler import (
    PresenceUpdateHandler,
    SessionAvailable,
)
from xmppd.host.clocks import Clocks
from xmppd.host.loop_watch import LoopWatch
from xmppd.host.machine import Descriptors
from xmppd.host.metrics import Metric, Metrics
from xmppd.host.process import process_metrics
from xmppd.host.stop_limits import StopLimits, until
from xmppd.host.turns import Turns
from xmppd.login.authentication import Authentication
from xmppd.login.bind2 import Bind2
from xmppd.login.fast import FAST
from xmppd.login.resumption import Resumption
from xmppd.login.sasl import SASL
from xmppd.login.sasl2 import SASL2
from xmppd.login.scram_upgrade import ScramUpgrades
from xmppd.message.follower import Followers
from xmppd.message.held_messages import HeldMessages
from xmppd.message.muting import Muting
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.message.offline_message_strategy import OfflineMessageStrategy
from xmppd.message.unread_counts import UnreadCounts
from xmppd.net.connection_handler import TransportBinding
from xmppd.net.connections import Connections
from xmppd.net.epoll_hub import Hub, Reactor
from xmppd.net.exchange import exchange_of
from xmppd.net.listen_endpoint import NO_CERTIFICATES, Certificates
from xmppd.net.listener import Listeners, StreamKind
from xmppd.net.login_queue import StoreWatch
from xmppd.net.outgoing_tls import OutgoingTLS
from xmppd.net.turn_end import at_end_of_turn, at_end_of_turn_of_hub
from xmppd.nodes.account_sync import AccountSync
from xmppd.nodes.arrivals import Arrivals
from xmppd.nodes.bosh_entries import BoshEntries
from xmppd.nodes.component_entries import ComponentEntries
from xmppd.nodes.custody import Custody
from xmppd.nodes.directory_check import DirectoryCheck
from xmppd.nodes.directory_sweep import DirectorySweep
from xmppd.nodes.drain import Drain
from xmppd.nodes.entry_handler import EntryHandler
from xmppd.nodes.foreign_owners import ForeignOwners
from xmppd.nodes.moves import Moves
from xmppd.nodes.node_commands import NodeCommands
from xmppd.nodes.node_loss import NodeLoss
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.nodes.reassertions import AGAIN_AFTER_S, Reassertions
from xmppd.nodes.session_entries import SessionEntries
from xmppd.nodes.session_offers import SessionOffers
from xmppd.nodes.stanza_entries import StanzaEntries
from xmppd.nodes.stored_messages import StoredMessages
from xmppd.presence.binding import Binding
from xmppd.presence.broadcast_counts import BroadcastCounts
from xmppd.presence.introductions import Introductions
from xmppd.presence.moved_presence import MovedPresence
from xmppd.presence.presence_manager import PresenceManager
from xmppd.presence.privacy_changes import PrivacyChanges
from xmppd.presence.session_states import (
    directed_state,
    handed_state,
    privacy_state,
    seen_state,
    sightings_state,
)
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.privacy.reports import Reports
from xmppd.resolve.attempts import Attempts, History
from xmppd.resolve.connector import Connector, Nowhere
from xmppd.resolve.targets import Directions
from xmppd.roster.broadcasts import Broadcasts
from xmppd.roster.roster_manager import ContactChanged, RosterManager
from xmppd.roster.shared_groups import SharedGroups
from xmppd.router.iq_router import IQRouter
from xmppd.router.message_router import MessageRouter
from xmppd.router.packet_router import PacketRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.routing.guests_stay import GuestsStay
from xmppd.routing.locations import Locations
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.s2s.dialback import DialbackKeys
from xmppd.s2s.foreign_routes import ForeignRoutes, Proofs
from xmppd.s2s.incoming_stream import incoming_stream
from xmppd.s2s.outgoing_connections import OutgoingConnections
from xmppd.s2s.verification import Trust
from xmppd.session.interceptor_manager import InterceptorManager, PacketInterceptor
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.resumable_sessions import ResumableSessions, SessionResumed
from xmppd.session.saved_sessions import SavedSessions
from xmppd.session.session import Route
from xmppd.session.session_manager import (
    SessionBound,
    SessionClosed,
    SessionManager,
    SessionMoved,
)
from xmppd.stanza import IQ, JID, StreamCondition, StreamError, ns
from xmppd.store.personal_items import PersonalItems
from xmppd.store.store import Store
from xmppd.store.stored_counts import StoredCounts
from xmppd.stream.bound_extra import BoundExtras
from xmppd.stream.inline_feature import InlineFeature, InlineFeatures
from xmppd.stream.stanza_handler import StanzaHandler, StreamContext
from xmppd.stream.starttls import starttls_feature
from xmppd.stream.stream_feature import Stream, StreamFeature, StreamFeatures, after_login
from xmppd.web.bosh import BoshSessions
from xmppd.web.health import Health, Scrape
from xmppd.web.http_connections import SWEEP_S, HTTPConnections
from xmppd.web.http_doors import HTTPDoors
from xmppd.web.http_path import HTTPPath, HTTPPaths
from xmppd.web.web_sockets import WebSockets
from xmppd.web.well_known import WellKnown

SETTLE_S = 2.0
"""A node that leaves waits so long for others to handle what it has told them."""

_log = Logger()


class Platform(Protocol):
    """The environment of a server, so that tests may bring their own."""

    @property
    def clock(self) -> IReactorTime:
        """The reactor's time, which is steady."""

    @property
    def secret(self) -> bytes:
        """This installation's own; the same after a restart."""

    @property
    def descriptors(self) -> Descriptors:
        """The number of files that may be open."""

    @property
    def clocks(self) -> Clocks:
        """The same, and the time of day."""

    @property
    def run_in_thread(self) -> RunInThread:
        """Runs a slow function beside the reactor."""


MakeConnector = Callable[[Attempts, Directions], Connector]
"""Makes what finds other servers: notes what it does, and knows where some of them are."""


async def _unload_nothing() -> None:
    """Do nothing: there are no plugins."""


class XMPPServer:
    """The server; its attributes are the stages.

    Each room is wired by a method that returns its stages, from the lowest room to the highest; a
    method uses the stages of the rooms below, and changes none of them. Parts that stages put in
    each other's places are put at the end, as those of a plugin are.

    Args:
        config: As read from the file.
        store: Open, or about to be.
        platform: The clock, threads and secrets.
        certificates: As they were read.
        make_connector: Makes the connector to other servers; without it none is found.
        cluster: The other nodes of the service; without it there are none.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        platform: Platform,
        certificates: Certificates = NO_CERTIFICATES,
        make_connector: MakeConnector = Nowhere,
        cluster: Cluster | None = None,
    ) -> None:
        self.cluster = cluster or alone()
        self.settings = SettingsTable(config)
        self.store, self.tls = store, certificates.tls
        self._platform, self._is_dropped = platform, False
        self.clock, self.clocks = platform.clock, platform.clocks
        self.wall_clock, self.descriptors = platform.clocks.wall_clock, platform.descriptors
        self.domains = tuple(domain.name for domain in config.domain)
        self.admins = tuple(JID.parse(admin) for admin in config.admins)
        self.events, self.disco, self.bound_extras = Events(), Disco(), BoundExtras()
        self.commands, self.command_forms = self._commands()
        self.turns, self.metrics, self.personal_items = self._host_and_store()
        self.auth_provider, self.passwords, self.tokens, self.attempts = self._auth()
        self.api_keys, self.jobs = self._api()
        self.routing_table, self.requests = self._routing()
        self.interceptors, self.session_manager, self.locations = self._sessions()
        self.shared_groups, self.broadcasts, self.roster_manager = self._rosters()
        self.privacy_lists, self.reports = self._privacy()
        self.presence_manager, self.privacy_changes, self.shared_group_changes = self._presence()
        self.client_connections, self.server_connections, self.outgoing_tls = self._connections()
        self.followers, self.offline_message_flood, self.offline_message_strategy = self._messages()
        self.unread_counts, self.muting = UnreadCounts(), Muting()
        (
            self.broadcast_counts,
            self.presence_update_handler,
            self.presence_subscribe_handler,
            self.binding,
        ) = self._handlers()
        self.message_router, self.presence_router, self.iq_router, self.packet_router = (
            self._routers()
        )
        self.names, self.accounts, self.devices, self.session_end = self._accounts()
        self.resumable_sessions, self.held_messages, self.saved_sessions = self._detached()
        self.stream_features, self.inline_features, self.stream_context = self._streams()
        self.resumption, self.authentication, self.fast = self._logins()
        self.component_trust, self.components, self.service_domains = self._components()
        self.trust, self.foreign_routes = self._servers(certificates, make_connector)
        self.listeners = self._endpoints()
        self.http_paths, self.http_connections, self.http_doors = self._web()
        self.web_sockets, self.bosh_sessions = self._web_streams()
        self.well_known = WellKnown(self.http_doors, config.contact, self.wall_clock)
        self.health, self.stored_counts, self.loop_watch = self._health()
        self.plugin_messages, self.component_entries, self.arrivals, self.moves = self._nodes()
        self.node_loss, self.reassertions, self.stored_messages, self.directory_sweep = (
            self._losses()
        )
        self.drain = self._drain()
        self.entry_handler, self.commands.others = self._entries()
        self._put_parts()
        self._call_back()
        self.stages = self._stages()

    @property
    def config(self) -> Config:
        """The present configuration."""
        return self.settings.config

    # -- the rooms, from the lowest to the highest ------------------------------------------------

    def _commands(self) -> tuple[CommandTable, CommandForms]:
        commands = CommandTable(self.domains, Roles(self.admins, self.config.role))
        commands.audit = Audit(self.store.audit, self.cluster.membership.id.name)
        return commands, CommandForms(commands)

    def _host_and_store(self) -> tuple[Turns, Metrics, PersonalItems]:
        items = PersonalItems(self.store.items, self.config.items)
        return Turns(self.clock), Metrics(), items

    def _auth(self) -> tuple[AuthProvider, Passwords, Tokens, AttemptLimiter]:
        platform, settings, accounts = self._platform, self.config.auth, self.store.accounts
        provider = SQLAuthProvider(
            accounts,
            secret=platform.secret,
            iterations=settings.scram_iterations,
            run_in_thread=platform.run_in_thread,
        )
        passwords = Passwords(
            accounts,
            iterations=settings.scram_iterations,
            run_in_thread=platform.run_in_thread,
        )
        tokens = Tokens(
            self.store.devices, self.config.tokens, secret=platform.secret, now=self.wall_clock
        )
        attempts = AttemptLimiter(
            accounts,
            settings,
            clocks=self.clocks,
            sleep=self._sleep,
            tally=self.cluster.tally,
        )
        return provider, passwords, tokens, attempts

    def _api(self) -> tuple[APIKeys, Jobs]:
        keys = APIKeys(
            self.store.api_keys,
            self.commands.roles,
            self.auth_provider,
            self.attempts,
            self.wall_clock,
        )
        return keys, Jobs(self.commands, self.clocks)

    def _routing(self) -> tuple[RoutingTable, Requests]:
        table = RoutingTable(self.domains, self.cluster, self.clock)
        return table, Requests(table, self.clock)

    def _sessions(self) -> tuple[InterceptorManager, SessionManager, Locations]:
        interceptors = InterceptorManager()
        sessions = SessionManager(
            self.routing_table,
            interceptors,
            self.events,
            self.wall_clock,
            self.config.sessions,
        )
        locations = Locations(
            self.cluster, self.routing_table.siblings, sessions, self.events, self.clock
        )
        return interceptors, sessions, locations

    def _rosters(self) -> tuple[SharedGroups, Broadcasts, RosterManager]:
        groups = SharedGroups(self.store.shared_groups, self.routing_table)
        broadcasts = Broadcasts(self.turns.next)
        rosters = RosterManager(
            self.store.rosters,
            self.store.accounts,
            groups,
            broadcasts,
            self.events,
            self.config.roster,
        )
        return groups, broadcasts, rosters

    def _privacy(self) -> tuple[PrivacyListManager, Reports]:
        lists = PrivacyListManager(
            self.personal_items,
            self.roster_manager,
            self.routing_table,
            self.turns.next,
            self.config.privacy,
            self.events,
        )
        return lists, Reports(self.store.items)

    def _presence(self) -> tuple[PresenceManager, PrivacyChanges, SharedGroupChanges]:
        introductions = Introductions(
            self.roster_manager, self.cluster.directory, self.cluster.membership, self.clock
        )
        presences = PresenceManager(
            introductions,
            self.store.accounts,
            self.store.presences,
            self.privacy_lists,
            self.events,
            self.clocks,
        )
        privacy = PrivacyChanges(
            self.privacy_lists,
            self.roster_manager,
            presences,
            self.routing_table,
            self.events,
        )
        groups = SharedGroupChanges(
            self.shared_groups, self.roster_manager, presences, self.routing_table
        )
        return presences, privacy, groups

    def _connections(self) -> tuple[Connections, Connections, OutgoingTLS]:
        """The connections of clients and of servers that connect to us, and TLS for those that we
        make.
        """
        config = self.config
        store_watch = StoreWatch(self.clock, self._ask_for_little)
        limits = self.clock, self.descriptors, self.cluster.membership
        clients = Connections(config.stream, *limits, store_watch.late_s, self._late_s)
        servers = Connections(config.streams("server"), *limits, self._late_s)
        return clients, servers, OutgoingTLS(config.tls, self.tls)

    def _messages(self) -> tuple[Followers, OfflineMessageFlood, OfflineMessageStrategy]:
        flood = OfflineMessageFlood(
            self.store.offline, self.requests, self.turns.next, self.config.stream
        )
        strategy = OfflineMessageStrategy(
            self.store.accounts,
            flood,
            self.privacy_lists,
            self.wall_clock,
            self.config.offline,
        )
        return Followers(self.domains), flood, strategy

    def _handlers(
        self,
    ) -> tuple[BroadcastCounts, PresenceUpdateHandler, PresenceSubscribeHandler, Binding]:
        counts = BroadcastCounts(self.clock)
        updates = PresenceUpdateHandler(
            self.session_manager,
            self.presence_manager,
            self.offline_message_flood,
            counts,
            self.events,
            self.config.presence,
        )
        subscriptions = PresenceSubscribeHandler(
            self.routing_table,
            self.roster_manager,
            self.presence_manager,
            self.store.accounts,
            self.events,
        )
        binding = Binding(
            self.session_manager,
            self.locations,
            self.roster_manager,
            self.privacy_lists,
            self.client_connections.step_back,
        )
        return counts, updates, subscriptions, binding

    def _routers(self) -> tuple[MessageRouter, PresenceRouter, IQRouter, PacketRouter]:
        messages = MessageRouter(
            self.routing_table,
            self.offline_message_strategy,
            self.followers,
            self.admins,
            self.events,
        )
        presences = PresenceRouter(
            self.presence_update_handler,
            self.presence_subscribe_handler,
            self.presence_manager,
            self.roster_manager,
            self.routing_table,
        )
        iqs = IQRouter(
            self.routing_table,
            self.requests,
            self.store.accounts,
            self.presence_manager,
            self.session_manager,
            self.disco,
        )
        packets = PacketRouter(messages, presences, iqs, self.interceptors, self.clocks)
        return messages, presences, iqs, packets

    def _accounts(self) -> tuple[Names, Accounts, Devices, SessionEnd]:
        names = Names(
            self.store.former_accounts,
            self.passwords,
            self.admins,
            self.config.registration,
            self.config.contact,
            self.wall_clock,
        )
        farewells = Farewells(
            self.presence_update_handler,
            self.presence_subscribe_handler,
            self.shared_group_changes,
        )
        ends = StreamEnds(self.session_manager, self.cluster)
        accounts = Accounts(
            self.store.accounts,
            names,
            self.attempts,
            ends,
            farewells,
            self.events,
        )
        devices = Devices(self.tokens, ends)
        return names, accounts, devices, SessionEnd(self.packet_router, self.session_manager)

    def _detached(self) -> tuple[ResumableSessions, HeldMessages, SavedSessions]:
        """Sessions that outlive their connection, or the server, and the messages in them."""
        resumable = ResumableSessions(
            self.config.stream_management,
            self.session_manager,
            self.clocks,
            self.session_end.close,
            self.events,
        )
        held = HeldMessages(
            self.store.sessions,
            self.store.offline,
            self.followers,
            self.cluster.membership,
            resumable,
            self.packet_router,
        )
        saved = SavedSessions(
            self.store.sessions,
            self.cluster.membership,
            resumable,
            self._read_account,
            self.offline_message_flood.given,
        )
        return resumable, held, saved

    def _streams(self) -> tuple[StreamFeatures, InlineFeatures, StreamContext]:
        features = StreamFeatures()
        context = StreamContext(
            self.domains,
            features,
            self.packet_router,
            self.session_manager,
            self.resumable_sessions,
            self.session_end,
        )
        return features, InlineFeatures(), context

    def _logins(self) -> tuple[Resumption, Authentication, FAST]:
        resumption = Resumption(
            self.resumable_sessions,
            self.held_messages,
            self.offline_message_flood,
            self.events,
            self._sleep,
        )
        authentication = Authentication(
            self.auth_provider,
            self.attempts,
            self.accounts.ends,
            self.config.auth,
            tls_required=self.config.tls.required,
            exchange_of=exchange_of,
        )
        fast = FAST(self.tokens, authentication, self.auth_provider)
        return resumption, authentication, fast

    def _components(self) -> tuple[ComponentTrust, Components, ServiceDomains]:
        trust = ComponentTrust(
            self.config.component,
            self.routing_table,
            self.iq_router,
            self.store.accounts,
            self.privacy_lists,
            self.turns.next,
        )
        attempts = AttemptLimiter(
            self.store.accounts,
            self.config.auth,
            clocks=self.clocks,
            sleep=self._sleep,
            locks_out=False,
        )
        components = Components(
            trust,
            self.packet_router,
            self.disco,
            self.events,
            attempts,
            ComponentConnections(
                self.config.stream, self.clock, self.descriptors, self.cluster.membership
            ),
        )
        services = ServiceDomains(self.iq_router, self.packet_router, self.clock, self.events)
        return trust, components, services

    def _servers(
        self, certificates: Certificates, make_connector: MakeConnector
    ) -> tuple[Trust, ForeignRoutes]:
        config = self.config
        history = History(
            Attempts(self.clock, self.wall_clock), Attempts(self.clock, self.wall_clock)
        )
        trust = Trust(certificates.authorities, self.wall_clock)
        secret = hmac_digest(self._platform.secret, b"dialback", "sha256")
        routes = ForeignRoutes(
            config.s2s,
            self.packet_router,
            self.events,
            history,
            Proofs(trust, DialbackKeys(secret)),
            partial(
                OutgoingConnections,
                connector=make_connector(history.attempts, Directions.of(config.s2s)),
                tls=self.outgoing_tls,
                settings=config.streams("server"),
                clock=self.clock,
                descriptors=self.descriptors,
            ),
        )
        routes.outgoing_connections.membership = self.cluster.membership
        return trust, routes

    def _endpoints(self) -> Listeners:
        servers = partial(incoming_stream, self.foreign_routes.context, self.server_connections)
        kinds = {
            "client": StreamKind(
                partial(StanzaHandler, self.stream_context), self.client_connections
            ),
            "component": StreamKind(
                self.components.stream, self.components.connections, relays=True
            ),
            "server": StreamKind(servers, self.server_connections, relays=True),
        }
        return Listeners(kinds, self.tls, self.clock, self.config)

    def _web(self) -> tuple[HTTPPaths, HTTPConnections, HTTPDoors]:
        paths = HTTPPaths()
        connections = HTTPConnections(self.config.web, self.clock, self.descriptors)
        connections.use_log(self.config.log)
        doors = HTTPDoors(
            paths,
            connections,
            self.domains,
            self.tls,
            self.clock,
            self.wall_clock,
        )
        doors.serves_web = any("web" in listen.sites for listen in self.config.listen)
        return paths, connections, doors

    def _web_streams(self) -> tuple[WebSockets, BoshSessions]:
        """Streams over HTTP. What BOSH answers leaves at the end of a turn, of the hub if there is
        one.
        """
        config, in_hub = self.config, any("epoll:" in each.endpoint for each in self.config.listen)
        turn_end = (
            at_end_of_turn_of_hub(cast(Reactor, self.clock))
            if in_hub
            else at_end_of_turn(self.clock)
        )
        sockets = WebSockets(self.listeners, config.web, config.stream)
        bosh = BoshSessions(self.listeners, self.domains, config.web, turn_end)
        self.http_connections.also = (bosh.swept,)
        return sockets, bosh

    def _health(self) -> tuple[Health, StoredCounts, LoopWatch]:
        counts = StoredCounts(self.store.database, self.domains, self.clock)
        health = Health(
            Scrape(self.metrics, counts.refresh),
            self.http_doors,
            lambda: self.store.accounts.exists(""),
            lambda: self.cluster.membership.node.draining,
            self._late_s,
            self.clock,
        )
        return health, counts, LoopWatch(SWEEP_S)

    def listener(self, listen: ListenSettings) -> ServerFactory:
        """The factory for those who come in by an endpoint."""
        if listen.kind == "http":
            return self.http_doors.listener(listen)
        if listen.serve:
            binding = TransportBinding(None, is_secure=True)
            stream = partial(self.listeners.client, binding)
            return self.http_doors.listener(listen, stream)
        return self.listeners.listener(listen)

    def _nodes(self) -> tuple[PluginMessages, ComponentEntries, Arrivals, Moves]:
        """What nodes tell each other."""
        grace_s = self.config.cluster.grace_s
        plugins = PluginMessages(self.routing_table, self.cluster.claims)
        components = ComponentEntries(self.cluster, self.components)
        moved = MovedPresence(self.presence_manager)
        arrivals = Arrivals(self.presence_manager, moved, self.clock, self.turns.next, grace_s)
        offers = SessionOffers(
            self.saved_sessions,
            self.held_messages,
            self.offline_message_flood,
            moved,
            self.packet_router,
        )
        moves = Moves(offers, self.locations, self._account_sync())
        return plugins, components, arrivals, moves

    def _account_sync(self) -> AccountSync:
        return AccountSync(self.roster_manager, self.privacy_changes, self.shared_group_changes)

    def _losses(self) -> tuple[NodeLoss, Reassertions, StoredMessages, DirectorySweep]:
        """What becomes of what was at a node that is lost."""
        cluster, presences = self.cluster, self.presence_manager
        stored = StoredMessages(
            self.offline_message_flood,
            self.held_messages,
            self.saved_sessions,
            self.packet_router,
            self.clock,
        )
        grace_s = self.config.cluster.grace_s
        return (
            NodeLoss(self.routing_table, self.packet_router),
            Reassertions(self.session_manager.sessions, self.locations, self.clock),
            stored,
            DirectorySweep(cluster.claims, cluster.directory, presences, grace_s, self.clock),
        )

    def check(self) -> DirectoryCheck:
        """What compares this node with what all know of it."""
        return DirectoryCheck(
            self.locations, self.cluster.claims, self.directory_sweep, self.store.sessions
        )

    def _drain(self) -> Drain:
        """What hands all that is here to other nodes."""
        return Drain(
            self.cluster,
            self.client_connections,
            (self.server_connections, self.components.connections),
            self.resumable_sessions,
            self.clock,
        )

    def _entries(self) -> tuple[EntryHandler, NodeCommands]:
        """What other nodes ask of the stages."""
        entries = EntryHandler()
        stanzas = StanzaEntries(
            self.routing_table,
            self.packet_router,
            self.presence_manager,
            self.offline_message_flood,
            self.moves.offers,
            entries,
        )
        commands = NodeCommands(self.cluster, self.commands, self.clock)
        custody = Custody(self.routing_table, self.held_messages, entries)
        self.held_messages.ask_others = custody.secure_elsewhere
        entries.put(Routed, stanzas.routed)
        entries.put(Delivered, stanzas.delivered)
        entries.put(DeliveredToMany, stanzas.told)
        entries.put(Behind, stanzas.behind)
        entries.put(WhoHas, stanzas.who_has)
        entries.put(Secure, custody.secure)
        entries.put(MessagesWait, self.stored_messages.wait)
        entries.put(TakeUp, self.cluster.claims.asked_to_take_up)
        entries.put(PluginTold, self.plugin_messages.told)
        entries.put(PluginAsked, self.plugin_messages.asked)
        entries.put(ComponentAt, self.component_entries.noted)
        entries.put(CountSessions, self.drain.targets.counted)
        entries.put(Swept, self.directory_sweep.swept)
        entries.put(CommandGiven, commands.given)
        entries.put(CommandMore, commands.more)
        entries.put(CommandUnread, commands.unread)
        SessionEntries(self.locations, self.accounts, self.devices).put_in(entries)
        self.arrivals.put_in(entries)
        self.moves.put_in(entries)
        self._bosh_entries(entries)
        sync = self._account_sync()
        sync.put_in(entries)
        self.routing_table.siblings.met_late.append(sync.met_late)
        return entries, commands

    def _bosh_entries(self, entries: EntryHandler) -> None:
        """What nodes pass on to each other of BOSH."""
        bosh = BoshEntries(self.cluster, self.bosh_sessions, self.clock)
        bosh.put_in(entries)
        self.events.put(On(NodeLost, bosh.node_gone), OWNER)
        self.events.put(On(NodeLeft, bosh.node_gone), OWNER)

    async def _ask_for_little(self) -> None:
        """Ask what a login asks, to see how long that takes: the store, and where sessions are."""
        await self.store.accounts.exists("")
        if self.cluster.directory.shared:
            await self.cluster.directory.sessions_of("")

    # -- the parts that are the server's own ------------------------------------------------------

    def _put_parts(self) -> None:
        """Put the server's own parts in their places, as those of plugins are."""
        for handler in self._iq_handlers():
            self.iq_router.put(handler, OWNER)
        for interceptor in self._packet_interceptors():
            self.interceptors.put(interceptor, OWNER)
        for follower in (self.offline_message_strategy, self.held_messages):
            self.followers.put(follower, OWNER)
        for listener in (*self._listeners(), *self.component_trust.listeners()):
            self.events.put(listener, OWNER)
        for state in (
            privacy_state(self.privacy_lists),
            directed_state(self.presence_manager.directed),
            seen_state(self.presence_manager.remote),
            sightings_state(self.presence_manager.introductions.sightings),
            handed_state(self.presence_manager.introductions.sightings),
        ):
            self.saved_sessions.put(state, OWNER)
        for feature in self._features():
            self.stream_features.put(feature, OWNER)
        for inline in self._inline_features():
            self.inline_features.put(inline, OWNER)
        self.cluster.claims.put(self.directory_sweep, OWNER)
        for metric in self._metrics():
            self.metrics.put(metric, OWNER)
        if self.component_trust.delegated:
            self.disco.put(Says(DiscoInfo(features=(DELEGATION,))), OWNER)
        for path in self._paths():
            self.http_paths.put(path, OWNER)
        self._put_settings()

    def _put_settings(self) -> None:
        for settings in self._settings():
            self.settings.put(settings, OWNER)

    def _paths(self) -> Iterator[HTTPPath]:
        """The paths of streams over HTTP, and those by which they are found."""
        yield from self.web_sockets.paths()
        yield from self.bosh_sessions.paths()
        yield from self.well_known.paths()
        yield from self.health.paths()
        api = API(self.commands, self.api_keys, self.jobs, self.http_doors, self.clock)
        yield from api.paths()

    def _metrics(self) -> Iterator[Metric]:
        """What is counted and measured (ME-1)."""
        clients, servers = self.client_connections, self.server_connections
        components = self.components.connections
        kinds = {"client": clients, "server": servers, "component": components}
        outgoing = self.foreign_routes.outgoing_connections.traffic
        yield from measures.session_metrics(self.session_manager)
        yield from measures.connection_metrics(kinds, outgoing, self.http_connections)
        yield from measures.stanza_metrics(self.packet_router, self.broadcast_counts)
        yield from clients.login_queue.metrics()
        yield from measures.login_metrics(clients, self.authentication, self.resumption)
        yield from measures.loop_metrics(self.loop_watch, self.clock)
        yield from measures.store_metrics(self.store)
        yield from self.stored_counts.metrics()
        yield from measures.server_metrics(self.foreign_routes)
        yield from measures.web_metrics(self.http_connections, self.http_doors)
        yield Metric(
            "bosh_sessions",
            "Sessions by BOSH.",
            "gauge",
            lambda: len(self.bosh_sessions.sessions),
        )
        if self.tls is not None:
            yield measures.certificate_metric(self.domains, self.tls.expires, self.wall_clock)
        yield from process_metrics()

    def _iq_handlers(self) -> tuple[IQHandler, ...]:
        return (
            IQBindHandler(self.binding),
            IQSessionHandler(),
            IQRosterHandler(self.roster_manager, self.presence_subscribe_handler),
        )

    def _packet_interceptors(self) -> Iterator[PacketInterceptor]:
        auth = self.config.auth
        if "ANONYMOUS" in auth.mechanisms and not auth.guests_to_other_servers:
            yield GuestsStay(self.routing_table)
        yield from self.component_trust.interceptors(self.requests)

    def _listeners(self) -> tuple[On[Any], ...]:
        return (
            On(NodeJoined, self.component_entries.joined),
            On(NodeLost, self.component_entries.gone),
            On(NodeLeft, self.component_entries.gone),
            On(ComponentConnected, self.component_entries.changed),
            On(ComponentDisconnected, self.component_entries.changed),
            On(ContactChanged, self.privacy_changes.contact_changed),
            On(SessionClosed, self.held_messages.closed),
            On(SessionClosed, self.resumable_sessions.closed),
            On(SessionClosed, self.offline_message_flood.closed),
            On(SessionClosed, self.moves.offers.closed),
            On(SessionClosed, self.arrivals.closed),
            On(SessionResumed, self.offline_message_flood.resumed),
            On(AccountRemoved, self._forget_account),
            On(SessionResumed, self.client_connections.resumed),
            On(SessionBound, self.client_connections.bound),
            On(SessionAvailable, self.client_connections.arrived),
            On(NodeLost, self.node_loss.lost),
            On(NodeLost, self._claims_hear),
            On(NodeLost, self.directory_sweep.node_lost),
            On(NodeFenced, self.cluster.claims.fenced),
            On(NodeLeft, self.node_loss.left),
            On(NodeLost, self.moves.offers.node_gone),
            On(NodeLeft, self.moves.offers.node_gone),
            On(NodeLost, self.stored_messages.lost),
            On(NodeLost, self.reassertions.node_lost),
            On(NodeLeft, self.stored_messages.left),
        )

    def _features(self) -> Iterator[StreamFeature]:
        """The stream features of RFC 6120 and RFC 6121, and those of a login."""
        settings, secret = self.config.auth, self._platform.secret
        if self.tls is not None:
            yield starttls_feature(required=self.config.tls.required)
        yield SASL(self.authentication).feature()
        yield SASL2(
            self.authentication,
            self.inline_features,
            Bind2(self.binding, self.inline_features, self.bound_extras, secret),
            self.fast,
            ScramUpgrades(self.store.accounts, settings.mechanisms, settings.scram_iterations),
        ).feature()
        yield after_login(f"<bind xmlns='{ns.BIND}'/>", unless=Stream.BOUND)
        yield after_login(
            f"<session xmlns='{ns.SESSION}'><optional/></session>", unless=Stream.BOUND
        )
        yield after_login(f"<ver xmlns='{ns.ROSTER_VERSIONING}'/>")
        yield after_login(f"<sub xmlns='{ns.PRE_APPROVAL}'/>")
        if self.config.stream_management.enabled:
            yield self.resumption.feature()

    def _inline_features(self) -> Iterator[InlineFeature]:
        yield self.fast.feature()
        if self.config.stream_management.enabled:
            yield from self.resumption.inline_features()

    def _settings(self) -> tuple[Settings[Any], ...]:
        """The stages that go by a table of the file, and are handed it when it has changed."""
        return (
            Settings(Config, self._use_streams),
            Settings(StreamSettings, self.client_connections.use),
            Settings(StreamSettings, self.offline_message_flood.use),
            Settings(StreamSettings, self.components.connections.use),
            Settings(S2SSettings, self.foreign_routes.use),
            Settings(WebSettings, self.http_connections.use),
            Settings(LogSettings, self.http_connections.use_log),
            Settings(WebSettings, self.web_sockets.use),
            Settings(WebSettings, self.bosh_sessions.use),
            Settings(StreamSettings, self.web_sockets.use_stream),
            Settings(AuthSettings, self.attempts.use),
            Settings(AuthSettings, self.authentication.use),
            Settings(AuthSettings, self.components.attempts.use),
            Settings(TokenSettings, self.tokens.use),
            Settings(RegistrationSettings, self.names.use),
            Settings(ContactSettings, self.names.use_contacts),
            Settings(ContactSettings, self.well_known.use),
            Settings(PresenceSettings, self.presence_update_handler.use),
            Settings(OfflineSettings, self.offline_message_strategy.use),
        )

    def _use_streams(self, config: Config) -> None:
        """Take other limits of new connections: those of ``[stream]``, or of a table in its
        place.
        """
        servers = config.streams("server")
        self.server_connections.use(servers)
        self.foreign_routes.use_streams(servers)
        self.listeners.use(config)

    def _call_back(self) -> None:
        """Give stages below the functions of stages above that they call back."""
        membership = self.cluster.membership
        self.commands.address_of = self._address_of
        membership.on_silence = self._close_wires
        membership.on_loss = self._enter_all
        membership.on_isolation = self.drain.isolated
        self.store.write_while(lambda: membership.speaks, membership.voice)
        membership.listen(self.events.fire)
        self.cluster.claims.highest_token = self.store.claim_tokens.highest_token
        self.cluster.bus.take = self.entry_handler.take
        self.routing_table.siblings.absent += (
            self.roster_manager.forget,
            self.privacy_lists.forget,
        )
        self.node_loss.forget = (self.routing_table.siblings.lost, self.arrivals.lost)
        self.roster_manager.on_reread = self.presence_manager.follow_contact
        self.locations.on_reentered = self.presence_manager.introductions.greet_anew
        self.packet_router.on_taken_back = self.held_messages.find_places
        if self.cluster.directory.shared:
            self.resumption.others = self.moves
        self.moves.on_taken = self._introduce
        self.drain.hand_over = self.moves.hand_over
        self.saved_sessions.copy_counts = self.routing_table.copy_counts
        self.http_connections.on_sweep += (self.loop_watch.look,)
        self.client_connections.on_sweep = (
            self.resumable_sessions.sweep,
            self.held_messages.sweep,
            self.offline_message_flood.sweep,
            self.locations.sweep,
            self.presence_manager.introductions.sweep,
        )
        if self.config.s2s.enabled:
            self.routing_table.foreign = self._foreign()
            self.routing_table.foreign_error = self.foreign_routes.unreached

    def _foreign(self) -> Route:
        """The route to other servers: from here, or from the node that has the pair of domains."""
        cluster = self.cluster
        if not cluster.directory.shared:
            return self.foreign_routes
        owners = ForeignOwners(self.foreign_routes, cluster.claims, self.packet_router, self.events)
        cluster.claims.put(owners, OWNER)
        self.entry_handler.put(ServerLost, owners.told)
        self.events.put(On(RemoteServerLost, owners.server_lost), OWNER)
        return owners

    def _stages(self) -> Mapping[type, object]:
        """The stages that a plugin may ask for, each by its class, or by the protocol that it
        implements.
        """
        stages = (
            self.turns,
            self.events,
            self.cluster.claims,
            self.plugin_messages,
            self.disco,
            self.commands,
            self.command_forms,
            self.metrics,
            self.interceptors,
            self.routing_table,
            self.routing_table.siblings,
            self.requests,
            self.session_manager,
            self.shared_groups,
            self.roster_manager,
            self.privacy_lists,
            self.presence_manager,
            self.reports,
            self.privacy_changes,
            self.shared_group_changes,
            self.personal_items,
            self.offline_message_flood,
            self.presence_update_handler,
            self.presence_subscribe_handler,
            self.offline_message_strategy,
            self.followers,
            self.unread_counts,
            self.muting,
            self.message_router,
            self.presence_router,
            self.iq_router,
            self.binding,
            self.packet_router,
            self.resumable_sessions,
            self.held_messages,
            self.saved_sessions,
            self.passwords,
            self.names,
            self.attempts,
            self.accounts,
            self.tokens,
            self.devices,
            self.stream_features,
            self.inline_features,
            self.service_domains,
            self.http_doors,
        )
        return {
            **{stage.__class__: stage for stage in stages},
            Clocks: self.clocks,
            IReactorTime: self.clock,
            **self.store.kept,
            AuthProvider: self.auth_provider,
            RunInThread: self._platform.run_in_thread,
        }

    async def _read_account(self, account: JID) -> None:
        """Read the roster and lists of an account, which are in memory while it is online."""
        await self.roster_manager.roster(account)
        await self.privacy_lists.lists(account)

    def reload(self, config: Config, certificates: Certificates = NO_CERTIFICATES) -> None:
        """Take another configuration, as far as that is possible while running.

        Limits of one connection hold for new ones.

        Args:
            config: Differs from the one before only in keys that apply at once.
            certificates: As they were read.

        Raises:
            ValueError: OpenSSL refuses a certificate; then nothing has changed.
        """
        if self.tls is not None and certificates.tls is not None:
            self.tls.use(certificates.tls)
        self.trust.use(certificates.authorities)
        self.outgoing_tls.renew()
        self.foreign_routes.forget_failures()
        self.settings.reload(config)

    async def start(self) -> None:
        """Read all that must be known before the first client connects."""
        await self.shared_groups.load()
        await self._look_for_admins()
        self.foreign_routes.start()
        await self._take_up_sessions()
        self.client_connections.start()
        self.server_connections.start()
        self.components.start()
        self.http_connections.start()

    async def _look_for_admins(self) -> None:
        """Warn of administrators without an account, which may be a mistake in writing."""
        for admin in self.admins:
            if admin.domain in self.domains and not await self.store.accounts.exists(admin.bare):
                _log.warn("admins names {admin}, who has no account", admin=admin.bare)

    async def _take_up_sessions(self) -> None:
        """Restore sessions of an orderly stop; messages of others become offline messages (RS-9,
        RS-10).
        """
        await self.stored_messages.take_up()
        lost = await self.saved_sessions.load()
        await self.held_messages.take_up(self.resumable_sessions.resumable(), lost)
        for each in lost:
            requests = [waiting for _, waiting in each.unread if isinstance(waiting[0], IQ)]
            self.packet_router.take_back(requests, each.jid)
        await self.packet_router.finish()
        for session in tuple(self.session_manager.sessions.values()):
            await self._introduce(session)
        self.arrivals.look_for_nodes(self.cluster.membership)

    async def _introduce(self, session: LocalClientSession) -> None:
        """Let others know a session that was saved, and has been restored."""
        await self.locations.restore(session)
        self.events.fire(SessionMoved(session))
        self.presence_manager.look_elsewhere_again(session)

    async def stop(self, unload: Callable[[], Awaitable[None]] = _unload_nothing) -> None:
        """Hand over to other nodes what they take; close all streams that are left, each told why,
        save sessions and messages, and close the store.

        Args:
            unload: Takes out the plugins, which may store what they have: they are there as long as
                stanzas are handled.

        Nothing is waited for beyond ``cluster.drain_s``, and then its :class:`StopLimits`, whatever
        peers and the database do; losses by that are logged.
        """
        not_stored = self.packet_router.not_stored
        if not self._is_dropped and self.config.cluster.drain_s:
            await self.drain.within(self.config.cluster.drain_s)
        self.directory_sweep.stop()
        began = self.clock.seconds()
        try:
            if not self._is_dropped:
                await self._close(began)
        finally:
            await until(self.clock, StopLimits.PLUGINS, began, unload())
            await until(self.clock, StopLimits.STORE, began, self.store.close())
            self._say_what_is_lost(not_stored)

    async def _close(self, began: float) -> None:
        """Close all streams, and save sessions and messages."""
        error = StreamError(StreamCondition.SYSTEM_SHUTDOWN)
        self.jobs.stop()
        self.foreign_routes.give_back()
        await until(self.clock, StopLimits.CLIENTS, began, self.client_connections.close(error))
        await until(self.clock, StopLimits.STANZAS, began, self._finish_stanzas())
        await until(self.clock, StopLimits.PEERS, began, self._close_peers(error))
        await until(self.clock, StopLimits.WEB, began, self.http_connections.close())
        await until(self.clock, StopLimits.SESSIONS, began, self._save_sessions())
        await until(self.clock, StopLimits.NODES, began, self._leave_nodes())
        self.requests.stop()
        self.stored_messages.stop()

    async def _save_sessions(self) -> None:
        """Save the sessions that no other node has taken."""
        await self.moves.offers.finish()
        await self.saved_sessions.save()

    async def _leave_nodes(self) -> None:
        """Leave the other nodes, when they have handled what they were told, or do not for some
        time.
        """
        bus, membership = self.cluster.bus, self.cluster.membership
        nodes = [node.id for node in membership.nodes.values()]
        settling = gatherResults([Deferred.fromCoroutine(bus.settled(id)) for id in nodes])
        settling.addTimeout(SETTLE_S, self.clock)
        with suppress(defer.TimeoutError):
            await settling
        await membership.leave()

    def drop(self) -> None:
        """Close all streams, and forget all else: others take this node for dead, so that nobody
        is told anything, and nothing is written (CL-65). What is left for :meth:`stop` is little.
        """
        self._is_dropped = True
        self.store.abandon()
        self._close_wires()
        for connections in (
            self.client_connections,
            self.server_connections,
            self.components.connections,
        ):
            connections.stop()
        self.http_connections.stop()
        self.http_connections.abort()
        self.foreign_routes.stop()

    async def _enter_all(self) -> None:
        """Say again what is here, since Redis may have lost it (CL-64)."""
        while not (self._is_dropped or await self._claims_asserted()):
            await self._sleep(AGAIN_AFTER_S)
        await self.reassertions.after_loss()
        self.locations.after_loss()
        self.presence_manager.introductions.after_loss()
        await self.offline_message_flood.after_loss()

    async def _claims_asserted(self) -> bool:
        """Say again what lives here; returns whether the directory has answered."""
        try:
            await self.cluster.claims.assert_all()
        except DirectoryAway:
            return False
        return True

    def _close_wires(self) -> None:
        """Close all streams at once, since this node may not act (CL-65)."""
        for connections in (
            self.client_connections,
            self.server_connections,
            self.components.connections,
            self.foreign_routes.outgoing_connections,
        ):
            connections.reset()

    async def _finish_stanzas(self) -> None:
        """Wait for clients' stanzas under way, until unread ones have been routed again and until
        messages that senders asked about are safe.
        """
        await self.resumable_sessions.at_rest()
        await self.broadcasts.finish()
        await self.packet_router.finish()
        await self.held_messages.at_rest()

    async def _close_peers(self, error: StreamError) -> None:
        """Close streams of components and servers at the same time: none keeps the other
        waiting.
        """
        components = self.components.connections.close(error)
        called = Deferred.fromCoroutine(self.foreign_routes.close(error))
        callers = self.server_connections.close(error)
        for closed in (components, called, callers):
            await closed

    def _say_what_is_lost(self, not_stored_before: int) -> None:
        router = self.packet_router
        count = router.not_stored - not_stored_before + router.homeless
        if count:
            _log.error(
                "{count} stanzas that nobody has got are not stored, since the database failed or "
                "was too slow; their senders were told as far as they could be reached",
                count=count,
            )

    def _claims_hear(self, event: NodeLost) -> None:
        """Have what lives once forget the people of a lost node when the grace is over (CL-36)."""
        self.clock.callLater(self.config.cluster.grace_s, self.cluster.claims.node_lost, event)

    def _forget_account(self, removed: AccountRemoved) -> None:
        self.presence_manager.last_presences.forget(removed.account.bare)
        self.privacy_lists.forget(removed.account.bare)

    def _address_of(self, jid: JID) -> str:
        session = self.session_manager.session(jid)
        return "" if session is None else session.connection.address

    def _late_s(self) -> float:
        """Seconds by which the loop over the sockets is late."""
        return Hub.late_s(self.clock)

    def _sleep(self, seconds: float) -> Deferred[None]:
        return deferLater(self.clock, seconds, lambda: None)
