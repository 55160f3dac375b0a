"""Streams over WebSocket (:rfc:`7395`): each element is a text message of its own."""

import re
from collections import deque
from typing import ClassVar

from xmppd.stanza import ns
from xmppd.stanza.error import StreamCondition, StreamError
from xmppd.stanza.text import escape
from xmppd.stanza.xml import LANG
from xmppd.stream.framing import StreamHeader, written
from xmppd.stream.stream_header import WHITE_SPACE
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

WEB_SOCKET_PATH = "/ws"

FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"

_BARE_HEADER = f"<stream:stream xmlns:stream='{ns.STREAM}'>".encode()
_KEPT = ("id", "to", "from", "version", LANG)
_close = re.compile(rb"[ \t\r\n]*<(?:[\w.\-]+:)?close[ \t\r\n/>]").match


class WebSocketReader:
    """Reads a stream whose elements come one by one; each is fed whole.

    It makes of each what would have come over TCP, and has a StreamParser read that: it knows no
    other way to bring a stanza (WS-1).

    Args:
        limits: Of what the peer may send.
        namespace: Of its stanzas.
    """

    __slots__ = (
        "_behind",
        "_ended",
        "_header_is_due",
        "_message",
        "_namespace",
        "_parser",
        "_waiting_bytes",
    )

    def __init__(self, limits: ParserLimits, namespace: str) -> None:
        self._parser = StreamParser(limits, namespace)
        self._namespace = namespace
        self._message = b""  # the next one
        self._behind: deque[bytes] | None = None  # most often there is none, and it is large
        self._waiting_bytes = 0  # of those
        self._header_is_due = True
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
        """Whether there are elements behind the events returned so far."""
        return any(each.strip(WHITE_SPACE) for each in (self._message, *(self._behind or ())))

    def restart(self) -> None:
        """Expect a new header (:rfc:`7395#section-3.4`)."""
        self._parser.restart()
        self._header_is_due = True

    def feed(self, message: bytes) -> None:
        """Keep a message that has arrived; it is not read yet.

        Raises:
            StreamError: POLICY_VIOLATION: more bytes wait than may.
        """
        if self._ended:
            return
        if not self._message:
            self._message = message
            return
        if not message:
            return
        self._waiting_bytes += len(message)
        most_bytes = self.limits.max_stanza_bytes + MAX_READ_AHEAD_BYTES
        if len(self._message) + self._waiting_bytes > most_bytes:
            self._end()
            raise StreamError(StreamCondition.POLICY_VIOLATION, "too many bytes at once")
        if self._behind is None:
            self._behind = deque()
        self._behind.append(message)

    def next(self) -> StreamOpened | Received | StreamClosed | None:
        """The next event; None when more is needed, and after the end for ever.

        Raises:
            StreamError: This stream cannot go on.
        """
        while message := self._message:
            if self._behind is None:
                self._message = b""
            else:
                self._take_next(self._behind)
            try:
                found = declaring(message)
                if found is not None and not self._header_is_due:
                    element = found[1] + message[found.end() :]
                    return self._parser.whole(element, found[2]) or self._only(element)
                if message.strip(WHITE_SPACE):  # some clients keep alive with nothing
                    return self._event(message)
            except StreamError:
                self._end()
                raise
        return None

    def _take_next(self, behind: deque[bytes]) -> None:
        self._message = behind.popleft()
        self._waiting_bytes -= len(self._message)
        if not behind:
            self._behind = None

    def _event(self, message: bytes) -> StreamOpened | Received | StreamClosed:
        if _close(message) and self._is_framing(message, "close") is not None:
            self._end()
            return StreamClosed()
        if not self._header_is_due:
            return self._only(message)
        header = self._opened(message)
        self._header_is_due = False
        return self._only(header)

    def _only(self, element: bytes) -> StreamOpened | Received:
        """The event that a message is, if it is just one."""
        self._parser.feed(element)
        event = self._parser.next()
        if event is None or isinstance(event, StreamClosed) or self._parser.unread:
            raise StreamError(
                StreamCondition.BAD_FORMAT, "a message must be exactly one complete element"
            )
        return event

    def _opened(self, message: bytes) -> bytes:
        """The header that would have come over TCP in place of ``<open/>``."""
        attributes = self._is_framing(message, "open")
        if attributes is None:
            raise StreamError(
                StreamCondition.BAD_FORMAT,
                "over WebSocket a stream begins with <open/> (RFC 7395); upgrade the client",
            )
        said = {"xml:lang" if name == LANG else name: attributes.get(name) for name in _KEPT}
        namespaces = written({"xmlns": self._namespace, "xmlns:stream": ns.STREAM})
        return f"<stream:stream{namespaces}{written(said)}>".encode()

    def _is_framing(self, message: bytes, name: str) -> dict[str, str] | None:
        """The attributes of an element of the framing; None if it is another."""
        parser = StreamParser(self.limits, FRAMING)
        parser.feed(_BARE_HEADER + message)
        try:
            parser.next()
            event = parser.next()
        except StreamError:
            return None
        if not isinstance(event, Received) or parser.unread or event.tree.tag != name:
            return None
        return event.tree.attrib

    def _end(self) -> None:
        self._ended = True
        self._message, self._behind = b"", None
        self._waiting_bytes = 0


class WebSocketFraming:
    """The framing of :rfc:`7395`: an element declares its own namespaces, and is a message."""

    end: ClassVar[bytes] = f"<close xmlns='{FRAMING}'/>".encode()
    element = staticmethod(outward)
    """The message for an element."""

    def reader(self, limits: ParserLimits, namespace: str) -> WebSocketReader:
        """A reader of a stream that begins."""
        return WebSocketReader(limits, namespace)

    def header(self, header: StreamHeader) -> bytes:
        """The message that begins our side of a stream, or begins it anew."""
        return f"<open xmlns='{FRAMING}'{header.attributes}/>".encode()

    def features(self, content: bytes) -> bytes:
        """The stream features."""
        return outward(TCP.features(content))

    def error(self, error: StreamError) -> bytes:
        """A stream error; nothing for one that sends the client elsewhere, as the end does that."""
        return b"" if error.other_url else outward(TCP.error(error))

    def end_after(self, error: StreamError | None) -> bytes:
        """The end; it sends the client elsewhere (WS-13)."""
        if error is None or not error.other_url:
            return self.end
        uri = escape(f"{error.other_url.replace('http', 'ws', 1)}{WEB_SOCKET_PATH}")
        return f"<close xmlns='{FRAMING}' see-other-uri='{uri}'/>".encode()

    def is_end(self, data: bytes) -> bool:
        """Whether the peer ends its side with this message."""
        return _close(data) is not None


WEB_SOCKET = WebSocketFraming()
"""It keeps nothing, so all connections have the same."""
