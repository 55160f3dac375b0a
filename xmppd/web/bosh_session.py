"""BoshSession: requests that come and go, as the transport of one ConnectionHandler."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from secrets import token_hex

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer, IReactorTime, ISystemHandle
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.transport import Contexts, Returning, Watchable
from xmppd.net.turn_end import AtEndOfTurn
from xmppd.stanza import ns
from xmppd.stanza.text import escape
from xmppd.stream.framing import written
from xmppd.web.bosh_body import MAX_TAG_BYTES, Body, write_body
from xmppd.web.bosh_framing import BOSH, BOSH_PATH
from xmppd.web.content_namespace import undone
from xmppd.web.request import ALWAYS, HTTPRequest, HTTPResponse, Pairs

INACTIVITY_S = 60
POLLING_S = 5
MAX_PAUSE_S = 120
MAX_WAIT_S = 60
MAX_HOLD = 1
MAX_KEPT_ANSWERS = 2
MAX_KEPT_BYTES = 262_144
MAX_BODY_BYTES = 262_144
FULL_BYTES = 65_536
XML: Pairs = (*ALWAYS, ("Content-Type", "text/xml; charset=utf-8"))


def as_answer(body: bytes) -> HTTPResponse:
    """The answer that brings a body."""
    return HTTPResponse(200, body, always=XML)


@dataclass(eq=False, slots=True)
class Poll:
    """A request that waits for its answer.

    Attributes:
        rid: Its number.
        body: What it has brought.
        came_at: The time on the clock.
        lost: Whether its connection is gone; it is answered all the same, for whoever asks again.
    """

    rid: int
    body: Body
    came_at: float
    answer: Deferred[HTTPResponse] = field(default_factory=Deferred)
    lost: bool = False


@dataclass(frozen=True)
class BoshTerms:
    """What client and server have agreed on.

    Attributes:
        wait_s: The time for which a request waits for something to say.
        hold: The number of requests that may wait.
        secure: Whether all of them have to be encrypted.
    """

    wait_s: int
    hold: int
    secure: bool

    @property
    def window(self) -> int:
        """The number of requests that may be under way (BO-2)."""
        return self.hold + 1


@implementer(ISystemHandle)
class BoshSession(Watchable, Returning):
    """One session (BO-3 to BO-8).

    Args:
        terms: As agreed.
        rid: The number of the first request.
        address: Of whoever has made it.
        clock: The reactor's.
        at_end_of_turn: Calls a function when this turn of the reactor ends.
        forget: Called when it is over.

    Attributes:
        sid: Its name.
    """

    def __init__(
        self,
        terms: BoshTerms,
        rid: int,
        address: str,
        clock: IReactorTime,
        at_end_of_turn: AtEndOfTurn,
        forget: Callable[["BoshSession"], None],
    ) -> None:
        self.sid = token_hex(16)
        self.terms = terms
        self.address = address
        self.handler: ConnectionHandler | None = None
        self._clock = clock
        self._at_end_of_turn = at_end_of_turn
        self._forget = forget
        self._rid = rid - 1  # the last one that was taken, in order
        self._early: dict[int, Poll] = {}
        self._open: deque[Poll] = deque()
        self._kept: dict[int, bytes] = {}
        self._out: deque[bytes] = deque()
        self._out_bytes = 0
        self._first: dict[str, str | None] | None = {}  # what the first answer says besides
        self._watcher: IPushProducer | None = None
        self._paused = self._full = self._flushing = self._ending = False
        self._header: Mapping[str, str] = {}
        self._condition: str | None = None
        self._quiet_since = clock.seconds()
        self._allowed_s: float = INACTIVITY_S
        self._polled_at: float | None = None

    @property
    def max_body_bytes(self) -> int:
        """The largest body that it takes now, its tag included (BO-1)."""
        if self.handler is None:
            return MAX_BODY_BYTES
        return self.handler.reader.limits.max_stanza_bytes + MAX_TAG_BYTES

    def begin(self, handler: ConnectionHandler, first: Poll, said: dict[str, str | None]) -> None:
        """Begin a stream, by its first request.

        Args:
            handler: Has the stream.
            first: The request.
            said: What its answer says besides.
        """
        self.handler = handler
        self._first = said
        handler.makeConnection(self)  # type: ignore[no-untyped-call]
        self.take(first)

    # -- requests ---------------------------------------------------------------------------------

    def poll(self, request: HTTPRequest, rid: int, body: Body) -> Deferred[HTTPResponse]:
        """The answer to a request, now or later."""
        poll = Poll(rid, body, self._clock.seconds())
        request.gone.then(partial(self.gone, poll))
        self.take(poll)
        return poll.answer

    def take(self, poll: Poll) -> None:
        """Take a request in its order (BO-3, BO-4)."""
        rid = poll.rid
        if rid in self._kept:
            poll.answer.callback(as_answer(self._kept[rid]))
        elif rid in self._early:
            self._replace(self._early[rid], poll)
            self._early[rid] = poll
        elif self._rid < rid <= self._rid + self.terms.window:
            self._early[rid] = poll
            self._go_on()
        else:
            for older in self._open:
                if older.rid == rid:
                    self._replace(older, poll)
                    self._open[self._open.index(older)] = poll
                    return
            self.fail("item-not-found", poll)

    def _replace(self, older: Poll, poll: Poll) -> None:
        """Answer a request that has come again: the new one waits in its place."""
        body = write_body({"type": "error"})
        if not older.answer.called:
            older.answer.callback(as_answer(body))

    def gone(self, poll: Poll) -> None:
        """Note that nobody waits for the answer to a request any more."""
        poll.lost = True
        if all(each.lost for each in self._open):
            self._quiet_since = self._clock.seconds()

    def fail(self, condition: str, poll: Poll | None = None) -> None:
        """End the session, since its client does not go by the rules."""
        self._condition = self._condition or condition
        if poll is not None:
            self._open.append(poll)
        if self.handler is not None and not self._ending:
            self._ending = True
            self.abortConnection()
        self._flush()

    def _go_on(self) -> None:
        """Take the requests whose turn it is."""
        while not self._paused and (poll := self._early.pop(self._rid + 1, None)) is not None:
            self._rid = poll.rid
            self._open.append(poll)
            self._quiet_since = self._clock.seconds()
            self._allowed_s = INACTIVITY_S
            if self.handler is not None and not self._ending:
                self.handler.received_at = self._quiet_since
                self.handler.pinged = False
                self._hear(poll)
        self._soon()

    def _hear(self, poll: Poll) -> None:
        attributes, content = poll.body.attributes, poll.body.content
        if not self.terms.hold and self._is_too_soon(poll):
            self.fail("policy-violation")
            return
        if "pause" in attributes and not self._pause(attributes["pause"]):
            self.fail("policy-violation")
            return
        if not self._header or attributes.get("xmpp:restart") == "true":
            self._header = {**self._header, **attributes}
            self._feed(_header(self._header))
        if content.strip():
            self._feed(content)
        if attributes.get("type") == "terminate":
            self._feed(BOSH.end)

    def _feed(self, data: bytes) -> None:
        if self.handler is not None:
            self.handler.dataReceived(data)

    def _is_too_soon(self, poll: Poll) -> bool:
        """Whether somebody asks again and again for nothing (BO-6)."""
        if poll.body.content or len(poll.body.attributes) > 2:
            return False
        before, self._polled_at = self._polled_at, poll.came_at
        return before is not None and poll.came_at - before < POLLING_S

    def _pause(self, text: str) -> bool:
        """Let the client be quiet for some time; whether it may."""
        if not (text.isascii() and text.isdecimal()) or int(text[:9]) > MAX_PAUSE_S:
            return False
        self._allowed_s = float(text)
        while self._open:
            self._answer(self._open.popleft(), b"")
        return True

    def sweep(self, now: float) -> None:
        """Answer requests that have waited for long, and give up a client that does not ask."""
        if self._open and now - self._open[0].came_at >= self.terms.wait_s:
            self._answer(self._open.popleft(), b"")
        if all(poll.lost for poll in self._open) and now - self._quiet_since > self._allowed_s:
            self.abortConnection()
            self._forget(self)

    # -- answers ----------------------------------------------------------------------------------

    def _soon(self) -> None:
        """Answer at the end of this turn, all that is said in it at once (BO-5)."""
        if not self._flushing:
            self._flushing = True
            self._at_end_of_turn(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        while self._open and (self._out or self._ending):
            self._answer(self._open.popleft(), self._content())
        while len(self._open) > self.terms.hold:
            self._answer(self._open.popleft(), b"")
        if self._full and not self._out:
            self._full = False
            if self._watcher is not None:
                self._watcher.resumeProducing()

    def _content(self) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while self._out and (not pieces or size + len(self._out[0]) <= MAX_BODY_BYTES):
            pieces.append(self._out.popleft())
            size += len(pieces[-1])
        self._out_bytes -= size
        return b"".join(pieces)

    def _answer(self, poll: Poll, content: bytes) -> None:
        attributes: dict[str, str | None] = {}
        if self._first is not None:
            attributes, self._first = self._first, None
            if self.handler is not None:
                attributes["authid"] = self.handler.stream_handler.header().id
        if poll.rid != self._rid:
            attributes["ack"] = str(self._rid)
        if self._ending and not self._out:
            attributes |= {"type": "terminate", "condition": self._condition}
        body = write_body(attributes, content)
        self._keep(poll.rid, body)
        if not poll.lost:
            self._quiet_since = self._clock.seconds()
        if not poll.answer.called:
            poll.answer.callback(as_answer(body))

    def _keep(self, rid: int, body: bytes) -> None:
        self._kept[rid] = body
        while len(self._kept) > MAX_KEPT_ANSWERS or (
            len(self._kept) > 1 and sum(map(len, self._kept.values())) > MAX_KEPT_BYTES
        ):
            del self._kept[next(iter(self._kept))]

    def _end(self, reason: Exception) -> None:
        """Tell the stream that its connection is gone; the client hears it with its next answer."""
        self._ending = True
        self._quiet_since = self._clock.seconds()
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.connectionLost(Failure(reason))
        self._flush()

    # -- the transport of the ConnectionHandler ---------------------------------------------------

    def write(self, data: bytes) -> None:
        """Let an element stand in the next answer."""
        if data == BOSH.end:
            self._ending = True
            error = self.handler.error if self.handler is not None else None
            if error is not None and error.other_url:
                self._condition = self._condition or "see-other-uri"
                self._out.append(f"<uri>{escape(error.other_url)}{BOSH_PATH}</uri>".encode())
            elif error is not None:
                self._condition = self._condition or "remote-stream-error"
        elif data:
            self._out.append(data)
            self._out_bytes += len(data)
            if self._out_bytes > FULL_BYTES and not self._full:
                self._full = True
                if self._watcher is not None:
                    self._watcher.pauseProducing()
            if self.handler is not None and self._out_bytes > self.handler.max_queued_bytes:
                self.abortConnection()
                return
        self._soon()

    def pauseProducing(self) -> None:
        """Take no more requests."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Take those that have come meanwhile."""
        self._paused = False
        self._go_on()

    def loseConnection(self) -> None:
        """End it."""
        self._end(ConnectionDone())

    def loseWriteConnection(self) -> None:
        """Say nothing more; the last answer has said why."""
        self._flush()

    def abortConnection(self) -> None:
        """End it at once."""
        if self.handler is not None:
            self._condition = self._condition or "item-not-found"
        self._end(ConnectionLost())

    def abort(self) -> None:
        """End it at once; answers that are kept may still arrive."""
        self.abortConnection()

    def unsent(self) -> list[bytes]:
        """The elements that stand in no answer yet, as over TCP."""
        return [undone(piece) for piece in self._out]

    def take_queued(self, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """Take back elements that stand in no answer yet, as over TCP."""
        taken = [piece for piece in self._out if wanted(piece)]
        self._out = deque(piece for piece in self._out if not wanted(piece))
        self._out_bytes = sum(map(len, self._out))
        return [undone(piece) for piece in taken]

    def watch_queue(self, watcher: IPushProducer) -> None:
        """Tell it, as a producer is told, when enough waits and when all has left."""
        self._watcher = watcher

    def startTLS(self, contexts: Contexts) -> None:
        """Never called: STARTTLS is not offered (WS-6)."""
        raise RuntimeError("TLS is a matter of the connections below")

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The address of whoever has made it."""
        kind = IPv6Address if ":" in self.address else IPv4Address
        return kind("TCP", self.address, 0)

    def getHandle(self) -> object:
        """None: its requests come by several connections, or one after the other."""
        return None


def _header(attributes: Mapping[str, str]) -> bytes:
    """The stream header that would have come over TCP (:xep:`0206`)."""
    namespaces = written({"xmlns": ns.CLIENT, "xmlns:stream": ns.STREAM})
    said = {name: attributes.get(name) for name in ("to", "from", "xml:lang")}
    version = written({"version": attributes.get("xmpp:version", "1.0")})
    return f"<stream:stream{namespaces}{written(said)}{version}>".encode()
