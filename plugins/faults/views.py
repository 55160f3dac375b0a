"""The commands that show what clients got and sent."""

from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Address, Number
from xmppd.command.reply import Replies, Row
from xmppd.stanza.date_time import date_time

from .commands import MEANT
from .record import MAX_ELEMENTS, SeenElement, SeenRecord
from .table import matched

MAX_NUMBER = 10**15
MAX_WAIT_S = 50
"""Whoever asks by the socket gives up after a minute."""

USUAL_WAIT_S = 10

WHOSE = Argument(
    "address",
    "the address of an account or a session, or a domain for all of its accounts",
    Address(),
)
AFTER = Argument("--after", "only elements after this number", Number(0, MAX_NUMBER))


class SeenRow(Row, frozen=True):
    """An element that somebody got or sent."""

    least = ("at",)

    number: int
    at: str
    session: str
    direction: str
    xml: str


@dataclass(frozen=True)
class SeenCommands:
    """Shows what was on the wires.

    Args:
        record: Has it.
    """

    record: SeenRecord

    def commands(self) -> list[Command]:
        """All of them."""
        return [
            Command(
                Description(
                    "seen list",
                    "list the elements that an account received and sent",
                    (
                        WHOSE,
                        *MEANT,
                        AFTER,
                        Argument("--last", "only this many, the latest", Number(1, MAX_ELEMENTS)),
                    ),
                    area="content",
                    empty="no element matches",
                ),
                self.list_all,
                (SeenRow,),
            ),
            Command(
                Description(
                    "seen wait",
                    "wait for an element that an account receives or sends",
                    (WHOSE, *MEANT, AFTER, Argument("--seconds", "at most", Number(1, MAX_WAIT_S))),
                    area="content",
                ),
                self.wait,
                (SeenRow,),
            ),
        ]

    async def list_all(self, context: CommandContext) -> Replies:
        """List elements."""
        told = context.arguments
        found = [*self.record.found(told.jid("address"), matched(told), told.number("after", 0))]
        for element in found[-told.number("last", MAX_ELEMENTS) :]:
            yield row(element)

    async def wait(self, context: CommandContext) -> Replies:
        """Wait for one."""
        told = context.arguments
        yield row(
            await self.record.wait(
                told.jid("address"),
                matched(told),
                told.number("after", 0),
                told.number("seconds", USUAL_WAIT_S),
            )
        )


def row(element: SeenElement) -> SeenRow:
    """An element as it is shown."""
    return SeenRow(
        number=element.number,
        at=date_time(element.at),
        session=element.wire.peer.session,
        direction=element.direction,
        xml=element.xml,
    )
