"""Queries of an archive as values, and the page that answers one. Nothing here knows XML."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from xmppd.stanza import JID, Condition, StanzaError
from xmppd.stanza.rsm import PageRequest

from .archive import Archive
from .entries import ArchiveEntry, Selection
from .ids import MAX_POSITION, first_at, last_at
from .routed import author_of, read_back
from .word_index import WordIndex
from .words import words_of

USUAL_RESULTS = 50
"""Of a page whose size is not said."""
MAX_RESULTS = 250
"""Of any page."""
MAX_PAGE_BYTES = 1_048_576
"""Of a page's results; one is always given."""
MAX_COUNTED = 10_000
"""Messages that have to be looked at; more are not counted."""
MAX_IDS = 1_000
"""That may be asked for one by one."""

ENTRIES_PER_TURN = 64
"""So many are read in one turn of the reactor: some 0.3 ms of usual ones."""
RESULT_OVERHEAD_BYTES = 350
"""Of the envelope of a result, about."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What is wanted of an archive: all of it, if nothing is said.

    Attributes:
        peer: Only messages from or to this JID; a bare one stands for all of its resources.
        since: Only messages of this time or later, in microseconds since 1970.
        until: Only messages of this time or earlier.
        after: Only messages behind the one of this id.
        before: Only messages before the one of this id.
        ids: Only these messages; None for any.
        groupchat: Whether messages of type groupchat are among them.
        words: Only messages that have all of these; none for any.
        by_full: Whether a peer is found by its full JID alone, as an occupant is in the archive of
            a room.
        author: Only messages that are said there to be of this account, whatever its nick was.
    """

    peer: JID | None = None
    since: int | None = None
    until: int | None = None
    after: str | None = None
    before: str | None = None
    ids: tuple[str, ...] | None = None
    groupchat: bool = True
    words: tuple[str, ...] = ()
    by_full: bool = False
    author: JID | None = None

    @property
    def key(self) -> str | None:
        """The JID by which entries of its peer are found; None for those of all."""
        if self.peer is None:
            return None
        return self.peer.full if self.by_full else self.peer.bare

    @property
    def is_of_all(self) -> bool:
        """Whether whoever asks like that reads on in all conversations, and not in one."""
        return self.peer is None and self.ids is None and not self.words


class Query(NamedTuple):
    """A query of an archive.

    Attributes:
        filters: What is wanted.
        page: Which part of that.
    """

    filters: Filters
    page: PageRequest


class QueryPage(NamedTuple):
    """The answer to a query.

    Attributes:
        entries: In the order of time.
        complete: Whether nothing that is wanted lies beyond in the direction of paging.
        total: The number of all that is wanted, if that was asked for instead of entries.
    """

    entries: list[ArchiveEntry]
    complete: bool
    total: int | None = None


