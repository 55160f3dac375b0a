"""House: a whole server in memory with a clock you turn by hand, for our tests and every plugin's.

::

    house = House("montague.lit", romeo={"juliet": "both"}, juliet={"romeo": "both"})
    romeo, juliet = house.connect("romeo", "juliet")
    romeo.send("<presence/>")

Two houses that find each other::

    verona, mantua = House("verona.lit"), House("mantua.lit")
    federate(verona, mantua)
"""

import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha1
from typing import Any, ParamSpec, TypeVar
from xml.etree import ElementTree

from msgspec import convert
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, ISystemHandle
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.clocks import Clocks
from xmppd.components.component_stream import ComponentStream
from xmppd.config import Config
from xmppd.machine import Descriptors
from xmppd.net.admission import LARGEST_WINDOW
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.stanza_handler import StanzaHandler
from xmppd.net.stream_feature import Stream
from xmppd.plugin_manager import PluginManager
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.s2s.connector import Visitor
from xmppd.s2s.lost import not_found
from xmppd.s2s.targets import Directions, Target
from xmppd.server import XMPPServer
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Message, Presence, Stanza, ns
from xmppd.stanza.xml import write
from xmppd.store.base import RosterItem, Store
from xmppd.store.memory import MemoryStore

P = ParamSpec("P")
T = TypeVar("T")
SOME_AFTERNOON = 1_700_000_000.0
PASSWORD = "a rose by any other name"
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


class Stuck(AssertionError):
    """Something that a test expected to be done at once still waits."""


def done(work: Awaitable[T]) -> T:
    """What the work comes to; it must not have to wait for anything."""

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


@implementer(ISystemHandle)
class Transport(StringTransport):
    """A wire in memory that tells its protocol when it is closed.

    Attributes:
        ended: Whether the server will write no more.
        lost: Whether it is closed.
    """

    protocol: ConnectionHandler
    ended = lost = False

    def __init__(self, address: str, protocol: ConnectionHandler) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", address, 40_000))  # type: ignore[no-untyped-call]
        self.protocol = protocol

    def getHandle(self) -> None:
        """There is no socket below."""

    def take(self) -> bytes:
        """What was written since somebody took it."""
        data: bytes = self.value()  # type: ignore[no-untyped-call]
        self.clear()  # type: ignore[no-untyped-call]
        return data

    def loseWriteConnection(self) -> None:
        """Close the server's half: its peer hears the end, and may still say something."""
        self.ended = True

    def loseConnection(self) -> None:
        """Close, once what was written has been read: at once, here."""
        self._close(ConnectionDone())

    def abortConnection(self) -> None:
        """Close without ceremony."""
        self._close(ConnectionLost())

    def _close(self, reason: Exception) -> None:
        if not self.lost:
            self.lost = True
            self.disconnecting = True
            protocol, self.producer = self.protocol, None
            del self.protocol
            protocol.connectionLost(Failure(reason))


class Client:
    """Somebody at the other end of a wire.

    Attributes:
        jid: Full JID, once bound.
        handler: The server's side of the wire.
        transport: The wire.
    """

    def __init__(self, house: "House", handler: ConnectionHandler, transport: Transport) -> None:
        self.house = house
        self.handler = handler
        self.transport = transport
        self.jid: JID | None = None
        self._stream = handler.stream_handler

    @property
    def stanza_handler(self) -> StanzaHandler:
        """The server's side of the stream, which the wire forgets when it is gone."""
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
        """All bytes that came since somebody looked."""
        self.house.network.settle()
        return self.transport.take()

    def received(self) -> list[str]:
        """The stanzas that came since somebody looked, each written the same way.

        The server's requests to acknowledge them (:xep:`0198`) are left out.
        """
        return [each for each in self.elements() if each != _REQUEST]

    def elements(self) -> list[str]:
        """The same, with whatever else came."""
        data = self.raw().removesuffix(b"</stream:stream>")
        tree = ElementTree.fromstring(b"<s xmlns:stream='%b'>%b</s>" % (ns.STREAM.encode(), data))
        return [write(stanza).decode() for stanza in tree]

    def stop_reading(self) -> None:
        """Read so slowly that the wire is full."""
        self.handler.pauseProducing()

    def read_on(self) -> None:
        """Read all that is on the wire."""
        self.handler.resumeProducing()

    def lose(self) -> None:
        """The network breaks."""
        self.transport.abortConnection()
        self.house.network.settle()

    @property
    def closed(self) -> bool:
        """Whether the server hung up, or is about to; the session may sleep."""
        return self.session.closed or self.session.connection is not self.handler

    def enable(self, attributes: str = "resume='true'") -> str:
        """Switch stream management on (:xep:`0198`); the id to resume the session by, if any."""
        self.send(f"<enable xmlns='{ns.STREAM_MANAGEMENT}' {attributes}/>")
        enabled = ElementTree.fromstring(self.raw())
        assert enabled.tag.endswith("}enabled"), enabled.tag
        return enabled.get("id", "")

    def resume(self, id: str, h: int) -> list[str]:
        """Ask for an earlier session, with so many stanzas handled; all that came then."""
        self.send(f"<resume xmlns='{ns.STREAM_MANAGEMENT}' previd='{id}' h='{h}'/>")
        self.jid = self.session.jid
        return self.received()

    def open(self, domain: str) -> None:
        """Send a stream header."""
        self.send(_HEADER.format(domain=domain))


