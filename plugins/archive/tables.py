"""The tables of archives, and what is asked of them.

A stanza is kept once, with an entry for each archive that it is in. What is before the beginning of
an archive is not in it any more: so an account that is removed, or messages that are too old, are
gone at once, and their rows are deleted behind that, some at a time.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

from xmppd.store.sql import (
    NAMES,
    NUMBER,
    BigInteger,
    Column,
    Connection,
    Delete,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    delete,
    func,
    select,
    update,
    upsert,
)

PEER_BYTES = 8
MAX_REMEMBERED_PEERS = 10_000

SENT = 1
"""The owner of the archive has sent the message."""
GROUPCHAT = 2
"""It is of type groupchat."""
TOMBSTONE = 4
"""Its content was retracted."""
SPEAKS = 8
"""It was said in a room, and says something: it is unread for who has not seen it."""

metadata = MetaData(naming_convention=NAMES)

archives = Table(
    "archive",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("owner", LargeBinary, nullable=False),
    Column("name", Text, nullable=False),
    Column("begins", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Index(None, "owner", unique=True),
)
stanzas = Table(
    "archive_stanzas",
    metadata,
    Column("position", NUMBER, primary_key=True, autoincrement=False),
    Column("sent", BigInteger, nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("stanza", LargeBinary, nullable=False),
)
entries = Table(
    "archive_entries",
    metadata,
    Column("archive", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("peer", LargeBinary, nullable=False),
    Column("flags", Integer, nullable=False),
    # With the flags it has all that is asked: else SQLite looks at each entry for those of a peer.
    Index(None, "archive", "peer", "position", "flags"),
    sqlite_with_rowid=False,
)
marks = Table(
    "archive_marks",
    metadata,
    Column("mark", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

preferences = Table(
    "archive_preferences",
    metadata,
    Column("owner", LargeBinary, primary_key=True),
    Column("document", Text, nullable=False),
    sqlite_with_rowid=False,
)

KEY = "key"
INDEXED_TO = "indexed_to"
HIGHEST = "highest"


@lru_cache(MAX_REMEMBERED_PEERS)
def peer_of(peer: str) -> bytes:
    """A peer as it stands in entries: some bytes of the digest of its JID."""
    return sha256(peer.encode()).digest()[:PEER_BYTES]


# SQLite reads these on the reactor's thread: each uses an index, and has a limit.
_PAGE: Select[int, int, bytes | None] = (
    select(entries.c.position, entries.c.flags, stanzas.c.stanza)
    .select_from(entries.outerjoin(stanzas, entries.c.position == stanzas.c.position))
    .where(
        entries.c.archive == bindparam("archive"),
        entries.c.position > bindparam("after"),
        entries.c.position < bindparam("before"),
    )
    .limit(bindparam("limit"))
)
_PEERS = _PAGE.where(entries.c.peer == bindparam("peer"))
ASCENDING = _PAGE.order_by(entries.c.position)
DESCENDING = _PAGE.order_by(entries.c.position.desc())
ASCENDING_OF_PEER = _PEERS.order_by(entries.c.position)
DESCENDING_OF_PEER = _PEERS.order_by(entries.c.position.desc())
AT: Select[int, int, bytes | None] = (
    select(entries.c.position, entries.c.flags, stanzas.c.stanza)
    .select_from(entries.outerjoin(stanzas, entries.c.position == stanzas.c.position))
    .where(entries.c.archive == bindparam("archive"), entries.c.position == bindparam("position"))
)
POSITIONS: Select[int] = (
    select(entries.c.position)
    .where(
        entries.c.archive == bindparam("archive"),
        entries.c.position > bindparam("after"),
        entries.c.position < bindparam("before"),
    )
    .limit(bindparam("limit"))
)
POSITIONS_OF_PEER = POSITIONS.where(entries.c.peer == bindparam("peer"))


FLAGS: Select[int, int] = (
    select(entries.c.position, entries.c.flags)
    .where(
        entries.c.archive == bindparam("archive"),
        entries.c.position > bindparam("after"),
        entries.c.position < bindparam("before"),
    )
    .order_by(entries.c.position)
    .limit(bindparam("limit"))
)


def _counted(some: Select[int]) -> Select[int, int | None]:
    """The number of the first entries, at most as many as are wanted, and the last of these."""
    first = some.order_by(entries.c.position).subquery()
    return select(func.count(), func.max(first.c.position)).select_from(first)


COUNT = _counted(POSITIONS)
COUNT_OF_PEER = _counted(POSITIONS_OF_PEER)
BEGINS: Select[int] = select(archives.c.begins).where(archives.c.number == bindparam("archive"))
SUMS: Select[int, int] = select(archives.c.entries, archives.c.bytes).where(
    archives.c.number == bindparam("archive")
)
PREFERENCES: Select[str] = select(preferences.c.document)
SAVE_PREFERENCES = upsert(preferences)
DELETE_PREFERENCES: Delete = delete(preferences).where(preferences.c.owner == bindparam("whose"))
MARKS: Select[str, bytes] = select(marks.c.mark, marks.c.value)
SET_MARK = upsert(marks)
LAST_POSITION: Select[int | None] = select(func.max(stanzas.c.position))
NOT_INDEXED: Select[int, int, int, bytes] = (
    select(stanzas.c.position, stanzas.c.sent, stanzas.c.received, stanzas.c.stanza)
    .where(stanzas.c.position > bindparam("after"))
    .order_by(stanzas.c.position)
    .limit(bindparam("limit"))
)
FORGET_ARCHIVE: Delete = delete(archives).where(archives.c.owner == bindparam("owner"))
_ADD_SUMS = (
    update(archives)
    .where(archives.c.number == bindparam("archive"))
    .values(
        entries=archives.c.entries + bindparam("count"), bytes=archives.c.bytes + bindparam("size")
    )
)

_NOTE_SENT: Update = (
    update(stanzas).where(stanzas.c.position == bindparam("at")).values(sent=bindparam("archive"))
)
_NOTE_RECEIVED: Update = (
    update(stanzas)
    .where(stanzas.c.position == bindparam("at"))
    .values(received=bindparam("archive"))
)


_BEGIN_BEFORE: Update = (
    update(archives)
    .where(archives.c.number == bindparam("archive"), archives.c.begins > bindparam("at"))
    .values(begins=bindparam("at"))
)


def begin_before(connection: Connection, beginnings: Sequence[tuple[int, int]]) -> None:
    """Let archives begin earlier, unless they do: numbers with positions."""
    if beginnings:
        rows = [{"archive": number, "at": position} for number, position in beginnings]
        connection.execute(_BEGIN_BEFORE, rows)


def note_archives(
    connection: Connection,
    sent: Sequence[tuple[int, int]],
    received: Sequence[tuple[int, int]],
) -> None:
    """Note with stanzas that they are in one more archive, as its sent or received ones: positions
    with numbers of archives.
    """
    for statement, pairs in ((_NOTE_SENT, sent), (_NOTE_RECEIVED, received)):
        if pairs:
            rows = [{"at": position, "archive": archive} for position, archive in pairs]
            connection.execute(statement, rows)


def add_sums(connection: Connection, sums: Sequence[tuple[int, tuple[int, int]]]) -> None:
    """Add to the sums of archives: entries and bytes by number."""
    rows = [{"archive": number, "count": count, "size": size} for number, (count, size) in sums]
    connection.execute(_ADD_SUMS, rows)


def set_mark(connection: Connection, mark: str, value: int) -> None:
    """Set a mark to a position."""
    connection.execute(SET_MARK.on(connection), {"mark": mark, "value": b"%d" % value})


_BURY: Update = (
    update(stanzas).where(stanzas.c.position == bindparam("at")).values(stanza=bindparam("left"))
)
_WHOSE: Select[int, int] = select(stanzas.c.sent, stanzas.c.received).where(
    stanzas.c.position == bindparam("at")
)
_MARK_BURIED: Update = (
    update(entries)
    .where(entries.c.archive == bindparam("of"), entries.c.position == bindparam("at"))
    .values(flags=entries.c.flags.bitwise_or(TOMBSTONE))
)


def bury(connection: Connection, position: int, stanza: bytes) -> None:
    """Replace a stanza by what is left of it, and mark its entries."""
    at = {"at": position}
    connection.execute(_BURY, {**at, "left": stanza})
    for archives_of in connection.execute(_WHOSE, at).all():
        connection.execute(_MARK_BURIED, [{**at, "of": number} for number in archives_of])


__all__ = [
    "ASCENDING",
    "ASCENDING_OF_PEER",
    "AT",
    "BEGINS",
    "COUNT",
    "COUNT_OF_PEER",
    "DELETE_PREFERENCES",
    "DESCENDING",
    "DESCENDING_OF_PEER",
    "FLAGS",
    "FORGET_ARCHIVE",
    "GROUPCHAT",
    "HIGHEST",
    "INDEXED_TO",
    "KEY",
    "LAST_POSITION",
    "MARKS",
    "NOT_INDEXED",
    "POSITIONS",
    "POSITIONS_OF_PEER",
    "PREFERENCES",
    "SAVE_PREFERENCES",
    "SENT",
    "SPEAKS",
    "SUMS",
    "TOMBSTONE",
    "add_sums",
    "archives",
    "begin_before",
    "bury",
    "entries",
    "marks",
    "metadata",
    "note_archives",
    "peer_of",
    "set_mark",
    "stanzas",
]
