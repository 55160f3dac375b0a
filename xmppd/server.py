"""XMPPServer: every stage, wired once, from the last to the first; a line uses those above it."""

import sys
from dataclasses import replace
from typing import Protocol

from msgspec import structs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.base import AuthProvider, Exchange, RunInThread
from xmppd.auth.provider import Passwords, SQLAuthProvider
from xmppd.components.component_listener import ComponentListener
from xmppd.components.components import Components
from xmppd.config import Auth, Config, Listen
from xmppd.events import Events
from xmppd.handler.accounts import AccountRemoved, Accounts
from xmppd.handler.iq_bind_handler import IQBindHandler, IQSessionHandler
from xmppd.handler.iq_roster_handler import IQRosterHandler
from xmppd.handler.offline_message_flood import OfflineMessageFlood
from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.handler.presence_update_handler import PresenceUpdateHandler, SessionAvailable
from xmppd.net.admission import Admission, StoreWatch
from xmppd.net.connection_handler import ConnectionHandler, WireLimits
from xmppd.net.doors import tls_settings
from xmppd.net.epoll_hub import Hub
from xmppd.net.listeners import ClientListener, Crowd, DoorLimits
from xmppd.net.sasl import SASL
from xmppd.net.stanza_handler import StreamContext
from xmppd.net.starttls import starttls_feature
from xmppd.net.stream_feature import Negotiation, Stream, StreamFeature, StreamFeatures
from xmppd.net.stream_parser import Limits
from xmppd.net.tls import TLS
from xmppd.parts import Parts, Statistic
from xmppd.presence.fan_out import FanOut
from xmppd.presence.presence_manager import PresenceManager
from xmppd.presence.privacy_changes import PrivacyChanges
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.privacy.reports import Reports
from xmppd.roster.broadcasts import Broadcasts
from xmppd.roster.roster_manager import ContactChanged, RosterManager
from xmppd.roster.shared_groups import SharedGroups
from xmppd.router.iq_router import IQRouter
from xmppd.router.message_router import MessageRouter
from xmppd.router.offline_message_strategy import OfflineMessageStrategy
from xmppd.router.packet_router import PacketRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.session.session_manager import SessionBound, SessionManager
from xmppd.stanza import JID, StreamCondition, StreamError, ns
from xmppd.store.base import Store


class Surroundings(Protocol):
    """What a server takes from outside, so that tests may bring their own."""

    @property
    def clock(self) -> IReactorTime:
        """The reactor's time."""

    @property
    def secret(self) -> bytes:
        """This installation's own; the same after a restart."""

    def wall_clock(self) -> float:
        """Seconds since 1970."""

    @property
    def run_in_thread(self) -> RunInThread:
        """Runs a slow function beside the reactor."""


