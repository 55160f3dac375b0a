"""What sessions hold while nobody is connected, and what would be lost with them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import starmap

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Index,
    Insert,
    LargeBinary,
    Select,
    Table,
    Text,
    delete,
    insert,
    select,
)

from xmppd.host.clocks import wall_clock
from xmppd.store import held as held_messages
from xmppd.store import offline as offline_messages
from xmppd.store.checks import check_bytes, check_text
from xmppd.store.columns import digest, digest_column, metadata
from xmppd.store.database import Database
from xmppd.store.healing import RecordStore
from xmppd.store.held import HELD_MESSAGE, HeldMessage, StanzaPlace
from xmppd.store.kind import Kind, RecordPlace
from xmppd.store.offline import OfflineStore

START_LIMIT_S = 300.0
"""What a server that was stopped or killed has left behind may be much."""

STOP_LIMIT_S = 4.0
"""Somebody waits for a server that stops; and what is worth most is saved before it does."""

sessions = Table(
    "sessions",
    metadata,
    digest_column("key"),
    digest_column("owner", primary_key=False),
    Column("account", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index(None, "owner"),
)

_ALL: Select[bytes, str, bytes] = select(sessions.c.key, sessions.c.account, sessions.c.data)
_ADD: Insert = insert(sessions)
_FORGET_ALL: Delete = delete(sessions)


@dataclass(frozen=True, slots=True)
class SavedSession:
    """A session that outlives the server.

    Attributes:
        key: What it is found by; a hash, from which nobody learns how to resume it.
        account: Bare JID.
        data: All that there is to know of it, in the words of whoever saved it.
    """

    key: bytes
    account: str
    data: bytes

    def kept(self, account: str) -> RecordPlace:
        """Where it is."""
        return RecordPlace(SESSION, {"key": self.key}, {"data": self.data})


class SessionStore(RecordStore):
    """Sessions of a server that has stopped, and messages that are held for sessions.

    Args:
        database: Where they are.
        offline: What becomes of held messages whose session is gone.
        now: Tells the time in seconds since 1970.
    """

    def __init__(
        self, database: Database, offline: OfflineStore, now: Callable[[], float] = wall_clock
    ) -> None:
        super().__init__(database, now)
        self._offline = offline

    async def save_sessions(
        self, sessions: Sequence[SavedSession], *, theirs: Mapping[str, Sequence[int]]
    ) -> None:
        """Keep these sessions, and no others; in one transaction.

        Held messages are forgotten: what of them is not acknowledged is in the sessions.

        Args:
            sessions: Of a server that stops.
            theirs: Offline messages by account that are in the sessions now, or have arrived.
        """
        change = partial(_save, saved=tuple(sessions), theirs=dict(theirs))
        await self._database.write(change, STOP_LIMIT_S)

    async def saved_sessions(self) -> list[SavedSession]:
        """All that are kept."""

        async def read() -> list[SavedSession]:
            return list(starmap(_session, await self._database.read(_ALL, {})))

        return await self._sound(read, (SESSION,), {})

    async def take_up_sessions(
        self, *, held: Sequence[HeldMessage], lost: Sequence[HeldMessage]
    ) -> list[int]:
        """The saved sessions are there again, and are forgotten; in one transaction.

        Args:
            held: The messages in their queues.
            lost: The messages of those that are not there again: they become offline messages.

        Returns:
            The numbers of what is held.
        """
        change = partial(_take_up, held=tuple(held), lost=tuple(lost))
        numbers = await self._database.write(change, START_LIMIT_S)
        for message in lost:
            self._offline.something_waits(message.account)
        return numbers

    async def hold_messages(
        self, messages: Sequence[HeldMessage], *, arrived: Sequence[int]
    ) -> list[int]:
        """Keep messages until they are acknowledged; forget those that are.

        Returns:
            The numbers they were given.
        """
        change = partial(held_messages.hold, messages=tuple(messages), arrived=tuple(arrived))
        return await self._database.write(change)

    async def place_messages(self, places: Sequence[StanzaPlace]) -> None:
        """Note where messages stand now; what the store has not any more is left out."""
        await self._database.write(partial(_place, places=tuple(places)))

    async def recover_messages(self) -> list[HeldMessage]:
        """Make offline messages of all that are held, whatever the account's quota.

        Returns:
            All of them, oldest first; their numbers are those of the offline messages.
        """
        recover = partial(self._database.write, _recover, START_LIMIT_S)
        recovered = await self._sound(recover, (HELD_MESSAGE,), {})
        for message in recovered:
            self._offline.something_waits(message.account)
        return recovered


def _save(
    connection: Connection, saved: Sequence[SavedSession], theirs: Mapping[str, Sequence[int]]
) -> None:
    """Keep these and no others; nothing is held any more."""
    connection.execute(_FORGET_ALL)
    held_messages.forget_all(connection)
    for account, ids in theirs.items():
        offline_messages.delete_messages(connection, account, ids)
    saving = [
        {
            "key": session.key,
            "owner": digest(session.account),
            "account": session.account,
            "data": session.data,
        }
        for session in saved
    ]
    if saving:
        connection.execute(_ADD, saving)


def _take_up(
    connection: Connection, held: Sequence[HeldMessage], lost: Sequence[HeldMessage]
) -> list[int]:
    """Hold what sessions have, and forget that they were saved; tells the numbers of it."""
    numbers = held_messages.hold(connection, held, ())
    for message in lost:
        _add_offline(connection, message)
    connection.execute(_FORGET_ALL)
    return numbers


def _place(connection: Connection, places: Sequence[StanzaPlace]) -> None:
    held_messages.place(connection, [place for place in places if place.held])
    offline_messages.place_messages(connection, [place for place in places if not place.held])


def _recover(connection: Connection) -> list[HeldMessage]:
    """Make offline messages of all that are held; tells them with their new ids."""
    held = held_messages.held(connection)
    recovered = [_add_offline(connection, message) for message in held]
    if recovered:
        held_messages.forget_all(connection)
    return recovered


def _add_offline(connection: Connection, message: HeldMessage) -> HeldMessage:
    """Make an offline message of one that was held, whatever the account's quota."""
    number = offline_messages.add_message(
        connection, message.account, message.stanza, message.came, message.key, message.position
    )
    return replace(message, number=number)


def _session(key: bytes, account: str, data: bytes) -> SavedSession:
    return SavedSession(
        check_bytes("key", key), check_text("account", account), check_bytes("data", data)
    )


SESSION = Kind("saved session", sessions, ("key", "account", "data"), _session, ("key",))

__all__ = ["SESSION", "SavedSession", "SessionStore", "sessions"]
