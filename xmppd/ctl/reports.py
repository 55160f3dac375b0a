"""The command that shows what people reported about those they blocked."""

from collections.abc import AsyncGenerator

from xmppd.ctl.command import Argument, Arguments, Command, CommandContext
from xmppd.ctl.protocol import Refused, Reply
from xmppd.ctl.users import iso


async def _list(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    wanted = arguments.text("domain")
    if wanted and wanted not in context.server.domains:
        raise Refused(f"{wanted} is not served here")
    for domain in [wanted] if wanted else context.server.domains:
        for report in await context.server.reports.of(domain):
            yield {
                "reporter": report.reporter,
                "reported": report.reported,
                "reason": report.reason,
                "when": iso(report.stamp),
                "text": report.text,
                "messages": list(report.messages),
                "forward": list(report.forward),
            }


COMMANDS = (
    Command(
        "report list",
        "list what people reported about those they blocked",
        _list,
        (Argument("--domain", "only of people of this domain"),),
    ),
)
