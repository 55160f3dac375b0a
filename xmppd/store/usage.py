"""Usage: how much each owner keeps, counted by triggers of the database."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, LargeBinary, Table

from xmppd.store.columns import STAYS, digest_column, metadata

MESSAGES, ITEMS = b"messages", b"items"
"""The names under which the database counts all messages and all items of an account."""

# The share is one of these, or the digest of a message's sender, or of the sender's domain.
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
    """The number and bytes of what is kept."""

    count: int = 0
    bytes: int = 0


NOTHING = Use()


def use_of(count: int, size_bytes: int) -> Use:
    """The use; zero if the count is damaged, so that nothing is refused for that."""
    if type(count) is not int or type(size_bytes) is not int:
        return NOTHING
    return Use(count, size_bytes)


__all__ = ["ITEMS", "MESSAGES", "NOTHING", "Use", "usage", "use_of"]
