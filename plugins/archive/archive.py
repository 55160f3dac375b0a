"""Archive: messages of all accounts, from the moment at which they are accepted."""

from collections.abc import Awaitable, Callable, Container, Sequence
from functools import partial
from secrets import token_bytes

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.account.accounts import AccountRemoved
from xmppd.host.clocks import Clocks
from xmppd.message.decision import Cell
from xmppd.message.follower import Course, Follower, Remark
from xmppd.stanza import JID, Later, Message
from xmppd.stanza.guests import is_guest
from xmppd.stanza.stanza import Archived
from xmppd.store.errors import StoreError
from xmppd.store.sql import Connection, Database, digest, insert_if_absent

from .entries import ArchiveEntries
from .ids import KEY_BYTES, MAX_POSITION, ArchiveIds, PositionClock, elsewhere, first_at
from .routed import NAMED, flags_of, is_none, peers, read_back, with_id, without_ids_by
from .settings import ArchiveSettings
from .tables import (
    BEGINS,
    FORGET_ARCHIVE,
    GROUPCHAT,
    HIGHEST,
    INDEXED_TO,
    KEY,
    LAST_POSITION,
    MARKS,
    NOT_INDEXED,
    SPEAKS,
    TOMBSTONE,
    bury,
    marks,
    set_mark,
)
from .tail import Accepted, Tail
from .tail_indexer import INDEX_MESSAGES, TailIndexer
from .tail_writer import NO_ROOM, TailWriter

SETTLED_S = 600.0
"""The time by which everything about a message has long been written, on any node."""

_RETRACTED = b"<retracted xmlns='urn:xmpp:message-retract:1'"
_KEEP_KEY = insert_if_absent(marks)
_log = Logger()


class Settle(Struct, frozen=True):
    """An archive is about to be read at another node.

    Attributes:
        owner: Bare JID.
    """

    owner: str


