"""What the service finds wrong before it opens anything."""

import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from cryptography import x509
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase

from xmppd import service as service_module
from xmppd.config.config import Config
from xmppd.config.table import ConfigError
from xmppd.host.log import Log
from xmppd.host.machine import IReactor
from xmppd.net.certificate import load_authorities, make_self_signed
from xmppd.net.listen_endpoint import Certificates, certificates
from xmppd.plugin.plugin_manager import PluginManager
from xmppd.server.xmpp_server import XMPPServer
from xmppd.service import StartError, XMPPService
from xmppd.testing.client import done
from xmppd.testing.house import House, memory_store

DOMAIN = '[[domain]]\nname = "localhost"\n'
SECURE = DOMAIN + 'certificate = "localhost.crt"\nkey = "localhost.key"\n'


class ServiceCase(SynchronousTestCase):
    """A directory with a certificate, and a service that is made of a configuration there."""

    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.path = self.directory / "xmppd.toml"
        make_self_signed(
            "localhost", self.directory / "localhost.crt", self.directory / "localhost.key"
        )

    def made(self, text: str) -> XMPPService:
        self.path.write_text(text, encoding="utf-8")
        return XMPPService(self.path, cast(IReactor, MemoryReactorClock()), Log(), lambda: None)


class MistakeTests(ServiceCase):
    """Each mistake is one sentence on stderr that names the file, the key and what to do."""

    def refused(self, text: str, *parts: str) -> None:
        stderr = StringIO()
        self.patch(sys, "__stderr__", stderr)
        error = self.assertRaises(StartError, self.made, text)
        self.assertEqual(stderr.getvalue(), f"{error}\n")
        self.assertEqual(error.code, 1)
        for part in (str(self.path), *parts):
            self.assertIn(part, str(error))

    def test_nothing_wrong(self) -> None:
        """A good configuration is taken, and nothing is open yet."""
        service = self.made(SECURE + '[[listen]]\nendpoint = "tcp:5222"\n')
        self.assertEqual([door.where for door in service.endpoints], [""])
        self.assertFalse((self.directory / "data").exists())

    def test_wrong_type(self) -> None:
        """A value is of the wrong kind."""
        self.refused(
            DOMAIN + '[sessions]\nmax_per_account = "ten"\n',
            "sessions.max_per_account", "it must be an integer",
        )  # fmt: skip

    def test_impossible_combination(self) -> None:
        """Two values contradict each other."""
        self.refused(
            DOMAIN + '[[listen]]\nendpoint = "tcp:5222"\n', 'tls = "starttls"', "add certificate"
        )

    def test_key_of_another(self) -> None:
        """The key belongs to another certificate."""
        make_self_signed("localhost", self.directory / "b.crt", self.directory / "b.key")
        self.refused(SECURE.replace("localhost.key", "b.key"), "domain.key", "is not the key")

    def test_other_name(self) -> None:
        """A certificate is for another domain; one with a star is for what it stands for."""
        for certified, domain, says in (
            ("b.lit", "localhost", '"localhost" is for b.lit'),
            ("*.b.lit", "b.lit", '"b.lit" is for *.b.lit'),
            ("*.b.lit", "x.y.b.lit", "for *.b.lit"),
            ("*.b.lit", "chat.b.lit", ""),
            ("BÜCHER.example", "bücher.example", ""),
        ):
            with self.subTest(domain, certified=certified):
                for name in ("b.crt", "b.key"):
                    (self.directory / name).unlink(missing_ok=True)
                make_self_signed(certified, self.directory / "b.crt", self.directory / "b.key")
                text = SECURE.replace("localhost.", "b.").replace('"localhost"', f'"{domain}"')
                text += '[[listen]]\nendpoint = "tcp:5222"\n'
                if says:
                    self.refused(text, "domain.certificate", says, f"for {domain}.")
                else:
                    self.made(text)

    def test_client_ca(self) -> None:
        """Whom to trust in is not there."""
        self.refused(SECURE + '[tls]\nclient_ca = "nobody.pem"\n', "tls.client_ca", "nobody.pem")

    def test_authorities(self) -> None:
        """Whose signatures on other servers' certificates count is not there."""
        self.refused(
            SECURE + '[s2s]\nauthorities = "nobody.pem"\n', "s2s.authorities", "nobody.pem"
        )

    def test_ciphers(self) -> None:
        """OpenSSL does not know the ciphers."""
        self.refused(SECURE + '[tls]\nciphers = "rot13"\n', "tls.ciphers", "rot13")

    def test_endpoint(self) -> None:
        """An endpoint string is none."""
        for endpoint in ("epol:5222", "epoll:none", "epoll:5222:colour=red", "5222x", ""):
            with self.subTest(endpoint):
                self.refused(
                    f'{SECURE}[[listen]]\nendpoint = "{endpoint}"\n',
                    "listen.endpoint",
                    "epoll:5222",
                )

    def test_endpoint_with_tls_of_its_own(self) -> None:
        """An endpoint that speaks TLS itself cannot be combined with ours."""
        self.refused(
            SECURE + '[[listen]]\nendpoint = "ssl:5223"\ntls = "direct"\n',
            "listen.endpoint", 'listen.tls = "direct"',
        )  # fmt: skip


