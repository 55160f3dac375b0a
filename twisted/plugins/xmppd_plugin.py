"""What makes ``twistd xmppd`` and ``epoll:5222`` exist.

Every program that asks Twisted for plugins loads this file, so it imports nothing of ours.
"""

from twisted.application.service import ServiceMaker
from twisted.internet.interfaces import (
    IReactorCore,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class EPollParser:
    """Understands ``epoll:5222:interface=127.0.0.1:backlog=1000``."""

    prefix = "epoll"

    def parseStreamServer(
        self, reactor: IReactorCore, *args: object, **kwargs: object
    ) -> IStreamServerEndpoint:
        from xmppd.net.epoll_endpoint import endpoint_from_strings  # Only when used.

        options = {name: str(value) for name, value in kwargs.items()}
        return endpoint_from_strings(reactor, *map(str, args), **options)


epoll = EPollParser()
xmppd = ServiceMaker("xmppd", "xmppd.app", "An XMPP server", "xmppd")
