"""RoomTeller: carries out what rooms say is to be told."""

from collections.abc import Iterable
from contextlib import suppress

from twisted.internet.defer import Deferred

from xmppd.cluster.node import NodeId
from xmppd.router.packet_router import PacketRouter
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Stanza, StanzaError

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

    def tell(self, effects: Iterable[Effect], cause: JID | None = None) -> None:
        """Tell all of it, in order; who is just entering is told behind what it is shown first.

        Args:
            effects: What is told, and to whom.
            cause: The session that has caused it.
        """
        told = 0
        for stanza, recipients in effects:
            here: list[JID] = []
            there: dict[NodeId, list[JID]] = {}
            for session in recipients:
                if session.entrance is not None:
                    session.entrance.add(stanza)
                elif session.node is None:
                    here.append(session.jid)
                else:
                    there.setdefault(session.node, []).append(session.jid)
            self.routing_table.tell(stanza, here)
            told += len(here)
            for node, sessions in there.items():
                self.routing_table.tell_at(node, stanza, sessions)
                told += len(sessions)
        if cause is not None and told > 1:
            self.routing_table.note_fan_out(cause, told - 1)

    def show(self, session: OccupantSession, entrance: Entrance) -> None:
        """Show a room to a session that has entered: one of ours pulls it as fast as it reads, with
        others it leaves at once.
        """
        jid = session.jid
        if session.node is not None:
            Deferred.fromCoroutine(self._show_elsewhere(session, entrance))  # it never fails
            return
        stanzas = entrance.stanzas()
        route = self.routing_table.bound.get(jid.full)
        if not isinstance(route, LocalClientSession):
            self._send_all(stanzas, jid)
            return

        def over(is_whole: bool) -> None:
            if not is_whole:  # it may come back, and was in all the time (RM-35)
                self._send_all(stanzas, jid)

        pulling = route.pull(stanzas)
        pulling.addCallback(over)

    async def _show_elsewhere(self, session: OccupantSession, entrance: Entrance) -> None:
        """Show a room to a session at another node, as fast as that takes it."""
        bus = self.routing_table.bus
        for stanza in entrance.stanzas():
            node = session.node
            room = None if node is None else bus.room(node)
            if room is not None:
                with suppress(StanzaError):  # there was none for long: what is dropped is counted
                    await room
            self._send_to(session, stanza)

    def show_all(self, room: Room) -> None:
        """Show at once what is left to be shown to those who have just entered a room, since it is
        here no more.
        """
        for session in room.sessions.values():
            if session.entrance is not None:
                for stanza in session.entrance.stanzas():
                    self._send_to(session, stanza)

    def hand_on(self, stanza: Stanza) -> None:
        """Send something to one session as anybody does: it is archived and copied there."""
        later = self.router.route(stanza)
        if later is not None:
            Deferred.fromCoroutine(later)  # the result of a router never fails

    def _send_all(self, stanzas: Iterable[Stanza], to: JID) -> None:
        for stanza in stanzas:
            self.routing_table.route(stanza.addressed(to))

    def _send_to(self, session: OccupantSession, stanza: Stanza) -> None:
        if session.node is None:
            self.routing_table.route(stanza.addressed(session.jid))
        else:
            self.routing_table.tell_at(session.node, stanza, (session.jid,))


__all__ = ["RoomTeller"]
