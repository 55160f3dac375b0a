"""WireCounts: what the connections of one kind have carried."""

from collections import Counter
from collections.abc import Iterable

from xmppd.session.peer_counts import PeerCounts
from xmppd.stanza import StreamCondition


class WireCounts:
    """The counts of all connections of one kind, since the start.

    Attributes:
        gone: Of the connections that are gone; what those that are there count is their own.
        ended: How often a stream was ended with each condition.
    """

    __slots__ = ("ended", "gone")

    def __init__(self) -> None:
        self.gone = PeerCounts()
        self.ended: Counter[StreamCondition] = Counter()

    def with_those(self, there: Iterable[PeerCounts]) -> PeerCounts:
        """The sum of all: those that are gone, and those that are there."""
        total = PeerCounts()
        total.add(self.gone)
        for counts in there:
            total.add(counts)
        return total
