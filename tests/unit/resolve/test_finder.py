"""From a domain to a connection: real DNS and real sockets on the loopback."""

from pathlib import Path
from random import Random
from typing import cast

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IReactorTCP
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.name_server import NameServer, port_of
from xmppd.resolve import finder as finding
from xmppd.resolve import search as searching
from xmppd.resolve.attempts import Attempts
from xmppd.resolve.finder import FIND_S, NOT_FOUND_S, Finder
from xmppd.resolve.lost import Disbelieved, no_stream, not_found
from xmppd.resolve.name_service import NameService
from xmppd.resolve.question import IResolverReactor
from xmppd.resolve.search import TARGET_S, RemoteServerNotFound, RemoteServerTimeout, Search
from xmppd.resolve.targets import Directions, Target
from xmppd.stanza import Condition, StanzaError

STARTTLS = "_xmpp-server._tcp."
DIRECT_TLS = "_xmpps-server._tcp."
NO_HOSTS = Path("/nonexistent")


class Ours(Protocol):
    """What is connected to a target.

    Args:
        target: Which.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.lost: Deferred[None] = Deferred()

    def connectionLost(self, reason: object = None) -> None:
        self.lost.callback(None)


class Visitor:
    """Somebody who wants to be connected.

    Attributes:
        visited: The targets where he has been.
        verdicts: What he thinks of the next ones; None if one will do. He stays at all others.
    """

    def __init__(self) -> None:
        self.visited: list[Target] = []
        self.verdicts: list[StanzaError | Deferred[None]] = []

    def make(self, target: Target) -> Ours:
        """Our end."""
        return Ours(target)

    async def settle(self, protocol: IProtocol) -> None:
        """Wait for the verdict."""
        assert isinstance(protocol, Ours)
        self.visited.append(protocol.target)
        if self.verdicts:
            verdict = self.verdicts.pop(0)
            try:
                if isinstance(verdict, StanzaError):
                    raise verdict
                await verdict
            except BaseException:
                assert protocol.transport is not None
                protocol.transport.loseConnection()
                raise


class Door(ServerFactory[Protocol]):
    """A port that lets everybody in, and says nothing."""

    protocol = Protocol
    noisy = False

    def __init__(self) -> None:
        self._port = cast(IReactorTCP, reactor).listenTCP(
            0, cast(ServerFactory, self), interface="127.0.0.1"
        )
        self.port = port_of(self._port)

    def close(self) -> Deferred[None]:
        """Let nobody in."""
        closed = self._port.stopListening()
        assert closed is not None
        return closed


class FinderCase(TestCase):
    """A finder that asks a name server of ours."""

    def setUp(self) -> None:
        self.dns = NameServer()
        self.dns.listen()
        self.addCleanup(self.dns.stop)
        self.open = Door()
        self.addCleanup(self.open.close)
        self.visitor = Visitor()
        names = NameService(
            cast(IResolverReactor, reactor), [self.dns.address], hosts=NO_HOSTS, timeouts_s=(10,)
        )
        self.attempts = Attempts(cast(IResolverReactor, reactor), lambda: 0.0)
        self.known: dict[str, list[Target]] = {}
        directions = Directions(self.known, allow_private=True)
        self.finder = Finder(
            cast(IResolverReactor, reactor), names, self.attempts, directions, Random(2782)
        )

    def find(self, domain: str = "montague.lit") -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self.finder.connect(domain, self.visitor))

    async def found(self, domain: str = "montague.lit") -> Target:
        """The target that was connected; the connection is closed again."""
        protocol = await self.find(domain)
        assert isinstance(protocol, Ours)
        assert protocol.transport is not None
        protocol.transport.loseConnection()
        await protocol.lost
        return protocol.target

    async def closed_port(self) -> int:
        """A port where nobody listens."""
        door = Door()
        await door.close()
        return door.port

    def steps(self, domain: str = "montague.lit") -> list[tuple[str, str, str]]:
        return [(step.kind, step.what, step.outcome) for step in self.attempts.of(domain)]


class FoundTests(FinderCase):
    async def test_starttls(self) -> None:
        """A domain's SRV record leads to its server."""
        self.dns.service(STARTTLS + "montague.lit", "xmpp.montague.lit", self.open.port)
        self.dns.host("xmpp.montague.lit", "127.0.0.1")
        self.assertEqual(await self.found(), Target("xmpp.montague.lit", self.open.port))

    async def test_direct_tls(self) -> None:
        """Whoever is told that a port speaks TLS from the first byte is told so (XEP-0368)."""
        self.dns.service(DIRECT_TLS + "montague.lit", "xmpp.montague.lit", self.open.port)
        self.dns.host("xmpp.montague.lit", "127.0.0.1")
        target = await self.found()
        self.assertEqual(target, Target("xmpp.montague.lit", self.open.port, direct_tls=True))

    async def test_both_kinds_are_one_list(self) -> None:
        """Direct TLS is tried first if its priority says so, and only then (XEP-0368)."""
        closed = await self.closed_port()
        self.dns.service(STARTTLS + "montague.lit", "a.montague.lit", closed, priority=1)
        self.dns.service(DIRECT_TLS + "montague.lit", "b.montague.lit", closed, priority=2)
        self.dns.service(STARTTLS + "montague.lit", "c.montague.lit", self.open.port, priority=3)
        for host in "abc":
            self.dns.host(f"{host}.montague.lit", "127.0.0.1")
        self.assertEqual((await self.found()).host, "c.montague.lit")
        self.assertEqual(
            self.steps()[2:],
            [
                ("lookup", "a.montague.lit AAAA, A", "127.0.0.1"),
                ("connect", f"127.0.0.1:{closed} (STARTTLS)", "refused"),
                ("lookup", "b.montague.lit AAAA, A", "127.0.0.1"),
                ("connect", f"127.0.0.1:{closed} (direct TLS)", "refused"),
                ("lookup", "c.montague.lit AAAA, A", "127.0.0.1"),
                ("connect", f"127.0.0.1:{self.open.port} (STARTTLS)", "connected"),
                ("negotiate", f"127.0.0.1:{self.open.port} (STARTTLS)", "done"),
            ],
        )

    async def test_next_address(self) -> None:
        """When a host's IPv6 address does not answer, its IPv4 address does."""
        self.dns.service(STARTTLS + "montague.lit", "xmpp.montague.lit", self.open.port)
        self.dns.host("xmpp.montague.lit", "::1", "127.0.0.1")
        self.assertEqual((await self.found()).host, "xmpp.montague.lit")
        outcomes = [outcome for kind, _, outcome in self.steps() if kind == "connect"]
        self.assertEqual(len(outcomes), 2)
        self.assertEqual(outcomes[1], "connected")

    async def test_host_without_address(self) -> None:
        """A record that leads to a host without an address does not hide the next record."""
        name = STARTTLS + "montague.lit"
        self.dns.service(name, "gone.montague.lit", self.open.port, priority=1)
        self.dns.service(name, "xmpp.montague.lit", self.open.port, priority=2)
        self.dns.host("xmpp.montague.lit", "127.0.0.1")
        self.assertEqual((await self.found()).host, "xmpp.montague.lit")

    async def test_one_question_fails(self) -> None:
        """What the one SRV record says holds, though the other could not be asked for."""
        self.dns.broken.add(DIRECT_TLS + "montague.lit")
        self.dns.service(STARTTLS + "montague.lit", "xmpp.montague.lit", self.open.port)
        self.dns.host("xmpp.montague.lit", "127.0.0.1")
        self.assertEqual((await self.found()).host, "xmpp.montague.lit")

    async def test_no_direct_tls(self) -> None:
        """The target "." takes one kind of door away, not the other."""
        self.dns.service(DIRECT_TLS + "montague.lit", "", 0)
        self.dns.service(STARTTLS + "montague.lit", "xmpp.montague.lit", self.open.port)
        self.dns.host("xmpp.montague.lit", "127.0.0.1")
        self.assertEqual((await self.found()).port, self.open.port)
        self.assertEqual(
            self.steps()[0][2],
            "the domain says in DNS that it has no such service (the target is a dot)",
        )

    async def test_idn(self) -> None:
        """A domain in another script is asked for as DNS spells it."""
        self.dns.service(STARTTLS + "xn--mller-kva.lit", "xmpp.montague.lit", self.open.port)
        self.dns.host("xmpp.montague.lit", "127.0.0.1")
        self.assertEqual((await self.found("müller.lit")).host, "xmpp.montague.lit")

    async def test_configured(self) -> None:
        """Where the administrator says where a domain's server is, DNS is not asked."""
        self.known["montague.lit"] = [
            Target("127.0.0.1", await self.closed_port()),
            Target("127.0.0.1", self.open.port, direct_tls=True),
        ]
        self.assertEqual(await self.found(), self.known["montague.lit"][1])
        self.assertEqual(self.dns.asked, [])