class Elsewhere:
    """Another server, or a component, as far as it is seen from a house: it hears and speaks.

    Args:
        house: Whose other domains, but for its components, all lead here.
        domain: Of a component, if it is one.
    """

    def __init__(self, house: "House", domain: str | None = None) -> None:
        self.house = house
        self._heard: list[bytes] = []
        table = house.server.routing_table
        if domain is None:
            table.foreign = self
        else:
            table.components[domain] = self

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """A stanza comes from the house."""
        assert stanza.to is not None, "a stanza that leaves the house names its address"
        self._heard.append(wire)
        return True

    def send(self, text: str) -> None:
        """Somebody there sends a stanza to somebody in the house."""
        tree = ElementTree.fromstring(text)
        stanza = KINDS[tree.tag].from_tree(tree, JID.parse(tree.attrib["from"]))
        later = self.house.server.packet_router.route(stanza)
        if later is not None:
            Deferred.fromCoroutine(later)  # what a router returns never fails

    def heard(self) -> list[str]:
        """The stanzas that came since somebody looked, each written the same way."""
        heard, self._heard = self._heard, []
        return [write(ElementTree.fromstring(wire)).decode() for wire in heard]

    def lose(self, domain: str) -> None:
        """The house finds that it cannot reach this domain any more."""
        self.house.server.events.fire(RemoteServerLost(self.house.domain, domain))


class Line:
    """One end of a connection between two houses: what is written arrives when the net settles."""

    def __init__(self, network: "Network", address: str) -> None:
        self.network = network
        self.address = address
        self.protocol: ConnectionHandler
        self.other: Line
        self.lost = False
        self.sent = b""

    def write(self, data: bytes) -> None:
        """Let it arrive at the other end, later."""
        self.sent += data
        if not self.lost:
            self.network.later(self.other.receive, data)

    def receive(self, data: bytes) -> None:
        """It arrives."""
        if not self.lost:
            self.protocol.dataReceived(data)

    def loseConnection(self) -> None:
        """Close both ends, behind what was written."""
        self.network.later(self.close, ConnectionDone())
        self.network.later(self.other.close, ConnectionDone())

    def loseWriteConnection(self) -> None:
        """Close the other end, behind what was written, and with it this one."""
        self.network.later(self.other.close, ConnectionDone())
        self.network.later(self.close, ConnectionDone())

    def abortConnection(self) -> None:
        """Close both ends; what was written is lost."""
        self.close(ConnectionLost())
        self.network.later(self.other.close, ConnectionLost())

    def close(self, reason: Exception) -> None:
        """Tell the protocol, once."""
        if not self.lost:
            self.lost = True
            protocol = self.protocol
            del self.protocol
            protocol.connectionLost(Failure(reason))

    def getPeer(self) -> IPv4Address:
        """Who is at the other end."""
        return IPv4Address("TCP", self.other.address, 5269)

    def getHandle(self) -> object:
        """There is no socket."""
        return None

    def startTLS(self, contexts: object) -> None:
        """There is no need."""

    def watch_queue(self, watcher: object) -> None:
        """It takes everything."""

    def pauseProducing(self) -> None:
        """What arrives is kept by the protocol."""

    def resumeProducing(self) -> None:
        """The protocol has it."""


