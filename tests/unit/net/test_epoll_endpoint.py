"""Two endpoints, one contract: Twisted's own TCP endpoint and ours, in the clear and under TLS."""

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint

from tests.unit.net import contract
from tests.unit.net.peer import clock
from xmppd.net.epoll_endpoint import EPollServerEndpoint


def stock(port: int) -> IStreamServerEndpoint:
    """Twisted's endpoint."""
    return TCP4ServerEndpoint(clock, port, interface="127.0.0.1")


def ours(port: int) -> IStreamServerEndpoint:
    """The endpoint ``epoll:``."""
    return EPollServerEndpoint(clock, port, interface="127.0.0.1")


class StockPlainTests(contract.PlainContract):
    """Twisted's endpoint in the clear: the reference."""

    def endpoint(self, port: int = 0) -> IStreamServerEndpoint:
        return stock(port)


class StockTLSTests(contract.TLSContract):
    """Twisted's endpoint under TLS: the reference."""

    def endpoint(self, port: int = 0) -> IStreamServerEndpoint:
        return stock(port)


class EPollPlainTests(contract.PlainContract):
    """Our endpoint in the clear."""

    def endpoint(self, port: int = 0) -> IStreamServerEndpoint:
        return ours(port)


class EPollTLSTests(contract.TLSContract):
    """Our endpoint under TLS."""

    def endpoint(self, port: int = 0) -> IStreamServerEndpoint:
        return ours(port)
