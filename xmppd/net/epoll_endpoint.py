"""The ``epoll:`` server endpoint: many clients, one descriptor of the reactor. Linux only."""

from dataclasses import dataclass, field
from typing import cast

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from zope.interface import implementer

from xmppd.net.epoll_connection import SocketLimits
from xmppd.net.epoll_hub import Reactor
from xmppd.net.epoll_port import Port, PortAddress

MAX_PORT = 65_535


@implementer(IStreamServerEndpoint)
@dataclass(frozen=True)
class EPollServerEndpoint:
    """A server endpoint with sockets of our own; for a protocol it is like ``tcp:``.

    Attributes:
        reactor: Any reactor that watches descriptors and keeps time.
        port: 0 for any that is free.
        interface: An IPv4 or IPv6 address to bind to; empty for all of IPv4.
        backlog: The number of clients that the kernel lets wait to be accepted.
        reuseport: Whether other processes of this user may listen there too.
        limits: The limits of one connection.
    """

    reactor: Reactor
    port: int
    interface: str = ""
    backlog: int = 1000
    reuseport: bool = False
    limits: SocketLimits = field(default_factory=SocketLimits)

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        where = PortAddress(self.interface, self.port, self.backlog, self.reuseport)
        port = Port(self.reactor, where, self.limits, factory)
        port.startListening()
        return port


def endpoint_from_strings(
    reactor: object,
    port: str,
    interface: str = "",
    backlog: str = "1000",
    reuseport: str = "no",
    max_queued_bytes: str = str(SocketLimits.max_queued_bytes),
    close_timeout_s: str = str(SocketLimits.close_timeout_s),
) -> EPollServerEndpoint:
    """The endpoint for ``epoll:5222:interface=127.0.0.1:backlog=1000``.

    Raises:
        ValueError: A number is invalid, the port is too large, or what is "yes" or "no" is neither.
    """
    number = int(port)
    if not 0 <= number <= MAX_PORT:  # the resolver would take what is left of it in 16 bits
        raise ValueError(f"a port must be a number from 0 to {MAX_PORT}")
    if reuseport not in ("yes", "no"):
        raise ValueError('reuseport must be "yes" or "no"')
    return EPollServerEndpoint(
        cast(Reactor, reactor),
        number,
        interface,
        int(backlog),
        reuseport == "yes",
        SocketLimits(int(max_queued_bytes), float(close_timeout_s)),
    )
