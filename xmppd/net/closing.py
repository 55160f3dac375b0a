"""Closing: the end of a connection, from the end of our side of its stream until its socket is
closed.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IConsumer, IDelayedCall, IReactorTime

from xmppd.net.transport import Returning, Transport, Watchable

MAX_UNHEARD_BYTES = 262_144
"""The bytes that a peer may send between our end of the stream and its own."""

MAX_LAST_WORDS_BYTES = 65_536
LAST_WORDS_S = 1.0
"""The seconds and bytes that a peer may send after a stream error, which it cannot mend."""


class Closing:
    """The end of a connection, once our side of its stream has ended (CH-10,
    :rfc:`6120#section-4.4`).

    The peer is read on for the end of its side only. It is read at all since closing a socket over
    unread bytes drops our own last bytes.

    Args:
        transport: To be closed.
        clock: The reactor's.
        is_end: Whether the peer ends its side in these bytes.
        wait_s: The time that the peer may take for that, and for our last bytes.
        lingers: Whether a peer that sends too much is closed only when the time is up, though not
            read any more: it may be about to read our last bytes, which closing would drop.
    """

    def __init__(
        self,
        transport: Transport,
        clock: IReactorTime,
        is_end: Callable[[bytes], bool],
        wait_s: float,
        *,
        lingers: bool = False,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._is_end = is_end
        self._wait_s = wait_s
        self._lingers = lingers
        self._unheard_bytes = MAX_UNHEARD_BYTES
        self._closes = False
        self._produces = not isinstance(transport, Watchable)
        self._timer: IDelayedCall | None = None

    def wait_for_end(self) -> None:
        """Wait until the peer ends its side."""
        self._read_on(self.close)

    def close_half(self, *, encrypted: bool) -> None:
        """Close our half after a stream error, as soon as all bytes have left."""
        self._unheard_bytes = MAX_LAST_WORDS_BYTES
        if encrypted and self._produces:
            # Twisted's TLS has no halves: it closes ours, and reads until its peer closes too.
            self._read_on(self._abort)
            self._unregister()
            self._transport.loseConnection()
        else:
            self._read_on(self.close)
            self._unregister()
            self._transport.loseWriteConnection()

    def _read_on(self, then: Callable[[], None]) -> None:
        self._timer = self._clock.callLater(self._wait_s, then)
        self._transport.resumeProducing()

    def hear(self, data: bytes) -> None:
        """Read bytes that still come."""
        if self._closes:
            return
        self._unheard_bytes -= len(data)
        if self._unheard_bytes < 0:
            self._transport.pauseProducing()
            if not self._lingers:
                self.close()
        elif self._is_end(data):
            self.close()

    def close(self) -> None:
        """Close the connection; if the peer does not even read, by force."""
        if self._closes:
            return  # a peer that goes on sending wins no time by it
        self._closes = True
        self.cancel()
        self._unregister()
        self._timer = self._clock.callLater(self._wait_s, self._abort)
        self._transport.loseConnection()

    def _abort(self) -> None:
        if isinstance(self._transport, Returning):
            self._transport.abort()
        else:
            self._transport.abortConnection()

    def _unregister(self) -> None:
        if self._produces:
            self._produces = False
            IConsumer(self._transport).unregisterProducer()  # TLS waits for its producers

    def cancel(self) -> None:
        """Stop waiting."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
