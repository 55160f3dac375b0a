"""Jobs: commands that nobody waits for, such as long imports and exports (CR-12)."""

from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, field
from secrets import token_hex

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from xmppd.command.command import Command
from xmppd.command.command_context import CommandContext
from xmppd.command.command_table import CommandTable
from xmppd.command.exit_status import INCOMPLETE
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply
from xmppd.host.clocks import Clocks
from xmppd.stanza import Condition

MAX_RUNNING = 8
MAX_KEPT = 100
"""Jobs that are over, and can still be asked for; with more the oldest are forgotten."""

KEPT_S = 3_600.0
MAX_REPLIES = 10_000
"""The replies of a job that are kept: the last ones."""

RUNS, DONE, CANCELLED = "runs", "done", "cancelled"

_log = Logger()


@dataclass(slots=True)
class Job:
    """A command that nobody waits for.

    Attributes:
        id: Nobody can guess it.
        command: It.
        actor: Who gave it.
        scopes: What whoever reads its replies must have.
        since: The time when it began, in seconds since 1970.
        state: Whether it runs, is done, was cancelled, or why it was refused.
        count: The number of its replies by now.
        replies: The last of them.
        work: What is under way.
        ended: The time of its end, on the steady clock.
    """

    id: str
    command: Command
    actor: str
    scopes: frozenset[str]
    since: float
    state: str = RUNS
    count: int = 0
    replies: deque[Reply] = field(default_factory=lambda: deque(maxlen=MAX_REPLIES))
    work: Deferred[None] | None = None
    ended: float = 0.0


class Jobs:
    """The jobs of this node, those that run and those that are over.

    Args:
        commands: Does them.
        clocks: Tell how long those that are over are kept.
    """

    def __init__(self, commands: CommandTable, clocks: Clocks) -> None:
        self._commands = commands
        self._clocks = clocks
        self._jobs: dict[str, Job] = {}

    def all(self) -> list[Job]:
        """All that are known, the oldest first."""
        self._forget()
        return list(self._jobs.values())

    def find(self, id: str) -> Job | None:
        """The job of this id."""
        self._forget()
        return self._jobs.get(id)

    def begin(self, command: Command, context: CommandContext) -> Job:
        """Begin a command; its actor is not waited for, and may be gone.

        Raises:
            Refused: Too many run.
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
        job = Job(token_hex(8), command, context.actor.who, scopes, now)
        self._jobs[job.id] = job
        job.work = Deferred.fromCoroutine(self._run(job, context))
        return job

    def cancel(self, job: Job) -> None:
        """End a job where it is."""
        if job.work is not None and job.state == RUNS:
            job.state = CANCELLED
            job.work.cancel()

    def stop(self) -> None:
        """End all of them, since the server stops."""
        for job in tuple(self._jobs.values()):
            self.cancel(job)

    async def _run(self, job: Job, context: CommandContext) -> None:
        state = CANCELLED
        try:
            async with aclosing(self._commands.replies(job.command, context)) as replies:
                async for reply in replies:
                    job.count += 1
                    job.replies.append(reply)
            state = DONE
        except Refused as error:
            state = f"{DONE}, but {error}" if error.status == INCOMPLETE else f"refused: {error}"
        except CancelledError:
            _log.info("job {id} ({command}) was cancelled", id=job.id, command=job.command.name)
        job.state, job.work, job.ended = state, None, self._clocks.seconds()

    def _forget(self) -> None:
        """Forget those that have been over for long, or are too many."""
        over = [job for job in self._jobs.values() if job.state != RUNS and job.work is None]
        before = self._clocks.seconds() - KEPT_S
        for place, job in enumerate(over):
            if job.ended < before or place < len(over) - MAX_KEPT:
                del self._jobs[job.id]


__all__ = ["MAX_KEPT", "MAX_REPLIES", "MAX_RUNNING", "RUNS", "Job", "Jobs"]
