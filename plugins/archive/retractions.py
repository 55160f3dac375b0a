"""Retractions (:xep:`0424`): what a sender takes back is replaced by a tombstone (AR-10, AR-11)."""

import re
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.message.follower import Course
from xmppd.stanza import Message, qname
from xmppd.stanza.date_time import date_time
from xmppd.stanza.xml import read, write
from xmppd.store.errors import StoreError

from .archive import Archive
from .entries import ArchiveEntry, Selection
from .ids import first_at, microseconds_of
from .routed import SID, STANZA_ID, read_back
from .waiting import WaitingMessages

RETRACT = "urn:xmpp:message-retract:1"
TOMBSTONES = f"{RETRACT}#tombstone"
MAX_SEARCHED = 10_000
"""Messages of the conversation among which one that is taken back is looked for, the latest."""

SEARCHED_DAYS = 30
ENTRIES_PER_TURN = 200
MAX_SEARCHES = 100
"""Those under way; a retraction beyond that is archived, and nothing else."""

MAX_ID_LENGTH = 1_000

_RETRACT = qname(RETRACT, "retract")
_RETRACTED = qname(RETRACT, "retracted")
TAKES_BACK = b"message-retract"
"""In the bytes of each message that takes another one back."""

_ORIGIN_ID = qname(SID, "origin-id")
_OCCUPANT_ID = qname("urn:xmpp:occupant-id:0", "occupant-id")
_KEPT = (_ORIGIN_ID, STANZA_ID, _OCCUPANT_ID)
_PLAIN = re.compile(r"[\w.:/@+-]*\Z").match  # written as it is, by whomever
_DAY_US = 86_400 * 1_000_000
_log = Logger()


class Retractions:
    """Looks for messages that are taken back, in the archive of either end, and leaves a tombstone
    of each.

    Args:
        archive: Has them.
        waiting: Those of them that wait for their recipient.
        next_turn: Waits for the next turn of the reactor.
    """

    def __init__(
        self, archive: Archive, waiting: WaitingMessages, next_turn: Callable[[], Awaitable[None]]
    ) -> None:
        self.archive = archive
        self.waiting = waiting
        self.next_turn = next_turn
        self._under_way = 0

    def note(self, course: Course, position: int) -> None:
        """Note a message that is archived: it may take another one back.

        Args:
            course: Of the message, at the end whose archive has it.
            position: Of the message.
        """
        if TAKES_BACK not in course.message.payload.raw:
            return
        retract = course.tree.find(_RETRACT)
        id = "" if retract is None else retract.get("id", "")
        if not 0 < len(id) <= MAX_ID_LENGTH or self._under_way >= MAX_SEARCHES:
            return
        self._under_way += 1
        work = Deferred.fromCoroutine(self._retract(course.account, course.message, id, position))
        work.addErrback(failed).addBoth(self._done)

    def _done(self, _: object) -> None:
        self._under_way -= 1

    async def _retract(self, owner: str, retraction: Message, id: str, position: int) -> None:
        found = await self._find(owner, retraction, id, position)
        if found is None or found.stanza is None:
            return
        if not found.is_tombstone:
            moment = microseconds_of(position)
            made = tombstone(found.stanza, retraction.id or "", moment // 1_000_000)
            await self.archive.bury(owner, found.position, made)
        if not found.is_sent:
            await self.waiting.take_back(owner, found.position)

    async def _find(
        self, owner: str, retraction: Message, id: str, position: int
    ) -> ArchiveEntry | None:
        """The entry of the message that its author has called so, the latest first."""
        assert retraction.to is not None, "it was routed"
        sender = retraction.sender.bare
        peer = retraction.to.bare if sender == owner else sender
        earliest = first_at(microseconds_of(position) - SEARCHED_DAYS * _DAY_US)
        before, searched = position, 0
        while searched < MAX_SEARCHED:
            page = await self.archive.entries.page(
                owner,
                Selection(after=earliest, before=before, peer=peer),
                ENTRIES_PER_TURN,
                backwards=True,
            )
            for entry in page:
                if entry.stanza is not None and is_called(entry.stanza, id, sender):
                    return entry
            if len(page) < ENTRIES_PER_TURN:
                return None
            before, searched = page[-1].position, searched + len(page)
            await self.next_turn()
        return None


def is_called(stanza: bytes, id: str, sender: str) -> bool:
    """Whether a kept message is of this sender, a bare JID, who has given it this id."""
    if _PLAIN(id) and id.encode() not in stanza:
        return False
    try:
        message = read_back(stanza)
        if message.sender.bare != sender:
            return False
        origin = message.payload.tree.find(_ORIGIN_ID)
        return message.id == id or (origin is not None and origin.get("id") == id)
    except (ValueError, KeyError):
        return False  # it is damaged


def tombstone(
    stanza: bytes, retraction: str, seconds: float, more: bytes = b"", behind: bytes = b""
) -> bytes:
    """What stays of a message: its addresses, type and ids.

    Args:
        stanza: As it was kept.
        retraction: The id of the message that takes it back.
        seconds: Since 1970, when that came.
        more: What is said of that, as elements inside of what stays.
        behind: What stays beside that, as elements behind all others.
    """
    tree = read(stanza)
    left = tree.makeelement(tree.tag, dict(tree.attrib))
    left.extend([child for child in tree if child.tag in _KEPT])
    said = {"stamp": date_time(seconds)} | ({"id": retraction} if retraction else {})
    retracted = write(tree.makeelement(_RETRACTED, said)).removesuffix(b"/>")
    inner = b"%b>%b</retracted>" % (retracted, more) if more else retracted + b"/>"
    raw = write(left).removesuffix(b"/>").removesuffix(b"</message>")
    open_tag = raw if len(left) else raw + b">"
    return b"%b%b%b</message>" % (open_tag, inner, behind)


def failed(failure: Failure) -> None:
    """Log that a message was not taken back."""
    if not failure.check(StoreError):  # which the store has logged; the message stays
        _log.failure("a retracted message could not be removed from the archive", failure)


__all__ = [
    "MAX_SEARCHED",
    "MAX_SEARCHES",
    "RETRACT",
    "TAKES_BACK",
    "TOMBSTONES",
    "Retractions",
    "failed",
    "is_called",
    "tombstone",
]
