"""The store in a database."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import starmap
from typing import TypeVar

from msgspec import msgpack
from sqlalchemy import Connection
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from typing_extensions import override

from xmppd.host.clocks import wall_clock
from xmppd.store import changes, healing, kinds, queries, rows
from xmppd.store.base import (
    AccountInfo,
    Credentials,
    Damaged,
    Device,
    FormerAccount,
    HeldMessage,
    LastPresence,
    OfflineMessage,
    Quarantined,
    RosterData,
    RosterItem,
    SavedSession,
    ScramKeys,
    SharedGroup,
    Shares,
    StanzaPlace,
    Store,
    StoreError,
    Token,
    Unreadable,
)
from xmppd.store.cache import Cache
from xmppd.store.database import Database
from xmppd.store.engine import parse_url
from xmppd.store.kinds import Kind
from xmppd.store.last_presences import LastPresences
from xmppd.store.postgresql import PostgreSQLDatabase
from xmppd.store.quarantine import report
from xmppd.store.schema import digest
from xmppd.store.sqlite import SQLiteDatabase
from xmppd.store.watched import Watched

T = TypeVar("T")
_log = Logger()

MAX_CACHED_ACCOUNTS = 10_000
NO_LIMIT = 2**31 - 1
"""More rows than there are."""

START_LIMIT_S = 300.0
"""What a server that was stopped or killed has left behind may be much."""

STOP_LIMIT_S = 4.0
"""Somebody waits for a server that stops; and what is worth most is saved before it does."""


class SQLStore(Store):
    """A :class:`~xmppd.store.base.Store` in SQLite or PostgreSQL.

    Args:
        url: ``sqlite:///path`` or ``postgresql://user:password@host/database``.
        reactor: Tells the time, and threads report to it.
        pool_threads: Threads, and connections, to PostgreSQL.
        upgrade: Whether :meth:`open` may bring older tables up to date.
        may_create: Whether it may make a database that is not there, or has nothing in it.
        taken_over: Called, with the reason, when another server has taken the database, and this
            one may not use it any more.

    Raises:
        StoreError: The URL is not one of a database we can use.
    """

    def __init__(
        self,
        url: str,
        *,
        reactor: IReactorTime,
        pool_threads: int = 4,
        upgrade: bool = True,
        may_create: bool = True,
        taken_over: Callable[[str], None] = lambda why: None,
    ) -> None:
        self._clock = reactor
        self._upgrade, self._may_create = upgrade, may_create
        self._closed = False
        database = _database(url, IReactorFromThreads(reactor), pool_threads, taken_over)
        self._database = Watched(database, self._clock)
        self._last_presences = LastPresences(self._database, self._clock, self._heal_presences)
        # Absence is kept as well: a name that somebody guesses is looked for once.
        self._credentials: Cache[Credentials | None] = Cache(MAX_CACHED_ACCOUNTS)
        self._nothing_waits: Cache[bool] = Cache(MAX_CACHED_ACCOUNTS)

    @override
    async def open(self) -> None:
        await self._database.open(self._upgrade, self._may_create)

    @override
    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._last_presences.close()
            await self._database.close()
        except StoreError as error:
            _log.error("the database is left as it is: {error}", error=error)

    @override
    async def credentials(self, account: str) -> Credentials | None:
        if account in self._credentials:
            return self._credentials[account]
        owner = {"owner": digest(account)}

        async def read() -> Credentials | None:
            return rows.credentials(account, await self._database.read(queries.CREDENTIALS, owner))

        credentials = await self._sound(read, (kinds.ACCOUNT, kinds.KEY), owner, account)
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
        await self._end_devices(account, change)

    @override
    async def add_key(self, account: str, key: ScramKeys, known: Mapping[str, ScramKeys]) -> bool:
        change = partial(changes.add_key, account=account, key=key, known=dict(known))
        return await self._change_account(account, change)

    @override
    async def delete_account(self, account: str) -> None:
        await self._last_presences.write()
        await self._change_account(account, partial(changes.delete_account, account=account))

    @override
    async def reserve_name(self, account: str, *, until: float, now: float) -> None:
        change = partial(changes.reserve_name, account=account, until=until, now=now)
        ask = partial(self._database.write, change)
        owner = {"owner": digest(account)}
        await self._sound(ask, (kinds.ACCOUNT, kinds.KEY), owner, account)

    @override
    async def former_account(self, account: str) -> FormerAccount | None:
        owner = {"owner": digest(account)}

        async def read() -> FormerAccount | None:
            found = await self._database.read(queries.FORMER_ACCOUNT, owner)
            return rows.former_account(*found[0]) if found else None

        return await self._sound(read, (kinds.FORMER_ACCOUNT,), owner, account)

    @override
    async def set_disabled(self, account: str, disabled: bool) -> None:
        change = partial(changes.set_disabled, account=account, disabled=disabled)
        await self._end_devices(account, change)

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

        async def read() -> list[AccountInfo]:
            found = await self._database.read(queries.ACCOUNTS, page)
            return list(starmap(rows.account_info, found))

        where = {"domain": page["domain"]}
        return await self._sound(read, (kinds.ACCOUNT, kinds.LAST_PRESENCE), where)

    @override
    async def count_accounts(self, domain: str) -> int:
        found = await self._database.read(queries.COUNT_ACCOUNTS, {"domain": digest(domain)})
        return found[0][0]

    @override
    async def roster(self, account: str) -> RosterData:
        owner = {"owner": digest(account)}

        async def read() -> RosterData:
            return rows.roster(await self._database.read(queries.ROSTER, owner))

        kind = (kinds.ROSTER_VERSION, kinds.ROSTER_ITEM)
        return await self._sound(read, kind, owner, account)

    @override
    async def save_roster_items(self, account: str, items: Sequence[RosterItem]) -> int:
        change = partial(changes.save_roster_items, account=account, items=tuple(items))
        return await self._database.write(change)

    @override
    async def delete_roster_item(self, account: str, jid: str) -> int:
        change = partial(changes.delete_roster_item, account=account, jid=jid)
        return await self._database.write(change)

    @override
    async def raise_roster_version(self, account: str) -> int:
        return await self._database.write(partial(changes.raise_roster_version, account=account))

    @override
    async def shared_groups(self) -> list[SharedGroup]:
        async def read() -> list[SharedGroup]:
            return rows.shared_groups(await self._database.read(queries.SHARED_GROUPS, {}))

        return await self._sound(read, (kinds.SHARED_GROUP, kinds.MEMBER), {})

    @override
    async def save_shared_group(self, group: SharedGroup) -> None:
        await self._database.write(partial(changes.save_shared_group, group=group))

    @override
    async def delete_shared_group(self, name: str) -> None:
        await self._database.write(partial(changes.delete_shared_group, name=name))

    @property
    @override
    def writes_in_order(self) -> bool:
        return self._database.alone

    @override
    async def store_offline(
        self,
        account: str,
        stanza: bytes,
        *,
        sender: str,
        sender_domain: str | None = None,
        stored: float,
        max_messages: int,
        max_bytes: int,
        place: StanzaPlace | None = None,
    ) -> int:
        change = partial(
            changes.store_offline,
            account=account,
            stanza=stanza,
            sender=sender,
            sender_domain=sender_domain,
            stored=stored,
            max_messages=max_messages,
            max_bytes=max_bytes,
            place=place,
        )
        self._nothing_waits.forget(account)
        try:
            return await self._database.write(change)
        finally:
            self._nothing_waits.forget(account)  # who looked meanwhile saw none yet

    @override
    async def offline_use(self, account: str, sender: str, sender_domain: str | None) -> Shares:
        shares = rows.shares(sender, sender_domain)
        use = {"owner": digest(account), **shares}
        return rows.offline_use(await self._database.read(queries.OFFLINE_USE, use), shares)

    @override
    async def offline_messages(
        self, account: str, *, after: int = 0, limit: int | None = None
    ) -> list[OfflineMessage]:
        if account in self._nothing_waits:
            return []
        owner = {"owner": digest(account)}
        page = {**owner, "after": after, "limit": limit or NO_LIMIT}

        async def read() -> list[OfflineMessage]:
            found = await self._database.read(queries.OFFLINE_MESSAGES, page)
            return list(starmap(rows.offline_message, found))

        waiting = await self._sound(read, (kinds.OFFLINE_MESSAGE,), owner, account)
        if not waiting and not after and self._database.alone:
            self._nothing_waits[account] = True
        return waiting

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
        owner = {"owner": digest(account)}

        async def read() -> list[Device]:
            return list(starmap(rows.device, await self._database.read(queries.DEVICES, owner)))

        return await self._sound(read, (kinds.DEVICE,), owner, account)

    @override
    async def device(self, account: str, id: str) -> Device | None:
        this = {"owner": digest(account), "device": digest(id)}

        async def read() -> Device | None:
            found = await self._database.read(queries.DEVICE, this)
            return rows.device(*found[0]) if found else None

        return await self._sound(read, (kinds.DEVICE,), this, account)

    @override
    async def add_token(
        self, account: str, device: Device, token: Token, *, max_devices: int
    ) -> None:
        change = partial(
            changes.add_token, account=account, device=device, token=token, max_devices=max_devices
        )
        await self._change_devices(account, change)

    @override
    async def use_token(
        self, account: str, id: str, nonce: bytes, count: int | None, seen: float
    ) -> bool:
        change = partial(
            changes.use_token, account=account, id=id, nonce=nonce, count=count, seen=seen
        )
        return await self._change_devices(account, change)

    @override
    async def end_token(self, account: str, id: str) -> None:
        await self._change_devices(account, partial(changes.end_token, account=account, id=id))

    @override
    async def end_device(self, account: str, id: str) -> bool:
        change = partial(changes.end_device, account=account, id=id)
        return await self._change_devices(account, change)

    @override
    async def get_item(self, account: str, namespace: str, key: str) -> bytes | None:
        name = {"owner": digest(account), "space": digest(namespace), "item": digest(key)}

        async def read() -> bytes | None:
            found = await self._database.read(queries.ITEM, name)
            return rows.item(key, found[0][0])[1] if found else None

        return await self._sound(read, (kinds.ITEM,), name, account)

    @override
    async def get_items(self, account: str, namespace: str) -> dict[str, bytes]:
        name = {"owner": digest(account), "space": digest(namespace)}

        async def read() -> dict[str, bytes]:
            return dict(starmap(rows.item, await self._database.read(queries.ITEMS, name)))

        return await self._sound(read, (kinds.ITEM,), name, account)

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
        await self._database.write(change, STOP_LIMIT_S)

    @override
    async def saved_sessions(self) -> list[SavedSession]:
        async def read() -> list[SavedSession]:
            return list(
                starmap(rows.saved_session, await self._database.read(queries.SESSIONS, {}))
            )

        return await self._sound(read, (kinds.SESSION,), {})

    @override
    async def take_up_sessions(
        self, *, held: Sequence[HeldMessage], lost: Sequence[HeldMessage]
    ) -> list[int]:
        change = partial(changes.take_up_sessions, held=tuple(held), lost=tuple(lost))
        numbers = await self._database.write(change, START_LIMIT_S)
        for message in lost:
            self._nothing_waits.forget(message.account)
        return numbers

    @override
    async def place_messages(self, places: Sequence[StanzaPlace]) -> None:
        await self._database.write(partial(changes.place_messages, places=tuple(places)))

    @override
    async def hold_messages(
        self, messages: Sequence[HeldMessage], *, arrived: Sequence[int]
    ) -> list[int]:
        change = partial(changes.hold_messages, messages=tuple(messages), arrived=tuple(arrived))
        return await self._database.write(change)

    @override
    async def recover_messages(self) -> list[HeldMessage]:
        recover = partial(self._database.write, changes.recover_messages, START_LIMIT_S)
        recovered = await self._sound(recover, (kinds.HELD_MESSAGE,), {})
        for message in recovered:
            self._nothing_waits.forget(message.account)
        return recovered

    @override
    async def set_aside(self, account: str, damaged: Sequence[Damaged]) -> list[Quarantined]:
        now = wall_clock()
        change = partial(healing.set_aside, account=account, damaged=tuple(damaged), now=now)
        return await self._database.write(change)

    @override
    async def quarantined(
        self, *, account: str = "", after: int = 0, limit: int = 1000
    ) -> list[Quarantined]:
        page: dict[str, object] = {"after": after, "limit": limit}
        if account:
            page["owner"] = digest(account)
        query = queries.QUARANTINED_OF if account else queries.QUARANTINED
        return list(starmap(Quarantined, await self._database.read(query, page)))

    @override
    async def quarantined_fields(self, number: int) -> dict[str, object] | None:
        found = await self._database.read(queries.QUARANTINED_FIELDS, {"number": number})
        return msgpack.decode(found[0][0], type=dict[str, object]) if found else None

    @override
    async def forget_quarantined(self, numbers: Sequence[int]) -> int:
        change = partial(changes.forget_quarantined, numbers=tuple(numbers))
        return await self._database.write(change)

    @override
    async def count_quarantined(self) -> int:
        return (await self._database.read(queries.QUARANTINE_USE, {}))[0][0]

    async def _sound(
        self,
        ask: Callable[[], Awaitable[T]],
        damaged: Sequence[Kind],
        where: Mapping[str, object],
        account: str = "",
    ) -> T:
        """What is asked; if a row is not sound, the tables concerned are healed, and asked again.

        Args:
            ask: Reads the rows, or changes something that depends on them.
            damaged: Of which kinds they are.
            where: The columns by which they are found.
            account: Whose they are; empty if they say so themselves.
        """
        try:
            return await ask()
        except Unreadable:
            await self._heal(damaged, where, account)
            return await ask()

    async def _heal(
        self, damaged: Sequence[Kind], where: Mapping[str, object], account: str = ""
    ) -> None:
        change = partial(
            healing.heal, kinds=damaged, where=where, account=account, now=wall_clock()
        )
        report(await self._database.write(change))

    async def _heal_presences(self, account: str) -> None:
        await self._heal((kinds.LAST_PRESENCE,), {"owner": digest(account)}, account)

    async def _change_devices(self, account: str, change: Callable[[Connection], T]) -> T:
        ask = partial(self._database.write, change)
        return await self._sound(ask, (kinds.DEVICE,), {"owner": digest(account)}, account)

    async def _end_devices(self, account: str, change: Callable[[Connection], None]) -> None:
        """Change an account such that its devices' tokens end."""
        ask = partial(self._change_account, account, change)
        await self._sound(ask, (kinds.DEVICE,), {"owner": digest(account)}, account)

    async def _change_account(self, account: str, change: Callable[[Connection], T]) -> T:
        try:
            return await self._database.write(change)
        finally:
            self._credentials.forget(account)


def make_store(
    url: str,
    *,
    reactor: IReactorTime,
    pool_threads: int = 4,
    upgrade: bool = True,
    may_create: bool = True,
    taken_over: Callable[[str], None] = lambda why: None,
) -> Store:
    """The store a URL names, by the arguments of :class:`SQLStore`; still to be opened.

    Raises:
        StoreError: The URL is not one of a database we can use.
    """
    return SQLStore(
        url,
        reactor=reactor,
        pool_threads=pool_threads,
        upgrade=upgrade,
        may_create=may_create,
        taken_over=taken_over,
    )


def _database(
    url: str, reactor: IReactorFromThreads, pool_threads: int, taken_over: Callable[[str], None]
) -> Database:
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SQLiteDatabase(parsed, reactor)
    return PostgreSQLDatabase(parsed, reactor, pool_threads, taken_over)


__all__ = ["SQLStore", "make_store"]
