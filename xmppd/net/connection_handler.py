"""The Protocol of one wire: bytes in, events out to its stream; and bytes out."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Protocol as Typed

from cryptography.x509 import Certificate
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    ISystemHandle,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.net.certificate import xmpp_addresses
from xmppd.net.closing import LAST_WORDS_S, Closing
from xmppd.net.tls import (
    channel_bindings,
    peer_certificate,
    peer_chain,
    tls_flaw,
    tls_version,
)
from xmppd.net.token_bucket import TokenBucket
from xmppd.net.transport import Contexts, Ranked, Returning, Transport, Watchable
from xmppd.net.wire_limits import WireLimits
from xmppd.stanza import StreamCondition, StreamError, ns
from xmppd.stanza.jid import effort
from xmppd.store.errors import STORE_FAILS, StoreError
from xmppd.stream.framing import EventReader, Framing, StreamHeader
from xmppd.stream.stream_feature import Stream
from xmppd.stream.stream_handler import Ended, StreamHandler, Wire
from xmppd.stream.tcp_framing import TCP

_PROCEED = f"<proceed xmlns='{ns.TLS}'/>".encode()

TURN_S = 0.010
"""Seconds of stanzas that came at once; then others have their turn, and timers their say."""

PREPARING_US_PER_S = 20_000
"""Microseconds a second that preparing a peer's addresses may take for long (CH-7)."""

PREPARING_US_BURST = 20_000
"""The same at once."""

ALL_PREPARING_US_PER_S = 300_000
"""The same for all connections of one door together."""

ALL_PREPARING_US_BURST = 100_000
"""That at once."""

ACCIDENTS = (StreamCondition.CONNECTION_TIMEOUT, StreamCondition.SYSTEM_SHUTDOWN)
"""Why we end streams whose clients may go on where they were."""

_log = Logger()


@dataclass(frozen=True)
class TransportBinding:
    """How streams are bound to the connections of one kind.

    Attributes:
        tls: Contexts for STARTTLS or direct TLS; None for neither.
        direct_tls: TLS begins with the first byte (:xep:`0368`).
        framing: How they are carried.
    """

    tls: Contexts | None
    direct_tls: bool = False
    framing: Framing = TCP


class Side(Enum):
    """How far our side of a stream has come."""

    NEW = auto()
    OPEN = auto()
    ENDED = auto()


def shared_preparing() -> TokenBucket:
    """What a door's connections may have prepared together."""
    return TokenBucket(ALL_PREPARING_US_PER_S, ALL_PREPARING_US_BURST)


class Admission(Typed):
    """Who lets connections in, and counts them.

    Attributes:
        preparing: What preparing addresses has taken for all of them together (CH-7).
    """

    preparing: TokenBucket

    def opened(self, handler: "ConnectionHandler") -> None:
        """A connection was made."""

    def admit(self, handler: "ConnectionHandler") -> Deferred[None] | None:
        """The first bytes came, so its address is known.

        Returns:
            What to wait for until it is its turn; None if that is now.

        Raises:
            StreamError: There are too many from there.
        """

    def closed(self, handler: "ConnectionHandler") -> None:
        """The connection is gone."""