class ArchiveReader:
    """Answers queries, some entries in each turn of the reactor (QU-15).

    Args:
        archive: Has the entries.
        words: Finds them by their words.
        next_turn: Waits for the next turn.
    """

    def __init__(
        self, archive: Archive, words: WordIndex, next_turn: Callable[[], Awaitable[None]]
    ) -> None:
        self.archive = archive
        self.words = words
        self.entries = archive.entries
        self.next_turn = next_turn

    async def answer(self, owner: str, query: Query) -> QueryPage:
        """The page that answers a query.

        Args:
            owner: Bare JID of the archive's owner.
            query: With the ids as they were written.

        Raises:
            StanzaError: ITEM_NOT_FOUND: an id in it is not in the archive (QU-6).
            StoreError: The archive cannot be read.
        """
        await self.archive.catch_up(owner)
        filters, page = query
        after, before = filters.since, filters.until
        lowest = -1 if after is None else first_at(after) - 1
        highest = MAX_POSITION + 1 if before is None else last_at(before) + 1
        below = [each for each in (filters.after, page.after) if each is not None]
        above = [each for each in (filters.before, page.before or None) if each is not None]
        if below or above:
            position_of = {id: self._position(owner, id) for id in (*below, *above)}
            async for _ in self._at(owner, position_of.values(), backwards=False):
                pass  # each is in the archive
            lowest = max(lowest, *(position_of[id] for id in below), -1)
            highest = min(highest, *(position_of[id] for id in above), MAX_POSITION + 1)
        selection = Selection(lowest, highest, filters.key)
        if filters.ids is not None:
            return await self._among(owner, filters.ids, selection, query)
        if not page.most:
            return await self._count(owner, selection, query)
        return await self._page(owner, selection, query)

    def _position(self, owner: str, id: str) -> int:
        """The position that an id names."""
        position = self.archive.position_of(owner, id)
        if position is None:
            raise _not_found()
        return position

    async def _at(
        self, owner: str, positions: Iterable[int], *, backwards: bool
    ) -> AsyncIterator[list[ArchiveEntry]]:
        """The entries at these positions, all of which are in the archive, some at a time."""
        wanted = sorted(set(positions), reverse=backwards)
        for begin in range(0, len(wanted), ENTRIES_PER_TURN):
            if begin:
                await self.next_turn()
            some = wanted[begin : begin + ENTRIES_PER_TURN]
            few = await self.entries.at(owner, some)
            if len(few) < len(some):
                raise _not_found()
            yield few[::-1] if backwards else few

    async def _among(
        self, owner: str, ids: Iterable[str], selection: Selection, query: Query
    ) -> QueryPage:
        """A page of entries that were asked for one by one; those that it has no room for are read,
        and not kept.
        """
        fits, page = _Fits(query.filters), query.page
        positions = [self._position(owner, id) for id in ids]
        found: list[ArchiveEntry] = []
        size = total = 0
        async for few in self._at(owner, positions, backwards=page.is_backwards):
            for entry in few:
                if selection.after < entry.position < selection.before and fits(entry):
                    total += 1
                    if len(found) <= page.most and size <= MAX_PAGE_BYTES:
                        found.append(entry)
                        size += _size_bytes(entry)
        if not page.most:
            return QueryPage([], not total, total)
        return _cut(found, page, is_all=len(found) == total)

    async def _count(self, owner: str, selection: Selection, query: Query) -> QueryPage:
        """The number of entries, whatever their resources are."""
        if query.filters.words or query.filters.author is not None:
            return await self._count_by_looking(owner, selection, query)
        count = await self.entries.count(owner, selection, self.next_turn)
        return QueryPage([], not count, count)

    async def _page(self, owner: str, selection: Selection, query: Query) -> QueryPage:
        """Read entries until the page is full, and one more."""
        fits, backwards = _Fits(query.filters), query.page.is_backwards
        found: list[ArchiveEntry] = []
        size = 0
        while True:
            missing = query.page.most + 1 - len(found)
            limit = min(missing, ENTRIES_PER_TURN)
            few = await self._read(owner, selection, query, limit)
            wanted = [each for each in few if fits(each)]
            found += wanted
            size += sum(map(_size_bytes, wanted))
            is_all = len(few) < limit
            if is_all or len(wanted) == missing or size > MAX_PAGE_BYTES:
                return _cut(found, query.page, is_all=is_all)
            selection = _beyond(selection, few[-1].position, backwards=backwards)
            await self.next_turn()

    async def _read(
        self, owner: str, selection: Selection, query: Query, limit: int
    ) -> list[ArchiveEntry]:
        """Entries in the direction of paging; a full JID may be an occupant of a room, with whom
        private messages are a conversation of their own.
        """
        backwards, peer = query.page.is_backwards, query.filters.peer
        if query.filters.words:
            return await self._read_by_words(owner, selection, query, limit)
        few = await self.entries.page(owner, selection, limit, backwards=backwards)
        if peer is None or peer.resource is None or query.filters.by_full:
            return few
        private = Selection(selection.after, selection.before, peer.full)
        few += await self.entries.page(owner, private, limit, backwards=backwards)
        few.sort(key=lambda each: each.position, reverse=backwards)
        return few[:limit]

    async def _read_by_words(
        self, owner: str, selection: Selection, query: Query, limit: int
    ) -> list[ArchiveEntry]:
        """Entries in the direction of paging, in two parts: those that the index knows, and the
        newest, whose words are looked at.
        """
        backwards, words = query.page.is_backwards, query.filters.words
        border = await self.words.indexed_to()
        newest = Selection(max(selection.after, border), selection.before)
        known = Selection(selection.after, min(selection.before, border + 1))
        few: list[ArchiveEntry] = []
        for part in (newest, known) if backwards else (known, newest):
            left = limit - len(few)
            if left and part is newest:
                few += await self.entries.page(owner, part, left, backwards=backwards)
            elif left:
                few += await self._find(owner, part, words, left, backwards=backwards)
        return few

    async def _find(
        self, owner: str, part: Selection, words: Sequence[str], limit: int, *, backwards: bool
    ) -> list[ArchiveEntry]:
        """Entries that the index knows; what it knows of messages that are gone is left out."""
        few: list[ArchiveEntry] = []
        while left := limit - len(few):
            positions = await self.words.find(owner, words, part, left, backwards=backwards)
            found = await self.entries.at(owner, positions)
            few += reversed(found) if backwards else found
            if len(positions) < left:
                break
            part = _beyond(part, positions[-1], backwards=backwards)
        return few

    async def _count_by_looking(self, owner: str, selection: Selection, query: Query) -> QueryPage:
        """The number of messages that are wanted for what is in them, as far as they are
        counted.
        """
        fits, total = _Fits(query.filters), 0
        while total < MAX_COUNTED:
            few = await self._read(owner, selection, query, ENTRIES_PER_TURN)
            total += sum(map(fits, few))
            if len(few) < ENTRIES_PER_TURN:
                break
            selection = _beyond(selection, few[-1].position, backwards=False)
            await self.next_turn()
        return QueryPage([], not total, total)


