"""What waits for a client that reads slowly, or that nobody looks at."""

from collections.abc import Iterator
from itertools import count

from xmppd.clocks import UNKNOWN
from xmppd.stanza import Presence, Stanza

OVERHEAD_BYTES = 512
"""What a stanza that waits costs beside its bytes, about."""

Waiting = tuple[Stanza, bytes, float]
"""A stanza, its finished bytes, and when it came on the steady clock, UNKNOWN if nobody knows."""


class Backlog:
    """Stanzas in the order in which they came, while the wire is full or its client inactive.

    Of the presences that a sender broadcasts only the newest waits: an available one makes way for
    the next, and for a goodbye; what it says further is told behind that goodbye. What is news for
    an inactive client makes way for whatever makes it old. Nothing else is left out, and nothing
    overtakes (SE-11, CS-2).

    Attributes:
        full: Whether the wire takes nothing just now.
        size_bytes: What waits, with its overhead.
    """

    __slots__ = (
        "_gone",
        "_here",
        "_news",
        "_news_of",
        "_numbers",
        "_stanzas",
        "full",
        "size_bytes",
    )

    def __init__(self, *, full: bool = True) -> None:
        self.full = full
        self.size_bytes = 0
        self._numbers = count()
        self._stanzas: dict[int, Waiting] = {}
        self._here: dict[str, int] = {}  # for each sender its broadcasts that wait
        self._gone: dict[str, int] = {}
        self._news: dict[str, int] = {}
        self._news_of: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._stanzas)

    def add(
        self, stanza: Stanza, wire: bytes, *, came: float = UNKNOWN, news: str | None = None
    ) -> None:
        """Let a stanza wait behind all others.

        Args:
            stanza: A presence without an address is one that was broadcast.
            wire: Its finished bytes.
            came: When it came, on the steady clock.
            news: What it is news of, to an inactive client (CS-4).
        """
        number = next(self._numbers)
        if news:
            self._drop(self._news.get(news))
            self._news[news] = number
            self._news_of[number] = news
        elif isinstance(stanza, Presence) and stanza.to is None:
            self._replace(stanza, number)
        stanza.payload.forget_trees()
        self._stanzas[number] = stanza, wire, came
        self.size_bytes += len(wire) + OVERHEAD_BYTES

    def _replace(self, presence: Presence, number: int) -> None:
        sender = presence.sender.full
        self._drop(self._here.pop(sender, None))
        if presence.type is None:
            self._here[sender] = number
        else:
            self._drop(self._gone.pop(sender, None))
            self._gone[sender] = number

    def _drop(self, number: int | None) -> None:
        if number is not None:
            _, wire, _ = self._stanzas.pop(number)
            self.size_bytes -= len(wire) + OVERHEAD_BYTES
            news = self._news_of.pop(number, None)
            if news is not None:
                del self._news[news]

    def take(self) -> bytes:
        """The bytes of the next one, which waits no more."""
        return self.take_waiting()[1]

    def take_waiting(self) -> Waiting:
        """The next one, which waits no more."""
        number = next(iter(self._stanzas))
        next_one = self._stanzas[number]
        sender = next_one[0].sender.full
        self._drop(number)
        for waiting in (self._here, self._gone):
            if waiting.get(sender) == number:
                del waiting[sender]
        return next_one

    def take_all(self) -> tuple[Waiting, ...]:
        """All of them, which wait no more."""
        return tuple([self.take_waiting() for _ in range(len(self))])

    def since(self, moment: float) -> Iterator[Waiting]:
        """What waits and came since then, the newest first."""
        for waiting in reversed(self._stanzas.values()):
            if waiting[2] < moment:
                return
            yield waiting

    def waiting(self) -> list[Waiting]:
        """All that waits, in order."""
        return list(self._stanzas.values())
