"""LinkProtocol: one connection between two nodes, whichever of them has dialled.

Each frame has its length before it, in four bytes. Both ends greet first, the one that has dialled
before the other; then they send frames.
"""

from math import inf
from typing import Protocol as Typed
from typing import runtime_checkable

from msgspec import DecodeError, Struct
from msgspec.msgpack import Decoder, Encoder
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.cluster.entries.any_entry import AnyEntry
from xmppd.cluster.entry_decoder import MAX_REASON_LENGTH
from xmppd.cluster.frame import MAX_FRAME_BYTES, BadFrame, FrameKind
from xmppd.cluster.node import Node, NodeId
from xmppd.stanza.phrases import counted

GREETING_S = 1.0
"""The time until whoever comes in has greeted, or until who is told why not has gone."""

DIALLED_GREETING_S = 5.0
"""The time until a node that we have dialled has greeted: it may have more to do than this."""

MAX_GREETING_BYTES = 1_024
PING_AFTER_S = 2.0
"""Seconds of silence; half a lease if that is less."""

DOUBT_S = 1.0
"""The time for an answer when there is a reason to doubt that the other end is still there."""

_LENGTH_BYTES = 4


class LinkHello(Struct, array_like=True, frozen=True, tag="hello"):
    """The first frame in each direction.

    Attributes:
        protocol: Version of the entries that the node knows.
        name: Of the node that greets.
        generation: Its own.
        to: Name of the node that is greeted.
        to_generation: Its generation, as the other one knows it.
        handled: The last frame of that node which is handled here.
        proof: That the node has the secret of the service.
    """

    protocol: int
    name: str
    generation: int
    to: str
    to_generation: int
    handled: int
    proof: bytes

    @property
    def sender(self) -> NodeId:
        """The node that greets."""
        return NodeId(self.name, self.generation)

    @property
    def receiver(self) -> NodeId:
        """The node that is greeted."""
        return NodeId(self.to, self.to_generation)


class LinkPing(Struct, array_like=True, frozen=True, tag="ping"):
    """Asks whether the other end is still there."""


class LinkPong(Struct, array_like=True, frozen=True, tag="pong"):
    """Says so."""


class LinkGoodbye(Struct, array_like=True, frozen=True, tag="bye"):
    """Why a node closes the connection."""

    why: str


class LinkQuestion(Struct, array_like=True, frozen=True, tag="?"):
    """A question beside all that has an order."""

    number: int
    entry: AnyEntry


class LinkAnswer(Struct, array_like=True, frozen=True, tag="!"):
    """Its answer."""

    number: int
    entry: AnyEntry | None = None
    refusal: str = ""


LinkMessage = LinkHello | LinkPing | LinkPong | LinkGoodbye | LinkQuestion | LinkAnswer
_encode = Encoder().encode
_decode = Decoder(LinkMessage).decode


class LinkTransport(Typed):
    """The transport of a link, of Twisted's endpoints or ours."""

    def write(self, data: bytes, /) -> None:
        """Send these bytes."""

    def loseConnection(self) -> None:
        """Close when all bytes have left."""

    def abortConnection(self) -> None:
        """Close at once."""

    def getPeer(self) -> object:
        """The address of the peer."""


@runtime_checkable
class MayGoFirst(Typed):
    """A transport that may be served before others."""

    goes_first: bool


class LinkSecurity(Typed):
    """TLS between nodes.

    Attributes:
        digest: Of our certificate.
    """

    digest: str

    def start(self, transport: LinkTransport) -> None:
        """Begin TLS, as the client where we have dialled."""

    def digest_of_peer(self, transport: LinkTransport) -> str:
        """The digest of the certificate that the other end has shown; empty if there is none."""


