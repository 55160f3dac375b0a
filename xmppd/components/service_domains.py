"""ServiceDomains: services inside the server, each under a domain of its own."""

from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.components.internal_component import InternalComponent
from xmppd.disco.disco import Says
from xmppd.disco.info import DiscoInfo, DiscoItem
from xmppd.events import OWNER, Events, Undo
from xmppd.router.iq_router import IQRouter
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.session.session import Route
from xmppd.stanza import JID, Stanza

_log = Logger()


@dataclass(frozen=True)
class Component:
    """A service under a domain of its own: gets every stanza for it, and is an item of the server.

    Attributes:
        domain: Its domain, such as ``conference.example.org``.
        route: Takes its stanzas.
        name: For people.
    """

    domain: str
    route: Route
    name: str = ""


class DomainTaken(ValueError):
    """An error: a component or a plugin has the domain; the text says what to do."""


class ServiceDomains:
    """The place of services: their routes, and their items in disco.

    Attributes:
        iq_router: Has the handlers that answer for services as for the server.
        packet_router: Where goes what services say.
        clock: The reactor's.
        events: Are told that a service is gone, so that nobody sees its entities any more.
    """

    def __init__(
        self,
        iq_router: IQRouter,
        packet_router: PacketRouter,
        clock: IReactorTime,
        events: Events,
    ) -> None:
        self.iq_router = iq_router
        self.packet_router = packet_router
        self.clock = clock
        self.events = events

    def put(self, part: Component | InternalComponent, owner: str) -> Undo:
        """Add a service for the stanzas of its domain.

        Raises:
            ValueError: It is no domain, or is in use.
        """
        if isinstance(part, Component):
            domain, close_route = part.domain, self._open(part, owner)

            def take_away() -> None:
                close_route()
                self._lost(domain)

            return take_away
        undo = [self._open(Component(part.jid.full, part, part.name), owner)]

        def close() -> None:
            for step in reversed(undo):
                step()

        def take_out() -> None:
            close()
            part.stop()
            part.stopped()
            self._lost(part.jid.domain)

        try:
            for says in part.said():
                undo.append(self.iq_router.disco.put(says, owner))  # noqa: PERF401  # for close
            part.started()
        except Exception:
            close()
            raise
        return take_out

    def _lost(self, domain: str) -> None:
        """Tell that nobody is there any more."""
        for ours in self.iq_router.routing_table.domains:
            self.events.fire(RemoteServerLost(ours, domain))

    def _open(self, part: Component, owner: str) -> Undo:
        routing_table = self.iq_router.routing_table
        domain, components = part.domain, routing_table.components
        address = JID.parse(domain)
        if address.full != address.domain or address.full != domain:
            raise ValueError(f"{domain} is not a domain, or should be written {address.domain}")
        if domain in routing_table.domains:
            raise ValueError(f"{domain} is a domain of accounts")
        if domain in components:
            raise DomainTaken(
                f"{domain} already exists as a component or as a service of another plugin; rename "
                "that component"
            )
        components[domain] = part.route if owner == OWNER else _HarmlessRoute(part.route, owner)
        item = DiscoItem(address, part.name)
        take_item = self.iq_router.disco.put(Says(DiscoInfo(items=(item,))), owner)

        def close() -> None:
            take_item()
            del components[domain]

        return close


class _HarmlessRoute:
    """The route of a plugin; if that fails, the stanza was not delivered."""

    def __init__(self, route: Route, owner: str) -> None:
        self._route = route
        self._owner = owner

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Deliver a stanza."""
        try:
            return self._route.deliver(stanza, wire)
        except Exception:
            _log.failure("{owner} failed on {stanza}", owner=self._owner, stanza=stanza)
            return False
