"""Registrations: the services that are told of an account's messages, and how that went."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from msgspec import Struct

from xmppd.account.devices import opaque
from xmppd.session.local_client_session import LocalClientSession
from xmppd.store.errors import QuotaExceeded
from xmppd.store.sql import (
    NAMES,
    Boolean,
    Column,
    Connection,
    Database,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    digest,
    digest_column,
    func,
    lock_owner,
    select,
    update,
    upsert,
)

MAX_REGISTRATIONS = 10
"""Of one account."""

MAX_UNSEEN = 9_999
PAGE = 1_000

metadata = MetaData(naming_convention=NAMES)
push_targets = Table(
    "push_targets",
    metadata,
    digest_column("owner"),
    digest_column("target"),
    Column("account", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("node", Text, nullable=False),
    Column("options", LargeBinary, nullable=False),
    Column("device", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("by_domain", Boolean, nullable=False),
    Column("unseen", Integer, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failing_since", Double, nullable=False),
    Column("last_error", Text, nullable=False),
)
_C = push_targets.c

_OWNED = _C.owner == bindparam("of_owner")
_ONE = (_OWNED, _C.target == bindparam("of_key"))
_REGISTRATION = (_C.account, _C.service, _C.node, _C.options, _C.device, _C.by_domain)
_RECORD = (_C.unseen, _C.sent, _C.failed, _C.failures, _C.failing_since, _C.last_error)
_OF: Select[str, str, str, bytes, str, bool] = (
    select(*_REGISTRATION).where(_OWNED).order_by(_C.since, _C.target)
)
_RECORDS: Select[bytes, int, int, int, int, float, str] = (
    select(_C.target, *_RECORD).where(_OWNED).order_by(_C.since, _C.target)
)
_RECORD_OF: Select[int, int, int, int, float, str] = select(*_RECORD).where(*_ONE)
_ACCOUNTS: Select[bytes, str] = (
    select(_C.owner, func.min(_C.account))
    .where(_C.owner > bindparam("after"))
    .group_by(_C.owner)
    .order_by(_C.owner)
    .limit(bindparam("limit"))
)
_OTHERS: Select[int] = (
    select(func.count()).select_from(push_targets).where(_OWNED, _C.target != bindparam("of_key"))
)
_SAVE = upsert(push_targets)
_REMOVE = delete(push_targets).where(*_ONE)
_REMOVE_SERVICE = delete(push_targets).where(_OWNED, _C.service == bindparam("of_service"))
_NOTE = (
    update(push_targets)
    .where(*_ONE)
    .values({name: bindparam(f"new_{name}") for name in (
        "by_domain", "unseen", "sent", "failed", "failures", "failing_since", "last_error",
    )})
)  # fmt: skip
_SEEN = update(push_targets).where(_OWNED, _C.unseen > 0).values(unseen=0)


class Registration(Struct, frozen=True):
    """A service that is told of an account's messages, for one of its devices.

    Attributes:
        account: Bare JID.
        service: JID of the push service.
        node: Of the service; empty if the client has named none.
        options: The form for publishing, as the client wrote it; empty without one.
        device: The public id of the device (:func:`~xmppd.account.devices.opaque`).
        by_domain: Whether the service takes notifications from the account's domain only.
    """

    account: str
    service: str
    node: str
    options: bytes
    device: str
    by_domain: bool = False

    @property
    def key(self) -> bytes:
        """By which the account's registrations are told apart."""
        return target(self.service, self.node)

    @property
    def want(self) -> str:
        """What sessions of its device have among their ``wants``."""
        return want(self.device)


class PushRecord(Struct, frozen=True):
    """How it went with a registration.

    Attributes:
        unseen: The messages that its service was told of since the account has last seen some.
        sent: The notifications that its service has taken.
        failed: Those that it has not.
        failures: How often in a row it has refused one.
        failing_since: The time since when it cannot be reached, in seconds since 1970; 0 if it can.
        last_error: Of the last one that failed; empty if none has.
    """

    unseen: int = 0
    sent: int = 0
    failed: int = 0
    failures: int = 0
    failing_since: float = 0.0
    last_error: str = ""


