"""Backlog: the stanzas that wait for a client that reads slowly, or that is inactive."""

from collections.abc import Iterator

from xmppd.host.clocks import UNKNOWN
from xmppd.stanza import IQ, Presence, Stanza
from xmppd.stanza.delay import Stored
from xmppd.stanza.pulled import Pulled

OVERHEAD_BYTES = 512
"""The bytes that a stanza that waits costs beside its own, about."""

OWN_ROOM = 4
"""The room of the server's own stanzas, as a multiple of that of others' stanzas."""

Waiting = tuple[Stanza, bytes, float]
"""A stanza, its finished bytes, and the time when it came on the steady clock, or UNKNOWN."""


def cost_bytes(stanza: Stanza, wire: bytes) -> int:
    """The bytes that keeping a stanza costs: the payload of one without an address is shared by
    many.
    """
    own = 0 if stanza.to is None else len(stanza.payload.raw)
    return len(wire) + own + OVERHEAD_BYTES


class Load:
    """The size of what is kept for a client, apart by what limits it (SE-9).

    Stanzas of others have the limit of the queue. Those that the server sends by itself come all at
    once, and are no reason to close a session: presences of contacts, and pushes of the roster, of
    which a large group has many; what the client has pulled; and messages out of the store, which
    the account's quota limits.

    Attributes:
        stanzas: The number of stanzas of others.
        bytes: Of those, with the overhead of keeping them.
        own_bytes: The same of broadcast presences, of pushes of the account to its client, and of
            what that has pulled and not acknowledged.
        stored_bytes: The same of messages out of the store.
    """

    __slots__ = ("bytes", "own_bytes", "stanzas", "stored_bytes")

    def __init__(self) -> None:
        self.stanzas = self.bytes = self.own_bytes = self.stored_bytes = 0

    @property
    def all_bytes(self) -> int:
        """The bytes that keeping all of them costs."""
        return self.bytes + self.own_bytes + self.stored_bytes

    def add(self, stanza: Stanza, wire: bytes, sign: int = 1) -> None:
        """Count a stanza; with -1 subtract it."""
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
        kind = payload.__class__
        if kind is Stored:
            self.stored_bytes += sign * cost
        elif kind is Pulled:
            self.own_bytes += sign * cost
        else:
            self.stanzas += sign
            self.bytes += sign * cost

    def exceeds(self, max_bytes: int) -> bool:
        """Whether that is beyond the limits."""
        return self.bytes > max_bytes or self.own_bytes > OWN_ROOM * max_bytes


EMPTY = Load()
"""The load of a session that keeps nothing; never changed."""


class Newest:
    """The presences of a queue that are not out of date. Of a sender's broadcasts only the newest
    is kept: an available presence makes way for the next one, and for an unavailable one; later
    presences come behind that one (SE-11).
    """

    __slots__ = ("_gone", "_here")

    def __init__(self) -> None:
        self._here: dict[str, int] = {}  # by sender
        self._gone: dict[str, int] = {}

    def add(self, stanza: Stanza, number: int) -> tuple[int | None, ...]:
        """Note a stanza of the queue.

        Returns:
            The numbers of the stanzas that make way for it.
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
        """Forget a stanza that left the queue."""
        if is_broadcast(stanza):
            sender = stanza.sender.full
            for known in (self._here, self._gone):
                if known.get(sender) == number:
                    del known[sender]

    def clear(self) -> None:
        """Forget all stanzas."""
        self._here.clear()
        self._gone.clear()


def is_broadcast(stanza: Stanza) -> bool:
    """Whether it is a broadcast presence: one without an address."""
    return stanza.to is None and isinstance(stanza, Presence)


class Backlog:
    """Stanzas in the order in which they came, while the connection is full or its client inactive.

    Presences that are out of date make way (:class:`Newest`), and news for an inactive client make
    way for newer ones of the same kind. Nothing else is left out, and nothing overtakes (SE-11,
    CS-2).

    Attributes:
        full: Whether the connection takes nothing just now.
        load: The size of what waits.
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
        """The bytes that wait, with the overhead of keeping them."""
        return self.load.all_bytes

    def add(
        self, stanza: Stanza, wire: bytes, *, came: float = UNKNOWN, news: str | None = None
    ) -> None:
        """Add a stanza behind all others.

        Args:
            stanza: A presence without an address is a broadcast.
            wire: Its finished bytes.
            came: The time when it came, on the steady clock.
            news: The key of :func:`~xmppd.session.client_state.news_of`; None if it is no news.
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
        """Take out the next stanza; returns its bytes."""
        return self.take_waiting()[1]

    def take_waiting(self) -> Waiting:
        """Take out the next stanza, as it waited."""
        while self._first not in self._stanzas:
            self._first += 1
        next_one = self._stanzas[self._first]
        self._drop(self._first)
        self._newest.forget(next_one[0], self._first)
        return next_one

    def take_all(self) -> tuple[Waiting, ...]:
        """Take out all stanzas."""
        return tuple([self.take_waiting() for _ in range(len(self))])

    def take_until(self, moment: float) -> list[Waiting]:
        """Take out the stanzas that came before then; the others came behind them."""
        taken = []
        while self._stanzas and next(iter(self._stanzas.values()))[2] < moment:
            taken.append(self.take_waiting())
        return taken

    def since(self, moment: float) -> Iterator[Waiting]:
        """The stanzas that wait and came since then, the newest first."""
        for waiting in reversed(self._stanzas.values()):
            if waiting[2] < moment:
                return
            yield waiting

    def waiting(self) -> list[Waiting]:
        """The stanzas that wait, in order."""
        return list(self._stanzas.values())
