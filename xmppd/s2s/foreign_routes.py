"""ForeignRoutes: the route to every domain that is not ours."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from xmppd.auth.attempts import network_of
from xmppd.config.config import S2SSettings, StreamSettings
from xmppd.events import Events
from xmppd.host.seldom import Seldom
from xmppd.resolve.attempts import History
from xmppd.resolve.lost import not_found
from xmppd.resolve.targets import Directions
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.s2s.dialback import DialbackKeys
from xmppd.s2s.domain_pair import DomainPair
from xmppd.s2s.outgoing_connections import OutgoingConnections
from xmppd.s2s.outgoing_stream import OutgoingStream
from xmppd.s2s.policy import PolicyTable
from xmppd.s2s.server_stream import CALL_FROM, ServerContext, ServerStream
from xmppd.s2s.silence import Silence
from xmppd.s2s.verification import Trust
from xmppd.stanza import Condition, Stanza, StanzaError, StreamError
from xmppd.stream.stream_feature import Stream

SWEEP_S = 1.0

REFUSED = "refuse"
"""The kind of step in which a server that has connected to us is turned away."""

PING_FROM = "ping from "
"""How a question to a silent server is noted."""

FORGOTTEN = "forgotten: earlier attempts no longer count"
"""The outcome of the step in which an administrator has everything be tried anew."""

LET_GO_S = 5.0
LOOK_EVERY_S = 0.1
"""How often it is looked whether all that waited has left."""

MAX_WAITING_FOR_ONE = 1_000
"""Servers that wait to be looked for on behalf of one account, or of one network elsewhere."""

_log = Logger()


@dataclass(frozen=True)
class Proofs:
    """The proofs of domains: certificates, or keys of dialback.

    Attributes:
        trust: The authorities whose signatures count.
        keys: Ours.
    """

    trust: Trust
    keys: DialbackKeys


@dataclass(slots=True)
class _Watch:
    """The time when a stream was last seen to work.

    Attributes:
        since: The beginning of the stream, on the clock.
        came: The stanzas that had come at the last look.
        went: Those that had gone.
        at: The time when one of these numbers last changed.
    """

    since: float
    came: int
    went: int
    at: float


@dataclass(frozen=True)
class StreamState:
    """A row for the administrator: a stream, or a pair that has none.

    Attributes:
        direction: ``in``, ``out``, ``both`` or ``none``.
        local: Our domain.
        remote: Theirs; empty while that is unknown.
        state: In a few words.
        address: The peer's IP address; empty without a stream.
        security: The version of TLS, and the proof of the peer's name.
        queued_stanzas: The stanzas that wait.
        queued_bytes: The same, in memory.
        passed: Stanzas that came and went by this stream.
        since_s: The seconds since it came into this state.
    """

    direction: str
    local: str
    remote: str
    state: str
    address: str
    security: str
    queued_stanzas: int
    queued_bytes: int
    passed: int
    since_s: float


class ForeignRoutes:
    """Finds or makes the pair of domains for a stanza, and keeps all pairs and streams.

    Args:
        settings: The limits.
        router: Takes the stanzas that come in, and those that come back.
        events: Hear that a server is lost.
        history: The steps on the way to other servers, and the calls that were refused.
        proofs: The ways in which domains are proved.
        outgoing: Makes the connections to other servers, from what all streams share.

    Attributes:
        pairs: By our domain and theirs.
        policies: The policy for each domain.
        context: Shared by all streams.
        outgoing_connections: The connections that we have made.
    """

    def __init__(
        self,
        settings: S2SSettings,
        router: PacketRouter,
        events: Events,
        history: History,
        proofs: Proofs,
        outgoing: Callable[[ServerContext], OutgoingConnections],
    ) -> None:
        self.settings = settings
        self.history = history
        self.policies = PolicyTable(settings)
        self.pairs: dict[tuple[str, str], DomainPair] = {}
        self.context = ServerContext(
            router.routing_table, router, self, proofs.keys, self.policies, proofs.trust
        )
        self.outgoing_connections = outgoing(self.context)
        self.outgoing_connections.look_for(settings.max_connecting)
        self.clock = self.outgoing_connections.clock
        self._connector = self.outgoing_connections.connector
        self._events = events
        self._seldom = Seldom(self.clock.seconds)
        self._streams: dict[ServerStream, _Watch] = {}
        self._outgoing: dict[str, list[OutgoingStream]] = {}
        self._silence = Silence(router.iq_router.requests, self.pairs, self._fell_silent)
        self._sweep = LoopingCall(self.sweep)
        self._sweep.clock = self.clock

    def start(self) -> None:
        """Begin to look after queues and streams."""
        self._sweep.start(SWEEP_S, now=False)

    def use(self, settings: S2SSettings) -> None:
        """Take other settings; pairs that exist keep their limits."""
        self.settings = settings
        self.policies.use(settings)
        for remote in settings.domain:
            if remote.block:
                self.close_to(remote.name)
        self.outgoing_connections.look_for(settings.max_connecting)
        self._connector.use(Directions.of(settings))

    def use_streams(self, settings: StreamSettings) -> None:
        """Connections from now on go by these settings."""
        self.outgoing_connections.use(settings)

    def forget_failures(self) -> None:
        """Look for all servers anew, and show them our certificates: they may be others by now."""
        self.outgoing_connections.forget_all()
        self._connector.use(Directions.of(self.settings))

    # -- as a Route -----------------------------------------------------------------------------

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Send a stanza to another server, now or when there is a stream.

        Args:
            stanza: With its address.
            wire: Its finished bytes.

        Returns:
            Whether it left or waits; if not, :meth:`unreached` says why.
        """
        to = stanza.to
        if to is None:
            return False
        pair = self.pairs.get((stanza.sender.domain, to.domain))
        if pair is None:
            pair = self._pair_for(stanza.sender.bare, stanza.sender.domain, to.domain)
        return pair is not None and pair.deliver(stanza, wire)

    def unreached(self, stanza: Stanza) -> StanzaError:
        """The error for a stanza that was not taken."""
        domain = "" if stanza.to is None else stanza.to.domain
        pair = self.pairs.get((stanza.sender.domain, domain))
        if pair is None:
            return StanzaError(
                Condition.RESOURCE_CONSTRAINT,
                "this server already communicates with too many others",
            )
        return (pair.why or not_found("the other server could not be reached")).untraced()

    def obstacle(self, local: str, remote: str) -> StanzaError | None:
        """The error with which a stanza between these domains would come back at once; None if it
        would leave, or wait.
        """
        pair = self.pairs.get((local, remote))
        return (pair or DomainPair(local, remote, self, self.settings)).obstacle()

    def retry_in_s(self, local: str, remote: str) -> float:
        """The seconds for which no stream between these domains is tried, since the last try
        failed.
        """
        pair = self.pairs.get((local, remote))
        return 0.0 if pair is None or pair.carrier is not None else pair.retry_in_s

    def _pair_for(self, who: str, local: str, remote: str) -> DomainPair | None:
        """A new pair, unless the sender has too many domains looked for already."""
        if self.outgoing_connections.turns.waiting_for(who) >= MAX_WAITING_FOR_ONE:
            return None
        return self._new_pair(local, remote)

    def _new_pair(self, local: str, remote: str) -> DomainPair | None:
        """A pair, if the one is ours and there is room; stanzas of other domains are not
        relayed.
        """
        if len(self.pairs) >= self.settings.max_pairs or not self.context.serves(local):
            return None
        pair = self.pairs[local, remote] = DomainPair(local, remote, self, self.settings)
        return pair

    # -- what pairs need ------------------------------------------------------------------------

    def stream_to(self, remote: str) -> OutgoingStream | None:
        """A stream to the remote domain that others of our domains may share."""
        streams = self._outgoing.get(remote, ())
        return next((stream for stream in streams if stream.is_negotiated and stream.shares), None)

    async def connect(self, pair: DomainPair, on_behalf_of: str) -> OutgoingStream:
        """A new stream to the pair's remote domain.

        Raises:
            StanzaError: There is no way.
        """
        return await self.outgoing_connections.call(pair.local, pair.remote, on_behalf_of)

    def wanted(self, pair: DomainPair, on_behalf_of: str) -> None:
        """Note that another sender waits for that stream too."""
        self.outgoing_connections.turns.want((pair.local, pair.remote), on_behalf_of)

    def returned(self, pair: DomainPair, stanzas: list[Stanza], why: StanzaError) -> None:
        """Return stanzas to their senders, and fire the event that a server is lost."""
        for stanza in stanzas:
            self.context.router.bounce(stanza, why)
        self._events.fire(RemoteServerLost(pair.local, pair.remote))

    def note(self, remote: str, what: str, outcome: str) -> None:
        """Something happened that an administrator may ask for."""
        self.history.attempts.note(remote, "stream", what, outcome)

    def turned_away(self, remote: str, address: str, why: str) -> None:
        """Note that a server has connected to us, and has not proved to be the remote domain."""
        if not remote:
            return
        self.history.refusals.note(remote, REFUSED, f"{CALL_FROM}{address}", why)
        untold = self._seldom.untold(f"from {remote}")
        if untold is not None:
            _log.warn(
                "rejected {remote} at {address}: {why}{more}",
                remote=remote, address=address, why=why, more=_more(untold),
            )  # fmt: skip

    def failed(self, pair: DomainPair) -> None:
        """Note that no stream could be made: the next time our certificate is shown again."""
        self.outgoing_connections.forget(pair.remote)
        untold = self._seldom.untold(f"to {pair.remote}")
        if untold is not None and pair.why is not None:
            _log.warn(
                "no stream from {local} to {remote}: {why}; stanzas returned: {stanzas}; trying "
                "again in {retry_s} s{more}",
                local=pair.local, remote=pair.remote,
                why=pair.why.text or pair.why.condition.tag, stanzas=len(pair.backlog),
                retry_s=round(pair.retry_in_s), more=_more(untold),
            )  # fmt: skip

    def _fell_silent(self, pair: DomainPair) -> None:
        """Note that a server does not answer, or does so again."""
        outcome = "no answer" if pair.is_silent else "answered again"
        self.note(pair.remote, f"{PING_FROM}{pair.local}", outcome)
        untold = self._seldom.untold(f"silent {pair.remote}")
        if pair.is_silent and untold is not None:
            _log.warn(
                "{remote} accepts stanzas from {local}, but does not answer{more}",
                remote=pair.remote, local=pair.local, more=_more(untold),
            )  # fmt: skip

    # -- what streams need ----------------------------------------------------------------------

    def began(self, stream: ServerStream) -> None:
        """Note one more stream."""
        now = self.clock.seconds()
        self._streams[stream] = _Watch(now, 0, 0, now)
        if isinstance(stream, OutgoingStream):
            self._outgoing.setdefault(stream.remote, []).append(stream)

    def ended(self, stream: ServerStream) -> None:
        """Forget a stream: pairs that went by it look for another."""
        self._streams.pop(stream, None)
        if isinstance(stream, OutgoingStream):
            same = self._outgoing[stream.remote]
            same.remove(stream)
            if not same:
                del self._outgoing[stream.remote]
        for key in tuple(stream.carries):
            pair = self.pairs.get(key)
            if pair is not None:
                pair.carrier_lost(stream)

    def heard(self, local: str, remote: str) -> None:
        """Note that the remote domain has proved itself to the local one, so it can be reached."""
        self._connector.forget(remote)
        pair = self.pairs.get((local, remote))
        if pair is not None:
            pair.heard()

    def verify(
        self, local: str, remote: str, stream_id: str, key: str, address: str
    ) -> Deferred[bool]:
        """Ask the remote domain whether it has made this key.

        Peers that have proved nothing may cause half of the pairs there may be: the others are for
        senders here.
        """
        who = network_of(address)
        pair = self.pairs.get((local, remote))
        if pair is None and len(self.pairs) < self.settings.max_pairs // 2:
            pair = self._pair_for(who, local, remote)
        if pair is None:
            answer: Deferred[bool] = Deferred()
            answer.errback(StanzaError(Condition.RESOURCE_CONSTRAINT))
            return answer
        return pair.verify(stream_id, key, who)

    def may_carry(self, stream: ServerStream, local: str, remote: str) -> None:
        """Let stanzas from the local domain to the remote one go by this stream."""
        pair = self.pairs.get((local, remote)) or self._new_pair(local, remote)
        if pair is not None:
            pair.may_go_by(stream)

    def is_free(self, stream: ServerStream) -> None:
        """Send stanzas that wait, since the stream takes them again."""
        for key in tuple(stream.carries):
            pair = self.pairs.get(key)
            if pair is not None and pair.carrier is stream:
                pair.flush()

    # -- looking after them ---------------------------------------------------------------------

    def sweep(self) -> None:
        """Return stanzas that have waited too long, close idle streams, forget pairs that are at
        rest, ask servers that are silent.
        """
        now = self.clock.seconds()
        for key, pair in tuple(self.pairs.items()):
            pair.expire(now)
            if pair.at_rest(now):
                self.pairs.pop(key, None)
        wrote: list[tuple[str, str]] = []
        heard: list[tuple[str, str]] = []
        for stream, watch in tuple(self._streams.items()):
            came, went = sum(stream.wire.counts.came), sum(stream.wire.counts.went[:3])
            if (came, went) == (watch.came, watch.went):
                if now - watch.at > self.settings.idle_timeout_s:
                    stream.close()
                continue
            if went != watch.went:
                wrote += stream.carries
            if came != watch.came:
                heard += ((ours, theirs) for theirs, ours in stream.accepted)
            watch.came, watch.went, watch.at = came, went, now
        self._silence.wrote(wrote)
        self._silence.heard(heard)
        for stream in self._silence.look():
            asked = self._streams.get(stream)  # it may have ended over the question
            if asked is not None:  # a question of our own keeps no stream open
                asked.went = sum(stream.wire.counts.went[:3])

    def streams(self) -> Iterator[ServerStream]:
        """All streams, of either direction."""
        return iter(self._streams)

    def state(self) -> list[StreamState]:
        """All streams, and all pairs that have none, for the administrator."""
        now = self.clock.seconds()
        rows = [
            row for stream, watch in self._streams.items() for row in self._rows(stream, watch, now)
        ]
        shown = {(row.local, row.remote) for row in rows if row.direction != "in"}
        rows += [
            StreamState(
                "none", pair.local, pair.remote, pair.state, "", "",
                len(pair.backlog), pair.backlog.size_bytes, 0, now - pair.since,
            )
            for key, pair in self.pairs.items() if key not in shown
        ]  # fmt: skip
        return rows

    def _rows(self, stream: ServerStream, watch: _Watch, now: float) -> list[StreamState]:
        """The rows of a stream: one for each pair of domains on it, or one if it has none yet."""
        brings = {(ours, theirs) for theirs, ours in stream.accepted}
        keys = sorted(stream.carries | brings) or [(stream.local, stream.remote)]
        rows = []
        for local, remote in keys:
            takes = (local, remote) in stream.carries
            here = (local, remote) in brings
            comes = here or not (takes or isinstance(stream, OutgoingStream))
            direction = "both" if takes and here else "in" if comes else "out"
            pair = self.pairs.get((local, remote)) if takes else None
            state = "open" if takes or here else "negotiating"
            rows.append(
                StreamState(
                    direction,
                    local,
                    remote,
                    state if pair is None else pair.state,
                    stream.wire.address,
                    _security(stream, remote),
                    0 if pair is None else len(pair.backlog),
                    0 if pair is None else pair.backlog.size_bytes,
                    stream.passed,
                    now - watch.since,
                )
            )
        return rows

    def close_to(self, remote: str) -> int:
        """Close all streams with a domain, and try it at once next time; returns their number."""
        self._connector.forget(remote)
        self.outgoing_connections.forget(remote)
        if self.history.attempts.of(remote) or self.history.refusals.of(remote):
            self.note(remote, "all of them", FORGOTTEN)
        for pair in self.pairs.values():
            if pair.remote == remote:
                pair.heard()
                pair.why = None
        streams = [
            stream
            for stream in self._streams
            if stream.remote == remote
            or any(theirs == remote for theirs, _ in stream.accepted)
            or any(theirs == remote for _, theirs in stream.carries)
        ]
        for stream in streams:
            stream.close()
        return len(streams)

    async def let_go(self, local: str, remote: str) -> None:
        """Have what waits between two domains leave, and close their stream, so that whatever
        another node sends comes behind it; that takes :data:`LET_GO_S` at most.
        """
        pair, until = self.pairs.get((local, remote)), self.clock.seconds() + LET_GO_S
        if pair is None:
            return
        while pair.backlog and self.clock.seconds() < until:
            await deferLater(self.clock, LOOK_EVERY_S)
        stream = pair.carrier
        if stream is not None:
            stream.close()
            while not stream.wire.closing and self.clock.seconds() < until:
                await deferLater(self.clock, LOOK_EVERY_S)

    def give_back(self) -> None:
        """Return stanzas that wait for a stream, since the server is about to stop."""
        for pair in tuple(self.pairs.values()):
            pair.give_back()

    def stop(self) -> None:
        """Look after queues and streams no more."""
        if self._sweep.running:
            self._sweep.stop()

    async def close(self, error: StreamError) -> None:
        """Close the streams that we have opened, each with this error."""
        self.stop()
        await self.outgoing_connections.close(error)


def _more(untold: int) -> str:
    """The end of a line of the log, if others like it were left out."""
    return f" (similar lines left out: {untold})" if untold else ""


def _security(stream: ServerStream, remote: str) -> str:
    """The proof of the peer's name."""
    version = stream.wire.tls_version or "unencrypted"
    if Stream.SECURE in stream.stream and not stream.proof.flaw_for(remote):
        return f"{version}, certificate"
    return f"{version}, dialback" if stream.established else version
