"""Certificates by ACME, from pebble: had at the start, renewed under clients that stay."""

import socket
import ssl
from collections.abc import Mapping

from cryptography import x509

from tests.integration.processes import PATIENCE_S, XMPPCTL, Peer, ProcessCase
from tests.pebble import Pebble
from tests.ports import free_port

CONFIG = """\
data = "data"
[[domain]]
name = "chat.example"
acme = true
[[listen]]
endpoint = "epoll:0:interface=127.0.0.1"
tls = "direct"
{listen}
[[listen]]
endpoint = "epoll:0:interface=127.0.0.1"
kind = "component"
tls = "none"
[[component]]
name = "gateway.chat.example"
secret = "for this test"
[auth]
scram_iterations = 16
[plugins]
load = ["ping"]
[web]
url = "https://www.chat.example"
{acme}
"""
TEXTS = """\
[[listen]]
endpoint = "epoll:{port}:interface=127.0.0.1"
kind = "http"
tls = "none"
serve = ["acme"]
"""
HANDSHAKES = """\
[[listen]]
endpoint = "epoll:{port}:interface=127.0.0.1"
kind = "http"
tls = "direct"
"""


class ACMECase(ProcessCase):
    """A server whose domain has ``acme = true``, and an authority that is not running yet."""

    def setUp(self) -> None:
        super().setUp()
        self.http_port, self.tls_port = free_port(), free_port()

    def authority(
        self,
        *,
        rejected_nonces: int = 5,
        listen: str = TEXTS,
        accounts: Mapping[str, str] | None = None,
        days: float = 90,
    ) -> Pebble:
        """An authority that is there, and the configuration that names it."""
        pebble = Pebble(
            self.directory / "pebble",
            http_port=self.http_port,
            tls_port=self.tls_port,
            rejected_nonces=rejected_nonces,
            accounts=accounts,
            days=days,
        )
        port = self.http_port if listen is TEXTS else self.tls_port
        self.config.write_text(
            CONFIG.format(listen=listen.format(port=port), acme=pebble.settings), encoding="utf-8"
        )
        self.addCleanup(pebble.stop)
        pebble.start()
        return pebble

    def verified(self, pebble: Pebble, name: str = "chat.example") -> x509.Certificate:
        """What a client is shown that trusts this authority only, and asks for this name."""
        context = ssl.create_default_context(cadata=pebble.root())
        with (
            socket.create_connection(("127.0.0.1", self.ports()[0]), PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            return x509.load_der_x509_certificate(secure.getpeercert(binary_form=True) or b"")

    def has_renewed(self) -> bool:
        return "the certificate of chat.example was renewed" in self.text()


class IssuedTests(ACMECase):
    """What a server gets from an authority."""

    def test_texts(self) -> None:
        """By http-01 a new server has a certificate for its domain, services and web, that clients
        verify; the next start finds it.
        """
        pebble = self.authority()
        process = self.start()
        self.wait_for(self.has_renewed, process)
        for name in ("chat.example", "gateway.chat.example", "www.chat.example"):
            self.verified(pebble, name)
        self.assertEqual(self.rows("certificate", "list")[0]["by"], "acme")
        file = self.directory / "data/acme/chat.example.pem"
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        before = self.verified(pebble)
        self.end(process)
        process = self.start()
        self.assertEqual(self.verified(pebble), before)
        self.assertFalse(self.has_renewed(), self.text())

    def test_handshakes(self) -> None:
        """By tls-alpn-01 as well, at a listener that answers others as before."""
        pebble = self.authority(listen=HANDSHAKES)
        process = self.start()
        self.wait_for(self.has_renewed, process)
        self.verified(pebble)

    def test_nonces(self) -> None:
        """An authority that rejects every third nonce is asked again."""
        pebble = self.authority(rejected_nonces=35)
        process = self.start()
        self.wait_for(self.has_renewed, process)
        self.verified(pebble)

    def test_clients_stay(self) -> None:
        """A certificate is renewed while a hundred clients stay; new ones are shown the new one."""
        pebble = self.authority()
        process = self.start()
        self.wait_for(self.has_renewed, process)
        before = self.verified(pebble)
        clients = [Peer(self.ports()[0]) for _ in range(100)]
        for client in clients:
            self.addCleanup(client.close)
            client.send(OPEN)
            client.until(b"</stream:features>")
        self.ctl("certificate", "renew")
        self.assertNotEqual(self.verified(pebble).serial_number, before.serial_number)
        for client in clients:
            client.send(b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='NONE'/>")
            client.until(b"</failure>")

    def test_lost_account(self) -> None:
        """An authority that has forgotten our account is given it again."""
        pebble = self.authority()
        process = self.start()
        self.wait_for(self.has_renewed, process)
        pebble.stop()
        pebble.start()
        self.ctl("certificate", "renew")
        self.verified(pebble)


class BoundTests(ACMECase):
    """An authority that wants an account which somebody has made with it before."""

    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"

    def bind(self, id: str, key: str) -> None:
        """Give the server a key of the authority."""
        file = self.directory / "eab"
        file.write_text(f"{key}\n", encoding="utf-8")
        text = self.config.read_text(encoding="utf-8")
        table = f'[acme]\neab_key_id = "{id}"\neab_key_file = "{file}"'
        self.config.write_text(text.replace("[acme]", table), encoding="utf-8")

    def test_bound(self) -> None:
        """With the key that it has given, a server gets its certificates."""
        pebble = self.authority(accounts={"kid-1": self.key})
        self.bind("kid-1", self.key)
        self.wait_for(self.has_renewed, self.start())
        self.verified(pebble)
        self.assertNotIn(self.key, self.text())

    def test_refused(self) -> None:
        """Without one, with a wrong one, or with what is none, the log says what to do."""
        self.authority(accounts={"kid-1": self.key})
        text = self.config.read_text(encoding="utf-8")
        for bound, said in (
            (None, "set acme.eab_key_id and acme.eab_key_file"),
            (("kid-1", self.key[::-1]), "the authority refused"),
            (("kid-2", self.key), "the authority refused"),
            (("kid-1", "x"), "has no key as the authority gives it"),
            (("kid-1", "é"), "has no key as the authority gives it"),
        ):
            with self.subTest(bound):
                self.config.write_text(text, encoding="utf-8")
                if bound is not None:
                    self.bind(*bound)
                process = self.start()
                self.wait_for(lambda: "could not be renewed" in self.text(), process)
                self.assertIn(said, self.text())
                self.end(process)


OPEN = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='chat.example' version='1.0'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)


class FailureTests(ACMECase):
    """What an administrator is told, and that the server works on."""

    def refused(self) -> str:
        return self.ctl("certificate", "renew", status=1)

    def test_service_without_name(self) -> None:
        """A service that DNS leads elsewhere costs the domain nothing, and is named in the log."""
        pebble = self.authority()
        pebble.lead_away("gateway.chat.example")
        process = self.start()
        self.wait_for(self.has_renewed, process)
        self.verified(pebble)
        self.assertIn("will not include gateway.chat.example", self.text())
        self.assertRaises(ssl.SSLError, self.verified, pebble, "gateway.chat.example")

    def test_domain_without_name(self) -> None:
        """A domain that leads elsewhere is told so, with what to look at; a client comes in with a
        certificate that only we have signed.
        """
        pebble = self.authority()
        pebble.lead_away("chat.example")
        process = self.start()
        self.wait_for(lambda: "could not be renewed" in self.text(), process)
        said = self.refused()
        self.assertIn("cannot reach this server by http-01", said)
        self.assertIn("port 80", said)
        Peer(self.ports()[0]).close()
        self.assertIn("certificate-not-renewed", str(self.wrong()))
        self.assertIn("until an authority", str(self.rows("certificate", "list")[0]["by"]))
        pebble.lead_here("chat.example")
        self.ctl("certificate", "renew")
        self.verified(pebble)

    def wrong(self) -> object:
        """What status says of it, which is trouble."""
        ended = self.run_command([*XMPPCTL, "--config", str(self.config), "--json", "status"])
        self.assertEqual(ended.returncode, 2, ended.stdout + ended.stderr)
        return ended.stdout

    def test_away(self) -> None:
        """An authority that is away, or is none, is said to be."""
        pebble = self.authority()
        process = self.start()
        self.wait_for(self.has_renewed, process)
        pebble.stop()
        self.assertIn("does not answer (Connection refused)", self.refused())
        self.verified_still(process)

    def verified_still(self, process: object) -> None:
        """The server shows what it has."""
        self.assertEqual(self.rows("certificate", "list")[0]["by"], "acme")

    def test_untrusted(self) -> None:
        """An authority whose own certificate is not trusted is not believed."""
        self.authority()
        text = self.config.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if not line.startswith("authorities")]
        self.config.write_text("\n".join(lines), encoding="utf-8")
        process = self.start()
        self.wait_for(lambda: "could not be renewed" in self.text(), process)
        self.assertIn("is not trusted", self.text())

    def test_expired(self) -> None:
        """An authority whose own certificate has expired is not believed, and that is said."""
        self.authority(days=-1)
        process = self.start()
        self.wait_for(lambda: "could not be renewed" in self.text(), process)
        self.assertIn("has expired", self.text())
        self.assertIn("the clock of this machine", self.text())

    def test_no_authority(self) -> None:
        """A URL that is something else is named as the mistake."""
        pebble = self.authority()
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(text.replace(pebble.url, f"{pebble.url}ectory"), encoding="utf-8")
        process = self.start()
        self.wait_for(lambda: "could not be renewed" in self.text(), process)
        self.assertIn("is not an ACME directory", self.text())


__all__ = ["BoundTests", "FailureTests", "IssuedTests"]
