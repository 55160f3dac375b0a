"""What DNS and the hosts file say, asked of a real name server on the loopback."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.name_server import NameServer
from xmppd.resolve import name_service
from xmppd.resolve.name_service import (
    MAX_ADDRESSES,
    NameService,
    NoAnswer,
    NoSuchName,
    Services,
    by_turns,
    name_servers,
)
from xmppd.resolve.question import IResolverReactor
from xmppd.resolve.targets import ServiceRecord, Target

T = TypeVar("T")
NAME = "_xmpp-server._tcp.montague.lit"


class NameServiceCase(TestCase):
    """A name server, and a hosts file that is empty."""

    def setUp(self) -> None:
        self.server = NameServer()
        self.server.listen()
        self.addCleanup(self.server.stop)
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.hosts = Path(directory.name) / "hosts"
        self.names = self.service(self.server.address)

    def service(self, *servers: tuple[str, int]) -> NameService:
        return NameService(
            cast(IResolverReactor, reactor), servers, hosts=self.hosts, timeouts_s=(0.1, 0.1)
        )

    async def assert_raises(self, kind: type[Exception], text: str, asked: Deferred[T]) -> None:
        error = cast(Exception, await self.assertFailure(asked, kind))
        self.assertEqual(str(error), text)


class ServicesTests(NameServiceCase):
    def ask(self, *, direct_tls: bool = False) -> Deferred[Services]:
        return Deferred.fromCoroutine(self.names.services(NAME, direct_tls=direct_tls))

    async def test_records(self) -> None:
        """A domain's records say where its servers are."""
        self.server.service(NAME, "xmpp.montague.lit", 5270, priority=5, weight=10)
        target = Target("xmpp.montague.lit", 5270, direct_tls=True)
        self.assertEqual(await self.ask(direct_tls=True), Services((ServiceRecord(5, 10, target),)))

    async def test_alias(self) -> None:
        """The name may be an alias of another."""
        self.server.alias(NAME, "_xmpp-server._tcp.capulet.lit")
        self.server.service("_xmpp-server._tcp.capulet.lit", "xmpp.capulet.lit")
        (service,) = (await self.ask()).offered
        self.assertEqual(service.target.host, "xmpp.capulet.lit")

    async def test_refused(self) -> None:
        """The target "." says that there decidedly is no such service (RFC 2782)."""
        self.server.service(NAME, "", 0)
        self.assertEqual(await self.ask(), Services(refused=True))

    async def test_no_name(self) -> None:
        """A name that DNS does not know is one thing …"""
        await self.assert_raises(NoSuchName, "no such name", self.ask())

    async def test_no_records(self) -> None:
        """… and a name without records of that kind is the same …"""
        self.server.host(NAME)
        await self.assert_raises(NoSuchName, "no such records", self.ask())

    async def test_broken(self) -> None:
        """… but a name server in trouble says nothing about the domain."""
        self.server.broken.add(NAME)
        await self.assert_raises(NoAnswer, "DNS says SERVFAIL", self.ask())

    async def test_silent(self) -> None:
        """No answer within the time says nothing either."""
        self.server.silent.add((NAME, "SRV"))
        await self.assert_raises(NoAnswer, "no answer from DNS", self.ask())

    async def test_second_server(self) -> None:
        """When the first name server keeps silent, the second is asked."""
        other = NameServer()
        other.listen()
        self.addCleanup(other.stop)
        self.server.silent.add((NAME, "SRV"))
        other.service(NAME, "xmpp.montague.lit")
        self.names = self.service(self.server.address, other.address)
        self.assertEqual(len((await self.ask()).offered), 1)

    async def test_long_answer(self) -> None:
        """An answer too long for a datagram is asked for by TCP."""
        for n in range(40):
            self.server.service(NAME, f"a-host-with-a-long-name-{n}.montague.lit")
        self.assertEqual(len((await self.ask()).offered), 40)

    async def test_nonsense(self) -> None:
        """Records that lead nowhere are left out: a port zero, a host with a blank in it."""
        self.server.service(NAME, "xmpp.montague.lit", 0)
        self.server.service(NAME, "not a host", 5269)
        self.server.service(NAME, "good.montague.lit", 5269)
        hosts = [service.target.host for service in (await self.ask()).offered]
        self.assertEqual(hosts, ["good.montague.lit"])


