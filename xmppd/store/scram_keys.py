"""Keys of accounts: what a password is proved by."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Insert,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    delete,
    insert,
    select,
)

from xmppd.store.checks import check_bytes, check_integer, check_text, unreadable
from xmppd.store.columns import OWNER, digest_column, metadata, upsert
from xmppd.store.kind import Kind

MAX_ITERATIONS = 100_000_000

scram_keys = Table(
    "scram_keys",
    metadata,
    digest_column("owner"),
    Column("hash", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("stored_key", LargeBinary, nullable=False),
    Column("server_key", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

_ADD: Insert = insert(scram_keys)
_FORGET: Delete = delete(scram_keys).where(scram_keys.c.owner == OWNER)
_SAVE = upsert(scram_keys)
_ALL: Select[str, bytes, int, bytes, bytes] = (
    select(
        scram_keys.c.hash,
        scram_keys.c.salt,
        scram_keys.c.iterations,
        scram_keys.c.stored_key,
        scram_keys.c.server_key,
    )
    .where(scram_keys.c.owner == OWNER)
    .order_by(scram_keys.c.hash)
)


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """The keys of one password for SCRAM under one hash; the password cannot be had back from them.

    Attributes:
        hash: ``SHA-1``, ``SHA-256`` or ``SHA-512``.
        salt: Random, this account's own.
        iterations: PBKDF2 rounds.
        stored_key: StoredKey of :rfc:`5802#section-3`.
        server_key: ServerKey of the same.
    """

    hash: str
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


def add_keys(connection: Connection, owner: bytes, keys: Iterable[ScramKeys]) -> None:
    """Add keys to an account."""
    adding = [_row(owner, key) for key in keys]
    if adding:
        connection.execute(_ADD, adding)


def save_key(connection: Connection, owner: bytes, key: ScramKeys) -> None:
    """Add a key, or replace the one under the same hash."""
    connection.execute(_SAVE.on(connection), _row(owner, key))


def forget_keys(connection: Connection, owner: bytes) -> None:
    """Delete all keys of an account."""
    connection.execute(_FORGET, {"owner": owner})


def keys_of(connection: Connection, owner: bytes) -> list[ScramKeys]:
    """The keys of an account."""
    return [scram_keys_of(*row) for row in connection.execute(_ALL, {"owner": owner}).tuples()]


def _row(owner: bytes, key: ScramKeys) -> dict[str, bytes | str | int]:
    return {
        "owner": owner,
        "hash": key.hash,
        "salt": key.salt,
        "iterations": key.iterations,
        "stored_key": key.stored_key,
        "server_key": key.server_key,
    }


def scram_keys_of(
    hash: str, salt: bytes, iterations: int, stored_key: bytes, server_key: bytes
) -> ScramKeys:
    """A key, as its row has it."""
    return ScramKeys(
        check_text("hash", hash),
        check_bytes("salt", salt),
        check_rounds("iterations", iterations),
        check_bytes("stored_key", stored_key),
        check_bytes("server_key", server_key),
    )


def check_rounds(column: str, iterations: int) -> int:
    """The number of rounds, if it is one that PBKDF2 can have."""
    if not 1 <= check_integer(column, iterations) <= MAX_ITERATIONS:
        raise unreadable(column, f"has {iterations} iterations")
    return iterations


KEY = Kind(
    "password key",
    scram_keys,
    ("hash", "salt", "iterations", "stored_key", "server_key"),
    scram_keys_of,
    ("hash",),
)
__all__ = [
    "KEY",
    "ScramKeys",
    "add_keys",
    "check_rounds",
    "forget_keys",
    "keys_of",
    "save_key",
    "scram_keys",
    "scram_keys_of",
]
