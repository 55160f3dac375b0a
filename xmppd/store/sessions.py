"""Saved sessions, and the messages that are held for sessions.

Each row belongs to a node, which is named by its id as text; to none if the service has only one
(ST-8).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
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
    Update,
    bindparam,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate

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

MESSAGES_PER_PAGE = SESSIONS_PER_PAGE = 100
"""Those that are recovered in one transaction."""

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

_SESSION = (sessions.c.key, sessions.c.account, sessions.c.data, sessions.c.node)
_OF_NODE: Select[bytes, str, bytes, str] = (
    select(*_SESSION)
    .where(sessions.c.node == bindparam("whose"), sessions.c.key > bindparam("after"))
    .order_by(sessions.c.key)
    .limit(bindparam("limit"))
)
_ONE: Select[bytes, str, bytes, str] = select(*_SESSION).where(sessions.c.key == bindparam("key"))
_NODES: Select[str] = select(sessions.c.node).distinct()
_ADD: Insert = insert(sessions)
_ADOPT: Update = (
    update(sessions).where(sessions.c.node == bindparam("former")).values(node=bindparam("whose"))
)
_ADOPT_ONE: ReturningUpdate[bytes] = (
    update(sessions)
    .where(sessions.c.key == bindparam("session"), sessions.c.node == bindparam("former"))
    .values(node=bindparam("whose"))
    .returning(sessions.c.key)
)
_FORGET: Delete = delete(sessions).where(
    sessions.c.key == bindparam("session"), sessions.c.node == bindparam("whose")
)
_TAKE_BACK: ReturningDelete[bytes] = _FORGET.returning(sessions.c.key)
_FORGET_ONE: Delete = delete(sessions).where(sessions.c.key == bindparam("session"))
_FORGET_ALL: Delete = delete(sessions).where(sessions.c.node == bindparam("whose"))


@dataclass(frozen=True, slots=True)
class SavedSession:
    """A session that outlives the server.

    Attributes:
        key: The key by which it is found; a hash, by which it cannot be resumed.
        account: Bare JID.
        data: The whole session, in the format of the code that saved it.
        node: The node that it belongs to, which has saved it or is taking it up.
    """

    key: bytes
    account: str
    data: bytes
    node: str = ""

    def kept(self, account: str) -> RecordPlace:
        """The key of its row."""
        return RecordPlace(SESSION, {"key": self.key}, {"data": self.data})


class SessionStore(RecordStore):
    """The sessions of nodes that have stopped, and messages that are held for sessions.

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

    async def nodes(self) -> set[str]:
        """All nodes that something here belongs to."""

        async def read() -> set[str]:
            found = [
                *await self._database.read(_NODES, {}),
                *await self._database.read(held_messages.NODES, {}),
            ]
            return {check_text("node", node) for (node,) in found}

        return await self._sound(read, (SESSION, HELD_MESSAGE), {})

    # -- saved sessions ---------------------------------------------------------------------------

    async def save_sessions(
        self, node: str, sessions: Sequence[SavedSession], *, theirs: Mapping[str, Sequence[int]]
    ) -> None:
        """Keep these sessions of a node, and no others of it; in one transaction.

        Its held messages are forgotten: those that are not acknowledged are in the sessions.

        Args:
            node: That stops.
            sessions: Of this node.
            theirs: Offline messages by account that are in the sessions now, or have arrived.
        """
        change = partial(_save, node=node, saved=tuple(sessions), theirs=dict(theirs))
        await self._database.write(change, STOP_LIMIT_S)

    async def adopt_sessions(self, node: str, former: Collection[str]) -> None:
        """Have the saved sessions of former nodes belong to this one."""
        if former:
            adopt = partial(_adopt, node=node, former=tuple(former))
            await self._database.write(adopt, START_LIMIT_S)

    async def saved_sessions(
        self, node: str, *, after: bytes = b"", limit: int = SESSIONS_PER_PAGE
    ) -> list[SavedSession]:
        """The saved sessions that belong to a node, by their keys.

        Args:
            node: Their node.
            after: Only those behind the one with this key.
            limit: So many at most.
        """
        page = {"whose": node, "after": after, "limit": limit}

        async def read() -> list[SavedSession]:
            return list(starmap(_session, await self._database.read(_OF_NODE, page)))

        return await self._sound(read, (SESSION,), {})

    async def saved_session(self, key: bytes) -> SavedSession | None:
        """The saved session of this key, whichever node it belongs to."""
        name = {"key": key}

        async def read() -> list[SavedSession]:
            return list(starmap(_session, await self._database.read(_ONE, name)))

        found = await self._sound(read, (SESSION,), name)
        return found[0] if found else None

    async def take_session(self, session: SavedSession, node: str) -> bool:
        """Have one saved session belong to another node, which is about to restore it.

        Args:
            session: As it was read; its own node is gone.
            node: The other one.

        Returns:
            Whether it does; if not, yet another node was faster.
        """
        return await self._database.write(partial(_adopt_one, session=session, node=node))

    async def offer_session(
        self, node: str, session: SavedSession, *, theirs: Sequence[int], held: Sequence[int]
    ) -> None:
        """Keep one session of a node that goes on, so that another node may take it
        (:meth:`take_session`), or this one may take it back; in one transaction.

        Args:
            node: That has it.
            session: As it is.
            theirs: Offline messages of the account that are in the session now, or have arrived.
            held: The numbers of messages that were held for it, which are in the session, too.
        """
        change = partial(_offer, node=node, session=session, theirs=tuple(theirs), held=tuple(held))
        await self._database.write(change)

    async def take_back_session(
        self, node: str, key: bytes, *, held: Sequence[HeldMessage]
    ) -> list[int] | None:
        """Forget a saved session if it still belongs to this node, and hold the messages in its
        queue; in one transaction.

        Args:
            node: That has offered the session, or has taken it.
            key: Of the session.
            held: The messages in its queue.

        Returns:
            The numbers of the messages that are held; None if another node has taken the session,
            and nothing has changed.
        """
        change = partial(_take_back, node=node, key=key, held=tuple(held))
        return await self._database.write(change)

    async def take_up_sessions(
        self,
        node: str,
        sessions: Collection[bytes],
        *,
        held: Sequence[HeldMessage],
        lost: Sequence[HeldMessage],
    ) -> list[int]:
        """Forget saved sessions, which were restored or cannot be; in one transaction.

        Args:
            node: They belong to it, and it has restored them.
            sessions: Their keys.
            held: The messages in their queues.
            lost: The messages of those that were not restored: they become offline messages.

        Returns:
            The numbers of the messages that are held.
        """
        change = partial(
            _take_up, node=node, keys=tuple(sessions), held=tuple(held), lost=tuple(lost)
        )
        numbers = await self._database.write(change, START_LIMIT_S)
        for message in lost:
            self._offline.something_waits(message.account)
        return numbers

    # -- held messages ----------------------------------------------------------------------------

    async def hold_messages(
        self, node: str, messages: Sequence[HeldMessage], *, arrived: Sequence[int]
    ) -> list[int]:
        """Hold messages for sessions of a node until they are acknowledged; forget those that are.

        Returns:
            The numbers they were given.
        """
        change = partial(
            held_messages.hold, node=node, messages=tuple(messages), arrived=tuple(arrived)
        )
        return await self._database.write(change)

    async def place_messages(self, places: Sequence[StanzaPlace]) -> None:
        """Write the present positions of messages, except those that are not in the store any
        more.
        """
        await self._database.write(partial(_place, places=tuple(places)))

    async def recover_messages(
        self, node: str, *, limit: int = MESSAGES_PER_PAGE
    ) -> list[HeldMessage]:
        """Make offline messages of those that are held for sessions of a node which is gone,
        whatever the account's quota.

        Args:
            node: Several others may do this for it at the same time: each message is recovered
                once.
            limit: So many at most.

        Returns:
            The oldest of them; their numbers are those of the offline messages. None are left if
            it is empty.
        """
        change = partial(_recover, node=node, limit=limit)
        recover = partial(self._database.write, change, START_LIMIT_S)
        recovered = await self._sound(recover, (HELD_MESSAGE,), {"node": node})
        for message in recovered:
            self._offline.something_waits(message.account)
        return recovered


