"""Streams over TCP: one document, which the header begins and a closing tag ends."""

from functools import lru_cache
from typing import ClassVar

from xmppd.stanza import ns
from xmppd.stanza.error import StreamCondition, StreamError
from xmppd.stanza.text import escape
from xmppd.stream.framing import StreamHeader, written
from xmppd.stream.stream_parser import ParserLimits, StreamParser

MAX_KINDS = 16
"""Kinds of headers of which the beginning is kept: ours are four."""


class TCPFraming:
    """The framing of :rfc:`6120#section-4`: each element is sent as it is."""

    end: ClassVar[bytes] = b"</stream:stream>"
    element: ClassVar[None] = None

    def reader(self, limits: ParserLimits, namespace: str) -> StreamParser:
        """A reader of a stream that begins."""
        return StreamParser(limits, namespace)

    def header(self, header: StreamHeader) -> bytes:
        """The bytes that begin our side of a stream; the namespaces come first, as always."""
        begin = _begin(header.namespace, tuple(header.prefixes.items()))
        return f"{begin}{header.attributes}>".encode()

    def features(self, content: bytes) -> bytes:
        """The stream features, with the prefix that the header declares."""
        return b"<stream:features>%b</stream:features>" % content

    def error(self, error: StreamError) -> bytes:
        """A stream error."""
        text = ""
        if error.text:
            text = f"<text xmlns='{ns.STREAM_ERRORS}' xml:lang='en'>{escape(error.text)}</text>"
        tag, host = error.condition.value, escape(error.other_host)
        if error.condition is StreamCondition.SEE_OTHER_HOST and not host:
            tag = StreamCondition.RESET.value  # it may go on elsewhere, but nobody knows where
        inside = f">{host}</{tag}>" if host else "/>"
        condition = f"<{tag} xmlns='{ns.STREAM_ERRORS}'{inside}"
        return f"<stream:error>{condition}{text}{error.application}</stream:error>".encode()

    def end_after(self, error: StreamError | None) -> bytes:
        """The end, whatever the error was."""
        return self.end

    def is_end(self, data: bytes) -> bool:
        """Whether the closing tag is among these bytes."""
        return b"</stream:stream" in data


@lru_cache(maxsize=MAX_KINDS)
def _begin(namespace: str, prefixes: tuple[tuple[str, str], ...]) -> str:
    """The beginning of a header, with nothing in it but these."""
    namespaces = {
        "xmlns": namespace,
        "xmlns:stream": ns.STREAM,
        **{f"xmlns:{prefix}": uri for prefix, uri in prefixes},
    }
    return f"<?xml version='1.0'?><stream:stream{written(namespaces)}"


TCP = TCPFraming()
"""It keeps nothing, so all connections have the same."""
