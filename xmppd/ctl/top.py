"""The command that shows which accounts cause most traffic."""

from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Choice, Number
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.presence.broadcast_counts import MINUTES, OTHERS, BroadcastCounts, Sum

DEFAULT_ROWS = 10
MAX_ROWS = 1_000


class AccountCauses(Row, frozen=True):
    """The traffic caused by an account's presence."""

    account: str
    broadcasts: int
    copies: int
    bytes: int
    percent: float


class SoftwareCauses(Row, frozen=True):
    """The traffic caused by the presence of all clients of one kind."""

    software: str
    broadcasts: int
    copies: int
    bytes: int
    percent: float


@dataclass(frozen=True)
class TopCommands:
    """The commands on traffic."""

    broadcast_counts: BroadcastCounts

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def presence(self, context: CommandContext) -> Replies:
        """List those that cause most first, and all others last."""
        told = context.arguments
        minutes, rows = told.number("minutes", MINUTES), told.number("rows", DEFAULT_ROWS)
        by_account = told.text("by", "account") == "account"
        row = AccountCauses if by_account else SoftwareCauses
        sums = (
            self.broadcast_counts.accounts(minutes)
            if by_account
            else self.broadcast_counts.software(minutes)
        )
        total = sum(caused.copies for caused in sums.values()) or 1
        others = sums.pop(OTHERS, Sum())
        ranked = sorted(sums.items(), key=lambda item: item[1].copies, reverse=True)
        for _, caused in ranked[rows:]:
            others.add_all(caused)
        for name, caused in (*ranked[:rows], (OTHERS, others)):
            if caused.broadcasts:
                percent = round(100 * caused.copies / total, 1)
                yield row(name, caused.broadcasts, caused.copies, caused.bytes, percent)


COMMANDS: tuple[Declared[TopCommands], ...] = (
    Declared(
        Description(
            "top presence",
            "whose presence is told to most, in the last minutes",
            (
                Argument("--by", "account, if nothing is said", Choice(("account", "software"))),
                Argument("--minutes", f"of these; {MINUTES} are kept", Number(1, MINUTES)),
                Argument(
                    "--rows", f"so many; {DEFAULT_ROWS}, if nothing is said", Number(1, MAX_ROWS)
                ),
            ),
            asks="all",
        ),
        TopCommands.presence,
        (AccountCauses, SoftwareCauses),
    ),
)
