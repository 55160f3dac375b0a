"""Servers that turn us away at one door or in one way, and let us in at another."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_PEM, X509
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IOpenSSLContextFactory,
    IOpenSSLServerConnectionCreator,
    IReactorTCP,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.integration.towns import Authority, Map, Town, heard, soon
from tests.name_server import NameServer, port_of
from xmppd.net import connection_handler
from xmppd.resolve import search
from xmppd.resolve.attempts import Attempts
from xmppd.resolve.connector import Connector
from xmppd.resolve.finder import Finder
from xmppd.resolve.name_service import NameService
from xmppd.resolve.question import IResolverReactor
from xmppd.resolve.targets import Directions
from xmppd.stanza import ns

SERVICE = "_xmpp-server._tcp.mantua.lit"
HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='{ns.SERVER}' xmlns:stream='{ns.STREAM}'"
    f" xmlns:db='{ns.DIALBACK}' from='mantua.lit' to='verona.lit' version='1.0' id='1'>"
)
STARTTLS = f"<starttls xmlns='{ns.TLS}'/>"
EXTERNAL = f"<mechanisms xmlns='{ns.SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>"
DIALBACK = f"<dialback xmlns='{ns.DIALBACK_FEATURE}'><errors/></dialback>"
FAILURE = f"<failure xmlns='{ns.SASL}'><not-authorized/></failure>"
ERROR = f"<stream:error><not-authorized xmlns='{ns.STREAM_ERRORS}'/></stream:error>"
BY_DNS: dict[str, object] = {"require_tls": True, "require_valid_certificate": False}
STRICT: dict[str, object] = {"require_tls": True, "require_valid_certificate": True}


class Gate(Protocol):
    """One connection with a server that does as a test wants."""

    transport: ITLSTransport

    def __init__(self, mantua: "Mantua") -> None:
        self.mantua = mantua
        self.heard = b""
        self.secure = False

    def send(self, text: str) -> None:
        """Say something."""
        self.transport.write(text.encode())

    def close(self) -> None:
        """Say no more."""
        self.transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        for word, answer in self.mantua.answers.items():
            if word.encode() in self.heard:
                self.heard = b""
                answer(self)
                return

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.mantua.gates.discard(self)


@implementer(IOpenSSLContextFactory)
class Mantua(ServerFactory[Protocol]):
    """A server that we call.

    Args:
        certificate: PEM file with what it shows.
        interface: Where it listens.
        port: The same.

    Attributes:
        answers: What it does when it hears a word.
        said: What it heard that matters, in order.
        gates: Its connections.
    """

    noisy = False

    def __init__(self, certificate: str, interface: str = "127.0.0.1", port: int = 0) -> None:
        self._certificate = certificate
        self.context = self.new_context()
        self.said: list[str] = []
        self.gates: set[Gate] = set()
        self.answers: dict[str, Callable[[Gate], None]] = {
            "</stream:stream": Gate.close,
            "<message": lambda gate: self.said.append("message"),
            "<db:result": self.believe,
            "<auth": self.authenticate,
            "<starttls": self.begin_tls,
            "<stream:stream": self.open,
        }
        self._port: IListeningPort = cast(IReactorTCP, reactor).listenTCP(
            port, cast(ServerFactory, self), interface=interface
        )
        self.port = port_of(self._port)

    def new_context(self) -> SSL.Context:
        """It shows our certificate, and asks for none."""
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate_chain_file(self._certificate)
        context.use_privatekey_file(self._certificate, FILETYPE_PEM)
        return context

    def getContext(self) -> SSL.Context:
        """For TLS."""
        return self.context

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        gate = Gate(self)
        self.gates.add(gate)
        self.said.append("connection")
        return gate

    def close(self) -> Deferred[None]:
        """Be gone."""
        for gate in tuple(self.gates):
            cast(ITCPTransport, gate.transport).abortConnection()
        return cast(Deferred[None], maybeDeferred(self._port.stopListening))

    # -- what it does ---------------------------------------------------------------------------

    def open(self, gate: Gate) -> None:
        """Answer a header."""
        features = EXTERNAL + DIALBACK if gate.secure else STARTTLS
        gate.send(f"{HEADER}<stream:features>{features}</stream:features>")

    def begin_tls(self, gate: Gate) -> None:
        """Speak TLS."""
        gate.send(f"<proceed xmlns='{ns.TLS}'/>")
        gate.secure = True
        gate.transport.startTLS(cast(IOpenSSLServerConnectionCreator, self))

    def authenticate(self, gate: Gate) -> None:
        """Believe a certificate."""
        self.said.append("EXTERNAL")
        gate.send(f"<success xmlns='{ns.SASL}'/>")
        self.answers["<stream:stream"] = lambda gate: gate.send(
            f"{HEADER}<stream:features>{DIALBACK}</stream:features>"
        )

    def believe(self, gate: Gate) -> None:
        """Believe a key."""
        self.said.append("dialback")
        gate.send("<db:result from='mantua.lit' to='verona.lit' type='valid'/>")


class Verona(Town):
    """A town that finds others by DNS."""

    dns: NameServer

    def _connector(self, attempts: Attempts, directions: Directions) -> Connector:  # type: ignore[override]
        network = cast(IResolverReactor, reactor)
        names = NameService(network, [self.dns.address], hosts=Path("/nonexistent"))
        return Finder(network, names, attempts, Directions(allow_private=True))


class TurnedAway(TestCase):
    """Romeo at Verona writes to Mantua."""

    timeout = 30

    def setUp(self) -> None:
        self.patch(connection_handler, "TURN_S", 10.0)  # what is said here is heard at once
        self.directory = Path(self.mktemp())
        self.authority = Authority(self.directory)
        self.unauthenticated = Authority(self.directory, "stranger")
        self.dns = NameServer()
        self.dns.listen()
        self.addCleanup(self.dns.stop)

    async def verona(self, s2s: dict[str, object] = BY_DNS) -> Town:
        """The town, which shows a certificate."""
        trust = {"authorities": str(self.authority.file), **s2s}
        Verona.dns = self.dns
        town = Verona(Map(), [self.authority.sign("verona.lit")], trust, romeo={})
        self.addCleanup(town.close)
        await town.open()
        return town

    def mantua(self, *, believed: bool = True, host: str = "127.0.0.1", port: int = 0) -> Mantua:
        """A server of that name."""
        signer = self.authority if believed else self.unauthenticated
        mantua = Mantua(signer.sign("mantua.lit")["certificate"], host, port)
        self.addCleanup(mantua.close)
        return mantua

    def publish(self, *servers: Mantua) -> None:
        """DNS leads to these, in this order."""
        for number, server in enumerate(servers):
            self.dns.service(SERVICE, f"{number}.mantua.lit", server.port, priority=number)
            self.dns.forget(f"{number}.mantua.lit")
            self.dns.host(f"{number}.mantua.lit", "127.0.0.1")

    def write(self, verona: Town) -> None:
        """Romeo writes to somebody at Mantua."""
        verona.bind("romeo").send(
            "<message to='juliet@mantua.lit' id='m'><body>hi</body></message>"
        )

    async def until_said(self, mantua: Mantua, what: str = "message") -> None:
        """Wait until it has heard that."""
        while what not in mantua.said:
            await soon()

    def steps(self, verona: Town) -> list[str]:
        """What was tried at the doors, and what came of it."""
        steps = verona.server.foreign_routes.history.attempts.of("mantua.lit")
        return [step.outcome for step in steps if step.kind == "negotiate"]


class DisbeliefTests(TurnedAway):
    """Mantua offers EXTERNAL, and does not believe our certificate."""

    def polite(self, gate: Gate) -> None:
        gate.send(FAILURE)

    def rude(self, gate: Gate) -> None:
        gate.send(f"{FAILURE}</stream:stream>")
        gate.close()

    def wrong(self, gate: Gate) -> None:
        gate.send(f"{ERROR}</stream:stream>")
        gate.close()

    def silent(self, gate: Gate) -> None:
        gate.close()

    async def test_same_stream(self) -> None:
        """If the stream goes on, dialback is tried on it."""
        mantua, verona = self.mantua(), await self.verona()
        mantua.answers["<auth"] = self.polite
        self.publish(mantua)
        self.write(verona)
        await self.until_said(mantua)
        self.assertEqual(mantua.said, ["connection", "dialback", "message"])

    async def test_next_stream(self) -> None:
        """However it hangs up, it is called again at once, and then dialback is tried."""
        for refuse in (self.rude, self.wrong, self.silent):
            with self.subTest(refuse.__name__):
                mantua, verona = self.mantua(), await self.verona()
                mantua.answers["<auth"] = refuse
                self.dns.forget(SERVICE)
                self.publish(mantua)
                self.write(verona)
                await self.until_said(mantua)
                self.assertEqual(mantua.said.count("connection"), 2)
                self.assertEqual(mantua.said[-2:], ["dialback", "message"])

    async def test_refused_by_tls(self) -> None:
        """TLS itself may refuse our certificate; none is shown then."""

        def believe(
            connection: SSL.Connection, cert: X509, error: int, depth: int, ok: int
        ) -> bool:
            return bool(ok)

        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            with self.subTest(version):
                mantua, verona = self.mantua(), await self.verona()
                mantua.context.set_verify(SSL.VERIFY_PEER, believe)
                mantua.context.set_max_proto_version(version)
                mantua.context.load_verify_locations(str(self.unauthenticated.file))
                self.dns.forget(SERVICE)
                self.publish(mantua)
                self.write(verona)
                await self.until_said(mantua)
                self.assertEqual(mantua.said, ["connection"] * 2 + ["dialback", "message"])

    async def test_refused_twice(self) -> None:
        """A server may refuse EXTERNAL first, and then a certificate that is shown for nothing."""
        mantua, verona = self.mantua(), await self.verona()

        def refuse(gate: Gate) -> None:
            self.rude(gate)
            mantua.context = mantua.new_context()
            mantua.context.set_verify(SSL.VERIFY_PEER, lambda *look: bool(look[-1]))
            mantua.context.load_verify_locations(str(self.unauthenticated.file))

        mantua.answers["<auth"] = refuse
        self.publish(mantua)
        self.write(verona)
        await self.until_said(mantua)
        self.assertEqual(mantua.said.count("connection"), 3)

    async def test_remembered(self) -> None:
        """It is remembered, until somebody has closed its streams or changed the certificate."""
        mantua, verona = self.mantua(), await self.verona()
        mantua.answers["<auth"] = self.rude
        self.publish(mantua)
        routes = verona.server.foreign_routes
        for forget, connections in (
            (lambda: None, 2),
            (lambda: None, 1),
            (lambda: routes.close_to("mantua.lit"), 2),
            (routes.outgoing_connections.forget_all, 2),
        ):
            forget()
            mantua.said.clear()
            self.write(verona)
            await self.until_said(mantua)
            self.assertEqual(mantua.said.count("connection"), connections)
            for gate in tuple(mantua.gates):
                gate.close()
            while mantua.gates:
                await soon()

    async def test_not_for_good(self) -> None:
        """When dialback does not do either, the certificate is shown again the next time."""
        mantua, verona = self.mantua(), await self.verona({**BY_DNS, "retry_first_s": 0.01})
        believe, authenticate = mantua.answers["<db:result"], mantua.answers["<auth"]
        mantua.answers["<auth"] = self.rude
        mantua.answers["<db:result"] = lambda gate: gate.send(
            "<db:result from='mantua.lit' to='verona.lit' type='invalid'/>"
        )
        self.publish(mantua)
        romeo = verona.bind("romeo")
        romeo.send("<message to='juliet@mantua.lit' id='m'><body>hi</body></message>")
        (stanza,) = await heard(romeo)
        self.assertIn("remote-server-timeout", stanza)
        mantua.answers |= {"<auth": authenticate, "<db:result": believe}
        mantua.said.clear()
        await deferLater(reactor, 0.02, lambda: None)
        romeo.send("<message to='juliet@mantua.lit' id='m'><body>hi</body></message>")
        await self.until_said(mantua)
        self.assertEqual(mantua.said, ["connection", "EXTERNAL", "message"])

    async def test_policy(self) -> None:
        """Where DNS is not believed, a certificate that proves nothing gets no dialback either."""
        mantua, verona = self.mantua(believed=False), await self.verona(STRICT)
        mantua.answers["<auth"] = self.rude
        self.publish(mantua)
        romeo = verona.bind("romeo")
        romeo.send("<message to='juliet@mantua.lit' id='m'><body>hi</body></message>")
        (stanza,) = await heard(romeo)
        self.assertIn("remote-server-timeout", stanza)
        self.assertEqual(mantua.said, ["connection"])


class NextDoorTests(TurnedAway):
    """The first of two doors is not as it should be; the second is."""

    async def assert_next(self, first: Mantua, why: str, s2s: dict[str, object] = BY_DNS) -> None:
        second, verona = self.mantua(), await self.verona(s2s)
        self.dns.forget(SERVICE)
        self.publish(first, second)
        self.write(verona)
        await self.until_said(second)
        outcome, done = self.steps(verona)
        self.assertIn(why, outcome)
        self.assertEqual(done, "done")

    async def test_no_tls(self) -> None:
        """A door whose TLS fails, in whatever way, or that has none, makes way for the next."""

        def garbage(gate: Gate) -> None:
            gate.send(f"<proceed xmlns='{ns.TLS}'/>")
            gate.dataReceived = lambda data: gate.send("this is no TLS at all " * 9)  # type: ignore[method-assign]

        def proceed_and_leave(gate: Gate) -> None:
            gate.send(f"<proceed xmlns='{ns.TLS}'/>")
            gate.close()

        def refuse(gate: Gate) -> None:
            gate.send(f"<failure xmlns='{ns.TLS}'/></stream:stream>")
            gate.close()

        for answer, why in (
            (garbage, "TLS failed"),
            (proceed_and_leave, "no stream was opened after TLS"),
            (refuse, "the other server cannot start TLS"),
            (Gate.close, "the other server did not start TLS"),
        ):
            with self.subTest(why):
                first = self.mantua()
                first.answers["<starttls"] = answer
                await self.assert_next(first, why)

    async def test_no_stream(self) -> None:
        """So does one that does not come to a stream, or serves others."""

        def unknown(gate: Gate) -> None:
            error = f"<stream:error><host-unknown xmlns='{ns.STREAM_ERRORS}'/></stream:error>"
            gate.send(f"{HEADER}{error}</stream:stream>")
            gate.close()

        def in_clear(gate: Gate) -> None:
            gate.send(f"{HEADER}<stream:features/>")

        for answer, why in (
            (Gate.close, "the other server did not answer the stream header"),
            (unknown, "host-unknown"),
            (in_clear, "the other server offers no TLS"),
            (lambda gate: gate.send("HTTP/1.1 400 Bad Request"), "not-well-formed"),
        ):
            with self.subTest(why):
                first = self.mantua()
                first.answers["<stream:stream"] = answer
                await self.assert_next(first, why)

    async def test_certificate(self) -> None:
        """So does one whose certificate proves nothing, where one has to."""
        await self.assert_next(self.mantua(believed=False), "certificate is invalid", STRICT)

    async def test_ciphers(self) -> None:
        """So does one with which we have no cipher in common."""
        first = self.mantua()
        first.context.set_max_proto_version(SSL.TLS1_2_VERSION)
        first.context.set_cipher_list(b"AES128-SHA")
        await self.assert_next(first, "TLS failed")

    async def test_silence(self) -> None:
        """So does one that says nothing, after a while."""
        self.patch(search, "SETTLE_S", 0.2)
        first = self.mantua()
        first.answers["<stream:stream"] = lambda gate: None
        await self.assert_next(first, "in time")

    async def test_next_address(self) -> None:
        """The next may also be another address of the same host."""
        first, second = self.two_addresses()
        self.dns.service(SERVICE, "0.mantua.lit", first.port)
        self.dns.host("0.mantua.lit", "127.0.0.1", "127.0.0.2")
        verona = await self.verona(STRICT)
        self.write(verona)
        await self.until_said(second)
        self.assertEqual(len(self.steps(verona)), 2)

    def two_addresses(self) -> tuple[Mantua, Mantua]:
        """Servers at two addresses with one port, which is free at both of them."""
        for _ in range(10):
            first = self.mantua(believed=False)
            try:
                return first, self.mantua(host="127.0.0.2", port=first.port)
            except CannotListenError:
                continue  # another process has that port there
        raise AssertionError("no port is free at two addresses")

    async def test_none(self) -> None:
        """When no door is as it should be, the sender is told what was wrong with the last."""
        verona = await self.verona(STRICT)
        self.publish(self.mantua(believed=False), self.mantua(believed=False))
        romeo = verona.bind("romeo")
        romeo.send("<message to='juliet@mantua.lit' id='m'><body>hi</body></message>")
        (stanza,) = await heard(romeo)
        self.assertIn("remote-server-timeout", stanza)
        self.assertIn("certificate", stanza)
        self.assertEqual(len(self.steps(verona)), 2)