class LinkEnd(Typed):
    """What a connection needs of the node that it is of.

    Attributes:
        security: None for connections in the clear.
    """

    security: LinkSecurity | None

    def hello(self, to: NodeId) -> LinkHello:
        """The greeting for a node."""

    def refusal(self, hello: LinkHello, certificate: str) -> str:
        """Why whoever greets like that is no node to speak with; empty if it is one."""

    def made(self, connection: "LinkProtocol") -> None:
        """Note that there is a connection."""

    def opened(self, connection: "LinkProtocol", hello: LinkHello) -> None:
        """Note that both ends have greeted.

        Raises:
            BadFrame: What it says to have handled was never sent.
        """

    def heard(self, connection: "LinkProtocol", frame: bytes) -> None:
        """Take a frame.

        Raises:
            BadFrame: It is none, or not the next one.
        """

    def asked(self, connection: "LinkProtocol", question: LinkQuestion) -> None:
        """Answer a question that has no order.

        Raises:
            ValueError: It is none.
        """

    def answered(self, connection: "LinkProtocol", answer: LinkAnswer) -> None:
        """Take an answer to one of ours.

        Raises:
            ValueError: It is none.
        """

    def closed(self, connection: "LinkProtocol", why: str) -> None:
        """Note that a connection is closed, or as good as closed, and why; called once."""

    def gone(self, connection: "LinkProtocol") -> None:
        """Note that there is a connection no more."""


