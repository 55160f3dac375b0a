"""Accounts: their keys, and the names of removed ones."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import starmap
from typing import TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Delete,
    Double,
    Index,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    func,
    select,
    update,
)

from xmppd.host.clocks import wall_clock
from xmppd.store import former_accounts
from xmppd.store.belongings import Belongings
from xmppd.store.cache import Cache
from xmppd.store.checks import (
    check_flag,
    check_moment,
    check_text,
)
from xmppd.store.columns import (
    ORDERED,
    OWNER,
    STAYS,
    digest,
    digest_column,
    insert_if_absent,
    lock_owner,
    metadata,
)
from xmppd.store.database import Database
from xmppd.store.devices import DEVICE, end_devices
from xmppd.store.errors import ChangeRefused
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind
from xmppd.store.last_presences import LAST_PRESENCE, PresenceStore, last_presences
from xmppd.store.scram_keys import (
    KEY,
    ScramKeys,
    add_keys,
    forget_keys,
    save_key,
    scram_keys,
    scram_keys_of,
)

MAX_CACHED_ACCOUNTS = 10_000

T = TypeVar("T")

accounts = Table(
    "accounts",
    metadata,
    digest_column("owner"),
    Column("account", ORDERED, nullable=False),
    digest_column("domain", primary_key=False),
    Column("created", Double, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_until", Double),
    Index(None, "domain", "account"),
    info={STAYS: True},  # until the account itself is removed
)

_CREDENTIALS: Select[bool, float | None, str | None, bytes, int, bytes, bytes] = (
    select(
        accounts.c.disabled,
        accounts.c.disabled_until,
        scram_keys.c.hash,
        scram_keys.c.salt,
        scram_keys.c.iterations,
        scram_keys.c.stored_key,
        scram_keys.c.server_key,
    )
    .select_from(accounts.outerjoin(scram_keys, scram_keys.c.owner == accounts.c.owner))
    .where(accounts.c.owner == OWNER)
)
_INFO: Select[str, float, bool, float | None, float | None] = select(
    accounts.c.account,
    accounts.c.created,
    accounts.c.disabled,
    accounts.c.disabled_until,
    last_presences.c.seen,
).select_from(accounts.outerjoin(last_presences, last_presences.c.owner == accounts.c.owner))
_ONE = _INFO.where(accounts.c.owner == OWNER)
_PAGE = (
    _INFO.where(accounts.c.domain == bindparam("domain"), accounts.c.account > bindparam("after"))
    .order_by(accounts.c.account)
    .limit(bindparam("limit"))
)
_COUNT: Select[int] = select(func.count()).where(accounts.c.domain == bindparam("domain"))

_ADD = insert_if_absent(accounts)
_FORGET: Delete = delete(accounts).where(accounts.c.owner == OWNER)
_EXISTS: Select[bytes] = select(accounts.c.owner).where(accounts.c.owner == OWNER)
_SET_DISABLED: Update = (
    update(accounts)
    .where(accounts.c.owner == bindparam("whose"))
    .values(disabled=bindparam("disabled"), disabled_until=bindparam("disabled_until"))
)
_KeysRow = tuple[bool, float | None, str | None, bytes, int, bytes, bytes]


class AccountExists(ChangeRefused):
    """An error: there is an account of this name already."""


class NoSuchAccount(ChangeRefused, LookupError):
    """An error: there is no account of this name."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The keys of an account, and whether it may log in.

    Attributes:
        account: Bare JID.
        keys: By name of the hash.
        disabled: Whether an administrator has disabled it, as it is now.
        disabled_until: When it is enabled by itself, or was, in seconds since 1970; None if it is
            disabled until somebody enables it, or was not disabled.
    """

    account: str
    keys: dict[str, ScramKeys]
    disabled: bool = False
    disabled_until: float | None = None


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """One line of a list of accounts; as :class:`Credentials` have it. Times in seconds since
    1970.
    """

    account: str
    created: float
    disabled: bool
    last_seen: float | None
    disabled_until: float | None = None


def nothing_more(connection: Connection) -> None:
    """Do nothing beside a change."""


C = TypeVar("C", Credentials, AccountInfo)


def at(now: float, known: C) -> C:
    """What is kept of an account, as it is at a moment: who was disabled until then is enabled.
    Nothing has to happen at that moment, so it comes at every node and whether or not one runs.
    """
    until = known.disabled_until
    if not known.disabled or until is None or now < until:
        return known
    return replace(known, disabled=False)


class AccountStore(RecordStore):
    """The accounts of the server.

    Args:
        database: Keeps them.
        presences: Their last presences.
        belongings: The tables whose rows go with them.
        now: Tells the time in seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        presences: PresenceStore,
        belongings: Belongings,
        now: Callable[[], float] = wall_clock,
    ) -> None:
        super().__init__(database, now)
        self._presences = presences
        self._belongings = belongings
        # Absence is kept as well: a name that is guessed is looked for once.
        self._credentials: Cache[Credentials | None] = Cache(MAX_CACHED_ACCOUNTS)

    async def credentials(self, account: str) -> Credentials | None:
        """The keys of this account; None if there is none."""
        if account in self._credentials:
            known = self._credentials[account]
            return None if known is None else at(self._now(), known)
        owner = {"owner": digest(account)}

        async def read() -> Credentials | None:
            return _credentials(account, await self._database.read(_CREDENTIALS, owner))

        credentials = await self._sound(read, (ACCOUNT, KEY), owner, account)
        if self._database.alone:
            self._credentials[account] = credentials
        return None if credentials is None else at(self._now(), credentials)

    async def exists(self, account: str) -> bool:
        """Whether there is such an account."""
        return await self.credentials(account) is not None

    async def create_account(
        self,
        account: str,
        keys: Sequence[ScramKeys],
        *,
        created: float | None = None,
        disabled: bool = False,
        also: Callable[[Connection], None] = nothing_more,
    ) -> None:
        """Add an empty account: rows that an earlier one of this name has left are removed.

        Args:
            account: Bare JID.
            keys: Of its password.
            created: When it was made elsewhere, in seconds since 1970; None for now.
            disabled: Whether it is closed to its owner.
            also: Is done in the same transaction.

        Raises:
            AccountExists: The name is taken.
        """
        # The last presence of an earlier account of this name must not be written into this one.
        await self._presences.write()
        change = partial(
            create,
            account=account,
            keys=tuple(keys),
            created=self._now() if created is None else created,
            belongings=self._belongings,
            disabled=disabled,
        )
        await self.change(account, change, also)

    async def set_keys(self, account: str, keys: Sequence[ScramKeys]) -> None:
        """Replace all keys of an account: a new password. Its devices' tokens end with the old one.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self._end_devices(account, partial(_set_keys, account=account, keys=tuple(keys)))

    async def add_key(self, account: str, key: ScramKeys, known: Mapping[str, ScramKeys]) -> bool:
        """Add a key for the same password, or replace the one under the same hash.

        Args:
            account: Bare JID.
            key: The new one.
            known: The account's keys when its owner proved to know the password.

        Returns:
            False if the account has other keys by now: then nothing has changed.
        """
        change = partial(_add_key, account=account, key=key, known=dict(known))
        return await self.change(account, change)

    async def delete_account(self, account: str) -> None:
        """Remove an account and all that belongs to it, in one transaction.

        Its place in shared groups and its roster's version go too.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        await self._presences.write()
        await self.change(account, partial(_delete, account=account, belongings=self._belongings))

    async def set_disabled(self, account: str, disabled: bool, until: float | None = None) -> None:
        """Disable an account, or enable it again. Disabling ends its devices' tokens.

        Args:
            account: Bare JID.
            disabled: Whether it is disabled from now on.
            until: When it is enabled by itself, in seconds since 1970; None for never.

        Raises:
            NoSuchAccount: There is none of this name.
        """
        change = partial(set_disabled, account=account, disabled=disabled, until=until)
        await self._end_devices(account, change)

    async def accounts(
        self, domain: str, *, after: str = "", limit: int = 1000
    ) -> list[AccountInfo]:
        """The accounts of a domain in order of their names, a page at a time."""
        await self._presences.write()
        page = {"domain": digest(domain), "after": after, "limit": limit}

        async def read() -> list[AccountInfo]:
            return list(starmap(_account_info, await self._database.read(_PAGE, page)))

        where = {"domain": page["domain"]}
        found = await self._sound(read, (ACCOUNT, LAST_PRESENCE), where)
        now = self._now()
        return [at(now, info) for info in found]

    async def info(self, account: str) -> AccountInfo | None:
        """What a list says of one account; None if there is none."""
        await self._presences.write()
        owner = {"owner": digest(account)}

        async def read() -> list[AccountInfo]:
            return list(starmap(_account_info, await self._database.read(_ONE, owner)))

        found = await self._sound(read, (ACCOUNT, LAST_PRESENCE), owner)
        return at(self._now(), found[0]) if found else None

    async def count_accounts(self, domain: str) -> int:
        """The number of accounts of a domain."""
        found = await self._database.read(_COUNT, {"domain": digest(domain)})
        return found[0][0]

    async def _end_devices(self, account: str, change: Callable[[Connection], None]) -> None:
        """Change an account such that its devices' tokens end."""
        ask = partial(self.change, account, change)
        await self._sound(ask, (DEVICE,), {"owner": digest(account)}, account)

    async def change(
        self,
        account: str,
        change: Callable[[Connection], T],
        also: Callable[[Connection], None] = nothing_more,
    ) -> T:
        """Change rows of an account in one transaction, such that it is read anew.

        Args:
            account: Bare JID.
            change: Is called in a thread.
            also: Is done behind it.
        """

        def both(connection: Connection) -> T:
            result = change(connection)
            also(connection)
            return result

        try:
            return await self._database.write(change if also is nothing_more else both)
        finally:
            self._credentials.forget(account)


