"""StanzaHandler: negotiates a client's stream, and makes stanzas of its elements."""

from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

from twisted.logger import Logger

from xmppd.account.session_end import SessionEnd
from xmppd.router.packet_router import PacketRouter
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.peer_counts import Peer
from xmppd.session.resumable_sessions import ResumableSessions
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import (
    IQ,
    JID,
    Later,
    Message,
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
from xmppd.stream.framing import StreamHeader
from xmppd.stream.stanza_intake import KINDS, Language, check_header, served, stream_error_in
from xmppd.stream.stream_feature import Stream, StreamFeatures
from xmppd.stream.stream_handler import Wire
from xmppd.stream.stream_parser import Received, StreamClosed, StreamOpened

_STREAM_ERROR = qname(ns.STREAM, "error")
_PING = f"<ping xmlns='{ns.PING}'/>".encode()

_log = Logger()


@dataclass(frozen=True)
class StreamContext:
    """The stages and values that all streams of a listener share.

    Attributes:
        domains: Served here.
        features: The table of stream features.
        router: Takes the stanzas that come in.
        sessions: Opens sessions.
        resumable_sessions: Those that outlive their connection.
        session_end: Ends all others with theirs.
    """

    domains: Sequence[str]
    features: StreamFeatures
    router: PacketRouter
    sessions: SessionManager
    resumable_sessions: ResumableSessions
    session_end: SessionEnd


class StanzaHandler:
    """One stream of a client, from its header to its end.

    Attributes:
        stream: The state of its negotiation.
        domain: The domain it was opened to; until then the first one served.
        session: Its session.
        claimed: The account that its header names.
    """

    namespace = ns.CLIENT

    def __init__(self, context: StreamContext, wire: Wire) -> None:
        self.context = context
        self.wire = wire
        self.stream = Stream.NEW
        self.domain = context.domains[0]
        self.session = context.sessions.open(wire, self.domain)
        self._stream_id = self.session.id
        self.claimed: JID | None = None
        self._language = Language()
        self._came = wire.counts.came
        self._ended = False

    @property
    def id(self) -> str:
        """Its name in the log."""
        return self.session.id

    @property
    def established(self) -> bool:
        """Whether the client has bound a resource."""
        return self.session.bound

    @property
    def peer(self) -> Peer:
        """The client."""
        session, account = self.session, self.session.account
        return Peer(
            session.jid.full,
            "" if account is None else account.bare,
            self.wire.address,
            session.agent,
            session.jid.domain,
        )

    def made(self) -> None:
        """Do nothing, since the client sends its header first."""

    def handle(self, event: StreamOpened | Received | StreamClosed) -> Later:
        """Take the next event of the stream.

        Raises:
            StreamError: The stream cannot go on.
        """
        if isinstance(event, Received):
            kind = KINDS.get(event.tree.tag)
            if kind is not None:
                management = self.session.management
                later = self._stanza(kind, event)
                if management is None:
                    return later
                if kind is Message:
                    management.tells(event.tree.get("to", ""))
                return management.count_handled(later)
            return self._element(event.tree)
        if isinstance(event, StreamOpened):
            return self._opened(event)
        self.wire.peer_closed()
        return None

    def write(self, data: bytes) -> None:
        """Send one element."""
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
        self.claimed = _claimed(header.attributes.get("from"))
        self.wire.open(self.header())
        check_header(header, self.namespace, "clients")
        if domain != self.domain:
            raise StreamError(
                StreamCondition.HOST_UNKNOWN, "this server does not serve that domain"
            )
        self.offer()

    def offer(self) -> None:
        """Send the features that the stream has now."""
        self.wire.offer(self.context.features.advertised(self))

    def header(self) -> StreamHeader:
        """Our stream header; addressed, if the peer has named itself (§4.7.2)."""
        return StreamHeader(
            namespace=self.namespace,
            id=self._stream_id,
            sender=self.domain,
            to=None if self.claimed is None else self.claimed.full,
            language="en",
        )

    def _element(self, tree: Tree) -> Later:
        """Handle an element that is no stanza: a feature takes it, or the stream ends."""
        taker = self.context.features.taker(tree.tag, self.stream)
        if taker is not None:
            return taker(self, tree)
        if tree.tag == _STREAM_ERROR:
            _log.info("{id} closed with {error}", id=self.session.id, error=stream_error_in(tree))
            self.wire.close()
            return None
        if self.context.features.knows(tree.tag):
            raise StreamError(
                StreamCondition.NOT_AUTHORIZED,
                "this element is not allowed at this point of the stream",
            )
        raise StreamError(
            StreamCondition.UNSUPPORTED_STANZA_TYPE, f"unknown element <{local_name(tree.tag)}/>"
        )

    def restart(self) -> None:
        """Expect the header of a new stream, which gets an id of its own (SH-3, SH-4)."""
        self._stream_id = token_hex(8)
        self.wire.restart()

    def start_tls(self) -> None:
        """Begin TLS."""
        self.wire.start_tls()
        self._stream_id = token_hex(8)
        self.stream |= Stream.SECURE

    def authenticated(self, account: JID) -> None:
        """Note that the peer has proved to own this account."""
        self.session.account = account
        self.stream |= Stream.AUTHENTICATED
        self.wire.authenticated()

    def take_over(self, session: LocalClientSession) -> None:
        """Go on with a session that had another stream; the one this stream began with ends."""
        session.login = self.session.login
        self.session.closed = True
        self.context.sessions.close(self.session)
        self.session = session

    # -- stanzas --------------------------------------------------------------------------------

    def _stanza(self, kind: type[Stanza], received: Received) -> Later:
        """Give a stanza its type and its sender, and route it (SI-1 to SI-9)."""
        session = self.session
        tree = received.tree
        self._came[kind.place] += 1
        if not session.bound and not self._may_go_before_bind(kind, tree):
            raise StreamError(StreamCondition.NOT_AUTHORIZED, "log in and bind a resource first")
        if "from" in tree.attrib:
            self._check_from(tree.attrib.pop("from"))  # a payload never has it
        try:
            stanza = self._language.typed(kind, received, self.session.jid)
        except StanzaError as error:
            self._refuse(kind, tree, error)
            return None
        return self.context.router.route(stanza)

    def _may_go_before_bind(self, kind: type[Stanza], tree: Tree) -> bool:
        """Whether a request may come before binding: its handler says so; it is to the server."""
        to = tree.get("to")
        if kind is not IQ or len(tree) != 1 or (to and served(to, self.context.domains) is None):
            return False
        handler = self.context.router.iq_router.handlers.get(tree[0].tag)
        return handler is not None and handler.before_bind

    def _check_from(self, text: str) -> None:
        """Refuse a ``from`` that is not the client's own address (:rfc:`6120#section-8.1.2.1`)."""
        try:
            claimed = JID.parse(text)
        except ValueError as error:
            raise StreamError(StreamCondition.INVALID_FROM, str(error)) from error
        own = self.session.jid
        if claimed.full not in (own.full, own.bare):
            raise StreamError(StreamCondition.INVALID_FROM, "that is not your address")

    def _refuse(self, kind: type[Stanza], tree: Tree, error: StanzaError) -> None:
        """Answer an element that cannot be made a stanza (SI-2)."""
        if tree.get("type") not in ("error", "result"):
            answer = kind.make(
                self.session.jid, JID.parse(self.domain), error_bytes(error),
                id=tree.get("id"), type="error",
            )  # fmt: skip
            self.session.deliver(answer, answer.wire())

    # -- events of the connection -----------------------------------------------------------------

    def ping(self) -> None:
        """Ping the client (:xep:`0199`)."""
        session = self.session
        server = JID.parse(session.jid.domain)
        ping = IQ.make(session.jid, server, _PING, id="are-you-there", type="get")
        session.deliver(ping, ping.wire())

    def wire_is_full(self) -> None:
        """Let stanzas wait, since the client reads slowly."""
        if self._has_session:
            self.session.wire_is_full()

    def wire_is_free(self) -> None:
        """Write stanzas that wait, since the client has read everything."""
        if self._has_session:
            self.session.wire_is_free()

    @property
    def _has_session(self) -> bool:
        """Whether the session still has this connection: it may be resumed on another (RS-4)."""
        return self.session.connection is self.wire

    def hear_no_more(self) -> None:
        """Close the session, since the stream ends with all others.

        A session that may be resumed is detached from now on instead.
        """
        if not self._has_session:
            return
        if self._outlives_wire:
            self.context.resumable_sessions.detach(self.session)
        else:
            self.session.closed = True

    @property
    def _outlives_wire(self) -> bool:
        management = self.session.management
        return management is not None and management.key is not None

    def wire_is_gone(self) -> None:
        """Detach or close the session, since its connection is gone or closing (RS-4, SM-5)."""
        if self._ended:
            return
        self._ended = True
        if not self._has_session:
            return
        if self.wire.by_accident and self._outlives_wire:
            self.context.resumable_sessions.detach(self.session)
        else:
            self.context.session_end.close(self.session)


def _claimed(sender: str | None) -> JID | None:
    """The address that the peer's header names; ours is addressed to it."""
    try:
        return None if sender is None else JID.parse(sender)
    except ValueError:
        return None