@implementer(IHandshakeListener)
class LinkProtocol(Protocol):
    """A connection between two nodes; carries frames once both have greeted (CL-86).

    Args:
        end: The node at this end.
        clock: The reactor's.
        dialled: The node that we have dialled; None if we were.

    Attributes:
        node: The other node, when it has greeted and is one to speak with.
        heard_at: The moment of the last bytes from it.
    """

    transport: LinkTransport  # type: ignore[assignment]  # Twisted knows no better than ITransport

    def __init__(self, end: LinkEnd, clock: IReactorTime, dialled: Node | None = None) -> None:
        self.end = end
        self.clock = clock
        self.dialled = dialled
        self.node: NodeId | None = None
        self.heard_at = clock.seconds()
        self.certificate = ""
        self._buffer = bytearray()
        self._closed = False
        self._greeted = False
        self._pinged_at = self.heard_at
        self._answer_by = inf
        self._too_late: IDelayedCall | None = None

    # -- as a Protocol of Twisted's ---------------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin TLS, or greet."""
        self.end.made(self)
        tcp = ITCPTransport(self.transport, None)
        if tcp is not None:
            tcp.setTcpNoDelay(True)  # or a frame waits for the acknowledgement of the one before
        within_s = GREETING_S if self.dialled is None else DIALLED_GREETING_S
        self._too_late = self.clock.callLater(within_s, self._say_nothing)
        if self.end.security is None:
            self.handshakeCompleted()
        else:
            self.end.security.start(self.transport)

    def handshakeCompleted(self) -> None:
        """Greet whom we have dialled, if it is the one that we wanted."""
        if self.end.security is not None:
            self.certificate = self.end.security.digest_of_peer(self.transport)
        if self.dialled is None:
            return
        if self.dialled.certificate != self.certificate:
            self.close("the certificate is not the one in the directory")
        else:
            self._greet(self.dialled.id)

    def dataReceived(self, data: bytes) -> None:
        """Take the frames that are whole."""
        self.heard_at = self.clock.seconds()
        self._answer_by = inf
        buffer: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            buffer = self._buffer
        start, end = 0, len(buffer)
        while end - start >= _LENGTH_BYTES and not self._closed:
            begin = start + _LENGTH_BYTES
            size = int.from_bytes(buffer[start:begin])
            if not 0 < size <= (MAX_GREETING_BYTES if self.node is None else MAX_FRAME_BYTES):
                self.close(f"the frame has {counted(size, 'byte')}")
            elif end - begin < size:
                break
            else:
                start = begin + size
                self._take(bytes(buffer[begin:start]))
        if self._closed:
            self._buffer.clear()
        elif buffer is self._buffer:
            del self._buffer[:start]
        else:
            self._buffer += buffer[start:]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the node that this connection is gone."""
        self._stop_timer()
        self._over(reason.getErrorMessage())
        self.end.gone(self)

    # -- for the node -----------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        if not self._closed:
            self.transport.write(len(frame).to_bytes(_LENGTH_BYTES) + frame)

    def say(self, message: LinkMessage) -> None:
        """Send what is said between the ends of a link."""
        self.send(bytes((FrameKind.LINK,)) + _encode(message))

    def close(self, why: str) -> None:
        """Close the connection, and tell the other end why if it has greeted, or was greeted."""
        if self._closed:
            return
        if self._greeted:
            self.say(LinkGoodbye(why))
            self._stop_timer()
            self._too_late = self.clock.callLater(GREETING_S, self.transport.abortConnection)
            self._over(why)
            self.transport.loseConnection()
        else:
            self._over(why)
            self.transport.abortConnection()

    def abort(self, why: str) -> None:
        """Cut the connection."""
        if not self._closed:
            self._over(why)
            self.transport.abortConnection()

    def doubt(self) -> None:
        """Cut the connection unless the other end answers soon."""
        if self._answer_by == inf:
            self.say(LinkPing())
            self._answer_by = self.clock.seconds() + DOUBT_S

    def look(self, dead_after_s: float) -> None:
        """Ping after some silence; after too much of it, cut the connection."""
        now = self.clock.seconds()
        silent_s = now - self.heard_at
        if now >= self._answer_by or silent_s >= dead_after_s:
            self.abort(f"nothing was heard from it for {silent_s:.1f} s")
        elif silent_s >= min(PING_AFTER_S, dead_after_s / 2) and self._pinged_at <= self.heard_at:
            self._pinged_at = now
            self.say(LinkPing())

    # -- inside -----------------------------------------------------------------------------------

    def _greet(self, to: NodeId) -> None:
        self._greeted = True
        self.say(self.end.hello(to))

    def _take(self, frame: bytes) -> None:
        try:
            if frame[0] == FrameKind.LINK:
                self._take_message(_decode(memoryview(frame)[1:]))
            elif self.node is None:
                self.close("the peer sends no greeting")
            else:
                self.end.heard(self, frame)
        except BadFrame as error:
            self.close(str(error))
        except (DecodeError, ValueError, RecursionError) as error:
            self.close(f"the peer sends an invalid message: {error}"[:MAX_REASON_LENGTH])

    def _take_message(self, message: LinkMessage) -> None:
        if isinstance(message, LinkGoodbye):
            self._over(f"the peer says: {message.why[:MAX_REASON_LENGTH]!r}")
            self.transport.abortConnection()
        elif self.node is None:
            self._take_hello(message)
        elif isinstance(message, LinkPing):
            self.say(LinkPong())
        elif isinstance(message, LinkQuestion):
            self.end.asked(self, message)
        elif isinstance(message, LinkAnswer):
            self.end.answered(self, message)
        elif isinstance(message, LinkHello):
            self.close("the peer sends a second greeting")

    def _take_hello(self, message: LinkMessage) -> None:
        if not isinstance(message, LinkHello):
            self.close("the peer sends no greeting")
            return
        self._greeted = True
        why = self.end.refusal(message, self.certificate)
        if not why and self.dialled is not None and self.dialled.id != message.sender:
            why = f"node {message.sender} answers instead of {self.dialled.id}"
        if why:
            self.close(why)
            return
        self.node = message.sender
        self._stop_timer()
        if isinstance(self.transport, MayGoFirst):
            self.transport.goes_first = True  # each frame is of many who are online
        if self.dialled is None:
            self._greet(self.node)
        self.end.opened(self, message)

    def _say_nothing(self) -> None:
        self._too_late = None
        self.abort("the peer sends nothing")

    def _over(self, why: str) -> None:
        if not self._closed:
            self._closed = True
            self.end.closed(self, why)

    def _stop_timer(self) -> None:
        if self._too_late is not None and self._too_late.active():
            self._too_late.cancel()
        self._too_late = None


__all__ = [
    "LinkAnswer",
    "LinkEnd",
    "LinkGoodbye",
    "LinkHello",
    "LinkMessage",
    "LinkPing",
    "LinkPong",
    "LinkProtocol",
    "LinkQuestion",
    "LinkSecurity",
    "LinkTransport",
]
