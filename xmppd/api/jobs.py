"""Jobs: commands that nobody waits for, such as long imports and exports (CR-12).

A job ends with its node. So it is written down before it begins, and now and then how far it has
come: whoever asks for it later, at whichever node, learns what became of it.
"""

from collections import deque
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from secrets import token_hex

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from xmppd.cluster.membership import Membership
from xmppd.command.audit import MAX_OUTCOME_LENGTH, in_line, masked
from xmppd.command.command import Command
from xmppd.command.command_context import CommandContext
from xmppd.command.command_table import CommandTable
from xmppd.command.exit_status import INCOMPLETE
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply
from xmppd.host.clocks import Clocks
from xmppd.stanza import Condition
from xmppd.store.errors import StoreError
from xmppd.store.jobs import JobRecord, JobStore

MAX_RUNNING = 8
MAX_KEPT = 100
"""Jobs that are over, whose replies are still here; with more the oldest are forgotten."""

KEPT_S = 3_600.0
"""The time for which the replies of a job that is over are here; what was written down stays."""

NOTE_S = 10.0
"""How far a job has come is written down with the first reply after so long."""

MAX_REPLIES = 10_000
"""The replies of a job that are kept: the last ones."""

RUNS, DONE, CANCELLED = "runs", "done", "cancelled"
ENDED_WITH_NODE = "ended with its node; run the command again"
UNKNOWN = "has ended, but its outcome could not be recorded"

_log = Logger()


@dataclass(slots=True)
class Job:
    """A command that nobody waits for.

    Attributes:
        id: Nobody can guess it. Those of one life of a node begin alike.
        command: It.
        actor: Who gave it.
        scopes: What whoever reads its replies must have.
        since: The time when it began, in seconds since 1970.
        state: Whether it runs, is done, was cancelled, ended with its node, or why it was refused.
        count: The number of its replies by now.
        said: The last sentence about what was changed, without secrets; empty if nothing was.
        replies: The last of them.
        work: What is under way.
        noted: When it was written down last, on the steady clock.
        ended: The time of its end, likewise.
    """

    id: str
    command: Command
    actor: str
    scopes: frozenset[str]
    since: float
    state: str = RUNS
    count: int = 0
    said: str = ""
    replies: deque[Reply] = field(default_factory=lambda: deque(maxlen=MAX_REPLIES))
    work: Deferred[None] | None = None
    noted: float = 0.0
    ended: float = 0.0


