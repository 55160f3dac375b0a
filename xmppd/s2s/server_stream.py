"""ServerStream: a stream between servers, whichever side has opened it, and what it may carry."""

from dataclasses import dataclass
from typing import Protocol

from cryptography.x509 import Certificate
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.router.packet_router import PacketRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.s2s import dialback
from xmppd.s2s.dialback import RESULT, VERIFY, Dialback, DialbackKeys
from xmppd.s2s.policy import PolicyTable
from xmppd.s2s.verification import Proof, Trust
from xmppd.session.peer_counts import Peer
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Later,
    Stanza,
    StanzaError,
    StreamCondition,
    StreamError,
    Tree,
    ns,
    qname,
)
from xmppd.stanza.stanza import error_bytes
from xmppd.stanza.xml import local_name
from xmppd.stream.framing import StreamHeader
from xmppd.stream.stanza_intake import KINDS, Language, stream_error_in
from xmppd.stream.stream_feature import Stream
from xmppd.stream.stream_handler import Wire
from xmppd.stream.stream_parser import Received, StreamClosed, StreamOpened

MAX_PAIRS_PER_STREAM = 256
MAX_VERIFICATIONS_PER_STREAM = 16
MAX_UNREAD_ANSWERS_BYTES = 65_536
"""The limit of what is written to a peer that does not read, beside stanzas, which wait
elsewhere."""

CALL_FROM = "a connection from "
"""How a stream that another server has opened is noted."""

STREAM_ERROR = qname(ns.STREAM, "error")
_PING = f"<ping xmlns='{ns.PING}'/>".encode()
_log = Logger()


class ServerWire(Wire, Protocol):
    """The connection, as a stream between servers needs it.

    Attributes:
        error: The error with which we have ended the stream; None if there was none.
        tls_flaw: The reason why TLS has failed; empty if it has not.
    """

    error: StreamError | None
    tls_flaw: str

    @property
    def closing(self) -> bool:
        """Whether it ends: the peer has ended its side, or we do not wait for that."""

    def begin_tls(self) -> None:
        """Begin TLS, since the peer has sent ``<proceed/>``.

        Raises:
            StreamError: More bytes came in the clear behind that.
        """

    def certificate_chain(self) -> tuple[Certificate, ...]:
        """The peer's certificate, and those that came with it."""

    def take_at_most(self, stanzas_per_s: float) -> None:
        """Read at most so many stanzas a second."""

    def close_side(self) -> None:
        """End our side of the stream, and read on until the peer ends its side."""


class Pairs(Protocol):
    """The pairs of one of our domains and one of theirs, as a stream sees them."""

    def began(self, stream: "ServerStream") -> None:
        """Note one more stream."""

    def ended(self, stream: "ServerStream") -> None:
        """Forget a stream."""

    def heard(self, local: str, remote: str) -> None:
        """Note that the remote domain has proved itself to the local one."""

    def verify(
        self, local: str, remote: str, stream_id: str, key: str, address: str
    ) -> Deferred[bool]:
        """Ask the remote domain whether it has made this key.

        Args:
            local: The domain of ours that it was shown to.
            remote: The domain.
            stream_id: Of the stream on which it was shown.
            key: Its text.
            address: Of the server that has shown it.

        Returns:
            Its answer; fails with a StanzaError if there is none.
        """

    def may_carry(self, stream: "ServerStream", local: str, remote: str) -> None:
        """Let stanzas from the local domain to the remote one go by this stream."""

    def is_free(self, stream: "ServerStream") -> None:
        """Send stanzas that wait, since the stream takes them again."""

    def note(self, remote: str, what: str, outcome: str) -> None:
        """Note an event for the administrator."""

    def turned_away(self, remote: str, address: str, why: str) -> None:
        """Note that a server at this address has not proved to be the remote domain."""


@dataclass(frozen=True, eq=False)
class ServerContext:
    """The stages and values that all streams between servers share.

    Attributes:
        routing_table: Knows the domains that we serve.
        router: Takes the stanzas that come in.
        pairs: The pairs, whose stanzas go out.
        keys: Makes and recognises keys of dialback.
        policies: The policy for each domain.
        trust: The authorities whose signatures count.
    """

    routing_table: RoutingTable
    router: PacketRouter
    pairs: Pairs
    keys: DialbackKeys
    policies: PolicyTable
    trust: Trust

    def serves(self, domain: str) -> bool:
        """Whether the domain is ours, or a component's."""
        table = self.routing_table
        return domain in table.domains or domain in table.components


