"""Answers: what a command replies, in one piece or line by line."""

from collections.abc import AsyncGenerator

from msgspec import json
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from xmppd.api.problem import Problem, problem_of
from xmppd.command.exit_status import INCOMPLETE
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Reply, columns_of

MAX_ROWS = 10_000
"""Of an answer in one piece."""

NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"

COMMENT_S = 15.0
"""A stream of events that has none says so, or a proxy takes it for dead."""

_COMMENT = b": nothing new\n\n"

Lines = AsyncGenerator[bytes, None]


async def in_one(replies: Replies, *, reads: bool) -> bytes:
    """All replies as an object.

    Args:
        replies: Of a command.
        reads: Whether it changes nothing, so that it need not be done to its end.

    Raises:
        Refused: It cannot be done.
        Problem: There are too many.
    """
    rows: list[object] = []
    notes: list[str] = []
    left_out = 0
    try:
        async for reply in replies:
            if len(rows) + len(notes) >= MAX_ROWS:
                if reads:
                    raise Problem(
                        400,
                        f"There are more than {MAX_ROWS} rows: ask for fewer, or send Accept: "
                        f"{NDJSON}.",
                    )
                left_out += 1
            elif isinstance(reply, str):
                notes.append(reply)
            else:
                rows.append(columns_of(reply))
    except Refused as error:
        if error.status != INCOMPLETE:
            raise
        notes.append(str(error))
    if left_out:
        notes.append(f"replies left out here: {left_out}")
    return json.encode({"rows": rows, "notes": notes})


def line_of(reply: Reply) -> bytes:
    """A reply as a line, as xmppctl's socket has it."""
    if isinstance(reply, str):
        return json.encode({"note": reply}) + b"\n"
    return json.encode({"row": columns_of(reply)}) + b"\n"


async def lines(replies: Replies) -> Lines:
    """A line for each reply; the last one says that it is done, or what went wrong."""
    try:
        async for reply in replies:
            yield line_of(reply)
    except Refused as error:
        if error.status == INCOMPLETE:
            yield line_of(str(error))
        else:
            yield json.encode({"error": str(problem_of(error))}) + b"\n"
            return
    yield json.encode({"done": True}) + b"\n"


async def events(source: Lines) -> Lines:
    """The same lines as events; nothing follows the last one."""
    async for line in source:
        yield b"data: %b\n" % line


class KeptAlive:
    """A stream of events with a comment in it when it has been silent.

    Args:
        source: The events.
        clock: The reactor's.
    """

    def __init__(self, source: Lines, clock: IReactorTime) -> None:
        self._source = source
        self._clock = clock
        self._came: list[bytes | Failure | None] = []
        self._wake: Deferred[None] | None = None

    async def pieces(self) -> Lines:
        """All of it."""
        reading: Deferred[None] | None = None
        try:
            while True:
                if reading is None:
                    reading = Deferred.fromCoroutine(self._next()).addBoth(self._take)
                await self._silence()
                if not self._came:
                    yield _COMMENT
                    continue
                piece, reading = self._came.pop(), None
                if isinstance(piece, Failure):
                    piece.raiseException()
                elif piece is None:
                    return
                else:
                    yield piece
        finally:
            if reading is not None:
                reading.cancel()

    async def _next(self) -> bytes | None:
        return await anext(self._source, None)

    def _take(self, came: bytes | Failure | None) -> None:
        self._came.append(came)
        self._ticked()

    async def _silence(self) -> None:
        """Wait for what comes next, for so long."""
        if self._came:
            return
        self._wake = Deferred()
        tick = self._clock.callLater(COMMENT_S, self._ticked)
        try:
            await self._wake
        finally:
            self._wake = None
            if tick.active():
                tick.cancel()

    def _ticked(self) -> None:
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake.callback(None)


async def begun(replies: Replies) -> Replies:
    """The same replies, when the first one is there: so what is refused at once has its status."""
    first = await anext(replies, None)

    async def all_of_them() -> Replies:
        if first is not None:
            yield first
            async for reply in replies:
                yield reply

    return all_of_them()


__all__ = [
    "EVENTS",
    "MAX_ROWS",
    "NDJSON",
    "KeptAlive",
    "begun",
    "events",
    "in_one",
    "line_of",
    "lines",
]
