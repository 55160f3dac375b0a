"""RoomRoll: who was in a room that is taken up, and is not there any more."""

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from xmppd.routing.routing_table import RoutingTable

from .absent import AbsentOccupants
from .occupant import OccupantSession
from .room import Room


class RoomRoll:
    """Has sessions of ours leave that were in a room when it was laid down or lost, and have not
    come back since (RM-60).

    Args:
        absent: Has them leave.
        routing_table: Knows which sessions there are.
        clock: The reactor's.
    """

    def __init__(
        self, absent: AbsentOccupants, routing_table: RoutingTable, clock: IReactorTime
    ) -> None:
        self.absent = absent
        self.routing_table = routing_table
        self.clock = clock
        self._calls: set[IDelayedCall] = set()

    def taken_up(self, room: Room) -> None:
        """Look who of them is there when they have had time to come back."""

        def call() -> None:
            self._calls.discard(later)
            self._call(room)

        later = self.clock.callLater(self.absent.hall.settings.lost_server_s, call)
        self._calls.add(later)

    def _call(self, room: Room) -> None:
        if self.absent.hall.rooms.loaded.get(room.jid.full) is room:
            self.absent.leave_all(
                room, [each for each in room.sessions.values() if not self.is_there(each)]
            )

    def is_there(self, session: OccupantSession) -> bool:
        """Whether a session is, as far as is known here; who is of another server is asked."""
        table = self.routing_table
        if not table.is_local(session.jid):
            return True
        if session.node is None:
            return session.jid.full in table.bound
        return table.membership.is_in(session.node)

    def stop(self) -> None:
        """Look no more."""
        for later in self._calls:
            later.cancel()


__all__ = ["RoomRoll"]