class SettlingTests(FinderCase):
    """Whoever has answered may turn out not to be the one."""

    def publish(self, *hosts: str) -> None:
        for priority, host in enumerate(hosts):
            self.dns.service(STARTTLS + "montague.lit", host, self.open.port, priority=priority)
            self.dns.host(host, "127.0.0.1")

    def visited(self) -> list[str]:
        return [target.host for target in self.visitor.visited]

    async def test_next_target(self) -> None:
        """Where the visitor cannot stay, the next target is tried."""
        self.publish("a.lit", "b.lit", "c.lit", "d.lit")
        wrong = no_stream("a wrong certificate")
        self.visitor.verdicts = [no_stream("no TLS"), not_found("not here"), wrong]
        self.assertEqual((await self.found()).host, "d.lit")
        self.assertEqual(self.visited(), ["a.lit", "b.lit", "c.lit", "d.lit"])
        outcomes = [outcome for kind, _, outcome in self.steps() if kind == "negotiate"]
        self.assertEqual(outcomes, ["no TLS", "not here", "a wrong certificate", "done"])

    async def test_none_will_do(self) -> None:
        """When none is left, what was wrong with the last is what is wrong."""
        self.publish("a.lit", "b.lit")
        self.visitor.verdicts = [no_stream("no TLS"), not_found("not here")]
        error = cast(StanzaError, await self.assertFailure(self.find(), StanzaError))
        self.assertEqual(error.text, "not here")
        self.assertEqual(error.condition, Condition.REMOTE_SERVER_NOT_FOUND)

    async def test_next_is_not_there(self) -> None:
        """That counts more than that others could not even be reached."""
        self.publish("a.lit")
        self.dns.service(STARTTLS + "montague.lit", "b.lit", await self.closed_port(), priority=2)
        self.dns.host("b.lit", "127.0.0.1")
        self.visitor.verdicts = [no_stream("no TLS")]
        error = cast(StanzaError, await self.assertFailure(self.find(), StanzaError))
        self.assertEqual(error.text, "no TLS")

    async def test_silent_target(self) -> None:
        """A target that keeps us waiting makes way for the next."""
        self.patch(searching, "SETTLE_S", 0.05)
        self.publish("a.lit", "b.lit")
        self.visitor.verdicts = [Deferred()]
        self.assertEqual((await self.found()).host, "b.lit")

    async def test_end_of_the_search(self) -> None:
        """However many targets there are, it is over in time."""
        self.patch(finding, "FIND_S", 0.1)
        self.publish("a.lit", "b.lit")
        self.visitor.verdicts = [Deferred(), Deferred()]
        await self.assertFailure(self.find(), RemoteServerTimeout)
        self.assertNotIn("b.lit", self.visited())

    async def test_disbelieved(self) -> None:
        """A server that does not believe a certificate is to be called without one: no other is."""
        self.publish("a.lit", "b.lit")
        self.visitor.verdicts = [Disbelieved()]
        await self.assertFailure(self.find(), Disbelieved)
        self.assertEqual(self.visited(), ["a.lit"])