class XMPPServer:
    """The whole house: its attributes are the stages, and what a plugin may use.

    Args:
        config: As read from the file.
        store: Open, or about to be.
        around: The clock, threads and secrets.
        tls: Certificates; None if there are none.
    """

    def __init__(self, config: Config, store: Store, around: Surroundings, tls: TLS | None) -> None:
        self.config = config
        self.store = store
        self.tls = tls
        self.clock = around.clock
        self.wall_clock = around.wall_clock
        self.started_at = around.wall_clock()
        self.domains = tuple(domain.name for domain in config.domain)
        self.admins = tuple(JID.parse(admin) for admin in config.admins)

        self.parts = Parts()
        self.events = Events()
        self.interceptors = InterceptorManager()
        self.routing_table = RoutingTable(self.domains)
        self.requests = Requests(self.routing_table, self.clock)
        self.session_manager = SessionManager(
            self.routing_table,
            self.interceptors,
            self.events,
            self.wall_clock,
            max_per_account=config.sessions.max_per_account,
            conflict=config.sessions.conflict,
        )
        self.shared_groups = SharedGroups(store, self.routing_table)
        self.broadcasts = Broadcasts(lambda: self._sleep(0))
        self.roster_manager = RosterManager(
            store, self.routing_table, self.shared_groups, self.broadcasts, self.events
        )
        self.privacy_lists = PrivacyListManager(
            store, self.roster_manager, self.routing_table, config.items, self.events
        )
        self.presence_manager = PresenceManager(
            self.routing_table,
            self.roster_manager,
            store,
            store,
            self.privacy_lists,
            self.wall_clock,
        )
        self.reports = Reports(store)
        self.privacy_changes = PrivacyChanges(
            self.privacy_lists, self.roster_manager, self.presence_manager, self.routing_table
        )
        self.events.on(ContactChanged, self.privacy_changes.contact_changed)
        self.shared_group_changes = SharedGroupChanges(
            self.shared_groups,
            self.roster_manager,
            self.presence_manager,
            self.routing_table,
            self.clock,
        )
        self.fan_out = FanOut(self.clock)
        self.offline_message_flood = OfflineMessageFlood(
            store, self.requests, answer_timeout_s=config.stream.ping_timeout_s
        )
        self.presence_update_handler = PresenceUpdateHandler(
            self.session_manager,
            self.routing_table,
            self.roster_manager,
            self.presence_manager,
            self.offline_message_flood,
            self.fan_out,
            self.events,
            suppress_repeated=config.presence.suppress_repeated,
        )
        self.presence_subscribe_handler = PresenceSubscribeHandler(
            self.routing_table,
            self.roster_manager,
            self.presence_manager,
            store,
            self.events,
            max_items=config.roster.max_items,
        )
        self.offline_message_strategy = OfflineMessageStrategy(
            self.routing_table,
            store,
            store,
            self.offline_message_flood,
            self.privacy_lists,
            self.wall_clock,
            max_messages=config.offline.max_messages,
            max_bytes=config.offline.max_bytes,
        )
        self.message_router = MessageRouter(
            self.routing_table, self.offline_message_strategy, self.admins
        )
        self.presence_router = PresenceRouter(
            self.presence_update_handler,
            self.presence_subscribe_handler,
            self.presence_manager,
            self.roster_manager,
            self.routing_table,
        )
        self.iq_router = IQRouter(self.routing_table, self.requests, store, self.privacy_lists)
        self.iq_router.add(
            IQBindHandler(self.session_manager, self.roster_manager, self.privacy_lists)
        )
        self.iq_router.add(IQSessionHandler())
        self.iq_router.add(
            IQRosterHandler(
                self.roster_manager,
                self.session_manager,
                self.presence_subscribe_handler,
                max_items=config.roster.max_items,
                max_groups_per_item=config.roster.max_groups_per_item,
            )
        )
        self.packet_router = PacketRouter(
            self.message_router,
            self.presence_router,
            self.iq_router,
            self.routing_table,
            self.interceptors,
        )

        self.auth_provider: AuthProvider = SQLAuthProvider(
            store,
            secret=around.secret,
            iterations=config.auth.scram_iterations,
            run_in_thread=around.run_in_thread,
            now=self.wall_clock,
        )
        self.passwords = Passwords(
            store, iterations=config.auth.scram_iterations, run_in_thread=around.run_in_thread
        )
        self.accounts = Accounts(
            store,
            self.passwords,
            self.session_manager,
            self.roster_manager,
            self.shared_group_changes,
            self.presence_update_handler,
            self.presence_subscribe_handler,
            self.events,
        )
        self.events.on(AccountRemoved, self._forget_account)
        self.attempts = AttemptLimiter(store, config.auth, now=self.wall_clock, sleep=self._sleep)
        self.stream_features = StreamFeatures()
        for feature in self._core_features():
            self.stream_features.add(feature)
        self.stream_context = StreamContext(
            self.domains, self.stream_features, self.packet_router, self.session_manager
        )
        store_watch = StoreWatch(self.clock, lambda: store.exists(""))
        self.crowd = Crowd(
            door_limits(config), self.clock, store_watch.late_s, lambda: Hub.late_s(self.clock)
        )
        self.events.on(SessionBound, self.crowd.bound)
        self.events.on(SessionAvailable, self.crowd.arrived)
        for statistic in login_statistics(self.crowd.admission):
            self.parts.statistics[statistic.name] = statistic
        self.client_listeners: list[ClientListener] = []
        self.components = Components(
            config.component,
            JID.parse(self.domains[0]),
            self.routing_table,
            self.packet_router,
            self.parts,
            self.events,
            AttemptLimiter(
                store, never_locked(config.auth), now=self.wall_clock, sleep=self._sleep
            ),
            self.clock,
            door_limits(config),
        )

    def _core_features(self) -> list[StreamFeature]:
        """What RFC 6120 and RFC 6121 have a stream offer."""
        self.sasl = SASL(
            self.auth_provider,
            self.attempts,
            self.config.auth.mechanisms,
            tls_required=self.config.tls.required,
            attempts_per_stream=self.config.auth.attempts_per_stream,
            exchange_of=exchange_of,
        )
        features = [
            self.sasl.feature(),
            after_login(f"<bind xmlns='{ns.BIND}'/>"),
            after_login(f"<session xmlns='{ns.SESSION}'><optional/></session>"),
            after_login(f"<ver xmlns='{ns.ROSTER_VERSIONING}'/>"),
            after_login(f"<sub xmlns='{ns.PRE_APPROVAL}'/>"),
        ]
        if self.tls is not None:
            features.insert(0, starttls_feature(required=self.config.tls.required))
        return features

    def listener(self, listen: Listen) -> ClientListener | ComponentListener:
        """The factory for a door, by whom it is for."""
        if listen.kind == "component":
            return self.component_listener(listen.tls)
        return self.client_listener(listen.tls)

    def component_listener(self, tls: str) -> ComponentListener:
        """The factory for a door of components.

        Args:
            tls: ``none`` or ``direct``.
        """
        contexts = None
        if self.tls is not None and tls != "none":
            contexts = self.tls.context_factory("client")
        return self.components.listener(component_wire_limits(self.config), contexts)

    def client_listener(self, tls: str) -> ClientListener:
        """The factory for a door.

        Args:
            tls: ``none``, ``starttls`` or ``direct``.
        """
        contexts = None
        if self.tls is not None and tls != "none":
            contexts = self.tls.context_factory("client")
        listener = ClientListener(
            self.stream_context,
            self.crowd,
            wire_limits(self.config),
            self.clock,
            tls=contexts,
            direct_tls=tls == "direct",
        )
        self.client_listeners.append(listener)
        return listener

    def reload(self, config: Config) -> None:
        """Go by another configuration, as far as that is possible in flight.

        Limits of a connection hold for those that are made from now on. What is asked for where it
        is needed, such as ``registration``, is there with ``self.config``.

        Args:
            config: Differs from the one before only in what applies at once.

        Raises:
            ValueError: A certificate cannot be used; then nothing has changed.
        """
        if self.tls is not None:
            self.tls.reload(tls_settings(config))
        self.config = config
        self.crowd.limits = door_limits(config)
        for listener in self.client_listeners:
            listener.limits = wire_limits(config)
        self.components.use(component_wire_limits(config), door_limits(config))
        self.presence_update_handler.suppress_repeated = config.presence.suppress_repeated
        self.offline_message_strategy.max_messages = config.offline.max_messages
        self.offline_message_strategy.max_bytes = config.offline.max_bytes
        self.offline_message_flood.answer_timeout_s = config.stream.ping_timeout_s
        self.attempts.use(config.auth)
        self.components.attempts.use(never_locked(config.auth))
        self.sasl.attempts_per_stream = config.auth.attempts_per_stream

    async def start(self) -> None:
        """Read what must be known before the first client comes in."""
        await self.shared_groups.load()
        self.components.trust(self)
        self.crowd.start()
        self.components.start()

    async def stop(self) -> None:
        """Close all streams, each told why, and wait until the last is gone; then the store."""
        await self.crowd.close(StreamError(StreamCondition.SYSTEM_SHUTDOWN))
        await self.components.crowd.close(StreamError(StreamCondition.SYSTEM_SHUTDOWN))
        self.requests.abandon()
        await self.broadcasts.finish()
        await self.packet_router.finish()
        await self.store.close()

    def _forget_account(self, removed: AccountRemoved) -> None:
        self.presence_manager.last_presences.forget(removed.account.bare)
        self.privacy_lists.forget(removed.account.bare)

    def _sleep(self, seconds: float) -> Deferred[None]:
        return deferLater(self.clock, seconds, lambda: None)


