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

from xmppd.store.checks import check_bytes, check_integer, check_moment, check_text
from xmppd.store.columns import NUMBER, digest, digest_column, metadata
from xmppd.store.kind import Kind

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
    Index(None, "owner"),
    sqlite_autoincrement=True,
)

_ALL: Select[bytes, int, str, bytes, float, int] = select(
    held_messages.c.session,
    held_messages.c.position,
    held_messages.c.account,
    held_messages.c.stanza,
    held_messages.c.came,
    held_messages.c.number,
).order_by(held_messages.c.number)
_HOLD: Insert = insert(held_messages).returning(held_messages.c.number)
_FORGET: Delete = delete(held_messages).where(held_messages.c.number == bindparam("held"))
_PLACE: Update = (
    update(held_messages)
    .where(held_messages.c.number == bindparam("message"))
    .values(session=bindparam("key"), position=bindparam("at"))
)
_FORGET_ALL: Delete = delete(held_messages)


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
    """

    key: bytes
    position: int
    account: str
    stanza: bytes
    came: float
    number: int = 0


def hold(
    connection: Connection, messages: Sequence[HeldMessage], arrived: Sequence[int]
) -> list[int]:
    """Hold some messages, forget others; returns the numbers of the new ones."""
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
        }
        numbers.append(connection.execute(_HOLD, row).scalar_one())
    return numbers


def forget(connection: Connection, numbers: Sequence[int]) -> None:
    """Forget these messages."""
    if numbers:
        connection.execute(_FORGET, [{"held": number} for number in numbers])


def forget_all(connection: Connection) -> None:
    """Forget all held messages."""
    connection.execute(_FORGET_ALL)


def place(connection: Connection, places: Sequence[StanzaPlace]) -> None:
    """Write the positions of held messages."""
    if places:
        connection.execute(_PLACE, [each.parameters for each in places])


def held(connection: Connection) -> list[HeldMessage]:
    """All held messages, oldest first."""
    return list(starmap(_message, connection.execute(_ALL).tuples().all()))


def _message(
    key: bytes, position: int, account: str, stanza: bytes, came: float, number: int
) -> HeldMessage:
    return HeldMessage(
        check_bytes("session", key),
        check_integer("position", position),
        check_text("account", account),
        check_bytes("stanza", stanza),
        check_moment("came", came),
        number,
    )


HELD_MESSAGE = Kind(
    "held message",
    held_messages,
    ("session", "position", "account", "stanza", "came", "number"),
    _message,
    ("number",),
    {"session": b"", "position": 0, "came": 0.0},
)

__all__ = [
    "HELD_MESSAGE",
    "HeldMessage",
    "StanzaPlace",
    "forget",
    "forget_all",
    "held",
    "held_messages",
    "hold",
    "place",
]
