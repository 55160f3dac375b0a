"""What the service finds wrong before it opens anything."""

import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.log import Log
from xmppd.machine import IReactor
from xmppd.net.certificate import make_self_signed
from xmppd.service import StartError, XMPPService

DOMAIN = '[[domain]]\nname = "localhost"\n'
SECURE = DOMAIN + 'certificate = "localhost.crt"\nkey = "localhost.key"\n'


class MistakeTests(SynchronousTestCase):
    """Each mistake is one sentence on stderr that names the file, the key and what to do."""

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
        self.assertEqual([door.where for door in service.doors], [""])
        self.assertFalse((self.directory / "data").exists())

    def test_wrong_type(self) -> None:
        """A value is of the wrong kind."""
        self.refused(
            DOMAIN + '[sessions]\nmax_per_account = "ten"\n',
            "sessions.max_per_account", "make it an integer",
        )  # fmt: skip

    def test_impossible_combination(self) -> None:
        """Two values contradict each other."""
        self.refused(
            DOMAIN + '[[listen]]\nendpoint = "tcp:5222"\n', "listen.tls", "add domain.certificate"
        )

    def test_key_of_another(self) -> None:
        """The key belongs to another certificate."""
        make_self_signed("localhost", self.directory / "b.crt", self.directory / "b.key")
        self.refused(SECURE.replace("localhost.key", "b.key"), "domain.key", "is not the key")

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
