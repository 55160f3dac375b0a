"""What a wire and the stream on it are to each other, whoever speaks on it."""

from typing import Protocol

from xmppd.session.session import Connection
from xmppd.stanza import Later
from xmppd.stream.framing import StreamHeader
from xmppd.stream.stream_feature import Stream
from xmppd.stream.stream_parser import Received, StreamClosed, StreamOpened


class StreamHandler(Protocol):
    """A stream, of a client or of somebody else.

    Attributes:
        stream: How far it has come.
        namespace: The content namespace of streams of this kind.
    """

    stream: Stream
    namespace: str

    @property
    def id(self) -> str:
        """What the log calls it."""

    @property
    def established(self) -> bool:
        """Whether its peer is a stranger no more."""

    def made(self) -> None:
        """The wire is there; who has called speaks first."""

    def header(self) -> StreamHeader:
        """Our side's stream header."""

    def handle(self, event: StreamOpened | Received | StreamClosed) -> Later:
        """Take the next thing that came.

        Raises:
            StreamError: The stream cannot go on.
        """

    def ping(self) -> None:
        """Nothing came for long: ask whether somebody is there."""

    def wire_is_full(self) -> None:
        """What is written now would have to wait."""

    def wire_is_free(self) -> None:
        """All that waited has left."""

    def hear_no_more(self) -> None:
        """The stream is about to end with all others: what its peer still says does not matter."""

    def wire_is_gone(self) -> None:
        """The wire is gone or going."""


class Ended:
    """What a wire that is gone has for a stream, so that the two do not keep each other alive."""

    namespace = ""
    stream = Stream.NEW
    established = False

    def __init__(self, id: str) -> None:
        self.id = id

    def made(self) -> None:
        """It never is again."""

    def header(self) -> StreamHeader:
        """Nobody would read it."""
        return StreamHeader(namespace="", sender="")

    def handle(self, event: StreamOpened | Received | StreamClosed) -> Later:
        """Nothing comes any more."""

    def ping(self) -> None:
        """Nobody is there."""

    def wire_is_full(self) -> None:
        """Nothing is written any more."""

    def wire_is_free(self) -> None:
        """Nothing is written any more."""

    def hear_no_more(self) -> None:
        """Nothing comes any more."""

    def wire_is_gone(self) -> None:
        """So it is."""


class Wire(Connection, Protocol):
    """What a stream needs of the connection below it.

    Attributes:
        by_accident: Whether it ended, or is ending, without its peer or us wanting it.
    """

    by_accident: bool

    def open(self, header: StreamHeader) -> None:
        """Begin our side of the stream, or begin it anew."""

    def offer(self, features: bytes) -> None:
        """Say what the stream offers: elements."""

    def restart(self) -> None:
        """Expect a new stream header on the same bytes."""

    def start_tls(self) -> None:
        """Tell the peer to proceed, and speak TLS from here on.

        Raises:
            StreamError: Something came in the clear behind the request.
        """

    def authenticated(self) -> None:
        """The peer is known: the tighter limits do not hold any more."""

    def peer_closed(self) -> None:
        """The peer has closed its side of the stream: so do we."""
