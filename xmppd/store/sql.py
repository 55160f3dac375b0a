"""The store in a database."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import starmap
from typing import TypeVar

from sqlalchemy import Connection
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from typing_extensions import override

from xmppd.clocks import wall_clock
from xmppd.store import changes, queries, rows
from xmppd.store.base import (
    AccountInfo,
    Credentials,
    Device,
    HeldMessage,
    LastPresence,
    OfflineMessage,
    RosterData,
    RosterItem,
    SavedSession,
    ScramKeys,
    SharedGroup,
    Store,
    Token,
)
from xmppd.store.cache import Cache
from xmppd.store.database import Database
from xmppd.store.engine import parse_url
from xmppd.store.last_presences import LastPresences
from xmppd.store.postgresql import PostgreSQLDatabase
from xmppd.store.schema import digest
from xmppd.store.sqlite import SQLiteDatabase
from xmppd.store.watched import Watched

T = TypeVar("T")
MAX_CACHED_ACCOUNTS = 10_000


class SQLStore(Store):
    """A :class:`~xmppd.store.base.Store` in SQLite or PostgreSQL.

    Args:
        url: ``sqlite:///path`` or ``postgresql://user:password@host/database``.
        reactor: Tells the time, and threads report to it.
        pool_threads: Threads, and connections, to PostgreSQL.
        upgrade: Whether :meth:`open` may bring older tables up to date.

    Raises:
        StoreError: The URL is not one of a database we can use.
    """

    def __init__(
        self, url: str, *, reactor: IReactorTime, pool_threads: int = 4, upgrade: bool = True
    ) -> None:
        self._clock = reactor
        self._upgrade = upgrade
        database = _database(url, IReactorFromThreads(reactor), pool_threads)
        self._database = Watched(database, self._clock)
        self._last_presences = LastPresences(self._database, self._clock)
        # Absence is kept as well: a name that somebody guesses is looked for once.
        self._credentials: Cache[Credentials | None] = Cache(MAX_CACHED_ACCOUNTS)
        self._nothing_waits: Cache[bool] = Cache(MAX_CACHED_ACCOUNTS)

    @override
    async def open(self) -> None:
        await self._database.open(self._upgrade)

    @override
    async def close(self) -> None:
        try:
            await self._last_presences.close()
        finally:
            await self._database.close()

    @override
    async def credentials(self, account: str) -> Credentials | None:
        if account in self._credentials:
            return self._credentials[account]
        found = await self._database.read(queries.CREDENTIALS, {"owner": digest(account)})
        credentials = rows.credentials(account, found)
        if self._database.alone:
            self._credentials[account] = credentials
        return credentials

    @override
    async def exists(self, account: str) -> bool:
        return await self.credentials(account) is not None

    @override
    async def create_account(self, account: str, keys: Sequence[ScramKeys]) -> None:
        # What was noted of an earlier account of this name must not be written into this one.
        await self._last_presences.write()
        created = wall_clock()
        await self._change_account(
            account,
            partial(changes.create_account, account=account, keys=tuple(keys), created=created),
        )

    @override
    async def set_keys(self, account: str, keys: Sequence[ScramKeys]) -> None:
        change = partial(changes.set_keys, account=account, keys=tuple(keys))
        await self._change_account(account, change)

    @override
    async def add_key(self, account: str, key: ScramKeys, known: Mapping[str, ScramKeys]) -> bool:
        change = partial(changes.add_key, account=account, key=key, known=dict(known))
        return await self._change_account(account, change)

    @override
    async def delete_account(self, account: str) -> None:
        await self._last_presences.write()
        await self._change_account(account, partial(changes.delete_account, account=account))

    @override
    async def set_disabled(self, account: str, disabled: bool) -> None:
        change = partial(changes.set_disabled, account=account, disabled=disabled)
        await self._change_account(account, change)

    @override
    async def set_locked(self, account: str, until: float) -> None:
        change = partial(changes.set_locked, account=account, until=until)
        await self._change_account(account, change)

    @override
    async def accounts(
        self, domain: str, *, after: str = "", limit: int = 1000
    ) -> list[AccountInfo]:
        await self._last_presences.write()
        page = {"domain": digest(domain), "after": after, "limit": limit}
        found = await self._database.read(queries.ACCOUNTS, page)
        return [
            AccountInfo(account, created, bool(disabled), locked_until, last_seen)
            for account, created, disabled, locked_until, last_seen in found
        ]

    @override
    async def count_accounts(self, domain: str) -> int:
        found = await self._database.read(queries.COUNT_ACCOUNTS, {"domain": digest(domain)})
        return found[0][0]

    @override
    async def roster(self, account: str) -> RosterData:
        return rows.roster(await self._database.read(queries.ROSTER, {"owner": digest(account)}))

    @override
    async def save_roster_items(self, account: str, items: Sequence[RosterItem]) -> int:
        change = partial(changes.save_roster_items, account=account, items=tuple(items))
        return await self._database.write(change)

    @override
    async def delete_roster_item(self, account: str, jid: str) -> int:
        change = partial(changes.delete_roster_item, account=account, jid=jid)
        return await self._database.write(change)

    @override
    async def shared_groups(self) -> list[SharedGroup]:
        return rows.shared_groups(await self._database.read(queries.SHARED_GROUPS, {}))

    @override
    async def save_shared_group(self, group: SharedGroup) -> None:
        await self._database.write(partial(changes.save_shared_group, group=group))

    @override
    async def delete_shared_group(self, name: str) -> None:
        await self._database.write(partial(changes.delete_shared_group, name=name))

    @override
    async def store_offline(
        self, account: str, stanza: bytes, *, stored: float, max_messages: int, max_bytes: int
    ) -> int:
        change = partial(
            changes.store_offline,
            account=account,
            stanza=stanza,
            stored=stored,
            max_messages=max_messages,
            max_bytes=max_bytes,
        )
        self._nothing_waits.forget(account)
        try:
            return await self._database.write(change)
        finally:
            self._nothing_waits.forget(account)  # who looked meanwhile saw none yet

    @override
    async def offline_messages(self, account: str) -> list[OfflineMessage]:
        if account in self._nothing_waits:
            return []
        waiting = {"owner": digest(account)}
        found = await self._database.read(queries.OFFLINE_MESSAGES, waiting)
        if not found and self._database.alone:
            self._nothing_waits[account] = True
        return list(starmap(OfflineMessage, found))

    @override
    async def delete_offline(self, account: str, ids: Iterable[int]) -> None:
        change = partial(changes.delete_offline, account=account, ids=tuple(ids))
        await self._database.write(change)

    @override
    async def last_presence(self, accounts: Sequence[str]) -> dict[str, LastPresence]:
        return await self._last_presences.find(accounts)

    @override
    async def save_last_presence(self, account: str, last: LastPresence) -> None:
        await self._last_presences.save(account, last)

    @override
    async def devices(self, account: str) -> list[Device]:
        found = await self._database.read(queries.DEVICES, {"owner": digest(account)})
        return [rows.device(row) for row in found]

    @override
    async def device(self, account: str, id: str) -> Device | None:
        this = {"owner": digest(account), "device": digest(id)}
        found = await self._database.read(queries.DEVICE, this)
        return rows.device(found[0]) if found else None

    @override
    async def add_token(
        self, account: str, device: Device, token: Token, *, max_devices: int
    ) -> None:
        change = partial(
            changes.add_token, account=account, device=device, token=token, max_devices=max_devices
        )
        await self._database.write(change)

    @override
    async def use_token(
        self, account: str, id: str, nonce: bytes, count: int | None, seen: float
    ) -> bool:
        change = partial(
            changes.use_token, account=account, id=id, nonce=nonce, count=count, seen=seen
        )
        return await self._database.write(change)

    @override
    async def forget_token(self, account: str, id: str) -> None:
        await self._database.write(partial(changes.forget_token, account=account, id=id))

    @override
    async def forget_device(self, account: str, id: str) -> bool:
        change = partial(changes.forget_device, account=account, id=id)
        return await self._database.write(change)

    @override
    async def get_item(self, account: str, namespace: str, key: str) -> bytes | None:
        name = {"owner": digest(account), "space": digest(namespace), "item": digest(key)}
        found = await self._database.read(queries.ITEM, name)
        return found[0][0] if found else None

    @override
    async def get_items(self, account: str, namespace: str) -> dict[str, bytes]:
        name = {"owner": digest(account), "space": digest(namespace)}
        return dict(await self._database.read(queries.ITEMS, name))

    @override
    async def set_item(
        self,
        account: str,
        namespace: str,
        key: str,
        value: bytes | None,
        *,
        max_items: int,
        max_bytes: int,
    ) -> None:
        if value is None:
            change = partial(changes.delete_item, account=account, namespace=namespace, key=key)
        else:
            change = partial(
                changes.set_item,
                account=account,
                namespace=namespace,
                key=key,
                value=value,
                max_items=max_items,
                max_bytes=max_bytes,
            )
        await self._database.write(change)

    @override
    async def save_sessions(
        self, sessions: Sequence[SavedSession], *, theirs: Mapping[str, Sequence[int]]
    ) -> None:
        change = partial(changes.save_sessions, sessions=tuple(sessions), theirs=dict(theirs))
        await self._database.write(change)

    @override
    async def take_sessions(self) -> list[SavedSession]:
        return await self._database.write(changes.take_sessions)

    @override
    async def forget_sessions(self, keys: Sequence[bytes]) -> None:
        await self._database.write(partial(changes.forget_sessions, keys=tuple(keys)))

    @override
    async def hold_messages(
        self, messages: Sequence[HeldMessage], *, arrived: Sequence[int]
    ) -> list[int]:
        change = partial(changes.hold_messages, messages=tuple(messages), arrived=tuple(arrived))
        return await self._database.write(change)

    @override
    async def recover_messages(self) -> list[HeldMessage]:
        recovered = await self._database.write(changes.recover_messages)
        for message in recovered:
            self._nothing_waits.forget(message.account)
        return recovered

    async def _change_account(self, account: str, change: Callable[[Connection], T]) -> T:
        try:
            return await self._database.write(change)
        finally:
            self._credentials.forget(account)


def make_store(
    url: str, *, reactor: IReactorTime, pool_threads: int = 4, upgrade: bool = True
) -> Store:
    """The store a URL names; still to be opened.

    Raises:
        StoreError: The URL is not one of a database we can use.
    """
    return SQLStore(url, reactor=reactor, pool_threads=pool_threads, upgrade=upgrade)


def _database(url: str, reactor: IReactorFromThreads, pool_threads: int) -> Database:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SQLiteDatabase(parsed, reactor)
    return PostgreSQLDatabase(parsed, reactor, pool_threads)


__all__ = ["SQLStore", "make_store"]
