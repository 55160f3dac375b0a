"""The command that shows reports about blocked JIDs."""

from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import DomainName
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.times import iso
from xmppd.privacy.reports import Reports


class ReportRow(Row, frozen=True):
    """A report about a blocked JID."""

    least = ("forward", "messages")

    reporter: str
    reported: str
    reason: str
    when: str | None
    text: str
    messages: list[str]
    forward: list[str]


@dataclass(frozen=True)
class ReportCommands:
    """The commands on reports."""

    reports: Reports

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List the reports from each domain."""
        for domain in context.arguments.domains("domain"):
            for report in await self.reports.of(domain):
                yield ReportRow(
                    reporter=report.reporter,
                    reported=report.reported,
                    reason=report.reason,
                    when=iso(report.stamp),
                    text=report.text,
                    messages=list(report.messages),
                    forward=list(report.forward),
                )


COMMANDS: tuple[Declared[ReportCommands], ...] = (
    Declared(
        Description(
            "report list",
            "list users' reports of abuse",
            (Argument("--domain", "only reports by users of this domain", DomainName()),),
            needs="store",
            area="content",
            empty="no user has reported anything",
        ),
        ReportCommands.list_all,
        (ReportRow,),
    ),
)
