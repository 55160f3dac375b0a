"""What waits for a client that reads slowly."""

from itertools import count

from xmppd.stanza import Presence, Stanza

OVERHEAD_BYTES = 512
"""What a stanza that waits costs beside its bytes, about."""


class Backlog:
    """Stanzas in the order in which they came, while the wire is full.

    Of the presences that a sender broadcasts only the newest waits: an available one makes way for
    the next, and for a goodbye; what it says further is told behind that goodbye. Nothing else is
    left out, and nothing overtakes (SE-11).

    Attributes:
        full: Whether the wire takes nothing just now.
        size_bytes: What waits, with its overhead.
    """

    __slots__ = ("_gone", "_here", "_numbers", "_stanzas", "full", "size_bytes")

    def __init__(self) -> None:
        self.full = True
        self.size_bytes = 0
        self._numbers = count()
        self._stanzas: dict[int, tuple[Stanza, bytes]] = {}
        self._here: dict[str, int] = {}  # for each sender its broadcasts that wait
        self._gone: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._stanzas)

    def add(self, stanza: Stanza, wire: bytes) -> None:
        """Let a stanza wait behind all others.

        Args:
            stanza: A presence without an address is one that was broadcast.
            wire: Its finished bytes.
        """
        number = next(self._numbers)
        if isinstance(stanza, Presence) and stanza.to is None:
            self._replace(stanza, number)
        stanza.payload.forget_trees()
        self._stanzas[number] = stanza, wire
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
            _, wire = self._stanzas.pop(number)
            self.size_bytes -= len(wire) + OVERHEAD_BYTES

    def take(self) -> bytes:
        """The bytes of the next one, which waits no more."""
        number = next(iter(self._stanzas))
        stanza, wire = self._stanzas[number]
        self._drop(number)
        for waiting in (self._here, self._gone):
            if waiting.get(stanza.sender.full) == number:
                del waiting[stanza.sender.full]
        return wire

    def stanzas(self) -> list[Stanza]:
        """All that waits, in order."""
        return [stanza for stanza, _ in self._stanzas.values()]

    def entries(self) -> list[tuple[Stanza, bytes]]:
        """The same, each with its bytes."""
        return list(self._stanzas.values())
