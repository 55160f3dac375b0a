"""What waits for a client, a component or a server that takes nothing just now."""

from collections.abc import Iterator

from xmppd.host.clocks import UNKNOWN
from xmppd.stanza import IQ, Presence, Stanza
from xmppd.stanza.delay import Stored

OVERHEAD_BYTES = 512
"""What a stanza that waits costs beside its bytes, about."""

OWN_ROOM = 4
"""What the server says by itself has so many times the room of what others send."""

Waiting = tuple[Stanza, bytes, float]
"""A stanza, its finished bytes, and when it came on the steady clock, UNKNOWN if nobody knows."""


def cost_bytes(stanza: Stanza, wire: bytes) -> int:
    """What keeping a stanza costs: the payload of one that has no address is shared by many."""
    own = 0 if stanza.to is None else len(stanza.payload.raw)
    return len(wire) + own + OVERHEAD_BYTES


class Load:
    """How much is kept for a client, apart by what bounds it (SE-9).

    What others send is bounded by the limit of the queue. What the server says by itself comes all
    at once, and is no reason to close anybody: the presence of those who are there, and pushes of
    the roster they are in, of which a large group has many; and messages out of the store, which
    the account's quota bounds.

    Attributes:
        stanzas: Of others.
        bytes: Of those, with what keeping them costs.
        own_bytes: The same of broadcast presences, and of pushes of the account to its client.
        stored_bytes: The same of messages out of the store.
    """

    __slots__ = ("bytes", "own_bytes", "stanzas", "stored_bytes")

    def __init__(self) -> None:
        self.stanzas = self.bytes = self.own_bytes = self.stored_bytes = 0

    @property
    def all_bytes(self) -> int:
        """What keeping all of them costs."""
        return self.bytes + self.own_bytes + self.stored_bytes

    def add(self, stanza: Stanza, wire: bytes, sign: int = 1) -> None:
        """Count a stanza; or with -1 count it no more."""
        payload = stanza.payload
        cost = len(wire) + OVERHEAD_BYTES  # as in cost_bytes, without the price of a call
        if stanza.to is not None:
            cost += len(payload.raw)
            if stanza.__class__ is IQ and stanza.sender.full == stanza.to.bare:
                self.own_bytes += sign * cost
                return
        elif isinstance(stanza, Presence):
            self.own_bytes += sign * cost
            return
        if payload.__class__ is Stored:
            self.stored_bytes += sign * cost
        else:
            self.stanzas += sign
            self.bytes += sign * cost

    def exceeds(self, max_bytes: int) -> bool:
        """Whether that is more than may be."""
        return self.bytes > max_bytes or self.own_bytes > OWN_ROOM * max_bytes


EMPTY = Load()
"""Of whoever keeps nothing; nobody adds to it."""


class Newest:
    """Which of the presences that are kept in some order are not out of date.

    Of what a sender broadcasts only the newest is kept: an available presence makes way for the
    next one, and for a goodbye; what the sender says further is told behind that goodbye (SE-11).
    """

    __slots__ = ("_gone", "_here")

    def __init__(self) -> None:
        self._here: dict[str, int] = {}  # by sender
        self._gone: dict[str, int] = {}

    def add(self, stanza: Stanza, number: int) -> tuple[int | None, ...]:
        """Take note of a stanza.

        Returns:
            The numbers of what makes way for it.
        """
        if not is_broadcast(stanza):
            return ()
        sender = stanza.sender.full
        here = self._here.pop(sender, None)
        if stanza.type is None:
            self._here[sender] = number
            return (here,)
        gone = self._gone.pop(sender, None)
        self._gone[sender] = number
        return here, gone

    def forget(self, stanza: Stanza, number: int) -> None:
        """A stanza is kept no more: it makes way for nothing."""
        if is_broadcast(stanza):
            sender = stanza.sender.full
            for known in (self._here, self._gone):
                if known.get(sender) == number:
                    del known[sender]

    def clear(self) -> None:
        """Nothing is kept any more."""
        self._here.clear()
        self._gone.clear()


def is_broadcast(stanza: Stanza) -> bool:
    """Whether it is a presence for all who may know: one without an address."""
    return stanza.to is None and isinstance(stanza, Presence)


class Backlog:
    """Stanzas in the order in which they came, while the wire is full or its client inactive.

    Presences that are out of date make way (:class:`Newest`), and what is news for an inactive
    client makes way for whatever makes it old. Nothing else is left out, and nothing overtakes
    (SE-11, CS-2).

    Attributes:
        full: Whether the wire takes nothing just now.
        load: How much waits.
    """

    __slots__ = (
        "_first",
        "_newest",
        "_news",
        "_news_of",
        "_next",
        "_stanzas",
        "full",
        "load",
    )

    def __init__(self, *, full: bool = True) -> None:
        self.full = full
        self.load = Load()
        self._first = self._next = 0  # the first one has this number at least
        self._stanzas: dict[int, Waiting] = {}
        self._newest = Newest()
        self._news: dict[str, int] = {}
        self._news_of: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._stanzas)

    @property
    def size_bytes(self) -> int:
        """How much waits, with what keeping it costs."""
        return self.load.all_bytes

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
        number = self._next
        self._next += 1
        if news:
            self._drop(self._news.get(news))
            self._news[news] = number
            self._news_of[number] = news
        else:
            for outdated in self._newest.add(stanza, number):
                self._drop(outdated)
        stanza.payload.forget_trees()
        self._stanzas[number] = stanza, wire, came
        self.load.add(stanza, wire)

    def _drop(self, number: int | None) -> None:
        if number is not None:
            stanza, wire, _ = self._stanzas.pop(number)
            self.load.add(stanza, wire, -1)
            news = self._news_of.pop(number, None)
            if news is not None:
                del self._news[news]

    def take(self) -> bytes:
        """The bytes of the next one, which waits no more."""
        return self.take_waiting()[1]

    def take_waiting(self) -> Waiting:
        """The next one, which waits no more."""
        while self._first not in self._stanzas:
            self._first += 1
        next_one = self._stanzas[self._first]
        self._drop(self._first)
        self._newest.forget(next_one[0], self._first)
        return next_one

    def take_all(self) -> tuple[Waiting, ...]:
        """All of them, which wait no more."""
        return tuple([self.take_waiting() for _ in range(len(self))])

    def take_until(self, moment: float) -> list[Waiting]:
        """Those that came before then, which wait no more; the others came behind them."""
        taken = []
        while self._stanzas and next(iter(self._stanzas.values()))[2] < moment:
            taken.append(self.take_waiting())
        return taken

    def since(self, moment: float) -> Iterator[Waiting]:
        """What waits and came since then, the newest first."""
        for waiting in reversed(self._stanzas.values()):
            if waiting[2] < moment:
                return
            yield waiting

    def waiting(self) -> list[Waiting]:
        """All that waits, in order."""
        return list(self._stanzas.values())
