"""Introductions: sessions here are shown to people at other nodes, and see who is there."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime

from xmppd.cluster.bus import Unreachable, ask_all
from xmppd.cluster.directory import Directory, DirectoryAway
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.presence import Apart, Arrived, Here, SentPresence
from xmppd.cluster.entries.stanzas import Routed, Way
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import Location, NodeId
from xmppd.presence.sightings import Sightings
from xmppd.roster.roster import Roster
from xmppd.roster.roster_manager import RosterManager
from xmppd.routing.interest import pieces
from xmppd.routing.lately import Lately
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import REPLACED
from xmppd.stanza import JID, Later, Presence, StanzaError

HERE_S = 2.0
"""The time for which a newcomer waits for the presence of people at other nodes."""

LATE_S = 60.0
"""The time in which a node still gives an answer; one that comes late is shown as it comes."""

MIN_SWEPT = 10_000
"""People who may be known to be elsewhere before it is asked whether anybody has to do with them;
beyond that, twice as many as were kept before."""

ACCOUNTS_PER_SWEEP = 100
"""Some 2 ms of looking through their rosters."""

EVER = (1 << 63) - 1
"""A serial that is higher than any."""


class Introductions:
    """Asks the directory where the contacts of a newcomer are, and has the nodes there show the
    newcomer to them and them to the newcomer (CL-31).

    A session is in the directory, and its presence is known here, before it is asked where others
    are: of two who come at the same time at least one finds the other.

    Args:
        rosters: Of people here.
        directory: Knows where others are.
        membership: The nodes that are asked when the directory is away.
        clock: Tells when an answer is late.

    Attributes:
        sightings: What was shown to sessions here.
    """

    def __init__(
        self,
        rosters: RosterManager,
        directory: Directory,
        membership: Membership,
        clock: IReactorTime,
    ) -> None:
        self.rosters = rosters
        self.directory = directory
        self.membership = membership
        self.clock = clock
        self.routing_table = rosters.routing_table
        self.interest = self.routing_table.interest
        self.sightings = Sightings()
        self._lately = Lately[LocalClientSession](clock.seconds)
        self._kept, self._is_sweeping = 0, False

    def introduce(
        self, session: LocalClientSession, roster: Roster, contacts: Iterable[JID]
    ) -> Deferred[set[str]]:
        """Introduce a session that has become available.

        Args:
            session: The session.
            roster: Of its account.
            contacts: Those whose presence it wants to see now; other contacts know at their nodes
                where it is, since it sees what they send later.

        Returns:
            Gives the bare JIDs of those whose presence was sent to it, after :data:`HERE_S` at the
            latest.
        """
        wanted = {jid.bare for jid in contacts if self.routing_table.is_local(jid)}
        return Deferred.fromCoroutine(self._introduce(session, roster, wanted))

    async def _introduce(
        self, session: LocalClientSession, roster: Roster, wanted: set[str]
    ) -> set[str]:
        own = session.jid.bare
        contacts = [jid.bare for jid in roster.subscribed_to if self.routing_table.is_local(jid)]
        self._forget_former(session, roster)
        places = await self._places(session, (*roster.own_and_viewers(), *contacts))
        if session.presence is None:
            return set()
        self._lately.note(session)
        people, apart = roster.listeners(session.privacy)
        everybody = session.privacy is None and roster.shared_groups.shown_to_everybody(own)
        for node in self.membership.nodes.values() if everybody else ():
            places.setdefault(node.id, [own])
        return await self._meet(
            session, places, people, apart, (own, *contacts), everybody=everybody,
            wanted={own, *wanted},
        )  # fmt: skip

    def greet_anew(self, session: LocalClientSession) -> Later:
        """Introduce a session again that has another serial now: whoever took its place in the
        directory meanwhile was seen, and seen leaving (CL-25).
        """
        roster = self.rosters.loaded(session.jid.bare)
        if session.presence is None or roster is None:
            return None
        session.count += 1
        self.interest.tell(session, session.presence, *roster.listeners(session.privacy))
        return self._greet_anew(session, roster)

    async def _greet_anew(self, session: LocalClientSession, roster: Roster) -> None:
        await self.introduce(session, roster, roster.subscribed_to)

    def after_loss(self) -> None:
        """Introduce those again who have come lately, since the directory may have lost who was
        there, and nobody had noticed (CL-140).
        """
        for session in self._lately.all():
            roster = self.rosters.loaded(session.jid.bare)
            if session.presence is not None and roster is not None and not session.closed:
                Deferred.fromCoroutine(self._greet_anew(session, roster))  # it never fails

    def come_back(self, session: LocalClientSession) -> None:
        """Introduce a session again that has outlived a restart of this node."""
        greeting = self.greet_anew(session)
        if greeting is not None:
            Deferred.fromCoroutine(greeting)  # it never fails

    def _forget_former(self, session: LocalClientSession, roster: Roster) -> None:
        """Have those here who were shown a session that this one has replaced, on another node, not
        hear a goodbye of it: they see this one.
        """
        people, _ = roster.listeners(session.privacy)
        for bare in people:
            for viewer in self.routing_table.available_here(bare):
                viewer.seen.pop(session.jid.full, None)

    def is_replaced(self, sent: SentPresence) -> bool:
        """Whether a session at another node was replaced by one here, and has not heard of it, or
        has moved here. One here that it has replaced ends, and so says goodbye before.
        """
        holder = self.routing_table.bound.get(sent.session)
        if not isinstance(holder, LocalClientSession):
            return False
        if holder.serial < sent.serial:
            holder.connection.close(REPLACED)
        return holder.serial >= sent.serial

    def find_here(
        self,
        session: LocalClientSession,
        here: Iterable[SentPresence],
        viewers: Iterable[LocalClientSession],
    ) -> None:
        """Have a session that has moved here see those here as they are now; it saw them at another
        node (CL-103). Those here who may see it saw it there: or they have asked there, and are
        shown it now, since the answer is of no use any more.

        Args:
            session: It has the serial and the count that it had there.
            here: The presences of sessions here that it may see.
            viewers: The sessions here that may see it.
        """
        if session.presence is not None:
            moved = SentPresence.of(session.presence, session.serial, session.count)
            for viewer in viewers:
                self._show_one_of_ours(viewer, moved)
        for sent in here:
            self._show_one_of_ours(session, sent)

    def _show_one_of_ours(self, viewer: LocalClientSession, sent: SentPresence) -> None:
        """Show somebody who is here, unless the viewer saw that at another node; from now on the
        viewer is told of it as of any session here.
        """
        self._show(viewer, self.membership.id, sent)
        viewer.seen.pop(sent.session, None)

    async def find_elsewhere(self, session: LocalClientSession, directed: Sequence[JID]) -> None:
        """Have other nodes know that a session is here now, whom it saw at another node and who saw
        it there (CL-103). It is shown only what has changed meanwhile.

        Args:
            session: It has the serial and the count that it had there.
            directed: Those who have its directed presence.
        """
        roster = self.rosters.loaded(session.jid.bare)
        if roster is None:
            return
        before, own = dict(session.seen), session.jid.bare
        handed = {full.partition("/")[0] for full in self.sightings.handed_to(session.jid.full)}
        people, apart, contacts = list[str](), list[Apart](), set[str]()
        everybody = False
        if session.presence is not None:
            people, apart = roster.listeners(session.privacy)
            is_local = self.routing_table.is_local
            contacts = {own, *(jid.bare for jid in roster.subscribed_to if is_local(jid))}
            everybody = session.privacy is None and roster.shared_groups.shown_to_everybody(own)
        places = await self._places(session, (*roster.own_and_viewers(), *contacts, *handed))
        if session.closed:
            return  # and nobody knows of it
        for other in self.membership.nodes.values() if everybody or directed or handed else ():
            places.setdefault(other.id, []).append(own)
        see = {*contacts, *handed}
        addresses = [jid.full for jid in directed]
        answered, silent, heard = set[str](), set[NodeId](), {self.membership.id}
        asked = [
            (node, Deferred.fromCoroutine(self.routing_table.bus.ask(node, entry, LATE_S)))
            for node, entry in self._arrivals(
                session, places, people, apart, see, everybody=everybody, directed=addresses
            )
        ]
        for node, asking in asked:
            try:
                answer = await asking
            except Unreachable:
                silent.add(node)
                continue
            if isinstance(answer, Here):
                heard.add(node)
                answered.update(sent.session for sent in answer.sent)
                self._take(session, node, answer, set(), see)
        gone = [
            full
            for full, node, _ in self.sightings.seen_by(session)
            if session.seen[full] == before.get(full)
            and not (full in answered or node in silent)
            and full.partition("/")[0] in see
        ]
        for full in gone:
            if not await self._is_beyond(full, heard) and session.seen.get(full) == before[full]:
                self._show_as_gone(session, full)

    async def _is_beyond(self, full: str, heard: Collection[NodeId]) -> bool:
        """Whether a session is at none of these nodes, as far as the directory says, and may be at
        another one: it may have moved just now.
        """
        bare, _, resource = full.partition("/")
        try:
            place = (await self.directory.sessions_of(bare)).get(resource)
        except DirectoryAway:
            return True
        return place is not None and place.node not in heard

    def _show_as_gone(self, session: LocalClientSession, full: str) -> None:
        """Show a session as gone that has gone while this one was moved."""
        if session.seen.pop(full, None) is not None:
            gone = Presence.make(session.jid, JID.prepared(full), type="unavailable")
            session.deliver(gone, gone.wire(), ours=True)

    async def meet(
        self,
        session: LocalClientSession,
        *,
        tell: Collection[str] = (),
        apart: Collection[Apart] = (),
        see: Collection[str] = (),
    ) -> set[str]:
        """Introduce an available session to some people.

        Args:
            session: The session.
            tell: Bare JIDs of those to whom it is shown.
            apart: Those of whom not all resources may see it.
            see: Bare JIDs of those whose presence it wants to see.

        Returns:
            The bare JIDs of those whose presence was sent to it.
        """
        named = (each.account for each in apart)
        places = await self._places(session, (*tell, *named, *see))
        if session.presence is None:
            return set()
        return await self._meet(session, places, tell, apart, see)

    async def _meet(
        self,
        session: LocalClientSession,
        places: Mapping[NodeId, Collection[str]],
        tell: Collection[str],
        apart: Collection[Apart],
        see: Collection[str],
        *,
        everybody: bool = False,
        wanted: Collection[str] | None = None,
    ) -> set[str]:
        """Have the nodes of people know of a session, and show it those of them that are wanted."""
        shown: set[str] = set()
        asked = [
            Deferred.fromCoroutine(
                self._ask(session, node, entry, shown, see if wanted is None else wanted)
            )
            for node, entry in self._arrivals(
                session, places, tell, apart, see, everybody=everybody
            )
        ]
        await self._all_or_late(asked)
        return shown

    def _arrivals(
        self,
        session: LocalClientSession,
        places: Mapping[NodeId, Collection[str]],
        tell: Collection[str],
        apart: Collection[Apart],
        see: Collection[str],
        *,
        everybody: bool,
        directed: Sequence[str] = (),
    ) -> Iterator[tuple[NodeId, Arrived]]:
        """What these nodes are asked, who know of the session's account from now on."""
        presence, wanted = session.presence, dict.fromkeys(see)
        sent = None
        if presence is not None:
            sent = SentPresence.of(presence, session.serial, session.count)
        for node, there in places.items():
            self.interest.know(session.jid.bare, node)
            for some in map(set, pieces(there)):
                yield (
                    node,
                    Arrived(
                        session.jid.full,
                        session.serial,
                        sent,
                        [bare for bare in tell if bare in some],
                        [each for each in apart if each.account in some],
                        [bare for bare in wanted if bare in some],
                        everybody,
                        list(directed),
                    ),
                )

    async def _places(
        self, session: LocalClientSession, people: Collection[str]
    ) -> dict[NodeId, list[str]]:
        """The other nodes with sessions of these people, and of whom each has some; when the
        directory is away, or has not all sessions, they may be anywhere. None if the session leaves
        meanwhile.

        Also people who are here are looked for: what is known of their sessions on other nodes may
        be under way still.
        """
        wanted = tuple(dict.fromkeys(people))
        found: Mapping[str, tuple[Location, ...]] | None = None
        if self.membership.complete:
            with suppress(DirectoryAway):
                found = await self.directory.nodes_of(wanted)
        if found is None:
            return {node.id: list(wanted) for node in self.membership.nodes.values()}
        if session.presence is None:
            return {}
        places: dict[NodeId, list[str]] = {}
        for bare, locations in found.items():
            for location in locations:
                self.interest.note(bare, location)
                places.setdefault(location.node, []).append(bare)
        return places

    async def _ask(
        self,
        session: LocalClientSession,
        node: NodeId,
        entry: Arrived,
        shown: set[str],
        wanted: Collection[str],
    ) -> None:
        with suppress(Unreachable):
            here = await self.routing_table.bus.ask(node, entry, LATE_S)
            if isinstance(here, Here):
                self._take(session, node, here, shown, wanted)
                self._catch_up(session, node, entry, here)

    def _catch_up(
        self, session: LocalClientSession, node: NodeId, entry: Arrived, here: Here
    ) -> None:
        """Note who is there, and tell them what the session has sent since it was introduced: when
        that left, it was not known here that they are there (CL-144).
        """
        named = (each.account for each in entry.apart)
        there = dict.fromkeys((*entry.tell, *named, *here.watchers))
        for bare in here.absent:
            there.pop(bare, None)
        for bare in there:
            self.interest.note(bare, Location(node, 0))
        sent, presence = entry.sent, session.presence
        if sent is None or presence is None or session.count == sent.count or session.closed:
            return
        roster = self.rosters.loaded(session.jid.bare)
        if roster is not None:
            people, apart = roster.listeners(session.privacy)
            self.interest.tell(
                session,
                presence,
                [bare for bare in people if bare in there],
                [each for each in apart if each.account in there],
            )

    def _take(
        self,
        session: LocalClientSession,
        node: NodeId,
        here: Here,
        shown: set[str],
        wanted: Collection[str],
    ) -> None:
        """Show a session those that another node has shown it."""
        for sent in here.sent:
            self.interest.note(sent.account, Location(node, sent.serial))
            if session.presence is not None and sent.account in wanted:
                shown.add(sent.account)
                self.show(session, node, sent)
        for bare in here.absent:
            self.interest.unnote(bare, Location(node, EVER))

    def show(self, session: LocalClientSession, node: NodeId, sent: SentPresence) -> None:
        """Show an available session the presence of one at another node, if that is news."""
        if not self.is_replaced(sent):
            self._show(session, node, sent)

    def _show(self, session: LocalClientSession, node: NodeId, sent: SentPresence) -> None:
        presence = sent.stanza()
        if session.privacy is not None and not session.privacy.lets_in(presence):
            return
        if self.sightings.shows(session, sent, self.sightings.mark(node, sent)):
            head, tail = presence.around_to()
            session.deliver(presence, head + session.jid.wire + tail)

    # -- single addresses -------------------------------------------------------------------------

    def direct(self, session: LocalClientSession, presence: Presence, to: JID) -> Later:
        """Send a session's directed presence to an address of ours at other nodes, if it is there;
        presence to somebody who cannot be found is nobody's.
        """
        send = partial(self.interest.direct, session, presence, to.full)
        return self._with_nodes(to.bare, send)

    def pass_to_nodes(self, presence: Presence, to: JID) -> Later:
        """Send a presence from another server to an account's other nodes."""
        return self.tell_nodes_with(to.bare, Routed.of(presence, to, Way.HERE))

    def tell_nodes_with(self, account: str, entry: BusEntry) -> Later:
        """Send an entry to all other nodes with sessions of an account."""
        return self._with_nodes(account, partial(self._tell, entry))

    def _tell(self, entry: BusEntry, nodes: Iterable[NodeId]) -> None:
        for node in nodes:
            self.routing_table.bus.tell(node, entry)

    def _with_nodes(self, bare: str, send: Callable[[tuple[NodeId, ...]], None]) -> Later:
        """Send something to the other nodes with sessions of an account."""
        nodes = self._known_nodes(bare)
        if nodes is None:
            return self._find_and_send(bare, send)
        send(nodes)
        return None

    async def _find_and_send(self, bare: str, send: Callable[[tuple[NodeId, ...]], None]) -> None:
        with suppress(StanzaError):
            send(await self._find_nodes(bare))

    def _known_nodes(self, bare: str) -> tuple[NodeId, ...] | None:
        """The other nodes with sessions of an account; None if they have to be looked up."""
        table = self.routing_table
        if bare in table.users:
            return table.siblings.nodes.get(bare, ())
        known = table.elsewhere.get(bare) or table.hints.get(bare)
        if not known or not all(location.serial for location in known):
            return None
        return tuple(location.node for location in known)

    async def _find_nodes(self, bare: str) -> tuple[NodeId, ...]:
        """The same, as the directory has them.

        Raises:
            StanzaError: It does not answer.
        """
        found = await self.routing_table.nodes_of(bare)
        self.routing_table.hints.note(bare, found)
        return tuple(location.node for location in found)

    async def ask(self, prober: JID, account: JID) -> list[tuple[NodeId, SentPresence]]:
        """The presences of an account's sessions at other nodes that a prober may see."""
        nodes = self._known_nodes(account.bare)
        if nodes is None:
            try:
                nodes = await self._find_nodes(account.bare)
            except StanzaError:
                nodes = tuple(node.id for node in self.membership.nodes.values())
        entry = Arrived(prober.full, 0, None, [], [], [account.bare])
        answers = await ask_all(self.routing_table.bus, nodes, entry, HERE_S)
        return [
            (node, sent)
            for node, here in answers.items()
            if isinstance(here, Here)
            for sent in here.sent
        ]

    # -- people who are of no interest any more ---------------------------------------------------

    def sweep(self) -> None:
        """Forget where people are with whom nobody here has to do any more, when they are many."""
        if not self._is_sweeping and len(self.interest.elsewhere) > 2 * self._kept + MIN_SWEPT:
            self._is_sweeping = True
            Deferred.fromCoroutine(self._sweep())  # it never fails

    async def _sweep(self) -> None:
        elsewhere, users = self.interest.elsewhere, self.routing_table.users
        before, wanted, asked = frozenset(elsewhere), set[str](), set[str]()
        while some := [bare for bare in users if bare not in asked][:ACCOUNTS_PER_SWEEP]:
            asked.update(some)
            for bare in some:
                roster = self.rosters.loaded(bare)
                if roster is not None:
                    wanted.update(roster.own_and_viewers())
                    wanted.update(contact.bare for contact in roster.subscribed_to)
            if len(some) == ACCOUNTS_PER_SWEEP:
                await self.rosters.broadcasts.next_turn()
        for bare in before - wanted:
            elsewhere.pop(bare, None)
        self._kept, self._is_sweeping = len(elsewhere), False

    # -- waiting ----------------------------------------------------------------------------------

    async def _all_or_late(self, asked: list[Deferred[None]]) -> None:
        """Wait until all have answered, or it is late; what comes later is shown all the same."""
        waiting = Deferred[None]()

        def end(_: object) -> None:
            if not waiting.called:
                waiting.callback(None)

        DeferredList(asked).addBoth(end)
        waiting.addTimeout(HERE_S, self.clock)
        with suppress(defer.TimeoutError):
            await waiting


__all__ = ["ACCOUNTS_PER_SWEEP", "EVER", "HERE_S", "LATE_S", "MIN_SWEPT", "Introductions"]
