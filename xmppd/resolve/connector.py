"""Connector: who finds another server's door and goes there."""

from typing import Protocol

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol as TwistedProtocol

from xmppd.resolve.attempts import Attempts
from xmppd.resolve.lost import not_found
from xmppd.resolve.targets import Directions, Target


class Visitor(Protocol):
    """Who wants to be connected with a domain's server."""

    def make(self, target: Target) -> TwistedProtocol:
        """The protocol for the door at which somebody has answered.

        Raises:
            StanzaError: None can be made.
        """

    async def settle(self, protocol: IProtocol) -> None:
        """Wait until it has come so far that this is the right door. Cancelling it closes it.

        Raises:
            StanzaError: It is not, and another may be.
            Disbelieved: It may be, for somebody who shows no certificate.
        """


class Connector(Protocol):
    """Goes from the name of a domain to a connection with its server."""

    def use(self, directions: Directions) -> None:
        """Go by these from now on."""

    async def connect(self, domain: str, visitor: Visitor) -> IProtocol:
        """What is connected to the domain's server, and has settled.

        Args:
            domain: Prepared, as in an address.
            visitor: Makes the protocol, once somebody has answered, and says whether it will do.

        Raises:
            StanzaError: REMOTE_SERVER_NOT_FOUND or REMOTE_SERVER_TIMEOUT: there is no way.
            Disbelieved: Where there is one, the visitor's certificate is not believed.
        """

    def forget(self, domain: str) -> None:
        """Do not rely on what is known of a domain: it has been heard of."""


class Nowhere:
    """Finds nobody: a server that has no network."""

    def __init__(self, attempts: Attempts, directions: Directions) -> None:
        """Whatever they are."""

    def use(self, directions: Directions) -> None:
        """They lead nowhere."""

    async def connect(self, domain: str, visitor: Visitor) -> IProtocol:
        """Nobody is there."""
        raise not_found("there is no way to other servers from here")

    def forget(self, domain: str) -> None:
        """Nothing is known."""
