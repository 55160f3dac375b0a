"""The command that shows who causes most."""

from collections.abc import AsyncGenerator

from xmppd.ctl.command import Argument, Arguments, Command, CommandContext
from xmppd.ctl.protocol import Reply
from xmppd.presence.broadcast_counts import MINUTES, OTHERS, Sum

DEFAULT_ROWS = 10
MAX_ROWS = 1_000


async def _presence(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    minutes = arguments.number("minutes", MINUTES, MINUTES)
    rows = arguments.number("rows", DEFAULT_ROWS, MAX_ROWS)
    by = arguments.text("by", "account")
    broadcast_counts = context.server.broadcast_counts
    sums = (
        broadcast_counts.accounts(minutes)
        if by == "account"
        else broadcast_counts.software(minutes)
    )
    total = sum(caused.copies for caused in sums.values()) or 1
    others = sums.pop(OTHERS, Sum())
    ranked = sorted(sums.items(), key=lambda item: item[1].copies, reverse=True)
    for _, caused in ranked[rows:]:
        others.add_all(caused)
    for name, caused in (*ranked[:rows], (OTHERS, others)):
        if caused.broadcasts:
            yield {
                by: name,
                "broadcasts": caused.broadcasts,
                "copies": caused.copies,
                "bytes": caused.bytes,
                "percent": round(100 * caused.copies / total, 1),
            }


COMMANDS = (
    Command(
        "top presence",
        "whose presence is told to most, in the last minutes",
        _presence,
        (
            Argument("--by", "account, if nothing is said", choices=("account", "software")),
            Argument("--minutes", f"of these; {MINUTES} are kept"),
            Argument("--rows", f"so many; {DEFAULT_ROWS}, if nothing is said"),
        ),
        needs="server",
    ),
)
