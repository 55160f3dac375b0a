"""WireCounts: what the connections of one kind have carried."""

from collections import Counter

from xmppd.stanza import StreamCondition


class WireCounts:
    """The counts of all connections of one kind, since the start.

    Attributes:
        came_bytes: The bytes that have come, without TLS.
        went_bytes: Those that were written.
        errors: How often a stream was ended with each condition.
    """

    __slots__ = ("came_bytes", "errors", "went_bytes")

    def __init__(self) -> None:
        self.came_bytes = self.went_bytes = 0
        self.errors: Counter[StreamCondition] = Counter()