def login_statistics(admission: Admission[ConnectionHandler]) -> tuple[Statistic, ...]:
    """How logging in goes."""
    counts = admission.counts
    return (
        Statistic("logins_in_progress", lambda: admission.in_progress),
        Statistic("logins_at_once_max", lambda: int(admission.window.size)),
        Statistic("logins_waiting", lambda: admission.waiting),
        Statistic("logins_waiting_peak", lambda: counts.waiting_peak),
        Statistic("logins_begun", lambda: counts.let_in),
        Statistic("logins_refused", lambda: counts.refused),
        Statistic("late_ms", lambda: round(admission.late_s * 1000, 1)),
    )


def after_login(element: str) -> StreamFeature:
    """A feature that is no more than an announcement to whoever has logged in."""
    data = element.encode()
    return StreamFeature(lambda negotiation: data, needs=Stream.AUTHENTICATED)


def exchange_of(negotiation: Negotiation) -> Exchange:
    """What a SASL mechanism may know about a stream of ours."""
    wire = negotiation.session.connection
    if not isinstance(wire, ConnectionHandler):
        return Exchange(negotiation.domain, wire.address, wire.encrypted)
    return Exchange(
        negotiation.domain,
        wire.address,
        wire.encrypted,
        bindings=wire.channel_bindings(),
        certificate_addresses=wire.certificate_addresses(),
    )


