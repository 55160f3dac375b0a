"""House: a whole server in memory with a clock you turn by hand, for our tests and every plugin's.

::

    house = House("montague.lit", romeo={"juliet": "both"}, juliet={"romeo": "both"})
    romeo, juliet = house.connect("romeo", "juliet")
    romeo.send("<presence/>")
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha1
from typing import Any, ParamSpec, TypeVar
from xml.etree import ElementTree

from msgspec import convert
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from xmppd.components.component_stream import ComponentStream
from xmppd.config import Config
from xmppd.net.admission import LARGEST_WINDOW
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.stanza_handler import StanzaHandler
from xmppd.plugin_manager import PluginManager
from xmppd.server import XMPPServer
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, ns
from xmppd.stanza.xml import write
from xmppd.store.base import RosterItem, Store
from xmppd.store.memory import MemoryStore

P = ParamSpec("P")
T = TypeVar("T")
PASSWORD = "a rose by any other name"
_HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'"
    " to='{domain}' version='1.0'>"
)
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


class Transport(StringTransport):
    """A wire in memory that tells its protocol when it is closed."""

    protocol: ConnectionHandler
    lost = False

    def __init__(self, address: str, protocol: ConnectionHandler) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", address, 40_000))  # type: ignore[no-untyped-call]
        self.protocol = protocol

    def take(self) -> bytes:
        """What was written since somebody took it."""
        data: bytes = self.value()  # type: ignore[no-untyped-call]
        self.clear()  # type: ignore[no-untyped-call]
        return data

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
            self.protocol.connectionLost(Failure(reason))


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

    @property
    def stanza_handler(self) -> StanzaHandler:
        """The server's side of the stream."""
        stream = self.handler.stream_handler
        assert isinstance(stream, StanzaHandler)
        return stream

    @property
    def session(self) -> LocalClientSession:
        """The server's side of the session."""
        return self.stanza_handler.session

    def send(self, text: str | bytes) -> None:
        """Send XML, or any bytes, in one piece."""
        self.handler.dataReceived(text.encode() if isinstance(text, str) else text)

    def raw(self) -> bytes:
        """All bytes that came since somebody looked."""
        return self.transport.take()

    def received(self) -> list[str]:
        """The stanzas that came since somebody looked, each written the same way."""
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

    @property
    def closed(self) -> bool:
        """Whether the server hung up, or is about to."""
        return self.session.closed

    def open(self, domain: str) -> None:
        """Send a stream header."""
        self.send(_HEADER.format(domain=domain))


class Service(Client):
    """A component at the other end of a wire (:xep:`0114`)."""

    @property
    def stream(self) -> ComponentStream:
        """The server's side of the stream."""
        stream = self.handler.stream_handler
        assert isinstance(stream, ComponentStream)
        return stream

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
        **people: Mapping[str, str],
    ) -> None:
        self.domain = domain
        self.clock = Clock()
        self.store = store or MemoryStore()
        self.server = XMPPServer(config or house_config(domain), self.store, self, None)
        self.server.crowd.admission.window.size = LARGEST_WINDOW
        self.plugins = PluginManager(self.server)
        for name in plugins:
            self.plugins.load(name)
        done(self.server.start())
        for name, contacts in people.items():
            self.add(name, contacts)

    def wall_clock(self) -> float:
        """Seconds since 1970: some afternoon, and what the clock was turned since."""
        return 1_700_000_000.0 + self.clock.seconds()

    async def run_in_thread(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """No threads here."""
        return function(*args, **kwargs)

    def stop(self) -> Deferred[None]:
        """Shut the server down; done when the last client is gone."""
        return Deferred.fromCoroutine(self.server.stop())

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

    def stranger(self, address: str = "192.0.2.1") -> Client:
        """Somebody who has just connected."""
        handler = self.server.client_listener("none").buildProtocol(IPv4Address("TCP", address, 1))
        transport = Transport(address, handler)
        handler.makeConnection(transport)  # type: ignore[no-untyped-call]
        return Client(self, handler, transport)

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
