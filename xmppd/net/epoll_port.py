"""A listening socket in the hub."""

import errno
import select
import socket
from dataclasses import dataclass

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.net.epoll_connection import SocketLimits, address
from xmppd.net.epoll_hub import Hub, Reactor
from xmppd.net.epoll_tls import ClearConnection

_log = Logger()

RETRY_ACCEPT_S = 0.5
"""The time that the backlog waits when there is no descriptor or memory for one more client."""

KERNEL_BYTES = 16_384
"""The kernel takes no more while so much has not been sent: bytes that a client does not read wait
where they can be taken back."""

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True)
class PortAddress:
    """Where a port listens.

    Attributes:
        interface: An IPv4 or IPv6 address to bind to; empty for all of IPv4.
        port: 0 for any that is free.
        backlog: The number of clients that the kernel lets wait to be accepted.
        is_shared: Whether other processes of this user may listen there too; the kernel gives each
            client to one of them.
    """

    interface: str
    port: int
    backlog: int
    is_shared: bool = False


@implementer(IListeningPort)
class Port:
    """Accepts clients, at most ``MAX_ACCEPTS`` a turn for all ports together."""

    def __init__(
        self,
        reactor: Reactor,
        where: PortAddress,
        limits: SocketLimits,
        factory: IProtocolFactory,
    ) -> None:
        self.fd = -1
        self.mask = 0
        self.goes_first = False
        self._reactor = reactor
        self._address = where
        self._limits = limits
        self._factory = factory
        self._listening = False
        self._stopped: Deferred[None] | None = None
        self._retry: IDelayedCall | None = None

    def startListening(self) -> None:
        """Bind and listen.

        Raises:
            CannotListenError: The address is taken, not ours, or not an address.
        """
        try:
            self._sock = self._bind()
        except OSError as error:
            where = self._address
            raise CannotListenError(where.interface, where.port, error) from error
        self._factory.doStart()
        self._listening = True
        self.fd = self._sock.fileno()
        self.mask = select.EPOLLIN
        self._hub = Hub.of(self._reactor)
        self._hub.add(self)

    def stopListening(self) -> Deferred[None]:
        if self._listening:
            self._stopped = Deferred()
            self._stop()
        return self._stopped or succeed(None)

    def getHost(self) -> IPv4Address | IPv6Address:
        return address(self._sock.getsockname())

    @property
    def queued_bytes(self) -> int:
        """None: nothing is written to it."""
        return 0

    # Called by the hub.

    def serve(self, event: int) -> None:
        while self._listening and self.mask:
            if not self._hub.accepts_left:
                self._hub.serve_later(self, event)
                return
            self._hub.accepts_left -= 1
            if not self._accept():
                return

    def flush(self) -> None:
        """Do nothing, since a port writes nothing."""

    def failed(self) -> None:
        _log.failure("accepting failed on {where}", where=self._where())

    def close(self, reason: Failure) -> None:
        self._stop()

    def closed(self) -> None:
        self._sock.close()
        try:
            self._factory.doStop()
        finally:
            if self._stopped is not None:
                self._stopped.callback(None)

    def _bind(self) -> socket.socket:
        where = self._address
        family = socket.AF_INET6 if ":" in where.interface else socket.AF_INET
        flags = socket.AI_NUMERICHOST | socket.AI_PASSIVE
        (_, _, _, _, sockname), *_ = socket.getaddrinfo(
            where.interface or None, where.port, family, socket.SOCK_STREAM, 0, flags
        )
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if where.is_shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(sockname)
            sock.listen(where.backlog)
            sock.setblocking(False)
        except OSError:
            sock.close()
            raise
        return sock

    def _accept(self) -> bool:
        """Take one client from the backlog; returns whether there may be another."""
        try:
            sock, sockname = self._sock.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._rest(error)
            return False  # No client, or one that has already gone.
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_BYTES)
        peer = address(sockname)
        protocol = self._hub.guarded(self, self._factory.buildProtocol, peer)
        if protocol is None:
            sock.close()
        else:
            connection = ClearConnection(self._hub, sock, peer, protocol, self._limits)
            self._hub.guarded(connection, protocol.makeConnection, connection)
        return True

    def _rest(self, error: OSError) -> None:
        """Pause while clients wait in the backlog; level-triggered, it would call us without
        end.
        """
        _log.error("cannot accept on {where}: {error}", where=self._where(), error=error)
        self._hub.watch(self, 0)
        self._retry = self._reactor.callLater(RETRY_ACCEPT_S, self._accept_again)

    def _accept_again(self) -> None:
        self._retry = None
        self._hub.watch(self, select.EPOLLIN)

    def _stop(self) -> None:
        if not self._listening:
            return
        self._listening = False
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._hub.remove(self)

    def _where(self) -> str:
        return f"{self._address.interface or '*'}:{self._address.port}"
