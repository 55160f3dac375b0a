"""ComponentStream: the stream of a component that connects to us (:xep:`0114`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha1
from hmac import compare_digest
from secrets import token_hex

from twisted.logger import Logger

from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.base import SASLError
from xmppd.cluster.node import NodeId
from xmppd.components.component_route import ComponentRoute
from xmppd.components.component_session import ComponentSession
from xmppd.components.privileges import Voice
from xmppd.router.packet_router import PacketRouter
from xmppd.session.peer_counts import Peer
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
from xmppd.stanza.jid import prepare_domain
from xmppd.stanza.xml import local_name
from xmppd.stream.framing import StreamHeader
from xmppd.stream.stanza_intake import KINDS, Language, check_namespaces, stream_error_in
from xmppd.stream.stream_feature import Stream
from xmppd.stream.stream_handler import Wire
from xmppd.stream.stream_parser import Received, StreamClosed, StreamOpened

_STREAM_ERROR = qname(ns.STREAM, "error")
_HANDSHAKE = "handshake"
_KEEP_ALIVE = b" "

_log = Logger()


@dataclass(frozen=True)
class ConnectableComponent:
    """A component that may connect.

    Attributes:
        route: Leads to it.
        secret: Its shared secret.
        voice: Sends stanzas in others' names, as far as it may.
    """

    route: ComponentRoute
    secret: str
    voice: Voice


@dataclass(frozen=True)
class ComponentContext:
    """The stages and values that the streams of all components share.

    Attributes:
        domain: The server's own, for stanzas in its own name.
        components: The components that may connect, by domain.
        router: Takes the stanzas that come in.
        attempts: Slows down guesses.
        node: This one.
        connected: Called with a component that has proved itself.
        disconnected: Called when it is gone.
    """

    domain: JID
    components: Mapping[str, ConnectableComponent]
    router: PacketRouter
    attempts: AttemptLimiter
    node: NodeId
    connected: Callable[[ComponentSession], None]
    disconnected: Callable[[ComponentSession], None]


class ComponentStream:
    """One connection of a component, from its header to its end (CO-1 to CO-8).

    Attributes:
        stream: The state of its negotiation.
        session: Delivers to it; None before the handshake.
        ended: Whether its connection is gone or closing.
    """

    namespace = ns.COMPONENT

    def __init__(self, context: ComponentContext, wire: Wire) -> None:
        self.context = context
        self.wire = wire
        self.stream = Stream.NEW
        self.session: ComponentSession | None = None
        self._stream_id = token_hex(16)
        self._component: ConnectableComponent | None = None
        self._language = Language()
        self.ended = False

    @property
    def id(self) -> str:
        """Its name in the log."""
        name = "a component" if self._component is None else self._component.route.jid.domain
        return f"{name} ({self._stream_id[:8]})"

    @property
    def established(self) -> bool:
        """Whether the component has proved itself."""
        return self.session is not None

    @property
    def peer(self) -> Peer:
        """The component."""
        domain = "" if self._component is None else self._component.route.jid.domain
        return Peer(domain, "", self.wire.address, "", domain)

    def made(self) -> None:
        """Do nothing, since the component sends its header first."""

    def handle(self, event: StreamOpened | Received | StreamClosed) -> Later:
        """Take the next element that came.

        Raises:
            StreamError: The stream cannot go on.
        """
        if isinstance(event, Received):
            return self._element(event)
        if isinstance(event, StreamOpened):
            self._opened(event)
        else:
            self.wire.peer_closed()
        return None

    # -- the handshake --------------------------------------------------------------------------

    def header(self) -> StreamHeader:
        """Our stream header, which comes from the component's domain (§3)."""
        sender = self.context.domain if self._component is None else self._component.route.jid
        return StreamHeader(
            namespace=self.namespace, id=self._stream_id, sender=sender.domain, version=""
        )

    def _opened(self, header: StreamOpened) -> None:
        """Check a stream header, and answer it."""
        name = header.attributes.get("to")
        self._component = self.context.components.get(_prepared(name or ""))
        self.wire.open(self.header())
        check_namespaces(header, self.namespace, "components")
        if name is None:
            raise StreamError(
                StreamCondition.IMPROPER_ADDRESSING, "the stream header names no component"
            )
        if self._component is None:
            raise StreamError(StreamCondition.HOST_UNKNOWN, "this component is not configured")

    async def _handshake(self, component: ConnectableComponent, tree: Tree) -> None:
        """Let the component in, if it knows the secret; guesses wait (CO-2)."""
        domain, address = component.route.jid.domain, self.wire.address
        attempts = self.context.attempts
        try:
            await attempts.turn(domain, address)
        except SASLError as error:
            raise StreamError(StreamCondition.NOT_AUTHORIZED, error.text) from error
        if not _proves(tree.text or "", self._stream_id, component.secret):
            await attempts.failed(domain, address)
            raise StreamError(StreamCondition.NOT_AUTHORIZED, "wrong secret")
        attempts.succeeded(domain, address)
        if not self.ended:
            self._let_in(component)

    def _let_in(self, component: ConnectableComponent) -> None:
        if component.route.is_full:
            raise StreamError(
                StreamCondition.CONFLICT, "the component has reached its limit of connections"
            )
        self.session = ComponentSession(component.route.jid, self.wire, self.context.node)
        self.stream |= Stream.AUTHENTICATED
        self.wire.authenticated()
        self.wire.write(b"<handshake/>")
        component.route.join(self.session)
        self.context.connected(self.session)

    # -- stanzas from the component ---------------------------------------------------------------

    def _element(self, received: Received) -> Later:
        tree = received.tree
        kind, session, component = KINDS.get(tree.tag), self.session, self._component
        if tree.tag == _STREAM_ERROR:
            _log.info("{id} closed with {error}", id=self.id, error=stream_error_in(tree))
            self.wire.close()
            return None
        if component is None or session is None:
            if component is None or tree.tag != _HANDSHAKE:
                raise StreamError(StreamCondition.NOT_AUTHORIZED, "send the handshake first")
            return self._handshake(component, tree)
        if kind is not None:
            return self._stanza(kind, received, component, session)
        raise StreamError(
            StreamCondition.UNSUPPORTED_STANZA_TYPE, f"unknown element <{local_name(tree.tag)}/>"
        )

    def _stanza(
        self,
        kind: type[Stanza],
        received: Received,
        component: ConnectableComponent,
        session: ComponentSession,
    ) -> Later:
        """Give a stanza its type, check its sender, and route it (CO-3, CO-4)."""
        tree = received.tree
        self.wire.counts.came[kind.place] += 1
        try:
            sender = sender_at(tree.attrib.pop("from", None), session.jid)  # a payload has none
        except ValueError as error:
            raise StreamError(StreamCondition.INVALID_FROM, str(error)) from error
        try:
            stanza = self._language.typed(kind, received, sender)
        except StanzaError as error:
            self._refuse(kind.make(None, sender, id=tree.get("id"), type=tree.get("type")), error)
            return None
        if stanza.to is None:
            self._refuse(
                stanza, StanzaError(Condition.BAD_REQUEST, 'the stanza has no address in "to"')
            )
            return None
        if isinstance(stanza, IQ) and stanza.type in ("get", "set"):
            component.route.asked(session, stanza)
        if component.voice.is_wanted(stanza):
            return self._speak(stanza, component.voice)
        return self.context.router.route(stanza)

    async def _speak(self, envelope: Stanza, voice: Voice) -> None:
        """Route a stanza in an account's name, as if the account had sent it (CO-14)."""
        router = self.context.router
        try:
            message = await voice.message(envelope)
        except StanzaError as error:
            router.bounce(envelope, error)
            return
        later = router.route(message)
        if later is not None:
            await later

    def _refuse(self, stanza: Stanza, error: StanzaError) -> None:
        """Answer a stanza that cannot be routed with an error. Presence without an address reaches
        nobody, and is not answered.
        """
        if self.session is None or not stanza.answerable or isinstance(stanza, Presence):
            return
        answer = stanza.error(error).addressed(stanza.sender, self.context.domain)
        self.session.deliver(answer, answer.wire())

    # -- events of the connection -----------------------------------------------------------------

    def ping(self) -> None:
        """Send a space: XEP-0114 knows no ping, and few components would answer one (CO-9)."""
        self.wire.write(_KEEP_ALIVE)

    def wire_is_full(self) -> None:
        """Let stanzas wait, since the component reads slowly."""
        if self.session is not None:
            self.session.wire_is_full()

    def wire_is_free(self) -> None:
        """Write stanzas that wait, since the component has read everything."""
        if self.session is not None:
            self.session.wire_is_free()

    def hear_no_more(self) -> None:
        """Ignore further stanzas, since the stream ends with all others."""
        if self.session is not None:
            self.session.closed = True

    def wire_is_gone(self) -> None:
        """Forget the session, since its connection is gone or closing."""
        if self.ended:
            return
        self.ended = True
        if self.session is not None and self._component is not None:
            self.session.closed = True
            self._component.route.leave(self.session)
            self.context.disconnected(self.session)
            self._component.route.hand_on(self.session.take_unread())


def _prepared(domain: str) -> str:
    try:
        return prepare_domain(domain)
    except ValueError:
        return ""


def _proves(handshake: str, stream_id: str, secret: str) -> bool:
    """Whether a handshake proves the secret (§3), in constant time."""
    digest = sha1(f"{stream_id}{secret}".encode(), usedforsecurity=False).hexdigest()
    return compare_digest(digest.encode(), handshake.strip().lower().encode())


def sender_at(text: str | None, component: JID) -> JID:
    """The sender of a stanza: an address at the component's domain; without one, the component.

    Raises:
        ValueError: It is another address, or none.
    """
    sender = component if text is None else JID.parse(text)
    if sender.domain != component.domain:
        raise ValueError(f"the sender's address is not at {component.domain}")
    return sender
