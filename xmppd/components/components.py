"""The components that may connect, as configured: their routes, their streams and their names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLContextFactory, IReactorTime
from twisted.logger import Logger

from xmppd.auth.attempts import AttemptLimiter
from xmppd.components.component_listener import ComponentConnections, ComponentListener
from xmppd.components.component_route import ComponentRoute
from xmppd.components.component_session import ComponentSession
from xmppd.components.component_stream import ComponentContext, ConnectableComponent
from xmppd.components.delegation import NS as DELEGATION
from xmppd.components.delegation import Delegated, Delegations
from xmppd.components.privileges import NS as PRIVILEGE
from xmppd.components.privileges import Privilege, Privileges, Voice
from xmppd.config.config import Component
from xmppd.events import Events
from xmppd.handler.presence_update_handler import SessionAvailable, SessionUnavailable
from xmppd.host.machine import Descriptors
from xmppd.host.turns import Turns
from xmppd.net.connection_handler import WireLimits
from xmppd.net.listeners import AdmissionLimits
from xmppd.parts import DiscoFeature, DiscoItem, Parts
from xmppd.presence.privacy_changes import PrivacySwitched
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.roster.roster_manager import ContactChanged, RosterChanged
from xmppd.router.iq_router import IQRouter
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.stanza import JID, Message
from xmppd.store.base import AccountStore, Store

_OTHERS = 0o077
_log = Logger()


@dataclass(frozen=True, slots=True)
class ComponentConnected:
    """A component has one more connection.

    Attributes:
        session: What delivers to it.
        first: Whether it had none before.
    """

    session: ComponentSession
    first: bool


@dataclass(frozen=True, slots=True)
class ComponentDisconnected:
    """A component has one connection less.

    Attributes:
        session: What delivered to it.
        last: Whether it has no other.
    """

    session: ComponentSession
    last: bool


class Trusting(Protocol):
    """The server, as far as trusted components reach into it."""

    interceptors: InterceptorManager
    routing_table: RoutingTable
    requests: Requests
    iq_router: IQRouter
    store: Store
    privacy_lists: PrivacyListManager
    turns: Turns


class Components:
    """Who may connect as a component, and who has.

    Args:
        components: As configured.
        domain: The server's own, for what it says in its own name.
        attempts: Slows down whoever guesses; counts apart from those of clients.
        limits: How many connections there may be, and how long they may be silent.

    Attributes:
        routes: By domain.
        connections: All connections.
        delegated: What components answer for in the server's place, by namespace.
        granted: What components are trusted with, by domain.
    """

    def __init__(
        self,
        components: tuple[Component, ...],
        domain: JID,
        routing_table: RoutingTable,
        router: PacketRouter,
        accounts: AccountStore,
        privacy_lists: PrivacyListManager,
        parts: Parts,
        events: Events,
        attempts: AttemptLimiter,
        clock: IReactorTime,
        descriptors: Descriptors,
        limits: AdmissionLimits,
    ) -> None:
        self.domains = routing_table.domains
        self.parts = parts
        self.attempts = attempts
        self.events = events
        self.clock = clock
        self.connections = ComponentConnections(limits, clock, descriptors)
        self.routes: dict[str, ComponentRoute] = {}
        self._listeners: list[ComponentListener] = []
        self._items: dict[str, DiscoItem] = {}
        self.delegated: dict[str, Delegated] = {}
        self.granted: dict[str, Privilege] = {}
        self._privileges: Privileges | None = None
        connectable: dict[str, ConnectableComponent] = {}
        for component in components:
            jid = JID.parse(component.name)
            route = ComponentRoute(jid, component.max_connections, routing_table, router)
            self.routes[component.name] = route
            self._items[component.name] = DiscoItem(jid, component.title)
            for text in component.delegate:
                delegated = Delegated.parse(jid, text)
                self.delegated[delegated.namespace] = delegated
            privilege = Privilege(jid, component.roster, component.message, component.presence)
            if privilege.announcement():
                self.granted[component.name] = privilege
            voice = Voice(privilege, routing_table, accounts, privacy_lists)
            connectable[component.name] = ConnectableComponent(route, component.secret, voice)
            warn_of_open_file(component.secret_file)
        self._context = ComponentContext(
            domain, connectable, router, attempts, self._connected, self._disconnected
        )

    def trust(self, server: Trusting) -> None:
        """Let components do what they are trusted with; without any, nobody pays for it."""
        if self.delegated:
            server.interceptors.add(
                Delegations(
                    self.delegated,
                    self._context.domain,
                    server.routing_table,
                    server.requests,
                    server.store,
                    server.privacy_lists,
                )
            )
            self.parts.features.append(DiscoFeature(DELEGATION))
        if self.granted:
            privileges = Privileges(
                self.granted,
                server.routing_table,
                server.iq_router,
                server.store,
                server.privacy_lists,
                server.turns.next,
            )
            server.interceptors.add(privileges)
            self.events.on(RosterChanged, privileges.roster_changed)
            self.events.on(ContactChanged, privileges.contact_changed)
            self.events.on(SessionAvailable, privileges.changed)
            self.events.on(SessionUnavailable, privileges.changed)
            self.events.on(PrivacySwitched, privileges.changed)
            self._privileges = privileges

    def _announce(self, session: ComponentSession) -> None:
        """Tell a component what it is trusted with."""
        delegated = "".join(
            each.announcement() for each in self.delegated.values() if each.component == session.jid
        )
        privilege = self.granted.get(session.jid.domain)
        told = {DELEGATION: ("delegation", delegated)}
        if privilege is not None:
            told[PRIVILEGE] = ("privilege", privilege.announcement())
        for namespace, (name, inner) in told.items():
            if inner:
                child = f"<{name} xmlns='{namespace}'>{inner}</{name}>".encode()
                message = Message.make(session.jid, self._context.domain, child)
                session.deliver(message, message.wire())
        if privilege is not None and self._privileges is not None:
            Deferred.fromCoroutine(self._privileges.greet(privilege, session))

    def listener(self, limits: WireLimits, tls: IOpenSSLContextFactory | None) -> ComponentListener:
        """The factory for a door.

        Args:
            limits: What one connection may take.
            tls: Contexts for TLS from the first byte; None for none.
        """
        listener = ComponentListener(self._context, self.connections, limits, self.clock, tls=tls)
        self._listeners.append(listener)
        return listener

    def start(self) -> None:
        """Look after the connections from now on, if there can be any."""
        if self.routes:
            self.connections.start()

    def use(self, limits: WireLimits, admission_limits: AdmissionLimits) -> None:
        """Go by other limits; those of a connection hold for the ones made from now on."""
        self.connections.limits = admission_limits
        for listener in self._listeners:
            listener.limits = limits

    def _connected(self, session: ComponentSession) -> None:
        self.connections.authenticated(session.connection)
        domain = session.jid.domain
        count = len(self.routes[domain].sessions)
        if count == 1:
            self.parts.items.append(self._items[domain])
        _log.info("{domain} has connected ({count})", domain=domain, count=count)
        self._announce(session)
        self.events.fire(ComponentConnected(session, count == 1))

    def _disconnected(self, session: ComponentSession) -> None:
        domain = session.jid.domain
        count = len(self.routes[domain].sessions)
        if count == 0:
            self.parts.items.remove(self._items[domain])
        _log.info("{domain} has hung up ({count} left)", domain=domain, count=count)
        self.events.fire(ComponentDisconnected(session, count == 0))
        privilege = self.granted.get(domain)
        if count == 0 and privilege is not None and self._privileges is not None:
            self._privileges.left(privilege)
        if count == 0:
            for ours in self.domains:
                self.events.fire(RemoteServerLost(ours, domain))


def warn_of_open_file(secret_file: str) -> None:
    """Tell the administrator of a secret that others on this machine may read."""
    if secret_file and Path(secret_file).stat().st_mode & _OTHERS:
        _log.warn("{path} may be read by others; chmod 600 it", path=secret_file)
