"""A component inside the house: a domain, what it is told, and what it says. No socket."""

from collections import deque

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.router.packet_router import PacketRouter
from xmppd.session.backlog import cost_bytes
from xmppd.stanza import JID, Condition, Stanza, StanzaError

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 16 << 20
"""The same in bytes, with what keeping them costs."""

MAX_PER_TURN = 100

_log = Logger()


class InternalComponent:
    """The base of a service under a domain of its own; a plugin returns it as a part (CO-11).

    A subclass says what it does in :meth:`stanza_received`, and speaks by :meth:`send`. It is told
    one stanza at a time, even if what it says comes back to it at once.

    Args:
        router: Where what it says goes.
        clock: The reactor's, for a pause when much waits.
        domain: Its domain, which may not be one of the server's.
        name: For people.

    Attributes:
        jid: Its domain.
        name: For people.
    """

    def __init__(
        self, router: PacketRouter, clock: IReactorTime, domain: str, name: str = ""
    ) -> None:
        self.jid = JID.parse(domain)
        self.name = name
        self._router = router
        self._clock = clock
        self._waiting: deque[tuple[Stanza, int]] = deque()
        self._waiting_bytes = 0
        self._busy = False

    def stanza_received(self, stanza: Stanza) -> None:
        """Take a stanza for the domain, whoever is named there.

        Raises:
            StanzaError: Its sender is told, unless it is an answer itself.
        """
        raise NotImplementedError

    def send(self, stanza: Stanza) -> None:
        """Say something, in the name of anybody at the domain; it goes the way of all stanzas.

        Raises:
            ValueError: The sender is not at the domain, or nobody is named whom it is for.
        """
        if stanza.to is None:
            raise ValueError("whom is this for?")
        if stanza.sender.domain != self.jid.domain:
            raise ValueError(f"{self.jid} cannot speak for {stanza.sender}")
        later = self._router.route(stanza)
        if later is not None:
            Deferred.fromCoroutine(later)  # what a router returns never fails

    def started(self) -> None:
        """The component is in place; a subclass may begin."""

    def stopped(self) -> None:
        """The component was taken out; a subclass ends what it began."""

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Hand a stanza to the component; False if too many wait already."""
        cost = cost_bytes(stanza, wire)
        waiting = len(self._waiting)
        if waiting >= MAX_WAITING or self._waiting_bytes + cost > MAX_WAITING_BYTES:
            return False
        addressed = stanza if stanza.to is not None else stanza.from_bytes(wire)
        self._waiting.append((addressed, cost))
        self._waiting_bytes += cost
        if self._busy:
            addressed.payload.forget_trees()
        else:
            self._work()
        return True

    def _work(self) -> None:
        """Hand out what waits; after some, others have their turn."""
        self._busy = True
        for _ in range(MAX_PER_TURN):
            if not self._waiting:
                self._busy = False
                return
            stanza, cost = self._waiting.popleft()
            self._waiting_bytes -= cost
            self._receive(stanza)
        self._clock.callLater(0, self._work)

    def _receive(self, stanza: Stanza) -> None:
        try:
            self.stanza_received(stanza)
        except Exception as error:
            if not isinstance(error, StanzaError):
                _log.failure("{domain} failed on {stanza}", domain=self.jid, stanza=stanza)
                error = StanzaError(Condition.INTERNAL_SERVER_ERROR)
            if stanza.answerable:
                self.send(stanza.error(error))
