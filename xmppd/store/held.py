"""Held messages: accepted, and not acknowledged yet by their recipients' sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Delete,
    Double,
    Index,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.sql.dml import ReturningDelete

from xmppd.store.checks import check_bytes, check_integer, check_moment, check_text
from xmppd.store.columns import NUMBER, digest, digest_column, metadata
from xmppd.store.kind import Kind
from xmppd.store.prepared import Prepared

# As with offline messages, a number is never given twice.
held_messages = Table(
    "held_messages",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    digest_column("owner", primary_key=False),
    Column("account", Text, nullable=False),
    Column("session", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("came", Double, nullable=False),
    Column("stanza", LargeBinary, nullable=False),
    Column("node", Text, nullable=False, server_default=text("''")),
    Column("origin", Text, nullable=False, server_default=text("''")),
    Index(None, "owner"),
    sqlite_autoincrement=True,
)

_MESSAGE = (
    held_messages.c.session,
    held_messages.c.position,
    held_messages.c.account,
    held_messages.c.stanza,
    held_messages.c.came,
    held_messages.c.number,
    held_messages.c.node,
    held_messages.c.origin,
)
_ALL: Select[bytes, int, str, bytes, float, int, str, str] = select(*_MESSAGE).order_by(
    held_messages.c.number
)
NODES: Select[str] = select(held_messages.c.node).distinct()
# A table of its own, so that the rows are chosen once, and none that another node has in hand.
_CHOSEN = (
    select(held_messages.c.number)
    .where(held_messages.c.node == bindparam("whose"))
    .order_by(held_messages.c.number)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
    .cte("chosen")
)
_TAKE: ReturningDelete[bytes, int, str, bytes, float, int, str, str] = (
    delete(held_messages)
    .where(held_messages.c.number.in_(select(_CHOSEN.c.number)))
    .returning(*_MESSAGE)
)
# These three at the rate of messages.
_HOLD: Prepared[int] = Prepared(
    insert(held_messages).returning(held_messages.c.number),
    ("owner", "account", "session", "position", "came", "stanza", "node", "origin"),
)
_FORGET: Prepared[()] = Prepared(
    delete(held_messages).where(held_messages.c.number == bindparam("held"))
)
_PLACE: Prepared[()] = Prepared(
    update(held_messages)
    .where(held_messages.c.number == bindparam("message"))
    .values(session=bindparam("key"), position=bindparam("at"))
)
_FORGET_ALL: Delete = delete(held_messages).where(held_messages.c.node == bindparam("whose"))


@dataclass(frozen=True, slots=True)
class StanzaPlace:
    """The position of a stored message in the queue of a session.

    Attributes:
        number: Of the message in the store.
        held: Whether it is a held one, and not an offline message.
        key: Of the session.
        position: The lowest count of handled stanzas by which its client has it.
    """

    number: int
    held: bool
    key: bytes
    position: int

    @property
    def parameters(self) -> dict[str, object]:
        """The parameters of the statement that writes it."""
        return {"message": self.number, "key": self.key, "at": self.position}


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message that was accepted, and not acknowledged yet by its recipient's session.

    Attributes:
        key: Of the session; empty if it cannot be resumed.
        position: The lowest count of handled stanzas by which its client has it; 0 if unknown.
        account: Bare JID of the recipient.
        stanza: The whole message, addressed and stamped, as bytes.
        came: Seconds since 1970.
        number: Given by the store, rising; 0 if it has none yet.
        origin: By which nodes know it (:class:`~xmppd.routing.origins.Origins`); empty if it has
            none.
    """

    key: bytes
    position: int
    account: str
    stanza: bytes
    came: float
    number: int = 0
    origin: str = ""


def hold(
    connection: Connection, node: str, messages: Sequence[HeldMessage], arrived: Sequence[int]
) -> list[int]:
    """Hold some messages for sessions of a node, forget others; returns the numbers of the new
    ones.
    """
    forget(connection, arrived)
    numbers: list[int] = []
    for message in messages:
        row = {
            "owner": digest(message.account),
            "account": message.account,
            "session": message.key,
            "position": message.position,
            "came": message.came,
            "stanza": message.stanza,
            "node": node,
            "origin": message.origin,
        }
        [(number,)] = _HOLD.on(connection, row)
        numbers.append(number)
    return numbers


def forget(connection: Connection, numbers: Sequence[int]) -> None:
    """Forget these messages."""
    _FORGET.on_each(connection, [{"held": number} for number in numbers])


def forget_all(connection: Connection, node: str) -> None:
    """Forget all messages that are held for sessions of a node."""
    connection.execute(_FORGET_ALL, {"whose": node})


def place(connection: Connection, places: Sequence[StanzaPlace]) -> None:
    """Write the positions of held messages."""
    _PLACE.on_each(connection, [each.parameters for each in places])


def held(connection: Connection) -> list[HeldMessage]:
    """All held messages, oldest first."""
    return list(starmap(_message, connection.execute(_ALL).tuples().all()))


def take(connection: Connection, node: str, limit: int) -> list[HeldMessage]:
    """Take the oldest of the messages that are held for sessions of a node out of the table."""
    taken = connection.execute(_TAKE, {"whose": node, "limit": limit}).tuples().all()
    return sorted(starmap(_message, taken), key=lambda message: message.number)


def _message(
    key: bytes,
    position: int,
    account: str,
    stanza: bytes,
    came: float,
    number: int,
    node: str,
    origin: str,
) -> HeldMessage:
    check_text("node", node)
    return HeldMessage(
        check_bytes("session", key),
        check_integer("position", position),
        check_text("account", account),
        check_bytes("stanza", stanza),
        check_moment("came", came),
        number,
        check_text("origin", origin),
    )


HELD_MESSAGE = Kind(
    "held message",
    held_messages,
    ("session", "position", "account", "stanza", "came", "number", "node", "origin"),
    _message,
    ("number",),
    {"session": b"", "position": 0, "came": 0.0, "node": "", "origin": ""},
)

__all__ = [
    "HELD_MESSAGE",
    "NODES",
    "HeldMessage",
    "StanzaPlace",
    "forget",
    "forget_all",
    "held",
    "held_messages",
    "hold",
    "place",
    "take",
]
