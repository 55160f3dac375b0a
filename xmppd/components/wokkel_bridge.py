"""WokkelComponent: handlers written for wokkel, unmodified, as a component inside the server.

wokkel's last release is of 2018, and parts of it do not import with today's Twisted. So this is the
one module that imports it, after it has put back what Twisted has removed. Code that uses wokkel
imports this module before.
"""

import sys
from collections.abc import Callable
from typing import Any

import constantly
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.python import compat
from twisted.python.failure import Failure
from twisted.words.protocols.jabber import ijabber, jid, xmlstream
from twisted.words.xish import domish, utility
from twisted.words.xish.xmlstream import BootstrapMixin

from xmppd.components.component_stream import sender_at
from xmppd.components.internal_component import InternalComponent
from xmppd.router.packet_router import PacketRouter
from xmppd.stanza import IQ, JID, Condition, Presence, Stanza, StanzaError, StreamError, Tree, ns
from xmppd.stanza.xml import local_name, namespace_of
from xmppd.stream.stanza_intake import KINDS
from xmppd.stream.stream_parser import ParserLimits, Received, StreamOpened, StreamParser

vars(compat).setdefault("_PY3", True)  # until Twisted 21.2
sys.modules.setdefault("twisted.python.constants", constantly)  # until Twisted 24.11

from wokkel.subprotocols import StreamManager  # noqa: E402  # needs what stands above

__all__ = ["WokkelComponent"]

LIMITS = ParserLimits(max_stanza_bytes=4 << 20, max_depth=256, max_attributes=256)
"""Limits for handlers in this server: only a mistake goes beyond."""

_HEADER = f"<stream:stream xmlns='{ns.COMPONENT}' xmlns:stream='{ns.STREAM}'>".encode()
Observer = Callable[..., object]


class WokkelComponent(InternalComponent):
    """A component made of wokkel's handlers: any ``XMPPHandler``, a ``PubSubService``, and so on.

    They find the same as behind a component's socket: a manager as their ``parent``, which
    sends, asks and queues, and an ``xmlstream`` with observers. A request that no handler has taken
    is answered as one that is not understood.

    Args:
        router: Where what it says goes.
        clock: The reactor's.
        domain: Its domain.
        handlers: Its handlers; unused before.
        name: For people.

    Attributes:
        manager: The parent of the handlers; more may be added later.
    """

    def __init__(
        self,
        router: PacketRouter,
        clock: IReactorTime,
        domain: str,
        *handlers: ijabber.IXMPPHandler,
        name: str = "",
    ) -> None:
        super().__init__(router, clock, domain, name)
        self._bootstraps = BootstrapMixin()
        self.manager = StreamManager(self._bootstraps, clock)
        self._stream = HandlerStream(self.jid.domain, self._say)
        self._parser = new_parser()
        for handler in handlers:
            handler.setHandlerParent(self.manager)

    def started(self) -> None:
        """Let the handlers know that they are connected, and may speak."""
        self._bootstraps.installBootstraps(self._stream)
        self._stream.dispatch(self._stream, xmlstream.STREAM_CONNECTED_EVENT)
        self._stream.dispatch(self._stream, xmlstream.STREAM_AUTHD_EVENT)

    def stopped(self) -> None:
        """Let the handlers know that they are not connected any more."""
        self._stream.dispatch(Failure(ConnectionDone()), xmlstream.STREAM_END_EVENT)

    def stanza_received(self, stanza: Stanza) -> None:
        """Give a stanza to the handlers.

        Raises:
            StanzaError: It is a request that no handler took, or whose handler failed.
        """
        element = element_of(stanza)
        failed = self._stream.show(element)
        if isinstance(stanza, IQ) and stanza.answerable and not element.handled:
            raise StanzaError(
                Condition.INTERNAL_SERVER_ERROR if failed else Condition.SERVICE_UNAVAILABLE
            )

    def _say(self, data: bytes) -> None:
        """Route what a handler has sent.

        Raises:
            ValueError: It is no stanza, or not from the component's domain.
        """
        for stanza in self._stanzas(data):
            if stanza.to is not None or not isinstance(stanza, Presence):
                self.send(stanza)  # presence without an address reaches nobody

    def _stanzas(self, data: bytes) -> list[Stanza]:
        parser, found = self._parser, []
        try:
            parser.feed(data)
            while (event := parser.next()) is not None:
                if not isinstance(event, Received) or event.tree.tag not in KINDS:
                    raise ValueError("a handler sent something other than a stanza")
                found.append(stanza_of(event.tree, self.jid))
            if parser.unread:
                raise ValueError("a handler sent half a stanza")
        except (StreamError, ValueError) as error:
            self._parser = new_parser()
            raise ValueError(f"{self.jid} sent a malformed stanza: {error}") from error
        return found