class Network:
    """The lines between houses.

    Attributes:
        houses: By domain: who is found.
        lines: All that were ever made, the caller's end first.
    """

    def __init__(self) -> None:
        self.houses: dict[str, House] = {}
        self.lines: list[tuple[Line, Line]] = []
        self._due: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._settling = False

    def later(self, call: Callable[..., None], *args: object) -> None:
        """Do it when the net settles, behind all that is to be done already."""
        self._due.append((call, args))

    def settle(self) -> None:
        """Let everything arrive that is under way, and what is said to it."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._due:
                arrive, what = self._due.popleft()
                arrive(*what)
        finally:
            self._settling = False

    def cut(self, domain: str) -> None:
        """The server of this domain is not found any more, and its lines break."""
        house = self.houses.pop(domain)
        for ends in self.lines:
            for line in ends:
                if line.address == house.address:
                    line.abortConnection()
        self.settle()


class MemoryConnector:
    """Finds the houses of a network."""

    def __init__(self, house: "House") -> None:
        self.house = house

    def use(self, directions: Directions) -> None:
        """Every house is where it is."""

    async def connect(self, domain: str, visitor: Visitor) -> IProtocol:
        """A line to the house that serves a domain.

        Raises:
            StanzaError: REMOTE_SERVER_NOT_FOUND: there is none.
        """
        network = self.house.network
        here = Deferred[None]()
        network.later(here.callback, None)
        await here
        there = network.houses.get(domain)
        if there is None:
            raise not_found("there is no such house")
        ours, theirs = Line(network, self.house.address), Line(network, there.address)
        ours.other, theirs.other = theirs, ours
        network.lines.append((ours, theirs))
        listener = there.server.server_listener("none")
        theirs.protocol = listener.buildProtocol(IPv4Address("TCP", self.house.address, 1))
        protocol = visitor.make(Target(there.address))
        assert isinstance(protocol, ConnectionHandler)
        ours.protocol = protocol
        for line in (theirs, ours):
            line.protocol.makeConnection(line)  # type: ignore[no-untyped-call]
        await visitor.settle(protocol)
        return protocol

    def forget(self, domain: str) -> None:
        """Nothing is remembered."""


def federate(*houses: "House") -> Network:
    """Let houses find each other; what one sends arrives at the other when somebody looks.

    That is whenever a client sends or receives, or with :meth:`Network.settle`. Their clocks are
    apart still.
    """
    network = Network()
    for number, house in enumerate(houses, 1):
        house.address = f"198.51.100.{number}"
        house.network = network
        for domain in house.server.domains:
            network.houses[domain] = house
    return network


class Service(Client):
    """A component at the other end of a wire (:xep:`0114`)."""

    @property
    def stream(self) -> ComponentStream:
        """The server's side of the stream."""
        assert isinstance(self._stream, ComponentStream)
        return self._stream

    @property
    def closed(self) -> bool:
        """Whether the server hung up, or is about to."""
        return self.stream.ended

    def open(self, domain: str) -> None:
        """Send a stream header."""
        self.send(_COMPONENT_HEADER.format(domain=domain))

    def shake_hands(self, secret: str) -> None:
        """Answer the stream header that came with what proves the secret."""
        stream_id = self.raw().partition(b" id='")[2].partition(b"'")[0].decode()
        proof = sha1(f"{stream_id}{secret}".encode()).hexdigest()  # noqa: S324  # XEP-0114 has it so
        self.send(f"<handshake>{proof}</handshake>")


