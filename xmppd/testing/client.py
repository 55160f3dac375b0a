"""Clients, other servers and components for tests."""

import re
from collections.abc import Awaitable
from hashlib import sha1
from typing import Any, TypeVar
from xml.etree import ElementTree

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from xmppd.components.component_stream import ComponentStream
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Message, Presence, Stanza, Tree, ns
from xmppd.stanza.xml import write
from xmppd.stream.stanza_handler import StanzaHandler
from xmppd.testing.network import Home, MemoryTransport

T = TypeVar("T")


KINDS: dict[str, type[Stanza]] = {kind.name: kind for kind in (Message, Presence, IQ)}


_HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'"
    " to='{domain}' version='1.0'>"
)


_REQUEST = f"<r xmlns='{ns.STREAM_MANAGEMENT}'/>"


_COMPONENT_HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='{ns.COMPONENT}' xmlns:stream='{ns.STREAM}'"
    " to='{domain}'>"
)


_FRAMES = re.compile(rb"<\?xml[^>]*\?>|</?stream:stream[^>]*>")


class Stuck(AssertionError):
    """An error: work that a test expected to be done at once still waits."""


def done(work: Awaitable[T]) -> T:
    """The result of work that must not wait."""

    async def run() -> T:
        return await work

    results: list[Any] = []
    Deferred.fromCoroutine(run()).addBoth(results.append)
    if not results:
        raise Stuck(f"{work} still waits")
    if isinstance(results[0], Failure):
        results[0].raiseException()
    result: T = results[0]
    return result


class Elements(list[Tree]):
    """Elements that a client has got, in their order."""

    @classmethod
    def read(cls, data: bytes) -> "Elements":
        """Those in bytes of a stream, whose headers are left out."""
        inside = _FRAMES.sub(b"", data)
        root = ElementTree.fromstring(b"<s xmlns:stream='%b'>%b</s>" % (ns.STREAM.encode(), inside))
        return cls(root)

    def find_all(self, path: str) -> list[Tree]:
        """All that this path leads to, as ElementTree reads it: ``message/body``,
        ``iq[@id='1']/{urn:example:day}day``.
        """
        root = ElementTree.Element("s")
        root.extend(self)
        return root.findall(path)

    def find(self, path: str) -> Tree:
        """The one that this path leads to.

        Raises:
            AssertionError: There is none, or there are several; it shows what came.
        """
        found = self.find_all(path)
        if len(found) == 1:
            return found[0]
        came = "\n".join(self.texts()) or "nothing"
        raise AssertionError(f"{len(found) or 'none'} at {path!r}; there came\n{came}")

    def texts(self) -> list[str]:
        """Each, written the same way."""
        return [write(each).decode() for each in self]


