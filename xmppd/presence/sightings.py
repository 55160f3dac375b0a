"""Sightings: which sessions of other nodes were shown to whom here."""

from collections.abc import Iterable, Iterator

from xmppd.cluster.entries.presence import SentPresence
from xmppd.cluster.node import NodeId
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Presence

MAX_SEEN = 10_000
"""Sessions of other nodes that one session sees; more are not shown to it."""

NODE_BITS = 0xFFFF
"""Of a mark: they tell the node, and those above them the order."""


class Sightings:
    """Decides whether a presence of another node is news for a session here, and notes it, so that
    each "available" is followed by one "unavailable", also when its node is lost (CL-32).

    What a session saw is kept with it: one number for each full JID, which orders presences by
    serial and count, and tells the node. Directed presence is kept by its addressee, who may be a
    session that is not available, a component, or somebody on another server.
    """

    def __init__(self) -> None:
        self._numbers: dict[NodeId, int] = {}
        self._nodes: dict[int, NodeId] = {}
        self._handed: dict[str, dict[str, NodeId]] = {}

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """The nodes of which somebody may have seen sessions."""
        return tuple(self._numbers)

    def mark(self, node: NodeId, sent: SentPresence) -> int:
        """The number that stands for a presence: of one full JID a later one has a higher one."""
        number = self._numbers.get(node)
        if number is None:
            number = self._number(node)
        return sent.serial << 64 | sent.count << 16 | number

    def _number(self, node: NodeId) -> int:
        number = next(number for number in range(1 << 16) if number not in self._nodes)
        self._nodes[number] = node
        self._numbers[node] = number
        return number

    def shows(self, viewer: LocalClientSession, sent: SentPresence, mark: int) -> bool:
        """Note an available presence that a session is about to see.

        Args:
            viewer: Available.
            sent: The presence.
            mark: Its number.

        Returns:
            Whether it is to see it: it is later than what it saw of this full JID (CL-33).
        """
        seen = viewer.seen
        known = seen.get(sent.session)
        if known is None:
            if len(seen) >= MAX_SEEN:
                return False
            seen[JID.prepared(sent.session).full] = mark  # a text that all viewers share
            return True
        if mark <= known | NODE_BITS:  # not later; dearer written by shifts, for each viewer
            if mark >> 16 == known >> 16:
                seen[sent.session] = mark  # it may be at another node now
            return False
        seen[sent.session] = mark
        return True

    def answers(self, viewer: LocalClientSession, sent: SentPresence, mark: int) -> bool:
        """Note a presence that answers a probe of a session here.

        Returns:
            Whether it is to have it: it has seen nothing later of this full JID.
        """
        known = viewer.seen.get(sent.session)
        if known is not None and mark >> 16 < known >> 16:
            return False
        if viewer.presence is not None and len(viewer.seen) < MAX_SEEN:
            viewer.seen[sent.session] = mark
        return True

    def hides(
        self, viewer: LocalClientSession, sent: SentPresence, mark: int, *, handed: bool = False
    ) -> bool:
        """Take note of a goodbye.

        Args:
            viewer: That may have seen the session.
            sent: The goodbye.
            mark: Its number.
            handed: Whether it was sent directed presence.

        Returns:
            Whether the viewer is to hear it: it saw the session, and nothing later of its full JID.
        """
        known = viewer.seen.get(sent.session)
        if known is None:
            return handed
        if mark >> 16 <= known >> 16:
            return False
        del viewer.seen[sent.session]
        return True

    def seen_by(self, viewer: LocalClientSession) -> list[tuple[str, NodeId, int]]:
        """The sessions of other nodes that a session saw: full JID, node, and what orders them."""
        return [
            (full, self._nodes[mark & NODE_BITS], mark >> 16) for full, mark in viewer.seen.items()
        ]

    def restore(self, viewer: LocalClientSession, seen: Iterable[tuple[str, NodeId, int]]) -> None:
        """Let a restored session have seen what it saw before."""
        for full, node, order in seen:
            number = self._numbers.get(node)
            viewer.seen[full] = order << 16 | (self._number(node) if number is None else number)

    # -- directed presence ------------------------------------------------------------------------

    def handed(self, address: str, session: str, node: NodeId) -> None:
        """Note that directed presence of another node's session was handed to an address."""
        self._handed.setdefault(address, {})[session] = node

    def handed_on(self, address: str, session: str, node: NodeId) -> None:
        """Note that a session whose directed presence an address was handed is at another node."""
        if session in self._handed.get(address, {}):
            self._handed[address][session] = node

    def handed_to(self, address: str) -> dict[str, NodeId]:
        """The sessions of other nodes whose directed presence an address was handed."""
        return self._handed.get(address, {})

    def hand_on(self, presence: Presence, node: NodeId) -> None:
        """Note a presence of another node's session that is handed to a component, or to another
        server.
        """
        if presence.to is None or presence.sender.resource is None:
            return
        if presence.type is None:
            self.handed(presence.to.full, presence.sender.full, node)
        elif presence.type == "unavailable":
            self.withdraw(presence.to.full, presence.sender.full)

    def withdraw(self, address: str, session: str) -> bool:
        """Forget that; returns whether it was."""
        sessions = self._handed.get(address, {})
        known = sessions.pop(session, None) is not None
        if known and not sessions:
            del self._handed[address]
        return known

    def closed(self, address: str) -> None:
        """Forget what was handed to an address that is gone."""
        self._handed.pop(address, None)

    # -- a node that is lost ----------------------------------------------------------------------

    def lost(self, viewer: LocalClientSession, node: NodeId) -> list[str]:
        """Take out and return the sessions of a node that a session here still sees."""
        number = self._numbers.get(node)
        gone = [full for full, mark in viewer.seen.items() if mark & 0xFFFF == number]
        for full in gone:
            del viewer.seen[full]
        return gone

    def handed_by(self, node: NodeId) -> Iterator[tuple[str, str]]:
        """Take out and return the addresses to which directed presence of a node's sessions was
        handed, each with the session.
        """
        for address, sessions in tuple(self._handed.items()):
            for session in [each for each, at in sessions.items() if at == node]:
                self.withdraw(address, session)
                yield address, session

    def forget_node(self, node: NodeId) -> None:
        """Forget a node of which nobody sees anything any more."""
        number = self._numbers.pop(node, None)
        if number is not None:
            del self._nodes[number]


__all__ = ["MAX_SEEN", "Sightings"]
