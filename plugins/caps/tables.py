"""The table of verified hashes."""

from collections.abc import Sequence

from msgspec import DecodeError, json

from xmppd.stanza.stanza import Capabilities
from xmppd.store.sql import (
    NAMES,
    Column,
    Connection,
    Database,
    Double,
    Index,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    digest,
    digest_column,
    func,
    select,
    upsert,
)

MAX_KEPT = 50_000
"""Kinds of software that are remembered; those seen longest ago go."""

metadata = MetaData(naming_convention=NAMES)
caps = Table(
    "caps",
    metadata,
    digest_column("hashed"),
    Column("name", Text, nullable=False),
    Column("features", Text, nullable=False),
    Column("seen", Double, nullable=False),
    Index(None, "seen"),
)
_KNOWN: Select[str, str] = select(caps.c.name, caps.c.features).where(
    caps.c.hashed == bindparam("hashed")
)
_SAVE = upsert(caps)
_COUNT: Select[int] = select(func.count()).select_from(caps)
_OLDEST = delete(caps).where(
    caps.c.hashed.in_(select(caps.c.hashed).order_by(caps.c.seen).limit(bindparam("spare")))
)
_decoder = json.Decoder(list[str])


class VerifiedHashes:
    """What each software can do whose hash was verified (EC-4).

    Args:
        database: Keeps it, in a table that the plugin has brought.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def known(self, of: Capabilities) -> tuple[str, Sequence[str]] | None:
        """The name of a software, and its features; None if it is not known."""
        found = await self.database.read(_KNOWN, {"hashed": _key(of)})
        if not found:
            return None
        name, features = found[0]
        try:
            return name, _decoder.decode(features)
        except DecodeError:
            return None  # it is asked again

    async def save(self, of: Capabilities, name: str, features: Sequence[str], now: float) -> None:
        """Remember the name of a software, and its features."""
        row = {
            "hashed": _key(of),
            "name": name,
            "features": json.encode(features).decode(),
            "seen": now,
        }

        def change(connection: Connection) -> None:
            connection.execute(_SAVE.on(connection), row)
            spare = connection.execute(_COUNT).scalar_one() - MAX_KEPT
            if spare > 0:
                connection.execute(_OLDEST, {"spare": spare})

        await self.database.write(change)


def _key(of: Capabilities) -> bytes:
    return digest(f"{of.edition} {of.hash} {of.ver}")


__all__ = ["MAX_KEPT", "VerifiedHashes", "metadata"]
