"""Requests of our own, and the answers that belong to them."""

from collections.abc import Callable
from itertools import count

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import IQ, JID

MAX_PENDING = 100_000


class Requests:
    """IQs that the server sent and that wait, for a bounded time, for an answer (IQ-14).

    A waiting request is known by its id and its addressee, so that nobody else can answer it.
    """

    def __init__(self, routing_table: RoutingTable, clock: IReactorTime) -> None:
        self.routing_table = routing_table
        self.clock = clock
        self._ids = count(1)
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
        iq = IQ.make(to, sender, query, id=f"xmppd-{next(self._ids)}", type=type)
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
            self._settle(key, None)
        return answer

    def answered(self, iq: IQ) -> bool:
        """Take a result or an error; returns whether a request waited for it (IQ-5)."""
        key = (iq.id or "", iq.sender.full)
        if key not in self._pending:
            return False
        self._settle(key, iq)
        return True

    def stop(self) -> None:
        """Stop waiting for all answers."""
        for key in list(self._pending):
            self._settle(key, None)

    def _settle(self, key: tuple[str, str], iq: IQ | None) -> None:
        answer, timer = self._pending.pop(key)
        if timer.active():
            timer.cancel()
        answer.callback(iq)
