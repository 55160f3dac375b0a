"""Streams over BOSH (:xep:`0206`): elements stand in bodies, and the header is attributes."""

from collections import deque
from typing import ClassVar

from xmppd.stanza.error import StreamCondition, StreamError
from xmppd.stream.framing import StreamHeader
from xmppd.stream.stream_parser import (
    MAX_READ_AHEAD_BYTES,
    ParserLimits,
    Received,
    StreamClosed,
    StreamOpened,
    StreamParser,
)
from xmppd.stream.tcp_framing import TCP
from xmppd.web.content_namespace import declaring, outward

BOSH_PATH = "/bosh"

MAX_BODY_ELEMENTS = 256


class BodyReader:
    """Reads a stream that comes in bodies; each is fed whole, and so are headers and the end, as
    they would come over TCP.

    Args:
        limits: Of what the peer may send.
        namespace: Of its stanzas.
    """

    __slots__ = ("_bodies", "_elements", "_ended", "_parser", "_reading", "_waiting_bytes")

    def __init__(self, limits: ParserLimits, namespace: str) -> None:
        self._parser = StreamParser(limits, namespace)
        self._bodies: deque[bytes] = deque()
        self._waiting_bytes = self._elements = 0
        self._reading = False  # something of a body may be left in the parser
        self._ended = False

    @property
    def limits(self) -> ParserLimits:
        """The limits of what the peer may send; new ones hold from the next element on."""
        return self._parser.limits

    @limits.setter
    def limits(self, limits: ParserLimits) -> None:
        self._parser.limits = limits

    @property
    def unread(self) -> bool:
        """Whether there is something behind the events returned so far."""
        return self._parser.unread or bool(self._bodies)

    def restart(self) -> None:
        """Expect a new header."""
        self._parser.restart()

    def feed(self, body: bytes) -> None:
        """Keep what one body has brought; it is not read yet.

        Raises:
            StreamError: POLICY_VIOLATION: more bytes wait than may.
        """
        if self._ended:
            return
        self._waiting_bytes += len(body)
        if self._waiting_bytes > self.limits.max_stanza_bytes + MAX_READ_AHEAD_BYTES:
            self._ended = True
            raise StreamError(StreamCondition.POLICY_VIOLATION, "too many bytes at once")
        self._bodies.append(body)

    def next(self) -> StreamOpened | Received | StreamClosed | None:
        """The next event; None when more is needed, and after the end for ever.

        Raises:
            StreamError: This stream cannot go on.
        """
        while not self._ended:
            if not self._reading:
                if not self._bodies:
                    return None
                simple = self._begin(self._bodies.popleft())
                if simple is not None:
                    return simple
            try:
                event = self._parser.next()
            except StreamError:
                self._ended = True
                raise
            if event is not None:
                self._elements += 1
                self._ended = isinstance(event, StreamClosed)
                if self._elements > MAX_BODY_ELEMENTS:
                    self._ended = True
                    raise StreamError(
                        StreamCondition.POLICY_VIOLATION, "too many stanzas in one body"
                    )
                return event
            if self._parser.unread:
                self._ended = True
                raise StreamError(StreamCondition.BAD_FORMAT, "an element is incomplete")
            self._reading = False
        return None

    def _begin(self, body: bytes) -> Received | None:
        """The element in a body, if it is a simple one; else the parser reads what is in it."""
        self._waiting_bytes -= len(body)
        found = declaring(body)
        if found is not None:
            body = found[1] + body[found.end() :]
            simple = self._parser.whole(body, found[2])
            if simple is not None:
                return simple
        self._elements = 0
        self._reading = True
        self._parser.feed(body)
        return None


class BoshFraming:
    """The framing of :xep:`0206`: what is no element is said by the session's bodies."""

    end: ClassVar[bytes] = TCP.end
    element = staticmethod(outward)
    """What stands in a body for an element."""

    def reader(self, limits: ParserLimits, namespace: str) -> BodyReader:
        """A reader of a stream that begins."""
        return BodyReader(limits, namespace)

    def header(self, header: StreamHeader) -> bytes:
        """Nothing: the answer to the first body says it in its attributes."""
        return b""

    def features(self, content: bytes) -> bytes:
        """The stream features; a body declares their prefix."""
        return TCP.features(content)

    def error(self, error: StreamError) -> bytes:
        """A stream error; a body declares its prefix. Nothing for one that sends the client
        elsewhere, as the last body says that itself.
        """
        return b"" if error.other_url else TCP.error(error)

    def end_after(self, error: StreamError | None) -> bytes:
        """The end, whatever the error was."""
        return self.end

    def is_end(self, data: bytes) -> bool:
        """Whether the peer ends its side in what a body has brought."""
        return data == self.end


BOSH = BoshFraming()
"""It keeps nothing, so all sessions have the same."""