def create(
    connection: Connection,
    account: str,
    keys: Sequence[ScramKeys],
    created: float,
    belongings: Belongings,
    *,
    disabled: bool = False,
) -> None:
    """Add an account that owns nothing but its keys."""
    owner = lock_owner(connection, account)
    row = {
        "owner": owner,
        "account": account,
        "domain": digest(account.rpartition("@")[2]),
        "created": created,
        "disabled": disabled,
    }
    if connection.execute(_ADD.on(connection), row).first() is None:
        raise AccountExists(account)
    belongings.forget(connection, owner)
    former_accounts.forget(connection, owner)
    add_keys(connection, owner, keys)


def exists(connection: Connection, account: str) -> bool:
    """Whether there is such an account."""
    return connection.execute(_EXISTS, {"owner": digest(account)}).first() is not None


def _set_keys(connection: Connection, account: str, keys: Sequence[ScramKeys]) -> None:
    owner = lock_owner(connection, account)
    if not exists(connection, account):
        raise NoSuchAccount(account)
    forget_keys(connection, owner)
    end_devices(connection, owner)
    add_keys(connection, owner, keys)


def _add_key(
    connection: Connection, account: str, key: ScramKeys, known: Mapping[str, ScramKeys]
) -> bool:
    """Add a key to those that are known, if these are still all there are."""
    owner = lock_owner(connection, account)
    found = connection.execute(_CREDENTIALS, {"owner": owner}).tuples().all()
    credentials = _credentials(account, found)
    if credentials is None or credentials.keys != known:
        return False
    save_key(connection, owner, key)
    return True


