"""A client's connection in the hub, in the clear."""

import errno
import select
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IHalfCloseableProtocol,
    IProducer,
    IProtocol,
    IPushProducer,
    ISystemHandle,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.net.epoll_hub import Hub
from xmppd.net.transport import Ranked, Returning, Watchable
from xmppd.stanza.phrases import counted

_log = Logger()

IN = select.EPOLLIN
OUT = select.EPOLLOUT
GONE = select.EPOLLERR | select.EPOLLHUP

READ_BYTES = 65_536
JOINED_BYTES = 65_536
"""Writes of one turn are joined up to here; then they leave, turn or no turn."""

PRODUCER_BYTES = 65_536
"""More than this queued pauses a streaming producer."""

PARKED_S = 60.0
"""The time that a connection whose peer is gone may stay paused."""

_TRY_AGAIN = (errno.EAGAIN, errno.ENOBUFS, errno.EINTR)


@dataclass(frozen=True)
class SocketLimits:
    """The limits of one connection.

    Attributes:
        max_queued_bytes: Unsent bytes at which a slow reader is dropped.
        close_timeout_s: The time that the last bytes may take to leave once we close.
    """

    max_queued_bytes: int = 8_388_608
    close_timeout_s: float = 5.0


def address(sockname: tuple[str, int] | tuple[str, int, int, int]) -> IPv4Address | IPv6Address:
    """An address of the socket module as one of Twisted's."""
    if len(sockname) == 2:
        return IPv4Address("TCP", *sockname)
    return IPv6Address("TCP", *sockname)