@implementer(IPushProducer)
class ConnectionHandler(Protocol):
    """One connection (CH-1 to CH-7): a stanza at a time; while one waits, the wire pauses.

    To its transport it is a producer as well: so it hears when its peer reads slowly (CH-3).

    Attributes:
        address: The peer's IP address.
        encrypted: Whether TLS is on.
        received_at: When bytes came last, on the clock.
        opened_at: When the connection was made, or after waiting let in, on the clock.
        pinged: A ping waits for an answer.
        by_accident: It was lost, fell silent, or ends with the server.
        error: With what we have ended the stream; None if with nothing.
        tls_flaw: Why TLS has failed; empty if it has not.
        stream_handler: The stream on it, as long as it is there.
        reader: Of what the peer sends.
    """

    transport: Transport  # type: ignore[assignment]  # Twisted knows no better than ITransport
    stream_handler: StreamHandler
    reader: EventReader

    def __init__(
        self,
        make_stream: Callable[[Wire], StreamHandler],
        limits: WireLimits,
        binding: TransportBinding,
        clock: IReactorTime,
        admission: Admission,
    ) -> None:
        self.admission = admission
        self.make_stream = make_stream
        self.limits = limits
        self.binding = binding
        self.framing = binding.framing
        self._element = binding.framing.element
        self.clock = clock
        self.encrypted = False
        self.pinged = self.by_accident = False
        self.error: StreamError | None = None
        self.tls_flaw = ""
        self.received_at = self.opened_at = clock.seconds()
        self._stanzas = TokenBucket(limits.stanzas_per_s, limits.stanzas_burst)
        self._bytes = TokenBucket(limits.bytes_per_s, limits.bytes_burst)
        self._preparing = TokenBucket(PREPARING_US_PER_S, PREPARING_US_BURST)
        self._waiting = self._admitted = False
        self._side = Side.NEW
        self._closing: Closing | None = None
        self._timer: IDelayedCall | None = None
        self._patience: IDelayedCall | None = None

    @property
    def address(self) -> str:
        """The peer's IP address; behind a PROXY endpoint, the real one, once it has told."""
        return _host(self.transport.getPeer())

    @property
    def descriptor(self) -> int:
        """The number of its socket; -1 if there is none."""
        transport = ISystemHandle(self.transport, None)
        handle = None if transport is None else transport.getHandle()
        return handle.fileno() if isinstance(handle, socket.socket) else -1

    @property
    def silent_s(self) -> float:
        """Seconds since bytes came last."""
        return self.clock.seconds() - self.received_at

    @property
    def tls_version(self) -> str:
        """Such as ``TLSv1.3``; empty without TLS."""
        return (tls_version(ISystemHandle(self.transport)) or "") if self.encrypted else ""

    def channel_bindings(self) -> dict[str, bytes]:
        """What SASL may bind this connection to, by type; nothing without TLS."""
        return channel_bindings(ISystemHandle(self.transport)) if self.encrypted else {}

    def certificate_addresses(self) -> tuple[str, ...]:
        """The addresses that the peer's certificate names, if somebody we trust has signed it."""
        peer = peer_certificate(ISystemHandle(self.transport)) if self.encrypted else None
        if peer is None or not peer.verified:
            return ()
        return xmpp_addresses(peer.certificate).xmpp_addresses

    def certificate_chain(self) -> tuple[Certificate, ...]:
        """What the peer has shown of itself, its own certificate first; who trusts it is another
        question.
        """
        return peer_chain(ISystemHandle(self.transport)) if self.encrypted else ()

    # -- called by Twisted ----------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Somebody is there."""
        self.stream_handler = self.make_stream(self)
        self.reader = self.framing.reader(
            self.limits.unauthenticated, self.stream_handler.namespace
        )
        self.admission.opened(self)
        if isinstance(self.transport, Watchable):
            self.transport.watch_queue(self)
        else:
            IConsumer(self.transport).registerProducer(self, streaming=True)
        if self.binding.tls is None:
            self.stream_handler.stream |= Stream.WITHOUT_TLS
        elif self.binding.direct_tls:
            self.encrypted = True
            self.stream_handler.stream |= Stream.SECURE
            self.transport.startTLS(self.binding.tls)
        self.stream_handler.made()

    def dataReceived(self, data: bytes) -> None:
        """Bytes came (CH-2)."""
        now = self.clock.seconds()
        self.received_at = now
        self.pinged = False
        if self._closing is not None:
            self._closing.hear(data)
            return
        if not self._admitted and not self._is_let_in():
            return
        try:
            self.reader.feed(data)
        except StreamError as error:
            self.close(error)
            return
        owed_s = self._bytes.take(len(data), now)
        if not self._waiting:
            self._work(now)
            if owed_s:
                self._rest(owed_s)

    def _is_let_in(self) -> bool:
        """Whether there is room; who is refused is told, and not waited for."""
        self._admitted = True
        try:
            turn = self.admission.admit(self)
        except StreamError as error:
            self._close(error).close()
            return False
        if turn is not None:
            self._wait_for(turn)
        return True

    def pauseProducing(self) -> None:
        """Enough waits for the peer already."""
        self.stream_handler.wire_is_full()

    def resumeProducing(self) -> None:
        """All has left."""
        self.stream_handler.wire_is_free()

    def stopProducing(self) -> None:
        """Nothing can be written any more: connectionLost tells the session."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The wire is gone (CH-6)."""
        self.by_accident = self.by_accident or self._closing is None
        self.tls_flaw = tls_flaw(reason)
        self._end().cancel()
        self.stream_handler.wire_is_gone()
        self.stream_handler = Ended(self.stream_handler.id)
        self.admission.closed(self)

    # -- the work -------------------------------------------------------------------------------

    def _work(self, now: float) -> None:
        """Hand events to the stream until one has to wait, the peer has to, or none is left."""
        turn_ends = now + TURN_S
        try:
            while not self._waiting and self._closing is None:
                event = self.reader.next()
                if event is None:
                    break
                spent_us = effort.spent_us
                later = self.stream_handler.handle(event)
                if later is not None:
                    self._wait_for(Deferred.fromCoroutine(later))
                now = self.clock.seconds()
                owed_s = self._stanzas.take(1, now)
                if effort.spent_us != spent_us:
                    owed_s = max(owed_s, self._owed_for_preparing(effort.spent_us - spent_us, now))
                if owed_s or now > turn_ends:
                    self._rest(owed_s)
        except Exception:
            self.close(self._stream_error(Failure()))

    def _owed_for_preparing(self, spent_us: int, now: float) -> float:
        return max(
            self._preparing.take(spent_us, now), self.admission.preparing.take(spent_us, now)
        )

    def _wait_for(self, done: Deferred[None]) -> None:
        """Pause the wire until a stanza's work is done; often it is at once."""
        if not done.called:
            self._waiting = True
            self.transport.pauseProducing()
        done.addCallbacks(self._resume, self._failed)

    def _resume(self, _: None) -> None:
        if self._waiting:
            self._waiting = False
            if self._closing is None:
                self._work(self.clock.seconds())
            if not self._waiting and self._closing is None:
                self.transport.resumeProducing()

    def _failed(self, failure: Failure) -> None:
        self._waiting = False
        self.close(self._stream_error(failure))

    def _stream_error(self, failure: Failure) -> StreamError:
        """What the peer is told of whatever ends its stream."""
        error = failure.value
        if isinstance(error, StreamError):
            return error
        if isinstance(error, StoreError):  # the store has logged it
            return StreamError(StreamCondition.RESOURCE_CONSTRAINT, STORE_FAILS)
        _log.failure("{id} failed", failure, id=self.stream_handler.id)
        return StreamError(StreamCondition.INTERNAL_SERVER_ERROR)

    def _rest(self, wait_s: float) -> None:
        """Read no more until the peer has earned it: slows a flood down, drops nothing."""
        if not self._waiting and self._closing is None:
            self._wait_for(self._rested(wait_s))

    def _rested(self, wait_s: float) -> Deferred[None]:
        rested: Deferred[None] = Deferred()
        self._timer = self.clock.callLater(wait_s, rested.callback, None)
        return rested

    # -- what the stream asks for ---------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send one element (CH-11)."""
        if self._element is not None:
            data = self._element(data)
        self.transport.write(data)

    def unsent(self) -> list[bytes]:
        """What was written and has not left, where the endpoint can tell; as it was written."""
        return self.transport.unsent() if isinstance(self.transport, Returning) else []

    def take_unsent(self) -> list[bytes]:
        """Stanzas that wait for the peer to read: they are not sent any more, if they can be held
        back.
        """
        if not isinstance(self.transport, Returning):
            return []
        return self.transport.take_queued(is_stanza)

    def open(self, header: StreamHeader) -> None:
        """Begin our side of the stream, or begin it anew."""
        self._side = Side.OPEN
        self.transport.write(self.framing.header(header))

    def offer(self, features: bytes) -> None:
        """Say what the stream offers: elements."""
        self.transport.write(self.framing.features(features))

    def restart(self) -> None:
        """Expect a new stream header."""
        self.reader.restart()

    def authenticated(self) -> None:
        """The peer is known: the limits of strangers do not hold any more."""
        self.reader.limits = self.limits.authenticated

    def go_first(self) -> None:
        """Its peer is online, and is served before those who log in, where the endpoint can."""
        if isinstance(self.transport, Ranked):
            self.transport.goes_first = True

    def start_tls(self) -> None:
        """Tell the peer to proceed, and speak TLS from here on (:rfc:`6120#section-5.4.2.3`)."""
        contexts = self._contexts_behind("starttls")
        self.write(_PROCEED)
        self._speak_tls(contexts)

    def begin_tls(self) -> None:
        """The peer has told us to proceed (:rfc:`6120#section-5.4.3.1`); a new header follows."""
        self._speak_tls(self._contexts_behind("proceed"))

    def _contexts_behind(self, element: str) -> Contexts:
        """What TLS begins with, if nothing has come in the clear behind the element."""
        if self.binding.tls is None or self.reader.unread:
            raise StreamError(StreamCondition.POLICY_VIOLATION, f"nothing goes behind {element}")
        return self.binding.tls

    def _speak_tls(self, contexts: Contexts) -> None:
        self.reader.restart()
        self.transport.startTLS(contexts)
        self.encrypted = True

    def take_at_most(self, stanzas_per_s: float) -> None:
        """From now on read so many stanzas a second."""
        self._stanzas = TokenBucket(stanzas_per_s, self.limits.stanzas_burst)

    def close_side(self) -> None:
        """End our side of the stream, and for a while hear what the peer had said meanwhile."""
        if self._side is not Side.ENDED and self._closing is None:
            self._side = Side.ENDED
            self.transport.write(self.framing.end)
            self._patience = self.clock.callLater(self.limits.close_timeout_s, self.peer_closed)

    def peer_closed(self) -> None:
        """The peer has closed its side: so do we."""
        if self._closing is None:
            self._close(None).close()

    def close(self, error: StreamError | None = None) -> None:
        """End the stream; hang up when the peer has closed its side too, or does not in time.

        After an error our half of the connection is closed as well, as soon as all has left
        (CH-10, :rfc:`6120#section-4.9.1.1`).
        """
        if self._closing is not None:
            return
        has_ended = self._side is Side.ENDED
        closing = self._close(error)
        if has_ended:
            closing.close()
        elif error is None:
            closing.wait_for_end()
        else:
            closing.close_half(encrypted=self.encrypted)

    def _close(self, error: StreamError | None) -> Closing:
        """Say the last that there is to say."""
        self.error = None if error is None else error.untraced()
        self.by_accident = error is not None and error.condition in ACCIDENTS
        closing = self._end()
        if self._side is Side.NEW:
            self.open(self.stream_handler.header())
        if self._side is Side.ENDED:
            return closing
        self._side = Side.ENDED
        if error is not None:
            _log.info(
                "{id} closed: {condition} {text}",
                id=self.stream_handler.id,
                condition=error.condition.value, text=error.text or "",
            )  # fmt: skip
            self.transport.write(self.framing.error(error))
        self.transport.write(self.framing.end)
        self.stream_handler.wire_is_gone()
        return closing

    def _end(self) -> Closing:
        """Go on with nothing but the end."""
        if self._closing is None:
            self._closing = Closing(
                self.transport,
                self.clock,
                self.framing.is_end,
                self.limits.close_timeout_s if self.error is None else LAST_WORDS_S,
            )
            for timer in (self._timer, self._patience):
                if timer is not None and timer.active():
                    timer.cancel()
            self._timer = self._patience = None
        return self._closing

    @property
    def max_queued_bytes(self) -> int:
        """How much may wait for the peer."""
        return self.limits.max_queued_bytes

    def abort(self) -> None:
        """Cut off a peer that does not read."""
        if self._closing is not None:
            return
        self._end()
        _log.info("{id} reads too slowly", id=self.stream_handler.id)
        self.transport.abortConnection()
        self.stream_handler.wire_is_gone()


def is_stanza(data: bytes) -> bool:
    """Whether that begins with a stanza, as we write them."""
    return data.startswith((b"<message", b"<iq", b"<presence"))


def _host(address: IAddress) -> str:
    return str(getattr(address, "host", ""))
