"""Requests of our own, and the answers that belong to them."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count
from zlib import crc32

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from xmppd.cluster.entries.stanzas import Routed, Way
from xmppd.cluster.node import ALONE, NodeId
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import IQ, JID, StanzaError

MAX_PENDING = 100_000
_OURS = "xmppd-"


class Requests:
    """IQs that the server sent and that wait, for a bounded time, for an answer (IQ-14).

    A waiting request is known by its id and its addressee, so that nobody else can answer it.
    """

    def __init__(self, routing_table: RoutingTable, clock: IReactorTime) -> None:
        self.routing_table = routing_table
        self.clock = clock
        self._ids = count(1)
        self._node = token_of(routing_table.membership.id)
        self._pending: dict[tuple[str, str], tuple[Deferred[IQ | None], IDelayedCall]] = {}

    def ask(
        self,
        to: JID,
        sender: JID,
        query: bytes,
        *,
        timeout_s: float,
        type: str = "get",
        send: Callable[[IQ], None] | None = None,
    ) -> Deferred[IQ | None]:
        """Send a request.

        Args:
            to: The address that is asked.
            sender: The address in whose name it is asked.
            query: The child of the request.
            timeout_s: The time in which it is answered.
            type: ``get`` or ``set``.
            send: Sends it on the way of all stanzas, on which an account may be asked and an error
                comes back; by default it is delivered to exactly its address.

        Returns:
            The answer, result or error; None if none came in time or the request could not be
            delivered.
        """
        iq = IQ.make(to, sender, query, id=f"{self._node}{next(self._ids)}", type=type)
        answer: Deferred[IQ | None] = Deferred()
        if len(self._pending) >= MAX_PENDING:
            answer.callback(None)
            return answer
        key = (iq.id or "", to.full)
        self._pending[key] = (answer, self.clock.callLater(timeout_s, self._settle, key, None))
        if send is not None:
            send(iq)
            return answer
        arrived = self.routing_table.route(iq)  # a component may have answered by now
        if not arrived and key in self._pending:
            finding = self.routing_table.find_way(iq)
            if finding is None:
                self._settle(key, None)
            else:
                Deferred.fromCoroutine(self._send_behind(finding, iq, key))
        return answer

    async def _send_behind(self, finding: Awaitable[None], iq: IQ, key: tuple[str, str]) -> None:
        """Send a request once the way to its addressee is found (CL-11)."""
        with suppress(StanzaError):
            await finding
        if not self.routing_table.route(iq) and key in self._pending:
            self._settle(key, None)

    def answered(self, iq: IQ) -> bool:
        """Take a result or an error.

        Returns:
            Whether a request waited for it, here (IQ-5) or, by its id, on another node (CL-18).
        """
        key = (iq.id or "", iq.sender.full)
        if key in self._pending:
            self._settle(key, iq)
            return True
        table = self.routing_table
        asker = self._asker(key[0]) if table.directory.shared else None
        if asker is None:
            return False
        to = iq.sender.to_bare() if iq.to is None else iq.to
        table.bus.tell(asker, Routed.of(iq, to, Way.ANSWER))
        return True

    def _asker(self, id: str) -> NodeId | None:
        """The other node that has made this id."""
        if id.startswith(_OURS):
            for node in self.routing_table.membership.nodes.values():
                if id.startswith(token_of(node.id)):
                    return node.id
        return None

    def stop(self) -> None:
        """Stop waiting for all answers."""
        for key in list(self._pending):
            self._settle(key, None)

    def _settle(self, key: tuple[str, str], iq: IQ | None) -> None:
        answer, timer = self._pending.pop(key)
        if timer.active():
            timer.cancel()
        answer.callback(iq)


def token_of(node: NodeId) -> str:
    """The beginning of the ids of a node's requests."""
    return _OURS if node == ALONE else f"{_OURS}{crc32(str(node).encode()):x}-"
