"""What the checkup says of faults that are planted, without a server that runs."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from cryptography import x509
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.name_server import NameServer
from xmppd.checkup import certificates, dns, features
from xmppd.checkup.checked import Checked, Found, Sight
from xmppd.config import config_file
from xmppd.host.clocks import wall_clock
from xmppd.net.certificate import make_self_signed
from xmppd.resolve.name_service import NameService
from xmppd.resolve.question import IResolverReactor
from xmppd.s2s.verification import Trust
from xmppd.testing.signing_authority import SigningAuthority

PUBLIC = "93.184.215.14"
HEAD = '[[domain]]\nname = "verona.lit"\ncertificate = "verona.lit.crt"\nkey = "verona.lit.key"\n'
CLIENTS = '[[listen]]\nendpoint = "epoll:5222"\n'
DIRECT = '[[listen]]\nendpoint = "epoll:5223"\ntls = "direct"\n'
SERVERS = '[[listen]]\nendpoint = "epoll:5269"\nkind = "server"\n'


class CheckupCase(TestCase):
    """A configuration, a name server of our own and an authority that is trusted."""

    timeout = 30
    https_port = 443

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.zone = NameServer()
        self.zone.listen()
        self.addCleanup(self.zone.stop)
        self.authority = SigningAuthority(self.directory)
        self.authority.issue("verona.lit", days=60)

    async def look(self, look: Callable[[Sight], Found], text: str) -> list[Checked]:
        """What one topic says of a configuration."""
        file = self.directory / "xmppd.toml"
        file.write_text(HEAD + text, encoding="utf-8")
        roots = x509.load_pem_x509_certificates(self.authority.file.read_bytes())
        sight = Sight(
            config_file.load(file),
            NameService(cast(IResolverReactor, reactor), [self.zone.address]),
            Trust(roots, wall_clock),
            wall_clock,
            cast(Callable[..., Awaitable[object]], deferToThread),
            self.https_port,
        )
        return [found async for found in look(sight)]


class DNSTests(CheckupCase):
    """The topic dns."""

    async def assert_says(self, text: str, result: str, *words: str) -> None:
        """One row has this result and these words."""
        found = await self.look(dns.look, text)
        rows = [row for row in found if row.result == result]
        self.assertTrue(
            any(all(word in f"{row.about} {row.says}" for word in words) for row in rows), found
        )

    async def test_well(self) -> None:
        """Records that lead to hosts with addresses are well, all four."""
        self.zone.host("xmpp.verona.lit", PUBLIC)
        for service, port in (("xmpp-client", 5222), ("xmpps-client", 5223), ("xmpp-server", 5269)):
            self.zone.service(f"_{service}._tcp.verona.lit", "xmpp.verona.lit", port)
        found = await self.look(dns.look, CLIENTS + DIRECT + SERVERS)
        self.assertEqual([row.result for row in found], ["ok"] * 3)

    async def test_usual_ports(self) -> None:
        """Without records the usual ports of the domain are looked for, but not direct TLS."""
        self.zone.host("verona.lit", PUBLIC)
        found = await self.look(dns.look, CLIENTS + DIRECT)
        self.assertEqual([row.result for row in found], ["ok", "warn"])
        self.assertIn("_xmpps-client._tcp.verona.lit. SRV 0 5 5223 verona.lit.", found[1].says)

    async def test_missing(self) -> None:
        """A port that is not the usual one needs a record, which is written out."""
        text = CLIENTS.replace("5222", "5333")
        record = "_xmpp-client._tcp.verona.lit. SRV 0 5 5333 verona.lit."
        await self.assert_says(text, "bad", "nobody can find port 5333", record)

    async def test_no_address(self) -> None:
        """A domain without record and address, and a record to a host without one, are bad."""
        await self.assert_says(CLIENTS, "bad", "verona.lit has no address")
        self.zone.service("_xmpp-client._tcp.verona.lit", "xmpp.verona.lit", 5222)
        await self.assert_says(CLIENTS, "bad", "xmpp.verona.lit has no address", "A or AAAA")

    async def test_alias(self) -> None:
        """A record must not lead to an alias."""
        self.zone.host("host.verona.lit", PUBLIC)
        self.zone.alias("xmpp.verona.lit", "host.verona.lit")
        self.zone.service("_xmpp-client._tcp.verona.lit", "xmpp.verona.lit", 5222)
        await self.assert_says(CLIENTS, "bad", "an alias (CNAME)")

    async def test_dot(self) -> None:
        """A record that says there is no service, though there is one, is bad; else it is well."""
        self.zone.service("_xmpp-server._tcp.verona.lit", "", 5269)
        await self.assert_says(SERVERS, "bad", "its target is a dot", "port 5269")
        await self.assert_says(CLIENTS, "ok", "this service is off, as the record says")

    async def test_not_here(self) -> None:
        """A record to what is not configured is bad, one to another port doubtful."""
        self.zone.host("xmpp.verona.lit", PUBLIC)
        self.zone.service("_xmpp-server._tcp.verona.lit", "xmpp.verona.lit", 5269)
        await self.assert_says(CLIENTS, "bad", "a service that is not configured")
        await self.assert_says(SERVERS.replace("5269", "5299"), "warn", "names port 5269")

    async def test_private(self) -> None:
        """An address of a private network is doubtful."""
        self.zone.host("verona.lit", "192.168.1.2")
        self.zone.service("_xmpp-client._tcp.verona.lit", "verona.lit", 5222)
        await self.assert_says(CLIENTS, "warn", "192.168.1.2, which is not public")

    async def test_broken(self) -> None:
        """Name servers that fail are named as the trouble."""
        self.zone.broken.add("_xmpp-client._tcp.verona.lit")
        await self.assert_says(CLIENTS, "bad", "DNS says SERVFAIL", "name servers")


class CertificateTests(CheckupCase):
    """The topic certs."""

    async def row(self, text: str = CLIENTS) -> Checked:
        """What is said of the only certificate."""
        return (await self.look(certificates.look, text))[0]

    async def test_well(self) -> None:
        """One that is trusted, and for the domain, is well."""
        self.assertEqual((await self.row()).result, "ok")

    async def test_self_signed(self) -> None:
        """One that only we have signed is not trusted by others."""
        key = self.directory / "verona.lit.key"
        key.unlink()
        make_self_signed("verona.lit", self.directory / "verona.lit.crt", key)
        row = await self.row()
        self.assertEqual(row.result, "bad")
        self.assertIn("domain.acme = true", row.says)

    async def test_without_chain(self) -> None:
        """One whose authority is not reached lacks what is between."""
        other = SigningAuthority(self.directory, "other")
        other.issue("verona.lit")
        row = await self.row()
        self.assertEqual(row.result, "bad")
        self.assertIn("fullchain.pem", row.says)

    async def test_other_name(self) -> None:
        """One for another name is of no use."""
        self.authority.issue("verona.lit", "mantua.lit", days=60)
        row = await self.row()
        self.assertEqual(row.result, "bad")
        self.assertIn("get one for verona.lit", row.says)

    async def test_service(self) -> None:
        """A component whose name is missing is told apart from that."""
        self.authority.issue("verona.lit", days=60)
        listen = '[[listen]]\nendpoint = "epoll:5347"\nkind = "component"\ntls = "none"\n'
        text = f'{CLIENTS}{listen}[[component]]\nname = "gateway.verona.lit"\nsecret = "s"\n'
        row = await self.row(text)
        self.assertEqual((row.result, row.about), ("warn", "gateway.verona.lit"))

    async def test_ends(self) -> None:
        """One that ends in five days is to be renewed; one that has ended cannot be used."""
        self.authority.issue("verona.lit", days=5)
        row = await self.row()
        self.assertEqual(row.result, "warn")
        self.assertIn("expires in 5 days", row.says)
        self.authority.issue("verona.lit", days=-1)
        row = await self.row()
        self.assertEqual(row.result, "bad")
        self.assertIn("renew the certificate", row.says)

    async def test_other_key(self) -> None:
        """A key that belongs to another certificate is named."""
        key = self.directory / "verona.lit.key"
        kept = key.read_bytes()
        self.authority.issue("verona.lit", days=60)
        key.write_bytes(kept)
        row = await self.row()
        self.assertEqual(row.result, "bad")
        self.assertIn("is not the key of", row.says)


class FeatureTests(CheckupCase):
    """The topic features."""

    async def test_lost(self) -> None:
        """A plugin that is not loaded is named with what people miss for it."""
        text = f'{CLIENTS}[plugins]\nload = ["disco", "carbons"]\n'
        found = {row.about: row for row in await self.look(features.look, text)}
        self.assertEqual(found["archive"].result, "warn")
        self.assertIn('add "archive" to plugins.load', found["archive"].says)
        self.assertNotIn("carbons", found)

    async def test_nothing_lost(self) -> None:
        """With all of them, a listener for browsers, a STUN server and a contact all is well."""
        text = (
            f'{CLIENTS}[[listen]]\nendpoint = "epoll:443"\nkind = "http"\ntls = "direct"\n'
            '[contact]\nabuse = ["mailto:abuse@verona.lit"]\n'
            '[[external_services.service]]\ntype = "stun"\nhost = "verona.lit"\n'
        )
        found = await self.look(features.look, text)
        self.assertEqual([row.result for row in found], ["ok"], found)
