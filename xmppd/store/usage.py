"""How much an owner keeps; triggers of the database see to it."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, LargeBinary, Table

from xmppd.store.columns import STAYS, digest_column, metadata

MESSAGES, ITEMS = b"messages", b"items"
"""What the database counts all messages and all items of an account under."""

# The share is one of these; or what a message has for its sender, or its sender's domain.
usage = Table(
    "usage",
    metadata,
    digest_column("owner"),
    Column("share", LargeBinary, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    info={STAYS: True},  # the triggers see to it
)


@dataclass(frozen=True, slots=True)
class Use:
    """How much of something there is."""

    count: int = 0
    bytes: int = 0


NOTHING = Use()


def use_of(count: int, size_bytes: int) -> Use:
    """How much is kept; nothing if the count is damaged, since nobody is shut out by that."""
    if type(count) is not int or type(size_bytes) is not int:
        return NOTHING
    return Use(count, size_bytes)


__all__ = ["ITEMS", "MESSAGES", "NOTHING", "Use", "usage", "use_of"]