AUTHORITIES = (
    SECURE
    + """
[[listen]]
endpoint = "tcp:0"
tls = "starttls"
[tls]
client_ca = "localhost.crt"
[s2s]
authorities = "localhost.crt"
"""
)


class ReloadTests(ServiceCase):
    """The files of certificates are read once, and what was found good is what is used."""

    def setUp(self) -> None:
        super().setUp()
        self.build(AUTHORITIES)

    def build(self, text: str) -> None:
        """A service with a server and its plugins, none of which is loaded."""
        self.service = self.made(text)
        self.service.server = XMPPServer(
            self.service.config, memory_store(), House(), certificates(self.service.config)
        )
        self.service.plugins = PluginManager(self.service.server)

    def shown(self) -> list[x509.Certificate]:
        """What clients are shown, other servers are shown, and whom those have to trust in."""
        server = self.service.server
        assert server.tls is not None
        to_clients = server.tls.identity("localhost")
        towards = server.outgoing_tls.towards("mantua.lit", "localhost", direct_tls=False)
        nobody = cast(TLSMemoryBIOProtocol, None)
        to_servers = towards.clientConnectionForTLS(nobody).get_certificate(as_cryptography=True)
        assert to_clients is not None
        assert to_servers is not None
        return [to_clients[1].certificate, to_servers, *(server.trust._roots or ())]

    def renew(self) -> None:
        """Put another certificate in the place of that which there was."""
        for name in ("localhost.crt", "localhost.key"):
            (self.directory / name).unlink(missing_ok=True)
        make_self_signed(
            "localhost", self.directory / "localhost.crt", self.directory / "localhost.key"
        )

    def test_other_name(self) -> None:
        """A certificate for another domain changes nothing."""
        before = self.shown()
        for name in ("localhost.crt", "localhost.key"):
            (self.directory / name).unlink()
        make_self_signed(
            "b.lit", self.directory / "localhost.crt", self.directory / "localhost.key"
        )
        error = self.failureResultOf(self.service.reload(), ConfigError).value
        self.assertIn('"localhost" is for b.lit', str(error))
        self.assertEqual(self.shown(), before)

    def damage(self) -> None:
        for name in ("localhost.crt", "localhost.key"):
            (self.directory / name).write_text("half of it")

    def test_changed_in_between(self) -> None:
        """Files that are replaced while they are being checked do no harm."""
        self.renew()
        (renewed,) = load_authorities(self.directory / "localhost.crt")

        def read_then_damaged(config: Config) -> Certificates:
            read = certificates(config)
            self.damage()
            return read

        self.patch(service_module, "certificates", read_then_damaged)
        done(self.service.reload())
        self.assertEqual(self.shown(), [renewed] * 3)

    def test_all_or_nothing(self) -> None:
        """If one file cannot be used, nothing at all has changed."""
        before = self.shown()
        for name in ("localhost.crt", "localhost.key"):
            with self.subTest(name):
                self.renew()
                (self.directory / name).write_text("half of it")
                self.path.write_text(AUTHORITIES + "require_tls = false\n")
                self.failureResultOf(Deferred.fromCoroutine(self.service.reload()), ConfigError)
                self.assertEqual(self.shown(), before)
                self.assertTrue(self.service.server.config.s2s.require_tls)

    def test_twice(self) -> None:
        """A second reading waits for the first, and has the last word."""
        plugins = self.directory / "plugins"
        plugins.mkdir()
        (plugins / "slow.py").write_text(
            "from twisted.internet.defer import Deferred\n"
            "waited = Deferred()\n"
            "async def plug():\n    await waited\n    return []\n"
        )
        self.addCleanup(sys.modules.pop, "xmppd_local.slow", None)
        self.build(AUTHORITIES + "[plugins]\nload = []\ndirectory = 'plugins'\n")
        text = AUTHORITIES + "{}[plugins]\nload = ['slow']\ndirectory = 'plugins'\n"
        self.path.write_text(text.format(""))
        first = Deferred.fromCoroutine(self.service.reload())
        self.path.write_text(text.format("require_tls = false\n"))
        second = Deferred.fromCoroutine(self.service.reload())
        self.assertNoResult(first)
        sys.modules["xmppd_local.slow"].waited.callback(None)
        self.assertEqual(self.successResultOf(first)[0], ["plugins.load"])
        self.assertEqual(self.successResultOf(second)[0], ["s2s.require_tls"])
        self.assertIs(self.service.plugins.config, self.service.config)
        self.assertFalse(self.service.server.config.s2s.require_tls)

    def test_replaced_later(self) -> None:
        """Files that are damaged after the start hurt nobody until the next one."""
        before = self.shown()
        self.damage()
        self.service.server.outgoing_tls.renew()
        self.assertEqual(self.shown(), before)
