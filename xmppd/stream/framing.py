"""Framing: how a stream is carried: elements become bytes, and bytes become events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from xmppd.stanza.error import StreamError
from xmppd.stanza.text import escape
from xmppd.stream.stream_parser import ParserLimits, Received, StreamClosed, StreamOpened


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHeader:
    """Our stream header as a value (:rfc:`6120#section-4.7`); the framing writes it.

    Attributes:
        namespace: The content namespace.
        sender: Our domain.
        to: The peer, if it has named itself; else None.
        id: Of the stream; empty where the peer gives it.
        version: Of XMPP; empty without one (:xep:`0114`).
        language: Of text for people; empty without one.
        prefixes: Namespaces that it declares beside the streams' own.
    """

    namespace: str
    sender: str
    to: str | None = None
    id: str = ""
    version: str = "1.0"
    language: str = ""
    prefixes: Mapping[str, str] = field(default_factory=dict)

    @property
    def attributes(self) -> str:
        """Its attributes but for the declarations, as they are written."""
        attributes = {
            "id": self.id,
            "from": self.sender,
            "to": self.to,
            "version": self.version,
            "xml:lang": self.language,
        }
        return written(attributes)


def written(attributes: Mapping[str, str | None]) -> str:
    """Attributes as a tag has them, without those that are empty."""
    return "".join([f" {name}='{escape(text)}'" for name, text in attributes.items() if text])


class EventReader(Protocol):
    """The events of one stream, each read when it is asked for.

    Attributes:
        limits: The limits of what the peer may send; new ones hold from the next stanza on.
    """

    limits: ParserLimits

    @property
    def unread(self) -> bool:
        """Whether there are bytes behind the events returned so far."""

    def restart(self) -> None:
        """Expect a new stream header in the bytes not yet read
        (:rfc:`6120#section-4.3.3`).
        """

    def feed(self, data: bytes) -> None:
        """Keep bytes that have arrived; they are not read yet.

        Raises:
            StreamError: More bytes wait than may.
        """

    def next(self) -> StreamOpened | Received | StreamClosed | None:
        """The next event; None when more bytes are needed, and after the end for ever.

        Raises:
            StreamError: This stream cannot go on; nothing that follows is read.
        """


class Framing(Protocol):
    """The way in which one kind of connection carries streams.

    It gives the bytes of each element, and each of these is written by a call of its own
    (CH-11, CH-12).
    """

    @property
    def end(self) -> bytes:
        """The bytes that end our side of a stream (:rfc:`6120#section-4.4`)."""

    @property
    def element(self) -> Callable[[bytes], bytes] | None:
        """A function from a stanza or another element to the bytes that are sent for it.

        It is None where an element is sent as it is, so that no stanza costs a call for it.
        """

    def reader(self, limits: ParserLimits, namespace: str) -> EventReader:
        """A reader of a stream that begins.

        Args:
            limits: Of what the peer may send.
            namespace: Of its stanzas, whether its header declares that or they do.
        """

    def header(self, header: StreamHeader) -> bytes:
        """The bytes that begin our side of a stream, or begin it anew."""

    def features(self, content: bytes) -> bytes:
        """The stream features (:rfc:`6120#section-4.3.2`).

        Args:
            content: The elements of the features that are offered.
        """

    def error(self, error: StreamError) -> bytes:
        """A stream error (:rfc:`6120#section-4.9`); the end follows. Nothing, if that says it."""

    def end_after(self, error: StreamError | None) -> bytes:
        """The end behind an error, if there was one."""

    def is_end(self, data: bytes) -> bool:
        """Whether the peer ends its side of the stream in these bytes, the last that are read."""
