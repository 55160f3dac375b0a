"""Questions to a service that speaks HTTP, over real connections on this machine."""

from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorTCP, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase

from xmppd.net.http_caller import MAX_ANSWER_BYTES, HTTPCaller, NotAnswered


class Service(ServerFactory["_Talk"]):
    """Says to each request what a test wants, in its bytes.

    Attributes:
        says: For each request in turn; the last one again and again; empty to say nothing.
        closes: Whether it closes the connection then.
        asked: The requests.
        connections: How many there were.
    """

    def __init__(self) -> None:
        self.says = [_ok(b"yes")]
        self.closes = False
        self.asked: list[bytes] = []
        self.connections = 0
        self.open: set[Protocol] = set()

    def buildProtocol(self, addr: object) -> "_Talk":
        """Talk to a client."""
        self.connections += 1
        return _Talk(self)


class _Talk(Protocol):
    def __init__(self, service: Service) -> None:
        self.service = service

    def connectionMade(self) -> None:
        """Be there."""
        self.service.open.add(self)

    def connectionLost(self, reason: object = None) -> None:
        """Be gone."""
        self.service.open.discard(self)

    def dataReceived(self, data: bytes) -> None:
        """Answer: a request here is one segment."""
        self.service.asked.append(data)
        says = self.service.says.pop(0) if len(self.service.says) > 1 else self.service.says[0]
        transport = cast(ITCPTransport, self.transport)
        transport.write(says)
        if self.service.closes:
            transport.loseConnection()


class CallerTests(TestCase):
    """HTTPCaller."""

    timeout = 30

    def setUp(self) -> None:
        self.service = Service()
        site = cast(ServerFactory[Any], self.service)
        self.port = cast(IReactorTCP, reactor).listenTCP(0, site, interface="127.0.0.1")
        port = self.port.getHost().port  # type: ignore[attr-defined]  # it is an IPv4Address
        self.url = f"http://127.0.0.1:{port}/check"
        self.caller = HTTPCaller.trusting("", cast(IReactorTime, reactor), 0.6)

        self.addCleanup(self.caller.close_kept)
        self.addCleanup(self.stop)

    def stop(self) -> object:
        """Have the service end."""
        for talk in self.service.open:
            cast(ITCPTransport, talk.transport).abortConnection()
        return self.port.stopListening()

    async def ask(self) -> tuple[int, bytes] | str:
        """The answer, or what happened instead."""
        try:
            return await self.caller.ask("POST", self.url, b"x=1", {"Content-Type": "text/x"})
        except NotAnswered as error:
            return str(error)

    async def test_answer(self) -> None:
        """A service is sent what it is asked, and by a connection that is kept."""
        self.assertEqual([await self.ask(), await self.ask()], [(200, b"yes"), (200, b"yes")])
        self.assertEqual(self.service.connections, 1)
        self.assertTrue(self.service.asked[0].startswith(b"POST /check HTTP/1.1\r\n"))
        self.assertIn(b"\r\nContent-Type: text/x\r\n", self.service.asked[0])
        self.assertTrue(self.service.asked[0].endswith(b"\r\n\r\nx=1"))

    async def test_closed_meanwhile(self) -> None:
        """A connection that was kept and is closed at the other end is no reason to give up."""
        self.assertEqual(await self.ask(), (200, b"yes"))
        self.service.closes = True
        self.service.says = [b"", _ok(b"again")]
        self.assertEqual(await self.ask(), (200, b"again"))

    async def test_lost(self) -> None:
        """However a connection is lost, it is one error, which says how."""
        for says, closes, said in (
            (b"", True, "ResponseNeverReceived"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", True, "ConnectionClosed"),
            (b"", False, "TimeoutError"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", False, "TimeoutError"),
        ):
            with self.subTest(says=says, closes=closes):
                self.service.says, self.service.closes = [says], closes
                self.assertEqual(await self.ask(), said)

    async def test_nobody_there(self) -> None:
        """Nor is a service that is not there anything else."""
        await maybeDeferred(self.stop)
        self.assertEqual(await self.ask(), "ConnectionRefusedError")

    async def test_too_large(self) -> None:
        """An answer that is too large is none."""
        self.service.says = [_ok(b"x" * MAX_ANSWER_BYTES)]
        self.assertEqual(await self.ask(), (200, b"x" * MAX_ANSWER_BYTES))
        self.service.says = [_ok(b"x" * (MAX_ANSWER_BYTES + 1))]
        self.assertEqual(await self.ask(), "ConnectionClosed")


class TrustTests(SynchronousTestCase):
    """Whose certificates count."""

    def test_no_file(self) -> None:
        """A file of authorities that is not there is told at once."""
        with self.assertRaises(ValueError):
            HTTPCaller.trusting("/nowhere/ca.pem", cast(IReactorTime, reactor), 1.0)


def _ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


__all__ = ["CallerTests", "TrustTests"]
