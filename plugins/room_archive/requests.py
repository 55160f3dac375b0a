"""What is asked of the archives of rooms, and by whom (RM-46, RM-47)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from xmppd.disco.info import DiscoInfo, DiscoQuestion
from xmppd.handler.iq_handler import Asked, IQHandler, Pulling, To
from xmppd.host.locks import Locks
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Condition, StanzaError, qname
from xmppd.stanza.result import MAM
from xmppd_plugins.archive.entries import Selection
from xmppd_plugins.archive.ids import microseconds_of
from xmppd_plugins.archive.query import ArchiveReader, Query
from xmppd_plugins.archive.query_form import FULL_TEXT, query_form, read_query
from xmppd_plugins.archive.requests import Ends, answer_query, ends, metadata
from xmppd_plugins.archive.retractions import RETRACT, TOMBSTONES
from xmppd_plugins.archive.routed import without_author
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.privileges import check_archive, sees_jids
from xmppd_plugins.muc.room import Room

from .memory import RoomArchive
from .moderation import MODERATE, OLD_MODERATE

_UNKEPT = DiscoInfo(features=(RETRACT, MODERATE, OLD_MODERATE))
_ANNOUNCED = DiscoInfo(features=(*_UNKEPT.features, MAM, f"{MAM}#extended", TOMBSTONES))
_SEARCHED = DiscoInfo(features=(*_ANNOUNCED.features, FULL_TEXT))


class RoomReader:
    """Reads the archives of rooms for those who may.

    Args:
        hall: Knows the rooms, and who is what to them.
        memory: Knows which of them have an archive.
        reader: Answers queries.
        next_turn: Waits for the next turn of the reactor.
    """

    def __init__(
        self,
        hall: Hall,
        memory: RoomArchive,
        reader: ArchiveReader,
        next_turn: Callable[[], Awaitable[None]],
    ) -> None:
        self.hall = hall
        self.memory = memory
        self.reader = reader
        self.next_turn = next_turn
        self.locks = Locks()

    def says(self, question: DiscoQuestion) -> DiscoInfo | None:
        """The features of a room: what was said is taken back also where there is no archive."""
        room = self.hall.rooms.loaded.get(question.entity.bare)
        if room is None:
            return None
        if not self.memory.has(room):
            return _UNKEPT
        return _SEARCHED if self.reader.words.is_wanted else _ANNOUNCED

    def check(self, room: JID, asker: JID) -> Room:
        """Let somebody read the archive of a room.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is no such room; SERVICE_UNAVAILABLE: it has none;
                FORBIDDEN: it is not for them.
        """
        found = self.hall.found(room)
        check_archive(self.hall.standing(found, asker), found.config)
        if not self.memory.has(found):
            raise StanzaError(Condition.SERVICE_UNAVAILABLE, "this room has no archive")
        return found

    async def answer(self, iq: IQ, asked: Asked) -> Pulling:
        """Answer a query: those of one client one after the other, as fast as it reads (QU-15)."""
        wanted = read_query(iq.payload.tree[0], full_text=self.reader.words.is_wanted)
        async with self.locks.held(iq.sender.full):
            await self.next_turn()  # what the one before has found is on its way by now
            if asked.asker is not None:
                await _have_room(asked.asker)
            room = self.check(asked.address, iq.sender)
            sees = sees_jids(self.hall.standing(room, iq.sender), room.config)
            query = _of_room(wanted, room, self.memory.begins(room), sees=sees)
            shown = bytes if sees else without_author
            return await answer_query(self.reader, room.jid, iq, query, shown)


async def _have_room(session: LocalClientSession) -> None:
    """Wait until a session may ask for more."""
    waiting = session.room_to_pull()
    while waiting is not None:
        await waiting
        waiting = session.room_to_pull()


def _of_room(query: Query, room: Room, begins: int, *, sees: bool) -> Query:
    """A query as it is meant in a room: its peers are occupants, or accounts, for those who see
    which these are; and nothing is found that is before its begin.

    Raises:
        StanzaError: FORBIDDEN: they are not for whoever asks.
    """
    peer = query.filters.peer
    since = max(query.filters.since or 0, microseconds_of(begins)) or None
    filters = replace(query.filters, by_full=True, groupchat=True, since=since)
    if peer is not None and peer.bare != room.jid.full:
        if not sees:
            text = f"address others here by their nick: {room.jid.full}/nick"
            raise StanzaError(Condition.FORBIDDEN, text)
        filters = replace(filters, peer=None, author=peer)
    return query._replace(filters=filters)


class IQRoomQueryHandler(IQHandler):
    """Send the messages of a room that are asked for, behind them the answer; or the form by which
    they are asked for.
    """

    query = qname(MAM, "query")
    to = To.ENTITIES
    apart = True

    def __init__(self, reader: RoomReader) -> None:
        self.reader = reader

    def on_get(self, iq: IQ, asked: Asked) -> bytes:
        self.reader.check(asked.address, iq.sender)
        return query_form(full_text=self.reader.reader.words.is_wanted)

    async def on_set(self, iq: IQ, asked: Asked) -> Pulling:
        return await self.reader.answer(iq, asked)


class IQRoomMetadataHandler(IQHandler):
    """Tell the first and the last message of a room (QU-16)."""

    query = qname(MAM, "metadata")
    to = To.ENTITIES
    apart = True

    def __init__(self, reader: RoomReader) -> None:
        self.reader = reader

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        room = self.reader.check(asked.address, iq.sender)
        archive = self.reader.reader.archive
        found = await ends(archive, room.jid)
        if found is not None:
            own = Selection(after=self.reader.memory.begins(room) - 1)
            first = await archive.entries.page(room.jid.full, own, 1)
            found = Ends(first[0].position, found.last) if first else None
        return metadata(archive, room.jid, found)


__all__ = ["IQRoomMetadataHandler", "IQRoomQueryHandler", "RoomReader"]