def new_parser() -> StreamParser:
    """A parser of what handlers send, behind the header of a component."""
    parser = StreamParser(LIMITS, ns.COMPONENT)
    parser.feed(_HEADER)
    assert isinstance(parser.next(), StreamOpened)
    return parser


class HandlerStream(utility.EventDispatcher):
    """The stream of a component, as handlers see it.

    Args:
        domain: The component's.
        say: Takes the stanzas they send, as bytes.

    Attributes:
        thisEntity: The component's address.
        namespace: The content namespace of its stanzas.
    """

    def __init__(self, domain: str, say: Callable[[bytes], None]) -> None:
        super().__init__()
        self.thisEntity = jid.JID(domain)
        self.namespace = ns.COMPONENT
        self._say = say
        self._failed = False

    def send(self, obj: Any) -> None:
        """Send a stanza, as an element or written."""
        if domish.IElement.providedBy(obj):
            self._say(obj.toXml(defaultUri=ns.COMPONENT).encode())
        else:
            self._say(obj.encode() if isinstance(obj, str) else obj)

    def show(self, element: domish.Element) -> bool:
        """Call the observers of such a stanza; returns whether one failed."""
        self._failed = False
        self.dispatch(element)
        return self._failed

    def failed(self) -> None:
        """An observer has raised; it is logged where it was called."""
        self._failed = True

    def addObserver(
        self, event: Any, observerfn: Observer, priority: int = 0, *args: Any, **kwargs: Any
    ) -> None:
        """Call a function with the stanzas that match."""
        super().addObserver(event, _Watched(observerfn, self), priority, *args, **kwargs)

    def addOnetimeObserver(
        self, event: Any, observerfn: Observer, priority: int = 0, *args: Any, **kwargs: Any
    ) -> None:
        """Call a function with the first stanza that matches."""
        super().addOnetimeObserver(event, _Watched(observerfn, self), priority, *args, **kwargs)

    def removeObserver(self, event: Any, observerfn: Observer) -> None:
        """Remove a function."""
        super().removeObserver(event, _Watched(observerfn, self))


class _Watched:
    """An observer that tells its stream if it fails; else equal to the function itself."""

    def __init__(self, function: Observer, stream: HandlerStream) -> None:
        self._function = function
        self._stream = stream

    def __call__(self, *args: Any, **kwargs: Any) -> None:
        try:
            self._function(*args, **kwargs)
        except Exception:
            self._stream.failed()
            raise

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Watched) and self._function == other._function

    def __hash__(self) -> int:
        return hash(self._function)


# -- between wokkel's stanzas and ours ------------------------------------------------------------


def element_of(stanza: Stanza) -> domish.Element:
    """A stanza as an element for handlers."""
    element = _converted(stanza.payload.tree, ns.COMPONENT)
    element["from"] = stanza.sender.full
    if stanza.to is not None:
        element["to"] = stanza.to.full
    element.handled = False  # type: ignore[attr-defined]  # as on a real stream
    return element


def _converted(tree: Tree, scope: str) -> domish.Element:
    """An element in which a bare name is in the namespace ``scope``."""
    uri = scope if tree.tag[0] != "{" else namespace_of(tree.tag)
    attributes = {_attribute(key): value for key, value in tree.attrib.items()}
    element = domish.Element((uri, local_name(tree.tag)), attribs=attributes)
    if tree.text:
        element.addContent(tree.text)
    for child in tree:
        element.addChild(_converted(child, ns.COMPONENT if uri == scope == ns.COMPONENT else ""))
        if child.tail:
            element.addContent(child.tail)
    return element


def _attribute(key: str) -> str | tuple[str, str]:
    return (namespace_of(key), local_name(key)) if key[0] == "{" else key


def stanza_of(tree: Tree, component: JID) -> Stanza:
    """A stanza from the element that a handler has sent.

    Raises:
        ValueError: It is not from the component's domain, or an address in it is invalid.
    """
    return KINDS[tree.tag].from_tree(tree, sender_at(tree.get("from"), component))