class FailureTests(FinderCase):
    async def test_no_such_domain(self) -> None:
        """A domain that DNS does not know has no server."""
        error = cast(StanzaError, await self.assertFailure(self.find(), RemoteServerNotFound))
        self.assertEqual(error.condition, Condition.REMOTE_SERVER_NOT_FOUND)
        self.assertEqual(
            self.steps(),
            [
                ("lookup", "_xmpps-server._tcp.montague.lit SRV", "no such name"),
                ("lookup", "_xmpp-server._tcp.montague.lit SRV", "no such name"),
                ("lookup", "montague.lit AAAA, A", "no such name"),
            ],
        )

    async def test_decidedly_not(self) -> None:
        """A domain that says it has no XMPP server is believed; its website is left in peace."""
        self.dns.service(STARTTLS + "montague.lit", "", 0)
        self.dns.host("montague.lit", "127.0.0.1")
        await self.assertFailure(self.find(), RemoteServerNotFound)
        self.assertNotIn(("montague.lit", "A"), self.dns.asked)

    async def test_refused(self) -> None:
        """A server that does not run cannot be reached, which may change."""
        port = await self.closed_port()
        self.dns.service(STARTTLS + "montague.lit", "xmpp.montague.lit", port)
        self.dns.host("xmpp.montague.lit", "127.0.0.1")
        error = cast(StanzaError, await self.assertFailure(self.find(), RemoteServerTimeout))
        self.assertEqual(error.condition, Condition.REMOTE_SERVER_TIMEOUT)

    async def test_broken_dns(self) -> None:
        """While DNS is in trouble nobody says that the domain does not exist."""
        self.dns.broken |= {DIRECT_TLS + "montague.lit", STARTTLS + "montague.lit"}
        await self.assertFailure(self.find(), RemoteServerTimeout)

    async def test_long_names(self) -> None:
        """So is one that is longer than a name in DNS can be, or has a part that is."""
        for domain in ("a" * 64 + ".lit", ".".join(["a" * 60] * 5), "montague..lit"):
            await self.assertFailure(self.find(domain), RemoteServerNotFound)
        self.assertEqual(self.dns.asked, [])

    async def test_end_of_the_search(self) -> None:
        """When the time is over nothing is asked any more, whatever is under way."""
        self.patch(finding, "FIND_S", 0.05)
        silent = ("montague.lit", "AAAA"), ("montague.lit", "A")
        services = (STARTTLS + "montague.lit", "SRV"), (DIRECT_TLS + "montague.lit", "SRV")
        for questions in (services[:1], services[1:], services, silent[:1], silent[1:], silent):
            with self.subTest(questions):
                self.dns.silent = set(questions)
                self.finder._names = NameService(
                    cast(IResolverReactor, reactor),
                    [self.dns.address],
                    hosts=NO_HOSTS,
                    timeouts_s=(60,),
                )
                await self.assertFailure(self.find(), RemoteServerTimeout, RemoteServerNotFound)
                self.finder.forget("montague.lit")

    async def test_impossible_name(self) -> None:
        """A domain that cannot stand in DNS is not asked for."""
        await self.assertFailure(self.find("\N{COMBINING ACUTE ACCENT}.lit"), RemoteServerNotFound)
        self.assertEqual(self.dns.asked, [])