def _save(
    connection: Connection,
    node: str,
    saved: Sequence[SavedSession],
    theirs: Mapping[str, Sequence[int]],
) -> None:
    """Keep these sessions of a node and no others; no message of it is held any more."""
    connection.execute(_FORGET_ALL, {"whose": node})
    held_messages.forget_all(connection, node)
    for account, ids in theirs.items():
        offline_messages.delete_messages(connection, account, ids)
    if saved:
        connection.execute(_ADD, [_row(session, node) for session in saved])


def _offer(
    connection: Connection,
    node: str,
    session: SavedSession,
    theirs: Sequence[int],
    held: Sequence[int],
) -> None:
    connection.execute(_FORGET_ONE, {"session": session.key})
    held_messages.forget(connection, held)
    offline_messages.delete_messages(connection, session.account, theirs)
    connection.execute(_ADD, [_row(session, node)])


def _take_back(
    connection: Connection, node: str, key: bytes, held: Sequence[HeldMessage]
) -> list[int] | None:
    if connection.execute(_TAKE_BACK, {"session": key, "whose": node}).first() is None:
        return None
    return held_messages.hold(connection, node, held, ())


def _row(session: SavedSession, node: str) -> dict[str, object]:
    return {
        "key": session.key,
        "owner": digest(session.account),
        "account": session.account,
        "data": session.data,
        "node": node,
    }


