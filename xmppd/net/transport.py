"""Transports, as a connection needs them, of Twisted's endpoints or ours."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLClientConnectionCreator,
    IOpenSSLContextFactory,
    IPushProducer,
)

Contexts = IOpenSSLContextFactory | IOpenSSLClientConnectionCreator
"""For peers that connect to us, and for those that we connect to."""


class Transport(Protocol):
    """The transport of both kinds of endpoints, Twisted's and ours: an ITLSTransport."""

    def write(self, data: bytes, /) -> None:
        """Send these bytes."""

    def pauseProducing(self) -> None:
        """Read no more."""

    def resumeProducing(self) -> None:
        """Read again."""

    def loseConnection(self) -> None:
        """Close when all bytes have left."""

    def loseWriteConnection(self) -> None:
        """Close our half when all bytes have left, and go on reading."""

    def abortConnection(self) -> None:
        """Close at once."""

    def startTLS(self, contextFactory: Contexts, /) -> None:
        """Begin TLS."""

    def getPeer(self) -> IAddress:
        """The address of the peer."""

    def getHandle(self) -> object:
        """The socket, or OpenSSL's connection."""


# What a transport may be beside that, it says by its bases: whether it has the right methods is
# asked some times for each connection, and takes 10 µs each time.


class Ranked(ABC):  # it has no methods
    """A transport that may be served before others."""

    __slots__ = ()
    goes_first: bool


class Watchable(ABC):
    """A transport that reports the state of its queue, and joins writes all the same."""

    __slots__ = ()

    @abstractmethod
    def watch_queue(self, watcher: IPushProducer) -> None:
        """Tell it, as a producer is told, when enough waits and when all has left."""


class Returning(ABC):
    """A transport that can give back bytes which have not left."""

    __slots__ = ()

    @abstractmethod
    def abort(self) -> None:
        """Cut it off; bytes that the kernel has taken may still arrive, unlike with
        abortConnection.
        """

    @abstractmethod
    def unsent(self) -> list[bytes]:
        """The bytes that were written and the kernel has not taken."""

    @abstractmethod
    def take_queued(self, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """Take back pieces that wait for the kernel."""
