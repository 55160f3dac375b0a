"""Commands on jobs: those that run, those that are over, and those whose node is gone."""

from contextlib import aclosing
from dataclasses import dataclass

from msgspec import json

from xmppd.api.answers import line_of
from xmppd.api.jobs import RUNS, Jobs
from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.command_table import lacking
from xmppd.command.other_nodes import Unanswered
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Reply, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.times import iso
from xmppd.stanza import Condition
from xmppd.store.jobs import JobRecord

ID = Argument("job", 'as "job list" shows it')
GONE = "the replies are no longer kept"


class JobReply(Row, frozen=True):
    """What a job has answered: a line of JSON, as it would have come by HTTP."""

    says: str


class JobRow(Row, frozen=True):
    """A job: a command that nobody waits for."""

    least = ("node", "scopes")

    job: str
    command: str
    actor: str
    since: str | None
    state: str
    replies: int
    scopes: list[str]
    node: str


@dataclass(frozen=True)
class JobCommands:
    """The commands that list jobs, show what came of one, and end one; at whichever node it is or
    was.
    """

    jobs: Jobs

    def commands(self) -> list[Command]:
        """All of them."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List those of all nodes."""
        for job in await self.jobs.all():
            yield row_of(job)

    async def show(self, context: CommandContext) -> Replies:
        """Show its last replies, and how it is: to those who might give its command."""
        job = self.jobs.find(context.arguments.text("job"))
        if job is not None:
            check_scopes(job.scopes, context)
            for each in tuple(job.replies):
                yield _line(each)
            yield _end(job.state, job.count)
            return
        record = await self._recorded(context)
        if self._is_elsewhere(record, context):
            async with aclosing(self._elsewhere(SHOW, record, context)) as replies:
                async for reply in replies:
                    yield reply
            return
        if record.said:
            yield _line(record.said)
        if record.replies > bool(record.said):
            yield _line("the other replies are no longer kept" if record.said else GONE)
        yield _end(record.state, record.replies)

    async def cancel(self, context: CommandContext) -> Replies:
        """End one."""
        job = self.jobs.find(context.arguments.text("job"))
        if job is None:
            record = await self._recorded(context)
            if not self._is_elsewhere(record, context):
                raise _over(record.id, record.state)
            async with aclosing(self._elsewhere(CANCEL, record, context)) as replies:
                async for reply in replies:
                    yield reply
            return
        check_scopes(job.scopes, context)
        if job.state != RUNS:
            raise _over(job.id, job.state)
        if context.dry_run:
            yield f"job {job.id} would be cancelled"
            return
        self.jobs.cancel(job)
        yield f"job {job.id} was cancelled"

    async def _recorded(self, context: CommandContext) -> JobRecord:
        """What is written down of a job, for those who might give its command.

        Raises:
            Refused: Nothing, or the actor lacks a scope.
        """
        wanted = context.arguments.text("job")
        record = await self.jobs.record(wanted)
        if record is None:
            raise Refused(f"job {wanted} does not exist", Condition.ITEM_NOT_FOUND)
        check_scopes(frozenset(record.scopes), context)
        return record

    def _is_elsewhere(self, record: JobRecord, context: CommandContext) -> bool:
        """Whether another node has it, and is not the one that asks."""
        return self.jobs.node_of(record) in context.others.nodes

    async def _elsewhere(self, name: str, record: JobRecord, context: CommandContext) -> Replies:
        """The same from the node that has the job."""
        node = self.jobs.node_of(record)
        try:
            async with aclosing(context.others.replies(node, name, context.given)) as replies:
                async for reply in replies:
                    yield reply
        except Unanswered as error:
            raise Refused(
                f"node {node}, which has job {record.id}, does not answer; try again later",
                Condition.SERVICE_UNAVAILABLE,
            ) from error


def _line(reply: Reply) -> JobReply:
    return JobReply(line_of(reply).decode().rstrip())


def _end(state: str, replies: int) -> JobReply:
    """The last line: how a job is."""
    return JobReply(json.encode({"state": state, "replies": replies}).decode())


def _over(id: str, state: str) -> Refused:
    return Refused(f"job {id} has already ended: {state}", Condition.CONFLICT)


def check_scopes(scopes: frozenset[str], context: CommandContext) -> None:
    """Let those have to do with a job who might give its command.

    Raises:
        Refused: The actor lacks a scope.
    """
    for scope in sorted(scopes - context.actor.scopes):
        raise lacking(scope)


def row_of(job: JobRecord) -> JobRow:
    """A job as it is listed."""
    return JobRow(
        job=job.id,
        command=job.command,
        actor=job.actor,
        since=iso(job.since),
        state=job.state,
        replies=job.replies,
        scopes=sorted(job.scopes),
        node=job.node.rpartition(".")[0],
    )


LIST, SHOW, CANCEL = "job list", "job show", "job cancel"

COMMANDS: tuple[Declared[JobCommands], ...] = (
    Declared(
        Description(
            LIST,
            "list the commands that run in the background, such as those started over HTTP",
            empty="no job exists",
        ),
        JobCommands.list_all,
        (JobRow,),
    ),
    Declared(
        Description(SHOW, "show the state and the output of a job", (ID,), answers="document"),
        JobCommands.show,
        (JobReply,),
    ),
    Declared(Description(CANCEL, "cancel a job", (ID, DRY_RUN), "ends"), JobCommands.cancel),
)
