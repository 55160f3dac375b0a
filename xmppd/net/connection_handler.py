"""ConnectionHandler: the Protocol of one connection, with bytes and events both ways."""

import socket
from collections.abc import Callable, Mapping
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

from xmppd.cluster.membership import Membership
from xmppd.net.certificate import xmpp_addresses
from xmppd.net.closing import LAST_WORDS_S, Closing
from xmppd.net.first_step import first_step
from xmppd.net.tls import (
    channel_bindings,
    peer_certificate,
    peer_chain,
    tls_flaw,
    tls_version,
)
from xmppd.net.token_bucket import TokenBucket
from xmppd.net.transport import Contexts, Ranked, Returning, Transport, Watchable
from xmppd.net.wire_counts import WireCounts
from xmppd.net.wire_limits import WireLimits
from xmppd.session.peer_counts import PLACE, Peer, PeerCounts
from xmppd.stanza import StreamCondition, StreamError, ns
from xmppd.stanza.jid import effort
from xmppd.store.errors import STORE_FAILS, StoreError
from xmppd.stream.framing import EventReader, Framing, StreamHeader
from xmppd.stream.stream_feature import Stream
from xmppd.stream.stream_handler import Ended, StreamHandler, Wire
from xmppd.stream.tcp_framing import TCP

_PROCEED = f"<proceed xmlns='{ns.TLS}'/>".encode()

TURN_S = 0.010
"""Seconds of one turn for stanzas that came at once; the others and timers come next."""

PREPARING_US_PER_S = 20_000
"""Microseconds a second that preparing a peer's addresses may take for long (CH-7)."""

PREPARING_US_BURST = 20_000
"""The same at once."""

ALL_PREPARING_US_PER_S = 300_000
"""The same for all connections of one kind together."""

ALL_PREPARING_US_BURST = 100_000
"""That at once."""

ACCIDENTS = (StreamCondition.CONNECTION_TIMEOUT, StreamCondition.SYSTEM_SHUTDOWN)
"""The errors with which we end streams whose clients may resume their sessions."""

_log = Logger()


@dataclass(frozen=True)
class TransportBinding:
    """The binding of streams to the connections of one kind.

    Attributes:
        tls: Contexts for STARTTLS or direct TLS; None for neither.
        direct_tls: Whether TLS begins with the first byte (:xep:`0368`).
        is_secure: Whether TLS is there already, below the framing (WS-6).
        framing: Carries the streams.
    """

    tls: Contexts | None
    direct_tls: bool = False
    is_secure: bool = False
    framing: Framing = TCP


class Side(Enum):
    """The state of our side of a stream."""

    NEW = auto()
    OPEN = auto()
    ENDED = auto()


def shared_preparing() -> TokenBucket:
    """The addresses that the connections of one kind may have prepared together."""
    return TokenBucket(ALL_PREPARING_US_PER_S, ALL_PREPARING_US_BURST)


class Admission(Typed):
    """The place that lets connections in, and counts them.

    Attributes:
        preparing: The time that preparing addresses has taken for all of them together (CH-7).
        membership: Says whether anything may be taken from a wire, or sent, now (CL-61).
        traffic: Counts what those carried that are gone, and the errors of all.
    """

    preparing: TokenBucket
    membership: Membership
    traffic: WireCounts

    def opened(self, handler: "ConnectionHandler") -> None:
        """Note that a connection was made."""

    def admit(self, handler: "ConnectionHandler") -> Deferred[None] | None:
        """Let a connection in whose first bytes came, so that its address is known.

        Returns:
            An awaitable until it is its turn; None if that is now.

        Raises:
            StreamError: There are too many from there.
        """

    def closed(self, handler: "ConnectionHandler") -> None:
        """Note that a connection is gone."""


