"""XMPPServer: every stage, wired once, from the last to the first; a line uses those above it."""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from functools import partial
from hmac import digest as hmac_digest
from typing import Any, Literal, Protocol

from twisted.internet.defer import Deferred, DeferredList, FirstError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from xmppd.account.accounts import AccountRemoved, Accounts
from xmppd.account.devices import Devices
from xmppd.account.farewells import Farewells
from xmppd.account.names import Names
from xmppd.account.session_end import SessionEnd
from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.base import AuthProvider, RunInThread
from xmppd.auth.provider import Passwords, SQLAuthProvider
from xmppd.auth.tokens import Tokens
from xmppd.command.command_form import CommandForms
from xmppd.command.command_table import CommandTable
from xmppd.components.component_connections import ComponentConnections
from xmppd.components.component_trust import ComponentTrust
from xmppd.components.components import Components
from xmppd.components.delegation import NS as DELEGATION
from xmppd.components.delegation import Delegations
from xmppd.components.service_domains import ServiceDomains
from xmppd.config.config import (
    AuthSettings,
    Config,
    ContactSettings,
    ListenSettings,
    OfflineSettings,
    PresenceSettings,
    RegistrationSettings,
    S2SSettings,
    StreamSettings,
    TokenSettings,
)
from xmppd.config.settings import Settings, SettingsTable
from xmppd.disco.disco import Disco, Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import OWNER, Events, On
from xmppd.handler.iq_bind_handler import IQBindHandler, IQSessionHandler
from xmppd.handler.iq_roster_handler import IQRosterHandler
from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.handler.presence_update_handler import (
    PresenceUpdateHandler,
    SessionAvailable,
    SessionUnavailable,
)
from xmppd.host.clocks import Clocks
from xmppd.host.machine import Descriptors
from xmppd.host.metrics import Metrics
from xmppd.host.turns import Turns
from xmppd.login.authentication import Authentication, exchange_of
from xmppd.login.bind2 import Bind2
from xmppd.login.fast import FAST
from xmppd.login.resumption import Resumption
from xmppd.login.sasl import SASL
from xmppd.login.sasl2 import SASL2
from xmppd.login.scram_upgrade import ScramUpgrades
from xmppd.message.follower import Followers
from xmppd.message.held_messages import HeldMessages
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.message.offline_message_strategy import OfflineMessageStrategy
from xmppd.net.connection_handler import TransportBinding
from xmppd.net.connections import Connections
from xmppd.net.epoll_hub import Hub
from xmppd.net.listen_endpoint import NO_CERTIFICATES, Certificates
from xmppd.net.listener import Listener
from xmppd.net.login_queue import StoreWatch
from xmppd.net.outgoing_tls import OutgoingTLS
from xmppd.presence.binding import Binding
from xmppd.presence.broadcast_counts import BroadcastCounts
from xmppd.presence.presence_manager import PresenceManager
from xmppd.presence.privacy_changes import PrivacyChanges, PrivacySwitched
from xmppd.presence.session_states import directed_state, privacy_state, seen_state
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.privacy.reports import Reports
from xmppd.resolve.attempts import Attempts, History
from xmppd.resolve.connector import Connector, Nowhere
from xmppd.resolve.targets import Directions
from xmppd.roster.broadcasts import Broadcasts
from xmppd.roster.roster_manager import ContactChanged, RosterChanged, RosterManager
from xmppd.roster.shared_groups import SharedGroups
from xmppd.router.iq_router import IQRouter
from xmppd.router.message_router import MessageRouter
from xmppd.router.packet_router import PacketRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.routing.guests_stay import GuestsStay
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.s2s.dialback import DialbackKeys
from xmppd.s2s.foreign_routes import ForeignRoutes, Proofs
from xmppd.s2s.incoming_stream import incoming_stream
from xmppd.s2s.outgoing_connections import OutgoingConnections
from xmppd.s2s.verification import Trust
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.session.resumable_sessions import ResumableSessions, SessionResumed
from xmppd.session.saved_sessions import SavedSessions
from xmppd.session.session_manager import SessionBound, SessionClosed, SessionManager
from xmppd.stanza import IQ, JID, StreamCondition, StreamError, ns
from xmppd.store.personal_items import PersonalItems
from xmppd.store.store import Store
from xmppd.stream.inline_feature import InlineFeatures
from xmppd.stream.stanza_handler import StanzaHandler, StreamContext
from xmppd.stream.starttls import starttls_feature
from xmppd.stream.stream_feature import Stream, StreamFeature, StreamFeatures, after_login
from xmppd.stream.stream_handler import StreamHandler, Wire

