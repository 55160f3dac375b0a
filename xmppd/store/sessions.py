"""Saved sessions, and the messages that are held for sessions."""

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
    text,
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
"""The time for the work at a start: a server that was stopped or killed may have left much."""

STOP_LIMIT_S = 4.0
"""The time for the work at a stop, since others wait for it."""

sessions = Table(
    "sessions",
    metadata,
    digest_column("key"),
    digest_column("owner", primary_key=False),
    Column("account", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("node", Text, nullable=False, server_default=text("''")),
    Index(None, "owner"),
)

_ALL: Select[bytes, str, bytes] = select(sessions.c.key, sessions.c.account, sessions.c.data)
_ADD: Insert = insert(sessions)
_FORGET_ALL: Delete = delete(sessions)


@dataclass(frozen=True, slots=True)
class SavedSession:
    """A session that outlives the server.

    Attributes:
        key: The key by which it is found; a hash, by which it cannot be resumed.
        account: Bare JID.
        data: The whole session, in the format of the code that saved it.
    """

    key: bytes
    account: str
    data: bytes

    def kept(self, account: str) -> RecordPlace:
        """The key of its row."""
        return RecordPlace(SESSION, {"key": self.key}, {"data": self.data})


class SessionStore(RecordStore):
    """The sessions of a server that has stopped, and messages that are held for sessions.

    Args:
        database: Keeps them.
        offline: Takes held messages whose session is gone.
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

        Held messages are forgotten: those that are not acknowledged are in the sessions.

        Args:
            sessions: Of a server that stops.
            theirs: Offline messages by account that are in the sessions now, or have arrived.
        """
        change = partial(_save, saved=tuple(sessions), theirs=dict(theirs))
        await self._database.write(change, STOP_LIMIT_S)

    async def saved_sessions(self) -> list[SavedSession]:
        """All saved sessions."""

        async def read() -> list[SavedSession]:
            return list(starmap(_session, await self._database.read(_ALL, {})))

        return await self._sound(read, (SESSION,), {})

    async def take_up_sessions(
        self, *, held: Sequence[HeldMessage], lost: Sequence[HeldMessage]
    ) -> list[int]:
        """Forget the saved sessions, which were restored; in one transaction.

        Args:
            held: The messages in their queues.
            lost: The messages of those that were not restored: they become offline messages.
        """
        change = partial(_take_up, held=tuple(held), lost=tuple(lost))
        numbers = await self._database.write(change, START_LIMIT_S)
        for message in lost:
            self._offline.something_waits(message.account)
        return numbers

    async def hold_messages(
        self, messages: Sequence[HeldMessage], *, arrived: Sequence[int]
    ) -> list[int]:
        """Hold messages until they are acknowledged; forget those that are.

        Returns:
            The numbers they were given.
        """
        change = partial(held_messages.hold, messages=tuple(messages), arrived=tuple(arrived))
        return await self._database.write(change)

    async def place_messages(self, places: Sequence[StanzaPlace]) -> None:
        """Write the present positions of messages, except those that are not in the store any
        more.
        """
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
    """Keep these sessions and no others; no message is held any more."""
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
    """Hold the messages of sessions, and forget that these were saved; returns the numbers."""
    numbers = held_messages.hold(connection, held, ())
    for message in lost:
        _add_offline(connection, message)
    connection.execute(_FORGET_ALL)
    return numbers


def _place(connection: Connection, places: Sequence[StanzaPlace]) -> None:
    held_messages.place(connection, [place for place in places if place.held])
    offline_messages.place_messages(connection, [place for place in places if not place.held])


def _recover(connection: Connection) -> list[HeldMessage]:
    """Make offline messages of all that are held; returns them with their new ids."""
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
