"""A stream that we have opened to another server."""

from base64 import b64encode
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from xmppd.net.tls import refuses_certificate
from xmppd.resolve.lost import Disbelieved, no_stream, not_found
from xmppd.s2s import dialback
from xmppd.s2s.dialback import RESULT, Dialback
from xmppd.s2s.policy import Policy
from xmppd.s2s.server_stream import ServerContext, ServerStream, ServerWire, header_between
from xmppd.stanza import (
    Condition,
    Later,
    StanzaError,
    StreamCondition,
    StreamError,
    Tree,
    ns,
    qname,
)
from xmppd.stanza.xml import LANG
from xmppd.stream.framing import StreamHeader
from xmppd.stream.stanza_intake import check_header
from xmppd.stream.stream_feature import Stream
from xmppd.stream.stream_parser import StreamOpened

_FEATURES = qname(ns.STREAM, "features")
_STARTTLS = qname(ns.TLS, "starttls")
_PROCEED = qname(ns.TLS, "proceed")
_TLS_FAILURE = qname(ns.TLS, "failure")
_SUCCESS = qname(ns.SASL, "success")
_SASL_FAILURE = qname(ns.SASL, "failure")
_MECHANISM = f"{qname(ns.SASL, 'mechanisms')}/{qname(ns.SASL, 'mechanism')}"
_DIALBACK = qname(ns.DIALBACK_FEATURE, "dialback")
_ERRORS = qname(ns.DIALBACK_FEATURE, "errors")
_BIDI = qname(ns.BIDI_FEATURE, "bidi")
_log = Logger()


class OutgoingStep(Enum):
    """The steps for which an outgoing stream waits; the value says what is wrong if one does not
    come.
    """

    HEADER = "the other server did not answer the stream header"
    FEATURES = "the other server did not send stream features"
    PROCEED = "the other server did not start TLS"
    SECURE_HEADER = "no stream was opened after TLS"
    SUCCESS = "the other server did not answer the authentication"
    NOTHING = "the other server closed the stream"


class Waiter(Protocol):
    """A pair of domains that waits for a stream, as the stream sees it.

    Attributes:
        local: Our domain.
    """

    local: str

    def proved(self) -> None:
        """Called when the peer takes stanzas of the pair."""

    def refused(self, why: StanzaError) -> None:
        """Called when it does not."""

    def verified(self, stream_id: str, verdict: bool | StanzaError) -> None:
        """Called with the peer's answer about a key."""

    def lost(self, why: StanzaError) -> None:
        """Called when the stream is gone."""


