"""Wiring: every stage, made once, from the last to the first; each line uses those above it."""

from collections.abc import Callable
from functools import partial
from hmac import digest as hmac_digest
from typing import Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import deferLater

from xmppd.account.accounts import Accounts
from xmppd.account.devices import Devices
from xmppd.account.farewells import Farewells
from xmppd.account.names import Names
from xmppd.account.session_end import SessionEnd
from xmppd.account.stream_ends import StreamEnds
from xmppd.api.jobs import Jobs
from xmppd.auth.api_keys import APIKeys
from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.base import RunInThread
from xmppd.auth.provider import Passwords, SQLAuthProvider
from xmppd.auth.providers import AuthProviders
from xmppd.auth.sealing import Sealing
from xmppd.auth.tokens import Tokens
from xmppd.cluster.cluster import Cluster, alone
from xmppd.command.audit import Audit
from xmppd.command.command_form import CommandForms
from xmppd.command.command_table import CommandTable
from xmppd.command.roles import Roles
from xmppd.components.component_connections import ComponentConnections
from xmppd.components.component_trust import ComponentTrust
from xmppd.components.components import Components
from xmppd.components.service_domains import ServiceDomains
from xmppd.config.config import (
    Config,
    ListenSettings,
)
from xmppd.config.settings import SettingsTable
from xmppd.console.live import Live
from xmppd.disco.disco import Disco
from xmppd.events import Events
from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.handler.presence_update_handler import (
    PresenceUpdateHandler,
)
from xmppd.host.clocks import Clocks
from xmppd.host.loop_watch import LoopWatch
from xmppd.host.machine import Descriptors
from xmppd.host.metrics import Metrics
from xmppd.host.rates import Rates
from xmppd.host.seldom import Seldom
from xmppd.host.stage_samples import StageSamples
from xmppd.host.turns import Turns
from xmppd.login.authentication import Authentication
from xmppd.login.fast import FAST
from xmppd.login.resumption import Resumption
from xmppd.measures import STAGES
from xmppd.message.follower import Followers
from xmppd.message.held_messages import HeldMessages
from xmppd.message.muting import Muting
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.message.offline_message_strategy import OfflineMessageStrategy
from xmppd.message.unread_counts import UnreadCounts
from xmppd.migration.exporter import Exporter
from xmppd.migration.service_data import ServiceDataTable
from xmppd.migration.user_data import UserDataTable
from xmppd.net.certificate_ends import CertificateEnds
from xmppd.net.connection_handler import TransportBinding
from xmppd.net.connections import Connections
from xmppd.net.epoll_hub import Hub, Reactor
from xmppd.net.exchange import exchange_of
from xmppd.net.listen_endpoint import NO_CERTIFICATES, Certificates
from xmppd.net.listener import Listeners, StreamKind
from xmppd.net.login_queue import StoreWatch
from xmppd.net.outgoing_tls import OutgoingTLS
from xmppd.net.traffic_history import TrafficHistory
from xmppd.net.turn_end import at_end_of_turn, at_end_of_turn_of_hub
from xmppd.nodes.account_sync import AccountSync
from xmppd.nodes.arrivals import Arrivals
from xmppd.nodes.component_entries import ComponentEntries
from xmppd.nodes.directory_check import DirectoryCheck
from xmppd.nodes.directory_sweep import DirectorySweep
from xmppd.nodes.drain import Drain
from xmppd.nodes.entry_handler import EntryHandler
from xmppd.nodes.moves import Moves
from xmppd.nodes.node_loss import NodeLoss
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.nodes.reassertions import Reassertions
from xmppd.nodes.session_offers import SessionOffers
from xmppd.nodes.stored_messages import StoredMessages
from xmppd.pages.page import ConsolePages
from xmppd.pages.visitors import Visitors
from xmppd.presence.binding import Binding
from xmppd.presence.broadcast_counts import BroadcastCounts
from xmppd.presence.introductions import Introductions
from xmppd.presence.moved_presence import MovedPresence
from xmppd.presence.presence_manager import PresenceManager
from xmppd.presence.privacy_changes import PrivacyChanges
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.privacy.reports import Reports
from xmppd.resolve.attempts import Attempts, History
from xmppd.resolve.connector import Connector, Nowhere
from xmppd.resolve.targets import Directions
from xmppd.roster.broadcasts import Broadcasts
from xmppd.roster.roster_manager import RosterManager
from xmppd.roster.shared_groups import SharedGroups
from xmppd.router.iq_router import IQRouter
from xmppd.router.message_router import MessageRouter
from xmppd.router.packet_router import PacketRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.routing.locations import Locations
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.s2s.dialback import DialbackKeys
from xmppd.s2s.foreign_routes import ForeignRoutes, Proofs
from xmppd.s2s.incoming_stream import incoming_stream
from xmppd.s2s.outgoing_connections import OutgoingConnections
from xmppd.s2s.verification import Trust
from xmppd.server.replaceable import replaceable
from xmppd.session.ended_sessions import EndedSessions
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.session.resumable_sessions import ResumableSessions
from xmppd.session.saved_sessions import SavedSessions
from xmppd.session.session_manager import (
    SessionManager,
)
from xmppd.stanza import JID
from xmppd.store.personal_items import PersonalItems
from xmppd.store.sizes import StoredSizes
from xmppd.store.store import Store
from xmppd.store.stored_counts import StoredCounts
from xmppd.stream.bound_extra import BoundExtras
from xmppd.stream.inline_feature import InlineFeatures
from xmppd.stream.stanza_handler import StanzaHandler, StreamContext
from xmppd.stream.stream_feature import StreamFeatures
from xmppd.web.bosh import BoshSessions
from xmppd.web.health import Health, Scrape
from xmppd.web.http_connections import SWEEP_S, HTTPConnections
from xmppd.web.http_doors import HTTPDoors
from xmppd.web.http_path import HTTPPaths
from xmppd.web.web_sockets import WebSockets
from xmppd.web.well_known import WellKnown


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