class House:
    """A server in memory.

    Args:
        domain: The domain it serves; give ``config`` to serve more.
        config: Instead of the default configuration.
        plugins: Names of the plugins that are loaded.
        store: Instead of an empty store in memory.
        clock: The steady one, instead of one that begins now.
        wall_ahead_s: How far the wall clock is ahead of it: whoever changes that sets the time of
            day, and nothing that lasts is to notice.
        people: For each account the subscriptions in its roster, as ``{"juliet": "both"}``.
    """

    secret = b"only for tests"

    def __init__(
        self,
        domain: str = "montague.lit",
        *,
        config: Config | None = None,
        plugins: tuple[str, ...] = (),
        store: Store | None = None,
        clock: Clock | None = None,
        wall_ahead_s: float = SOME_AFTERNOON,
        **people: Mapping[str, str],
    ) -> None:
        self.domain = domain
        self.clock = clock or Clock()
        self.wall_ahead_s = wall_ahead_s
        self.clocks = Clocks(self.clock.seconds, self.wall_clock, "tests")
        self.descriptors = Descriptors(sys.maxsize)
        self.store = store or MemoryStore(self.wall_clock)
        self.network = Network()
        self.address = "198.51.100.1"
        self.server = XMPPServer(
            config or house_config(domain),
            self.store,
            self,
            make_connector=lambda attempts, directions: MemoryConnector(self),
        )
        self.server.crowd.admission.window.size = LARGEST_WINDOW
        self.plugins = PluginManager(self.server)
        for name in plugins:
            self.plugins.load(name)
        done(self.server.start())
        for name, contacts in people.items():
            self.add(name, contacts)

    def wall_clock(self) -> float:
        """Seconds since 1970."""
        return self.wall_ahead_s + self.clock.seconds()

    async def run_in_thread(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """No threads here."""
        return function(*args, **kwargs)

    def stop(self) -> Deferred[None]:
        """Shut the server down; done when the last client is gone."""
        return Deferred.fromCoroutine(self.server.stop())

    def restarted(self) -> "House":
        """Shut the server down, and start another one on the same store."""
        self.shut_down()
        return self.again()

    def shut_down(self) -> None:
        """Shut the server down, for as long as its clients take to hang up."""
        stopping = self.stop()
        while self.server.crowd.handlers:
            self.clock.advance(1)
        done(stopping)

    def again(self) -> "House":
        """Another server on the same store; this one was shut down, or died without a word."""
        clock = Clock()
        clock.advance(self.clock.seconds())
        return House(
            self.domain,
            config=self.server.config,
            plugins=tuple(self.plugins.loaded),
            store=self.store,
            clock=clock,
            wall_ahead_s=self.wall_ahead_s,
        )

    def jid(self, name: str) -> JID:
        """The account of this name."""
        return JID.parse(name if "@" in name else f"{name}@{self.domain}")

    def add(self, name: str, contacts: Mapping[str, str] | None = None) -> JID:
        """Add an account with a roster."""
        account = self.jid(name)
        done(self.store.create_account(account.bare, []))
        items = [
            RosterItem(self.jid(contact).bare, subscription=subscription)
            for contact, subscription in (contacts or {}).items()
        ]
        if items:
            done(self.store.save_roster_items(account.bare, items))
        return account

    def stranger(self, address: str = "192.0.2.1", *, encrypted: bool = False) -> Client:
        """Somebody who has just connected; as if by TLS, with nothing to bind to, if encrypted."""
        handler = self.server.client_listener("none").buildProtocol(IPv4Address("TCP", address, 1))
        transport = Transport(address, handler)
        handler.makeConnection(transport)  # type: ignore[no-untyped-call]
        client = Client(self, handler, transport)
        if encrypted:
            handler.encrypted = True
            client.stanza_handler.stream |= Stream.SECURE
        return client

    def service(self, domain: str = "", secret: str = "") -> Service:
        """A component that has connected; with a secret, and that has been let in."""
        handler = self.server.component_listener("none").buildProtocol(None)
        transport = Transport("127.0.0.1", handler)
        handler.makeConnection(transport)  # type: ignore[no-untyped-call]
        service = Service(self, handler, transport)
        if domain:
            service.open(domain)
        if secret:
            service.shake_hands(secret)
            service.raw()
        return service

    def logged_in(self, name: str) -> Client:
        """Somebody who has proved who they are, and has not bound a resource."""
        account = self.jid(name)
        client = self.stranger()
        client.open(account.domain)
        client.stanza_handler.authenticated(account)
        client.handler.restart()
        client.open(account.domain)
        client.raw()
        return client

    def bind(self, name: str, resource: str = "1") -> Client:
        """Somebody with a resource who has not sent presence."""
        client = self.logged_in(name)
        client.send(
            f"<iq type='set' id='bind'><bind xmlns='{ns.BIND}'><resource>{resource}</resource>"
            "</bind></iq>"
        )
        client.jid = client.session.jid
        client.raw()
        return client

    def connect(self, *names: str) -> list[Client]:
        """People who are bound, have fetched their rosters, and are available.

        A name may bring a resource: ``romeo/orchard``.
        """
        clients = []
        for name in names:
            account, _, resource = name.partition("/")
            client = self.bind(account, resource or "1")
            client.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq><presence/>")
            clients.append(client)
        for client in clients:
            client.raw()
        return clients


def house_config(
    *domains: str, **tables: Mapping[str, object] | Sequence[Mapping[str, object]]
) -> Config:
    """A configuration for a house; the clear is fine inside, and nobody is slowed down.

    Args:
        domains: The domains it serves.
        tables: As in the file: ``sessions={"conflict": "refuse"}``; an array of tables is a list.
    """
    config: dict[str, Mapping[str, object] | Sequence[Mapping[str, object]]] = {
        "tls": {"required": False},
        "stream": {"stanzas_per_s": 0.0, "bytes_per_s": 0.0},
        "s2s": {"require_tls": False, "require_valid_certificate": False},
        "auth": {"scram_iterations": 16},
        "plugins": {"load": ()},
    }
    for name, table in tables.items():
        usual = config.get(name, {})
        if isinstance(usual, Mapping) and isinstance(table, Mapping):
            config[name] = {**usual, **table}
        else:
            config[name] = table
    return convert({"domain": [{"name": domain} for domain in domains], **config}, Config)
