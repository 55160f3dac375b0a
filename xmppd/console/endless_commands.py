"""EndlessCommands: commands without an end, line by line as events for a page."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial

from msgspec import json
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.command.command import Command
from xmppd.command.command_context import CommandContext
from xmppd.command.command_table import CommandTable
from xmppd.command.refused import Refused
from xmppd.command.reply import Row, columns_of
from xmppd.pages import cells
from xmppd.web.request import HTTPError, HTTPRequest, HTTPResponse, Pieces

MAX_STREAMS = 8
"""Commands without an end that are read on pages."""

_log = Logger()


class EndlessCommands:
    """Those that are read just now.

    Args:
        commands: Does them.
        clock: The reactor's.
    """

    def __init__(self, commands: CommandTable, clock: IReactorTime) -> None:
        self._commands = commands
        self._clock = clock
        self._count = 0

    def begin(
        self,
        command: Command,
        context: CommandContext,
        request: HTTPRequest,
        may_still: Callable[[], bool],
    ) -> HTTPResponse:
        """Begin one, which ends when its page is closed, or whoever reads it may not any more.

        Raises:
            HTTPError: Too many are read.
        """
        if self._count >= MAX_STREAMS:
            raise HTTPError(429, f"{MAX_STREAMS} live views are already open; close one.")
        self._count += 1
        events, is_over = self._events(command, context, may_still), False

        def close() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._count -= 1
                Deferred.fromCoroutine(_close(events)).addErrback(_not_closed)

        request.gone.then(partial(_note_gone, context))
        headers = (
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-store"),
            ("X-Accel-Buffering", "no"),
        )
        return HTTPResponse(200, Pieces(events, None, close), headers)

    async def _events(
        self, command: Command, context: CommandContext, may_still: Callable[[], bool]
    ) -> AsyncGenerator[bytes, None]:
        yield b": it has begun\n\n"
        try:
            async with aclosing(self._commands.replies(command, context)) as replies:
                async for reply in replies:
                    if not may_still():
                        break
                    yield _event(said(reply) if isinstance(reply, Row) else reply)
        except Refused as error:
            yield _event(f"{error}.", "end")
            return
        yield _event("That was all.", "end")


def said(row: Row) -> str:
    """A row as one line: the sentence it has, or else its columns."""
    columns = columns_of(row)
    if "says" in columns:
        return str(columns["says"])
    return " · ".join(f"{cells.heading(key)}: {value}" for key, value in columns.items())


def _event(line: str, name: str = "message") -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.encode(cells.text(line)))


async def _close(events: AsyncGenerator[bytes, None]) -> None:
    await events.aclose()


def _note_gone(context: CommandContext) -> None:
    context.listening = False


def _not_closed(failure: Failure) -> None:
    _log.failure("a stream of the console was not closed", failure)


__all__ = ["MAX_STREAMS", "EndlessCommands", "said"]
