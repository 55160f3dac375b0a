"""Framing: how a stream is carried. What is said on it becomes bytes, and bytes become events."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from xmppd.stanza.error import StreamError
from xmppd.stream.stream_parser import ParserLimits, Received, StreamClosed, StreamOpened


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamHeader:
    """Our side's stream header as a value (:rfc:`6120#section-4.7`); the framing writes it.

    Attributes:
        namespace: The content namespace.
        sender: The domain of ours that speaks.
        to: The peer, as far as it has said who it is; None if it has not.
        id: Of the stream; empty where the peer gives it.
        version: Of XMPP; empty where none is said (:xep:`0114`).
        language: Of what people read in it; empty if that is not said.
        prefixes: Namespaces that it declares beside the streams' own.
    """

    namespace: str
    sender: str
    to: str | None = None
    id: str = ""
    version: str = "1.0"
    language: str = ""
    prefixes: Mapping[str, str] = field(default_factory=dict)


class EventReader(Protocol):
    """The events of one stream, each read when it is asked for.

    Attributes:
        limits: How much of everything the peer may send; new ones hold from the next stanza on.
    """

    limits: ParserLimits

    @property
    def unread(self) -> bool:
        """Whether there are bytes behind the events returned so far."""

    def restart(self) -> None:
        """Expect a new stream header in what is not yet read (:rfc:`6120#section-4.3.3`)."""

    def feed(self, data: bytes) -> None:
        """Keep what has arrived; nothing of it is read yet.

        Raises:
            StreamError: More piles up than there may be.
        """

    def next(self) -> StreamOpened | Received | StreamClosed | None:
        """The next event; None when more bytes are needed, and after the end for ever.

        Raises:
            StreamError: This stream cannot go on; nothing that follows is read.
        """


class Framing(Protocol):
    """How streams are carried by one kind of connection.

    It gives the bytes of each thing that is said, and each of these is written by a call of its own
    (CH-11, CH-12).
    """

    @property
    def end(self) -> bytes:
        """What ends our side of a stream (:rfc:`6120#section-4.4`)."""

    @property
    def element(self) -> Callable[[bytes], bytes] | None:
        """Makes of a stanza, or another element, what is sent for it.

        It is None where an element is sent as it is, so that no stanza costs a call for it.
        """

    def reader(self, limits: ParserLimits, namespace: str) -> EventReader:
        """A reader of a stream that begins.

        Args:
            limits: How much of everything the peer may send.
            namespace: Of its stanzas, whether its header declares that or they do.
        """

    def header(self, header: StreamHeader) -> bytes:
        """What begins our side of a stream, or begins it anew."""

    def features(self, content: bytes) -> bytes:
        """The stream features (:rfc:`6120#section-4.3.2`).

        Args:
            content: The elements of those that are offered.
        """

    def error(self, error: StreamError) -> bytes:
        """A stream error (:rfc:`6120#section-4.9`); the end follows."""

    def is_end(self, data: bytes) -> bool:
        """Whether the peer ends its side of the stream in these bytes, the last it is heard for."""
