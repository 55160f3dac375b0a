"""RoomRoll: who was in a room that is taken up, and is not there any more."""

from collections import deque
from collections.abc import Callable, Collection
from functools import partial

from msgspec import Struct
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from xmppd.cluster.node import NodeId
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID

from .absent import AbsentOccupants
from .occupant import OccupantSession
from .room import Room

MAX_GONE = 1_000
"""Nodes that were lost some time ago, whose people are in no room that is taken up."""

ROLL_S = 10.0
"""How long after a room was taken up it is asked who is in it."""


class RollCall(Struct, frozen=True):
    """Which of these sessions are not in a room?

    Attributes:
        room: Its bare JID.
        sessions: Their full JIDs.
    """

    room: str
    sessions: list[str]


class RoomRoll:
    """Knows where the sessions of ours are that are in the rooms of a service, and has those leave
    that were in a room when it was laid down or lost, and are not there any more (RM-60, RM-71).

    Args:
        absent: Has them leave.
        table: Knows which sessions there are here.
        messages: Ask other nodes.
        clock: The reactor's.
    """

    def __init__(
        self,
        absent: AbsentOccupants,
        table: RoutingTable,
        messages: PluginMessages,
        clock: IReactorTime,
    ) -> None:
        self.absent = absent
        self.table = table
        self.messages = messages
        self.clock = clock
        self._calls: set[IDelayedCall] = set()
        self._gone: deque[NodeId] = deque(maxlen=MAX_GONE)

    def is_at(self, room: Room, session: OccupantSession, node: NodeId | None) -> None:
        """Note where a session is."""
        if session.node != node:
            session.node = node
            room.noted(session.jid)

    # -- a room that is taken up ------------------------------------------------------------------

    def taken_up(self, room: Room) -> None:
        """Look who of those that were in is there, when they have had time to come back."""
        self._leave_at(room, self._gone)
        self._later(ROLL_S, partial(self._ask, room))
        self._later(self.absent.hall.settings.lost_server_s, partial(self._look, room))

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        def call() -> None:
            self._calls.discard(later)
            work()

        later = self.clock.callLater(seconds, call)
        self._calls.add(later)

    def _is_here(self, room: Room) -> bool:
        return self.absent.hall.rooms.loaded.get(room.jid.full) is room

    def _ask(self, room: Room) -> None:
        """Ask other nodes who has left, or ended, while nobody had the room."""
        if not self._is_here(room):
            return
        there: dict[NodeId, list[str]] = {}
        for session in room.sessions.values():
            if session.node is not None:
                there.setdefault(session.node, []).append(session.jid.full)
        for node, sessions in there.items():
            account = JID.prepared(sessions[0]).to_bare()
            self.messages.tell_node(node, account, RollCall(room.jid.full, sessions))

    def _look(self, room: Room) -> None:
        if self._is_here(room):
            gone = [each for each in room.sessions.values() if not self.is_there(each)]
            self.absent.leave_all(room, gone)

    def is_there(self, session: OccupantSession) -> bool:
        """Whether a session is, as far as is known here; who is of another server is asked."""
        if not self.table.is_local(session.jid):
            return True
        if session.node is None:
            return session.jid.full in self.table.bound
        return self.table.membership.is_in(session.node)

    # -- a node that is lost ----------------------------------------------------------------------

    def node_gone(self, node: NodeId) -> None:
        """Have those leave who were at a node that is lost, and have not come back in time."""
        self._gone.append(node)
        for room in tuple(self.absent.hall.rooms.loaded.values()):
            if room is not None and room.jid.domain == self.absent.service:
                self._leave_at(room, (node,))

    def _leave_at(self, room: Room, nodes: Collection[NodeId]) -> None:
        gone = [each for each in room.sessions.values() if each.node in nodes]
        if gone:
            self.absent.leave_all(room, gone)

    def stop(self) -> None:
        """Look no more."""
        for later in self._calls:
            later.cancel()


__all__ = ["ROLL_S", "RollCall", "RoomRoll"]
