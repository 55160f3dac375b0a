"""Stream features: a table of conditions instead of booleans that must agree."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Flag, auto
from typing import Protocol, TypeVar

from twisted.logger import Logger

from xmppd.events import OWNER, Undo
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Later, StreamCondition, StreamError, Tree
from xmppd.store.errors import StoreError

_log = Logger()

T = TypeVar("T")


class Stream(Flag):
    """The state of a stream's negotiation, and the kind of its connection."""

    NEW = 0
    SECURE = auto()
    WITHOUT_TLS = auto()
    AUTHENTICATED = auto()
    BOUND = auto()


class Negotiation(Protocol):
    """The stream that a feature is offered on.

    Attributes:
        stream: The state of its negotiation.
        domain: The domain it was opened to.
        session: Its session.
        claimed: The account that its header names; None without one. It is only a claim.
    """

    stream: Stream
    domain: str
    session: LocalClientSession
    claimed: JID | None

    def write(self, data: bytes) -> None:
        """Send one element."""

    def restart(self) -> None:
        """Expect a new stream header."""

    def offer(self) -> None:
        """Send the features that the stream has now."""

    def start_tls(self) -> None:
        """Begin TLS."""

    def authenticated(self, account: JID) -> None:
        """Note that the peer has proved to own this account."""

    def take_over(self, session: LocalClientSession) -> None:
        """Go on with a session that had another stream."""


Taken = Callable[[Negotiation, Tree], Later]

Advertised = bytes | Callable[[Negotiation], bytes]
"""A feature's element: ready, where it is the same for all streams; or asked of each of them."""


@dataclass(frozen=True, eq=False)
class StreamFeature:
    """One feature of a stream (:rfc:`6120#section-4.3`).

    Attributes:
        advertise: Its element, ready or made for each stream; empty bytes if it has nothing to
            offer just now.
        needs: The state that the stream must have reached.
        unless: The states in which the feature is pointless.
        elements: ``{namespace}name`` of its elements, and the functions that take them.
    """

    advertise: Advertised
    needs: Stream = Stream.NEW
    unless: Stream = Stream.NEW
    elements: tuple[tuple[str, Taken], ...] = ()

    def offered(self, stream: Stream) -> bool:
        """Whether a stream in this state has the feature."""
        # As numbers: as flags it takes ten times as long, and clients with stream management have
        # it asked for every few messages.
        state, needs = stream._value_, self.needs._value_
        return state & needs == needs and not state & self.unless._value_


def ready_joined(pieces: Iterable[bytes | T]) -> tuple[bytes | T, ...]:
    """The same pieces, with bytes that follow each other as one."""
    joined: list[bytes | T] = []
    for piece in pieces:
        if joined and isinstance(piece, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += piece
        else:
            joined.append(piece)
    return tuple(joined)


class StreamFeatures:
    """The table of features. Offered features and accepted elements come from the same rows."""

    def __init__(self) -> None:
        self.rows: tuple[StreamFeature, ...] = ()
        self._takers: dict[str, tuple[StreamFeature, Taken]] = {}
        self._pieces: dict[int, tuple[bytes | StreamFeature, ...]] = {}
        self._owners: dict[StreamFeature, str] = {}

    def put(self, part: StreamFeature, owner: str) -> Undo:
        """Add a feature behind all others."""
        self._owners[part] = owner
        self._become((*self.rows, part))

        def take_out() -> None:
            self._become(tuple(row for row in self.rows if row is not part))
            del self._owners[part]

        return take_out

    def _become(self, rows: tuple[StreamFeature, ...]) -> None:
        self.rows = rows
        self._pieces = {}
        self._takers = {
            tag: (feature, _blaming(self._owners[feature], taken))
            for feature in rows
            for tag, taken in feature.elements
        }

    def advertised(self, negotiation: Negotiation) -> bytes:
        """The features of a stream in its present state, without the element around them."""
        state = negotiation.stream._value_  # a number, for the reason above
        if state not in self._pieces:
            self._pieces[state] = self._offered_on(negotiation.stream)
        written = []
        for piece in self._pieces[state]:
            if isinstance(piece, bytes):
                written.append(piece)
                continue
            try:
                written.append(piece.advertise(negotiation))  # type: ignore[operator]  # not ready
            except Exception:
                _failed(self._owners[piece])  # it is not offered
        return b"".join(written)

    def _offered_on(self, stream: Stream) -> tuple[bytes | StreamFeature, ...]:
        """The rows for a state of a stream, until the rows change; those that are ready as their
        bytes.
        """
        return ready_joined(
            row.advertise if isinstance(row.advertise, bytes) else row
            for row in self.rows
            if row.offered(stream)
        )

    def taker(self, tag: str, stream: Stream) -> Taken | None:
        """The function that takes this element on a stream in this state; None if none does."""
        feature, taken = self._takers.get(tag, (None, None))
        return taken if feature is not None and feature.offered(stream) else None

    def knows(self, tag: str) -> bool:
        """Whether the element belongs to a feature, offered just now or not."""
        return tag in self._takers


def _blaming(owner: str, taken: Taken) -> Taken:
    """A function of a plugin that takes elements, wrapped so that the log names the plugin when it
    fails. A failure ends the stream, as one of ours does.
    """
    if owner == OWNER:
        return taken

    async def finish(later: Awaitable[None]) -> None:
        try:
            await later
        except (StreamError, StoreError):
            raise
        except Exception as error:
            _failed(owner)
            raise StreamError(StreamCondition.INTERNAL_SERVER_ERROR) from error

    def blamed(negotiation: Negotiation, element: Tree) -> Later:
        try:
            later = taken(negotiation, element)
        except (StreamError, StoreError):
            raise
        except Exception as error:
            _failed(owner)
            raise StreamError(StreamCondition.INTERNAL_SERVER_ERROR) from error
        return None if later is None else finish(later)

    return blamed


def _failed(owner: str) -> None:
    _log.failure("{owner} failed on a feature of a stream", owner=owner)


def after_login(element: str, *, unless: Stream = Stream.NEW) -> StreamFeature:
    """A feature that is no more than an announcement after login."""
    return StreamFeature(element.encode(), needs=Stream.AUTHENTICATED, unless=unless)