class ServerStream:
    """A stream to or from another server; :class:`IncomingStream` and :class:`OutgoingStream` are.

    Attributes:
        stream: The state of its negotiation.
        accepted: Pairs of (their domain, ours) from and to which it brings stanzas.
        carries: Pairs of (our domain, theirs) from and to which it takes them.
        bidirectional: Whether it carries stanzas both ways (:xep:`0288`).
        full: Whether it takes no stanzas just now.
        ended: Whether it takes no more stanzas.
    """

    namespace = ns.SERVER
    local: str
    remote: str

    def __init__(self, context: ServerContext, wire: ServerWire) -> None:
        self.context = context
        self.wire = wire
        self.stream = Stream.NEW
        self.accepted: set[tuple[str, str]] = set()
        self.carries: set[tuple[str, str]] = set()
        self.bidirectional = self.full = self.ended = False
        self.proof = Proof("the other server does not use TLS")
        self._language = Language()
        self._unread_bytes = 0
        self._verifying: set[tuple[str, str]] = set()

    # -- as a StreamHandler ---------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Its name in the log."""
        raise NotImplementedError

    @property
    def stream_id(self) -> str:
        """The stream's id, given by the server that was connected to."""
        raise NotImplementedError

    @property
    def established(self) -> bool:
        """Whether a domain has proved itself, on either side."""
        return bool(self.accepted or self.carries)

    @property
    def peer(self) -> Peer:
        """The other server."""
        domain = self.remote or next((theirs for theirs, _ in self.accepted), "")
        return Peer(domain, "", self.wire.address, "", domain)

    @property
    def passed(self) -> int:
        """The number of stanzas it has carried, both ways."""
        return self.wire.counts.carried

    def header(self) -> StreamHeader:
        """Our stream header."""
        raise NotImplementedError

    def made(self) -> None:
        """Begin, when the connection is made."""
        self.context.pairs.began(self)

    def handle(self, event: StreamOpened | Received | StreamClosed) -> Later:
        """Take the next element that came.

        Raises:
            StreamError: The stream cannot go on.
        """
        if isinstance(event, Received):
            kind = KINDS.get(event.tree.tag)
            return self._element(event.tree) if kind is None else self._stanza(kind, event)
        if isinstance(event, StreamOpened):
            return self._opened(event)
        self.wire.peer_closed()
        return None

    def ping(self) -> None:
        """Ping a silent peer, if the answer would come back on this stream."""
        if not self.bidirectional or not self.carries:
            self.close()
            return
        local, remote = next(iter(self.carries))
        ping = IQ.make(JID.parse(remote), JID.parse(local), _PING, id="are-you-there", type="get")
        self.send(ping.wire())

    def wire_is_full(self) -> None:
        """Let stanzas wait with their pairs, since the peer reads slowly."""
        self.full = True

    def wire_is_free(self) -> None:
        """Let stanzas go on, since the peer has read everything."""
        self.full = False
        self._unread_bytes = 0
        self.context.pairs.is_free(self)

    def hear_no_more(self) -> None:
        """Do nothing, since it ends with all other streams."""

    def wire_is_gone(self) -> None:
        """Forget the stream, since its connection is gone or closing."""
        self._end()

    def _end(self) -> None:
        """Take no more stanzas, from now on and once."""
        if not self.ended:
            self.ended = True
            self.context.pairs.ended(self)

    def close(self) -> None:
        """Take no more stanzas, but accept those that are under way already (SV-12)."""
        self._end()
        self.wire.close_side()

    # -- out ------------------------------------------------------------------------------------

    def send(self, wire: bytes) -> None:
        """Send a stanza."""
        self.wire.write(wire)

    def write(self, data: bytes) -> None:
        """Send another element; a peer that makes us answer and does not read is cut off
        (SV-14).
        """
        if self.ended:
            return
        if self.full:
            self._unread_bytes += len(data)
            if self._unread_bytes > MAX_UNREAD_ANSWERS_BYTES:
                self.wire.abort()
                return
        self.wire.write(data)

    def may_carry(self, local: str, remote: str) -> None:
        """Note that the peer takes stanzas from this domain of ours to this one of its."""
        self.carries.add((local, remote))
        self.context.pairs.may_carry(self, local, remote)

    # -- in -------------------------------------------------------------------------------------

    def _opened(self, header: StreamOpened) -> None:
        raise NotImplementedError

    def _element(self, tree: Tree) -> Later:
        """Handle an element that is no stanza and that both sides may send."""
        if tree.tag in (RESULT, VERIFY):
            self._dialback(tree)
        elif tree.tag == STREAM_ERROR:
            self._told(stream_error_in(tree))
        else:
            raise StreamError(
                StreamCondition.UNSUPPORTED_STANZA_TYPE,
                f"<{local_name(tree.tag)}/> is not known here, or not at this point",
            )
        return None

    def _told(self, condition: str) -> None:
        """Take the stream error of the peer."""
        _log.info("{id} closed with {condition}", id=self.id, condition=condition)
        self.wire.close()

    def _stanza(self, kind: type[Stanza], received: Received) -> Later:
        """Check sender and addressee of a stanza, and route it (SV-7, SV-8)."""
        attributes = received.tree.attrib
        try:
            sender = JID.parse(attributes.pop("from", ""))  # a payload never has it
        except ValueError as error:
            raise StreamError(StreamCondition.IMPROPER_ADDRESSING, f"from: {error}") from error
        self.wire.counts.came[kind.place] += 1
        try:
            stanza = self._language.typed(kind, received, sender)
        except StanzaError as error:
            self._refuse_stanza(kind, sender, attributes.get("id"), attributes.get("type"), error)
            return None
        to = stanza.to
        if to is None:
            raise StreamError(
                StreamCondition.IMPROPER_ADDRESSING, 'a stanza must have an address in "to"'
            )
        if (sender.domain, to.domain) not in self.accepted:
            raise self._not_accepted(sender.domain, to.domain)
        return self.context.router.route(stanza)

    def _not_accepted(self, remote: str, local: str) -> StreamError:
        if not self.accepted:
            return StreamError(StreamCondition.NOT_AUTHORIZED, "authenticate first")
        if not self.context.serves(local):
            return StreamError(
                StreamCondition.HOST_UNKNOWN, "this server does not serve that domain"
            )
        return StreamError(
            StreamCondition.INVALID_FROM, "you have not authenticated as that domain"
        )

    def _refuse_stanza(
        self, kind: type[Stanza], sender: JID, id: str | None, type: str | None, error: StanzaError
    ) -> None:
        """Answer an element that cannot be made a stanza, if its sender has proved its domain
        (SI-2).
        """
        local = next((ours for theirs, ours in self.accepted if theirs == sender.domain), None)
        if local is None:
            raise self._not_accepted(sender.domain, "")
        if type not in ("error", "result"):
            answer = kind.make(sender, JID.parse(local), error_bytes(error), id=id, type="error")
            self.context.routing_table.route(answer)

    # -- dialback -------------------------------------------------------------------------------

    def _dialback(self, tree: Tree) -> None:
        try:
            said = Dialback.read(tree)
        except ValueError as error:
            raise StreamError(StreamCondition.IMPROPER_ADDRESSING, str(error)) from error
        if said.type:
            self._answered(tree.tag, said)
        elif tree.tag == VERIFY:
            self._asked_to_verify(said)
        else:
            self._claimed(said)

    def _answered(self, tag: str, said: Dialback) -> None:
        """Take an answer of dialback; on this stream we have asked for none."""
        raise StreamError(StreamCondition.POLICY_VIOLATION, "nobody asked for this verification")

    def _asked_to_verify(self, asked: Dialback) -> None:
        """Answer whether a key that another server was shown is ours (:xep:`0220`, §2.2.2)."""
        if not self.context.serves(asked.to):
            self._refuse("verify", asked, Condition.ITEM_NOT_FOUND)
            return
        valid = self.context.keys.is_ours(asked.text, asked.sender, asked.to, asked.id)
        self.write(dialback.answer("verify", asked.to, asked.sender, id=asked.id, valid=valid))

    def _claimed(self, claim: Dialback) -> None:
        """Verify a domain that the peer claims, by its certificate or its key (§2.2.1)."""
        refusal = self._refusal(claim)
        pair = (claim.sender, claim.to)
        if refusal is not None:
            self._turn_away(claim, refusal)
        elif not self.proof.flaw_for(claim.sender):
            self._prove(claim)
        elif pair not in self._verifying:
            self._verifying.add(pair)
            asked = self.context.pairs.verify(
                claim.to, claim.sender, self.stream_id, claim.text, self.wire.address
            )
            asked.addCallbacks(
                self._verified, self._not_verified, callbackArgs=(claim,), errbackArgs=(claim,)
            )

    def _refusal(self, claim: Dialback) -> Condition | None:
        """The reason to refuse a claim without verifying it."""
        policy = self.context.policies.of(claim.sender)
        if not self.context.serves(claim.to) or self.context.serves(claim.sender):
            return Condition.ITEM_NOT_FOUND
        if policy.block or (policy.require_tls and Stream.SECURE not in self.stream):
            return Condition.POLICY_VIOLATION
        if self.proof.flaw_for(claim.sender) and not policy.believes_dns:
            return Condition.NOT_AUTHORIZED
        if (
            len(self.accepted) >= MAX_PAIRS_PER_STREAM
            or len(self._verifying) >= MAX_VERIFICATIONS_PER_STREAM
        ):
            return Condition.RESOURCE_CONSTRAINT
        return None

    def _turn_away(self, claim: Dialback, condition: Condition) -> None:
        why = "s2s.domain blocks it"
        if not self.context.policies.of(claim.sender).block:
            flaw = self.proof.flaw_for(claim.sender)
            why = f"dialback: {condition.tag}{flaw and f', {flaw}'}"
        self._tell_why(claim.sender, why)
        self._refuse("result", claim, condition)

    def _tell_why(self, remote: str, why: str) -> None:
        self.context.pairs.turned_away(remote, self.wire.address, why)

    def _note_proof(self, remote: str, local: str, how: str) -> None:
        """Note by what the peer has proved to be a domain."""
        what = f"{CALL_FROM}{self.wire.address} to {local}"
        self.context.pairs.note(remote, what, f"accepted: {how}")

    def _refuse(self, name: str, asked: Dialback, condition: Condition) -> None:
        self.write(dialback.refusal(name, asked.to, asked.sender, condition, id=asked.id))

    def _verified(self, valid: bool, claim: Dialback) -> None:
        self._verifying.discard((claim.sender, claim.to))
        if self.ended:
            return
        if valid:
            self._prove(claim)
            return
        self._tell_why(claim.sender, "dialback: the domain's own server does not know the key")
        if self.accepted:
            self._refuse("result", claim, Condition.FORBIDDEN)
        else:
            self.write(dialback.answer("result", claim.to, claim.sender, valid=False))
            self.wire.close(StreamError(StreamCondition.NOT_AUTHORIZED, "the key is invalid"))

    def _not_verified(self, failure: Failure, claim: Dialback) -> None:
        failure.trap(StanzaError)
        self._verifying.discard((claim.sender, claim.to))
        if not self.ended and isinstance(failure.value, StanzaError):
            why = failure.value.text or failure.value.condition.tag
            self._tell_why(
                claim.sender, f"dialback: the domain's own server cannot be asked: {why}"
            )
            self._refuse("result", claim, failure.value.condition)

    def _prove(self, claim: Dialback) -> None:
        how = "the certificate is valid" if not self.proof.flaw_for(claim.sender) else "dialback"
        self._note_proof(claim.sender, claim.to, how)
        self.write(dialback.answer("result", claim.to, claim.sender, valid=True))
        self.accept(claim.sender, claim.to)
        if self.bidirectional:
            self.may_carry(claim.to, claim.sender)

    def accept(self, remote: str, local: str) -> None:
        """Note that the peer has proved this domain of its, to this one of ours."""
        if not self.accepted:
            self.stream |= Stream.AUTHENTICATED
            self.wire.authenticated()
        self.accepted.add((remote, local))
        self.context.pairs.heard(local, remote)
        self.wire.take_at_most(
            min(self.context.policies.of(theirs).stanzas_per_s for theirs, _ in self.accepted)
        )


def header_between(local: str, remote: str | None, *, id: str = "") -> StreamHeader:
    """A stream header between servers, with the prefix that dialback has always had."""
    return StreamHeader(
        namespace=ns.SERVER, id=id, sender=local, to=remote, prefixes={"db": ns.DIALBACK}
    )
