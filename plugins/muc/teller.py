"""RoomTeller: carries out what rooms say is to be told."""

from collections.abc import Iterable

from twisted.internet.defer import Deferred

from xmppd.router.packet_router import PacketRouter
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import Stanza

from .effects import Effect
from .entrance import Entrance
from .occupant import OccupantSession
from .room import Room


class RoomTeller:
    """Tells sessions what happens in rooms, each stanza as bytes once, with a splice for each.

    Args:
        router: For what people are told as by anybody.
    """

    def __init__(self, router: PacketRouter) -> None:
        self.router = router
        self.routing_table = router.routing_table

    def tell(self, effects: Iterable[Effect]) -> None:
        """Tell all of it, in order; who is just entering is told behind what it is shown first."""
        for stanza, recipients in effects:
            direct = []
            for session in recipients:
                if session.entrance is None:
                    direct.append(session.jid)
                else:
                    session.entrance.add(stanza)
            self.routing_table.tell(stanza, direct)

    def show(self, session: OccupantSession, entrance: Entrance) -> None:
        """Show a room to a session that has entered: one of ours pulls it as fast as it reads, with
        others it leaves at once.
        """
        jid = session.jid
        stanzas = (each.addressed(jid) for each in entrance.stanzas())
        route = self.routing_table.bound.get(jid.full)
        if not isinstance(route, LocalClientSession):
            self._send_all(stanzas)
            return

        def over(is_whole: bool) -> None:
            if not is_whole:  # it may come back, and was in all the time (RM-35)
                self._send_all(stanzas)

        pulling = route.pull(stanzas)
        pulling.addCallback(over)

    def show_all(self, room: Room) -> None:
        """Show at once what is left to be shown to those who have just entered a room, since it is
        here no more.
        """
        for session in room.sessions.values():
            if session.entrance is not None:
                jid = session.jid
                self._send_all(each.addressed(jid) for each in session.entrance.stanzas())

    def send(self, stanza: Stanza) -> None:
        """Tell one session something."""
        self.routing_table.route(stanza)

    def hand_on(self, stanza: Stanza) -> None:
        """Send something to one session as anybody does: it is archived and copied there."""
        later = self.router.route(stanza)
        if later is not None:
            Deferred.fromCoroutine(later)  # the result of a router never fails

    def _send_all(self, stanzas: Iterable[Stanza]) -> None:
        for stanza in stanzas:
            self.send(stanza)


__all__ = ["RoomTeller"]
