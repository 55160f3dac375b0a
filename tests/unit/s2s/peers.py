"""Other servers that say exactly what a test wants them to."""

from xml.etree import ElementTree

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol

from xmppd.config.config import ListenSettings
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.resolve.connector import Visitor
from xmppd.resolve.targets import Directions, Target
from xmppd.stanza import StanzaError, ns
from xmppd.stanza.xml import write
from xmppd.testing.house import House
from xmppd.testing.network import MemoryTransport

HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='{ns.SERVER}' xmlns:stream='{ns.STREAM}'"
    f" xmlns:db='{ns.DIALBACK}' version='1.0'"
)
FEATURES = f"<stream:features><dialback xmlns='{ns.DIALBACK_FEATURE}'><errors/></dialback>"
BIDI = f"<bidi xmlns='{ns.BIDI_FEATURE}'/>"


class Peer:
    """One end of a wire to a house, in either direction.

    Attributes:
        handler: The house's end.
    """

    def __init__(self, handler: ConnectionHandler, address: str = "192.0.2.9") -> None:
        self.handler = handler
        self.transport = MemoryTransport(address, handler)
        handler.makeConnection(self.transport)

    def send(self, text: str) -> None:
        """Say something."""
        self.handler.dataReceived(text.encode())

    def heard(self) -> str:
        """All that came since somebody looked."""
        return self.transport.take().decode()

    def stanzas(self) -> list[str]:
        """The elements that came since, in an open stream."""
        data = self.heard().removesuffix("</stream:stream>")
        tree = ElementTree.fromstring(
            f"<s xmlns:stream='{ns.STREAM}' xmlns:db='{ns.DIALBACK}'>{data}</s>"
        )
        return [write(stanza).decode() for stanza in tree]

    @property
    def lost(self) -> bool:
        """Whether the house hung up."""
        return self.transport.lost


class Caller(Peer):
    """A server that calls the house."""

    def __init__(self, house: House, address: str = "192.0.2.9") -> None:
        listener = house.server.listeners.listener(
            ListenSettings(endpoint="", kind="server", tls="none")
        )
        super().__init__(listener.buildProtocol(IPv4Address("TCP", address, 1)), address)

    def open(self, sender: str = "verona.lit", to: str = "mantua.lit") -> str:
        """Open a stream; what the house says to that."""
        self.send(f"{HEADER} from='{sender}' to='{to}'>")
        return self.heard()

    def claim(self, sender: str = "verona.lit", to: str = "mantua.lit", key: str = "key") -> None:
        """Want to speak for a domain."""
        self.send(f"<db:result from='{sender}' to='{to}'>{key}</db:result>")


class Called(Peer):
    """A server that the house has called.

    Attributes:
        opened: Whether it has answered the house's header.
    """

    opened = False

    def open(self, *, features: str = "", id: str = "s1") -> str:
        """Answer its header; what it said."""
        self.opened = True
        heard = self.heard()
        self.send(f"{HEADER} id='{id}'>{FEATURES}{features}</stream:features>")
        return heard


class Elsewhere:
    """A connector whose servers are all puppets.

    Attributes:
        wanted: Whom the house looks for, and who waits for the answer.
        called: The servers that it has found, by domain, the last one last.
        there: Whether they are found at once.
        why: What is raised instead, if anything.
    """

    def __init__(self, house: House) -> None:
        self.wanted: list[tuple[str, Deferred[None]]] = []
        self.called: dict[str, list[Called]] = {}
        self.there = True
        self.why: StanzaError | None = None
        house.server.foreign_routes.outgoing_connections.connector = self
        house.server.foreign_routes._connector = self

    def use(self, directions: Directions) -> None:
        """They lead nowhere else."""

    async def connect(self, domain: str, visitor: Visitor) -> IProtocol:
        """A wire to a puppet."""
        if not self.there:
            turn: Deferred[None] = Deferred()
            self.wanted.append((domain, turn))
            await turn
        if self.why is not None:
            raise self.why
        handler = visitor.make(Target("192.0.2.8"))
        assert isinstance(handler, ConnectionHandler)
        self.called.setdefault(domain, []).append(Called(handler, "192.0.2.8"))
        await visitor.settle(handler)
        return handler

    def forget(self, domain: str) -> None:
        """Nothing is remembered."""

    def last(self, domain: str = "verona.lit") -> Called:
        """The server of this domain that was called last."""
        return self.called[domain][-1]
