"""NodeDialer: makes connections with other nodes."""

from typing import Protocol, cast

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IReactorTCP,
    IResolutionReceiver,
)
from zope.interface import implementer

from xmppd.cluster.link_protocol import LinkProtocol
from xmppd.cluster.node import Node
from xmppd.config.config import host_and_port
from xmppd.net.epoll_connection import SocketLimits
from xmppd.net.epoll_dialling import Dialling
from xmppd.net.epoll_hub import Reactor

CONNECT_WITHIN_S = 2.0
MAX_QUEUED_BYTES = 128 << 20
"""Bytes that may wait in a connection between nodes: more than any window, which is the limit."""

NODE_LIMITS = SocketLimits(MAX_QUEUED_BYTES, close_timeout_s=1.0)


class DialingReactor(Reactor, Protocol):
    """What makes connections needs a reactor for."""

    nameResolver: IHostnameResolver


class NodeDialer:
    """Connects with other nodes, by addresses or by names.

    Args:
        reactor: Makes the connections, or the hub does that is in it.
        in_hub: Whether it is the hub.
    """

    def __init__(self, reactor: DialingReactor, *, in_hub: bool) -> None:
        self._reactor = reactor
        self._in_hub = in_hub

    def dial(self, node: Node, protocol: LinkProtocol) -> "Deferred[None]":
        """Connect a protocol with a node.

        Returns:
            Done when it is connected; fails with a ConnectError if that cannot be.
        """
        return Deferred.fromCoroutine(self._dial(node.address, protocol))

    async def _dial(self, where: str, protocol: LinkProtocol) -> None:
        try:
            host, port = host_and_port(where)
        except ValueError as error:
            raise ConnectError(f"the address {where!r} is invalid") from error
        last: Exception = DNSLookupError(f"{host} has no address")
        for address in await self._addresses(host):
            try:
                await self._connect(address, port, protocol)
            except ConnectError as error:
                last = error
            else:
                return
        raise last

    async def _connect(self, address: str, port: int, protocol: LinkProtocol) -> None:
        if self._in_hub:
            dialling = Dialling(
                self._reactor, address, port, cast(IProtocol, protocol), NODE_LIMITS
            )
            await dialling.within(CONNECT_WITHIN_S)
        else:
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            endpoint = kind(cast(IReactorTCP, self._reactor), address, port, CONNECT_WITHIN_S)
            await connectProtocol(endpoint, protocol)

    async def _addresses(self, host: str) -> list[str]:
        if isIPAddress(host) or isIPv6Address(host):
            return [host]
        found = FoundAddresses()
        self._reactor.nameResolver.resolveHostName(found, host)
        return await found.complete


@implementer(IResolutionReceiver)
class FoundAddresses:
    """The addresses that a name stands for.

    Attributes:
        complete: All of them, when they are known.
    """

    def __init__(self) -> None:
        self.complete = Deferred[list[str]]()
        self._found: list[str] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Do nothing."""

    def addressResolved(self, address: IAddress) -> None:
        """Take an address."""
        self._found.append(str(getattr(address, "host", address)))

    def resolutionComplete(self) -> None:
        """Give those that were found."""
        self.complete.callback(self._found)


__all__ = ["NODE_LIMITS", "FoundAddresses", "NodeDialer"]
