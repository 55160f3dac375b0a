"""Connections that we make ourselves, in the hub."""

import errno
import os
import select
import socket
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, getConnectError
from twisted.internet.error import TimeoutError as TooLate
from twisted.internet.interfaces import IDelayedCall, IOpenSSLContextFactory, IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.net.epoll_connection import SocketLimits, address
from xmppd.net.epoll_hub import Hub, Reactor
from xmppd.net.epoll_tls import ClearConnection

_log = Logger()


class DialledConnection(ClearConnection):
    """A connection that we have made: under TLS we are the client."""

    __slots__ = ()

    def startTLS(self, contextFactory: IOpenSSLContextFactory, normal: bool = True) -> None:
        """Begin TLS; see :meth:`ClearConnection.startTLS`."""
        super().startTLS(contextFactory, not normal)


class Dialling:
    """A socket that is being connected.

    Args:
        reactor: The hub's.
        host: An IP address.
        port: Its port.
        protocol: Is connected.
        limits: Of the connection.

    Attributes:
        done: Comes when the protocol is connected, or fails with a ConnectError; cancelling it
            gives up.
    """

    def __init__(
        self, reactor: Reactor, host: str, port: int, protocol: IProtocol, limits: SocketLimits
    ) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._end())
        self.mask = select.EPOLLOUT
        self.goes_first = False
        self._protocol = protocol
        self._limits = limits
        self._connected = False
        self._timer: IDelayedCall | None = None
        self._sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.fd = self._sock.fileno()
        self._sock.setblocking(False)
        self._hub = Hub.of(reactor)
        self._hub.add(self)
        error = self._sock.connect_ex((host, port))
        if error not in (0, errno.EINPROGRESS):
            self._fail(getConnectError((error, os.strerror(error))))

    def within(self, seconds: float) -> "Deferred[None]":
        """The same as ``done``, which fails after this time."""
        if not self.done.called:
            self._timer = self._hub.reactor.callLater(seconds, self._fail, TooLate("no answer"))
        return self.done

    # Called by the hub.

    @property
    def queued_bytes(self) -> int:
        """None: nothing is written before it is connected."""
        return 0

    def serve(self, event: int) -> None:
        """Take the connection, or the error."""
        if self.done.called:
            return
        error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self._fail(getConnectError((error, os.strerror(error))))
        else:
            self._connect()

    def flush(self) -> None:
        """Do nothing, since nothing is written yet."""

    def failed(self) -> None:
        """Log the error, and give up."""
        _log.failure("an outgoing connection failed")
        self._fail(ConnectError("the connection failed"))

    def close(self, reason: Failure) -> None:
        """Give up, since the hub closes."""
        self._fail(ConnectError("the server is stopping"))

    def closed(self) -> None:
        """Close the socket, unless it is the connection's now."""
        if not self._connected:
            self._sock.close()

    def _connect(self) -> None:
        self._connected = True
        self._end()
        with suppress(OSError):
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = address(self._sock.getpeername())
        connection = DialledConnection(self._hub, self._sock, peer, self._protocol, self._limits)
        self._hub.guarded(connection, self._protocol.makeConnection, connection)
        self.done.callback(None)

    def _fail(self, error: Exception) -> None:
        if not self.done.called:
            self._end()
            self.done.errback(Failure(error))

    def _end(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._hub.remove(self)


__all__ = ["DialledConnection", "Dialling"]