class AddressesTests(NameServiceCase):
    def ask(self, host: str = "xmpp.montague.lit") -> Deferred[tuple[str, ...]]:
        return Deferred.fromCoroutine(self.names.addresses(host))

    async def test_both_families(self) -> None:
        """IPv6 and IPv4 come by turns, IPv6 first (RFC 8305)."""
        self.server.host("xmpp.montague.lit", "192.0.2.1", "192.0.2.2", "2001:db8::1")
        self.assertEqual(await self.ask(), ("2001:db8::1", "192.0.2.1", "192.0.2.2"))

    async def test_one_family(self) -> None:
        """A host with addresses of one family only is found."""
        self.server.host("four.montague.lit", "192.0.2.1")
        self.server.host("six.montague.lit", "2001:db8::1")
        self.assertEqual(await self.ask("four.montague.lit"), ("192.0.2.1",))
        self.assertEqual(await self.ask("six.montague.lit"), ("2001:db8::1",))

    async def test_alias(self) -> None:
        """A host may be an alias of another."""
        self.server.alias("xmpp.montague.lit", "verona.lit")
        self.server.host("verona.lit", "192.0.2.1")
        self.assertEqual(await self.ask(), ("192.0.2.1",))

    async def test_slow_aaaa(self) -> None:
        """Who has an IPv4 address waits but a moment for IPv6."""
        self.server.host("xmpp.montague.lit", "192.0.2.1", "2001:db8::1")
        self.server.silent.add(("xmpp.montague.lit", "AAAA"))
        self.assertEqual(await self.ask(), ("192.0.2.1",))
        for answer in self.server.unanswered:
            answer()

    async def test_only_broken_a(self) -> None:
        """An IPv6 address is enough, whatever happens to the question for IPv4."""
        self.server.host("xmpp.montague.lit", "2001:db8::1")
        self.server.silent.add(("xmpp.montague.lit", "A"))
        self.assertEqual(await self.ask(), ("2001:db8::1",))

    async def test_none(self) -> None:
        """A host without addresses, or that DNS does not know, has none."""
        self.server.host("xmpp.montague.lit")
        await self.assert_raises(NoSuchName, "no addresses", self.ask())
        await self.assert_raises(NoSuchName, "no such name", self.ask("elsewhere.lit"))

    async def test_one_unknown(self) -> None:
        """As long as one question has no answer, nobody can say that there are none."""
        self.server.host("xmpp.montague.lit")
        self.server.silent.add(("xmpp.montague.lit", "AAAA"))
        await self.assert_raises(NoAnswer, "no answer from DNS", self.ask())

    async def test_bound(self) -> None:
        """Of very many addresses some are tried."""
        self.server.host("xmpp.montague.lit", *(f"192.0.2.{n}" for n in range(100)))
        self.assertEqual(len(await self.ask()), MAX_ADDRESSES)

    async def test_hosts_file(self) -> None:
        """What stands in the hosts file is not asked for."""
        self.hosts.write_text("192.0.2.7 xmpp.montague.lit\n2001:db8::7 XMPP.montague.lit\n")
        self.assertEqual(await self.ask(), ("2001:db8::7", "192.0.2.7"))
        self.assertEqual(self.server.asked, [])


class ResolvConfTests(NameServiceCase):
    def test_read(self) -> None:
        """The name servers of the machine are asked, in order."""
        path = self.hosts.with_name("resolv.conf")
        path.write_text("# ours\nsearch lit\nnameserver 192.0.2.1\nnameserver 2001:db8::1\n")
        self.assertEqual(name_servers(path), (("192.0.2.1", 53), ("2001:db8::1", 53)))

    def test_missing(self) -> None:
        """A machine that names none is its own, as resolv.conf(5) says."""
        path = self.hosts.with_name("resolv.conf")
        self.assertEqual(name_servers(path), (("127.0.0.1", 53),))

    async def test_machine_moves(self) -> None:
        """When the machine gets other name servers, those are asked from then on."""
        known = (self.server.address,)
        self.patch(name_service, "name_servers", lambda path: known)
        names = self.service()
        await self.assertFailure(Deferred.fromCoroutine(names.addresses("a.lit")), NoSuchName)
        other = NameServer()
        other.listen()
        self.addCleanup(other.stop)
        other.host("a.lit", "192.0.2.1")
        known = (other.address,)
        self.assertEqual(await names.addresses("a.lit"), ("192.0.2.1",))


class TurnsTests(SynchronousTestCase):
    def test_by_turns(self) -> None:
        """The longer list has the end to itself."""
        self.assertEqual(by_turns(["6a"], ["4a", "4b"]), ("6a", "4a", "4b"))
        self.assertEqual(by_turns(["6a", "6b"], ["4a"]), ("6a", "4a", "6b"))

    def test_once(self) -> None:
        """An address that is named twice is tried once."""
        self.assertEqual(by_turns(["6a", "6a"], ["4a", "4a", "4b"]), ("6a", "4a", "4b"))
