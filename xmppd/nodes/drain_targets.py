"""DrainTargets: the nodes that take what a node hands over, each by lot."""

from random import Random, SystemRandom

from twisted.internet.interfaces import IReactorTime

from xmppd.cluster.bus import ask_all
from xmppd.cluster.cluster import Cluster
from xmppd.cluster.entries.membership import CountSessions, SessionCount
from xmppd.cluster.node import NodeId
from xmppd.session.session_manager import SessionManager

COUNT_S = 2.0
"""The time in which other nodes say how many sessions they have."""

COUNT_EVERY_S = 10.0
"""How often they are asked; in between it is noted what was given to them."""


class DrainTargets:
    """Knows how many sessions each node has that takes some, so that they are spread evenly.

    Args:
        cluster: The nodes.
        sessions: Those that are here.
        clock: Tells when to ask anew.
    """

    def __init__(self, cluster: Cluster, sessions: SessionManager, clock: IReactorTime) -> None:
        self._membership = cluster.membership
        self._bus = cluster.bus
        self._sessions = sessions
        self._clock = clock
        self._counts: dict[NodeId, int] = {}
        self._counted_at = 0.0
        self._random: Random = SystemRandom()

    def nodes(self) -> set[NodeId]:
        """The other nodes that do not drain, as far as is known here."""
        return {node.id for node in self._membership.nodes.values() if not node.draining}

    async def count(self) -> int:
        """Ask these how many sessions they have; returns the number of those that take some."""
        answers = await ask_all(self._bus, self.nodes(), CountSessions(), COUNT_S)
        self._counts = {
            node: answer.sessions
            for node, answer in answers.items()
            if isinstance(answer, SessionCount) and not answer.draining
        }
        self._counted_at = self._clock.seconds()
        return len(self._counts)

    async def are_there(self) -> bool:
        """Whether there are some; from time to time they are asked anew."""
        if not self._known() or self._clock.seconds() - self._counted_at >= COUNT_EVERY_S:
            await self.count()
        return bool(self._known())

    def choose(self) -> NodeId | None:
        """One of them, by lots of which each has as many as it lacks sessions; None if there is
        none.
        """
        counts = self._known()
        if not counts:
            return None
        share = (sum(counts.values()) + self._sessions.bound) / len(counts)
        lots = [max(1.0, share - count) for count in counts.values()]
        (chosen,) = self._random.choices(tuple(counts), lots)
        self._counts[chosen] += 1
        return chosen

    def _known(self) -> dict[NodeId, int]:
        nodes = self.nodes()
        return {node: count for node, count in self._counts.items() if node in nodes}

    def counted(self, sender: NodeId, entry: CountSessions) -> SessionCount:
        """Tell another node how many sessions are here, and whether this one takes some."""
        return SessionCount(self._sessions.bound, self._membership.node.draining)


__all__ = ["DrainTargets"]
