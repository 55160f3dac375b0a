"""StreamHandler and Wire: a stream and its connection, as each sees the other."""

from typing import Protocol

from xmppd.session.peer_counts import Peer
from xmppd.session.session import Connection
from xmppd.stanza import Later
from xmppd.stream.framing import StreamHeader
from xmppd.stream.stream_feature import Stream
from xmppd.stream.stream_parser import Received, StreamClosed, StreamOpened


class StreamHandler(Protocol):
    """A stream, of a client, a component or another server.

    Attributes:
        stream: The state of its negotiation.
        namespace: The content namespace of streams of this kind.
    """

    stream: Stream
    namespace: str

    @property
    def id(self) -> str:
        """Its name in the log."""

    @property
    def established(self) -> bool:
        """Whether its peer is authenticated."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""

    def made(self) -> None:
        """Begin, when the connection is made; the side that has connected sends its header
        first.
        """

    def header(self) -> StreamHeader:
        """Our stream header."""

    def handle(self, event: StreamOpened | Received | StreamClosed) -> Later:
        """Take the next event of the stream.

        Raises:
            StreamError: The stream cannot go on.
        """

    def ping(self) -> None:
        """Ping a peer that was silent for long."""

    def wire_is_full(self) -> None:
        """Let stanzas wait, since the connection is full."""

    def wire_is_free(self) -> None:
        """Write stanzas that wait, since the connection is free again."""

    def hear_no_more(self) -> None:
        """Ignore further stanzas, since the stream ends with all others."""

    def wire_is_gone(self) -> None:
        """Called when the connection is gone or closing."""


class Ended:
    """Stands in for the stream of a lost connection, so that the two do not keep each other
    alive.
    """

    namespace = ""
    stream = Stream.NEW
    established = False

    def __init__(self, id: str, peer: Peer) -> None:
        self.id = id
        self.peer = peer

    def made(self) -> None:
        """Do nothing, since it never is again."""

    def header(self) -> StreamHeader:
        """An empty header, which is never sent."""
        return StreamHeader(namespace="", sender="")

    def handle(self, event: StreamOpened | Received | StreamClosed) -> Later:
        """Do nothing, since no more bytes come."""

    def ping(self) -> None:
        """Do nothing, since the peer is gone."""

    def wire_is_full(self) -> None:
        """Do nothing, since nothing is written any more."""

    def wire_is_free(self) -> None:
        """Do nothing, since nothing is written any more."""

    def hear_no_more(self) -> None:
        """Do nothing, since no more bytes come."""

    def wire_is_gone(self) -> None:
        """Do nothing, since it is known."""


class Wire(Connection, Protocol):
    """The connection, as a stream needs it.

    Attributes:
        by_accident: Whether it has ended, or is ending, against the will of both sides.
    """

    by_accident: bool

    def open(self, header: StreamHeader) -> None:
        """Begin our side of the stream, or begin it anew."""

    def offer(self, features: bytes) -> None:
        """Send the features of the stream, as elements."""

    def restart(self) -> None:
        """Expect a new stream header on the same bytes."""

    def start_tls(self) -> None:
        """Tell the peer to proceed, and speak TLS from here on.

        Raises:
            StreamError: More bytes came in the clear behind the request.
        """

    def authenticated(self) -> None:
        """Note that the peer is authenticated: the tighter limits do not hold any more."""

    def peer_closed(self) -> None:
        """Close our side of the stream, since the peer has closed its side."""
