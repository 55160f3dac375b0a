"""What a session has for a connection while it has no wire."""

from collections.abc import Callable

from xmppd.stanza import StreamError


class Detached:
    """Nobody is there, and nothing can be written: closing it ends the session.

    Args:
        address: Where the client was last.
        encrypted: Whether TLS was on.
        max_queued_bytes: How much may wait.
        since: When the wire was lost, on the clock.
        seconds: The clock's time.
        close: Ends the session.
    """

    __slots__ = ("_close", "_seconds", "address", "encrypted", "max_queued_bytes", "since")

    tls_version = ""

    def __init__(
        self,
        address: str,
        max_queued_bytes: int,
        since: float,
        seconds: Callable[[], float],
        close: Callable[[], None],
        *,
        encrypted: bool,
    ) -> None:
        self.address = address
        self.encrypted = encrypted
        self.max_queued_bytes = max_queued_bytes
        self.since = since
        self._seconds = seconds
        self._close = close

    @property
    def silent_s(self) -> float:
        """How long nothing was heard of the client."""
        return self._seconds() - self.since

    def write(self, data: bytes) -> None:
        """Nobody would get it; what a session without a wire is sent waits in its backlog."""

    def unsent(self) -> list[bytes]:
        """Nothing was written."""
        return []

    def take_unsent(self) -> list[bytes]:
        """Nothing was written."""
        return []

    def abort(self) -> None:
        """Its queue is full."""
        self._close()

    def forget(self) -> None:
        """The session has ended: there is nothing left to close, nor a reason to hold it."""
        self._close = _nothing_to_close

    def close(self, error: StreamError | None = None) -> None:
        """Somebody wants it to end; there is nobody to be told why."""
        self._close()


def _nothing_to_close() -> None:
    """It has ended."""