class _Fits:
    """Whether an entry that the index has found is wanted."""

    def __init__(self, filters: Filters) -> None:
        peer = filters.peer
        self._peer = None if peer is None else peer.bare
        self._full = None if peer is None or peer.resource is None else peer.full
        self._groupchat = filters.groupchat
        self._author = filters.author
        self._words = set(filters.words)

    def __call__(self, entry: ArchiveEntry) -> bool:
        if not self._groupchat and entry.is_groupchat:
            return False
        if self._words and not self._words.issubset(words_of(entry.stanza or b"")):
            return False
        if self._author is not None and author_of(entry.stanza or b"") != self._author.bare:
            return False
        if self._peer is None:
            return True
        if entry.stanza is None:
            return self._full is None
        try:
            message = read_back(entry.stanza)
        except (ValueError, KeyError):
            return True  # whoever writes the results logs that
        peer = message.to if entry.is_sent and message.to is not None else message.sender
        return peer.bare == self._peer if self._full is None else peer.full == self._full


def _cut(found: list[ArchiveEntry], page: PageRequest, *, is_all: bool) -> QueryPage:
    """A page of what was found in the direction of paging, where that is all there is or not."""
    size = fitting = 0
    for entry in found[: page.most]:
        size += _size_bytes(entry)
        if fitting and size > MAX_PAGE_BYTES:
            break
        fitting += 1
    entries = found[:fitting]
    if page.is_backwards:
        entries.reverse()
    return QueryPage(entries, is_all and fitting == len(found))


def _size_bytes(entry: ArchiveEntry) -> int:
    return RESULT_OVERHEAD_BYTES + len(entry.stanza or b"")


def _beyond(selection: Selection, position: int, *, backwards: bool) -> Selection:
    """What is left of a selection behind a position, or before it."""
    if backwards:
        return Selection(selection.after, position, selection.peer)
    return Selection(position, selection.before, selection.peer)


def _not_found() -> StanzaError:
    return StanzaError(Condition.ITEM_NOT_FOUND, "the archive has no message with this id")


__all__ = [
    "ENTRIES_PER_TURN",
    "MAX_IDS",
    "MAX_PAGE_BYTES",
    "MAX_RESULTS",
    "RESULT_OVERHEAD_BYTES",
    "USUAL_RESULTS",
    "ArchiveReader",
    "Filters",
    "Query",
    "QueryPage",
]