def _delete(connection: Connection, account: str, belongings: Belongings) -> None:
    owner = lock_owner(connection, account)
    if not connection.execute(_FORGET, {"owner": owner}).rowcount:
        raise NoSuchAccount(account)
    belongings.forget(connection, owner)


def set_disabled(
    connection: Connection, account: str, disabled: bool, until: float | None = None
) -> None:
    """Disable an account, or enable it again. Disabling ends its devices' tokens."""
    owner = lock_owner(connection, account)
    values = {
        "whose": owner,
        "disabled": disabled,
        "disabled_until": until if disabled else None,
    }
    if not connection.execute(_SET_DISABLED, values).rowcount:
        raise NoSuchAccount(account)
    if disabled:
        end_devices(connection, owner)


def _credentials(account: str, rows: Sequence[_KeysRow]) -> Credentials | None:
    """An account, of one row for each of its keys."""
    if not rows:
        return None
    keys = {row[2]: scram_keys_of(row[2], *row[3:]) for row in rows if row[2] is not None}
    disabled, until = rows[0][:2]
    if until is not None:
        check_moment("disabled_until", until)
    return Credentials(account, keys, check_flag("disabled", disabled), until)


def _account_info(
    account: str,
    created: float,
    disabled: bool,
    disabled_until: float | None,
    last_seen: float | None,
) -> AccountInfo:
    _check_account(account, created, disabled, disabled_until)
    if last_seen is not None:
        check_moment("seen", last_seen)
    return AccountInfo(account, created, bool(disabled), last_seen, disabled_until)


def _check_account(
    account: str, created: float, disabled: bool, disabled_until: float | None
) -> None:
    check_text("account", account)
    check_moment("created", created)
    check_flag("disabled", disabled)
    if disabled_until is not None:
        check_moment("disabled_until", disabled_until)


ACCOUNT = Kind(
    "account",
    accounts,
    ("account", "created", "disabled", "disabled_until"),
    _check_account,
    # Whether it is disabled is not known: then it is, until an administrator enables it.
    instead={"account": "", "created": 0.0, "disabled": True, "disabled_until": None},
)
__all__ = [
    "ACCOUNT",
    "AccountExists",
    "AccountInfo",
    "AccountStore",
    "Credentials",
    "NoSuchAccount",
    "accounts",
    "create",
    "exists",
    "nothing_more",
    "set_disabled",
]
