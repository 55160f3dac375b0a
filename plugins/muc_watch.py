"""Asks rooms of other servers whether users are still in them. When the way to such a server was
lost, the rooms there may have sent them away, and nobody could tell them: they would sit in a room
in which they are not. So they are asked for when it can be reached again, as their clients could
ask themselves (:xep:`0410`), and who is not in is told so (RM-36).
"""

from collections.abc import Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.events import On
from xmppd.plugin.place import AtUnload, Part
from xmppd.presence.directed_presences import DirectedPresences
from xmppd.presence.presence_manager import PresenceManager
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Condition, Presence, ns, qname
from xmppd_plugins.disco import INFO
from xmppd_plugins.muc.names import MUC_USER

FIRST_S = 60.0
"""How long after a server was lost it is asked whether it is back; each later time is twice as far
from the one before.
"""

MOST_S = 3_600.0
MAX_WATCHED = 1_000
"""Pairs of domains; who is in rooms of others finds out by themselves."""

BETWEEN_S = 0.2
"""From one who is asked for to the next, whatever their server."""

ANSWER_S = 30.0
_IDENTITY = f"{qname(INFO, 'query')}/{qname(INFO, 'identity')}[@category='conference']"
_ASKED, _PINGED = f"<query xmlns='{INFO}'/>".encode(), f"<ping xmlns='{ns.PING}'/>".encode()

_SAYS_NOTHING = frozenset(
    qname(ns.STANZA_ERRORS, condition.tag)
    for condition in (
        Condition.FEATURE_NOT_IMPLEMENTED,
        Condition.ITEM_NOT_FOUND,
        Condition.REMOTE_SERVER_NOT_FOUND,
        Condition.REMOTE_SERVER_TIMEOUT,
        Condition.SERVICE_UNAVAILABLE,
    )
)
"""The conditions that do not say that somebody is not in (:xep:`0410`, §3.2)."""

_log = Logger()


class RoomWatch:
    """Looks after people of ours in rooms of servers that were lost.

    Args:
        directed: Whom sessions have sent presence: who is in a room has sent it some.
        routing_table: Knows the sessions, and leads to other servers.
        requests: Wait for answers.
        clock: The reactor's.
    """

    def __init__(
        self,
        directed: DirectedPresences,
        routing_table: RoutingTable,
        requests: Requests,
        clock: IReactorTime,
    ) -> None:
        self.directed = directed
        self.routing_table = routing_table
        self.requests = requests
        self.clock = clock
        self._watched: dict[tuple[str, str], IDelayedCall | None] = {}
        self._next_s = 0.0  # when somebody may be asked for
        self._asking: set[IDelayedCall] = set()

    def lost(self, event: RemoteServerLost) -> None:
        """Begin to watch for a server, if somebody of ours may be in a room there."""
        pair = (event.local_domain, event.remote_domain)
        if pair in self._watched or len(self._watched) >= MAX_WATCHED:
            return
        if next(self._entered(*pair), None) is not None:
            self._look_after(pair, FIRST_S)

    def _entered(self, local: str, remote: str) -> Iterator[tuple[JID, JID]]:
        """The sessions here that may be in rooms of a domain, each with its occupant."""
        for session in tuple(self.routing_table.bound.values()):
            if isinstance(session, LocalClientSession) and session.jid.domain == local:
                for receiver in self.directed.receivers(session.jid):
                    if receiver.domain == remote and receiver.local and receiver.resource:
                        yield session.jid, receiver

    def _look_after(self, pair: tuple[str, str], seconds: float) -> None:
        def look() -> None:
            self._watched[pair] = None
            work = Deferred.fromCoroutine(self._look(pair, seconds))
            work.addErrback(self._failed, pair)

        self._watched[pair] = self.clock.callLater(seconds, look)

    async def _look(self, pair: tuple[str, str], waited_s: float) -> None:
        """Ask a server whether it is back, and has rooms; then ask for each who may be in one."""
        local, remote = pair
        answer = await self.requests.ask(
            JID.prepared(remote), JID.prepared(local), _ASKED, timeout_s=ANSWER_S
        )
        if pair not in self._watched:
            return  # nobody watches any more
        if answer is None or _is_unreached(answer):
            if next(self._entered(*pair), None) is None:
                del self._watched[pair]
            else:
                self._look_after(pair, min(2 * waited_s, MOST_S))
            return
        del self._watched[pair]
        if answer.payload.tree.find(_IDENTITY) is not None:
            for session, occupant in self._entered(*pair):
                self._ask_later(session, occupant)

    def _failed(self, failure: Failure, pair: tuple[str, str]) -> None:
        self._watched.pop(pair, None)
        _log.failure("rooms of {domain} could not be watched", failure, domain=pair[1])

    def _ask_later(self, session: JID, occupant: JID) -> None:
        def ask() -> None:
            self._asking.discard(call)
            work = Deferred.fromCoroutine(self._ask(session, occupant))
            work.addErrback(self._failed, (session.domain, occupant.domain))

        now = self.clock.seconds()
        self._next_s = max(self._next_s, now) + BETWEEN_S
        call = self.clock.callLater(self._next_s - now, ask)
        self._asking.add(call)

    async def _ask(self, session: JID, occupant: JID) -> None:
        """Ask a room whether a session is in it; it is told if it is not."""
        if not self._is_in(session, occupant):
            return
        answer = await self.requests.ask(occupant, session, _PINGED, timeout_s=ANSWER_S)
        if answer is None or not _is_out(answer) or not self._is_in(session, occupant):
            return
        self.directed.withdrawn(session, occupant)
        said = (
            f"<x xmlns='{MUC_USER}'><item affiliation='none' role='none'/>"
            "<status code='110'/><status code='333'/></x>"
        ).encode()
        self.routing_table.route(Presence.make(session, occupant, said, type="unavailable"))

    def _is_in(self, session: JID, occupant: JID) -> bool:
        """Whether a session is here, and in a room by all that it has said itself."""
        is_here = isinstance(self.routing_table.bound.get(session.full), LocalClientSession)
        return is_here and occupant in self.directed.receivers(session)

    def stop(self) -> None:
        """Watch no more."""
        for call in (*self._watched.values(), *self._asking):
            if call is not None:
                call.cancel()
        self._watched.clear()


def _conditions(answer: IQ) -> set[str]:
    found = answer.payload.tree.find("error")
    return set() if found is None else {each.tag for each in found}


def _is_unreached(answer: IQ) -> bool:
    """Whether it says that the server is not there still."""
    unreached = (Condition.REMOTE_SERVER_NOT_FOUND, Condition.REMOTE_SERVER_TIMEOUT)
    tags = {qname(ns.STANZA_ERRORS, condition.tag) for condition in unreached}
    return answer.type == "error" and not tags.isdisjoint(_conditions(answer))


def _is_out(answer: IQ) -> bool:
    """Whether it says that somebody is not in."""
    return answer.type == "error" and _SAYS_NOTHING.isdisjoint(_conditions(answer))


def plug(
    presences: PresenceManager,
    routing_table: RoutingTable,
    requests: Requests,
    clock: IReactorTime,
) -> list[Part]:
    """The parts of this feature."""
    watch = RoomWatch(presences.directed, routing_table, requests, clock)
    return [On(RemoteServerLost, watch.lost), AtUnload(watch.stop)]