def admins_of(config: Config) -> tuple[JID, ...]:
    """Whom ``admins`` names."""
    return tuple(map(JID.parse, config.admins))


class Wiring:
    """The stages, which are the attributes.

    Each room is wired by a method that returns its stages, from the lowest room to the highest; a
    method uses the stages of the rooms below, and changes none of them.

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
        self.platform = platform
        self.clock, self.clocks = platform.clock, platform.clocks
        self.wall_clock, self.descriptors = platform.clocks.wall_clock, platform.descriptors
        self.domains = tuple(domain.name for domain in config.domain)
        self.admins = admins_of(config)
        self.certificate_ends = CertificateEnds(self.tls, self.domains, self.clocks)
        self.events, self.disco, self.bound_extras = Events(), Disco(), BoundExtras()
        self.commands, self.command_forms = self._commands()
        self.turns, self.metrics, self.personal_items = self._host_and_store()
        self.auth_provider, self.passwords, self.tokens, self.sealing, self.attempts = self._auth()
        self.api_keys, self.jobs = self._api()
        self.routing_table, self.requests = self._routing()
        self.interceptors, self.session_manager, self.locations = self._sessions()
        self.shared_groups, self.broadcasts, self.roster_manager = self._rosters()
        self.privacy_lists, self.reports = self._privacy()
        self.presence_manager, self.privacy_changes, self.shared_group_changes = self._presence()
        self.client_connections, self.server_connections, self.outgoing_tls = self._connections()
        self.followers, self.offline_message_flood, self.offline_message_strategy = self._messages()
        self.unread_counts, self.muting, self.user_data, self.service_data = self._of_plugins()
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
        self.visitors = self._visitors()
        self.console_pages, self.live = ConsolePages(), self._live()
        self.web_sockets, self.bosh_sessions = self._web_streams()
        self.well_known = WellKnown(self.http_doors, config.contact, self.wall_clock)
        self.health, self.stored_counts, self.stored_sizes, self.loop_watch = self._health()
        self.ended_sessions = EndedSessions(self.clock.seconds)
        self.traffic_history, self.rates, self.stage_samples = self._history()
        self.plugin_messages, self.component_entries, self.arrivals, self.moves = self._nodes()
        self.node_loss, self.reassertions, self.stored_messages, self.directory_sweep = (
            self._losses()
        )
        self.drain, self.entry_handler = self._drain(), EntryHandler()

    @property
    def config(self) -> Config:
        """The present configuration."""
        return self.settings.config

    @property
    def exporter(self) -> Exporter:
        """Writes accounts down."""
        return Exporter(self.store, self.user_data, self.service_data, self.turns)

    def _commands(self) -> tuple[CommandTable, CommandForms]:
        commands = CommandTable(self.domains, Roles(self.admins, self.config.role))
        commands.untold = Seldom(self.clock.seconds).untold
        commands.audit = Audit(self.store.audit, self.cluster.membership.id.name)
        return commands, CommandForms(commands)

    def _host_and_store(self) -> tuple[Turns, Metrics, PersonalItems]:
        items = PersonalItems(self.store.items, self.config.items)
        return Turns(self.clock), Metrics(), items

    def _auth(self) -> tuple[AuthProviders, Passwords, Tokens, Sealing, AttemptLimiter]:
        platform, settings, accounts = self.platform, self.config.auth, self.store.accounts
        internal = SQLAuthProvider(
            accounts,
            self.store.key_kinds,
            secret=platform.secret,
            iterations=settings.scram_iterations,
            run_in_thread=platform.run_in_thread,
        )
        orders = {domain.name: domain.auth for domain in self.config.domain}
        provider = AuthProviders(internal, accounts, orders, self.clocks.seconds)
        passwords = Passwords(
            accounts,
            iterations=settings.scram_iterations,
            run_in_thread=platform.run_in_thread,
            keepers=provider.names,
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
        return provider, passwords, tokens, Sealing(platform.secret), attempts

    def _api(self) -> tuple[APIKeys, Jobs]:
        keys = APIKeys(
            self.store.api_keys,
            self.commands.roles,
            self.auth_provider,
            self.attempts,
            self.wall_clock,
        )
        jobs = Jobs(self.commands, self.store.jobs, self.cluster.membership, self.clocks)
        return keys, jobs

    def _routing(self) -> tuple[RoutingTable, Requests]:
        table = replaceable(RoutingTable)(self.domains, self.cluster, self.clock)
        return table, Requests(table, self.clock)

    def _sessions(self) -> tuple[InterceptorManager, SessionManager, Locations]:
        interceptors = replaceable(InterceptorManager)()
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
        presences = replaceable(PresenceManager)(
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
        clients = Connections(config.stream, *limits, store_watch.late_s, self.late_s)
        servers = Connections(config.streams("server"), *limits, self.late_s)
        return clients, servers, OutgoingTLS(config.tls, self.tls)

    def _messages(self) -> tuple[Followers, OfflineMessageFlood, OfflineMessageStrategy]:
        flood = OfflineMessageFlood(
            self.store.offline, self.requests, self.turns.next, self.config.stream
        )
        strategy = replaceable(OfflineMessageStrategy)(
            self.store.accounts,
            flood,
            self.privacy_lists,
            self.presence_manager.can_see,
            self.wall_clock,
            self.config.offline,
        )
        return Followers(self.domains), flood, strategy

    def _of_plugins(self) -> tuple[UnreadCounts, Muting, UserDataTable, ServiceDataTable]:
        """Places of what plugins bring, which need nothing."""
        return UnreadCounts(), Muting(), UserDataTable(), ServiceDataTable()

    def _handlers(
        self,
    ) -> tuple[BroadcastCounts, PresenceUpdateHandler, PresenceSubscribeHandler, Binding]:
        counts = BroadcastCounts(self.clock)
        updates = replaceable(PresenceUpdateHandler)(
            self.session_manager,
            self.presence_manager,
            self.offline_message_flood,
            counts,
            self.events,
            self.config.presence,
        )
        subscriptions = replaceable(PresenceSubscribeHandler)(
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
        messages = replaceable(MessageRouter)(
            self.routing_table,
            self.offline_message_strategy,
            self.followers,
            self.admins,
            self.events,
        )
        presences = replaceable(PresenceRouter)(
            self.presence_update_handler,
            self.presence_subscribe_handler,
            self.presence_manager,
            self.roster_manager,
            self.routing_table,
        )
        iqs = replaceable(IQRouter)(
            self.routing_table,
            self.requests,
            self.store.accounts,
            self.presence_manager,
            self.session_manager,
            self.disco,
        )
        packets = replaceable(PacketRouter)(
            messages, presences, iqs, self.interceptors, self.clocks
        )
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
            self.store,
            self.followers,
            self.cluster.membership,
            resumable,
            self.packet_router,
            self.clock,
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
        fast = FAST(self.tokens, authentication, self.auth_provider, self.passwords)
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
        secret = hmac_digest(self.platform.secret, b"dialback", "sha256")
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

    def _visitors(self) -> Visitors:
        """Who looks at pages: whoever may log in to a stream may log in there."""
        return Visitors(
            self.auth_provider,
            self.attempts,
            self.accounts.ends,
            lambda: self.commands.roles,
            self.clocks,
            self.domains,
        )

    def _live(self) -> Live:
        """The numbers of the console's pages."""
        return Live(self.metrics, self.clock, self.clocks, self.store.readings, self.cluster)

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

    def _health(self) -> tuple[Health, StoredCounts, StoredSizes, LoopWatch]:
        counts = StoredCounts(self.store.database, self.domains, self.clock)
        sizes = StoredSizes(self.store.database, self.clock)
        health = Health(
            Scrape(self.metrics, counts.refresh),
            self.http_doors,
            lambda: self.store.accounts.exists(""),
            lambda: self.cluster.membership.node.draining,
            self.late_s,
            self.clock,
        )
        return health, counts, sizes, LoopWatch(SWEEP_S)

    def _history(self) -> tuple[TrafficHistory, Rates, StageSamples]:
        """What all peers have caused lately, what has grown, and which stages were at work."""
        places = (
            self.client_connections,
            self.server_connections,
            self.components.connections,
            self.foreign_routes.outgoing_connections,
        )
        history = TrafficHistory(
            [place.handlers for place in places], self.routing_table.take_fan_out
        )
        for place in places:
            place.on_closed = history.gone
        return history, Rates(self.metrics), StageSamples(STAGES)

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
        moves = Moves(offers, self.locations, self.account_sync())
        return plugins, components, arrivals, moves

    def account_sync(self) -> AccountSync:
        """What other nodes are told of an account, and tell."""
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

    def _drain(self) -> Drain:
        """What hands all that is here to other nodes."""
        return Drain(
            self.cluster,
            self.client_connections,
            (self.server_connections, self.components.connections),
            self.resumable_sessions,
            self.clock,
        )

    def listener(self, listen: ListenSettings) -> ServerFactory:
        """The factory for those who come in by an endpoint."""
        if listen.kind == "http":
            return self.http_doors.listener(listen)
        if listen.serve:
            binding = TransportBinding(None, is_secure=True)
            stream = partial(self.listeners.client, binding)
            return self.http_doors.listener(listen, stream)
        return self.listeners.listener(listen)

    def check(self) -> DirectoryCheck:
        """What compares this node with what all know of it."""
        return DirectoryCheck(
            self.locations, self.cluster.claims, self.directory_sweep, self.store.sessions
        )

    async def _read_account(self, account: JID) -> None:
        """Read the roster and lists of an account, which are in memory while it is online."""
        await self.roster_manager.roster(account)
        await self.privacy_lists.lists(account)

    async def _ask_for_little(self) -> None:
        """Ask what a login asks, to see how long that takes: the store, and where sessions are."""
        await self.store.accounts.exists("")
        if self.cluster.directory.shared:
            await self.cluster.directory.sessions_of("")

    def late_s(self) -> float:
        """Seconds by which the loop over the sockets is late."""
        return Hub.late_s(self.clock)

    def _sleep(self, seconds: float) -> Deferred[None]:
        return deferLater(self.clock, seconds, lambda: None)
