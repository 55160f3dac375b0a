"""Pulls: stanzas that a client has asked for, written as fast as its connection takes them."""

from collections import deque
from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred

from xmppd.stanza import Later, Stanza

MAX_PULLS = 2
"""The requests of one session that are answered by pulling at once; then it is read no more until
one of them is done."""


class Pulls:
    """What one client pulls, one request after the other (SE-13).

    Args:
        write: Delivers one stanza.
        has_room: Whether the connection takes more just now.
    """

    __slots__ = ("_has_room", "_pulling", "_waiting", "_write", "_writing")

    def __init__(self, write: Callable[[Stanza], object], has_room: Callable[[], bool]) -> None:
        self._write = write
        self._has_room = has_room
        self._pulling: deque[tuple[Iterator[Stanza], Deferred[bool]]] = deque()
        self._waiting: list[Deferred[None]] = []
        self._writing = False

    def __len__(self) -> int:
        return len(self._pulling)

    def add(self, stanzas: Iterator[Stanza]) -> Deferred[bool]:
        """Pull these behind all others.

        Returns:
            An awaitable until all are written: False if the connection was lost before that. It
            fails as the iterator does.
        """
        over = Deferred[bool]()
        self._pulling.append((stanzas, over))
        self.go_on()
        return over

    def when_room(self) -> Later:
        """An awaitable until the client may ask for more; None if it may now."""
        return self._wait() if len(self._pulling) >= MAX_PULLS else None

    async def _wait(self) -> None:
        room = Deferred[None]()
        self._waiting.append(room)
        await room

    def go_on(self) -> None:
        """Write as much as the connection takes now."""
        if self._writing:
            return  # whoever does that already goes on behind it
        self._writing = True
        try:
            while self._pulling and self._has_room():
                self._write_first()
        finally:
            self._writing = False

    def _write_first(self) -> None:
        """Write of the first request as much as the connection takes, or all of it."""
        stanzas, over = self._pulling[0]
        write, has_room = self._write, self._has_room
        while True:
            try:
                stanza = next(stanzas, None)
            except Exception:
                self._pulling.popleft()
                over.errback()
                break
            if stanza is None:
                self._pulling.popleft()
                over.callback(True)
                break
            write(stanza)
            if not has_room():
                return
        self._tell_room()

    def end(self) -> None:
        """End all of them, since the connection is lost."""
        pulling, self._pulling = self._pulling, deque()
        for _, over in pulling:
            over.callback(False)
        self._tell_room()

    def _tell_room(self) -> None:
        if len(self._pulling) < MAX_PULLS:
            waiting, self._waiting = self._waiting, []
            for room in waiting:
                room.callback(None)