@implementer(IPushProducer)
class ConnectionHandler(Protocol):
    """One connection (CH-1 to CH-7): a stanza at a time; while one waits, nothing is read.

    To its transport it is a producer as well: so it is told when its peer reads slowly (CH-3).

    Attributes:
        address: The peer's IP address.
        encrypted: Whether TLS is on.
        received_at: The time when bytes came last, on the clock.
        opened_at: The time when the connection was made, or let in after waiting, on the clock.
        pinged: Whether a ping waits for an answer.
        by_accident: Whether it was lost, fell silent, or ends with the server.
        error: The error with which we have ended the stream; None if there was none.
        tls_flaw: The reason why TLS has failed; empty if it has not.
        stream_handler: The stream on it, while there is one.
        reader: Reads the stream of the peer.
        counts: What it has carried.
        why: The reason for which it has ended; empty while it has not.
    """

    __slots__ = (
        "_admitted",
        "_bytes",
        "_closing",
        "_element",
        "_full",
        "_held",
        "_patience",
        "_preparing",
        "_side",
        "_stanzas",
        "_timer",
        "_unsaid",
        "_waiting",
        "admission",
        "binding",
        "by_accident",
        "clock",
        "connected",
        "counts",
        "encrypted",
        "error",
        "factory",
        "framing",
        "limits",
        "make_stream",
        "opened_at",
        "pinged",
        "reader",
        "received_at",
        "stream_handler",
        "tls_flaw",
        "transport",
        "why",
    )
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
        self.counts = PeerCounts()
        self.why = ""
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
        self._waiting = self._admitted = self._held = self._full = False
        self._unsaid: list[bytes] = []
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
    def peer(self) -> Peer:
        """Who is at the other end."""
        return self.stream_handler.peer

    @property
    def silent_s(self) -> float:
        """Seconds since bytes came last."""
        return self.clock.seconds() - self.received_at

    @property
    def tls_version(self) -> str:
        """Such as ``TLSv1.3``; empty without TLS."""
        return (tls_version(ISystemHandle(self.transport)) or "") if self.encrypted else ""

    def channel_bindings(self) -> Mapping[str, bytes]:
        """The channel bindings of this connection, by type; none without TLS."""
        return channel_bindings(ISystemHandle(self.transport)) if self.encrypted else {}

    def certificate_addresses(self) -> tuple[str, ...]:
        """The addresses in the peer's certificate, if a trusted authority has signed it."""
        peer = peer_certificate(ISystemHandle(self.transport)) if self.encrypted else None
        if peer is None or not peer.verified:
            return ()
        return xmpp_addresses(peer.certificate).xmpp_addresses

    def certificate_chain(self) -> tuple[Certificate, ...]:
        """The certificates that the peer has shown, its own first; they may not be trusted."""
        return peer_chain(ISystemHandle(self.transport)) if self.encrypted else ()

    # -- called by Twisted ----------------------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin a stream on a new connection."""
        self.stream_handler = self.make_stream(self)
        self.reader = self.framing.reader(
            self.limits.unauthenticated, self.stream_handler.namespace
        )
        self.admission.opened(self)
        if isinstance(self.transport, Watchable):
            self.transport.watch_queue(self)
        else:
            IConsumer(self.transport).registerProducer(self, streaming=True)
        if self.binding.is_secure:
            self.encrypted = True
            self.stream_handler.stream |= Stream.SECURE
        elif self.binding.tls is None:
            self.stream_handler.stream |= Stream.WITHOUT_TLS
        elif self.binding.direct_tls:
            self.encrypted = True
            self.stream_handler.stream |= Stream.SECURE
            self.transport.startTLS(self.binding.tls)
        self.stream_handler.made()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes that came (CH-2)."""
        now = self.clock.seconds()
        self.received_at = now
        self.counts.came_bytes += len(data)
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
                self.counts.slowed += 1
                self._rest(owed_s)

    def _is_let_in(self) -> bool:
        """Whether there is room; a connection that is refused is told so, and not waited for."""
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
        """Let stanzas wait, since enough bytes wait for the peer."""
        self._full = True
        self.stream_handler.wire_is_full()

    def resumeProducing(self) -> None:
        """Let stanzas go on, since all bytes have left."""
        self._full = False
        if not self._unsaid:
            self.stream_handler.wire_is_free()

    def stopProducing(self) -> None:
        """Do nothing: connectionLost tells the session."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the stream that its connection is gone (CH-6)."""
        self.by_accident = self.by_accident or self._closing is None
        self.tls_flaw = tls_flaw(reason)
        self.why = self.why or f"the connection was lost{self.tls_flaw and f' ({self.tls_flaw})'}"
        self._end().cancel()
        self._tell_that_wire_is_gone(self.stream_handler)
        self.stream_handler = Ended(self.stream_handler.id, self.peer)
        self.admission.closed(self)

    # -- events of the stream -------------------------------------------------------------------

    def _work(self, now: float) -> None:
        """Give events to the stream until one has to wait, the peer has to, or none is left."""
        if not self.admission.membership.speaks:
            self._wait_for(self.admission.membership.voice())
            return
        turn_ends, began = now + TURN_S, now
        try:
            while not self._waiting and self._closing is None:
                event = self.reader.next()
                if event is None:
                    break
                spent_us = effort.spent_us
                later = self.stream_handler.handle(event)
                waiting = None if later is None else first_step(later)
                if waiting is not None:
                    self._wait_for(waiting)
                now = self.clock.seconds()
                owed_s = self._stanzas.take(1, now)
                if effort.spent_us != spent_us:
                    owed_s = max(owed_s, self._owed_for_preparing(effort.spent_us - spent_us, now))
                if owed_s or now > turn_ends:
                    self.counts.slowed += owed_s > 0
                    self._rest(owed_s)
        except Exception:
            self.close(self._stream_error(Failure()))
        self.counts.busy_s += now - began

    def _owed_for_preparing(self, spent_us: int, now: float) -> float:
        return max(
            self._preparing.take(spent_us, now), self.admission.preparing.take(spent_us, now)
        )

    def _wait_for(self, done: Deferred[None]) -> None:
        """Read no more until this is done."""
        if not done.called:
            self._waiting = True
            self.transport.pauseProducing()
        done.addCallbacks(self._resume, self._failed)

    def _resume(self, _: None) -> None:
        if self._waiting and not self._held:
            self._waiting = False
            if self._closing is None:
                self._work(self.clock.seconds())
            if not self._waiting and self._closing is None:
                self.transport.resumeProducing()

    def _failed(self, failure: Failure) -> None:
        self._waiting = False
        self.close(self._stream_error(failure))

    def _stream_error(self, failure: Failure) -> StreamError:
        """The stream error for an exception that ends the stream."""
        error = failure.value
        if isinstance(error, StreamError):
            return error
        if isinstance(error, StoreError):  # the store has logged it
            return StreamError(StreamCondition.RESOURCE_CONSTRAINT, STORE_FAILS)
        _log.failure("{id} failed", failure, id=self.stream_handler.id)
        return StreamError(StreamCondition.INTERNAL_SERVER_ERROR)

    def _rest(self, wait_s: float) -> None:
        """Read no more for as long as the rates ask: slows a flood down, drops nothing."""
        if not self._waiting and self._closing is None:
            self._wait_for(self._rested(wait_s))

    def _rested(self, wait_s: float) -> Deferred[None]:
        rested: Deferred[None] = Deferred()
        self._timer = self.clock.callLater(wait_s, rested.callback, None)
        return rested

    # -- for the stream -------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send one element (CH-11)."""
        if self._element is not None:
            data = self._element(data)
        counts, size = self.counts, len(data)
        counts.went_bytes += size
        if size > 1:  # a space is no element
            counts.went[PLACE[data[1]]] += 1
        if self.admission.membership.speaks:  # as in _say, without the call: it is each stanza's
            self.transport.write(data)
        else:
            self._leave_unsaid(data)

    def _say(self, data: bytes) -> None:
        if self.admission.membership.speaks:
            self.transport.write(data)
        else:
            self._leave_unsaid(data)

    def _leave_unsaid(self, data: bytes) -> None:
        """Send it when this node may act; until then stanzas wait in the session (CL-61)."""
        if not self._unsaid:
            self.stream_handler.wire_is_full()
            self.admission.membership.voice().addCallback(self._say_unsaid)
        self._unsaid.append(data)

    def _say_unsaid(self, _: None) -> None:
        if self._closing is None:
            unsaid, self._unsaid = self._unsaid, []
            for data in unsaid:
                self.transport.write(data)
            if not self._full:
                self.stream_handler.wire_is_free()

    def unsent(self) -> list[bytes]:
        """The pieces that were written and have not left, where the endpoint can tell, as they were
        written.
        """
        left = self.transport.unsent() if isinstance(self.transport, Returning) else []
        return [*left, *self._unsaid]

    def take_unsent(self) -> list[bytes]:
        """Take back stanzas that wait for the peer to read, if they can be kept from being sent."""
        unsaid, self._unsaid = list(filter(is_stanza, self._unsaid)), []
        if not isinstance(self.transport, Returning):
            return unsaid
        return [*self.transport.take_queued(is_stanza), *unsaid]

    def open(self, header: StreamHeader) -> None:
        """Begin our side of the stream, or begin it anew."""
        self._side = Side.OPEN
        self._say(self.framing.header(header))

    def offer(self, features: bytes) -> None:
        """Send the features of the stream, as elements."""
        self._say(self.framing.features(features))

    def restart(self) -> None:
        """Expect a new stream header."""
        self.reader.restart()

    def authenticated(self) -> None:
        """Note that the peer is authenticated: the limits for unauthenticated ones hold no more."""
        self.reader.limits = self.limits.authenticated

    def go_first(self) -> None:
        """Serve it before connections that log in, where the endpoint can, since its peer is
        online.
        """
        if isinstance(self.transport, Ranked):
            self.transport.goes_first = True

    def start_tls(self) -> None:
        """Tell the peer to proceed, and speak TLS from here on (:rfc:`6120#section-5.4.2.3`)."""
        contexts = self._contexts_behind("starttls")
        self._say(_PROCEED)
        self._speak_tls(contexts)

    def begin_tls(self) -> None:
        """Begin TLS, since the peer has sent ``<proceed/>`` (:rfc:`6120#section-5.4.3.1`); a new
        header follows.
        """
        self._speak_tls(self._contexts_behind("proceed"))

    def _contexts_behind(self, element: str) -> Contexts:
        """The contexts with which TLS begins, if no bytes came in the clear behind the element."""
        if self.binding.tls is None or self.reader.unread:
            raise StreamError(StreamCondition.POLICY_VIOLATION, f"nothing may follow {element}")
        return self.binding.tls

    def _speak_tls(self, contexts: Contexts) -> None:
        self.reader.restart()
        self.transport.startTLS(contexts)
        self.encrypted = True

    def take_at_most(self, stanzas_per_s: float) -> None:
        """Read at most so many stanzas a second."""
        self._stanzas = TokenBucket(stanzas_per_s, self.limits.stanzas_burst)

    @property
    def closing(self) -> bool:
        """Whether it ends, so that nothing more is taken from it."""
        return self._closing is not None

    def hold(self) -> None:
        """Take nothing more from the peer until the connection is closed."""
        self._held = self._waiting = True
        self.transport.pauseProducing()

    def close_side(self) -> None:
        """End our side of the stream, and read on for a while until the peer ends its side."""
        if self._side is not Side.ENDED and self._closing is None:
            self._side = Side.ENDED
            self._say(self.framing.end)
            self._patience = self.clock.callLater(self.limits.close_timeout_s, self.peer_closed)

    def peer_closed(self) -> None:
        """Close our side, since the peer has closed its side."""
        if self._closing is None:
            self.why = "the client closed the stream"
            self._close(None).close()

    def close(self, error: StreamError | None = None, *, by_accident: bool = False) -> None:
        """End the stream, and hang up when the peer has closed its side too, or does not in time.

        After an error our half of the connection is closed as well, as soon as all has left
        (CH-10, :rfc:`6120#section-4.9.1.1`).

        Args:
            error: That the peer is told; None for an orderly end.
            by_accident: Whether its client may resume the session, whatever the error is.
        """
        if self._closing is not None:
            return
        has_ended = self._side is Side.ENDED
        closing = self._close(error, by_accident=by_accident)
        if has_ended:
            closing.close()
        elif error is None:
            closing.wait_for_end()
        else:
            closing.close_half(encrypted=self.encrypted)

    def _close(self, error: StreamError | None, *, by_accident: bool = False) -> Closing:
        """Write the error, if there is one, and the end of the stream."""
        self.error = None if error is None else error.untraced()
        if error is not None:
            self.why = f"{error.condition.value}: {error.text or 'this server has ended it'}"
        self.by_accident = by_accident or (error is not None and error.condition in ACCIDENTS)
        closing = self._end()
        if self._side is Side.NEW:
            self.open(self.stream_handler.header())
        if self._side is Side.ENDED:
            return closing
        self._side = Side.ENDED
        if error is not None:
            peer = self.peer
            _log.info(
                "{id} {who} {address} closed: {condition} {text}",
                id=self.stream_handler.id, who=peer.session, address=peer.address,
                condition=error.condition.value, text=error.text or "",
            )  # fmt: skip
            self.admission.traffic.ended[error.condition] += 1
            said = self.framing.error(error)
            if said:
                self.transport.write(said)
        self.transport.write(self.framing.end_after(error))
        self._tell_that_wire_is_gone(self.stream_handler)
        return closing

    def _tell_that_wire_is_gone(self, stream_handler: StreamHandler) -> None:
        """Have the stream end, as soon as this node may act on that."""
        membership = self.admission.membership
        if membership.speaks:
            stream_handler.wire_is_gone()
        else:
            membership.voice().addCallback(lambda _: stream_handler.wire_is_gone())

    def _end(self) -> Closing:
        """Take no more events, and end."""
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
        """The limit of what may wait for the peer."""
        return self.limits.max_queued_bytes

    def abort(self) -> None:
        """Cut off a peer that does not read."""
        if self._closing is not None:
            return
        self._end()
        self.why = "the client read too slowly"
        peer = self.peer
        _log.info(
            "{id} {who} {address} reads too slowly",
            id=self.stream_handler.id, who=peer.session, address=peer.address,
        )  # fmt: skip
        self.transport.abortConnection()
        self._tell_that_wire_is_gone(self.stream_handler)


def is_stanza(data: bytes) -> bool:
    """Whether these bytes begin with a stanza, as we write them."""
    return data.startswith((b"<message", b"<iq", b"<presence"))


def _host(address: IAddress) -> str:
    return str(getattr(address, "host", ""))
