"""Detached: stands in for the connection of a session that has none."""

from collections.abc import Callable

from xmppd.session.peer_counts import PeerCounts
from xmppd.stanza import StreamError


class Detached:
    """A connection on which nothing can be written; closing it gives the session up.

    Args:
        address: The last address of the client.
        encrypted: Whether TLS was on.
        max_queued_bytes: The limit of what may wait.
        since: The time when the connection was lost, on the clock.
        seconds: The clock's time.
        close: Ends the session.

    Attributes:
        why: The reason for which there is no connection.
    """

    __slots__ = (
        "_close",
        "_seconds",
        "address",
        "counts",
        "encrypted",
        "max_queued_bytes",
        "since",
        "why",
    )

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
        self.counts = PeerCounts()
        self.max_queued_bytes = max_queued_bytes
        self.since = since
        self.why = ""
        self._seconds = seconds
        self._close = close

    @property
    def silent_s(self) -> float:
        """The seconds since the client last sent something."""
        return self._seconds() - self.since

    def write(self, data: bytes) -> None:
        """Never called: stanzas for a detached session wait in its backlog."""

    def unsent(self) -> list[bytes]:
        """Nothing was written."""
        return []

    def take_unsent(self) -> list[bytes]:
        """Nothing was written."""
        return []

    def abort(self) -> None:
        """Give the session up, since its queue is full."""
        self.why += "; too much was waiting for it"
        self._close()

    def forget(self) -> None:
        """Release a session that has ended, so that it is not kept in memory."""
        self._close = _nothing_to_close

    def close(self, error: StreamError | None = None) -> None:
        """Give the session up; there is no client to be told why."""
        if error is not None:
            self.why += f"; then {error.condition.value}: {error.text or 'no details are known'}"
        self._close()


def _nothing_to_close() -> None:
    """Do nothing, since the session has ended."""
