"""What Twisted finds of us: ``twistd xmppd`` and the endpoint ``epoll:``."""

import subprocess
import sys

from twisted.application.service import IServiceMaker
from twisted.internet.endpoints import serverFromString
from twisted.internet.testing import MemoryReactorClock
from twisted.plugin import getPlugins
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.net.peer import Service
from twisted.plugins import xmppd_plugin
from xmppd.net.epoll_connection import SocketLimits
from xmppd.net.epoll_endpoint import EPollServerEndpoint
from xmppd.net.epoll_hub import Hub


class PluginTests(SynchronousTestCase):
    """twisted/plugins/xmppd_plugin.py."""

    def parse(self, text: str) -> EPollServerEndpoint:
        """The endpoint of this description."""
        endpoint = serverFromString(MemoryReactorClock(), text)
        assert isinstance(endpoint, EPollServerEndpoint)
        return endpoint

    def test_service(self) -> None:
        """Twistd knows the command xmppd."""
        names = [maker.tapname for maker in getPlugins(IServiceMaker)]
        self.assertIn("xmppd", names)

    def test_defaults(self) -> None:
        """A port is enough."""
        endpoint = self.parse("epoll:5222")
        self.assertEqual(
            (endpoint.port, endpoint.interface, endpoint.backlog, endpoint.limits),
            (5222, "", 1000, SocketLimits(8_388_608, 5.0)),
        )

    def test_all_options(self) -> None:
        """Every option can be given, IPv6 addresses with their colons escaped."""
        endpoint = self.parse(
            r"epoll:port=5222:interface=\:\:1:backlog=50:max_queued_bytes=1000:close_timeout_s=2.5"
        )
        self.assertEqual(
            (endpoint.port, endpoint.interface, endpoint.backlog, endpoint.limits),
            (5222, "::1", 50, SocketLimits(1000, 2.5)),
        )

    def test_mistakes(self) -> None:
        """What is no number, and what nobody knows, is refused."""
        with self.assertRaises(ValueError):
            self.parse("epoll:xmpp-client")
        with self.assertRaises(TypeError):
            self.parse("epoll:5222:colour=blue")

    def test_listens(self) -> None:
        """The endpoint of a description listens."""
        endpoint = self.parse("epoll:0:interface=127.0.0.1")
        port = self.successResultOf(endpoint.listen(Service()))
        self.assertIn("127.0.0.1", str(port.getHost()))
        Hub.of(endpoint.reactor).connectionLost(Failure(Exception()))

    def test_imports_nothing(self) -> None:
        """Every program that asks for plugins loads the file: it brings in no reactor, nor us."""
        program = (
            "import sys, runpy\n"
            "runpy.run_path(sys.argv[1])\n"
            "print([name for name in sys.modules if name.split('.')[0] == 'xmppd'"
            " or name in ('twisted.internet.reactor', 'OpenSSL')])\n"
        )
        printed = subprocess.check_output([sys.executable, "-c", program, xmppd_plugin.__file__])
        self.assertEqual(printed.strip(), b"[]")
