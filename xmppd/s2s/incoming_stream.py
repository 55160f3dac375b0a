"""A stream that another server has opened to us."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from functools import partial
from secrets import token_hex

from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.connections import Connections
from xmppd.s2s.dialback import Dialback
from xmppd.s2s.server_stream import ServerContext, ServerStream, ServerWire, header_between
from xmppd.stanza import Later, StreamCondition, StreamError, Tree, ns, qname
from xmppd.stanza.jid import prepare_domain
from xmppd.stanza.xml import LANG
from xmppd.stream.framing import StreamHeader
from xmppd.stream.stanza_intake import check_header
from xmppd.stream.stream_feature import Stream
from xmppd.stream.stream_handler import Wire
from xmppd.stream.stream_parser import StreamOpened

MAX_FAILURES = 3
_STARTTLS = qname(ns.TLS, "starttls")
_AUTH = qname(ns.SASL, "auth")
_BIDI = qname(ns.BIDI, "bidi")
_EXTERNAL = f"<mechanisms xmlns='{ns.SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>".encode()
_DIALBACK = f"<dialback xmlns='{ns.DIALBACK_FEATURE}'><errors/></dialback>".encode()
_BIDI_FEATURE = f"<bidi xmlns='{ns.BIDI_FEATURE}'/>".encode()
_OURS = (StreamCondition.SYSTEM_SHUTDOWN, StreamCondition.RESET)
"""The errors with which we end streams for reasons of our own."""


class IncomingStream(ServerStream):
    """A stream on which the peer proves domains, and sends stanzas from those it has proved.

    Args:
        context: Shared by all streams.
        wire: The connection.
        known: Called when the peer has proved a domain.

    Attributes:
        local: The domain of ours that its header names; until then the first.
        remote: The domain that its header names: a claim, no more.
    """

    def __init__(self, context: ServerContext, wire: ServerWire, known: Callable[[], None]) -> None:
        super().__init__(context, wire)
        self._known = known
        self.local = min(context.routing_table.domains)
        self.remote = ""
        self._stream_id = token_hex(8)
        self._failures = 0
        self._is_explained = False
        self._their_error = ""

    @property
    def id(self) -> str:
        """Its name in the log."""
        return f"{self.remote or 'a server'} at {self.wire.address}"

    @property
    def stream_id(self) -> str:
        """The stream's id, given by us."""
        return self._stream_id

    def header(self) -> StreamHeader:
        """Our stream header; addressed, if the peer has named its domain."""
        return header_between(self.local, self.remote or None, id=self._stream_id)

    def _opened(self, header: StreamOpened) -> None:
        """Check a stream header and answer it (:rfc:`6120#section-4.7`)."""
        local = _domain(header.attributes.get("to"))
        if not self.accepted:
            self.remote = _domain(header.attributes.get("from"))
        served = self.context.serves(local)
        if served:
            self.local = local
        if LANG in header.attributes:
            self._language.speak(header.attributes[LANG])
        self.wire.open(self.header())
        check_header(header, self.namespace, "servers")
        if not served:
            raise StreamError(
                StreamCondition.HOST_UNKNOWN, "this server does not serve that domain"
            )
        if self.remote and self.context.policies.of(self.remote).block:
            self._tell_why(self.remote, "s2s.domain blocks it")
            raise StreamError(
                StreamCondition.POLICY_VIOLATION,
                "this server does not communicate with that domain",
            )
        if Stream.SECURE in self.stream:
            self.proof = self.context.trust.proof(self.wire.certificate_chain())
        if not self.ended:
            self.wire.offer(b"".join(self._features()))
        if self.bidirectional:
            for theirs, ours in self.accepted:
                self.may_carry(ours, theirs)

    def _features(self) -> list[bytes]:
        """The features of a stream that has come this far (SV-1)."""
        requires_tls = self.context.policies.of(self.remote).require_tls
        if not self.stream & (Stream.SECURE | Stream.WITHOUT_TLS):
            required = "<required/>" if requires_tls else ""
            offer = f"<starttls xmlns='{ns.TLS}'>{required}</starttls>".encode()
            if requires_tls:
                return [offer]
            return [offer, _BIDI_FEATURE, _DIALBACK]
        if Stream.AUTHENTICATED in self.stream:
            return [_DIALBACK]
        if Stream.SECURE in self.stream and self.remote and not self.proof.flaw_for(self.remote):
            return [_EXTERNAL, _BIDI_FEATURE, _DIALBACK]
        return [_BIDI_FEATURE, _DIALBACK]

    def _element(self, tree: Tree) -> Later:
        if tree.tag == _STARTTLS and not self.stream & (Stream.SECURE | Stream.WITHOUT_TLS):
            self._start_tls()
        elif tree.tag == _BIDI and not self.accepted:
            self.bidirectional = True
        elif tree.tag == _AUTH and Stream.SECURE in self.stream and not self.accepted:
            self._authenticate(tree)
        else:
            return super()._element(tree)
        return None

    def accept(self, remote: str, local: str) -> None:
        """Note that the peer has proved this domain of its, to this one of ours."""
        if not self.accepted:
            self._known()
        super().accept(remote, local)

    def _tell_why(self, remote: str, why: str) -> None:
        self._is_explained = True
        super()._tell_why(remote, why)

    def _asked_to_verify(self, asked: Dialback) -> None:
        self._is_explained = True  # that is all for which it has come
        super()._asked_to_verify(asked)

    def close(self) -> None:
        """Take no more stanzas; it is our wish, and needs no reason."""
        self._is_explained = True
        super().close()

    def _told(self, condition: str) -> None:
        self._their_error = f"the other server closed the stream: {condition}"
        super()._told(condition)

    def _end(self) -> None:
        """Take no more stanzas; a peer that goes without having proved anything is noted."""
        if not self.ended and not self.accepted and not self._is_explained:
            why = self._why_not_proved()
            if why:
                self._tell_why(self.remote, why)
        super()._end()

    def _why_not_proved(self) -> str:
        """The reason for which it has proved nothing; empty if it is ours."""
        error = self.wire.error
        if self.wire.tls_flaw:
            return f"TLS failed: {self.wire.tls_flaw}"
        if error is not None and error.condition in _OURS:
            return ""
        if error is not None:
            return f"{error.condition.value}: {error.text or 'the stream is malformed'}"
        return self._their_error or "the other server closed the stream before it proved its name"

    def _start_tls(self) -> None:
        self.wire.start_tls()
        self.stream |= Stream.SECURE
        self._stream_id = token_hex(8)

    def _authenticate(self, tree: Tree) -> None:
        """EXTERNAL: the peer's TLS certificate names its domain (:xep:`0178`)."""
        remote = self._authorization_identity(tree)
        flaw = self.proof.flaw_for(remote) if remote else "the stream header names no domain"
        policy = self.context.policies.of(remote)
        if (
            tree.get("mechanism") != "EXTERNAL"
            or flaw
            or policy.block
            or self.context.serves(remote)
        ):
            flaw = flaw or "that domain may not use EXTERNAL here"
            self._tell_why(remote, f"EXTERNAL: {flaw}")
            self._fail(flaw)
            return
        self.remote = remote
        self._note_proof(remote, self.local, "EXTERNAL, its certificate is valid")
        self.write(f"<success xmlns='{ns.SASL}'/>".encode())
        self._stream_id = token_hex(8)
        self.wire.restart()
        self.accept(remote, self.local)

    def _authorization_identity(self, tree: Tree) -> str:
        """The domain that the peer asks for; the header's, if it leaves that open."""
        text = (tree.text or "").strip()
        if text in ("", "="):
            return self.remote
        try:
            return _domain(b64decode(text, validate=True).decode())
        except (Base64Error, ValueError):
            return ""

    def _fail(self, flaw: str) -> None:
        self._failures += 1
        self.write(f"<failure xmlns='{ns.SASL}'><not-authorized/></failure>".encode())
        if self._failures >= MAX_FAILURES:
            raise StreamError(StreamCondition.POLICY_VIOLATION, "too many failed attempts")


def _domain(text: str | None) -> str:
    """A domain, prepared; empty if it is invalid."""
    try:
        return prepare_domain(text or "")
    except ValueError:
        return ""


def incoming_stream(context: ServerContext, connections: Connections, wire: Wire) -> IncomingStream:
    """The stream on a connection that has come in.

    Args:
        context: Shared by all streams.
        connections: All connections that other servers have made.
        wire: The connection.
    """
    assert isinstance(wire, ConnectionHandler)
    return IncomingStream(context, wire, partial(connections.greet, wire))
