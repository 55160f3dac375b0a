"""HTTPChannel: the Protocol of one connection that speaks HTTP/1.1."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer, IReactorTime, ISystemHandle
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.net.closing import Closing
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.transport import Contexts, Transport, Watchable
from xmppd.web.forwarded import asker
from xmppd.web.http_connections import HTTPConnections
from xmppd.web.http_exchange import STRICT, HTTPExchange
from xmppd.web.http_path import HTTPPaths, Site
from xmppd.web.request import (
    BodyLost,
    BodyStream,
    HTTPError,
    HTTPRequest,
    HTTPResponse,
    Pieces,
    Successor,
    header,
)
from xmppd.web.request_reader import NO_HEAD, Head, RequestReader
from xmppd.web.stream_by_alpn import StreamByALPN, asks_for_stream
from xmppd.web.target import decoded, host_and_port

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CHUNK_END = b"0\r\n\r\n"
_PLAIN_UPGRADES = frozenset(("h2c",))
"""Protocols that a client would like better, and without which it goes on (HT-7)."""

LINGER_S = 3.0
"""The time for which whoever still sends, and was refused, may read that before we close."""

_WITH_BODY = frozenset(("PATCH", "POST", "PUT"))

_log = Logger()


@dataclass(frozen=True)
class HTTPDoor:
    """What all connections of one listener have in common.

    Attributes:
        paths: All there are.
        sites: The groups of them that are served here.
        domains: The names by which the server is asked, beside that of ``web.url``.
        tls: Contexts for TLS from the first byte; None for none.
        stream: Makes the handler of a client's stream, for those who ask for one in TLS; None where
            nobody may (HT-12).
        connections: All there are.
        clock: The reactor's.
        wall_clock: Tells the time of day.
    """

    paths: HTTPPaths
    sites: frozenset[Site]
    domains: frozenset[str]
    tls: Contexts | None
    stream: Callable[[], ConnectionHandler] | None
    connections: HTTPConnections
    clock: IReactorTime
    wall_clock: Callable[[], float]

    def is_served(self, host: str) -> bool:
        """Whether a request for this host is for us (HT-3)."""
        return host in self.domains or host == self.connections.settings.url_host


@implementer(IPushProducer)
class HTTPChannel(Protocol):
    """One connection: its requests are answered in their order, whoever is done first (HT-6).

    To its transport it is a producer as well: so it is told when its peer reads slowly.

    Attributes:
        peer: The address at the other end of its socket, which is known with the first bytes.
    """

    __slots__ = (
        "_admitted",
        "_begun_at",
        "_body_is_full",
        "_closing",
        "_exchanges",
        "_free",
        "_is_over",
        "_last",
        "_lost",
        "_moved_at",
        "_paused",
        "_reader",
        "_reading",
        "_sending",
        "_then",
        "_unread",
        "connected",
        "door",
        "peer",
        "settings",
        "transport",
    )
    transport: Transport  # type: ignore[assignment]  # Twisted knows no better than ITransport

    def __init__(self, door: HTTPDoor) -> None:
        self.door = door
        self.settings = door.connections.settings
        self.peer = ""
        self._exchanges: list[HTTPExchange] = []
        self._unread = b""
        self._reader = RequestReader(self, self.settings.max_head_bytes)
        self._admitted = self._last = self._lost = self._reading = self._paused = False
        self._is_over = False  # nothing of HTTP is read or written any more
        self._body_is_full = False
        self._sending: Deferred[None] | None = None
        self._free: Deferred[None] | None = None  # while the peer reads slowly
        self._closing: Closing | None = None
        self._then: Successor | None = None
        self._moved_at = 0.0
        self._begun_at: float | None = None

    @property
    def descriptor(self) -> int:
        """The number of its socket; -1 if there is none."""
        transport = ISystemHandle(self.transport, None)
        handle = None if transport is None else transport.getHandle()
        return handle.fileno() if isinstance(handle, socket.socket) else -1

    # -- called by Twisted ----------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin to listen."""
        self._moved_at = self.door.clock.seconds()
        if isinstance(self.transport, Watchable):
            self.transport.watch_queue(self)
        else:
            IConsumer(self.transport).registerProducer(self, streaming=True)
        self.door.connections.opened(self)
        if self.door.tls is not None:
            self.transport.startTLS(self.door.tls)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes that came."""
        then = self._then
        if then is not None:
            then.dataReceived(data)
            return
        if self.door.stream is not None and not self._admitted and asks_for_stream(self.transport):
            self._admitted = True
            self._become(StreamByALPN(self.transport, self.door.stream()))
            if self._then is not None:
                self._then.dataReceived(data)
            return
        self._moved_at = self.door.clock.seconds()
        self.door.connections.traffic.gone.came_bytes += len(data)
        if self._closing is not None:
            self._closing.hear(data)
            return
        if not self._admitted:
            self._admitted = True
            self.peer = str(getattr(self.transport.getPeer(), "host", ""))
            if not self.door.connections.admit(self):
                self.abort()
                return
        self._unread += data
        self._go_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell whoever is at work here that nobody listens any more."""
        self._last = self._lost = self._is_over = True
        self._unread = b""
        if self._then is None:
            self._reader.close()
        if self._closing is not None:
            self._closing.cancel()
        self.door.connections.closed(self)
        if self._then is not None:
            then, self._then = self._then, None
            then.connectionLost(reason)
        sending, self._sending = self._sending, None
        if sending is not None:
            sending.cancel()
        exchanges, self._exchanges = self._exchanges, []
        for exchange in exchanges:
            self._forget(exchange)

    def pauseProducing(self) -> None:
        """Wait with large answers, since enough bytes wait for the peer."""
        self._free = self._free or Deferred()

    def resumeProducing(self) -> None:
        """Go on with them."""
        self._moved_at = self.door.clock.seconds()
        if self._free is not None:
            free, self._free = self._free, None
            free.callback(None)

    def stopProducing(self) -> None:
        """Do nothing: connectionLost does."""

    # -- what is read ---------------------------------------------------------------------------

    @property
    def _may_read(self) -> bool:
        return (
            not self._is_over
            and not self._last
            and not self._body_is_full
            and (len(self._exchanges) < self.settings.max_waiting_requests or self._reader.in_body)
        )

    def _go_on(self) -> None:
        """Read what has come, as far as there is room for it, and answer what can be answered."""
        if self._reading:
            return
        self._reading = True
        try:
            if self._unread:
                self._read()
            while self._answer() and self._unread and self._may_read:
                self._read()
        finally:
            self._reading = False
        if not self._is_over and self._paused is self._may_read:
            self._pause(wanted=not self._paused)

    def _read(self) -> None:
        try:
            while self._unread and self._may_read:
                data, self._unread = self._unread, b""
                self._unread = self._reader.feed(data)
        except HTTPError as error:
            self._refuse(error)
        if self._lost or not self._reader.begun:
            self._begun_at = None
        elif self._begun_at is None:
            self._begun_at = self._moved_at

    def _pause(self, *, wanted: bool) -> None:
        if wanted != self._paused:
            self._paused = wanted
            if wanted:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()

    def _refuse(self, error: HTTPError) -> None:
        """Answer what is no request, or the rest of one that cannot be read; it is the last."""
        self._last = True
        if not (self._exchanges and not self._exchanges[-1].complete):
            self._exchanges.append(HTTPExchange(NO_HEAD))
        exchange = self._exchanges[-1]
        exchange.keep_alive = False
        if exchange.response is None:
            exchange.response = exchange.refusal(error)
        if exchange.stream is not None:
            exchange.stream.end(BodyLost(str(error)))

    def head(self, head: Head, length: int | None) -> None:
        """Take the head of a request: find who answers it, and begin if no body has to be read."""
        exchange = HTTPExchange(head, length)
        self._exchanges.append(exchange)
        self.door.connections.asked(self)
        try:
            self._open(exchange)
        except HTTPError as error:
            exchange.response = exchange.refusal(error)
        if exchange.response is not None and exchange.has_body:
            exchange.keep_alive = False
        self._last = not exchange.keep_alive and not exchange.wants_body

    def _open(self, exchange: HTTPExchange) -> None:
        head, connections = exchange.head, self.door.connections
        if head.upgrade:
            self._check_upgrade(exchange)
        target = decoded(head.target)
        host, port = host_and_port(*head.hosts)
        path = self.door.paths.find(target.path)
        if path is None or path.part.site not in self.door.sites:
            path = None
        if not self.door.is_served(host) and (path is None or path.part.site == "web"):
            raise HTTPError(421, f"This server does not serve {host}.")
        if path is None:
            raise HTTPError(404, "Not found.")
        headers = head.headers
        address, said = self.peer, None
        if proxies := connections.settings.proxies:
            address, said = asker(address, partial(header, headers), proxies)
        request = HTTPRequest(
            method="GET" if head.method == "HEAD" else head.method,
            host=host,
            port=port,
            path=target.path,
            query=target.query,
            headers=headers,
            address=address,
            encrypted=self.door.tls is not None if said is None else said,
        )
        exchange.path, exchange.request = path, request
        part = path.part
        if request.method == "OPTIONS":
            exchange.response = part.options(request)
        elif request.method not in part.methods:
            raise HTTPError(405, "This path does not allow the method.", (("Allow", part.allowed),))
        else:
            exchange.response = path.check(request)
        if exchange.response is None:
            self._take_body(exchange, request)

    def _check_upgrade(self, exchange: HTTPExchange) -> None:
        """Let go on only what llhttp has read in full: it takes any upgrade to have no body
        (HT-7).
        """
        head = exchange.head
        wanted = b",".join(head.all(b"upgrade")).decode("latin-1").strip().lower()
        if head.method != "GET" or exchange.has_body:
            exchange.keep_alive = False
            raise HTTPError(400, "Only a GET without a body may ask for another protocol.")
        if wanted not in _PLAIN_UPGRADES:
            exchange.keep_alive = False  # it may be taken over; otherwise this is its end

    def _take_body(self, exchange: HTTPExchange, request: HTTPRequest) -> None:
        assert exchange.path is not None, "it was found"
        head, kind = exchange.head, exchange.path.part.body
        expects = request.header("expect").lower() if b"expect" in head.names else ""
        if expects not in ("", "100-continue"):
            raise HTTPError(417, "Expect may only be 100-continue.")
        if kind == "none":
            if exchange.has_body:
                raise HTTPError(413, "This path does not allow a body.")
            self._begin(exchange, request)
            return
        if exchange.length is None and not head.chunked and head.method in _WITH_BODY:
            raise HTTPError(411, "The Content-Length is missing.")
        exchange.awaits_continue = bool(expects) and exchange.has_body
        if kind == "small":
            self._check_size(exchange.length or 0)
            exchange.pieces = []
            return
        exchange.stream = BodyStream(self._body_full, self._body_free, exchange.length)
        self._begin(exchange, request.with_body(b"", exchange.stream))

    def _check_size(self, size_bytes: int) -> None:
        most = self.settings.max_body_bytes
        if size_bytes > most:
            raise HTTPError(413, f"The body is larger than {most} bytes.")

    def body(self, piece: bytes) -> None:
        """Take a piece of the body."""
        exchange = self._exchanges[-1]
        if exchange.stream is not None:
            exchange.stream.arrived(piece)
        elif exchange.pieces is not None and exchange.response is None:
            exchange.size_bytes += len(piece)
            try:
                self._check_size(exchange.size_bytes)
            except HTTPError as error:
                exchange.response = exchange.refusal(error)
                exchange.keep_alive = False
                self._last = True
            exchange.pieces.append(piece)

    def end(self) -> None:
        """Note that the request is complete."""
        exchange = self._exchanges[-1]
        exchange.complete = True
        self._last = not exchange.keep_alive
        if exchange.stream is not None:
            exchange.stream.end()
        elif exchange.pieces is not None and exchange.response is None:
            assert exchange.request is not None, "somebody takes its body"
            self._begin(exchange, exchange.request.with_body(b"".join(exchange.pieces)))

    def _body_full(self) -> None:
        self._body_is_full = True
        if not self._reading:
            self._pause(wanted=True)

    def _body_free(self) -> None:
        self._body_is_full = False
        self._go_on()

    # -- what is answered -----------------------------------------------------------------------

    def _begin(self, exchange: HTTPExchange, request: HTTPRequest) -> None:
        """Have whoever owns the path answer."""
        assert exchange.path is not None, "it was found"
        exchange.request = request
        answer = exchange.path.answer(request)
        if isinstance(answer, HTTPResponse):
            exchange.response = answer
        else:
            also = (exchange,)
            answer.addCallbacks(self._answered, self._failed, callbackArgs=also, errbackArgs=also)

    def _failed(self, failure: Failure, exchange: HTTPExchange) -> None:
        assert exchange.path is not None, "it was found"
        self._answered(exchange.path.failed(failure), exchange)

    def _answered(self, response: HTTPResponse, exchange: HTTPExchange) -> None:
        if exchange in self._exchanges and exchange.response is None:
            exchange.response = response
            self._go_on()
        elif isinstance(response.body, Pieces):
            response.body.close()

    def _answer(self) -> bool:
        """Send the answers whose turn it is; whether there were any."""
        before = len(self._exchanges)
        while self._exchanges and self._sending is None and not self._is_over:
            exchange = self._exchanges[0]
            response = exchange.response
            if response is None:
                if exchange.awaits_continue:
                    exchange.awaits_continue = False
                    self._write(_CONTINUE)
                break
            self._send(exchange, response)
        return len(self._exchanges) < before

    def _send(self, exchange: HTTPExchange, response: HTTPResponse) -> None:
        if not exchange.complete or self._stopping(exchange):
            exchange.keep_alive = False
        try:
            head = exchange.head_of(response, self.door.wall_clock(), self._extra(response))
        except ValueError:
            _log.failure("{path} produced an invalid answer", path=exchange.route)
            response = HTTPError(
                500, "An internal error occurred; the server's log has it."
            ).response()
            head = exchange.head_of(response, self.door.wall_clock(), self._extra(response))
        self.door.connections.answers[exchange.route, str(response.status)] += 1
        if self.door.connections.tells_each:
            _log.debug(
                "{address} {method} {path}: {status}",
                address="-" if exchange.request is None else exchange.request.address,
                method=exchange.head.method, path=exchange.route, status=response.status,
            )  # fmt: skip
        if response.becomes is not None:
            self._write(head)
            self._hand_over(exchange, response)
        elif exchange.head.method == "HEAD" or not response.body:
            self._write(head)
            if isinstance(response.body, Pieces):
                response.body.close()
            self._sent(exchange)
        elif isinstance(response.body, bytes):
            self._write(head + response.body)
            self._sent(exchange)
        else:
            self._write(head)
            chunked = exchange.is_chunked(response)
            exchange.keep_alive &= chunked or response.body.length is not None
            self._sending = Deferred.fromCoroutine(self._send_pieces(response.body, chunked))
            self._sending.addCallbacks(self._all_sent, self._not_sent, (exchange,))

    def _write(self, data: bytes) -> None:
        self.door.connections.traffic.gone.went_bytes += len(data)
        self.transport.write(data)

    def _stopping(self, exchange: HTTPExchange) -> bool:
        return self._last and exchange is self._exchanges[-1]

    def _extra(self, response: HTTPResponse) -> tuple[tuple[str, str], ...]:
        return STRICT if self.door.tls is not None and response.becomes is None else ()

    async def _send_pieces(self, body: Pieces, chunked: bool) -> None:
        left = body.length
        try:
            async for piece in body.source:
                if left is not None:
                    left -= len(piece)
                    if left < 0:
                        break
                if piece:
                    self._write(_chunk(piece) if chunked else piece)
                if self._free is not None:
                    await self._free
        finally:
            body.close()
        if left:
            raise ValueError("a body has another length than was said")
        if chunked:
            self._write(_CHUNK_END)

    def _all_sent(self, _: None, exchange: HTTPExchange) -> None:
        self._sending = None
        self._sent(exchange)
        self._go_on()

    def _not_sent(self, failure: Failure) -> None:
        """Cut the connection off: nothing else tells that an answer is not complete."""
        self._sending = None
        if not failure.check(CancelledError):
            _log.failure("an answer could not be sent in full", failure)
            self.abort()

    def _sent(self, exchange: HTTPExchange) -> None:
        """Go on to the next, or close."""
        self._exchanges.remove(exchange)
        self._forget(exchange)
        if not self._exchanges:
            self._moved_at = self.door.clock.seconds()
            self.door.connections.answered(self)
        if not exchange.keep_alive:
            self._closing = self._new_closing()
            self._closing.close_half(encrypted=self.door.tls is not None)

    def _new_closing(self) -> Closing:
        self._is_over = True
        return Closing(self.transport, self.door.clock, lambda data: False, LINGER_S, lingers=True)

    def _forget(self, exchange: HTTPExchange) -> None:
        """Tell who is still at it that it is over."""
        if exchange.stream is not None and not exchange.complete:
            exchange.stream.end(BodyLost("the connection was lost"))
        if exchange.request is not None:
            exchange.request.gone.happen()

    def _hand_over(self, exchange: HTTPExchange, response: HTTPResponse) -> None:
        """Let another protocol have the connection."""
        assert response.becomes is not None, "it has one"
        self._exchanges.remove(exchange)
        self._become(response.becomes(self.transport))
        unread, self._unread = self._unread, b""
        if unread and self._then is not None:
            self._then.dataReceived(unread)

    def _become(self, then: Successor) -> None:
        """Have another protocol from here on; it may be idle for hours, so little is kept."""
        self._reader.close()
        del self._reader
        self.door.connections.taken_over(self)
        if not isinstance(self.transport, Watchable):
            IConsumer(self.transport).unregisterProducer()
        self._paused = False
        self.transport.resumeProducing()
        self._then, self._is_over = then, True
        then.begin()

    # -- its end --------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """End what takes too long."""
        settings, quiet_s = self.settings, now - self._moved_at
        if self._then is not None:
            self._then.sweep(now)
        elif self._is_over:
            return
        elif self._free is not None and self._sending is not None:
            if quiet_s > settings.body_timeout_s:
                self.abort()
        elif self._reader.in_body:
            if quiet_s > settings.body_timeout_s and not self._body_is_full:
                self._time_out("The rest of the body did not arrive.")
        elif self._reader.begun:
            if self._begun_at is not None and now - self._begun_at > settings.head_timeout_s:
                self._time_out("The rest of the header did not arrive.")
        elif not self._exchanges and quiet_s > settings.keep_alive_s:
            self.close()

    def _time_out(self, sentence: str) -> None:
        self._refuse(HTTPError(408, sentence))
        self._go_on()

    def close(self) -> None:
        """End it in order, when what is under way is answered."""
        self._last = True
        if not self._is_over and not self._exchanges:
            self._closing = self._new_closing()
            self._closing.close()

    def abort(self) -> None:
        """Cut it off."""
        self.transport.abortConnection()


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(piece), piece)
