"""Commands on jobs: those that run, and those that are over."""

from contextlib import aclosing
from dataclasses import dataclass

from msgspec import json

from xmppd.api.answers import line_of
from xmppd.api.jobs import Job, Jobs
from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.command_table import lacking
from xmppd.command.other_nodes import Unanswered
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.times import iso
from xmppd.stanza import Condition

ID = Argument("job", 'as "job list" shows it')


class JobReply(Row, frozen=True):
    """What a job has answered: a line of JSON, as it would have come by HTTP."""

    says: str


class JobRow(Row, frozen=True):
    """A job: a command that nobody waits for."""

    job: str
    command: str
    actor: str
    since: str | None
    state: str
    replies: int
    scopes: list[str]


@dataclass(frozen=True)
class JobCommands:
    """The commands that list jobs, show what came of one, and end one; at whichever node it is."""

    jobs: Jobs

    def commands(self) -> list[Command]:
        """All of them."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List those of this node."""
        for job in self.jobs.all():
            yield row_of(job)

    async def show(self, context: CommandContext) -> Replies:
        """Show its last replies, and how it is: to those who might give its command."""
        job = self.jobs.find(context.arguments.text("job"))
        if job is None:
            async with aclosing(self._elsewhere(SHOW, context)) as replies:
                async for reply in replies:
                    yield reply
            return
        check_scopes(job.scopes, context)
        for each in tuple(job.replies):
            yield JobReply(line_of(each).decode().rstrip())
        yield JobReply(json.encode({"state": job.state, "replies": job.count}).decode())

    async def cancel(self, context: CommandContext) -> Replies:
        """End one."""
        job = self.jobs.find(context.arguments.text("job"))
        if job is None:
            async with aclosing(self._elsewhere(CANCEL, context)) as replies:
                async for reply in replies:
                    yield reply
            return
        check_scopes(job.scopes, context)
        if job.work is None:
            raise Refused(f"job {job.id} has already ended: {job.state}", Condition.CONFLICT)
        if context.dry_run:
            yield f"job {job.id} would be cancelled"
            return
        self.jobs.cancel(job)
        yield f"job {job.id} was cancelled"

    async def _elsewhere(self, name: str, context: CommandContext) -> Replies:
        """The same from the node that has the job."""
        wanted, others = context.arguments.text("job"), context.others
        for node in others.nodes:
            try:
                rows = [row async for row in others.replies(node, LIST, {})]
            except Unanswered:
                continue
            for row in rows:
                if isinstance(row, JobRow) and row.job == wanted:
                    check_scopes(frozenset(row.scopes), context)
                    async for reply in others.replies(node, name, context.given):
                        yield reply
                    return
        raise Refused(f"job {wanted} does not exist", Condition.ITEM_NOT_FOUND)


def check_scopes(scopes: frozenset[str], context: CommandContext) -> None:
    """Let those have to do with a job who might give its command.

    Raises:
        Refused: The actor lacks a scope.
    """
    for scope in sorted(scopes - context.actor.scopes):
        raise lacking(scope)


def row_of(job: Job) -> JobRow:
    """A job as it is listed."""
    return JobRow(
        job=job.id,
        command=job.command.name,
        actor=job.actor,
        since=iso(job.since),
        state=job.state,
        replies=job.count,
        scopes=sorted(job.scopes),
    )


LIST, SHOW, CANCEL = "job list", "job show", "job cancel"

COMMANDS: tuple[Declared[JobCommands], ...] = (
    Declared(
        Description(
            LIST,
            "list the commands that run in the background, as the HTTP interface starts them",
            asks="all",
            empty="no job exists",
        ),
        JobCommands.list_all,
        (JobRow,),
    ),
    Declared(
        Description(SHOW, "show the state and the output of a job", (ID,), answers="sentences"),
        JobCommands.show,
        (JobReply,),
    ),
    Declared(Description(CANCEL, "cancel a job", (ID, DRY_RUN), "ends"), JobCommands.cancel),
)
