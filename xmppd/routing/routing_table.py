"""Addresses and the routes that lead there."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import suppress

from mypy_extensions import mypyc_attr
from twisted.internet.interfaces import IReactorTime

from xmppd.cluster.bus import ask_all
from xmppd.cluster.cluster import Cluster
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.stanzas import Behind, DeliveredToMany, Having, Routed, Way, WhoHas
from xmppd.cluster.node import Location, NodeId
from xmppd.routing.copy_counts import CopyCounts
from xmppd.routing.hints import Hints
from xmppd.routing.interest import Interest, pieces
from xmppd.routing.origins import Origins
from xmppd.routing.siblings import Siblings
from xmppd.routing.ways import Ways
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.remote_session import RemoteSession, waits_for_room
from xmppd.session.session import Route, Session
from xmppd.stanza import JID, Condition, Later, Message, Stanza, StanzaError
from xmppd.stanza.copy_count import CopiesElsewhere

MAX_ELSEWHERE = 5_000
"""People elsewhere of whom it is noted what they cause; of more, their domains."""

MAX_PASSED_ON = 2
"""How often a stanza is passed on: whoever gets it then has to do with it."""

WHO_HAS_S = 2.0
"""The time in which other nodes say whether they have somebody."""

SETTLE_S = 5.0
"""The time in which other nodes have handled what was sent before a way has changed."""

SUBSCRIPTIONS = frozenset(("subscribe", "subscribed", "unsubscribe", "unsubscribed"))
"""Types of presence that change rosters; no other stanza has them."""

SILENT = "the other part of the service does not answer"


class UserRoutes:
    """The sessions of one account.

    Attributes:
        sessions: By resource, available or not.
        available: Those that sent presence; a tuple, made anew when it changes, so that a loop over
            it is never disturbed.
        available_here: Those of them that are connected here.
        serial: The highest of a session that has left.
    """

    __slots__ = ("available", "available_here", "serial", "sessions")

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}
        self.available: tuple[Session, ...] = ()
        self.available_here: tuple[LocalClientSession, ...] = ()
        self.serial = 0

    def refresh(self) -> None:
        """Find the sessions that are available now."""
        self.available = tuple(s for s in self.sessions.values() if s.presence is not None)
        self.available_here = tuple(s for s in self.available if isinstance(s, LocalClientSession))


@mypyc_attr(allow_interpreted_subclasses=True)
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
        interest: What this node and others have to do with each other's accounts.
        elsewhere: By bare JID the other nodes with sessions of an account that somebody here has to
            do with, that of the oldest session first; empty on a single node.
        hints: The same of accounts that somebody here has just written to.
        siblings: The sessions on other nodes of accounts that have one here.
        ways: By which nodes messages went lately.
        copy_counts: How many sessions have a message, if some of them are on other nodes.
        origins: Which sessions here have had a message that came by other nodes.
        stanzas: The number that it was to deliver.
        fan_out_elsewhere: What people elsewhere have caused since it was taken.
        foreign: The route to all other domains; None if there is none.
        foreign_error: Gives the error with which it refused a stanza.
    """

    def __init__(self, domains: Collection[str], cluster: Cluster, clock: IReactorTime) -> None:
        self.membership = cluster.membership
        self.bus, self.directory = cluster.bus, cluster.directory
        self.domains = frozenset(domains)
        self.domain = next(iter(domains), "")
        self.users: dict[str, UserRoutes] = {}
        self.bound: dict[str, Session] = {}
        self.unbound: dict[str, Session] = {}
        self.components: dict[str, Route] = {}
        self.away: set[str] = set()
        self.hints = Hints(clock.seconds)
        self.interest = Interest(cluster.bus, self.hints, left=Hints(clock.seconds))
        self.elsewhere = self.interest.elsewhere
        self.siblings = Siblings(self, cluster.bus)
        self.ways = Ways()
        self.copy_counts = CopyCounts()
        self.origins = Origins(cluster.membership.id)
        self.stanzas = 0
        self.fan_out_elsewhere: dict[str, int] = {}
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
            if isinstance(session, LocalClientSession):
                routes.serial = max(routes.serial, session.serial)
            if not self.sessions_here(jid.bare):
                self._forget(jid.bare, routes)
        return True

    def note_left(self, bare: str, serial: int) -> None:
        """Note that a session of an account that was entered then has left, or has never come:
        other nodes may have found it in the directory.
        """
        routes = self.users.get(bare)
        if routes is not None:
            routes.serial = max(routes.serial, serial)

    def _forget(self, bare: str, routes: UserRoutes) -> None:
        """Forget an account that has no session here any more, and its sessions on other nodes."""
        del self.users[bare]
        others = routes.sessions.values()
        for session in others:
            del self.bound[session.jid.full]
        if others:
            self.ways.went_from_here(bare, _nodes(others))
        self.interest.leave(bare, routes.serial)

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

    def is_here(self, bare: str) -> bool:
        """Whether an account has a session here, or is about to have one: then this node is told
        when another one has changed something of it (CL-44).
        """
        return bare in self.users or self.siblings.arriving[bare] > 0

    def sessions_here(self, bare: str) -> tuple[LocalClientSession, ...]:
        """Those of them that are connected here."""
        routes = self.users.get(bare)
        if routes is None:
            return ()
        return tuple(s for s in routes.sessions.values() if isinstance(s, LocalClientSession))

    def route(self, stanza: Stanza) -> bool:
        """Deliver a stanza to exactly its address: a session, a component, another domain. A bare
        JID of ours is not one of these; routers decide which sessions it means.

        Returns:
            Whether it arrived; if not, the router decides what that means (RT-15).
        """
        self.stanzas += 1
        to = stanza.to
        if to is None:
            return False
        session = self.bound.get(to.full)
        if session is not None:
            return session.deliver(stanza, stanza.wire())
        if to.domain in self.domains:
            return self.pass_on(stanza)
        route = self.way_to(to.domain)
        return route is not None and route.deliver(stanza, stanza.wire())

    def note_fan_out(self, sender: JID, more: int) -> None:
        """Note that what somebody has sent, here or elsewhere, became so many deliveries more than
        one. What the server itself sends is nobody's.
        """
        session = self.bound.get(sender.full)
        if isinstance(session, LocalClientSession):
            session.connection.counts.fan_out += more
            return
        is_local = sender.domain in self.domains
        if is_local and sender.resource is None:
            return
        caused = self.fan_out_elsewhere
        who = sender.full if is_local else sender.bare
        if len(caused) >= MAX_ELSEWHERE:
            who = sender.domain
        caused[who] = caused.get(who, 0) + more

    def take_fan_out(self) -> dict[str, int]:
        """What people elsewhere have caused since the last time: sessions of ours at other nodes,
        by full JID, others by bare JID; or by domain.
        """
        taken, self.fan_out_elsewhere = self.fan_out_elsewhere, {}
        return taken

    # -- accounts on other nodes ------------------------------------------------------------------

    def lead(self, bare: str) -> NodeId | None:
        """The other node that decides about stanzas for an account: that of its oldest session, as
        far as is known here. None if none is known, or a session of the account is here: then all
        of them are known here.
        """
        if bare in self.users:
            return None
        hinted = self.hints.get(bare) if bare in self.hints.nodes else ()
        for node, _ in hinted or self.elsewhere.get(bare, ()):
            if self.membership.is_in(node):
                return node
        return None

    def is_elsewhere_too(self, bare: str) -> bool:
        """Whether an account with a session here has some on other nodes."""
        return self.directory.shared and any(
            isinstance(session, RemoteSession) for session in self.sessions(bare)
        )

    def find_way(self, stanza: Stanza) -> Later:
        """Something to wait for, behind which there may be a way for a stanza that :meth:`route`
        could not deliver; None if waiting does not help.

        Its account's nodes are looked up in the directory (CL-11), or there is room again on
        the way to them (CL-84).

        Raises:
            StanzaError: The other nodes do not answer.
        """
        to = stanza.to
        if not self.directory.shared or to is None:
            return None
        if self._is_account_elsewhere(to) and self.lead(to.bare) is None:
            return self._look_up(to.bare)
        return self.find_room(stanza)

    def find_room(self, stanza: Stanza) -> Later:
        """Something to wait for if there is no room on the way to the node of its account.

        Raises:
            StanzaError: There was none for too long.
        """
        if stanza.to is None or not waits_for_room(stanza):
            return None
        bare = stanza.to.bare
        lead = self.lead(bare)
        nodes = _nodes(self.sessions(bare)) if lead is None else (lead,)
        full = next(filter(self.bus.is_full, nodes), None)
        return None if full is None else self.bus.room(full)

    def note_sender(self, sender: JID, node: NodeId) -> None:
        """Note the node that a stanza has come from, so that answers need no look-up (CL-13)."""
        bare = sender.bare
        if bare in self.elsewhere or sender.resource is None:
            return
        if self._is_account_elsewhere(sender) and not self.hints.get(bare):
            self.hints.note(bare, (Location(node, 0),))

    def seek_anew(self, stanza: Stanza, node: NodeId) -> Later:
        """Something to wait for if a node has passed on a stanza for an account that is not here,
        but known here to be there: then one of both is wrong, and the directory is right.
        """
        to = stanza.to
        if to is None or to.bare in self.users or self.lead(to.bare) != node:
            return None
        return self._look_up(to.bare)

    async def _look_up(self, bare: str) -> None:
        """Note the nodes of an account."""
        self.hints.note(bare, await self.nodes_of(bare))

    async def nodes_of(self, bare: str) -> tuple[Location, ...]:
        """The other nodes of an account, as the directory has them just now.

        Raises:
            StanzaError: It does not answer.
        """
        if self.membership.complete:
            with suppress(DirectoryAway):
                return (await self.directory.nodes_of((bare,))).get(bare, ())
        return await self._ask_who_has(bare)

    async def _ask_who_has(self, bare: str) -> tuple[Location, ...]:
        """Ask all nodes for an account, since the directory is away or not whole (CL-17)."""
        nodes = [node.id for node in self.membership.nodes.values()]
        answers = await ask_all(self.bus, nodes, WhoHas(bare), WHO_HAS_S)
        having = {
            node: answer.serials
            for node, answer in answers.items()
            if isinstance(answer, Having) and answer.serials
        }
        if not having and len(answers) < len(nodes):
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, SILENT)
        oldest_first = sorted(having, key=lambda node: min(having[node]))
        return tuple(Location(node, max(having[node])) for node in oldest_first)

    def nodes_about(self, bare: str) -> tuple[NodeId, ...]:
        """The other nodes that may have something that was sent to an account from here."""
        nodes = dict.fromkeys(self.ways.nodes(bare))
        if bare in self.users:
            nodes.update(dict.fromkeys(_nodes(self.users[bare].sessions.values())))
        lead = self.lead(bare)
        if lead is not None:
            nodes[lead] = None
        return tuple(node for node in nodes if self.membership.is_in(node))

    async def settle(self, bare: str, passed_on: int = 0, but: NodeId | None = None) -> bool:
        """Wait until other nodes have handled what was sent to an account from here (CL-16).

        Args:
            bare: The account.
            passed_on: How often that was asked already.
            but: A node that is not asked.

        Returns:
            Whether all of them have.
        """
        if passed_on > MAX_PASSED_ON:
            return True
        nodes = [node for node in self.nodes_about(bare) if node != but]
        within_s = SETTLE_S * (1 - passed_on / (MAX_PASSED_ON + 2))
        answers = await ask_all(self.bus, nodes, Behind(bare, passed_on), within_s)
        return len(answers) == len(nodes)

    def wait_for_way(self, bare: str) -> Later:
        """Something to wait for if what was sent to an account from here may be under way still, by
        another way than it would take now (CL-16).

        Raises:
            StanzaError: The other nodes do not say that they have handled it.
        """
        way, node = self.ways.taken.get(bare), self.lead(bare)
        return None if way is None or (node == way.by and node is not None) else self._settled(bare)

    async def _settled(self, bare: str) -> None:
        if not await self.settle(bare):
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, SILENT)

    def turn_way(self, bare: str, node: NodeId) -> None:
        """Have later messages for an account wait for those that are under way to a node which a
        session of it has left (CL-16).
        """
        self.ways.turn(bare, node)

    def give_back(self, message: Stanza) -> bool:
        """Send a message that a session here has not read to the node that decided about it, if
        that counts who else has it (CL-15).
        """
        copies, to = message.payload.copies, message.to
        if to is None or not isinstance(copies, CopiesElsewhere):
            return False
        message.payload.copies = None
        node = copies.node
        if not isinstance(node, NodeId) or not self.membership.is_in(node):
            return False
        self.bus.tell(node, Routed.of(message, to, Way.ACCOUNT, copies=copies.number))
        return True

    def tell_nodes_of(self, bare: str, entry: BusEntry) -> Later:
        """Say something to all other nodes of an account.

        Returns:
            Something to wait for if they have to be looked up; if the directory does not answer,
            all nodes are told (CL-145).
        """
        if not self.directory.shared:
            return None
        if not self.is_here(bare):
            return self._find_and_tell(bare, entry)
        for node in self.siblings.nodes.get(bare, ()):
            self.bus.tell(node, entry)
        return None

    async def _find_and_tell(self, bare: str, entry: BusEntry) -> None:
        for node in await self.nodes_to_tell(bare):
            self.bus.tell(node, entry)

    async def nodes_to_tell(self, bare: str) -> Collection[NodeId]:
        """The other nodes of an account, which may have left this one just now; all nodes if the
        directory does not answer (CL-145).
        """
        if not self.directory.shared:
            return ()
        if self.is_here(bare):
            return self.siblings.nodes.get(bare, ())
        try:
            found = await self.directory.nodes_of((bare,))
        except DirectoryAway:  # whoever has nobody of it knows that without
            return [node.id for node in self.membership.nodes.values()]
        return [location.node for location in found.get(bare, ())]

    def forget_node(self, node: NodeId) -> None:
        """Forget that accounts are on a node, since it is lost or has left."""
        self.hints.forget_node(node)
        self.interest.left.forget_node(node)
        self.ways.forget_node(node)
        for bare, nodes in tuple(self.elsewhere.items()):
            left = tuple(each for each in nodes if each.node != node)
            if not left:
                del self.elsewhere[bare]
            elif len(left) < len(nodes):
                self.elsewhere[bare] = left

    def _is_account_elsewhere(self, to: JID) -> bool:
        """Whether it is an address of an account of which no session is here."""
        return to.local is not None and to.domain in self.domains and to.bare not in self.users

    def pass_on(self, stanza: Stanza, *, ours: bool = False) -> bool:
        """Send a stanza to the node that decides about its account.

        Args:
            stanza: Addressed.
            ours: Whether it is the server's, in another's name.

        Returns:
            Whether there is such a node, and room on the way there.
        """
        to = stanza.to
        node = None if to is None else self.lead(to.bare)
        if to is None or node is None or stanza.payload.passed_on > MAX_PASSED_ON:
            return False
        if self.bus.is_full(node) and waits_for_room(stanza):
            return False
        if isinstance(stanza, Message):
            self.origins.give(stanza)
            self.ways.goes_by(to.bare, node)
        elif stanza.type in SUBSCRIPTIONS:
            self.ways.goes_by(to.bare, node)
        self.bus.tell(node, Routed.of(stanza, to, Way.ACCOUNT, ours=ours))
        return True

    def hand_over(self, error: Stanza, *, ours: bool = False) -> bool:
        """Send an error to the node of the session that it is for, whose followers know what it
        answers; returns whether that is another one.
        """
        to = error.to
        session = None if to is None else self.bound.get(to.full)
        if to is None or not isinstance(session, RemoteSession) or session.closed:
            return False
        self.bus.tell(session.location.node, Routed.of(error, to, Way.ACCOUNT, ours=ours))
        return True

    def may_pass_on(self, stanza: Stanza) -> bool:
        """Whether another node decides about it (CL-12)."""
        to = stanza.to
        return (
            to is not None
            and stanza.payload.passed_on <= MAX_PASSED_ON
            and self.lead(to.bare) is not None
        )

    # -- many addresses ---------------------------------------------------------------------------

    def tell(self, stanza: Stanza, recipients: Iterable[JID]) -> list[JID]:
        """Deliver a stanza to many addresses, each as :meth:`route` does; it becomes bytes once,
        and each address costs one splice.

        Returns:
            Those at which it did not arrive.
        """
        head, tail = stanza.around_to()
        kind, payload, bound = stanza.__class__, stanza.payload.without_to(), self.bound
        unreached = []
        for to in recipients:
            route: Route | None = bound.get(to.full)
            if route.__class__ is LocalClientSession and route.deliver_bytes(
                kind, head + to.wire + tail
            ):
                continue
            if route is None and to.domain not in self.domains:
                route = self.way_to(to.domain)
            # Each has an address of its own: to that it is returned if it is never read.
            told = kind(to, stanza.sender, stanza.id, stanza.type, payload)
            if route is None:
                arrived = to.domain in self.domains and self.pass_on(told)
            else:
                arrived = route.deliver(told, head + to.wire + tail)
            if not arrived:
                unreached.append(to)
        return unreached

    def tell_at(self, node: NodeId, stanza: Stanza, sessions: Iterable[JID]) -> None:
        """Deliver a stanza to many sessions of ours at another node, which gets it once and finds
        those that are not there any more.
        """
        for some in pieces(session.full for session in sessions):
            self.bus.tell(node, DeliveredToMany.of(stanza, some))

    def answer_unrouted(self, answer: Stanza) -> Later:
        """Deliver the server's answer that :meth:`route` could not deliver: to a stream without a
        resource, if one has asked, or to a node that has to be looked up.
        """
        asker = None if answer.to is None else self.unbound.get(answer.to.full)
        if asker is not None:
            asker.deliver(answer, answer.wire())
            return None
        return self.route_if_found(answer, ours=True)

    def route_if_found(self, answer: Stanza, *, ours: bool = False) -> Later:
        """Deliver an answer that :meth:`route` could not deliver, if its account is found."""
        finding = self.find_way(answer)
        return None if finding is None else self._route_behind(finding, answer, ours=ours)

    async def _route_behind(self, finding: Awaitable[None], answer: Stanza, *, ours: bool) -> None:
        try:
            await finding
        except StanzaError:
            return  # who has asked is on a node that does not answer
        if not self.pass_on(answer, ours=ours):
            self.route(answer)

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


def _nodes(sessions: Iterable[Session]) -> Iterator[NodeId]:
    """The other nodes that these sessions are on."""
    return (each.location.node for each in sessions if isinstance(each, RemoteSession))