class Jobs:
    """The jobs of this node, those that run and those that are over; and what is written down of
    those of the whole service.

    Args:
        commands: Does them.
        store: Keeps what is written down.
        membership: Says which nodes there are.
        clocks: Tell how long the replies of those that are over are here.
    """

    def __init__(
        self, commands: CommandTable, store: JobStore, membership: Membership, clocks: Clocks
    ) -> None:
        self._commands = commands
        self._store = store
        self._membership = membership
        self._clocks = clocks
        self._jobs: dict[str, Job] = {}
        self._life = token_hex(2)

    async def all(self) -> list[JobRecord]:
        """Those of all nodes, the oldest first, as far as their nodes have written them down."""
        self._forget()
        found = reversed(await self._store.jobs())
        return [self._as_it_is(record) for record in found]

    def find(self, id: str) -> Job | None:
        """The job of this id, if its replies are here."""
        self._forget()
        return self._jobs.get(id)

    async def record(self, id: str) -> JobRecord | None:
        """What is written down of the job of this id, at whichever node it is or was."""
        record = await self._store.job(id)
        return record and self._as_it_is(record)

    def node_of(self, record: JobRecord) -> str:
        """The name of the other node whose present life has a job; empty if there is none."""
        ids = [node.id for node in self._membership.nodes.values()]
        return next((id.name for id in ids if str(id) == record.node), "")

    async def begin(self, command: Command, context: CommandContext) -> Job:
        """Begin a command; its actor is not waited for, and may be gone.

        Raises:
            Refused: Too many run, it cannot be written down, or the server stops.
        """
        running = sum(job.state == RUNS for job in self._jobs.values())
        if running >= MAX_RUNNING:
            raise Refused(
                f"{MAX_RUNNING} jobs are running; try again later", Condition.RESOURCE_CONSTRAINT
            )
        arguments = command.about.arguments
        further = {each.scope for each in arguments if context.arguments.is_set(each.key)}
        scopes = frozenset({command.about.scope, *further} - {""})
        now = self._clocks.wall_clock()
        job = Job(self._life + token_hex(6), command, context.actor.who, scopes, now)
        self._jobs[job.id] = job
        try:
            await self._store.add(self._record(job))
        except StoreError as error:
            del self._jobs[job.id]
            raise Refused(
                "nothing was done, because the job could not be recorded",
                Condition.SERVICE_UNAVAILABLE,
            ) from error
        if job.state != RUNS:
            raise Refused("the server is stopping", Condition.SERVICE_UNAVAILABLE)
        job.noted = self._clocks.seconds()
        job.work = Deferred.fromCoroutine(self._run(job, context))
        return job

    def cancel(self, job: Job, state: str = CANCELLED) -> None:
        """End a job where it is."""
        if job.state == RUNS:
            job.state = state
            if job.work is not None:
                job.work.cancel()

    def stop(self) -> None:
        """End all of them, since the server stops."""
        for job in tuple(self._jobs.values()):
            self.cancel(job, ENDED_WITH_NODE)

    async def _run(self, job: Job, context: CommandContext) -> None:
        try:
            async with aclosing(self._commands.replies(job.command, context)) as replies:
                async for reply in replies:
                    self._add(job, reply, context)
                    if self._clocks.seconds() - job.noted >= NOTE_S:
                        await self._note(job)
            state = DONE
        except Refused as error:
            state = f"{DONE}, but {error}" if error.status == INCOMPLETE else f"refused: {error}"
        except CancelledError:
            state = CANCELLED if job.state == RUNS else job.state
            _log.info("job {id} ({command}) was cancelled", id=job.id, command=job.command.name)
        job.state, job.work, job.ended = state, None, self._clocks.seconds()
        await self._note(job)

    def _add(self, job: Job, reply: Reply, context: CommandContext) -> None:
        job.count += 1
        job.replies.append(reply)
        if isinstance(reply, str) and job.command.about.effect != "reads":
            job.said = in_line(masked(reply, job.command, context), MAX_OUTCOME_LENGTH)

    async def _note(self, job: Job) -> None:
        """Write down how far it has come; it goes on if that fails, which the store has logged."""
        job.noted = self._clocks.seconds()
        with suppress(StoreError):
            await self._store.note(self._record(job))

    def _record(self, job: Job) -> JobRecord:
        """A job as it is written down; why it was refused, without line breaks and not too long."""
        return JobRecord(
            id=job.id,
            command=job.command.name,
            actor=job.actor,
            scopes=tuple(sorted(job.scopes)),
            node=str(self._membership.id),
            since=job.since,
            state=in_line(job.state, MAX_OUTCOME_LENGTH),
            replies=job.count,
            said=job.said,
        )

    def _as_it_is(self, record: JobRecord) -> JobRecord:
        """A record with what has happened since it was written down."""
        job = self._jobs.get(record.id)
        if job is not None:
            return self._record(job)
        if record.state != RUNS or self.node_of(record):
            return record
        was_here = record.id.startswith(self._life)
        return replace(record, state=UNKNOWN if was_here else ENDED_WITH_NODE)

    def _forget(self) -> None:
        """Forget those that have been over for long, or are too many."""
        over = [job for job in self._jobs.values() if job.state != RUNS and job.work is None]
        before = self._clocks.seconds() - KEPT_S
        for place, job in enumerate(over):
            if job.ended < before or place < len(over) - MAX_KEPT:
                del self._jobs[job.id]


__all__ = [
    "ENDED_WITH_NODE",
    "KEPT_S",
    "MAX_KEPT",
    "MAX_REPLIES",
    "MAX_RUNNING",
    "NOTE_S",
    "RUNS",
    "Job",
    "Jobs",
]
