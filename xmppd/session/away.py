"""What a session has for a connection while it has no wire."""

from collections.abc import Callable

from xmppd.session.session import Connection
from xmppd.stanza import StreamError


class Away:
    """Nobody is there, and nothing can be written: closing it gives the session up.

    Args:
        last: The wire that was lost; where its client was is remembered.
        since: When it was lost, on the clock.
        give_up: Ends the session.
    """

    __slots__ = ("_give_up", "address", "encrypted", "max_queued_bytes", "since")

    def __init__(self, last: Connection, since: float, give_up: Callable[[], None]) -> None:
        self.since = since
        self.address = last.address
        self.encrypted = last.encrypted
        self.max_queued_bytes = last.max_queued_bytes
        self._give_up = give_up

    def write(self, data: bytes) -> None:
        """Nobody would get it; what a session without a wire is sent waits in its backlog."""

    def give_up(self) -> None:
        """Its queue is full."""
        self._give_up()

    def close(self, error: StreamError | None = None) -> None:
        """Somebody wants it to end; there is nobody to be told why."""
        self._give_up()
