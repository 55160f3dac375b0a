"""WebSocketWire: a WebSocket as the transport of a ConnectionHandler."""

from collections.abc import Callable

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IConsumer, IPushProducer, IReactorTime, ISystemHandle
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.token_bucket import TokenBucket
from xmppd.net.transport import Contexts, Ranked, Returning, Transport, Watchable
from xmppd.stanza import StreamCondition, StreamError
from xmppd.web.content_namespace import undone
from xmppd.web.message_deflate import MessageDeflate, inflated, text_in
from xmppd.web.request import HTTPRequest
from xmppd.web.web_socket import (
    CloseCode,
    MessageReader,
    Opcode,
    WebSocketError,
    close_frame,
    frame,
    text_frame,
)

QUIET_S = 48.0
"""The seconds without a byte of ours before a ping: proxies cut what is quiet for a minute."""

CONTROL_FRAMES_PER_S = 10


@implementer(ISystemHandle)
class WebSocketWire(Ranked, Watchable, Returning):
    """One WebSocket, once HTTP has handed its connection over (WS-7).

    Args:
        transport: Of the connection.
        request: Asked for it.
        make_handler: Makes the ConnectionHandler for it.
        clock: The reactor's.
        ping_timeout_s: The time that a pong may take.
        deflate: Compresses messages; None if none may be.

    Attributes:
        handler: None once the connection is gone.
    """

    __slots__ = (
        "_clock",
        "_close_sent",
        "_code",
        "_control",
        "_deflate",
        "_ping_timeout_s",
        "_pinged_at",
        "_produces",
        "_reader",
        "_transport",
        "_wrote",
        "_wrote_at",
        "address",
        "handler",
    )

    def __init__(
        self,
        transport: Transport,
        request: HTTPRequest,
        make_handler: Callable[[], ConnectionHandler],
        clock: IReactorTime,
        ping_timeout_s: float,
        deflate: MessageDeflate | None,
    ) -> None:
        self.address = request.address
        self._transport = transport
        self.handler: ConnectionHandler | None = make_handler()
        self._clock = clock
        self._ping_timeout_s = ping_timeout_s
        self._deflate = deflate
        self._reader = MessageReader(self._max_bytes, None if deflate is None else inflated)
        self._control: TokenBucket | None = None  # until there is a control frame
        self._code = CloseCode.NORMAL
        self._close_sent = False
        self._wrote_at = clock.seconds()
        self._wrote = False
        self._pinged_at: float | None = None
        self._produces = False

    def _max_bytes(self) -> int:
        return 0 if self.handler is None else self.handler.reader.limits.max_stanza_bytes

    # -- called by HTTPChannel --------------------------------------------------------------------

    def begin(self) -> None:
        """Let the stream begin."""
        assert self.handler is not None, "it is new"
        self.handler.makeConnection(self)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """Take bytes that came."""
        self._pinged_at = None
        handler = self.handler
        try:
            text = self._reader.alone(data)
            if text is not None:
                if handler is not None:
                    handler.dataReceived(text)
                return
            for opcode, payload in self._reader.read(data):
                if opcode is not Opcode.TEXT:
                    self._take_control(opcode, payload)
                elif self.handler is not None:
                    self.handler.dataReceived(payload)
        except WebSocketError as error:
            self._refuse(error)

    def _take_control(self, opcode: Opcode, payload: bytes) -> None:
        if opcode is Opcode.CLOSE:
            self._reader.close()
            self._send_close(CloseCode.NORMAL)
            self._unregister()
            self._transport.loseConnection()
            return
        if self._control is None:
            self._control = TokenBucket(CONTROL_FRAMES_PER_S, CONTROL_FRAMES_PER_S)
        if self._control.take(1, self._clock.seconds()):
            raise WebSocketError(CloseCode.POLICY, "too many pings")
        if self.handler is not None:
            self.handler.received_at = self._clock.seconds()
        if opcode is Opcode.PING and not self._close_sent:
            self._transport.write(frame(Opcode.PONG, payload))

    def _refuse(self, error: WebSocketError) -> None:
        """End the stream, since what came is no frame, or one that may not come."""
        self._reader.close()
        self._code = error.code
        if self.handler is not None:
            too_much = error.code in (CloseCode.TOO_LARGE, CloseCode.POLICY)
            condition = StreamCondition.POLICY_VIOLATION if too_much else StreamCondition.BAD_FORMAT
            self.handler.close(StreamError(condition, str(error)))

    def connectionLost(self, reason: Failure) -> None:
        """Tell the stream that its connection is gone."""
        self._reader.close()
        handler, self.handler = self.handler, None
        if handler is not None:
            handler.connectionLost(reason)

    def sweep(self, now: float) -> None:
        """Ping a client to whom nothing was written for some time (WS-11)."""
        if self._wrote:
            self._wrote = False
            self._wrote_at = now
        if self.handler is None or self._close_sent:
            return
        if self._pinged_at is not None:
            if now - self._pinged_at > self._ping_timeout_s:
                error = StreamError(StreamCondition.CONNECTION_TIMEOUT, "no answer to a ping")
                self.handler.close(error)
        elif now - self._wrote_at > QUIET_S:
            self._wrote_at = self._pinged_at = now
            self._transport.write(frame(Opcode.PING, b""))

    # -- the transport of the ConnectionHandler -------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send one message."""
        if not self._close_sent:
            self._wrote = True
            deflate = self._deflate
            self._transport.write(text_frame(data) if deflate is None else deflate.framed(data))

    def pauseProducing(self) -> None:
        """Read no more."""
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self._transport.resumeProducing()

    def loseConnection(self) -> None:
        """Close: by a close frame first, which the client answers with its own (WS-10)."""
        if self._close_sent:
            self._unregister()
            self._transport.loseConnection()
        else:
            self._send_close(self._code)
            self._transport.resumeProducing()

    def loseWriteConnection(self) -> None:
        """Say nothing more, and wait for the client's close frame."""
        self._send_close(self._code)

    def abortConnection(self) -> None:
        """Close at once."""
        self._transport.abortConnection()

    def abort(self) -> None:
        """Cut it off; bytes that have left may still arrive."""
        if isinstance(self._transport, Returning):
            self._transport.abort()
        else:
            self._transport.abortConnection()

    def _send_close(self, code: CloseCode) -> None:
        if not self._close_sent:
            self._close_sent = True
            self._transport.write(close_frame(code))

    def unsent(self) -> list[bytes]:
        """The elements that were written and the kernel has not taken, as over TCP."""
        if not isinstance(self._transport, Returning):
            return []
        return [undone(text_in(piece)) for piece in self._transport.unsent()]

    def take_queued(self, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """Take back elements that wait for the kernel, as over TCP."""
        if not isinstance(self._transport, Returning):
            return []
        taken = self._transport.take_queued(lambda piece: wanted(text_in(piece)))
        return [undone(text_in(piece)) for piece in taken]

    def watch_queue(self, watcher: IPushProducer) -> None:
        """Tell it, as a producer is told, when enough waits and when all has left."""
        if isinstance(self._transport, Watchable):
            self._transport.watch_queue(watcher)
        else:
            self._produces = True
            IConsumer(self._transport).registerProducer(watcher, streaming=True)

    def _unregister(self) -> None:
        if self._produces:
            self._produces = False
            IConsumer(self._transport).unregisterProducer()  # TLS waits for its producers

    @property
    def goes_first(self) -> bool:
        """Whether it is served before others, where the endpoint can."""
        return isinstance(self._transport, Ranked) and self._transport.goes_first

    @goes_first.setter
    def goes_first(self, first: bool) -> None:
        if isinstance(self._transport, Ranked):
            self._transport.goes_first = first

    def startTLS(self, contexts: Contexts) -> None:
        """Never called: STARTTLS is not offered (WS-6)."""
        raise RuntimeError("TLS is a matter of the connection below")

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The address of whoever is there, whatever proxies are in between."""
        kind = IPv6Address if ":" in self.address else IPv4Address
        return kind("TCP", self.address, 0)

    def getHandle(self) -> object:
        """The socket, or OpenSSL's connection, of the connection below."""
        return self._transport.getHandle()