class PrivateTests(FinderCase):
    """DNS may not lead strangers to our neighbours."""

    def setUp(self) -> None:
        super().setUp()
        self.finder.use(Directions(self.known))

    async def assert_refused(self) -> None:
        error = await self.assertFailure(self.find(), RemoteServerNotFound)
        self.assertIn("no public address", str(cast(Exception, error)))
        (kind, _, outcome) = self.steps()[-1]
        self.assertEqual(kind, "connect")
        self.assertIn("not a public address", outcome)

    async def test_targets(self) -> None:
        """Neither by an SRV record, with any kind of TLS and any port …"""
        for service in (STARTTLS, DIRECT_TLS):
            for address in ("127.0.0.1", "::1", "10.1.2.3", "64:ff9b::7f00:1"):
                with self.subTest(service, address=address):
                    self.dns.service(service + "montague.lit", "x.montague.lit", self.open.port)
                    self.dns.host("x.montague.lit", address)
                    await self.assert_refused()
                    self.dns.forget(service + "montague.lit")
                    self.dns.forget("x.montague.lit")
                    self.finder.forget("montague.lit")

    async def test_literal_target(self) -> None:
        """… be its target an address itself …"""
        self.dns.service(STARTTLS + "montague.lit", "127.0.0.1", self.open.port)
        await self.assert_refused()

    async def test_alias(self) -> None:
        """… nor by an alias …"""
        self.dns.alias("montague.lit", "x.montague.lit")
        self.dns.host("x.montague.lit", "127.0.0.1")
        await self.assert_refused()

    async def test_own_address(self) -> None:
        """… nor by the domain's own address."""
        self.dns.host("montague.lit", "127.0.0.1")
        await self.assert_refused()

    async def test_one_of_several(self) -> None:
        """An address that is public is tried, and the others are not."""
        tried: list[str] = []

        async def reach(search: Search, target: Target, factory: object, address: str) -> None:
            tried.append(address)
            raise ConnectError

        self.patch(Search, "_reach", reach)
        self.dns.host("montague.lit", "127.0.0.1", "8.8.8.8", "::1", "10.0.0.1")
        await self.assertFailure(self.find(), RemoteServerTimeout)
        self.assertEqual(tried, ["8.8.8.8"])