def _adopt(connection: Connection, node: str, former: Sequence[str]) -> None:
    connection.execute(_ADOPT, [{"former": each, "whose": node} for each in former])


def _adopt_one(connection: Connection, session: SavedSession, node: str) -> bool:
    names = {"session": session.key, "former": session.node, "whose": node}
    return connection.execute(_ADOPT_ONE, names).first() is not None


def _take_up(
    connection: Connection,
    node: str,
    keys: Sequence[bytes],
    held: Sequence[HeldMessage],
    lost: Sequence[HeldMessage],
) -> list[int]:
    """Hold the messages of sessions, and forget that these were saved; returns the numbers."""
    numbers = held_messages.hold(connection, node, held, ())
    for message in lost:
        _add_offline(connection, message)
    if keys:
        connection.execute(_FORGET, [{"session": key, "whose": node} for key in keys])
    return numbers


def _place(connection: Connection, places: Sequence[StanzaPlace]) -> None:
    held_messages.place(connection, [place for place in places if place.held])
    offline_messages.place_messages(connection, [place for place in places if not place.held])


def _recover(connection: Connection, node: str, limit: int) -> list[HeldMessage]:
    """Make offline messages of those that are held; returns them with their new ids."""
    held = held_messages.take(connection, node, limit)
    return [_add_offline(connection, message) for message in held]


def _add_offline(connection: Connection, message: HeldMessage) -> HeldMessage:
    """Make an offline message of one that was held, whatever the account's quota."""
    return replace(message, number=offline_messages.add_message(connection, message))


def _session(key: bytes, account: str, data: bytes, node: str) -> SavedSession:
    return SavedSession(
        check_bytes("key", key),
        check_text("account", account),
        check_bytes("data", data),
        check_text("node", node),
    )


SESSION = Kind(
    "saved session", sessions, ("key", "account", "data", "node"), _session, ("key",), {"node": ""}
)

__all__ = ["SESSION", "SavedSession", "SessionStore", "sessions"]
