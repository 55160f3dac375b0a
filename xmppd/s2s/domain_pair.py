"""DomainPair: one of our domains and one of theirs, with the stanzas from the one to the other."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.config.config import S2SSettings
from xmppd.resolve.lost import Disbelieved, no_stream
from xmppd.s2s.outgoing_stream import OutgoingStream
from xmppd.s2s.policy import PolicyTable
from xmppd.s2s.server_stream import ServerStream
from xmppd.session.backlog import Backlog, Waiting, cost_bytes
from xmppd.stanza import Condition, Stanza, StanzaError

MAX_VERIFICATIONS_PER_PAIR = 16

TOO_LATE = "the other server did not answer in time"

SILENT = "open, but the peer does not answer"
"""The state of a pair whose stream takes stanzas while nothing comes back."""

STREAM_FROM, OPEN = "stream from ", "open"
"""How a stream that we open is noted, and that it is there."""

_log = Logger()


class Streams(Protocol):
    """The streams between servers, as a pair needs them."""

    clock: IReactorTime
    policies: PolicyTable

    def stream_to(self, remote: str) -> OutgoingStream | None:
        """A stream to the remote domain that others of our domains may share."""

    async def connect(self, pair: "DomainPair", on_behalf_of: str) -> OutgoingStream:
        """A new stream to the pair's remote domain.

        Raises:
            StanzaError: The remote domain cannot be reached.
        """

    def wanted(self, pair: "DomainPair", on_behalf_of: str) -> None:
        """Note that another sender waits for that stream too."""

    def returned(self, pair: "DomainPair", stanzas: list[Stanza], why: StanzaError) -> None:
        """Return the stanzas that waited to their senders."""

    def note(self, remote: str, what: str, outcome: str) -> None:
        """Note an event for the administrator."""

    def failed(self, pair: "DomainPair") -> None:
        """Note that no stream could be made: the next time everything is tried again."""


@dataclass(frozen=True, slots=True)
class _Verification:
    """A key that was shown to us, to be verified. Attributes:
    key: Its text.
    answer: Whether the remote domain has made it.
    """

    key: str
    answer: Deferred[bool]


class DomainPair:
    """One ordered queue, and the stream that carries it, or that is being made for it.

    A stream is made when a stanza waits. When that fails, all stanzas that wait are returned, and
    for a while, each time twice as long, no stream is tried (SV-10).

    Attributes:
        local: Our domain.
        remote: Theirs.
        backlog: The stanzas that wait.
        carrier: The stream that takes stanzas now.
        outgoing: The stream that we have opened; it may not be negotiated yet.
        why: The error of the last failure; None after a success.
        failures: The number of failures since the last success.
        since: The time when it came into this state, on the clock.
        is_silent: Whether the stream takes stanzas, and the remote domain answers nothing (SV-17).
    """

    def __init__(self, local: str, remote: str, streams: Streams, settings: S2SSettings) -> None:
        self.local = local
        self.remote = remote
        self.backlog = Backlog()
        self.carrier: ServerStream | None = None
        self.outgoing: OutgoingStream | None = None
        self.why: StanzaError | None = None
        self.failures = 0
        self.since = streams.clock.seconds()
        self.is_silent = False
        self._streams = streams
        self._settings = settings
        self._connecting: Deferred[OutgoingStream] | None = None
        self._deadline: IDelayedCall | None = None
        self._retry_at = 0.0
        self._delay_s = 0.0
        self._alone = False
        self._verifications: dict[str, _Verification] = {}
        self._unasked: list[str] = []

    @property
    def state(self) -> str:
        """The state, for the administrator."""
        if self.carrier is not None:
            if self.carrier.full:
                return "waiting for the peer to read"
            return SILENT if self.is_silent else "open"
        if self._connecting is not None:
            return "connecting"
        if self.outgoing is not None:
            return "negotiating" if self._deadline is not None else "idle"
        return "failed" if self.why is not None else "closed"

    def at_rest(self, now: float) -> bool:
        """Whether the pair can be forgotten without loss."""
        return (
            self.carrier is None
            and self.outgoing is None
            and self._connecting is None
            and not self.backlog
            and now >= self._retry_at + self._delay_s
        )

    # -- stanzas --------------------------------------------------------------------------------

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Send a stanza, or let it wait; False if it cannot even wait (:attr:`why`)."""
        carrier = self.carrier
        if carrier is not None and not carrier.full and not self.backlog:
            carrier.send(wire)
            return True
        return self._keep(stanza, wire)

    def obstacle(self) -> StanzaError | None:
        """The error with which a stanza would come back at once; None if it would leave, or
        wait.
        """
        if self.carrier is None:
            if self._streams.policies.of(self.remote).block:
                return StanzaError(
                    Condition.NOT_ALLOWED, "this server does not communicate with that server"
                )
            if self.retry_in_s > 0:
                return self.why or no_stream("the other server could not be reached")
        return None

    @property
    def retry_in_s(self) -> float:
        """The seconds for which no stream is tried, since the last try failed."""
        return max(0.0, self._retry_at - self._streams.clock.seconds())

    def _keep(self, stanza: Stanza, wire: bytes) -> bool:
        obstacle = self.obstacle()
        if obstacle is not None:
            self.why = obstacle
            return False
        if not self._has_room(stanza, wire):
            self.why = StanzaError(
                Condition.RESOURCE_CONSTRAINT, "too many stanzas are waiting for that server"
            )
            return False
        self.backlog.add(stanza, wire, came=self._streams.clock.seconds())
        if self.carrier is None:
            self._go(stanza.sender.bare)
        return True

    def _has_room(self, stanza: Stanza, wire: bytes) -> bool:
        settings, backlog = self._settings, self.backlog
        return (
            len(backlog) < settings.max_queued_stanzas
            and backlog.size_bytes + cost_bytes(stanza, wire) <= settings.max_queued_bytes
        )

    def expire(self, now: float) -> None:
        """Return stanzas that have waited too long; cut off a peer that did not read so long."""
        expired = self.backlog.take_until(now - self._settings.max_queue_age_s)
        if expired:
            self._streams.returned(
                self,
                _stanzas(expired),
                no_stream("the other server did not accept the stanza in time"),
            )
            if self.carrier is not None:
                self.carrier.wire.abort()

    def give_back(self) -> None:
        """Return all stanzas that wait and stop trying, since the server is about to stop."""
        if self.carrier is None and (self.backlog or self._deadline is not None):
            self._fail(no_stream("this server is shutting down"))

    def may_go_by(self, stream: ServerStream) -> None:
        """Use a stream that takes our stanzas, unless there is one already: the first is kept, for
        order.
        """
        if self.carrier is None:
            self.carrier = stream
            self._changed()
            self.why = None
            self.heard()
        self._settle()
        self.flush()

    def flush(self) -> None:
        """Send stanzas that wait, until the stream is full."""
        carrier = self.carrier
        while carrier is not None and self.backlog and not carrier.full:
            carrier.send(self.backlog.take())
            carrier = self.carrier

    def carrier_lost(self, stream: ServerStream) -> None:
        """Forget a stream that takes no more stanzas; those that still wait go another way."""
        if self.carrier is stream:
            self.carrier = None
            self._changed()
            if self.backlog and self.outgoing is not stream:
                self._go("")

    # -- a stream of ours -----------------------------------------------------------------------

    def verify(self, stream_id: str, key: str, on_behalf_of: str) -> Deferred[bool]:
        """Ask the remote domain for a key (:xep:`0220`, §2.1.2)."""
        answer: Deferred[bool] = Deferred()
        if stream_id in self._verifications or (
            len(self._verifications) >= MAX_VERIFICATIONS_PER_PAIR
        ):
            answer.errback(StanzaError(Condition.RESOURCE_CONSTRAINT))
        elif self.outgoing is None and not self._may_ask():
            why = self.why or no_stream("the other server could not be reached")
            answer.errback(why.untraced())
        else:
            self._verifications[stream_id] = _Verification(key, answer)
            self._unasked.append(stream_id)
            self._go(on_behalf_of)
        return answer

    def _may_ask(self) -> bool:
        """Whether to ask for a key: a server that has connected to us is there, so the delay does
        not grow.
        """
        failed_at = self._retry_at - self._delay_s
        waited_s = self._streams.clock.seconds() - failed_at
        return not self._delay_s or waited_s >= self._settings.retry_first_s

    def heard(self) -> None:
        """Note that the remote domain has proved itself to us: it can be reached, whatever failed
        before.
        """
        self._retry_at = self._delay_s = 0.0
        self.failures = 0

    def _go(self, on_behalf_of: str) -> None:
        """Have a stream do everything that waits."""
        if self._deadline is None:
            self._deadline = self._streams.clock.callLater(
                self._settings.connect_timeout_s, self._too_late
            )
        if self.outgoing is not None:
            self._speak(self.outgoing)
            return
        if self._connecting is not None:
            self._streams.wanted(self, on_behalf_of)
            return
        shared = None if self._alone else self._streams.stream_to(self.remote)
        if shared is not None:
            self._take(shared)
            return
        self._connecting = connecting = Deferred.fromCoroutine(
            self._streams.connect(self, on_behalf_of)
        )
        self._changed()
        connecting.addCallbacks(self._connected, self._not_connected)

    def _connected(self, stream: OutgoingStream) -> None:
        self._connecting = None
        if stream.ended:
            self._fail(no_stream("the other server closed the connection at once"))
        else:
            self._take(stream)

    def _take(self, stream: OutgoingStream) -> None:
        self.outgoing = stream
        self._changed()
        stream.join(self)
        self._speak(stream)

    def _speak(self, stream: OutgoingStream) -> None:
        """Send what waits for the stream: requests to verify keys, and the request to take our
        stanzas.
        """
        unasked, self._unasked = self._unasked, []
        for stream_id in unasked:
            stream.verify(self.local, stream_id, self._verifications[stream_id].key)
        if self.backlog and self.carrier is None:
            stream.prove(self.local)

    def _again(self) -> None:
        """Send all of that once more on a stream without our certificate, since that was
        refused.
        """
        self._unasked = list(self._verifications)
        if self._unasked or (self.backlog and self.carrier is None):
            self._go("")
        else:
            self._settle()

    def _not_connected(self, failure: Failure) -> None:
        self._connecting = None
        error = failure.value
        if isinstance(error, Disbelieved):
            self._again()
        elif isinstance(error, StanzaError):
            self._fail(error)
        elif not isinstance(error, CancelledError):
            _log.failure("connecting to {remote} failed", failure, remote=self.remote)
            self._fail(no_stream("an internal error occurred"))

    def _too_late(self) -> None:
        self._deadline = None
        outgoing = self.outgoing
        asked = outgoing is not None and outgoing.is_proving(self.local)
        why = (
            "the other server did not verify this server's name by dialback in time"
            if asked
            else TOO_LATE
        )
        self._fail(no_stream(why))

    def _settle(self) -> None:
        """Stop the timer, if nothing is waited for."""
        waits = self._verifications or (self.backlog and self.carrier is None)
        if not waits and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _fail(self, why: StanzaError) -> None:
        """Return all stanzas after a failure, and let some time pass (SV-10)."""
        settings = self._settings
        self.why = why.untraced()
        self.failures += 1
        self._delay_s = min(settings.retry_max_s, max(settings.retry_first_s, 2 * self._delay_s))
        self._retry_at = self._streams.clock.seconds() + self._delay_s
        self._streams.note(self.remote, f"{STREAM_FROM}{self.local}", why.text or why.condition.tag)
        self._streams.failed(self)
        self._changed()
        connecting, self._connecting = self._connecting, None
        outgoing, self.outgoing = self.outgoing, None
        verifications, self._verifications = self._verifications, {}
        self._unasked = []
        if connecting is not None:
            connecting.cancel()
        if outgoing is not None:
            outgoing.leave(self)
        for verification in verifications.values():
            verification.answer.errback(why)
        if self.carrier is None and self.backlog:
            self._streams.returned(self, _stanzas(self.backlog.take_all()), why)
        self._settle()

    def _changed(self) -> None:
        self.is_silent = False
        self.since = self._streams.clock.seconds()

    # -- as a Waiter ----------------------------------------------------------------------------

    def proved(self) -> None:
        """Do nothing: the stream calls ``may_go_by`` when the peer takes our stanzas."""
        self._streams.note(self.remote, f"{STREAM_FROM}{self.local}", OPEN)

    def refused(self, why: StanzaError) -> None:
        """Try a stream of our own, since the peer does not take our stanzas on this one."""
        stream = self.outgoing
        if stream is not None and stream.local != self.local and not self._alone:
            self._alone = True
            self.outgoing = None
            stream.leave(self)
            self._go("")
        else:
            self._fail(why)

    def verified(self, stream_id: str, verdict: bool | StanzaError) -> None:
        """Take the peer's answer about a key."""
        verification = self._verifications.pop(stream_id, None)
        if verification is None:
            return
        if isinstance(verdict, StanzaError):
            verification.answer.errback(verdict)
        else:
            verification.answer.callback(verdict)
        self._settle()
        outgoing = self.outgoing
        served = self.carrier is not None and self._deadline is None
        if outgoing is not None and outgoing.only_asks and served:
            self.outgoing = None  # everything goes by the peer's own stream
            outgoing.leave(self)

    def lost(self, why: StanzaError) -> None:
        """Make another stream in place of a lost one; it is a failure only if that never took our
        stanzas.
        """
        stream, self.outgoing = self.outgoing, None
        carried = stream is not None and (self.local, self.remote) in stream.carries
        if self.carrier is stream:
            self.carrier = None
        self._changed()
        if isinstance(why, Disbelieved):
            self._again()
        elif self._verifications or (self.backlog and self.carrier is None and not carried):
            self._fail(why)
        elif self.backlog and self.carrier is None:
            self._go("")
        else:
            self._settle()


def _stanzas(waiting: Iterable[Waiting]) -> list[Stanza]:
    return [stanza for stanza, _, _ in waiting]
