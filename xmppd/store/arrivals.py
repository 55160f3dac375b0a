"""Arrivals: accounts that move in, each marked and closed to its owner until it is whole (IM-1)."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from xmppd.store.accounts import AccountStore, NoSuchAccount, exists, set_disabled
from xmppd.store.columns import digest
from xmppd.store.held import HeldMessage
from xmppd.store.items import Item, ItemStore, delete_item, save_item
from xmppd.store.key_kinds import KeyKind, KeyKindStore
from xmppd.store.offline import OfflineStore, add_message
from xmppd.store.rosters import RosterItem, save_items
from xmppd.store.scram_keys import ScramKeys, keys_of, save_key

NS = "urn:xmppd:arriving"
_MARK = Item(NS, "", b"1")


class Arrival(NamedTuple):
    """An account that moves in, or more of one.

    Attributes:
        account: Bare JID.
        keys: Of its password.
        contacts: Of its roster.
        messages: Those that wait, as bytes, and the time when each came, in seconds since 1970;
            None for now.
        created: When the account was made, likewise.
    """

    account: str
    keys: Sequence[ScramKeys] = ()
    contacts: Sequence[RosterItem] = ()
    messages: Sequence[tuple[bytes, float | None]] = ()
    created: float | None = None


class ArrivalStore:
    """The accounts that move in.

    Args:
        accounts: All accounts.
        offline: Messages that wait for them.
        items: Keep the marks, which go with their accounts.
        key_kinds: The kinds of keys that they bring.
        now: Tells the time in seconds since 1970.
    """

    def __init__(
        self,
        accounts: AccountStore,
        offline: OfflineStore,
        items: ItemStore,
        key_kinds: KeyKindStore,
        now: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._offline = offline
        self._items = items
        self._key_kinds = key_kinds
        self._now = now

    async def is_arriving(self, account: str) -> bool:
        """Whether an account is not whole: somebody was cut off while it moved in."""
        return await self._items.get_item(account, NS, _MARK.key) is not None

    async def add(self, arrival: Arrival, *, is_new: bool) -> None:
        """Add an account with its mark, or more of one that has it.

        Args:
            arrival: What there is of it.
            is_new: Whether it is to be made.

        Raises:
            AccountExists: It is there already.
            NoSuchAccount: It is not there any more.
        """
        account, more = arrival.account, partial(_add, arrival=arrival, now=self._now())
        self._offline.something_waits(account)
        try:
            if is_new:
                await self._accounts.create_account(
                    account, arrival.keys, created=arrival.created, disabled=True, also=more
                )
            else:
                await self._accounts.change(account, more)
        finally:
            self._offline.something_waits(account)  # a look meanwhile saw none yet

    async def finish(self, account: str, *, disabled: bool, until: float | None = None) -> None:
        """Open an account that is whole.

        Args:
            account: Bare JID.
            disabled: Whether it stays closed.
            until: When it is enabled by itself, in seconds since 1970; None for never.

        Raises:
            NoSuchAccount: It is not there any more.
        """
        domain = account.rpartition("@")[2]

        def finish(connection: Connection) -> frozenset[KeyKind]:
            set_disabled(connection, account, disabled, until)
            delete_item(connection, account, NS, _MARK.key)
            return self._key_kinds.note(connection, domain, keys_of(connection, digest(account)))

        self._key_kinds.learn(domain, await self._accounts.change(account, finish))


def forget_pages(connection: Connection) -> None:
    """Have SQLite give back the pages that it keeps in memory: while many accounts come it would
    fill all that it may have, and needs hardly any of them again.
    """
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA shrink_memory")


def _add(connection: Connection, arrival: Arrival, now: float) -> None:
    account = arrival.account
    if not exists(connection, account):
        raise NoSuchAccount(account)
    owner = save_item(connection, account, _MARK)
    for key in arrival.keys:
        save_key(connection, owner, key)
    if arrival.contacts:
        save_items(connection, account, arrival.contacts)
    for stanza, came in arrival.messages:
        at = now if came is None else came
        add_message(connection, HeldMessage(b"", 0, account, stanza, at))


__all__ = ["Arrival", "ArrivalStore", "forget_pages"]
