"""Shared groups: their members see each other without asking."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Index,
    Insert,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
)

from xmppd.stanza import JID
from xmppd.store.checks import (
    NO_GROUPS,
    check_integer,
    check_text,
    names_of_text,
    names_to_text,
    unreadable,
)
from xmppd.store.columns import ORDERED, digest, digest_column, lock_owner, metadata, upsert
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind

shared_groups = Table(
    "shared_groups",
    metadata,
    digest_column("id"),
    Column("name", ORDERED, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("visible_to", Text, nullable=False),
    Column("groups", Text, nullable=False),
)

shared_group_members = Table(
    "shared_group_members",
    metadata,
    digest_column("shared_group"),
    digest_column("owner"),
    Column("account", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Index(None, "owner"),
    sqlite_with_rowid=False,
)

_ALL: Select[str, str, str, str, str | None] = (
    select(
        shared_groups.c.name,
        shared_groups.c.display_name,
        shared_groups.c.visible_to,
        shared_groups.c.groups,
        shared_group_members.c.account,
    )
    .select_from(
        shared_groups.outerjoin(
            shared_group_members, shared_group_members.c.shared_group == shared_groups.c.id
        )
    )
    .order_by(shared_groups.c.name, shared_group_members.c.position)
)
_SAVE = upsert(shared_groups)
_FORGET: Delete = delete(shared_groups).where(shared_groups.c.id == bindparam("group"))
_ADD_MEMBERS: Insert = insert(shared_group_members)
_FORGET_MEMBERS: Delete = delete(shared_group_members).where(
    shared_group_members.c.shared_group == bindparam("group")
)

_VISIBLE_TO = frozenset(("members", "everybody"))
_MemberRow = tuple[str, str, str, str, str | None]


@dataclass(frozen=True, slots=True)
class SharedGroup:
    """A group whose members see each other without asking (Openfire's shared groups).

    Attributes:
        name: Unique on this server.
        display_name: Its name in rosters.
        members: Bare JIDs.
        visible_to: ``members`` or ``everybody``: the accounts that have it in their rosters.
        groups: Names of further groups in whose members' rosters it is shown.
    """

    name: str
    display_name: str
    members: tuple[str, ...] = ()
    visible_to: str = "members"
    groups: tuple[str, ...] = ()


class SharedGroupStore(RecordStore):
    """The shared groups."""

    async def shared_groups(self) -> list[SharedGroup]:
        """All shared groups by name."""

        async def read() -> list[SharedGroup]:
            return _groups(await self._database.read(_ALL, {}))

        return await self._sound(read, (SHARED_GROUP, MEMBER), {})

    async def save_shared_group(self, group: SharedGroup) -> None:
        """Add or replace a shared group."""
        await self._database.write(partial(_save, group=group))

    async def delete_shared_group(self, name: str) -> None:
        """Remove a shared group; no error if it is not there."""
        await self._database.write(partial(_delete, name=name))


def _save(connection: Connection, group: SharedGroup) -> None:
    """Add or replace a group and all its members."""
    key = lock_owner(connection, group.name)
    row = {
        "id": key,
        "name": group.name,
        "display_name": group.display_name,
        "visible_to": group.visible_to,
        "groups": names_to_text(group.groups),
    }
    connection.execute(_SAVE.on(connection), row)
    connection.execute(_FORGET_MEMBERS, {"group": key})
    members = [
        {"shared_group": key, "owner": digest(account), "account": account, "position": position}
        for position, account in enumerate(dict.fromkeys(group.members))
    ]
    if members:
        connection.execute(_ADD_MEMBERS, members)


def _delete(connection: Connection, name: str) -> None:
    key = lock_owner(connection, name)
    connection.execute(_FORGET_MEMBERS, {"group": key})
    connection.execute(_FORGET, {"group": key})


def _groups(rows: Iterable[_MemberRow]) -> list[SharedGroup]:
    """Groups, of one row for each member; a row without one if it has no members."""
    found: list[SharedGroup] = []
    for group, members in groupby(rows, lambda row: row[:4]):
        _check_group(*group)
        name, display_name, visible_to, groups = group
        accounts = [row[4] for row in members if row[4] is not None]
        for account in accounts:
            _check_member(account)
        found.append(
            SharedGroup(name, display_name, tuple(accounts), visible_to, names_of_text(groups))
        )
    return found


def _check_group(name: str, display_name: str, visible_to: str, groups: str) -> None:
    check_text("name", name)
    check_text("display_name", display_name)
    if visible_to not in _VISIBLE_TO:
        raise unreadable("visible_to", "is neither members nor everybody")
    names_of_text(groups)


def _check_member(account: str, position: int = 0) -> None:
    check_integer("position", position)
    try:
        prepared = JID.parse(check_text("account", account))
    except ValueError as error:
        raise unreadable("account", str(error)) from error
    if prepared.bare != account:
        raise unreadable("account", "is not prepared")


SHARED_GROUP = Kind(
    "shared group",
    shared_groups,
    ("name", "display_name", "visible_to", "groups"),
    _check_group,
    ("name",),
    {"display_name": "", "visible_to": "members", "groups": NO_GROUPS},
)
MEMBER = Kind(
    "member of a shared group",
    shared_group_members,
    ("account", "position"),
    _check_member,
)

__all__ = [
    "MEMBER",
    "SHARED_GROUP",
    "SharedGroup",
    "SharedGroupStore",
    "shared_group_members",
    "shared_groups",
]
