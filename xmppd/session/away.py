"""What a session has for a connection while it has no wire."""

from collections.abc import Callable

from xmppd.stanza import StreamError


class Away:
    """Nobody is there, and nothing can be written: closing it gives the session up.

    Args:
        address: Where the client was last.
        encrypted: Whether TLS was on.
        max_queued_bytes: How much may wait.
        since: When the wire was lost, on the clock.
        give_up: Ends the session.
    """

    __slots__ = ("_give_up", "address", "encrypted", "max_queued_bytes", "since")

    def __init__(
        self,
        address: str,
        max_queued_bytes: int,
        since: float,
        give_up: Callable[[], None],
        *,
        encrypted: bool,
    ) -> None:
        self.address = address
        self.encrypted = encrypted
        self.max_queued_bytes = max_queued_bytes
        self.since = since
        self._give_up = give_up

    def write(self, data: bytes) -> None:
        """Nobody would get it; what a session without a wire is sent waits in its backlog."""

    def give_up(self) -> None:
        """Its queue is full."""
        self._give_up()

    def close(self, error: StreamError | None = None) -> None:
        """Somebody wants it to end; there is nobody to be told why."""
        self._give_up()
