"""RoomGuests: people of this node who are in rooms, whichever nodes have these."""

from collections.abc import Coroutine, Iterator, Mapping
from contextlib import suppress
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.bus import Unreachable
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.stanzas import Behind
from xmppd.cluster.membership import NodeLost
from xmppd.cluster.node import NodeId
from xmppd.presence.directed_presences import DirectedPresences
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionMoved
from xmppd.stanza import JID, StanzaError

from .entrance import Entrance
from .occupant import OccupantSession
from .roll import RollCall
from .room import Room
from .service import RoomService
from .way import RoomAccepted, RoomWay

SETTLE_S = 5.0
"""How long what was sent to a session at its former node may take to be passed on."""

_log = Logger()


class SessionAt(Struct, frozen=True):
    """A session that is in a room is at another node than before.

    Attributes:
        room: Bare JID of the room.
        session: Its full JID.
        node: Where it is.
    """

    room: str
    session: str
    node: str


class RollAnswer(Struct, frozen=True):
    """The answer to a roll call.

    Attributes:
        room: Bare JID of the room.
        sessions: Full JIDs of those that are not in, or not at all.
        node: Where they were looked for.
    """

    room: str
    sessions: list[str]
    node: str


class RoomGuests:
    """Tells the nodes that have rooms who of this node is in them, and is told by others (RM-71).

    Args:
        hosts: The services, by domain.
        way: Leads to rooms.
        directed: Whom sessions have sent presence: who is in a room has sent it some.
    """

    def __init__(
        self, hosts: Mapping[str, RoomService], way: RoomWay, directed: DirectedPresences
    ) -> None:
        self.hosts = hosts
        self.way = way
        self.table = way.table
        self.directed = directed

    # -- of this node -----------------------------------------------------------------------------

    def call(self, call: RollCall) -> None:
        """Say who is not in a room that was taken up by another node."""
        _start(self._answer(call))

    async def _answer(self, call: RollCall) -> None:
        room = JID.prepared(call.room)
        gone = [text for text in call.sessions if not await self.is_in(JID.prepared(text), room)]
        if gone:
            await self.say_gone(call.room, gone)

    async def say_gone(self, name: str, sessions: list[str]) -> None:
        """Say to whoever has a room which sessions of this node are not in it.

        Raises:
            StanzaError: REMOTE_SERVER_TIMEOUT: nobody has it.
        """
        entry = RollAnswer(name, sessions, str(self.table.membership.id))
        if not await self.way.send(name, entry):
            self.are_out(entry)

    async def is_in(self, session: JID, room: JID) -> bool:
        """Whether a session is in a room, for all that is known here; one that has moved says so
        itself.
        """
        if isinstance(self.table.bound.get(session.full), LocalClientSession):
            return self.directed.has_told(session, room)
        try:
            return session.resource in await self.table.directory.sessions_of(session.bare)
        except DirectoryAway:
            return True

    def node_lost(self, event: NodeLost) -> None:
        """Have the rooms of a lost node taken up in which somebody of this one is."""
        _start(self._find_rooms())

    async def _find_rooms(self) -> None:
        here = tuple(self.table.bound.values())
        sessions = [each.jid for each in here if isinstance(each, LocalClientSession)]
        for name in dict.fromkeys(name for jid in sessions for name in self._rooms_of(jid)):
            with suppress(StanzaError):  # then it is found when somebody says something
                await self.way.rooms.owner(name)

    def grace_is_over(self, node: NodeId) -> None:
        """Have those leave who were at a lost node, also in rooms that nobody has since."""
        for host in self.hosts.values():
            host.roll.node_gone(node)
        others = (each.id for each in self.table.membership.nodes.values())
        if all(self.table.membership.id < other for other in others):
            _start(self.way.rooms.take_up_occupied(self.hosts))

    def moved(self, event: SessionMoved) -> None:
        """Tell the rooms in which a session is that it is here."""
        for name in dict.fromkeys(self._rooms_of(event.session.jid)):
            _start(self._say_where(name, event.session.jid))

    async def _say_where(self, name: str, session: JID) -> None:
        entry = SessionAt(name, session.full, str(self.table.membership.id))
        if not await self.way.send(name, entry):
            self.is_at(entry)

    def _rooms_of(self, session: JID) -> Iterator[str]:
        for receiver in self.directed.receivers(session):
            if receiver.domain in self.hosts and receiver.local is not None:
                yield receiver.bare

    # -- of rooms that are here -------------------------------------------------------------------

    def are_out(self, entry: RollAnswer) -> RoomAccepted:
        """Have those leave who are not in, and not at another node meanwhile."""
        host, room = self._room(entry.room)
        if room is not None:
            found = [room.sessions.get(each) for each in entry.sessions]
            here = self.table.membership.id
            gone = [
                each for each in found if each is not None and str(each.node or here) == entry.node
            ]
            host.absent.leave_all(room, gone)
        return RoomAccepted()

    def is_at(self, entry: SessionAt) -> RoomAccepted:
        """Tell a session at its new node what happens, behind what was sent to its former one."""
        host, room = self._room(entry.room)
        session = None if room is None else room.sessions.get(entry.session)
        if room is not None and session is not None:
            node = NodeId.parse(entry.node)
            is_here = node == self.table.membership.id
            _start(self._turn(host, room, session, None if is_here else node))
        return RoomAccepted()

    def _room(self, name: str) -> tuple[RoomService, Room | None]:
        host = self.hosts[JID.prepared(name).domain]
        return host, host.hall.rooms.loaded.get(name)

    async def _turn(
        self, host: RoomService, room: Room, session: OccupantSession, node: NodeId | None
    ) -> None:
        former = session.node
        if session.entrance is None and former is not None and former != node:
            session.entrance = waiting = Entrance((), _nobody, (), tuple, session.entered)
            with suppress(Unreachable):
                await self.table.bus.ask(former, Behind(session.jid.bare), SETTLE_S)
            host.roll.is_at(room, session, node)
            host.hall.teller.show(session, waiting)
        else:
            host.roll.is_at(room, session, node)


def _nobody(occupant: JID) -> None:
    """Show nobody."""


def _start(work: Coroutine[Any, Any, None]) -> None:
    Deferred.fromCoroutine(work).addErrback(_failed)


def _failed(failure: Failure) -> None:
    if not failure.check(StanzaError):  # then nobody has the room, and it is asked who is in it
        _log.failure("the occupants of a room could not be listed", failure)


__all__ = ["RollAnswer", "RoomGuests", "SessionAt"]
