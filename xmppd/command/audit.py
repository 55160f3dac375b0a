"""Audit: every command that changes something is written down, whichever way it came (CR-7)."""

from contextlib import aclosing
from typing import Protocol

from msgspec import json
from twisted.logger import Logger

from xmppd.command.command import Command
from xmppd.command.command_context import CommandContext
from xmppd.command.deed import Begun, Deed
from xmppd.command.exit_status import INCOMPLETE
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies
from xmppd.stanza import Condition

MAX_ARGUMENTS_LENGTH = 2_000
"""The characters of a command's arguments that are written down."""

MAX_OUTCOME_LENGTH = 500

MASKED = "…"
"""Stands for a secret."""

BEGUN = "has begun"
DONE = "done"
BROKEN_OFF = "aborted"

_log = Logger()


class NotWritten(Exception):
    """An error: what was to be written down is not."""


class AuditLog(Protocol):
    """Keeps what was done."""

    async def begin(self, deed: Deed) -> Begun:
        """Write down that a command begins; if it is known by its request already, nothing is
        written.

        Raises:
            NotWritten: It could not be.
        """

    async def end(self, number: int, outcome: str) -> None:
        """Write down what came of it.

        Raises:
            NotWritten: It could not be.
        """


class Audit:
    """Has commands written down before they begin, and what came of them before the last of their
    answer.

    What comes from elsewhere is not done if it cannot be written down. At the server's machine it
    is, with a line in the log, since a server without its database has to be mended.

    Args:
        log: Keeps them.
        node: The name of this node.
    """

    def __init__(self, log: AuditLog, node: str) -> None:
        self._log = log
        self._node = node

    def wants(self, command: Command, context: CommandContext) -> bool:
        """Whether a command is written down here: it changes something, and no other node has
        done that already.
        """
        if command.about.effect == "reads" or not command.about.audited or context.dry_run:
            return False
        return context.actor.way != "node"

    async def watched(self, command: Command, context: CommandContext, replies: Replies) -> Replies:
        """The replies of a command that is written down.

        Raises:
            Refused: It could not be written down, or was asked for before; nothing was done.
        """
        outcome = BROKEN_OFF
        number: int | None = None
        async with aclosing(replies) as found:
            number = await self._begin(command, context)
            try:
                async for reply in found:
                    yield reply
                outcome = DONE
            except Refused as error:
                all_done = error.status == INCOMPLETE
                outcome = f"{DONE}, but {error}" if all_done else f"refused: {error}"
                raise
            finally:
                if number is not None:
                    await self._end(command, number, masked(outcome, command, context))

    async def _begin(self, command: Command, context: CommandContext) -> int | None:
        deed = Deed(
            actor=context.actor.who,
            way=context.actor.way,
            address=context.actor.address,
            node=self._node,
            command=command.name,
            arguments=shown(command, context),
            outcome=BEGUN,
            request=context.request,
        )
        try:
            begun = await self._log.begin(deed)
        except NotWritten as error:
            if context.actor.way != "xmppctl":
                raise Refused(
                    "nothing was done, because the audit could not be written",
                    Condition.SERVICE_UNAVAILABLE,
                ) from error
            _log.error(
                "{way}: {actor} ran the command {command} {arguments}, which could not be "
                "written to the audit: {error}",
                way=deed.way, actor=deed.actor, command=deed.command, arguments=deed.arguments,
                error=error,
            )  # fmt: skip
            return None
        if begun.earlier:
            raise Refused(
                f"this request was made before (number {begun.number} in the audit): "
                f"{begun.earlier}",
                Condition.CONFLICT,
            )
        return begun.number

    async def _end(self, command: Command, number: int, outcome: str) -> None:
        try:
            await self._log.end(number, in_line(outcome, MAX_OUTCOME_LENGTH))
        except NotWritten as error:
            _log.error(
                "the outcome of audit entry {number} ({command}: {outcome}) could not be "
                "written: {error}",
                number=number, command=command.name, outcome=outcome, error=error,
            )  # fmt: skip


def shown(command: Command, context: CommandContext) -> str:
    """The arguments of a command as a text of JSON, without secrets."""
    hidden = {argument.key for argument in command.about.arguments if argument.hidden}
    values = {key: MASKED if key in hidden else value for key, value in context.given.items()}
    return in_line(json.encode(values).decode(), MAX_ARGUMENTS_LENGTH)


def masked(outcome: str, command: Command, context: CommandContext) -> str:
    """What came of a command, without secrets that it was given."""
    for argument in command.about.arguments:
        if argument.hidden:
            for text in context.arguments.texts(argument.key):
                outcome = outcome.replace(text, MASKED) if text else outcome
    return outcome


def in_line(text: str, most: int) -> str:
    """A text with what cannot be printed spelled out, and cut where it is too long."""
    plain = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[: most + 1])
    return plain if len(plain) <= most else plain[:most] + MASKED


__all__ = [
    "BEGUN",
    "BROKEN_OFF",
    "DONE",
    "MASKED",
    "Audit",
    "AuditLog",
    "NotWritten",
    "in_line",
    "shown",
]
