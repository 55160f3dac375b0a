"""Connector: who finds another server's door and goes there."""

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol as TwistedProtocol

from xmppd.s2s.attempts import Attempts
from xmppd.s2s.lost import not_found
from xmppd.s2s.targets import Directions, Target

Make = Callable[[Target], TwistedProtocol]
"""Makes the protocol for the door at which somebody has answered."""


class Connector(Protocol):
    """Goes from the name of a domain to a connection with its server."""

    def use(self, directions: Directions) -> None:
        """Go by these from now on."""

    async def connect(self, domain: str, make: Make) -> IProtocol:
        """What is connected to the domain's server.

        Args:
            domain: Prepared, as in an address.
            make: Makes the protocol, once somebody has answered.

        Raises:
            StanzaError: REMOTE_SERVER_NOT_FOUND or REMOTE_SERVER_TIMEOUT: there is no way.
        """

    def forget(self, domain: str) -> None:
        """Do not rely on what is known of a domain: it has been heard of."""


class Nowhere:
    """Finds nobody: a server that has no network."""

    def __init__(self, attempts: Attempts, directions: Directions) -> None:
        """Whatever they are."""

    def use(self, directions: Directions) -> None:
        """They lead nowhere."""

    async def connect(self, domain: str, make: Make) -> IProtocol:
        """Nobody is there."""
        raise not_found("there is no way to other servers from here")

    def forget(self, domain: str) -> None:
        """Nothing is known."""
