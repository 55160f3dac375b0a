"""Interest: where the contacts of people here are, and which other nodes know of people here."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import islice

from xmppd.cluster.bus import Bus
from xmppd.cluster.entries.presence import Apart, Gone, SentPresence, Telling
from xmppd.cluster.node import Location, NodeId
from xmppd.routing.hints import Hints
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import Presence

MAX_PEOPLE = 1_000
"""Of one entry; more people of a node are told by several."""


class Interest:
    """What this node and others have to do with each other's accounts, and the tellings that follow
    from it.

    Args:
        bus: Carries them.
        hints: Are of no use any more when better is known.
        left: Keeps for a while which nodes knew of an account that has left: a goodbye may have to
            wait, for a roster or for an earlier broadcast.

    Attributes:
        elsewhere: By bare JID the other nodes with sessions of an account that somebody here has to
            do with, that of the oldest session first, each with the highest serial known there.
        known_at: By bare JID the nodes that know of sessions of an account here: whatever they were
            shown is taken back there.
    """

    def __init__(self, bus: Bus, hints: Hints, left: Hints) -> None:
        self.bus = bus
        self.hints = hints
        self.left = left
        self.elsewhere: dict[str, tuple[Location, ...]] = {}
        self.known_at: dict[str, tuple[NodeId, ...]] = {}

    # -- where people are -------------------------------------------------------------------------

    def note(self, account: str, at: Location) -> None:
        """Note that an account has a session at another node."""
        known = self.elsewhere.get(account, ())
        if not known:
            self.hints.note(account, ())
        for index, location in enumerate(known):
            if location.node == at.node:
                if location.serial < at.serial:
                    self.elsewhere[account] = (*known[:index], at, *known[index + 1 :])
                return
        self.elsewhere[account] = (*known, at)

    def unnote(self, account: str, gone: Location) -> None:
        """Note that an account has no session at a node any more, unless a later one is known there
        (CL-34).
        """
        known = self.elsewhere.get(account, ())
        left = tuple(each for each in known if each.node != gone.node or each.serial > gone.serial)
        if left:
            self.elsewhere[account] = left
        elif known:
            del self.elsewhere[account]

    def know(self, account: str, node: NodeId) -> None:
        """Note that a node knows of an account here."""
        known = self.known_at.get(account, ())
        if node not in known:
            self.known_at[account] = (*known, node)

    def forget_knowing(self, node: NodeId) -> None:
        """Forget what a node that is gone knows."""
        for account, known in tuple(self.known_at.items()):
            if node in known:
                left = tuple(each for each in known if each != node)
                if left:
                    self.known_at[account] = left
                else:
                    del self.known_at[account]

    # -- what they are told -----------------------------------------------------------------------

    def tell(
        self,
        session: LocalClientSession,
        presence: Presence,
        people: Iterable[str],
        apart: Iterable[Apart] = (),
    ) -> int:
        """Tell people at other nodes about a session: one entry for each node.

        Args:
            session: Whose presence it is.
            presence: Available.
            people: Bare JIDs, wherever they are.
            apart: Those of whom not all resources may see it.

        Returns:
            The number of people told.
        """
        told: defaultdict[NodeId, list[str]] = defaultdict(list)
        told_apart: defaultdict[NodeId, list[Apart]] = defaultdict(list)
        elsewhere, account = self.elsewhere, session.jid.bare
        for bare in people:
            if bare in elsewhere:
                for node, _ in elsewhere[bare]:
                    told[node].append(bare)
        for each in apart:
            for node, _ in elsewhere.get(each.account, ()):
                told_apart[node].append(each)
        sent = SentPresence.of(presence, session.serial, session.count)
        for node in {**told, **told_apart}:
            self.know(account, node)
            self._tell(node, sent, told.get(node, ()), told_apart.get(node, ()))
        return sum(map(len, told.values()))

    def say_goodbye(
        self,
        session: LocalClientSession,
        gone: Presence,
        people: Collection[str],
        apart: Collection[Apart] = (),
    ) -> None:
        """Tell people at all nodes that know of a session that it is gone: those to whom it was
        shown there hear it (CL-35).

        Args:
            session: The session.
            gone: Of type ``unavailable``.
            people: Bare JIDs, and full ones that were sent directed presence.
            apart: Those of whom some resources still see it.
        """
        bare = session.jid.bare
        nodes = self.known_at.get(bare, ())
        if session.closed:
            there = (location.node for location in self.left.get(bare))
            nodes = tuple(dict.fromkeys((*nodes, *there)))
        if nodes and (people or apart):
            session.count += 1
            sent = SentPresence.of(gone, session.serial, session.count)
            self.take_back(sent, nodes, people, apart)

    def take_back(
        self,
        gone: SentPresence,
        nodes: Iterable[NodeId],
        people: Iterable[str],
        apart: Iterable[Apart] = (),
    ) -> None:
        """Tell people at these nodes a goodbye."""
        for node in nodes:
            self._tell(node, gone, people, apart)

    def _tell(
        self, node: NodeId, sent: SentPresence, people: Iterable[str], apart: Iterable[Apart] = ()
    ) -> None:
        some = pieces(people)
        self.bus.tell(node, Telling(sent, next(some, []), list(apart)))
        for piece in some:
            self.bus.tell(node, Telling(sent, piece))

    def direct(
        self, session: LocalClientSession, presence: Presence, to: str, nodes: Iterable[NodeId]
    ) -> None:
        """Send directed presence to an address of ours at other nodes."""
        sent = SentPresence.of(presence, session.serial, session.count)
        for node in nodes:
            self.know(session.jid.bare, node)
            self.bus.tell(node, Telling(sent, [to], directed=True))

    def leave(self, account: str, serial: int) -> None:
        """Tell the nodes that know of an account that its last session here is gone.

        Args:
            account: Bare JID.
            serial: The highest that a session of it has had here.
        """
        nodes = self.known_at.pop(account, ())
        self.left.note(account, tuple(Location(node, serial) for node in nodes))
        for node in nodes:
            self.bus.tell(node, Gone(account, serial))


def pieces(people: Iterable[str]) -> Iterator[list[str]]:
    """These people, :data:`MAX_PEOPLE` at a time."""
    rest = iter(people)
    while piece := list(islice(rest, MAX_PEOPLE)):
        yield piece


__all__ = ["MAX_PEOPLE", "Interest", "pieces"]