class Archive(Follower):
    """Keeps the messages of accounts, and gives each its id before it leaves (AR-1 to AR-6).

    A message is in the archive of its sender when it is on its way, and in that of its recipient
    when it was accepted: with the same position, and its bytes once.

    Args:
        database: Has the tables.
        node: Tells the number of this node.
        clocks: Tell the time of day.
        clock: The reactor's.
        settings: Those of the plugin.

    Attributes:
        ids: Numbers of archives and ids of messages.
        positions: Gives positions.
        tail: The newest messages.
        entries: All messages, to be read.
        ask_others: Has all other nodes take a message about an account; returns whether they have.
        copied: The accounts, by bare JID, of which others may see what they send.
        joined: Each is called with a message that was archived at this end, and its position.
        is_paused: Whether nothing is archived, since the disk is nearly full.
        vetoes: Each says whether it keeps a message out of the archive at this end.
    """

    of_all = True

    def __init__(
        self,
        database: Database,
        node: Callable[[], int],
        clocks: Clocks,
        clock: IReactorTime,
        settings: ArchiveSettings,
    ) -> None:
        self.database = database
        self.ids = ArchiveIds(token_bytes(KEY_BYTES))
        self.positions = PositionClock(clocks.wall_clock, node)
        self.tail = Tail()
        self.indexer = TailIndexer(database, self.tail, clock)
        self.writer = TailWriter(database, self.tail, self.indexer, clock)
        self.entries = ArchiveEntries(database, self.tail, self.ids)
        self.ask_others: Callable[[JID, Settle], Awaitable[bool]] = _no_others
        self.copied: Container[str] = ()
        self.joined: list[Callable[[Course, int], None]] = []
        self.is_paused = False
        self._begins: dict[int, int] = {}  # while the tail is read back
        self.vetoes: list[Callable[[Course], bool]] = []
        self.use(settings)

    def use(self, settings: ArchiveSettings) -> None:
        """Take other settings."""
        self.settings = settings
        self.writer.flush_s = settings.flush_ms / 1000

    # -- from start to end ------------------------------------------------------------------------

    async def open(self) -> None:
        """Read what is needed before the first message, and what is not indexed yet.

        Raises:
            StoreError: It cannot be read.
        """
        known = dict(await self.database.read(MARKS, {}))
        if KEY not in known:
            await self.database.write(_make_key)
            known = dict(await self.database.read(MARKS, {}))
        self.ids = self.entries.ids = ArchiveIds(known[KEY])
        [(last,)] = await self.database.read(LAST_POSITION, {})
        self.positions.go_on_above(max(last or 0, int(known.get(HIGHEST, b"0"))))
        if self.indexer.is_late:
            await self._read_tail(int(known.get(INDEXED_TO, b"0")))
            self._begins.clear()

    async def _read_tail(self, after: int) -> None:
        """Read the messages back whose entries are not written."""
        self.indexer.indexing_to = after
        while found := await self.database.read(
            NOT_INDEXED, {"after": after, "limit": self.tail.max_messages // 2}
        ):
            messages = [each for row in found if (each := self._read_back(*row)) is not None]
            for message in messages:
                await self._leave_former(message)
                self.tail.add(message)
            self.indexer.read_back(messages)
            after = found[-1][0]
            if len(self.tail) > INDEX_MESSAGES:
                await self.indexer.index()

    async def _leave_former(self, message: Accepted) -> None:
        """Take a message out of archives that are gone, or begin later."""
        for archive in message.archives:
            if archive not in self._begins:
                found = await self.database.read(BEGINS, {"archive": archive})
                self._begins[archive] = found[0][0] if found else MAX_POSITION
            if message.position < self._begins[archive]:
                message.leave(archive)

    def _read_back(self, position: int, sent: int, received: int, wire: bytes) -> Accepted | None:
        try:
            message = read_back(wire)
        except (ValueError, KeyError):
            _log.error("the message at {position} of the archive is damaged", position=position)
            return None
        accepted = _accepted(position, wire, message)
        accepted.sent, accepted.received = sent, received
        if _RETRACTED in wire:
            accepted.flags |= TOMBSTONE
        return accepted

    async def write_all(self) -> None:
        """Write and index all that was accepted until now.

        Raises:
            StoreError: It could not be written.
        """
        await self.writer.flush()
        await self.indexer.index()

    async def close(self) -> None:
        """Write all that is in memory."""
        self.writer.stop()
        self.indexer.stop()
        try:
            await self.writer.flush()
            await self.database.write(partial(set_mark, mark=HIGHEST, value=self.positions.last))
        except StoreError as error:
            _log.error("messages are missing from the archive: {error}", error=error)

    async def removed(self, event: AccountRemoved) -> None:
        """Forget the archive of an account that is gone (AR-14)."""
        await self.forget(event.account.bare)

    async def forget(self, owner: str) -> None:
        """Forget an archive, by the bare JID of its owner.

        Raises:
            StoreError: The database cannot be written.
        """
        self.writer.forget(self.ids.number(owner))
        await self.writer.flush()  # which may have entered the archive again
        await self.database.write(partial(_forget, owner=digest(owner)))

    def look_at_disk(self) -> None:
        """Archive nothing more while the disk is nearly full, and say so (AR-13)."""
        least = self.settings.min_free_bytes
        try:
            is_paused = self.database.free_bytes() < least
        except StoreError:
            return  # the file is gone, which the store tells
        if is_paused != self.is_paused:
            if is_paused:
                _log.critical(
                    "less than {least} bytes are free on the database's disk: messages are still "
                    "delivered, but no longer archived",
                    least=least,
                )
            else:
                _log.info("the database's disk has room again: messages are archived")
        self.is_paused = is_paused

    @property
    def settled(self) -> int:
        """The position below which each stanza in the database has its entries there."""
        past = first_at(int((self.positions.now() - SETTLED_S) * 1_000_000))
        return min(past, self.indexer.indexing_to + 1)

    # -- for others -------------------------------------------------------------------------------

    def take(self, owner: JID, said: Message, author: JID, *, speaks: bool) -> int:
        """Take a message into the archive of a room, in which it is about to be said.

        Args:
            owner: The bare JID of the room, which has no other end.
            said: From an occupant, who is its peer, to nobody yet, and without an id.
            author: Whoever waits until it is written (OA-2); their full or bare JID.
            speaks: Whether it says something, so that it is unread for who has not seen it.

        Returns:
            Its position.

        Raises:
            StoreError: The database has not taken messages for too long: it cannot be kept.
        """
        if self.tail.is_overfull:
            raise StoreError(NO_ROOM)
        position, peer = self.positions.next(), said.sender.full
        flags = GROUPCHAT | SPEAKS if speaks else GROUPCHAT
        accepted = Accepted(position, said.wire(), owner.full, peer, flags)
        accepted.received = number = self.ids.number(owner.full)
        self.writer.join(accepted, number, owner.full, author.bare)
        return position

    async def catch_up(self, owner: str) -> None:
        """Wait until other nodes have written what they have accepted for an archive: whoever reads
        it here finds that (OA-10).

        Raises:
            StoreError: One has not; whoever asks is told to try again, and misses nothing.
        """
        if not await self.ask_others(JID.prepared(owner), Settle(owner)):
            raise StoreError("Another node has not written its part of the archive yet.")

    async def settle(self, settle: Settle) -> None:
        """Write what was accepted here for an archive, since it is read at another node.

        Raises:
            StoreError: It could not be written.
        """
        if self.tail.of(self.ids.number(settle.owner)):
            await self.writer.flush()

    def id_of(self, owner: str, position: int) -> str:
        """The id of the message at a position of an archive.

        Args:
            owner: Bare JID of the archive's owner.
            position: Of the message.
        """
        return self.ids.id_of(self.ids.number(owner), position)

    def position_of(self, owner: str, id: str) -> int | None:
        """The position that an id names; None if it was not made for this archive.

        Whether there is, or was, a message at it is another question.
        """
        return self.ids.position_of(self.ids.number(owner), id)

    async def bury(self, owner: str, position: int, tombstone: bytes) -> None:
        """Replace what a message said, in all archives that it is in.

        Args:
            owner: Bare JID of the owner of one of them.
            position: Of the message.
            tombstone: What stays of it.

        Raises:
            StoreError: It could not be written.
        """
        for message in self.tail.of(self.ids.number(owner)):
            if message.position == position:
                message.wire, message.flags = tombstone, message.flags | TOMBSTONE
        await self.write_all()
        await self.database.write(partial(bury, position=position, stanza=tombstone))

    # -- following --------------------------------------------------------------------------------

    def room(self) -> Later:
        """Wait until the database has taken what is more than the tail has room for."""
        return self.writer.room() if self.tail.is_full else None

    def prepare(self, course: Course) -> None:
        """Give the message its id, if it is to be archived at this end.

        Raises:
            StoreError: The database has not taken messages for too long: nothing is accepted that
                could not be kept.
        """
        came = message = course.message
        account, payload = course.account, came.payload
        if NAMED in payload.raw:  # AR-21
            is_ours = self._is_ours if payload.again else is_none
            course.message = message = without_ids_by(came, account, is_ours)
        if payload.again or not self._takes(course):  # it has had its id
            return
        if self.tail.is_overfull:
            raise StoreError(NO_ROOM)
        accepted = payload.archived
        if course.is_sent:
            accepted = self._accept(message)
            payload.archived = message.payload.archived = accepted
        elif not isinstance(accepted, Accepted):  # none, or another node has accepted it
            accepted = self._accept(message, accepted)
        elif accepted.is_taken or message is not came:
            accepted = self._accept(message)
        elif not accepted.wire:  # the sender's end was written meanwhile
            accepted.wire = message.wire()
        accepted.promised = number = self.ids.number(account)
        if course.is_sent and account not in self.copied:
            return  # nobody here sees the id
        id = self.ids.id_of(number, accepted.position)
        course.message = with_id(message, JID.prepared(account), id)
        course.message.payload.archived = accepted

    def _is_ours(self, owner: str, id: str) -> bool:
        """Whether an id is one that was given here."""
        return self.position_of(owner, id) is not None

    def _takes(self, course: Course) -> bool:
        """Whether a message is archived at this end."""
        if (
            self.is_paused
            or not course.fate.archive
            or course.decision.cell is Cell.DROPPED
            or is_guest(course.account)
        ):
            return False
        for veto in self.vetoes:  # noqa: SIM110  # a generator costs as much as all of them
            if veto(course):
                return False
        return True

    def _accept(self, message: Message, there: Archived | None = None) -> Accepted:
        """Accept a message here; its position is always the same if another node has done so at its
        sender's end, and so it is there once, by whichever way it comes again (OA-10).
        """
        position = self.positions.next() if there is None else elsewhere(there.position)
        return _accepted(position, message.wire(), message)

    def follow(self, course: Course) -> None:
        """Take the message into the archive for which it was prepared."""
        message, account = course.message, course.account
        accepted = message.payload.archived
        if not isinstance(accepted, Accepted) or message.payload.again:
            return
        number = self.ids.number(account)
        if accepted.promised != number or course.decision.cell is Cell.DROPPED:
            return
        accepted.promised = 0
        if course.is_sent:
            accepted.sent = number
        else:
            accepted.received = number
        self.writer.join(accepted, number, account, message.sender.bare)
        for each in self.joined:
            each(course, accepted.position)

    def secure(self, account: str) -> Later:
        """Wait until all is on disk that an account has sent, in whosever archive (OA-2)."""
        return self.writer.secure(account)

    async def explain(self, course: Course) -> Sequence[Remark]:
        """Say whether the message would be archived at this end."""
        if course.decision.bounced or not self._takes(course):
            return ()
        return [Remark("archived", f"the message goes to the archive of {course.account}", "AR-2")]


def _accepted(position: int, wire: bytes, message: Message) -> Accepted:
    return Accepted(position, wire, *peers(message), flags_of(message))


async def _no_others(account: JID, settle: Settle) -> bool:
    """True: there is no other node."""
    return True


def _make_key(connection: Connection) -> None:
    """Make the key of all ids, if no other node has made one."""
    key = {"mark": KEY, "value": token_bytes(KEY_BYTES)}
    connection.execute(_KEEP_KEY.on(connection), key)


def _forget(connection: Connection, owner: bytes) -> None:
    connection.execute(FORGET_ARCHIVE, {"owner": owner})


__all__ = ["Archive"]
