"""Items: small values by (account, namespace, key), for features without tables of their own."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import starmap
from types import MappingProxyType

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    select,
)

from xmppd.store.checks import check_bytes, check_text
from xmppd.store.columns import OWNER, digest, digest_column, lock_owner, metadata, upsert
from xmppd.store.errors import AnotherVersion, QuotaExceeded
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind, RecordPlace
from xmppd.store.many import QUERY_SIZES, chunks, one_of, owner_parameters
from xmppd.store.usage import ITEMS, NOTHING, usage, use_of

NOTHING_EXPECTED: Mapping[str, bytes | None] = MappingProxyType({})

items = Table(
    "items",
    metadata,
    digest_column("owner"),
    digest_column("space"),
    digest_column("item"),
    Column("namespace", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("value", LargeBinary, nullable=False),
)

_this = (
    items.c.owner == OWNER,
    items.c.space == bindparam("space"),
    items.c.item == bindparam("item"),
)
_VALUE: Select[bytes] = select(items.c.value).where(*_this)
_VALUES: Select[str, bytes] = select(items.c.key, items.c.value).where(
    items.c.owner == OWNER, items.c.space == bindparam("space")
)
_USE: Select[int, int] = select(usage.c.count, usage.c.bytes).where(
    usage.c.owner == OWNER, usage.c.share == bindparam("all")
)
_KEPT: Select[str, bytes] = select(items.c.key, items.c.value).where(
    items.c.owner == OWNER,
    items.c.space == bindparam("space"),
    items.c.item.in_(bindparam("items", expanding=True)),
)
_SIZE: Select[int] = select(items.c.size).where(*_this)
_SAVE = upsert(items)
_FORGET: Delete = delete(items).where(*_this)


@dataclass(frozen=True, slots=True)
class Item:
    """A small value of an account.

    Attributes:
        namespace: Of the plugin or feature that uses it.
        key: Its name there.
        value: Bytes in the format of that feature.
    """

    namespace: str
    key: str
    value: bytes

    def kept(self, account: str) -> RecordPlace:
        """The key of its row."""
        found_by = {"owner": digest(account), "space": digest(self.namespace), "key": self.key}
        return RecordPlace(ITEM, found_by, {"value": self.value})


class ItemStore(RecordStore):
    """The small values of accounts."""

    async def get_item(self, account: str, namespace: str, key: str) -> bytes | None:
        """A value; None if there is none."""
        name = {"owner": digest(account), "space": digest(namespace), "item": digest(key)}

        async def read() -> bytes | None:
            found = await self._database.read(_VALUE, name)
            return _item(key, found[0][0])[1] if found else None

        return await self._sound(read, (ITEM,), name, account)

    async def get_items(self, account: str, namespace: str) -> dict[str, bytes]:
        """All values of a namespace by key."""
        name = {"owner": digest(account), "space": digest(namespace)}

        async def read() -> dict[str, bytes]:
            return dict(starmap(_item, await self._database.read(_VALUES, name)))

        return await self._sound(read, (ITEM,), name, account)

    async def who_has_item(self, accounts: Iterable[str], namespace: str, key: str) -> set[str]:
        """Those of these accounts that have a value of this key."""
        having: set[str] = set()
        name = {"space": digest(namespace), "item": digest(key)}
        for names in chunks(accounts):
            owners = owner_parameters(list(names))
            rows = await self._database.read(_having(len(owners)), {**owners, **name})
            having.update(names[owner] for (owner,) in rows)
        return having

    async def set_item(
        self,
        account: str,
        namespace: str,
        key: str,
        value: bytes | None,
        *,
        max_items: int,
        max_bytes: int,
        expected: Mapping[str, bytes | None] = NOTHING_EXPECTED,
    ) -> None:
        """Save a value, or delete it (None); the limits are of the whole account.

        Bytes are those of the keys and the values. The name need not be an account: a plugin may
        keep something for a domain or a room.

        Args:
            account: Or another name.
            namespace: Of the plugin or feature that uses it.
            key: Its name there.
            value: None to delete it.
            max_items: The number that the account may keep.
            max_bytes: The same in bytes.
            expected: By key of this namespace, values from which the change was decided, None where
                there was none.

        Raises:
            QuotaExceeded: There is no room.
            AnotherVersion: One of these values is another one.
        """
        if value is None:
            change = partial(delete_item, account=account, namespace=namespace, key=key)
        else:
            change = partial(
                _set,
                account=account,
                item=Item(namespace, key, value),
                max_items=max_items,
                max_bytes=max_bytes,
            )
        if expected:
            change = partial(_if_expected, account, namespace, dict(expected), change)
        await self._database.write(change)


@lru_cache(maxsize=len(QUERY_SIZES))
def _having(size: int) -> Select[bytes]:
    """Query for the owners, of so many, of an item."""
    return select(items.c.owner).where(
        one_of(items.c.owner, size),
        items.c.space == bindparam("space"),
        items.c.item == bindparam("item"),
    )


def _if_expected(
    account: str,
    namespace: str,
    expected: Mapping[str, bytes | None],
    change: Callable[[Connection], None],
    connection: Connection,
) -> None:
    """Make a change if these values are what they were."""
    names = {
        "owner": lock_owner(connection, account),
        "space": digest(namespace),
        "items": [digest(key) for key in expected],
    }
    kept = dict(connection.execute(_KEPT, names).tuples().all())
    if any(kept.get(key) != value for key, value in expected.items()):
        raise AnotherVersion("something else is kept there by now")
    change(connection)


def _set(connection: Connection, account: str, item: Item, max_items: int, max_bytes: int) -> None:
    """Keep a value if there is room."""
    owner = lock_owner(connection, account)
    name = {"owner": owner, "space": digest(item.namespace), "item": digest(item.key)}
    size = len(item.key.encode()) + len(item.value)
    found = connection.execute(_USE, {"owner": owner, "all": ITEMS}).tuples().first() or (0, 0)
    before = connection.execute(_SIZE, name).tuples().first()
    used, old = use_of(*found), NOTHING if before is None else use_of(1, *before)
    if used.count - old.count >= max_items or used.bytes - old.bytes + size > max_bytes:
        raise QuotaExceeded(account)
    save_item(connection, account, item)


def save_item(connection: Connection, account: str, item: Item) -> bytes:
    """Keep a value, whatever the account's quota; returns the digest of its name."""
    owner = lock_owner(connection, account)
    row = {
        "owner": owner,
        "space": digest(item.namespace),
        "item": digest(item.key),
        "namespace": item.namespace,
        "key": item.key,
        "size": len(item.key.encode()) + len(item.value),
        "value": item.value,
    }
    connection.execute(_SAVE.on(connection), row)
    return owner


def delete_item(connection: Connection, account: str, namespace: str, key: str) -> None:
    """Delete a value, if it is there."""
    name = {"owner": digest(account), "space": digest(namespace), "item": digest(key)}
    connection.execute(_FORGET, name)


def _item(key: str, value: bytes) -> tuple[str, bytes]:
    return check_text("key", key, in_xml=False), check_bytes("value", value)


ITEM = Kind("item", items, ("key", "value"), _item, ("namespace", "key"))

__all__ = ["ITEM", "Item", "ItemStore", "delete_item", "items", "save_item"]