class MemoryTests(SynchronousTestCase):
    """What becomes of failures and of time, on a clock of our own."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.known = {"montague.lit": [Target("192.0.2.1"), Target("2001:db8::1")]}
        around = cast(IResolverReactor, self.reactor)
        names = NameService(around, [("192.0.2.53", 53)], hosts=NO_HOSTS)
        self.attempts = Attempts(around, lambda: 0.0)
        self.finder = Finder(around, names, self.attempts, Directions(self.known))

    def find(self, domain: str = "montague.lit") -> Deferred[IProtocol]:
        return Deferred.fromCoroutine(self.finder.connect(domain, Visitor()))

    def hosts(self) -> list[str]:
        """Where connections were begun."""
        return [client[0] for client in self.reactor.tcpClients]

    def assert_unreachable(self, found: Deferred[IProtocol]) -> None:
        self.failureResultOf(found, RemoteServerTimeout)

    def test_time_of_a_target(self) -> None:
        """A target that does not answer in time makes way for the next."""
        found = self.find()
        self.assertEqual(self.hosts(), ["192.0.2.1"])
        self.reactor.advance(TARGET_S)
        self.assertEqual(self.hosts(), ["192.0.2.1", "2001:db8::1"])
        self.reactor.advance(TARGET_S)
        self.assert_unreachable(found)
        self.assertEqual(
            [step.outcome for step in self.attempts.of("montague.lit")], ["given up"] * 2
        )

    def test_whole_time(self) -> None:
        """However many targets there are, it is over in time."""
        self.known["montague.lit"] = [Target(f"192.0.2.{n}") for n in range(10)]
        found = self.find()
        for _ in range(int(FIND_S)):
            self.assertNoResult(found)
            self.reactor.advance(1)
        self.assert_unreachable(found)
        self.assertEqual(len(self.hosts()), FIND_S / TARGET_S)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_unreachable_is_not_remembered(self) -> None:
        """Who was not reached may be tried at once: that is not for the finder to say."""
        self.find().addErrback(lambda _: None)
        self.reactor.pump([TARGET_S, TARGET_S])
        self.assertNoResult(self.find())

    def test_not_found_is_remembered(self) -> None:
        """That a domain has no server is remembered for a while."""
        domain = "\N{COMBINING ACUTE ACCENT}.lit"
        self.failureResultOf(self.find(domain), RemoteServerNotFound)
        self.known[domain] = [Target("192.0.2.1")]
        self.reactor.advance(NOT_FOUND_S - 1)
        self.failureResultOf(self.find(domain), RemoteServerNotFound)
        self.reactor.advance(1)
        self.assertNoResult(self.find(domain))

    def test_forget(self) -> None:
        """A domain that was heard of is looked for at once."""
        domain = "\N{COMBINING ACUTE ACCENT}.lit"
        self.failureResultOf(self.find(domain), RemoteServerNotFound)
        self.known[domain] = [Target("192.0.2.1")]
        self.finder.forget(domain)
        self.assertNoResult(self.find(domain))

    def test_memory_is_bounded(self) -> None:
        """Of very many failures, the oldest are forgotten."""
        self.patch(finding, "MAX_REMEMBERED", 3)
        self.setUp()
        domains = [f"\N{COMBINING ACUTE ACCENT}{n}.lit" for n in range(4)]
        for domain in domains:
            self.failureResultOf(self.find(domain), RemoteServerNotFound)
            self.known[domain] = [Target("192.0.2.1")]
        self.assertNoResult(self.find(domains[0]))
        self.failureResultOf(self.find(domains[1]), RemoteServerNotFound)

    def test_given_up(self) -> None:
        """Whoever no longer wants a server calls everybody back."""
        found = self.find()
        found.cancel()
        self.failureResultOf(found, CancelledError)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual([step.outcome for step in self.attempts.of("montague.lit")], ["given up"])

    def test_address(self) -> None:
        """A domain that is an IP address is its own host."""
        self.find("8.8.8.8")
        self.find("[2606:4700::9]")
        self.assertEqual(
            [client[:2] for client in self.reactor.tcpClients],
            [("8.8.8.8", 5269), ("2606:4700::9", 5269)],
        )

    def test_private_address(self) -> None:
        """One that is not public is nobody's server, and nothing is sent there."""
        for domain in (
            "127.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.7]",
            "[64:ff9b::7f00:1]",
            "10.0.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "[fe80::1]",
            "224.0.0.1",
            "0.0.0.0",
            "192.0.2.9",
        ):
            with self.subTest(domain):
                error = self.failureResultOf(self.find(domain), RemoteServerNotFound)
                self.assertIn("no public address", str(error.value))
                (step,) = self.attempts.of(domain)
                self.assertIn("s2s.allow_private", step.outcome)
        self.assertEqual(self.hosts(), [])

    def test_private_and_named(self) -> None:
        """Where the administrator says where a server is, that is where it is."""
        self.known["mantua.lit"] = [Target("127.0.0.1", 5270)]
        self.find("mantua.lit")
        self.assertEqual(self.hosts(), ["127.0.0.1"])

    def test_remembered_reason(self) -> None:
        """Whoever asks again is told why again; and other directions are gone by at once."""
        for _ in range(2):
            error = self.failureResultOf(self.find("127.0.0.1"), RemoteServerNotFound)
            self.assertIn("no public address", str(error.value))
        self.assertEqual(len(self.attempts.of("127.0.0.1")), 1)
        self.finder.use(Directions(allow_private=True))
        self.find("127.0.0.1")
        self.assertEqual(self.hosts(), ["127.0.0.1"])
