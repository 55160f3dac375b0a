"""WordIndex: finds messages by their words, if the administrator wants that (QU-18)."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from xmppd.store.sql import (
    BigInteger,
    Connection,
    Database,
    Select,
    bindparam,
    literal_column,
    select,
    text,
)

from .archive import Archive
from .entries import Selection
from .ids import MAX_POSITION
from .tables import MARKS, set_mark, stanzas
from .words import words_of

INDEXED_PER_TURN = 200
"""Messages: some 3 ms."""
WORDS_TO = "words_to"
"""The mark up to which messages are found by the index; of later ones all words are looked at."""

# The index is no table of the plugin's: it is made of others, and gone with the setting. It loses
# what is deleted or retracted by itself.
_MAKE = {
    "sqlite": (
        (
            "CREATE VIRTUAL TABLE archive_words USING fts5(words, detail=none, columnsize=0,"
            " tokenize='unicode61 remove_diacritics 0')"
        ),
        (
            "CREATE TRIGGER archive_words_gone AFTER DELETE ON archive_stanzas BEGIN"
            " DELETE FROM archive_words WHERE rowid = OLD.position; END"
        ),
        (
            "CREATE TRIGGER archive_words_other AFTER UPDATE OF stanza ON archive_stanzas BEGIN"
            " DELETE FROM archive_words WHERE rowid = OLD.position; END"
        ),
    ),
    "postgresql": (
        "CREATE TABLE archive_words (position BIGINT PRIMARY KEY, words TSVECTOR NOT NULL)",
        "CREATE INDEX archive_words_by_word ON archive_words USING gin (words)",
        (
            "CREATE FUNCTION archive_words_gone() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " DELETE FROM archive_words WHERE position = OLD.position; RETURN NULL; END $$"
        ),
        (
            "CREATE TRIGGER archive_words_gone AFTER DELETE OR UPDATE OF stanza ON archive_stanzas"
            " FOR EACH ROW EXECUTE FUNCTION archive_words_gone()"
        ),
    ),
}
_DROP = {
    "sqlite": (
        "DROP TRIGGER IF EXISTS archive_words_gone",
        "DROP TRIGGER IF EXISTS archive_words_other",
        "DROP TABLE IF EXISTS archive_words",
    ),
    "postgresql": (
        "DROP FUNCTION IF EXISTS archive_words_gone CASCADE",
        "DROP TABLE IF EXISTS archive_words",
    ),
}
_IS_THERE = {
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE name = 'archive_words'",
    "postgresql": "SELECT count(*) FROM pg_class WHERE relname = 'archive_words'",
}
_ADD = {
    "sqlite": "INSERT INTO archive_words (rowid, words) VALUES (:position, :words)",
    "postgresql": "INSERT INTO archive_words VALUES (:position,"
    " array_to_tsvector(string_to_array(:words, ' '))) ON CONFLICT DO NOTHING",
}
_FOUND = {
    "sqlite": ("rowid", "archive_words MATCH :match"),
    "postgresql": ("position", "words @@ CAST(:match AS tsquery)"),
}
_BETWEEN: Select[int, int, int, bytes] = (
    select(stanzas.c.position, stanzas.c.sent, stanzas.c.received, stanzas.c.stanza)
    .where(stanzas.c.position > bindparam("after"), stanzas.c.position < bindparam("before"))
    .order_by(stanzas.c.position)
    .limit(INDEXED_PER_TURN)
)


class WordIndex:
    """Finds the messages of an archive that have some words, up to a mark that moves on behind what
    is written. With the words of a message stand the numbers of its archives, as words of their
    own: so the messages of others cost nothing.

    Args:
        archive: Has the messages.
        next_turn: Waits for the next turn of the reactor.
    """

    def __init__(self, archive: Archive, next_turn: Callable[[], Awaitable[None]]) -> None:
        self.archive = archive
        self.next_turn = next_turn
        self._kind = ""

    @property
    def database(self) -> Database:
        """Has the index beside the tables."""
        return self.archive.database

    @property
    def is_wanted(self) -> bool:
        """Whether messages can be searched."""
        return self.archive.settings.full_text

    async def open(self) -> None:
        """Make the index if it is wanted, and there is none; else leave nothing of it.

        Raises:
            StoreError: The database cannot be written.
        """
        change = partial(_bring, is_wanted=self.is_wanted)
        self._kind = await self.database.write(change)

    async def index(self) -> None:
        """Index what has been written since the last time; one of the nodes does that.

        Raises:
            StoreError: The database cannot be used; the next time it goes on.
        """
        after, before = await self.indexed_to(), self.archive.settled
        while rows := await self.database.read(_BETWEEN, {"after": after, "before": before}):
            after = rows[-1][0]
            await self.database.write(partial(_add, rows=[_row(*each) for each in rows], to=after))
            await self.next_turn()

    async def indexed_to(self) -> int:
        """The position up to which messages are found here."""
        return int(dict(await self.database.read(MARKS, {})).get(WORDS_TO, b"0"))

    async def find(
        self, owner: str, words: Sequence[str], within: Selection, limit: int, *, backwards: bool
    ) -> list[int]:
        """Positions of messages that have all of these words.

        Args:
            owner: Bare JID of the archive's owner.
            words: At least one.
            within: Their positions are in it; the peer does not count.
            limit: So many at most.
            backwards: Whether the newest, the newest first; else the oldest.

        Raises:
            StoreError: The index cannot be read.
        """
        match = _MATCH[self._kind]([f"a{self.archive.ids.number(owner)}", *words])
        key, has_words = _FOUND[self._kind]
        query = (
            select(literal_column(key, BigInteger))
            .select_from(text("archive_words"))
            .where(text(f"{has_words} AND {key} > :after AND {key} < :before"))
            .order_by(text(f"{key} DESC" if backwards else key))
            .limit(bindparam("limit"))
        )
        before = min(within.before, MAX_POSITION)
        wanted = {"match": match, "after": within.after, "before": before, "limit": limit}
        return [position for (position,) in await self.database.read(query, wanted)]


def _for_sqlite(words: Sequence[str]) -> str:
    return " ".join(f'"{word}"' for word in words)


def _for_postgresql(words: Sequence[str]) -> str:
    return " & ".join(f"'{word}'" for word in words)


_MATCH = {"sqlite": _for_sqlite, "postgresql": _for_postgresql}
"""Words consist of letters and digits, so nothing in them means anything else."""


def _row(position: int, sent: int, received: int, stanza: bytes) -> dict[str, object]:
    words = " ".join((f"a{sent}", f"a{received}", *words_of(stanza)))
    return {"position": position, "words": words}


def _add(connection: Connection, rows: Sequence[dict[str, object]], to: int) -> None:
    connection.execute(text(_ADD[connection.dialect.name]), rows)
    set_mark(connection, WORDS_TO, to)


def _bring(connection: Connection, *, is_wanted: bool) -> str:
    """Make or drop the index; returns the kind of the database."""
    kind = connection.dialect.name
    is_there = bool(connection.execute(text(_IS_THERE[kind])).scalar_one())
    if is_wanted != is_there:
        for statement in (_MAKE if is_wanted else _DROP)[kind]:
            connection.execute(text(statement))
        set_mark(connection, WORDS_TO, 0)
    return kind


__all__ = ["WordIndex"]
