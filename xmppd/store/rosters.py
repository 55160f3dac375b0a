"""Rosters of accounts: their contacts and versions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import attrgetter
from random import SystemRandom

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    Column,
    Connection,
    Delete,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningUpdate

from xmppd.store.checks import (
    FLAGS,
    NO_GROUPS,
    check_bytes,
    check_flag,
    check_integer,
    check_text,
    names_of_text,
    names_to_text,
    unreadable,
)
from xmppd.store.columns import (
    OWNER,
    InsertByDialect,
    digest,
    digest_column,
    lock_owner,
    metadata,
    upsert,
)
from xmppd.store.errors import AnotherVersion
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind, RecordPlace
from xmppd.store.many import QUERY_SIZES, chunks, one_of, owner_parameters

ROSTER_VERSION_STEP = 2**32
"""A roster's version rises by more than half of this and by less than the whole: 2**31 times."""

UNKNOWN_VERSION = 2**62
"""The version of a roster whose own cannot be read: higher than any that a step has led to."""

roster_versions = Table(
    "roster_versions",
    metadata,
    digest_column("owner"),
    Column("version", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

roster_items = Table(
    "roster_items",
    metadata,
    digest_column("owner"),
    digest_column("contact"),
    Column("jid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("subscription", Text, nullable=False),
    Column("ask", Boolean, nullable=False),
    Column("pending_in", LargeBinary),
    Column("approved", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

_step: BindParameter[int] = bindparam("step")

# One query, so that the version is the one of these items.
_ROSTER: Select[int, str | None, str, str, str, bool, bytes | None, bool] = (
    select(
        roster_versions.c.version,
        roster_items.c.jid,
        roster_items.c.name,
        roster_items.c.groups,
        roster_items.c.subscription,
        roster_items.c.ask,
        roster_items.c.pending_in,
        roster_items.c.approved,
    )
    .select_from(
        roster_versions.outerjoin(roster_items, roster_items.c.owner == roster_versions.c.owner)
    )
    .where(roster_versions.c.owner == OWNER)
)
_VERSION: Select[int] = select(roster_versions.c.version).where(roster_versions.c.owner == OWNER)
_RAISE_VERSION = InsertByDialect(
    *(
        dialect.insert(roster_versions)
        .values(owner=OWNER, version=_step)
        .on_conflict_do_update(
            index_elements=[roster_versions.c.owner],
            set_={"version": roster_versions.c.version + _step},
        )
        .returning(roster_versions.c.version)
        for dialect in (sqlite, postgresql)
    )
)
_RAISE_FROM_NOTHING = InsertByDialect(
    *(
        dialect.insert(roster_versions)
        .values(owner=OWNER, version=_step)
        .on_conflict_do_update(
            index_elements=[roster_versions.c.owner],
            set_={"version": _step},
            where=roster_versions.c.version == 0,
        )
        .returning(roster_versions.c.version)
        for dialect in (sqlite, postgresql)
    )
)
_RAISE_FROM: ReturningUpdate[int] = (
    update(roster_versions)
    .where(
        roster_versions.c.owner == bindparam("whose"),
        roster_versions.c.version == bindparam("expected"),
    )
    .values(version=roster_versions.c.version + _step)
    .returning(roster_versions.c.version)
)
_SAVE = upsert(roster_items)
_FORGET: Delete = delete(roster_items).where(
    roster_items.c.owner == OWNER, roster_items.c.contact == bindparam("contact")
)

_SUBSCRIPTIONS = frozenset(("none", "to", "from", "both"))
_RosterRow = tuple[int, str | None, str, str, str, bool, bytes | None, bool]


@dataclass(frozen=True, slots=True)
class RosterItem:
    """A contact, with the three independent fields of its subscription state.

    Attributes:
        jid: Bare JID of the contact (or another JID that the user has added).
        name: The user's name for it; empty without one.
        groups: In the user's order, without repetition.
        subscription: ``none``, ``to`` (the user sees the contact), ``from`` or ``both``.
        ask: The user's request waits for an answer (pending out).
        pending_in: The contact's request waits for the user: the presence stanza as it came, in
            bytes; None if there is none.
        approved: The user agreed to a request that is yet to come (pre-approval).
    """

    jid: str
    name: str = ""
    groups: tuple[str, ...] = ()
    subscription: str = "none"
    ask: bool = False
    pending_in: bytes | None = None
    approved: bool = False

    def kept(self, account: str) -> RecordPlace:
        """The key of its row: by its columns, since the digest of a damaged one is another's."""
        contact = {"owner": digest(account), "jid": self.jid}
        return RecordPlace(ROSTER_ITEM, contact, {"pending_in": self.pending_in})


@dataclass(frozen=True, slots=True)
class RosterData:
    """A roster as it is kept.

    Attributes:
        version: Rises with every change, by a step drawn at random (:rfc:`6121#section-2.6`): so it
            never names another state, also after an account was made anew or a backup restored.
        items: The contacts, by JID.
    """

    version: int
    items: tuple[RosterItem, ...]


class RosterStore(RecordStore):
    """The rosters of accounts.

    Who has decided on a change from a roster in memory says which version that was: then nothing is
    changed if the roster has another one by now.
    """

    async def roster(self, account: str) -> RosterData:
        """The whole roster by JID; version 0 and no items if it was always empty."""
        owner = {"owner": digest(account)}

        async def read() -> RosterData:
            return _roster(await self._database.read(_ROSTER, owner))

        return await self._sound(read, (ROSTER_VERSION, ROSTER_ITEM), owner, account)

    async def who_may_be_seen(self, viewer: str, accounts: Iterable[str]) -> set[str]:
        """Those of these accounts whose rosters let the viewer see their presence."""
        seen: set[str] = set()
        contact = digest(viewer)
        for names in chunks(accounts):
            owners = owner_parameters(list(names))
            query = _letting_see(len(owners))
            for owner, jid in await self._database.read(query, {**owners, "contact": contact}):
                if jid == viewer and owner in names:
                    seen.add(names[owner])
        return seen

    async def save_roster_items(
        self, account: str, items: Sequence[RosterItem], *, expected: int | None = None
    ) -> int:
        """Add or replace these items in one transaction.

        Args:
            account: Bare JID.
            items: The contacts.
            expected: The roster's version before; None if any will do.

        Returns:
            The roster's new version; the old one if there were no items.

        Raises:
            AnotherVersion: It is not the expected one.
        """
        change = partial(save_items, account=account, items=tuple(items), expected=expected)
        return await self._database.write(change)

    async def delete_roster_item(
        self, account: str, jid: str, *, expected: int | None = None
    ) -> int:
        """Remove one contact; no error if it is not there.

        Returns:
            The roster's new version; the old one if it was not there.

        Raises:
            AnotherVersion: It is not the expected one.
        """
        change = partial(_delete_item, account=account, jid=jid, expected=expected)
        return await self._database.write(change)

    async def raise_roster_version(self, account: str, *, expected: int | None = None) -> int:
        """Give the roster a new version, since a change outside of it shows in it.

        Returns:
            The new version.

        Raises:
            AnotherVersion: It is not the expected one.
        """
        change = partial(_raise_version_of, account=account, expected=expected)
        return await self._database.write(change)


@lru_cache(maxsize=len(QUERY_SIZES))
def _letting_see(size: int) -> Select[bytes, str]:
    """Query for the rosters, of so many, in which a contact may see their owner."""
    return select(roster_items.c.owner, roster_items.c.jid).where(
        one_of(roster_items.c.owner, size),
        roster_items.c.contact == bindparam("contact"),
        roster_items.c.subscription.in_([literal("from"), literal("both")]),
    )


def save_items(
    connection: Connection,
    account: str,
    items: Sequence[RosterItem],
    expected: int | None = None,
) -> int:
    """Add or replace contacts; returns the new version."""
    owner = lock_owner(connection, account)
    if not items:
        return _version(connection, owner, expected)
    version = _raise_version(connection, owner, expected)
    saving = [
        {
            "owner": owner,
            "contact": digest(item.jid),
            "jid": item.jid,
            "name": item.name,
            "groups": names_to_text(item.groups),
            "subscription": item.subscription,
            "ask": item.ask,
            "pending_in": item.pending_in,
            "approved": item.approved,
        }
        for item in items
    ]
    connection.execute(_SAVE.on(connection), saving)
    return version


def _delete_item(connection: Connection, account: str, jid: str, expected: int | None) -> int:
    owner = lock_owner(connection, account)
    forgotten = {"owner": owner, "contact": digest(jid)}
    if not connection.execute(_FORGET, forgotten).rowcount:
        return _version(connection, owner, expected)
    return _raise_version(connection, owner, expected)


def _raise_version_of(connection: Connection, account: str, expected: int | None) -> int:
    return _raise_version(connection, lock_owner(connection, account), expected)


def _raise_version(connection: Connection, owner: bytes, expected: int | None = None) -> int:
    """Raise the version of a roster; returns it.

    Raises:
        AnotherVersion: It was not the expected one.
    """
    values = {"owner": owner, "step": roster_version_step()}
    if expected is None:
        raising = connection.execute(_RAISE_VERSION.on(connection), values)
    elif expected == 0:
        raising = connection.execute(_RAISE_FROM_NOTHING.on(connection), values)
    else:
        from_version = {"whose": owner, "expected": expected, "step": values["step"]}
        raising = connection.execute(_RAISE_FROM, from_version)
    version: int | None = raising.scalar()
    if version is None:
        raise AnotherVersion("the roster has another version by now")
    return version


def roster_version_step() -> int:
    """The step by which a roster's version rises; the versions passed over name no state."""
    return SystemRandom().randrange(ROSTER_VERSION_STEP // 2, ROSTER_VERSION_STEP)


def _version(connection: Connection, owner: bytes, expected: int | None) -> int:
    version = connection.execute(_VERSION, {"owner": owner}).scalar() or 0
    if expected not in (None, version):
        raise AnotherVersion("the roster has another version by now")
    return version


def _roster(rows: Sequence[_RosterRow]) -> RosterData:
    """A roster, of one row for each item; a row without one if only the version is left."""
    if not rows:
        return RosterData(0, ())
    _check_version(rows[0][0])
    items = [
        _item(jid, name, groups, subscription, ask, pending, approved)
        for _, jid, name, groups, subscription, ask, pending, approved in rows
        if jid is not None
    ]
    items.sort(key=attrgetter("jid"))
    return RosterData(rows[0][0], tuple(items))


def _check_version(version: int) -> None:
    if check_integer("version", version) < 0:
        raise unreadable("version", f"is {version}")


def _item(
    jid: str,
    name: str,
    groups: str,
    subscription: str,
    ask: bool,
    pending_in: bytes | None,
    approved: bool,
) -> RosterItem:
    usual = (
        type(jid) is type(name) is str
        and jid.isprintable()
        and name.isprintable()
        and subscription in _SUBSCRIPTIONS
        and pending_in is None
        and ask in FLAGS
        and approved in FLAGS
    )
    if not usual:
        _check_item(jid, name, subscription, ask, pending_in, approved)
    return RosterItem(
        jid, name, names_of_text(groups), subscription, bool(ask), pending_in, bool(approved)
    )


def _check_item(
    jid: str, name: str, subscription: str, ask: bool, pending_in: bytes | None, approved: bool
) -> None:
    check_text("jid", jid)
    check_text("name", name)
    if subscription not in _SUBSCRIPTIONS:
        raise unreadable("subscription", "is unknown")
    check_flag("ask", ask)
    if pending_in is not None:
        check_bytes("pending_in", pending_in)
    check_flag("approved", approved)


# When one of these is set aside, the roster is another one than before.
ROSTER_VERSION = Kind(
    "roster version",
    roster_versions,
    ("version",),
    _check_version,
    instead={"version": UNKNOWN_VERSION},
    moved=_raise_version,
)
ROSTER_ITEM = Kind(
    "contact",
    roster_items,
    ("jid", "name", "groups", "subscription", "ask", "pending_in", "approved"),
    _item,
    ("jid",),
    {"name": "", "groups": NO_GROUPS, "ask": False, "pending_in": None, "approved": False},
    moved=_raise_version,
)

__all__ = [
    "ROSTER_ITEM",
    "ROSTER_VERSION",
    "ROSTER_VERSION_STEP",
    "RosterData",
    "RosterItem",
    "RosterStore",
    "roster_items",
    "roster_version_step",
    "roster_versions",
    "save_items",
]
