"""Former accounts: names of removed accounts, which are reserved for some time."""

from dataclasses import dataclass
from functools import partial

from msgspec import json
from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Double,
    Index,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    select,
)

from xmppd.store.checks import check_moment, json_text, json_value
from xmppd.store.columns import (
    OWNER,
    STAYS,
    digest,
    digest_column,
    lock_owner,
    metadata,
    upsert,
)
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind
from xmppd.store.scram_keys import KEY, ScramKeys, check_rounds, keys_of

# The key is a text of JSON.
former_accounts = Table(
    "former_accounts",
    metadata,
    digest_column("owner"),
    Column("until", Double, nullable=False),
    Column("key", Text),
    Index(None, "until"),
    sqlite_with_rowid=False,
    info={STAYS: True},
)

_ONE: Select[float, str | None] = select(former_accounts.c.until, former_accounts.c.key).where(
    former_accounts.c.owner == OWNER
)
_SAVE = upsert(former_accounts)
_FORGET: Delete = delete(former_accounts).where(former_accounts.c.owner == OWNER)
_FORGET_OVER: Delete = delete(former_accounts).where(former_accounts.c.until <= bindparam("now"))


@dataclass(frozen=True, slots=True)
class FormerAccount:
    """The name of a removed account, which is reserved for some time.

    Attributes:
        until: The end of that time, in seconds since 1970.
        key: Of the last password, which the former owner knows; None if it had none.
    """

    until: float
    key: ScramKeys | None


_key_decoder = json.Decoder(ScramKeys)


class FormerAccountStore(RecordStore):
    """The names that are reserved."""

    async def reserve_name(self, account: str, *, until: float, now: float) -> None:
        """Keep the name of an account that is about to be removed, until an account is made of it.

        Reservations that are over are forgotten.

        Args:
            account: Bare JID.
            until: The end of that time, in seconds since 1970.
            now: The time, likewise.
        """
        change = partial(_reserve, account=account, until=until, now=now)
        ask = partial(self._database.write, change)
        await self._sound(ask, (KEY,), {"owner": digest(account)}, account)

    async def former_account(self, account: str) -> FormerAccount | None:
        """The reserved name of a removed account; its time may be over."""
        owner = {"owner": digest(account)}

        async def read() -> FormerAccount | None:
            found = await self._database.read(_ONE, owner)
            return _former(*found[0]) if found else None

        return await self._sound(read, (FORMER_ACCOUNT,), owner, account)


def _reserve(connection: Connection, account: str, until: float, now: float) -> None:
    """Keep a name and one of its keys, and forget reservations that are over."""
    owner = lock_owner(connection, account)
    key = next(iter(keys_of(connection, owner)), None)
    connection.execute(_FORGET_OVER, {"now": now})
    row = {"owner": owner, "until": until, "key": None if key is None else json_text(key)}
    connection.execute(_SAVE.on(connection), row)


def forget(connection: Connection, owner: bytes) -> None:
    """End the reservation of a name."""
    connection.execute(_FORGET, {"owner": owner})


def _former(until: float, key: str | None) -> FormerAccount:
    kept = None if key is None else json_value("key", key, _key_decoder)
    if kept is not None:
        check_rounds("key", kept.iterations)
    return FormerAccount(check_moment("until", until), kept)


FORMER_ACCOUNT = Kind(
    "former account",
    former_accounts,
    ("until", "key"),
    _former,
    instead={"key": None},
)

__all__ = ["FORMER_ACCOUNT", "FormerAccount", "FormerAccountStore", "forget", "former_accounts"]