class Client:
    """A client at the other end of a connection.

    Attributes:
        jid: Full JID, once bound.
        handler: The server's side of the connection.
        transport: In memory.
    """

    def __init__(self, house: Home, handler: ConnectionHandler, transport: MemoryTransport) -> None:
        self.house = house
        self.handler = handler
        self.transport = transport
        self.jid: JID | None = None
        self._stream = handler.stream_handler
        self._at_login = b""

    @property
    def at_login(self) -> Elements:
        """What came while a :class:`~xmppd.testing.house.House` had it bind and become available:
        the answers, the presence of contacts, and whatever a plugin says at that time.
        """
        return Elements.read(self._at_login)

    def keep(self) -> None:
        """Look, and keep what came as :attr:`at_login`."""
        self._at_login += self.raw()

    @property
    def stanza_handler(self) -> StanzaHandler:
        """The server's side of the stream, which the connection forgets when it is gone."""
        assert isinstance(self._stream, StanzaHandler)
        return self._stream

    @property
    def session(self) -> LocalClientSession:
        """The server's side of the session."""
        return self.stanza_handler.session

    def send(self, text: str | bytes) -> None:
        """Send XML, or any bytes, in one piece."""
        self.handler.dataReceived(text.encode() if isinstance(text, str) else text)
        self.house.network.settle()

    def raw(self) -> bytes:
        """All bytes that came since the last look."""
        self.house.network.settle()
        return self.transport.take()

    def received(self) -> list[str]:
        """The stanzas that came since the last look, each written the same way. The server's
        requests to acknowledge them (:xep:`0198`) are left out.
        """
        return [each for each in self.elements() if each != _REQUEST]

    def elements(self) -> list[str]:
        """The same, with all other elements."""
        return self.look().texts()

    def look(self) -> Elements:
        """The elements that came since the last look: ``client.look().find("message/body").text``;
        those of stanzas have no namespace.
        """
        return Elements.read(self.raw())

    def stop_reading(self) -> None:
        """Read so slowly that the connection is full."""
        self.handler.pauseProducing()

    def read_on(self) -> None:
        """Read all that waits on the connection."""
        self.handler.resumeProducing()

    def abort(self) -> None:
        """The network breaks."""
        self.transport.abortConnection()
        self.house.network.settle()

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection, or is about to; the session may be
        detached.
        """
        return self.session.closed or self.session.connection is not self.handler

    def enable(self, attributes: str = "resume='true'") -> str:
        """Switch stream management on (:xep:`0198`); returns the id to resume the session by, if
        any.
        """
        self.send(f"<enable xmlns='{ns.STREAM_MANAGEMENT}' {attributes}/>")
        enabled = ElementTree.fromstring(self.raw())
        assert enabled.tag.endswith("}enabled"), enabled.tag
        return enabled.get("id", "")

    def resume(self, id: str, h: int) -> list[str]:
        """Resume an earlier session, with so many stanzas handled; returns all that came then."""
        self.send(f"<resume xmlns='{ns.STREAM_MANAGEMENT}' previd='{id}' h='{h}'/>")
        self.jid = self.session.jid
        return self.received()

    def open(self, domain: str) -> None:
        """Send a stream header."""
        self.send(_HEADER.format(domain=domain))


class Elsewhere:
    """Another server, or a component, as a house sees it.

    Args:
        house: Whose other domains, but for its components, all lead here.
        domain: Of a component, if it is one.
    """

    def __init__(self, house: Home, domain: str | None = None) -> None:
        self.house = house
        self._heard: list[bytes] = []
        table = house.server.routing_table
        if domain is None:
            table.foreign = self
        else:
            table.components[domain] = self

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Take a stanza from the house."""
        assert stanza.to is not None, "a stanza that leaves the house names its address"
        self._heard.append(wire)
        return True

    def send(self, text: str) -> None:
        """Send a stanza from there to the house."""
        tree = ElementTree.fromstring(text)
        stanza = KINDS[tree.tag].from_tree(tree, JID.parse(tree.attrib["from"]))
        later = self.house.server.packet_router.route(stanza)
        if later is not None:
            Deferred.fromCoroutine(later)  # the result of a router never fails

    def heard(self) -> list[str]:
        """The stanzas that came since somebody looked, each written the same way."""
        heard, self._heard = self._heard, []
        return [write(ElementTree.fromstring(wire)).decode() for wire in heard]

    def lose(self, domain: str, local_domain: str = "") -> None:
        """Make this domain unreachable for the house, or for another domain of it: that of a
        service.
        """
        self.house.server.events.fire(RemoteServerLost(local_domain or self.house.domain, domain))


class ComponentClient(Client):
    """A component at the other end of a connection (:xep:`0114`)."""

    @property
    def stream(self) -> ComponentStream:
        """The server's side of the stream."""
        assert isinstance(self._stream, ComponentStream)
        return self._stream

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection, or is about to."""
        return self.stream.ended

    def open(self, domain: str) -> None:
        """Send a stream header."""
        self.send(_COMPONENT_HEADER.format(domain=domain))

    def shake_hands(self, secret: str) -> None:
        """Answer the stream header with the handshake."""
        stream_id = self.raw().partition(b" id='")[2].partition(b"'")[0].decode()
        proof = sha1(f"{stream_id}{secret}".encode()).hexdigest()  # noqa: S324  # XEP-0114 has it so
        self.send(f"<handshake>{proof}</handshake>")
