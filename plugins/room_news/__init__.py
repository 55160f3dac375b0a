"""XEP-0437: Room Activity Indicators. Who belongs to a room and is not in is told once that
something was said there, and again when they have been in since (RM-63).

For whom there is something new is kept in ``table.py``: so it is known after a restart, and at all
nodes. Who wants to be told is known by the presence they have sent to the service.
"""

from weakref import WeakKeyDictionary

from msgspec import Struct
from twisted.internet.defer import Deferred

from xmppd.disco.disco import Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import On
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.plugin.place import Part
from xmppd.presence.directed_presences import DirectedPresences
from xmppd.presence.presence_manager import PresenceManager
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Later, Message, escape, qname
from xmppd.store.errors import StoreError
from xmppd.store.sql import Database, Tables
from xmppd_plugins.muc.entry import EnteredRoom
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.names import SUBDOMAIN
from xmppd_plugins.muc.news import is_news
from xmppd_plugins.muc.ranks import RoomAffiliation
from xmppd_plugins.muc.room import Room
from xmppd_plugins.muc.service import PresenceToRooms
from xmppd_plugins.muc.state import Affiliated
from xmppd_plugins.muc.talk import SaidToAll

from .table import NewsTable, metadata

RAI = "urn:xmpp:rai:0"
MAX_ROOMS = 500
"""Rooms that are named to who begins to want to be told."""

_RAI = qname(RAI, "rai")


class NewsInRoom(Struct, frozen=True):
    """Something is new in a room for an account.

    Attributes:
        room: Bare JID of the room.
        account: That of the account.
    """

    room: str
    account: str


class RoomNews:
    """Tells accounts in which rooms something is new.

    Args:
        hall: Where the rooms are.
        table: Knows for whom there is something new.
        messages: Lead to the nodes of an account.
        directed: Whom sessions have sent presence.
    """

    def __init__(
        self,
        hall: Hall,
        table: NewsTable,
        messages: PluginMessages,
        directed: DirectedPresences,
    ) -> None:
        self.hall = hall
        self.table = table
        self.messages = messages
        self.directed = directed
        self.routing_table: RoutingTable = hall.teller.routing_table
        self._noted: WeakKeyDictionary[Room, tuple[Affiliated, ...]] = WeakKeyDictionary()
        self._unaware: WeakKeyDictionary[Room, set[str]] = WeakKeyDictionary()
        self._reading: WeakKeyDictionary[Room, list[Deferred[None]]] = WeakKeyDictionary()
        self._beginning: dict[tuple[JID, JID], set[str]] = {}

    # -- in the rooms that are here ---------------------------------------------------------------

    async def _of(self, room: Room) -> set[str]:
        """The accounts for which there is something new in a room, which is read once."""
        found = self._unaware.get(room)
        while found is None:
            waiting = self._reading.get(room)
            if waiting is None:
                await self._read(room)
            else:
                turn = Deferred[None]()
                waiting.append(turn)
                await turn
            found = self._unaware.get(room)
        return found

    async def _read(self, room: Room) -> None:
        waiting: list[Deferred[None]] = []
        self._reading[room] = waiting
        try:
            self._unaware[room] = await self.table.unaware(room.jid.full)
        finally:
            del self._reading[room]
            for turn in waiting:
                turn.callback(None)

    def hear(self, event: SaidToAll) -> Later:
        """Note for whom it is new that something was said, and tell them."""
        room = event.room
        away = room.away
        if not away or self._noted.get(room) is away or not is_news(event.tree):
            return None  # nobody has left since the last of them, and nobody has become a member
        self._noted[room] = away
        return self._note(room)

    async def _note(self, room: Room) -> None:
        try:
            unaware = await self._of(room)
            new = [
                each.jid
                for each in self.hall.away(room)
                if each.affiliation is not RoomAffiliation.NONE and each.jid not in unaware
            ]
            if new:
                await self.table.add(room.jid.full, new)
        except StoreError:
            self._noted.pop(room, None)  # the next message is as new
            raise
        unaware.update(new)
        for account in new:
            told = NewsInRoom(room.jid.full, account)
            await self.messages.tell(JID.prepared(account), told)

    async def entered(self, event: EnteredRoom) -> None:
        """Note that somebody has seen what is new."""
        room, person = event.room, event.session.to_bare()
        if person.domain not in self.hall.commands.domains:
            return
        if person.bare not in room.affiliated and room not in self._unaware:
            return
        unaware = await self._of(room)
        if person.bare in unaware:
            unaware.discard(person.bare)
            await self.table.drop([room.jid.full], person.bare)

    # -- for who wants to be told -----------------------------------------------------------------

    def tell(self, news: NewsInRoom) -> None:
        """Tell the sessions here of an account that want to be told."""
        service = JID.prepared(news.room).domain
        to = JID.prepared(service)
        routes = self.routing_table.users.get(news.account)
        for session in () if routes is None else tuple(routes.sessions.values()):
            is_here = isinstance(session, LocalClientSession)
            if is_here and self.directed.has_told(session.jid, to):
                self._send(to, session.jid, [news.room])
                # What they have asked for may be read just now, and have this room too.
                self._beginning.get((session.jid, to), set()).add(news.room)

    async def wanted(self, event: PresenceToRooms) -> None:
        """Tell who begins to want to be told what there is already."""
        presence, service = event.presence, event.service
        person = presence.sender
        is_ours = person.domain in self.hall.commands.domains
        if not is_ours or presence.type is not None or presence.payload.tree.find(_RAI) is None:
            return
        wish = person, service
        if wish in self._beginning:
            return  # it is answered already
        told = self._beginning[wish] = set()
        try:
            rooms = await self._already(person, service)
        finally:
            del self._beginning[wish]
        rooms = [name for name in rooms if name not in told]
        if rooms and self.directed.has_told(person, service):
            self._send(service, person, rooms)

    async def _already(self, person: JID, service: JID) -> list[str]:
        """The rooms of a service in which something is new for somebody who belongs to them."""
        noted = [
            name
            for name in await self.table.rooms(person.bare)
            if JID.prepared(name).domain == service.domain
        ]
        own = dict(
            await self.hall.rooms.store.rooms_of(service.domain, person, MAX_ROOMS) if noted else ()
        )
        over = [name for name in noted if name not in own]
        if over:
            await self.table.drop(over, person.bare)
        return [name for name in noted if name in own]

    def _send(self, service: JID, session: JID, rooms: list[str]) -> None:
        listed = "".join(f"<activity>{escape(name)}</activity>" for name in rooms)
        told = f"<rai xmlns='{RAI}'>{listed}</rai>".encode()
        self.routing_table.route(Message.make(session, service, told))


def plug(
    hall: Hall, database: Database, messages: PluginMessages, presences: PresenceManager
) -> list[Part]:
    """The parts of this feature."""
    news = RoomNews(hall, NewsTable(database), messages, presences.directed)
    return [
        Tables(metadata),
        Tell(NewsInRoom, news.tell),
        On(SaidToAll, news.hear),
        On(EnteredRoom, news.entered),
        On(PresenceToRooms, news.wanted),
        *(
            Says(DiscoInfo(features=(RAI,)), of=SUBDOMAIN + domain)
            for domain in sorted(hall.commands.domains)
        ),
    ]