_log = Logger()


class Platform(Protocol):
    """What a server takes from outside, so that tests may bring their own."""

    @property
    def clock(self) -> IReactorTime:
        """The reactor's time, which nobody sets."""

    @property
    def secret(self) -> bytes:
        """This installation's own; the same after a restart."""

    @property
    def descriptors(self) -> Descriptors:
        """How many files may be open."""

    @property
    def clocks(self) -> Clocks:
        """The same, and the time of day."""

    @property
    def run_in_thread(self) -> RunInThread:
        """Runs a slow function beside the reactor."""


class StopLimits(Enum):
    """By when a stop waits for something no more, in seconds since it began (ST-7).

    What a client had sent may wait for the store as long as one of its calls may take.
    """

    CLIENTS = "closing the streams of clients", 7.0
    STANZAS = "handling what clients had sent and not read", 13.0
    PEERS = "closing the streams of servers and components", 18.0
    SESSIONS = "saving sessions", 25.0
    STORE = "closing the database", 28.0

    def __init__(self, what: str, seconds: float) -> None:
        self.what = what
        self.seconds = seconds


Kind = Literal["client", "server", "component"]

MakeConnector = Callable[[Attempts, Directions], Connector]
"""Makes what finds other servers: notes what it does, and knows where some of them are."""


