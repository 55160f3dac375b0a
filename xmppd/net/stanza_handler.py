"""From elements to stanzas: negotiate, give them their type, stamp their sender, hand them on."""

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from xmppd.net.stanza_intake import KINDS, Language, check_header, served, stream_error_in
from xmppd.net.stream_feature import Stream, StreamFeatures
from xmppd.net.stream_handler import Wire
from xmppd.net.stream_parser import Received, StreamClosed, StreamOpened
from xmppd.router.packet_router import PacketRouter
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Later,
    Presence,
    Stanza,
    StanzaError,
    StreamCondition,
    StreamError,
    Tree,
    ns,
    qname,
)
from xmppd.stanza.stanza import error_bytes
from xmppd.stanza.xml import LANG, local_name

_STREAM_ERROR = qname(ns.STREAM, "error")
_PING = f"<ping xmlns='{ns.PING}'/>".encode()

_log = Logger()


@dataclass(frozen=True)
class StreamContext:
    """What all streams of a listener share.

    Attributes:
        domains: Served here.
        features: The table of stream features.
        router: Where stanzas go.
        sessions: Where sessions live.
    """

    domains: Sequence[str]
    features: StreamFeatures
    router: PacketRouter
    sessions: SessionManager


class StanzaHandler:
    """One stream of a client, from its header to its end.

    Attributes:
        stream: How far it has come.
        domain: The domain it was opened to; the first one served, until it says.
        session: Its session.
    """

    def __init__(self, context: StreamContext, wire: Wire) -> None:
        self.context = context
        self.wire = wire
        self.stream = Stream.NEW
        self.domain = context.domains[0]
        self.session = context.sessions.open(wire, self.domain)
        self._stream_id = self.session.id
        self._peer = b""
        self._language = Language()
        self._ended = False

    @property
    def id(self) -> str:
        """What the log calls it."""
        return self.session.id

    @property
    def established(self) -> bool:
        """Whether the client has bound a resource."""
        return self.session.bound

    def made(self) -> None:
        """The client speaks first."""

    def handle(self, event: StreamOpened | Received | StreamClosed) -> Later:
        """Take the next thing that came.

        Raises:
            StreamError: The stream cannot go on.
        """
        if isinstance(event, Received):
            kind = KINDS.get(event.tree.tag)
            if kind is not None:
                return self._stanza(kind, event)
            return self._element(event.tree)
        if isinstance(event, StreamOpened):
            return self._opened(event)
        self.wire.peer_closed()
        return None

    def write(self, data: bytes) -> None:
        """Send these bytes."""
        self.wire.write(data)

    # -- negotiation ----------------------------------------------------------------------------

    def _opened(self, header: StreamOpened) -> None:
        """Check a stream header and answer it (:rfc:`6120#section-4.7`)."""
        domain = served(header.attributes.get("to"), self.context.domains)
        if domain is not None and domain != self.domain and self.session.account is None:
            self.domain = domain
            self.context.sessions.move(self.session, domain)
        if LANG in header.attributes:
            self._language.speak(header.attributes[LANG])
        self._peer = _claimed(header.attributes.get("from"))
        self.wire.open(self.header())
        check_header(header, ns.CLIENT, "clients")
        if domain != self.domain:
            raise StreamError(StreamCondition.HOST_UNKNOWN, "this domain is not served here")
        self.write(self.context.features.advertised(self))

    def header(self) -> bytes:
        """Our side's stream header; addressed, if the peer has said who it is (§4.7.2)."""
        head = (
            f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'"
            f" id='{self._stream_id}' from='{self.domain}' version='1.0' xml:lang='en'"
        )
        return head.encode() + self._peer + b">"

    def _element(self, tree: Tree) -> Later:
        """An element that is no stanza: part of the negotiation, or nothing we know."""
        taker = self.context.features.taker(tree.tag, self.stream)
        if taker is not None:
            return taker(self, tree)
        if tree.tag == _STREAM_ERROR:
            _log.info("{id} was told {error}", id=self.session.id, error=stream_error_in(tree))
            self.wire.close()
            return None
        if self.context.features.knows(tree.tag):
            raise StreamError(StreamCondition.NOT_AUTHORIZED, "not at this point of the stream")
        raise StreamError(
            StreamCondition.UNSUPPORTED_STANZA_TYPE, f"<{local_name(tree.tag)}/> is not known here"
        )

    def restart(self) -> None:
        """Expect the header of a new stream, which gets an id of its own (SH-3, SH-4)."""
        self._stream_id = token_hex(8)
        self.wire.restart()

    def start_tls(self) -> None:
        """Speak TLS from here on."""
        self.wire.start_tls()
        self._stream_id = token_hex(8)
        self.stream |= Stream.SECURE

    def authenticated(self, account: JID) -> None:
        """The peer proved that it owns this account."""
        self.session.account = account
        self.stream |= Stream.AUTHENTICATED
        self.wire.authenticated()

    # -- stanzas --------------------------------------------------------------------------------

    def _stanza(self, kind: type[Stanza], received: Received) -> Later:
        """Give a stanza its type and its sender, and route it (SI-1 to SI-9)."""
        session = self.session
        tree = received.tree
        if not session.bound and not self._may_go_before_bind(kind, tree):
            raise StreamError(StreamCondition.NOT_AUTHORIZED, "log in and bind a resource first")
        if "from" in tree.attrib:
            self._check_from(tree.attrib["from"])
        try:
            stanza = self._language.typed(kind, received, self.session.jid)
        except ValueError as error:
            self._malformed(kind, tree, str(error))
            return None
        return self.context.router.route(stanza)

    def _may_go_before_bind(self, kind: type[Stanza], tree: Tree) -> bool:
        """Binding itself, and what else says of itself that it may; and to the server only."""
        to = tree.get("to")
        if kind is not IQ or len(tree) != 1 or (to and served(to, self.context.domains) is None):
            return False
        handler = self.context.router.iq_router.handlers.get(tree[0].tag)
        return handler is not None and handler.before_bind

    def _check_from(self, text: str) -> None:
        """A client may write its own address, and no other (:rfc:`6120#section-8.1.2.1`)."""
        try:
            claimed = JID.parse(text)
        except ValueError as error:
            raise StreamError(StreamCondition.INVALID_FROM, str(error)) from error
        own = self.session.jid
        if claimed.full not in (own.full, own.bare):
            raise StreamError(StreamCondition.INVALID_FROM, "that is not your address")

    def _malformed(self, kind: type[Stanza], tree: Tree, text: str) -> None:
        """Answer a stanza whose ``to`` is no address (SI-2)."""
        if tree.get("type") not in ("error", "result"):
            error = StanzaError(Condition.JID_MALFORMED, text)
            answer = kind.make(
                self.session.jid, JID.parse(self.domain), error_bytes(error),
                id=tree.get("id"), type="error",
            )  # fmt: skip
            self.session.deliver(answer, answer.wire())

    # -- what the wire has to say ---------------------------------------------------------------

    def ping(self) -> None:
        """Ask whether the client is there (:xep:`0199`)."""
        session = self.session
        server = JID.parse(session.jid.domain)
        ping = IQ.make(session.jid, server, _PING, id="are-you-there", type="get")
        session.deliver(ping, ping.wire())

    def wire_is_full(self) -> None:
        """The client reads slowly."""
        self.session.wire_is_full()

    def wire_is_free(self) -> None:
        """It has read all."""
        self.session.wire_is_free()

    def hear_no_more(self) -> None:
        """The stream is about to end with all others: what they still say does not matter here."""
        self.session.closed = True

    def end(self) -> None:
        """The wire is gone or going: say goodbye for the session, then forget it (SM-5, SM-8)."""
        if self._ended:
            return
        self._ended = True
        session = self.session
        session.closed = True
        if session.bound:
            gone = Presence.make(None, session.jid, type="unavailable")
            later = self.context.router.route(gone)
            if later is not None:
                Deferred.fromCoroutine(later)  # what a router returns never fails
        self.context.sessions.close(session)
        unread = session.take_unread()
        if unread:
            self.context.router.take_back(unread, session.jid)


def _claimed(sender: str | None) -> bytes:
    """The ``to`` of our header: whom the peer says it is. Nothing else follows from that."""
    try:
        return b"" if sender is None else b" to='%b'" % JID.parse(sender).wire
    except ValueError:
        return b""
