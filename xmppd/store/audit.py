"""The audit: which commands have changed something, who gave them, and what came of them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Double,
    Index,
    Insert,
    LargeBinary,
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
from typing_extensions import override

from xmppd.command.audit import AuditLog, NotWritten
from xmppd.command.deed import Begun, Deed
from xmppd.store.checks import check_integer, check_moment, check_text
from xmppd.store.columns import NUMBER, digest, lock_owner, metadata
from xmppd.store.errors import StoreError
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind

MAX_ENTRIES = 100_000
"""With more, the oldest are forgotten."""

KEPT_S = 365 * 86_400.0

WRITE_LIMIT_S = 5.0
"""The time that a command waits to be written down."""

# A request is the digest of its actor and the actor's name for it.
audit = Table(
    "audit",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("actor", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("request", LargeBinary),
    Index(None, "at"),
    Index("uq_audit_request", "request", unique=True),
    sqlite_autoincrement=True,
)

_columns = (
    audit.c.number,
    audit.c.at,
    audit.c.actor,
    audit.c.way,
    audit.c.address,
    audit.c.node,
    audit.c.command,
    audit.c.arguments,
    audit.c.outcome,
)
_PAGE: Select[int, float, str, str, str, str, str, str, str] = (
    select(*_columns)
    .where(audit.c.number < bindparam("before"))
    .order_by(audit.c.number.desc())
    .limit(bindparam("limit"))
)
_EARLIER: Select[int, str] = select(audit.c.number, audit.c.outcome).where(
    audit.c.request == bindparam("asked")
)
_ADD: Insert = insert(audit).returning(audit.c.number)
_END: Update = (
    update(audit).where(audit.c.number == bindparam("entry")).values(outcome=bindparam("what_came"))
)
_FORGET: Delete = delete(audit).where(
    (audit.c.number <= bindparam("last")) | (audit.c.at < bindparam("since"))
)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A command that has changed something.

    Attributes:
        number: Rising.
        at: The time when it began, in seconds since 1970.
        actor: See :class:`~xmppd.command.deed.Deed`, as for all others.
        way: The same.
        address: The same.
        node: The same.
        command: The same.
        arguments: The same.
        outcome: The same.
    """

    number: int
    at: float
    actor: str
    way: str
    address: str
    node: str
    command: str
    arguments: str
    outcome: str


class AuditStore(RecordStore, AuditLog):
    """The audit, bounded in number and in time (CR-7)."""

    @override
    async def begin(self, deed: Deed) -> Begun:
        change = partial(_begin, deed=deed, now=self._now())
        try:
            return await self._database.write(change, WRITE_LIMIT_S)
        except StoreError as error:
            raise NotWritten(str(error)) from error

    @override
    async def end(self, number: int, outcome: str) -> None:
        change = partial(_end, number=number, outcome=outcome)
        try:
            await self._database.write(change, WRITE_LIMIT_S)
        except StoreError as error:
            raise NotWritten(str(error)) from error

    async def entries(
        self,
        *,
        before: int,
        limit: int,
        wanted: Callable[[AuditEntry], bool] = lambda entry: True,
    ) -> list[AuditEntry]:
        """The newest entries with a lower number than this, the newest first; those that are
        wanted.
        """
        found: list[AuditEntry] = []
        while len(found) < limit:
            page = await self._page(before)
            found += filter(wanted, page)
            if len(page) < PAGE:
                break
            before = page[-1].number
        return found[:limit]

    async def _page(self, before: int) -> list[AuditEntry]:
        async def read() -> list[AuditEntry]:
            rows = await self._database.read(_PAGE, {"before": before, "limit": PAGE})
            return [_entry(*row) for row in rows]

        return await self._sound(read, (AUDIT_ENTRY,), {})


PAGE = 500


def _begin(connection: Connection, deed: Deed, now: float) -> Begun:
    asked = None
    if deed.request:
        name = f"{deed.actor}\0{deed.request}"
        lock_owner(connection, name)
        asked = digest(name)
        earlier = connection.execute(_EARLIER, {"asked": asked}).first()
        if earlier is not None:
            return Begun(*earlier)
    row = {
        "at": now,
        "actor": deed.actor,
        "way": deed.way,
        "address": deed.address,
        "node": deed.node,
        "command": deed.command,
        "arguments": deed.arguments,
        "outcome": deed.outcome,
        "request": asked,
    }
    number = connection.execute(_ADD, row).scalar_one()
    connection.execute(_FORGET, {"last": number - MAX_ENTRIES, "since": now - KEPT_S})
    return Begun(number)


def _end(connection: Connection, number: int, outcome: str) -> None:
    connection.execute(_END, {"entry": number, "what_came": outcome})


def _entry(
    number: int,
    at: float,
    actor: str,
    way: str,
    address: str,
    node: str,
    command: str,
    arguments: str,
    outcome: str,
) -> AuditEntry:
    return AuditEntry(
        check_integer("number", number),
        check_moment("at", at),
        check_text("actor", actor),
        check_text("way", way),
        check_text("address", address),
        check_text("node", node),
        check_text("command", command),
        check_text("arguments", arguments),
        check_text("outcome", outcome),
    )


AUDIT_ENTRY = Kind(
    "entry of the audit",
    audit,
    tuple(column.name for column in _columns),
    _entry,
    ("number",),
    dict.fromkeys(("actor", "way", "address", "node", "command", "arguments", "outcome"), "?")
    | {"at": 0.0},
)

__all__ = ["AUDIT_ENTRY", "KEPT_S", "MAX_ENTRIES", "AuditEntry", "AuditStore", "audit"]
