"""Every reactor carries the hub: the contract runs again under each, in a process of its own."""

import os
import resource
import sys
from pathlib import Path

from twisted.internet.defer import maybeDeferred
from twisted.internet.utils import getProcessOutput, getProcessOutputAndValue
from twisted.trial.unittest import SkipTest, TestCase

from tests.unit.net import connections
from tests.unit.net.peer import Service, clock, port_number
from xmppd.net.epoll_endpoint import EPollServerEndpoint

ROOT = Path(__file__).parents[3]
NESTED = "XMPPD_TEST_NESTED"
OWNER = (
    "test_epoll_endpoint.EPollPlainTests",
    "test_epoll_endpoint.EPollTLSTests",
    "test_reactors.CrowdTests",
)


class CrowdTests(TestCase):
    """More clients than select() can watch."""

    timeout = 30

    async def test_many_sockets(self) -> None:
        """Twelve hundred clients in another process are served, under any reactor."""
        count = 1_200
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < count + 200:
            raise SkipTest(f"only {hard} descriptors allowed")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        service = Service()
        port = await EPollServerEndpoint(clock, 0, interface="127.0.0.1").listen(service)
        self.addCleanup(lambda: maybeDeferred(port.stopListening))
        printed = await getProcessOutput(
            sys.executable,
            [connections.__file__, str(port_number(port)), str(count)],
            errortoo=True,
        )
        self.assertEqual(printed, b"all heard\n")
        for server in service.all:
            await server.end()
        self.assertEqual(len(service.all), count)


class ReactorTests(TestCase):
    """Under another reactor."""

    timeout = 60

    def setUp(self) -> None:
        if NESTED in os.environ:
            raise SkipTest("this is the inner run")

    async def under(self, reactor: str) -> None:
        """Run the contract under this reactor, and stop one with a client connected."""
        environment = {
            **os.environ,
            NESTED: "1",
            "PYTHONPATH": str(ROOT),
            "XMPPD_TEST_REACTOR": reactor,
        }
        temporary = str(Path(self.mktemp()).resolve())
        out, err, code = await getProcessOutputAndValue(
            sys.executable,
            [
                *("-m", "twisted.trial", "--reactor", reactor, "--temp-directory", temporary),
                *(f"tests.unit.net.{name}" for name in OWNER),
            ],
            environment,
            str(ROOT),
        )
        self.assertEqual(code, 0, (out[-3_000:] + err[-1_000:]).decode())
        out, err, code = await getProcessOutputAndValue(
            sys.executable, ["-m", "tests.unit.net.stopping"], environment, str(ROOT)
        )
        self.assertEqual(
            (out, err, code), (b"b'goodbye' ['made', 'lost'] []\n", b"", 0), err.decode()
        )

    async def test_epoll(self) -> None:
        """epoll: the hub in an epoll of the reactor's."""
        await self.under("epoll")

    async def test_poll(self) -> None:
        """Poll."""
        await self.under("poll")

    async def test_select(self) -> None:
        """select: its limit of 1024 does not bind clients."""
        await self.under("select")

    async def test_asyncio(self) -> None:
        """Asyncio."""
        await self.under("asyncio")
