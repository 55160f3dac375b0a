"""A bound on what waits for a slow reader, for transports that have none of their own."""

from collections.abc import Callable

from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class QueueGuard:
    """Counts what is written while the transport says that enough is waiting already.

    Twisted's own transports queue without end. They do tell a producer when some 64 KiB wait and
    when all have left; so we stand in for one. ``epoll:`` bounds its queues itself.

    Args:
        transport: Watched from now on.
        max_queued_bytes: Beyond these the reader is given up.
        give_up: Called once, when they are exceeded.

    Attributes:
        queued_bytes: How many wait, counted since the transport said that it is enough.
    """

    def __init__(
        self, transport: IConsumer, max_queued_bytes: int, give_up: Callable[[], None]
    ) -> None:
        self.max_queued_bytes = max_queued_bytes
        self.give_up = give_up
        self._transport = transport
        self._choked = False
        self.queued_bytes = 0
        transport.registerProducer(self, streaming=True)

    def leave(self) -> None:
        """Nothing more will be written; a transport does not close while it has a producer."""
        self._choked = False
        self._transport.unregisterProducer()

    def wrote(self, count: int) -> None:
        """So many bytes were handed to the transport."""
        if self._choked:
            self.queued_bytes += count
            if self.queued_bytes > self.max_queued_bytes:
                self._choked = False
                self.give_up()

    def pauseProducing(self) -> None:
        """Enough is waiting: count from here."""
        self._choked = True
        self.queued_bytes = 0

    def resumeProducing(self) -> None:
        """All has left."""
        self._choked = False
        self.queued_bytes = 0

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._choked = False
