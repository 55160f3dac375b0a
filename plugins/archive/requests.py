"""What accounts ask of their archives: queries, the form of these, and metadata."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from twisted.logger import Logger

from xmppd.disco.disco import Of, Says
from xmppd.disco.info import DiscoInfo, DiscoQuestion
from xmppd.handler.iq_handler import Asked, IQHandler, Pulling, To
from xmppd.plugin.place import Part
from xmppd.stanza import IQ, JID, Condition, Stanza, StanzaError, qname
from xmppd.stanza.date_time import exact_date_time
from xmppd.stanza.guests import is_guest
from xmppd.stanza.result import MAM, STANZA_ID, Results
from xmppd.stanza.rsm import page_set

from .archive import Archive
from .entries import ArchiveEntry
from .ids import microseconds_of
from .query import ArchiveReader, Query, QueryPage
from .query_form import FULL_TEXT, query_form, read_query
from .waiting import WaitingMessages

_ANNOUNCED = DiscoInfo(features=(MAM, f"{MAM}#extended", f"{MAM}#groupchat-field", STANZA_ID))
"""Never queries without ids in live messages (AR-24)."""
_SEARCHED = DiscoInfo(features=(*_ANNOUNCED.features, FULL_TEXT))

_FLIPPED = qname(MAM, "flip-page")
_log = Logger()


@dataclass(frozen=True)
class IQArchiveQueryHandler(IQHandler):
    """Send the messages of the own archive that are asked for, behind them the answer; or the form
    by which they are asked for.
    """

    reader: ArchiveReader
    waiting: WaitingMessages

    query = qname(MAM, "query")
    to = To.OWN_ACCOUNT
    refusal: ClassVar[Condition] = Condition.FORBIDDEN

    def on_get(self, iq: IQ, asked: Asked) -> bytes:
        check_has_archive(asked.address)
        return query_form(full_text=self.reader.words.is_wanted)

    async def on_set(self, iq: IQ, asked: Asked) -> Pulling:
        check_has_archive(asked.address)
        tree, owner = iq.payload.tree[0], asked.address
        query = read_query(tree, full_text=self.reader.words.is_wanted)
        if query.filters.is_of_all:
            await read_here(self.waiting, asked)
        return await answer_query(self.reader, owner, iq, query)


async def answer_query(
    reader: ArchiveReader,
    owner: JID,
    iq: IQ,
    query: Query,
    shown: Callable[[bytes], bytes] = bytes,
) -> Pulling:
    """The results of a query, and the answer behind them.

    Args:
        reader: Finds them.
        owner: The bare JID of the archive's owner.
        iq: The request.
        query: What it asks for.
        shown: What of a message is shown to whoever asks.

    Raises:
        StanzaError: ITEM_NOT_FOUND: an id in it is not in the archive (QU-6).
        StoreError: The archive cannot be read.
    """
    tree = iq.payload.tree[0]
    page = await reader.answer(owner.bare, query)
    given = Given(reader.archive, owner, page, shown)
    results = Results(owner, iq.sender, tree.get("queryid"))
    is_flipped = tree.find(_FLIPPED) is not None
    return Pulling(given.results(results, is_flipped=is_flipped), given.fin())


@dataclass(frozen=True)
class IQArchiveMetadataHandler(IQHandler):
    """Tell the first and the last message of the own archive (QU-16)."""

    archive: Archive
    waiting: WaitingMessages

    query = qname(MAM, "metadata")
    to = To.OWN_ACCOUNT
    refusal: ClassVar[Condition] = Condition.FORBIDDEN

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        check_has_archive(asked.address)
        await read_here(self.waiting, asked)
        return metadata(self.archive, asked.address, await ends(self.archive, asked.address))


async def read_here(waiting: WaitingMessages, asked: Asked) -> None:
    """Note that a client reads the archive before it wants to be sent what waits (OA-4)."""
    if asked.asker is not None and not asked.asker.flooded:
        await waiting.forget(asked.address)


@dataclass(frozen=True)
class Given:
    """What is given for a query of an archive.

    Attributes:
        archive: Makes ids.
        owner: The bare JID that was asked.
        page: What was found.
        shown: What of a message is shown to whoever has asked.
    """

    archive: Archive
    owner: JID
    page: QueryPage
    shown: Callable[[bytes], bytes] = bytes

    def results(self, results: Results, *, is_flipped: bool) -> Iterator[Stanza]:
        """The results, in order of time or against it; what is no message any more is left out
        (QU-14).
        """
        entries: Sequence[ArchiveEntry] = self.page.entries
        for entry in reversed(entries) if is_flipped else entries:
            id = self.archive.id_of(self.owner.bare, entry.position).encode()
            try:
                yield results.result(
                    self.shown(entry.stanza or b""), id, microseconds_of(entry.position)
                )
            except ValueError as error:
                _log.error(
                    "the message at {position} of the archive of {owner} is damaged: {error}",
                    position=entry.position, owner=self.owner.bare, error=error,
                )  # fmt: skip

    def fin(self) -> bytes:
        """The answer behind the results (QU-9, QU-10)."""
        entries, complete, total = self.page
        first = last = None
        if entries:
            first = self.archive.id_of(self.owner.bare, entries[0].position)
            last = self.archive.id_of(self.owner.bare, entries[-1].position)
        word = b" complete='true'" if complete else b""
        given = page_set(first, last, count=total)
        return b"<fin xmlns='%b'%b>%b</fin>" % (MAM.encode(), word, given)


class Ends(NamedTuple):
    """The positions of the first and the last message of an archive."""

    first: int
    last: int


async def ends(archive: Archive, owner: JID) -> Ends | None:
    """The ends of an archive; None if it is empty.

    Raises:
        StoreError: It cannot be read.
    """
    await archive.catch_up(owner.bare)
    first = await archive.entries.first(owner.bare)
    last = await archive.entries.last(owner.bare)
    return None if first is None or last is None else Ends(first.position, last.position)


def metadata(archive: Archive, owner: JID, ends: Ends | None) -> bytes:
    """What is said of an archive with these ends; of an empty one nothing."""
    if ends is None:
        return f"<metadata xmlns='{MAM}'/>".encode()
    start, end = (
        f"<{name} id='{archive.id_of(owner.bare, position)}'"
        f" timestamp='{exact_date_time(microseconds_of(position))}'/>"
        for name, position in (("start", ends.first), ("end", ends.last))
    )
    return f"<metadata xmlns='{MAM}'>{start}{end}</metadata>".encode()


def check_has_archive(account: JID) -> None:
    """Refuse what is asked of an account without an archive (AR-1).

    Raises:
        StanzaError: SERVICE_UNAVAILABLE: it is a guest.
    """
    if is_guest(account.bare):
        raise StanzaError(Condition.SERVICE_UNAVAILABLE, "a guest has no archive")


def answers_of(reader: ArchiveReader, waiting: WaitingMessages) -> list[Part]:
    """The parts that answer for archives."""

    def says(question: DiscoQuestion) -> DiscoInfo | None:
        if is_guest(question.entity.bare):
            return None
        return _SEARCHED if reader.words.is_wanted else _ANNOUNCED

    return [
        IQArchiveQueryHandler(reader, waiting),
        IQArchiveMetadataHandler(reader.archive, waiting),
        Says(of=Of.ACCOUNT, answer=says),
    ]


__all__ = [
    "Ends",
    "IQArchiveMetadataHandler",
    "IQArchiveQueryHandler",
    "answer_query",
    "answers_of",
    "check_has_archive",
    "ends",
    "metadata",
]