class OutgoingStream(ServerStream):
    """A stream on which we prove domains of ours, and ask about keys of theirs.

    Attributes:
        local: The domain of ours in whose name it was opened.
        remote: The domain it was opened to.
        is_negotiated: Whether dialback may be spoken.
        shares: Whether other domains of ours may use it, too.
        disbelieved: Whether the peer has rejected our certificate.
        disbelieved_by_tls: Whether TLS has failed over it.
    """

    def __init__(
        self,
        context: ServerContext,
        local: str,
        remote: str,
        wire: ServerWire,
        *,
        shows_certificate: bool,
        may_authenticate: bool,
    ) -> None:
        super().__init__(context, wire)
        self.local = local
        self.remote = remote
        self.is_negotiated = self.shares = False
        self.disbelieved = self.disbelieved_by_tls = False
        self._shows_certificate = shows_certificate
        self._may_authenticate = may_authenticate
        self._speaks_dialback = False
        self._stream_id = ""
        self._step = OutgoingStep.HEADER
        self._why: StanzaError | None = None
        self._settled: Deferred[None] | None = None
        self._waiters: dict[str, Waiter] = {}
        self._proving: set[str] = set()

    @property
    def id(self) -> str:
        """Its name in the log."""
        return f"{self.local} to {self.remote}"

    @property
    def stream_id(self) -> str:
        """The stream's id, given by the peer."""
        return self._stream_id

    def header(self) -> StreamHeader:
        """Our stream header."""
        return header_between(self.local, self.remote)

    def made(self) -> None:
        """Send our header first, when the connection is made."""
        super().made()
        self.wire.open(self.header())

    def _end(self) -> None:
        """Tell the pairs that use the stream that its connection is gone or closing."""
        if self.ended:
            return
        super()._end()
        why = self._why_lost()
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters.values():
            waiter.lost(why)
        settled, self._settled = self._settled, None
        if settled is not None:
            settled.errback(why)

    def _why_lost(self) -> StanzaError:
        """The reason why it was lost."""
        if self._shows_certificate and refuses_certificate(self.wire.tls_flaw):
            self.disbelieved = self.disbelieved_by_tls = True
        if self._step is OutgoingStep.SUCCESS:
            self.disbelieved = True
        if self.disbelieved and not self.carries:
            return Disbelieved()
        if self.wire.tls_flaw and not self.established:
            return no_stream(f"TLS failed: {self.wire.tls_flaw}")
        error = self.wire.error
        if error is not None:
            return no_stream(f"{error.condition.value}: {error.text or 'the stream is malformed'}")
        return self._why or no_stream(self._step.value)

    @property
    def only_asks(self) -> bool:
        """Whether it is used for keys of dialback alone."""
        return not self.established and not self._proving

    def settled(self) -> Deferred[None]:
        """Fires when it is negotiated; fails with a StanzaError if it ends before that. Cancelling
        closes it.
        """
        settled = self._settled = Deferred(self._cancelled)
        if self.ended:
            self._settled = None
            settled.errback(self._why_lost())
        elif self.is_negotiated:
            self._settled = None
            settled.callback(None)
        return settled

    def _cancelled(self, settled: Deferred[None]) -> None:
        self._settled = None
        self.close()

    # -- the pairs that use it --------------------------------------------------------------------

    def join(self, waiter: Waiter) -> None:
        """Add a pair that uses this stream, which is negotiated."""
        self._waiters[waiter.local] = waiter
        if (waiter.local, self.remote) in self.carries:
            waiter.proved()

    def leave(self, waiter: Waiter) -> None:
        """Remove a pair; the last one closes the stream."""
        if self._waiters.get(waiter.local) is waiter:
            del self._waiters[waiter.local]
            self._proving.discard(waiter.local)
            self.carries.discard((waiter.local, self.remote))
            if not self._waiters and not self.ended:
                self.close()

    def prove(self, local: str) -> None:
        """Ask that stanzas from this domain of ours be taken (:xep:`0220`, §2.1.1)."""
        if local in self._proving:
            return
        if not self._speaks_dialback:
            self._waiters[local].refused(
                no_stream("the other server offers neither EXTERNAL nor dialback")
            )
            return
        self._proving.add(local)
        key = self.context.keys.key(self.remote, local, self._stream_id)
        self.write(dialback.request("result", local, self.remote, key))

    def is_proving(self, local: str) -> bool:
        """Whether the peer has been asked to take stanzas of this domain, and has not answered."""
        return local in self._proving

    def verify(self, local: str, stream_id: str, key: str) -> None:
        """Ask whether a key is the remote domain's (§2.1.2)."""
        self.write(dialback.request("verify", local, self.remote, key, id=stream_id))

    # -- negotiation ----------------------------------------------------------------------------

    def _opened(self, header: StreamOpened) -> None:
        check_header(header, self.namespace, "servers")
        self._stream_id = header.attributes.get("id", "")
        if LANG in header.attributes:
            self._language.speak(header.attributes[LANG])
        self._speaks_dialback = ns.DIALBACK in header.prefixes.values()
        self._step = OutgoingStep.FEATURES
        if Stream.SECURE in self.stream:
            self.proof = self.context.trust.proof(self.wire.certificate_chain())
            if Stream.AUTHENTICATED not in self.stream:
                flaw = self.proof.flaw_for(self.remote)
                self._note(f"certificate, by {self.wire.tls_version}", flaw or "valid")

    def _element(self, tree: Tree) -> Later:
        if tree.tag == _FEATURES and self._step is OutgoingStep.FEATURES:
            self._go_on(tree)
        elif tree.tag == _PROCEED and self._step is OutgoingStep.PROCEED:
            self._begin_tls()
        elif tree.tag == _SUCCESS and self._step is OutgoingStep.SUCCESS:
            self._authenticated()
        elif tree.tag == _SASL_FAILURE and self._step is OutgoingStep.SUCCESS:
            self._note(
                f"EXTERNAL as {self.local}", "the other server rejects this server's certificate"
            )
            self._may_authenticate = False
            self.disbelieved = True
            self._negotiated()
        elif tree.tag == _TLS_FAILURE and self._step is OutgoingStep.PROCEED:
            raise StreamError(StreamCondition.POLICY_VIOLATION, "the other server cannot start TLS")
        else:
            return super()._element(tree)
        return None

    def _go_on(self, features: Tree) -> None:
        """Take the next step that its features allow (SV-2)."""
        if Stream.SECURE not in self.stream:
            if features.find(_STARTTLS) is not None:
                self._step = OutgoingStep.PROCEED
                self.write(f"<starttls xmlns='{ns.TLS}'/>".encode())
                return
            if self._policy.require_tls:
                raise StreamError(
                    StreamCondition.POLICY_VIOLATION, "the other server offers no TLS"
                )
        flaw = self.proof.flaw_for(self.remote)
        if flaw and not self._policy.believes_dns:
            raise StreamError(StreamCondition.POLICY_VIOLATION, flaw)
        dialback_feature = features.find(_DIALBACK)
        self._speaks_dialback |= dialback_feature is not None
        self.shares = dialback_feature is not None and dialback_feature.find(_ERRORS) is not None
        if (
            features.find(_BIDI) is not None
            and not self.bidirectional
            and (not flaw or self._policy.believes_dns)
        ):
            self.bidirectional = True
            self.write(f"<bidi xmlns='{ns.BIDI}'/>".encode())
        offered = [mechanism.text for mechanism in features.iterfind(_MECHANISM)]
        if self._may_authenticate and Stream.SECURE in self.stream and "EXTERNAL" in offered:
            self._step = OutgoingStep.SUCCESS
            identity = b64encode(self.local.encode()).decode()
            auth = f"<auth xmlns='{ns.SASL}' mechanism='EXTERNAL'>{identity}</auth>"
            self.write(auth.encode())
            return
        self._negotiated()

    def _begin_tls(self) -> None:
        self.wire.begin_tls()
        self.stream |= Stream.SECURE
        self._step = OutgoingStep.SECURE_HEADER
        self.wire.open(self.header())

    def _authenticated(self) -> None:
        """Begin a new stream after authentication (:rfc:`6120#section-6.4.6`)."""
        self._note(f"EXTERNAL as {self.local}", "accepted")
        self.stream |= Stream.AUTHENTICATED
        self._may_authenticate = False
        self._step = OutgoingStep.HEADER
        self.wire.restart()
        self.wire.open(self.header())

    def _negotiated(self) -> None:
        self._step = OutgoingStep.NOTHING
        self.is_negotiated = True
        if Stream.AUTHENTICATED in self.stream:
            self._proved(self.local)
        settled, self._settled = self._settled, None
        if settled is not None:
            settled.callback(None)

    def _proved(self, local: str) -> None:
        self._proving.discard(local)
        if self.bidirectional:
            self.accept(self.remote, local)
        self.may_carry(local, self.remote)
        waiter = self._waiters.get(local)
        if waiter is not None:
            waiter.proved()

    def _told(self, condition: str) -> None:
        """Take the stream error of the peer."""
        gone = condition in (StreamCondition.HOST_UNKNOWN.value, StreamCondition.HOST_GONE.value)
        text = f"the other server closed the stream: {condition}"
        self._why = not_found(text) if gone else no_stream(text)
        super()._told(condition)

    # -- answers --------------------------------------------------------------------------------

    def _answered(self, tag: str, said: Dialback) -> None:
        """Take the answer to a request of ours; an answer to anything else ends the stream
        (SV-6).
        """
        if said.sender != self.remote:
            return
        if tag != RESULT:
            self._verdict(said)
        elif said.to in self._proving:
            if said.type == "valid":
                self._note(f"dialback as {said.to}", "accepted")
                self._proved(said.to)
                return
            why = _reason(said)
            self._note(f"dialback as {said.to}", why.text or said.type)
            self._proving.discard(said.to)
            self._waiters[said.to].refused(why)

    def _verdict(self, said: Dialback) -> None:
        waiter = self._waiters.get(said.to)
        if waiter is not None:
            verdict = _reason(said) if said.type == "error" else said.type == "valid"
            waiter.verified(said.id, verdict)

    def _note(self, what: str, outcome: str) -> None:
        self.context.pairs.note(self.remote, what, outcome)

    @property
    def _policy(self) -> Policy:
        return self.context.policies.of(self.remote)


def _reason(said: Dialback) -> StanzaError:
    """The reason why dialback has failed, for the senders of stanzas that wait."""
    if said.type == "invalid":
        return no_stream("the other server rejects the dialback key")
    text = f"dialback: {said.text or 'no reason given'}"
    gone = said.text == Condition.ITEM_NOT_FOUND.tag
    return not_found(text) if gone else no_stream(text)