class XMPPServer:
    """The whole house: its attributes are the stages.

    Args:
        config: As read from the file.
        store: Open, or about to be.
        platform: The clock, threads and secrets.
        certificates: As they were read.
        make_connector: Makes what finds other servers; without it none is found.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        platform: Platform,
        certificates: Certificates = NO_CERTIFICATES,
        make_connector: MakeConnector = Nowhere,
    ) -> None:
        self.settings = SettingsTable(config)
        self.store = store
        self.tls = certificates.tls
        self._stand_on(platform)
        self.domains = tuple(domain.name for domain in config.domain)
        self.admins = tuple(JID.parse(admin) for admin in config.admins)

        self.turns = Turns(self.clock)
        self.events = Events()
        self.commands = CommandTable(self.domains, self.admins)
        self.disco = Disco()
        self.command_forms = CommandForms(self.commands)
        self.metrics = Metrics()
        self.interceptors = InterceptorManager()
        self.routing_table = RoutingTable(self.domains)
        self.requests = Requests(self.routing_table, self.clock)
        self.followers = Followers(self.domains)
        self.session_manager = SessionManager(
            self.routing_table,
            self.interceptors,
            self.events,
            self.wall_clock,
            config.sessions,
        )
        self.shared_groups = SharedGroups(store.shared_groups, self.routing_table)
        self.broadcasts = Broadcasts(self.turns.next)
        self.roster_manager = RosterManager(
            store.rosters,
            store.accounts,
            self.shared_groups,
            self.broadcasts,
            self.events,
            config.roster,
        )
        self.personal_items = PersonalItems(store.items, config.items)
        self.privacy_lists = PrivacyListManager(
            self.personal_items,
            self.roster_manager,
            self.routing_table,
            self.turns.next,
            config.privacy,
            self.events,
        )
        self.presence_manager = PresenceManager(
            self.roster_manager,
            store.accounts,
            store.presences,
            self.privacy_lists,
            self.events,
            self.clocks,
        )
        self.reports = Reports(store.items)
        self.privacy_changes = PrivacyChanges(
            self.privacy_lists,
            self.roster_manager,
            self.presence_manager,
            self.routing_table,
            self.events,
        )
        self.events.put(On(ContactChanged, self.privacy_changes.contact_changed), OWNER)
        self.shared_group_changes = SharedGroupChanges(
            self.shared_groups,
            self.roster_manager,
            self.presence_manager,
            self.routing_table,
        )
        self.broadcast_counts = BroadcastCounts(self.clock)
        self.offline_message_flood = OfflineMessageFlood(
            store.offline,
            self.requests,
            self.turns.next,
            config.stream,
        )
        self.presence_update_handler = PresenceUpdateHandler(
            self.session_manager,
            self.presence_manager,
            self.offline_message_flood,
            self.broadcast_counts,
            self.events,
            config.presence,
        )
        self.presence_subscribe_handler = PresenceSubscribeHandler(
            self.routing_table,
            self.roster_manager,
            self.presence_manager,
            store.accounts,
            self.events,
        )
        self.offline_message_strategy = OfflineMessageStrategy(
            store.accounts,
            self.offline_message_flood,
            self.privacy_lists,
            self.wall_clock,
            config.offline,
        )
        self.message_router = MessageRouter(
            self.routing_table,
            self.offline_message_strategy,
            self.followers,
            self.admins,
            self.events,
        )
        self.presence_router = PresenceRouter(
            self.presence_update_handler,
            self.presence_subscribe_handler,
            self.presence_manager,
            self.roster_manager,
            self.routing_table,
        )
        self.iq_router = IQRouter(
            self.routing_table,
            self.requests,
            store.accounts,
            self.presence_manager,
            self.session_manager,
            self.disco,
        )
        store_watch = StoreWatch(self.clock, lambda: store.accounts.exists(""))
        self.client_connections = Connections(
            config.stream,
            self.clock,
            self.descriptors,
            store_watch.late_s,
            lambda: Hub.late_s(self.clock),
        )
        self.binding = Binding(
            self.session_manager,
            self.roster_manager,
            self.privacy_lists,
            self.client_connections.step_back,
        )
        for handler in (
            IQBindHandler(self.binding),
            IQSessionHandler(),
            IQRosterHandler(
                self.roster_manager,
                self.presence_subscribe_handler,
            ),
        ):
            self.iq_router.put(handler, OWNER)
        self.packet_router = PacketRouter(
            self.message_router,
            self.presence_router,
            self.iq_router,
            self.interceptors,
            self.clocks,
        )

        self._let_sessions_sleep()
        self.auth_provider: AuthProvider = SQLAuthProvider(
            store.accounts,
            secret=platform.secret,
            iterations=config.auth.scram_iterations,
            run_in_thread=platform.run_in_thread,
        )
        self.passwords = Passwords(
            store.accounts,
            iterations=config.auth.scram_iterations,
            run_in_thread=platform.run_in_thread,
        )
        self.names = Names(
            store.former_accounts,
            self.passwords,
            self.admins,
            config.registration,
            config.contact,
            self.wall_clock,
        )
        self.attempts = AttemptLimiter(
            store.accounts, config.auth, clocks=self.clocks, sleep=self._sleep
        )
        self.accounts = Accounts(
            store.accounts,
            self.names,
            self.attempts,
            self.session_manager,
            Farewells(
                self.presence_update_handler,
                self.presence_subscribe_handler,
                self.shared_group_changes,
            ),
            self.events,
        )
        self.events.put(On(AccountRemoved, self._forget_account), OWNER)
        self._let_clients_in(platform.secret)
        self._open_to_servers(platform.secret, certificates, make_connector)
        self.stages = self._stages()

    @property
    def config(self) -> Config:
        """What the server goes by just now."""
        return self.settings.config

    def _go_by_settings(self) -> None:
        """Who goes by which table of the file, and hears when it has changed."""
        parts: tuple[Settings[Any], ...] = (
            Settings(Config, self._use_streams),
            Settings(StreamSettings, self.client_connections.use),
            Settings(StreamSettings, self.offline_message_flood.use),
            Settings(StreamSettings, self.components.connections.use),
            Settings(S2SSettings, self.foreign_routes.use),
            Settings(AuthSettings, self.attempts.use),
            Settings(AuthSettings, self.authentication.use),
            Settings(AuthSettings, self.components.attempts.use),
            Settings(TokenSettings, self.tokens.use),
            Settings(RegistrationSettings, self.names.use),
            Settings(ContactSettings, self.names.use_contacts),
            Settings(PresenceSettings, self.presence_update_handler.use),
            Settings(OfflineSettings, self.offline_message_strategy.use),
        )
        for part in parts:
            self.settings.put(part, OWNER)

    def _use_streams(self, config: Config) -> None:
        """Connections from now on are limited by ``[stream]``, and by what is said in its place."""
        servers = config.s2s.over(config.stream)
        self.server_connections.use(servers)
        self.foreign_routes.use_streams(servers)
        for kind, listener in self.listeners:
            listener.use(stream_settings(kind, config))

    def _stages(self) -> Mapping[type, object]:
        """What a plugin may ask for: each stage by its class, or by the protocol that it keeps."""
        stages = (
            self.turns,
            self.events,
            self.disco,
            self.commands,
            self.command_forms,
            self.metrics,
            self.interceptors,
            self.routing_table,
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
        )
        return {
            **{stage.__class__: stage for stage in stages},
            Clocks: self.clocks,
            IReactorTime: self.clock,
            **self.store.kept,
            AuthProvider: self.auth_provider,
        }

    def _stand_on(self, platform: Platform) -> None:
        """Time, and how much there may be."""
        self.clock = platform.clock
        self.clocks = platform.clocks
        self.wall_clock = platform.clocks.wall_clock
        self.descriptors = platform.descriptors

    def _let_clients_in(self, secret: bytes) -> None:
        """What a client's stream offers, and who counts and looks after those that are here."""
        auth = self.config.auth
        if "ANONYMOUS" in auth.mechanisms and not auth.guests_to_other_servers:
            self.interceptors.put(GuestsStay(self.routing_table), OWNER)
        self.stream_features = StreamFeatures()
        for feature in self._core_features(secret):
            self.stream_features.put(feature, OWNER)
        self.stream_context = StreamContext(
            self.domains,
            self.stream_features,
            self.packet_router,
            self.session_manager,
            self.resumable_sessions,
            self.session_end,
        )
        self.client_connections.on_sweep = (
            self.resumable_sessions.sweep,
            self.held_messages.sweep,
            self.offline_message_flood.sweep,
        )
        self.events.put(On(SessionResumed, self.client_connections.resumed), OWNER)
        self.events.put(On(SessionBound, self.client_connections.bound), OWNER)
        self.events.put(On(SessionAvailable, self.client_connections.arrived), OWNER)
        for metric in self.client_connections.login_queue.metrics():
            self.metrics.put(metric, OWNER)
        self.listeners: list[tuple[Kind, Listener]] = []
        self._let_components_in()

    def _let_components_in(self) -> None:
        """Services that connect to us, and who counts them."""
        config = self.config
        trust = ComponentTrust(
            config.component,
            self.routing_table,
            self.iq_router,
            self.store.accounts,
            self.privacy_lists,
            self.turns.next,
        )
        if trust.delegated:
            delegations = Delegations(
                trust.delegated,
                trust.domain,
                self.routing_table,
                self.requests,
                self.iq_router,
            )
            self.interceptors.put(delegations, OWNER)
            self.disco.put(Says(DiscoInfo(features=(DELEGATION,))), OWNER)
        if trust.privileges is not None:
            self.interceptors.put(trust.privileges, OWNER)
            self.events.put(On(RosterChanged, trust.privileges.roster_changed), OWNER)
            self.events.put(On(ContactChanged, trust.privileges.contact_changed), OWNER)
            self.events.put(On(SessionAvailable, trust.privileges.changed), OWNER)
            self.events.put(On(SessionUnavailable, trust.privileges.changed), OWNER)
            self.events.put(On(PrivacySwitched, trust.privileges.changed), OWNER)
        self.components = Components(
            trust,
            self.packet_router,
            self.disco,
            self.events,
            AttemptLimiter(
                self.store.accounts,
                config.auth,
                clocks=self.clocks,
                sleep=self._sleep,
                locks_out=False,
            ),
            ComponentConnections(config.stream, self.clock, self.descriptors),
        )
        self.service_domains = ServiceDomains(self.iq_router, self.packet_router, self.clock)

    def _let_sessions_sleep(self) -> None:
        """Who ends with its wire, and who does not."""
        self.session_end = SessionEnd(self.packet_router, self.session_manager)
        self.resumable_sessions = ResumableSessions(
            self.config.stream_management,
            self.session_manager,
            self.clocks,
            self.session_end.close,
        )
        self.held_messages = HeldMessages(
            self.store.sessions,
            self.store.offline,
            self.session_manager,
            self.resumable_sessions,
            self.clocks,
            self.packet_router,
        )
        for follower in (self.offline_message_strategy, self.held_messages):
            self.followers.put(follower, OWNER)
        self.packet_router.on_taken_back = self.held_messages.find_places
        self.events.put(On(SessionClosed, self.held_messages.closed), OWNER)
        self.events.put(On(SessionClosed, self.resumable_sessions.closed), OWNER)
        self.events.put(On(SessionClosed, self.offline_message_flood.closed), OWNER)
        self.events.put(On(SessionResumed, self.offline_message_flood.resumed), OWNER)
        self.resumption = Resumption(
            self.resumable_sessions,
            self.held_messages,
            self.offline_message_flood,
            self.events,
            self._sleep,
        )
        self.saved_sessions = SavedSessions(
            self.store.sessions,
            self.session_manager,
            self.resumable_sessions,
            self.clocks,
            self._read_account,
            self.offline_message_flood.given,
        )
        for state in (
            privacy_state(self.privacy_lists),
            directed_state(self.presence_manager.directed),
            seen_state(self.presence_manager.remote),
        ):
            self.saved_sessions.put(state, OWNER)

    async def _read_account(self, account: JID) -> None:
        """Have in memory what is there of everybody who is online."""
        await self.roster_manager.roster(account)
        await self.privacy_lists.lists(account)

    def _core_features(self, secret: bytes) -> list[StreamFeature]:
        """What RFC 6120 and RFC 6121 have a stream offer."""
        self.authentication = Authentication(
            self.auth_provider,
            self.attempts,
            self.config.auth,
            tls_required=self.config.tls.required,
            exchange_of=exchange_of,
        )
        self.inline_features = InlineFeatures()
        self.bind2 = Bind2(self.binding, self.inline_features, secret)
        self.tokens = Tokens(
            self.store.devices, self.config.tokens, secret=secret, now=self.wall_clock
        )
        self.devices = Devices(self.tokens, self.session_manager)
        fast = FAST(self.tokens, self.authentication, self.auth_provider)
        self.inline_features.put(fast.feature(), OWNER)
        upgrades = ScramUpgrades(
            self.store.accounts, self.config.auth.mechanisms, self.config.auth.scram_iterations
        )
        features = [
            SASL(self.authentication).feature(),
            SASL2(self.authentication, self.inline_features, self.bind2, fast, upgrades).feature(),
            after_login(f"<bind xmlns='{ns.BIND}'/>", unless=Stream.BOUND),
            after_login(
                f"<session xmlns='{ns.SESSION}'><optional/></session>", unless=Stream.BOUND
            ),
            after_login(f"<ver xmlns='{ns.ROSTER_VERSIONING}'/>"),
            after_login(f"<sub xmlns='{ns.PRE_APPROVAL}'/>"),
        ]
        if self.config.stream_management.enabled:
            features.append(self.resumption.feature())
            for feature in self.resumption.inline_features():
                self.inline_features.put(feature, OWNER)
        if self.tls is not None:
            features.insert(0, starttls_feature(required=self.config.tls.required))
        return features

    def _open_to_servers(
        self, secret: bytes, certificates: Certificates, make_connector: MakeConnector
    ) -> None:
        """The way to other servers, and theirs to us."""
        config = self.config
        streams = config.s2s.over(config.stream)
        history = History(
            Attempts(self.clock, self.wall_clock), Attempts(self.clock, self.wall_clock)
        )
        self.outgoing_tls = OutgoingTLS(config.tls, self.tls)
        self.trust = Trust(certificates.authorities, self.wall_clock)
        self.foreign_routes = ForeignRoutes(
            config.s2s,
            self.packet_router,
            self.events,
            history,
            Proofs(self.trust, DialbackKeys(hmac_digest(secret, b"dialback", "sha256"))),
            partial(
                OutgoingConnections,
                connector=make_connector(history.attempts, Directions.of(config.s2s)),
                tls=self.outgoing_tls,
                settings=streams,
                clock=self.clock,
                descriptors=self.descriptors,
            ),
        )
        if config.s2s.enabled:
            self.routing_table.foreign = self.foreign_routes
            self.routing_table.foreign_error = self.foreign_routes.unreached
        self.server_connections = Connections(
            streams,
            self.clock,
            self.descriptors,
            lambda: Hub.late_s(self.clock),
        )
        self._go_by_settings()

    def listener(self, listen: ListenSettings) -> Listener:
        """The factory for those who come in by one endpoint."""
        streams: dict[Kind, tuple[Callable[[Wire], StreamHandler], Connections]] = {
            "client": (partial(StanzaHandler, self.stream_context), self.client_connections),
            "component": (self.components.stream, self.components.connections),
            "server": (
                partial(incoming_stream, self.foreign_routes.context, self.server_connections),
                self.server_connections,
            ),
        }
        make_stream, connections = streams[listen.kind]
        listener = Listener(
            make_stream,
            connections,
            stream_settings(listen.kind, self.config),
            self._binding(listen),
            self.clock,
            passes_on=listen.kind != "client",
        )
        self.listeners.append((listen.kind, listener))
        return listener

    def _binding(self, listen: ListenSettings) -> TransportBinding:
        """How streams are bound to the connections there."""
        if self.tls is None or listen.tls == "none":
            return TransportBinding(None)
        kind: Literal["client", "server"] = "server" if listen.kind == "server" else "client"
        direct_tls = listen.tls == "direct"
        return TransportBinding(
            self.tls.context_factory(kind, direct_tls=direct_tls), direct_tls=direct_tls
        )

    def reload(self, config: Config, certificates: Certificates = NO_CERTIFICATES) -> None:
        """Go by another configuration, as far as that is possible in flight.

        Limits of a connection hold for those that are made from now on.

        Args:
            config: Differs from the one before only in what applies at once.
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
        """Read what must be known before the first client comes in."""
        await self.shared_groups.load()
        await self._look_for_admins()
        self.foreign_routes.start()
        await self._take_up_sessions()
        self.client_connections.start()
        self.server_connections.start()
        self.components.start()

    async def _look_for_admins(self) -> None:
        """An administrator without an account may be a mistake in writing."""
        for admin in self.admins:
            if admin.domain in self.domains and not await self.store.accounts.exists(admin.bare):
                _log.warn("admins names {admin}, who has no account", admin=admin.bare)

    async def _take_up_sessions(self) -> None:
        """Sessions of an orderly stop are restored; of others, messages wait (RS-9, RS-10)."""
        await self.held_messages.recover()
        lost = await self.saved_sessions.load()
        await self.held_messages.take_up(self.resumable_sessions.resumable(), lost)
        for each in lost:
            requests = [waiting for _, waiting in each.unread if isinstance(waiting[0], IQ)]
            self.packet_router.take_back(requests, each.jid)
        await self.packet_router.finish()
        for session in tuple(self.session_manager.sessions.values()):
            self.presence_manager.look_elsewhere_again(session)

    async def stop(self) -> None:
        """Close all streams, each told why, keep what is to be kept, and let go of the store.

        Nothing is waited for beyond its :class:`StopLimits`, whatever peers and the database do;
        what is lost by that is logged.
        """
        error = StreamError(StreamCondition.SYSTEM_SHUTDOWN)
        began = self.clock.seconds()
        not_stored = self.packet_router.not_stored
        self.foreign_routes.give_back()
        try:
            await self._until(StopLimits.CLIENTS, began, self.client_connections.close(error))
            await self._until(StopLimits.STANZAS, began, self._finish_stanzas())
            await self._until(StopLimits.PEERS, began, self._close_peers(error))
            await self._until(StopLimits.SESSIONS, began, self.saved_sessions.save())
            self.requests.stop()
        finally:
            await self._until(StopLimits.STORE, began, self.store.close())
            self._say_what_is_lost(not_stored)

    async def _finish_stanzas(self) -> None:
        """Wait for what clients had sent, until what they had not read has found its place, and
        until what their senders asked about is safe.
        """
        await self.resumable_sessions.at_rest()
        await self.broadcasts.finish()
        await self.packet_router.finish()
        await self.held_messages.at_rest()

    async def _close_peers(self, error: StreamError) -> None:
        """At the same time: a component that does not hang up keeps no server waiting."""
        components = self.components.connections.close(error)
        called = Deferred.fromCoroutine(self.foreign_routes.close(error))
        callers = self.server_connections.close(error)
        for closed in (components, called, callers):
            await closed

    async def _until(self, limit: StopLimits, began: float, work: Awaitable[None]) -> None:
        """Wait for something, but not for ever: then it is left to itself."""

        async def do() -> None:
            await work

        over = Deferred[None]()
        left_s = max(0.0, began + limit.seconds - self.clock.seconds())
        timer = self.clock.callLater(left_s, over.callback, None)
        doing = Deferred.fromCoroutine(do())
        try:
            await DeferredList(
                (doing, over), fireOnOneCallback=True, fireOnOneErrback=True, consumeErrors=True
            )
        except FirstError as error:
            error.subFailure.raiseException()
        finally:
            if timer.active():
                timer.cancel()
        if not doing.called:
            _log.warn(
                "{what} was not over {s:.0f} s after the stop began, and is not waited for",
                what=limit.what, s=limit.seconds,
            )  # fmt: skip

    def _say_what_is_lost(self, not_stored_before: int) -> None:
        router = self.packet_router
        count = router.not_stored - not_stored_before + router.homeless
        if count:
            _log.error(
                "{count} stanzas that nobody has got are not stored, since the database failed or "
                "was too slow; their senders were told as far as they could be reached",
                count=count,
            )

    def _forget_account(self, removed: AccountRemoved) -> None:
        self.presence_manager.last_presences.forget(removed.account.bare)
        self.privacy_lists.forget(removed.account.bare)

    def _sleep(self, seconds: float) -> Deferred[None]:
        return deferLater(self.clock, seconds, lambda: None)


def stream_settings(kind: Kind, config: Config) -> StreamSettings:
    """What one connection of a kind may take."""
    if kind == "client":
        return config.stream
    return (config.s2s if kind == "server" else config.component_stream).over(config.stream)