def wire_limits(config: Config) -> WireLimits:
    """What one connection may take, as configured."""
    stream = config.stream
    return WireLimits(
        stranger=Limits(
            max_stanza_bytes=stream.max_preauth_stanza_bytes,
            max_depth=stream.max_depth,
            max_attributes=stream.max_attributes,
        ),
        friend=Limits(
            max_stanza_bytes=stream.max_stanza_bytes,
            max_depth=stream.max_depth,
            max_attributes=stream.max_attributes,
        ),
        stanzas_per_s=stream.stanzas_per_s,
        stanzas_burst=stream.stanzas_burst,
        bytes_per_s=stream.bytes_per_s,
        bytes_burst=stream.bytes_burst,
        close_timeout_s=stream.close_timeout_s,
        max_queued_bytes=stream.max_queued_bytes,
    )


def component_wire_limits(config: Config) -> WireLimits:
    """What one connection of a component may take, as configured."""
    stream = config.component_stream
    return replace(
        wire_limits(config),
        stanzas_per_s=stream.stanzas_per_s,
        stanzas_burst=stream.stanzas_per_s,
        bytes_per_s=stream.bytes_per_s,
        bytes_burst=stream.bytes_per_s,
    )


def never_locked(auth: Auth) -> Auth:
    """The same limits for those who have no account that could be locked."""
    return structs.replace(auth, failures_before_lockout=sys.maxsize)


def door_limits(config: Config) -> DoorLimits:
    """How many come in, as configured."""
    stream = config.stream
    return DoorLimits(
        negotiation_timeout_s=stream.negotiation_timeout_s,
        idle_timeout_s=stream.idle_timeout_s,
        ping_timeout_s=stream.ping_timeout_s,
        max_unauthenticated=stream.max_unauthenticated,
        max_streams_per_address=stream.max_streams_per_address,
    )