@implementer(ITCPTransport, IConsumer, IPushProducer, ISystemHandle)
class EPollConnection(Ranked, Watchable, Returning):
    """A client's transport, like Twisted's for TCP servers, with these differences.

    - Writes are joined and leave at the end of the turn; with a producer, at once.
    - A write after :meth:`loseConnection` is dropped.
    - An exception in a protocol's callback closes the connection and is the reason given.
    - ``connectionLost`` is never called from inside another call, and exactly once.
    - Bytes that the kernel does not take are kept as they were written, and can be taken back.
    - A slow reader and a peer that does not let us close are dropped (:class:`SocketLimits`).
    """

    in_flight_bytes = 0
    """Of the queued bytes so many may be on their way already, though the kernel has not taken
    them."""

    __slots__ = (
        "_begun",
        "_close_write_wanted",
        "_joined",
        "_joined_bytes",
        "_limits",
        "_mute",
        "_out",
        "_peer",
        "_pieces",
        "_producer",
        "_producer_paused",
        "_reason",
        "_sock",
        "_streaming",
        "_timer",
        "_watcher",
        "_write_closed",
        "connected",
        "disconnecting",
        "fd",
        "goes_first",
        "hub",
        "mask",
        "protocol",
    )

    def __init__(
        self,
        hub: Hub,
        sock: socket.socket,
        peer: IPv4Address | IPv6Address,
        protocol: IProtocol,
        limits: SocketLimits,
    ) -> None:
        self.hub = hub
        self.fd = sock.fileno()
        self.mask = IN
        self.goes_first = False
        self.protocol = protocol
        self.connected = True
        self.disconnecting = False
        self._sock = sock
        self._peer = peer
        self._limits = limits
        self._joined: list[bytes] | None = None  # None: the hub does not know of writes to flush
        self._joined_bytes = 0
        self._out: bytes | bytearray = b""  # what the kernel would not take yet
        self._pieces: deque[bytes] = deque()  # the same, as it was written
        self._begun = 0  # of the first of them has left
        self._mute = False  # nothing may be written any more
        self._close_write_wanted = False
        self._write_closed = False
        self._producer: IPushProducer | None = None
        self._streaming = False
        self._producer_paused = False
        self._watcher: IPushProducer | None = None
        self._reason: Failure | None = None
        self._timer: IDelayedCall | None = None
        hub.add(self)

    @property
    def queued_bytes(self) -> int:
        """The bytes that the kernel has not taken yet."""
        return len(self._out)

    # Called by the hub.

    def serve(self, event: int) -> None:
        mask = self.mask
        if event == IN and mask & IN:
            self._readable()
        elif self.connected:
            self._serve_rarer(event, mask)

    def flush(self) -> None:
        joined, self._joined = self._joined, None
        self._joined_bytes = 0
        if joined:
            self._send(b"".join(joined), joined)
        if not self._out and self._mute and self.connected:
            self._drained()

    def failed(self) -> None:
        reason = Failure()
        _log.failure("handling data from {peer} failed", reason, peer=self._peer)
        self.close(reason)

    def close(self, reason: Failure) -> None:
        if not self.connected:
            return
        self.connected = False
        self._mute = True
        self.mask = 0
        self._out = b""
        if self._joined:
            self._pieces.extend(self._joined)
            self._joined.clear()
        self._reason = reason
        self._stop_timer()
        self.hub.remove(self)

    def closed(self) -> None:
        self._close_socket()
        protocol, producer = self.protocol, self._producer
        reason = self._reason or Failure(ConnectionDone())
        del self.protocol
        self._producer = self._watcher = self._reason = None  # its traceback may refer to us
        try:
            if producer is not None:
                producer.stopProducing()
        finally:
            protocol.connectionLost(reason)

    # Reading.

    def _readable(self) -> None:
        try:
            data = self._sock.recv(READ_BYTES)
        except OSError as error:
            if error.errno not in _TRY_AGAIN:
                self.close(self._reason or Failure(ConnectionLost(str(error))))
            return
        if data:
            self.protocol.dataReceived(data)
        else:
            self._end_of_input()

    def _serve_rarer(self, event: int, mask: int) -> None:
        """Serve anything but plain input: output, errors, hang-ups, and input while paused."""
        if not mask and event & GONE:
            self._park()
        if mask & IN and event & ~OUT:
            self._readable()  # Errors too: the last words come first, then the error.
        if self.mask & OUT and event & (OUT | GONE):
            self._writable()
            if event & GONE and self.mask == OUT == mask:
                self.close(
                    self._reason or Failure(ConnectionLost("the peer closed the connection"))
                )

    def _park(self) -> None:
        """Keep the last input of a paused connection whose peer is gone, but not for ever."""
        self.hub.park(self)
        self._start_timer(
            PARKED_S,
            ConnectionLost(
                "the peer closed the connection while the server was not reading from it"
            ),
        )

    def _end_of_input(self) -> None:
        if self._joined:
            self._send_joined()  # Bytes that were written to it in this turn, or before.
        halves = IHalfCloseableProtocol(self.protocol, None)
        if self._reason is None and halves is not None:
            self._watch(self.mask & ~IN)
            halves.readConnectionLost()
        else:
            self._say_goodbye()
            self.close(self._reason or Failure(ConnectionDone()))

    def _watch(self, mask: int) -> None:
        if mask != self.mask and self.connected:
            if self.mask == 0 and not self.disconnecting:
                self._stop_timer()  # It was parked, perhaps.
            self.hub.watch(self, mask)

    # Writing.

    def write(self, data: bytes) -> None:
        if data.__class__ is not bytes:
            data = bytes(memoryview(data))  # A copy of what may change; TypeError for a str.
        if self._mute or not data:
            return
        if self._producer is not None:
            self._send(data, (data,))  # Joined, it would press back too late.
            return
        if self._joined is None:
            self._joined = []
            self.hub.flush_later(self)
        self._joined.append(data)
        self._joined_bytes += len(data)
        if self._joined_bytes >= JOINED_BYTES:
            self._send_joined()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def _send_joined(self) -> None:
        if self._joined:
            pieces, self._joined = self._joined, []
            self._joined_bytes = 0
            self._send(b"".join(pieces), pieces)

    def _send(self, data: bytes, pieces: Iterable[bytes]) -> None:
        """Send as much as the kernel takes now, queue the rest."""
        sent = 0 if self._out or not self._may_push() else self._push(data)
        if sent < 0 or sent == len(data):
            return
        if self._out:
            self._out += data  # A bytearray, always, when it is not empty.
        else:
            self._out = bytearray(data[sent:])
        self._pieces.extend(pieces)
        self._took(sent)
        self._queue_grew()

    def _took(self, sent: int) -> None:
        """Remove so many bytes of the queue, which the kernel took."""
        pieces = self._pieces
        begun = self._begun + sent
        while pieces and begun >= len(pieces[0]):
            begun -= len(pieces.popleft())
        self._begun = begun

    def unsent(self) -> list[bytes]:
        """The pieces that the kernel has not taken, as they were written; the first perhaps in
        part.
        """
        return [*self._pieces, *(self._joined or ())]

    def take_queued(self, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """Take back the queued pieces, as they were written. A piece that has not begun to leave
        does not leave any more.

        Args:
            wanted: Whether to take a piece.
        """
        taken, left, size = [], deque[bytes](), 0
        for piece in self._pieces:
            leaves = size < max(self._begun, self.in_flight_bytes)
            size += len(piece)
            if wanted(piece):
                taken.append(piece)
                if not leaves:
                    continue
            left.append(piece)
        self._pieces = left
        if self.connected:
            self._out = bytearray(b"".join(left))[self._begun :] or b""
        return taken

    def _queue_grew(self) -> None:
        if len(self._out) > self._limits.max_queued_bytes:
            queued = counted(len(self._out), "byte")
            self.close(Failure(ConnectionAborted(f"reads too slowly: {queued} queued")))
            return
        self._watch_output()
        producer = self._producer if self._streaming else self._watcher
        if producer is not None and not self._producer_paused and len(self._out) > PRODUCER_BYTES:
            self._producer_paused = True
            producer.pauseProducing()

    def _may_push(self) -> bool:
        """Whether a pull producer may be asked: only when its last piece has left, so that one
        waits.
        """
        return self._producer is None or self._streaming

    def _watch_output(self) -> None:
        self._watch(self.mask | OUT)

    def _push(self, data: bytes | bytearray) -> int:
        """Hand bytes to the kernel; returns how many it took, or -1 when it never will again."""
        try:
            return self._sock.send(data)
        except OSError as error:
            return 0 if error.errno in _TRY_AGAIN else self._broken(ConnectionLost(str(error)))

    def _broken(self, error: Exception) -> int:
        """Note that nothing can be sent any more; the peer's last input is still read, if we read
        at all.
        """
        self._out = b""
        self._mute = True
        self._reason = Failure(error)
        if self.mask & IN:
            self._watch(IN)
        else:
            self.close(self._reason)
        return -1

    def _writable(self) -> None:
        if self._out:
            sent = self._push(self._out)
            if sent < 0:
                return
            del self._out[:sent]  # type: ignore[union-attr]  # bytearray when not empty
            self._took(sent)
        if not self._out:
            self._drained()

    def _drained(self) -> None:
        """Go on with everything that waited for an empty queue."""
        self._out = b""
        self._pieces.clear()
        self._begun = 0
        producer = self._producer
        pulls = producer is not None and not self._streaming
        self._watch(self.mask | OUT if pulls else self.mask & ~OUT)
        if producer is None:
            if self.connected:
                self._close_drained()
            self._tell_watcher()
        elif pulls or self._producer_paused:
            self._producer_paused = False
            producer.resumeProducing()

    def _tell_watcher(self) -> None:
        if self._producer_paused and self._watcher is not None and not self._mute:
            self._producer_paused = False
            self._watcher.resumeProducing()

    def _close_drained(self) -> None:
        """Close as far as was asked for, now that all bytes have left."""
        if self.disconnecting:
            self._say_goodbye()
            self.close(self._reason or Failure(ConnectionDone()))
        elif self._close_write_wanted and not self._write_closed:
            self._write_closed = True
            self._say_goodbye()
            halves = IHalfCloseableProtocol(self.protocol, None)
            if halves is not None:
                halves.writeConnectionLost()

    # Closing.

    def loseConnection(self) -> None:
        if self.connected and not self.disconnecting:
            self._start_closing()
            if self._producer is None:
                self._close_soon()

    def loseWriteConnection(self) -> None:
        if self.connected and not self._close_write_wanted:
            self._close_write_wanted = True
            self._close_soon()

    def abortConnection(self) -> None:
        self.close(Failure(ConnectionAborted()))

    def abort(self) -> None:
        """Close now; bytes that the kernel has may still arrive."""
        self.close(self._reason or Failure(ConnectionLost("the peer did not read to the end")))

    def _start_closing(self) -> None:
        self.disconnecting = True
        self._watch(self.mask & ~IN)
        self._start_timer(
            self._limits.close_timeout_s,
            ConnectionLost("the peer did not read the last bytes in time"),
        )

    def _close_soon(self) -> None:
        """Close when all bytes have left: at the end of this turn, in its own, or when drained."""
        self._mute = True
        if self._joined is None and not self._out:
            self._joined = []
            self.hub.flush_later(self)

    def _start_timer(self, delay_s: float, error: Exception) -> None:
        self._stop_timer()
        self._timer = self.hub.reactor.callLater(delay_s, self._timed_out, error)

    def _timed_out(self, error: Exception) -> None:
        self._timer = None
        self.close(Failure(error))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _say_goodbye(self) -> None:
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_WR)

    def _close_socket(self) -> None:
        with suppress(OSError):
            if self._reason is not None and self._reason.check(ConnectionAborted):
                linger = struct.pack("ii", 1, 0)  # Close with a reset.
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            else:
                self._sock.shutdown(socket.SHUT_RDWR)  # A forked child may hold it as well.
        self._sock.close()

    # Producers, ours and we.

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        if self._producer is not None:
            raise RuntimeError(f"there is a producer already: {self._producer!r}")
        if not self.connected:
            producer.stopProducing()
            return
        self._send_joined()
        self._producer = cast(IPushProducer, producer)  # A pull producer is never told to pause.
        self._streaming = streaming
        self._producer_paused = False
        if not streaming:
            self._watch(self.mask | OUT)
            self._producer.resumeProducing()

    def watch_queue(self, watcher: IPushProducer) -> None:
        """Tell an object, as a streaming producer is told, when much waits and when all has left.

        Writes are joined all the same, and closing does not wait for it. It is told nothing while
        there is a producer.
        """
        self._watcher = watcher

    def unregisterProducer(self) -> None:
        self._producer = None
        self._streaming = False
        self._producer_paused = False
        if self.connected and (self.disconnecting or self._close_write_wanted):
            self._close_soon()

    def pauseProducing(self) -> None:
        self._watch(self.mask & ~IN)

    def resumeProducing(self) -> None:
        if not self.disconnecting:
            self._watch(self.mask | IN)

    def stopProducing(self) -> None:
        self.loseConnection()

    # Facts.

    def getPeer(self) -> IPv4Address | IPv6Address:
        return self._peer

    def getHost(self) -> IPv4Address | IPv6Address:
        return address(self._sock.getsockname())

    def getHandle(self) -> object:
        return self._sock

    def getTcpNoDelay(self) -> bool:
        return bool(self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, bool(enabled))

    def getTcpKeepAlive(self) -> bool:
        return bool(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, bool(enabled))
