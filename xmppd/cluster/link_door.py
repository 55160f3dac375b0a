"""LinkDoor: where other nodes come in, and whoever else finds it."""

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from xmppd.cluster.link_protocol import LinkProtocol

MAX_STRANGERS = 100
"""Connections that have not greeted; when there is one more, the oldest is cut."""

LOG_EVERY_S = 60.0

_log = Logger()


class LinkDoor(ServerFactory):
    """Makes the connections of those who come in (CL-86).

    Args:
        make: Makes one.
        clock: The reactor's.

    Attributes:
        strangers: Those that have not greeted as a node does, the oldest first, with their address.
        refused: The number of those that never did.
    """

    noisy = False

    def __init__(self, make: Callable[[], LinkProtocol], clock: IReactorTime) -> None:
        self.strangers: dict[LinkProtocol, str] = {}
        self.refused = 0
        self._make = make
        self._clock = clock
        self._logged = 0
        self._log_at = clock.seconds()

    def buildProtocol(self, addr: IAddress | None) -> LinkProtocol:
        """The protocol of a connection."""
        if len(self.strangers) >= MAX_STRANGERS:
            next(iter(self.strangers)).abort("too many others came after it")
        connection = self._make()
        self.strangers[connection] = str(getattr(addr, "host", addr))
        return connection

    def greeted(self, connection: LinkProtocol) -> None:
        """Note that a connection is another node's."""
        self.strangers.pop(connection, None)

    def closed(self, connection: LinkProtocol, why: str) -> None:
        """Note that a connection is gone; of those that were no node's, it is logged now and
        then.
        """
        address = self.strangers.pop(connection, None)
        if address is None:
            return
        self.refused += 1
        if self._clock.seconds() >= self._log_at:
            _log.warn(
                "refused connections to the listener for nodes, {count} in all; the last, from "
                "{address}: {why}",
                count=self.refused - self._logged, address=address, why=why,
            )  # fmt: skip
            self._logged = self.refused
            self._log_at = self._clock.seconds() + LOG_EVERY_S


__all__ = ["MAX_STRANGERS", "LinkDoor"]
