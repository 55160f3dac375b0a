"""InternalComponent: a component inside the server, with a domain and without a socket."""

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.disco.disco import Says
from xmppd.router.packet_router import PacketRouter
from xmppd.session.backlog import cost_bytes
from xmppd.stanza import JID, Condition, Later, Stanza, StanzaError
from xmppd.store.errors import STORE_FAILS, StoreError

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 16 << 20
"""The same in bytes, with the overhead of keeping them."""

MAX_PER_LINE = 500
"""Behind a stanza of the same line that waits."""

MAX_APART = 100
"""The stanzas of one account whose handling goes on apart."""

MAX_PER_TURN = 100

_log = Logger()


class InternalComponent:
    """The base of a service under a domain of its own; a plugin returns it as a part (CO-11).

    A subclass says what it does in :meth:`stanza_received`, and speaks by :meth:`send`. It is given
    one stanza at a time, even if a stanza it sends comes back to it at once.

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
        self._lines: dict[str, deque[tuple[Stanza, int]]] = {}  # those that wait, by line
        self._turns: dict[str, deque[Deferred[None]]] = {}  # what waits to have a line alone
        self._works: set[Deferred[None]] = set()
        self._apart: Counter[str] = Counter()  # by sender
        self._held = self._held_bytes = 0
        self._busy = False

    def stanza_received(self, stanza: Stanza) -> Later:
        """Take a stanza for the domain, with any local part and resource.

        Where the result is awaitable, later stanzas of the same :meth:`line` come behind it, and
        all others do not wait.

        Raises:
            StanzaError: It answers the stanza, unless that is an answer itself.
        """
        raise NotImplementedError

    def line(self, stanza: Stanza) -> str:
        """The name of the line that a stanza waits in, behind another one of it: by default the
        account of its sender. Where order matters to an entity, such as a room, it is that.
        """
        return stanza.sender.bare

    def refusal(self, stanza: Stanza, error: StanzaError) -> Stanza:
        """The answer to a stanza that was not taken; a subclass may put more into it."""
        return stanza.error(error)

    def said(self) -> Iterable[Says]:
        """Its parts of disco, beside being an item of the server."""
        return ()

    def send(self, stanza: Stanza) -> None:
        """Send a stanza from any address at the domain; it is routed like all others.

        Raises:
            ValueError: The sender is not at the domain, or there is no addressee.
        """
        if stanza.to is None:
            raise ValueError('the stanza has no address in "to"')
        if stanza.sender.domain != self.jid.domain:
            raise ValueError(f"{self.jid} cannot speak for {stanza.sender}")
        later = self._router.route(stanza)
        if later is not None:
            Deferred.fromCoroutine(later)  # the result of a router never fails

    def apart(self, stanza: Stanza, work: Coroutine[object, object, None]) -> None:
        """Go on with a stanza while its line goes on too: for what may take long, such as an answer
        from a client. An error answers the stanza, as in :meth:`stanza_received`.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: there are too many of its sender, or of all together.
        """
        sender, cost = stanza.sender.bare, cost_bytes(stanza, stanza.payload.raw)
        if self._apart[sender] >= MAX_APART or not self._has_room(cost):
            work.close()
            if not self._apart[sender]:
                del self._apart[sender]
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, "too many requests are under way")
        self._apart[sender] += 1
        self._hold(cost)

        def done(_: object) -> None:
            self._let_go(cost)
            self._apart[sender] -= 1
            if not self._apart[sender]:
                del self._apart[sender]

        self._start(self._finish(stanza, work)).addBoth(done)

    async def in_line(self, line: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do something while nothing of a line is being handled: what comes for it meanwhile waits.

        Args:
            line: Its name, as :meth:`line` gives it.
            work: Makes what is awaited when it is its turn.
        """
        if line in self._lines:
            turn = Deferred[None]()
            self._turns.setdefault(line, deque()).append(turn)
            await turn
        else:
            self._lines[line] = deque()
        try:
            await work()
        finally:
            self._go_on(line)

    def started(self) -> None:
        """Called when the component is in place; a subclass may begin."""

    def stopped(self) -> None:
        """Called when the component was taken out; a subclass ends what it began."""

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Deliver a stanza to the component; False if too many wait already."""
        cost = cost_bytes(stanza, wire)
        if not self._has_room(cost):
            return False
        addressed = stanza if stanza.to is not None else stanza.from_bytes(wire)
        line = self._lines.get(self._line_of(addressed)) if self._lines else None
        if line is not None and len(line) >= MAX_PER_LINE and stanza.type != "unavailable":
            return False  # of a goodbye nobody would be told that it did not arrive
        self._waiting.append((addressed, cost))
        self._hold(cost)
        if self._busy:
            addressed.payload.forget_trees()
        else:
            self._work()
        return True

    def _work(self) -> None:
        """Give it the stanzas that wait, a number of them in each turn."""
        self._busy = True
        for _ in range(MAX_PER_TURN):
            if not self._waiting:
                self._busy = False
                return
            stanza, cost = self._waiting.popleft()
            line = self._lines.get(self._line_of(stanza)) if self._lines else None
            if line is None:
                self._receive(stanza, cost)
            else:
                stanza.payload.forget_trees()
                line.append((stanza, cost))
        self._clock.callLater(0, self._work)

    def _receive(self, stanza: Stanza, cost: int) -> None:
        try:
            later = self.stanza_received(stanza)
        except Exception as error:
            self._failed(stanza, error)
            later = None
        if later is None:
            self._let_go(cost)
            return
        line = self._line_of(stanza)
        self._lines[line] = deque()
        self._start(self._wait(stanza, line, cost, later))

    def _line_of(self, stanza: Stanza) -> str:
        """The name of its line; that of its sender's account if a subclass fails to say it, since
        no stanza may hold up all that come behind it.
        """
        try:
            return self.line(stanza)
        except Exception:
            _log.failure("{domain} could not handle {stanza}", domain=self.jid, stanza=stanza)
            return stanza.sender.bare

    def _start(self, coroutine: Coroutine[Deferred[object], object, None]) -> Deferred[None]:
        work = Deferred.fromCoroutine(coroutine)
        if not work.called:
            self._works.add(work)
            work.addBoth(lambda _: self._works.discard(work))
        return work

    async def _wait(self, stanza: Stanza, line: str, cost: int, later: Awaitable[None]) -> None:
        await self._finish(stanza, later)
        self._let_go(cost)
        self._go_on(line)

    def _go_on(self, line: str) -> None:
        """Give a line to who waits for it, else to the stanzas that wait in it."""
        turns = self._turns.get(line)
        if turns:
            turn = turns.popleft()
            if not turns:
                del self._turns[line]
            turn.callback(None)
            return
        self._waiting.extendleft(reversed(self._lines.pop(line)))
        if self._waiting and not self._busy:
            self._work()

    async def _finish(self, stanza: Stanza, later: Awaitable[None]) -> None:
        try:
            await later
        except CancelledError:
            self._failed(stanza, StanzaError(Condition.SERVICE_UNAVAILABLE))
        except Exception as error:
            self._failed(stanza, error)

    def _has_room(self, cost: int) -> bool:
        return self._held < MAX_WAITING and self._held_bytes + cost <= MAX_WAITING_BYTES

    def _hold(self, cost: int) -> None:
        self._held += 1
        self._held_bytes += cost

    def _let_go(self, cost: int) -> None:
        self._held -= 1
        self._held_bytes -= cost

    def _failed(self, stanza: Stanza, error: Exception) -> None:
        """Tell the sender, unless the stanza is an answer itself."""
        if isinstance(error, StoreError):  # the store has logged it
            error = StanzaError(Condition.RESOURCE_CONSTRAINT, STORE_FAILS)
        elif not isinstance(error, StanzaError):
            _log.failure("{domain} failed on {stanza}", domain=self.jid, stanza=stanza)
            error = StanzaError(Condition.INTERNAL_SERVER_ERROR)
        if stanza.answerable:
            self.send(self.refusal(stanza, error))

    def stop(self) -> None:
        """Cancel all stanzas that are being handled; each is answered as unavailable."""
        for work in tuple(self._works):
            work.cancel()
