"""Addresses and the routes that lead there."""

from collections.abc import Callable, Collection, Iterable

from xmppd.cluster.bus import Bus
from xmppd.cluster.entries import Routed, Way
from xmppd.cluster.node import Location
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session import Route, Session
from xmppd.stanza import JID, Condition, Stanza, StanzaError


class UserRoutes:
    """The sessions of one account.

    Attributes:
        sessions: By resource, available or not.
        available: Those that sent presence; a tuple, made anew when it changes, so that a loop over
            it is never disturbed.
        available_here: Those of them that are connected here.
    """

    __slots__ = ("available", "available_here", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.available: tuple[Session, ...] = ()
        self.available_here: tuple[LocalClientSession, ...] = ()

    def refresh(self) -> None:
        """Find the sessions that are available now."""
        self.available = tuple(s for s in self.sessions.values() if s.presence is not None)
        self.available_here = tuple(s for s in self.available if isinstance(s, LocalClientSession))

    def here(self) -> tuple[LocalClientSession, ...]:
        """Those that are connected here, available or not."""
        return tuple(s for s in self.sessions.values() if isinstance(s, LocalClientSession))


class RoutingTable:
    """The routes of all addresses.

    Attributes:
        domains: Served here.
        domain: The first of them, which speaks for the server.
        users: Routes by bare JID, only of accounts with a session here.
        bound: Sessions that have a resource, by full JID.
        unbound: Streams that have none yet, by ``domain/stream-id``: only answers to their own
            requests are routed to them (SC-8).
        components: Routes of services, by their domain.
        away: Those domains of services that have no connection just now.
        elsewhere: By bare JID the other nodes with sessions of an account that somebody here has to
            do with, that of the oldest session first; empty on a single node.
        foreign: The route to all other domains; None if there is none.
        foreign_error: Gives the error with which it refused a stanza.
    """

    def __init__(self, domains: Collection[str], bus: Bus) -> None:
        self.bus = bus
        self.domains = frozenset(domains)
        self.domain = next(iter(domains), "")
        self.users: dict[str, UserRoutes] = {}
        self.bound: dict[str, Session] = {}
        self.unbound: dict[str, Session] = {}
        self.components: dict[str, Route] = {}
        self.away: set[str] = set()
        self.elsewhere: dict[str, tuple[Location, ...]] = {}
        self.foreign: Route | None = None
        self.foreign_error: Callable[[Stanza], StanzaError] = _no_server_found

    def is_local(self, jid: JID) -> bool:
        """Whether the domain is ours: whole names only, never a part (RT-9)."""
        return jid.domain in self.domains

    def add(self, session: Session) -> None:
        """Make a session reachable under its JID (RT-1); one without a resource, for answers
        only.
        """
        jid = session.jid
        if jid.local is None or jid.resource is None:
            self.unbound[jid.full] = session
            return
        self.bound[jid.full] = session
        self.users.setdefault(jid.bare, UserRoutes()).sessions[jid.resource] = session

    def remove(self, session: Session) -> bool:
        """Forget a session, by identity: never the one that took its place (RT-2).

        Returns:
            Whether it was here.
        """
        jid = session.jid
        if self.unbound.get(jid.full) is session:
            del self.unbound[jid.full]
            return True
        if self.bound.get(jid.full) is not session:
            return False
        del self.bound[jid.full]
        routes = self.users.get(jid.bare)
        if routes is not None and jid.resource is not None:
            del routes.sessions[jid.resource]
            routes.refresh()
            if not routes.here():
                self._forget(jid.bare)
        return True

    def _forget(self, bare: str) -> None:
        """Forget an account that has no session here any more, and its sessions on other nodes."""
        for session in self.users.pop(bare).sessions.values():
            del self.bound[session.jid.full]

    def refresh(self, session: Session) -> None:
        """Note that the session became available or unavailable."""
        routes = self.users.get(session.jid.bare)
        if routes is not None:
            routes.refresh()

    def available(self, bare: str) -> tuple[Session, ...]:
        """The available sessions of an account with a session here, on all nodes (RT-8)."""
        routes = self.users.get(bare)
        return () if routes is None else routes.available

    def available_here(self, bare: str) -> tuple[LocalClientSession, ...]:
        """Those of them that are connected here: what each node does for its own."""
        routes = self.users.get(bare)
        return () if routes is None else routes.available_here

    def sessions(self, bare: str) -> tuple[Session, ...]:
        """All sessions of an account with a session here, on all nodes, available or not."""
        routes = self.users.get(bare)
        return () if routes is None else tuple(routes.sessions.values())

    def sessions_here(self, bare: str) -> tuple[LocalClientSession, ...]:
        """Those of them that are connected here."""
        routes = self.users.get(bare)
        return () if routes is None else routes.here()

    def route(self, stanza: Stanza) -> bool:
        """Deliver a stanza to exactly its address: a session, a component, another domain. A bare
        JID of ours is not one of these; routers decide which sessions it means.

        Returns:
            Whether it arrived; if not, the router decides what that means (RT-15).
        """
        to = stanza.to
        if to is None:
            return False
        session = self.bound.get(to.full)
        if session is not None:
            return session.deliver(stanza, stanza.wire())
        if to.domain in self.domains:
            return to.bare in self.elsewhere and self._pass_on(stanza, to)
        route = self.way_to(to.domain)
        return route is not None and route.deliver(stanza, stanza.wire())

    def _pass_on(self, stanza: Stanza, to: JID) -> bool:
        """Send it to the node of the account's oldest session, which knows all of them. Where there
        is a session of the account here, all are known here.
        """
        if to.bare in self.users:
            return False
        self.bus.tell(self.elsewhere[to.bare][0].node, Routed.of(stanza, to, Way.ACCOUNT))
        return True

    def tell(self, stanza: Stanza, recipients: Iterable[JID]) -> list[JID]:
        """Deliver a stanza to many addresses, each as :meth:`route` does; it becomes bytes once,
        and each address costs one splice.

        Returns:
            Those at which it did not arrive.
        """
        head, tail = stanza.around_to()
        kind, payload = stanza.__class__, stanza.payload.without_to()
        unreached = []
        for to in recipients:
            route: Route | None = self.bound.get(to.full)
            if route is None and to.domain not in self.domains:
                route = self.way_to(to.domain)
            # Each has an address of its own: to that it is returned if it is never read.
            told = kind(to, stanza.sender, stanza.id, stanza.type, payload)
            if route is None or not route.deliver(told, head + to.wire + tail):
                unreached.append(to)
        return unreached

    def answer_unbound(self, answer: Stanza) -> None:
        """Deliver the server's answer to a stream without a resource that has asked, if one has."""
        asker = None if answer.to is None else self.unbound.get(answer.to.full)
        if asker is not None:
            asker.deliver(answer, answer.wire())

    def way_to(self, domain: str) -> Route | None:
        """The route to a domain that is not ours: of a component, or to other servers."""
        return self.components.get(domain, self.foreign)

    def unreached(self, stanza: Stanza) -> StanzaError:
        """The error for a sender whose stanza :meth:`route` could not deliver."""
        to = stanza.to
        if to is not None and to.domain in self.away:
            return StanzaError(Condition.REMOTE_SERVER_TIMEOUT, "the component is not connected")
        if to is None or to.domain in self.domains or to.domain in self.components:
            return StanzaError(Condition.SERVICE_UNAVAILABLE)
        return self.foreign_error(stanza)


def _no_server_found(stanza: Stanza) -> StanzaError:
    return StanzaError(Condition.REMOTE_SERVER_NOT_FOUND)
