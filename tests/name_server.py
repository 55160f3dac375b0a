"""Name servers on the loopback, with the zone that a test wants."""

from collections.abc import Callable, Iterator
from functools import partial
from socketserver import DatagramRequestHandler, UDPServer
from threading import Thread
from typing import cast

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTCP,
    IReactorUDP,
    ITCPTransport,
)
from twisted.internet.protocol import ServerFactory
from twisted.names import dns

TTL_S = 1
MAX_DATAGRAM_BYTES = 512


class Zone:
    """What a name server knows.

    Attributes:
        asked: What was asked, such as ``("example.org", "AAAA")``, in order.
        broken: Names for which it fails.
        silent: What it does not answer.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.broken: set[str] = set()
        self.silent: set[tuple[str, str]] = set()
        self._records_of: dict[str, list[dns.RRHeader]] = {}

    def service(
        self, name: str, host: str, port: int = 5269, *, priority: int = 0, weight: int = 0
    ) -> None:
        """There is an SRV record."""
        self._add(name, dns.Record_SRV(priority, weight, port, host, TTL_S))

    def host(self, name: str, *addresses: str) -> None:
        """There are records of addresses; or none, but the name there is."""
        self._records_of.setdefault(name, [])
        for address in addresses:
            kind = dns.Record_AAAA if ":" in address else dns.Record_A
            self._add(name, kind(address, TTL_S))

    def alias(self, name: str, canonical: str) -> None:
        """There is a CNAME record; what it leads to is told with it, as real resolvers do."""
        self._add(name, dns.Record_CNAME(canonical, TTL_S))

    def forget(self, name: str) -> None:
        """There is no such name."""
        self._records_of.pop(name, None)

    def _add(self, name: str, record: dns.IEncodableRecord) -> None:
        header = dns.RRHeader(name, record.TYPE, dns.IN, TTL_S, record)
        self._records_of.setdefault(name, []).append(header)

    def answer(self, message: dns.Message) -> bool:
        """Make a question the answer to itself; whether it is sent."""
        query = message.queries[0]
        name, kind = query.name.name.decode().lower(), dns.QUERY_TYPES.get(query.type, "?")
        self.asked.append((name, kind))
        message.answer = 1
        message.additional = []
        if name in self.broken:
            message.rCode = dns.ESERVER
        elif name not in self._records_of:
            message.rCode = dns.ENAME
        message.answers = [*self._records(name, query.type)]
        return (name, kind) not in self.silent

    def _records(self, name: str, type: int) -> Iterator[dns.RRHeader]:
        for record in self._records_of.get(name, ()):
            if record.type == type:
                yield record
            elif record.type == dns.CNAME:
                yield record
                canonical = cast(dns.Record_CNAME, record.payload).name
                yield from self._records(str(canonical), type)


class NameServer(ServerFactory[dns.DNSProtocol], Zone):
    """Answers over UDP and TCP, on one port of 127.0.0.1; long answers over TCP only.

    Attributes:
        unanswered: Each answers a question that was met with silence, when it is called.
    """

    noisy = False

    def __init__(self) -> None:
        Zone.__init__(self)
        self.unanswered: list[Callable[[], None]] = []
        self._ports: list[IListeningPort] = []
        self._connections: list[dns.DNSProtocol] = []

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", port_of(self._ports[0])

    def listen(self) -> None:
        """Find a port that is free for both protocols."""
        while not self._ports:
            datagrams = dns.DNSDatagramProtocol(self)
            udp = cast(IReactorUDP, reactor).listenUDP(0, datagrams, "127.0.0.1", 8192)
            try:
                tcp = cast(IReactorTCP, reactor).listenTCP(
                    port_of(udp), cast(ServerFactory, self), interface="127.0.0.1"
                )
            except CannotListenError:
                udp.stopListening()
            else:
                self._ports = [udp, tcp]

    def stop(self) -> Deferred[list[object]]:
        """Listen no longer, and end what is connected."""
        for connection in self._connections:
            cast(ITCPTransport, connection.transport).abortConnection()
        ports = [cast(Deferred[object], maybeDeferred(port.stopListening)) for port in self._ports]
        return gatherResults(ports)

    def buildProtocol(self, addr: IAddress | None) -> dns.DNSProtocol:
        """Somebody has more to ask than a datagram can answer."""
        return dns.DNSProtocol(self)

    def connectionMade(self, connection: dns.DNSProtocol) -> None:
        """A connection was made."""
        self._connections.append(connection)

    def connectionLost(self, connection: dns.DNSProtocol) -> None:
        """A connection was lost."""
        self._connections.remove(connection)

    def messageReceived(
        self,
        message: dns.Message,
        protocol: dns.DNSDatagramProtocol | dns.DNSProtocol,
        address: tuple[str, int] | None = None,
    ) -> None:
        """A question has come."""
        answered = self.answer(message)
        if isinstance(protocol, dns.DNSDatagramProtocol):
            assert address is not None
            message.maxSize = MAX_DATAGRAM_BYTES
            send = partial(protocol.writeMessage, message, address)
        else:
            send = partial(protocol.writeMessage, message)
        if answered:
            send()
        else:
            self.unanswered.append(send)


class NameThread(Zone):
    """Answers over UDP in a thread, for tests that wait in other ways than the reactor's."""

    def __init__(self) -> None:
        super().__init__()
        zone = self

        class Handler(DatagramRequestHandler):
            def handle(self) -> None:
                message = dns.Message()
                message.fromStr(self.rfile.read())
                if zone.answer(message):
                    self.wfile.write(message.toStr())

        self._server = UDPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", self._server.server_address[1]

    def stop(self) -> None:
        """Be gone on return."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def port_of(listening: IListeningPort) -> int:
    """The number the system has found for it."""
    host = listening.getHost()
    assert isinstance(host, IPv4Address)
    return host.port


__all__ = ["NameServer", "NameThread", "Zone", "port_of"]