class Registrations:
    """The registrations of all accounts, in the store.

    Args:
        database: Has them, in a table that the plugin has brought.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def accounts(self) -> list[str]:
        """The bare JIDs of all accounts that have registrations."""
        found: list[str] = []
        after = b""
        while page := await self.database.read(_ACCOUNTS, {"after": after, "limit": PAGE}):
            found += [account for _, account in page]
            after = page[-1][0]
        return found

    async def of(self, account: str) -> tuple[Registration, ...]:
        """The registrations of an account, the oldest first."""
        rows = await self.database.read(_OF, {"of_owner": digest(account)})
        return tuple([Registration(*row) for row in rows])

    async def records(self, account: str) -> dict[bytes, PushRecord]:
        """How it went with each of them, by their keys."""
        rows = await self.database.read(_RECORDS, {"of_owner": digest(account)})
        return {row[0]: PushRecord(*row[1:]) for row in rows}

    async def save(self, registration: Registration, now: float) -> None:
        """Keep a registration; one of the same service and node makes way, with all its failures.

        Raises:
            QuotaExceeded: The account has too many.
        """

        def change(connection: Connection) -> None:
            owner = lock_owner(connection, registration.account)
            key = {"of_owner": owner, "of_key": registration.key}
            if connection.execute(_OTHERS, key).scalar_one() >= MAX_REGISTRATIONS:
                raise QuotaExceeded(
                    f"an account may have at most {MAX_REGISTRATIONS} push services"
                )
            row = {"owner": owner, "target": registration.key, "since": now}
            row |= {name: getattr(registration, name) for name in Registration.__struct_fields__}
            row |= {name: getattr(PushRecord(), name) for name in PushRecord.__struct_fields__}
            connection.execute(_SAVE.on(connection), row)

        await self.database.write(change)

    async def remove(self, account: str, service: str, node: str | None) -> bool:
        """Forget a registration, or all of a service; returns whether there was one."""

        def change(connection: Connection) -> int:
            owner = digest(account)
            if node is None:
                these = {"of_owner": owner, "of_service": service}
                return connection.execute(_REMOVE_SERVICE, these).rowcount
            one = {"of_owner": owner, "of_key": target(service, node)}
            return connection.execute(_REMOVE, one).rowcount

        return await self.database.write(change) > 0

    async def note(
        self, registration: Registration, step: Callable[[PushRecord], PushRecord]
    ) -> PushRecord | None:
        """Note how it went, by what was noted before, if the registration is still there.

        Returns:
            What is noted now; None if the registration has ended.
        """

        def change(connection: Connection) -> PushRecord | None:
            owner = lock_owner(connection, registration.account)
            one = {"of_owner": owner, "of_key": registration.key}
            before = connection.execute(_RECORD_OF, one).one_or_none()
            if before is None:
                return None
            record = step(PushRecord(*before))
            row = {f"new_{name}": getattr(record, name) for name in PushRecord.__struct_fields__}
            connection.execute(_NOTE, {**row, **one, "new_by_domain": registration.by_domain})
            return record

        return await self.database.write(change)

    async def seen(self, account: str) -> tuple[Registration, ...]:
        """Note that the account has seen its messages.

        Returns:
            The registrations whose services were told of some.
        """
        records = await self.records(account)
        lit = {key for key, record in records.items() if record.unseen}
        if not lit:
            return ()

        def change(connection: Connection) -> None:
            connection.execute(_SEEN, {"of_owner": lock_owner(connection, account)})

        await self.database.write(change)
        return tuple([each for each in await self.of(account) if each.key in lit])


def target(service: str, node: str) -> bytes:
    """The key of a registration."""
    return sha256(f"{service}\0{node}".encode()).digest()


def device_of(session: LocalClientSession) -> str:
    """The public id of a session's device: of its client, if that has said which it is, else of its
    resource (PN-2).
    """
    jid = session.jid
    return opaque(jid.to_bare(), session.device or jid.resource or "")


def want(device: str) -> str:
    """What sessions of a device have among their ``wants``, if it has a registration."""
    return f"push {device}"


def wants_of(registrations: Sequence[Registration]) -> frozenset[str]:
    """The wants of all these registrations."""
    return frozenset(each.want for each in registrations)


__all__ = [
    "MAX_REGISTRATIONS",
    "MAX_UNSEEN",
    "PushRecord",
    "Registration",
    "Registrations",
    "device_of",
    "metadata",
    "push_targets",
    "want",
    "wants_of",
]
