"""Connector: makes connections with the servers of other domains."""

from typing import Protocol

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol as TwistedProtocol

from xmppd.resolve.attempts import Attempts
from xmppd.resolve.lost import not_found
from xmppd.resolve.targets import Directions, Target


class Visitor(Protocol):
    """A stream that wants to be connected with a domain's server."""

    def make(self, target: Target) -> TwistedProtocol:
        """The protocol for a target that is connected.

        Raises:
            StanzaError: None can be made.
        """

    async def settle(self, protocol: IProtocol) -> None:
        """Wait until it has come so far that this is the right target. Cancelling closes it.

        Raises:
            StanzaError: It is not, and another may be.
            Disbelieved: It may be, without our certificate.
        """


class Connector(Protocol):
    """Makes a connection with the server of a domain."""

    def use(self, directions: Directions) -> None:
        """Take other directions."""

    async def connect(self, domain: str, visitor: Visitor) -> IProtocol:
        """The protocol that is connected to the domain's server, and has settled.

        Args:
            domain: Prepared, as in an address.
            visitor: Makes the protocol when a target is connected, and says whether it will do.

        Raises:
            StanzaError: REMOTE_SERVER_NOT_FOUND or REMOTE_SERVER_TIMEOUT: there is no way.
            Disbelieved: Where there is one, the visitor's certificate is not believed.
        """

    def forget(self, domain: str) -> None:
        """Forget that a domain was not found, since it has been heard of."""


class Nowhere:
    """A connector without a network, which finds no server."""

    def __init__(self, attempts: Attempts, directions: Directions) -> None:
        """Take directions and ignore them."""

    def use(self, directions: Directions) -> None:
        """Take other directions and ignore them."""

    async def connect(self, domain: str, visitor: Visitor) -> IProtocol:
        """Fail, since no server is found."""
        raise not_found("this server does not connect to other servers")

    def forget(self, domain: str) -> None:
        """Do nothing, since nothing is remembered."""
