"""Jobs as they are written down: their node may end before somebody asks what came of them."""

from dataclasses import dataclass
from functools import partial

from msgspec import json
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Delete,
    Double,
    Index,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    delete,
    insert,
    select,
    update,
)

from xmppd.store.checks import check_integer, check_moment, check_text, json_text, json_value
from xmppd.store.columns import ORDERED, metadata
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind

MAX_JOBS = 1_000
"""With more, the oldest are forgotten."""

KEPT_S = 7 * 86_400.0

WRITE_LIMIT_S = 5.0
"""The time that a job waits to be written down."""

# The scopes are a text of JSON.
jobs = Table(
    "jobs",
    metadata,
    Column("id", ORDERED, primary_key=True, nullable=False),
    Column("command", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("replies", BigInteger, nullable=False),
    Column("said", Text, nullable=False),
    Index(None, "since"),
    sqlite_with_rowid=False,
)

_columns = (
    jobs.c.id,
    jobs.c.command,
    jobs.c.actor,
    jobs.c.scopes,
    jobs.c.node,
    jobs.c.since,
    jobs.c.state,
    jobs.c.replies,
    jobs.c.said,
)
_ONE: Select[str, str, str, str, str, float, str, int, str] = select(*_columns).where(
    jobs.c.id == bindparam("job")
)
_NEWEST: Select[str, str, str, str, str, float, str, int, str] = (
    select(*_columns).order_by(jobs.c.since.desc(), jobs.c.id).limit(bindparam("most"))
)
_NOTE: Update = (
    update(jobs)
    .where(jobs.c.id == bindparam("job"))
    .values(state=bindparam("is"), replies=bindparam("count"), said=bindparam("last"))
)
_BEYOND: Select[float] = (
    select(jobs.c.since).order_by(jobs.c.since.desc()).offset(MAX_JOBS - 1).limit(1)
)
_FORGET: Delete = delete(jobs).where(jobs.c.since < bindparam("before"))


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job, as it is written down.

    Attributes:
        id: Nobody can guess it.
        command: Its words.
        actor: Who gave it.
        scopes: What whoever asks for it must have.
        node: The life of the node that has it, as text.
        since: The time when it began, in seconds since 1970.
        state: See :class:`~xmppd.api.jobs.Job`; as it was when it was written down.
        replies: Their number then.
        said: The last sentence about what was changed; empty if nothing was.
    """

    id: str
    command: str
    actor: str
    scopes: tuple[str, ...]
    node: str
    since: float
    state: str
    replies: int = 0
    said: str = ""


class JobStore(RecordStore):
    """The jobs of the service, bounded in number and in time (CR-12)."""

    async def job(self, id: str) -> JobRecord | None:
        """The job of this id."""

        async def read() -> JobRecord | None:
            found = await self._database.read(_ONE, {"job": id})
            return _job(*found[0]) if found else None

        return await self._sound(read, (JOB,), {"id": id})

    async def jobs(self) -> list[JobRecord]:
        """All of them, the newest first."""

        async def read() -> list[JobRecord]:
            return [_job(*row) for row in await self._database.read(_NEWEST, {"most": MAX_JOBS})]

        return await self._sound(read, (JOB,), {})

    async def add(self, job: JobRecord) -> None:
        """Write down that a job begins."""
        change = partial(_add, job=job, before=self._now() - KEPT_S)
        await self._database.write(change, WRITE_LIMIT_S)

    async def note(self, job: JobRecord) -> None:
        """Write down how far a job has come, or how it has ended."""
        await self._database.write(partial(_note, job=job), WRITE_LIMIT_S)


def _add(connection: Connection, job: JobRecord, before: float) -> None:
    row = {
        "id": job.id,
        "command": job.command,
        "actor": job.actor,
        "scopes": json_text(job.scopes),
        "node": job.node,
        "since": job.since,
        "state": job.state,
        "replies": job.replies,
        "said": job.said,
    }
    beyond = connection.execute(_BEYOND).scalar() or before
    connection.execute(_FORGET, {"before": max(before, beyond)})
    connection.execute(insert(jobs), row)


def _note(connection: Connection, job: JobRecord) -> None:
    values = {"job": job.id, "is": job.state, "count": job.replies, "last": job.said}
    connection.execute(_NOTE, values)


_scopes_decoder = json.Decoder(tuple[str, ...])


def _job(
    id: str,
    command: str,
    actor: str,
    scopes: str,
    node: str,
    since: float,
    state: str,
    replies: int,
    said: str,
) -> JobRecord:
    return JobRecord(
        check_text("id", id),
        check_text("command", command),
        check_text("actor", actor),
        json_value("scopes", scopes, _scopes_decoder),
        check_text("node", node),
        check_moment("since", since),
        check_text("state", state),
        check_integer("replies", replies),
        check_text("said", said),
    )


JOB = Kind(
    "job",
    jobs,
    tuple(column.name for column in _columns),
    _job,
    ("id",),
    dict.fromkeys(("command", "actor", "said"), "?") | {"since": 0.0, "replies": 0},
)

__all__ = ["JOB", "KEPT_S", "MAX_JOBS", "JobRecord", "JobStore", "jobs"]
