"""TLS and PROXY at the doors of a real server, by clients of every kind."""

import contextlib
import re
import signal
import socket
import ssl
import struct
from base64 import b64encode

from cryptography import x509

from tests.integration.processes import HEADER, PATIENCE_S, ProcessCase
from xmppd.net.certificate import make_self_signed

DOMAINS = ("localhost", "verona.lit")
STARTTLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
EPOLL = "epoll:0:interface=127.0.0.1"
STOCK = "tcp:0:interface=127.0.0.1"

CONFIG = """\
data = "data"
[[domain]]
name = "localhost"
certificate = "localhost.crt"
key = "localhost.key"
[[domain]]
name = "verona.lit"
certificate = "verona.lit.crt"
key = "verona.lit.key"
[auth]
scram_iterations = 16
"""
LISTEN = """\
[[listen]]
endpoint = "{endpoint}"
tls = "{tls}"
"""


class Wire:
    """A client whose TLS is worked by hand, so that its records may be torn.

    Args:
        port: At 127.0.0.1.
        starttls: Whether TLS is asked for; else it begins with the first byte.
        alpn: The protocols offered; None for no offer at all.
        sni: The domain named; None for none.
        versions: Oldest and newest version of TLS.
        piece: How many bytes are sent at once.
        before: What is sent ahead of all, such as a PROXY header.
    """

    def __init__(
        self,
        port: int,
        *,
        starttls: bool,
        alpn: list[str] | None = None,
        sni: str | None = "localhost",
        versions: tuple[ssl.TLSVersion, ssl.TLSVersion] | None = None,
        piece: int = 1 << 20,
        before: bytes = b"",
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.piece = piece
        if before:
            self.socket.sendall(before)
        if starttls:
            self.socket.sendall(HEADER + STARTTLS)
            data = b""
            while not data.endswith(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"):
                data += self._receive()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        if versions is not None:
            context.minimum_version, context.maximum_version = versions
        if alpn is not None:
            context.set_alpn_protocols(alpn)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname=sni)

    def _receive(self) -> bytes:
        data = self.socket.recv(65_536)
        if not data:
            raise EOFError
        return data

    def _flush(self) -> None:
        data = self._out.read()
        for at in range(0, len(data), self.piece):
            self.socket.sendall(data[at : at + self.piece])

    def shake_hands(self) -> None:
        """Agree on TLS."""
        while True:
            try:
                self.tls.do_handshake()
                self._flush()
                return
            except ssl.SSLWantReadError:
                self._flush()
                self._in.write(self._receive())

    def send(self, data: bytes) -> None:
        """Send under TLS."""
        self.tls.write(data)
        self._flush()

    def until(self, end: bytes) -> bytes:
        """What comes, up to this."""
        data = b""
        while end not in data:
            try:
                data += self.tls.read(65_536)
            except ssl.SSLWantReadError:
                self._in.write(self._receive())
        return data

    def end(self) -> str:
        """How the connection ends: with a close_notify, or without."""
        while True:
            try:
                if not self.tls.read(65_536):
                    return "close_notify"
            except ssl.SSLZeroReturnError:
                return "close_notify"
            except ssl.SSLWantReadError:
                try:
                    self._in.write(self._receive())
                except (EOFError, ConnectionError) as error:
                    return type(error).__name__

    def features(self) -> bytes:
        """Shake hands, open a stream, and see what is offered."""
        self.shake_hands()
        self.send(HEADER)
        return self.until(b"</stream:features>")

    @property
    def names(self) -> str:
        """Whom the server's certificate is for."""
        der = self.tls.getpeercert(binary_form=True)
        assert der is not None
        names = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        return ",".join(names.value.get_values_for_type(x509.DNSName))

    def log_in(self, name: str) -> None:
        """Prove who we are, and bind a resource."""
        token = b64encode(f"\0{name}\0a rose".encode())
        self.send(
            b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%b</auth>" % token
        )
        self.until(b"</success>")
        self.send(HEADER)
        self.until(b"</stream:features>")
        bind = b"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
        self.send(b"<iq type='set' id='b'>%b</iq>" % bind)
        self.until(b"</iq>")

    def close(self) -> None:
        """Leave."""
        self.socket.close()


class DoorCase(ProcessCase):
    """A server with two domains, whose doors the test chooses."""

    def configure(self, text: str = "", *, endpoint: str = "") -> None:
        for domain in DOMAINS:
            self.certify(domain)
        self.config.write_text(CONFIG + text, encoding="utf-8")

    def certify(self, domain: str) -> None:
        """A new certificate for a domain."""
        files = [self.directory / f"{domain}.{kind}" for kind in ("crt", "key")]
        for file in files:
            file.unlink(missing_ok=True)
        make_self_signed(domain, *files)

    def open(self, *doors: tuple[str, str], more: str = "") -> list[int]:
        """The ports of these doors of a server that is up."""
        text = "".join(LISTEN.format(endpoint=endpoint, tls=tls) for endpoint, tls in doors)
        self.configure(text + more)
        self.process = self.start()
        return self.ports()


class TLSTests(DoorCase):
    """The same on our endpoint and on Twisted's, with STARTTLS and with direct TLS."""

    def setUp(self) -> None:
        super().setUp()
        doors = [(endpoint, tls) for endpoint in (EPOLL, STOCK) for tls in ("starttls", "direct")]
        self.doors = dict(zip(doors, self.open(*doors), strict=True))

    def test_all(self) -> None:
        """Every kind of client gets in, or is refused, as it should."""
        for (endpoint, tls), port in self.doors.items():
            for check in (self.alpn, self.sni, self.versions, self.torn, self.goodbyes):
                with self.subTest(check.__name__, endpoint=endpoint, tls=tls):
                    check(port, starttls=tls == "starttls")
        for (endpoint, tls), port in self.doors.items():
            with self.subTest("reload", endpoint=endpoint, tls=tls):
                self.reload(port, starttls=tls == "starttls")
        self.assertNotIn("Traceback", self.text())

    def alpn(self, port: int, *, starttls: bool) -> None:
        """Who offers XMPP gets it, who offers nothing needs nothing."""
        for offer, agreed in ((None, None), (["xmpp-client"], "xmpp-client")):
            wire = Wire(port, starttls=starttls, alpn=offer)
            self.assertIn(b"<mechanisms", wire.features())
            self.assertEqual(wire.tls.selected_alpn_protocol(), agreed)
            wire.close()
        wire = Wire(port, starttls=starttls, alpn=["http/1.1"])
        if starttls:
            self.assertIn(b"<mechanisms", wire.features())
        else:
            with self.assertRaises(ssl.SSLError) as raised:
                wire.features()
            self.assertIn("alert no application protocol", str(raised.exception))
        wire.close()

    def sni(self, port: int, *, starttls: bool) -> None:
        """Each domain shows its own certificate, the first one also to whoever names none."""
        for sni, shown in (
            (None, "localhost"),
            ("capulet.lit", "localhost"),
            ("localhost", "localhost"),
            ("verona.lit", "verona.lit"),
            ("VERONA.lit", "verona.lit"),
        ):
            wire = Wire(port, starttls=starttls, sni=sni)
            wire.shake_hands()
            self.assertEqual(wire.names, shown)
            wire.close()

    def versions(self, port: int, *, starttls: bool) -> None:
        """TLS 1.2 and 1.3 are spoken, and nothing older; tls-exporter belongs to 1.3."""
        version = ssl.TLSVersion
        for newest, exporter in ((version.TLSv1_2, False), (version.TLSv1_3, True)):
            wire = Wire(port, starttls=starttls, versions=(newest, newest))
            features = wire.features()
            self.assertIs(b"'tls-exporter'" in features, exporter)
            self.assertIn(b"'tls-server-end-point'", features)
            wire.close()
        wire = Wire(port, starttls=starttls, versions=(version.TLSv1_1, version.TLSv1_1))
        with self.assertRaisesRegex(ssl.SSLError, "PROTOCOL_VERSION"):
            wire.shake_hands()
        wire.close()

    def torn(self, port: int, *, starttls: bool) -> None:
        """TLS comes in any pieces."""
        wire = Wire(port, starttls=starttls, piece=3)
        self.assertIn(b"<mechanisms", wire.features())
        wire.close()

    def goodbyes(self, port: int, *, starttls: bool) -> None:
        """A stream that ends is followed by the end of TLS, whoever ends it."""
        for words, answer in ((b"</stream:stream>", b""), (b"<!--", b"<restricted-xml")):
            wire = Wire(port, starttls=starttls)
            wire.features()
            wire.send(words)
            self.assertIn(answer, wire.until(b"</stream:stream>"))
            if answer:
                wire.send(b"</stream:stream>")
            wire.socket.settimeout(2.0)
            self.assertEqual(wire.end(), "close_notify")
            wire.close()
        wire = Wire(port, starttls=starttls)
        wire.features()
        with contextlib.suppress(ssl.SSLWantReadError):
            wire.tls.unwrap()
        wire._flush()
        self.assertIn(wire.end(), ("close_notify", "EOFError"))
        wire.close()

    def reload(self, port: int, *, starttls: bool) -> None:
        """A certificate that was changed is shown from the next connection on."""
        before = Wire(port, starttls=starttls)
        before.features()
        old = before.tls.getpeercert(binary_form=True)
        self.certify("localhost")
        count = self.text().count("reloaded the configuration")
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: self.text().count("reloaded the configuration") > count)
        after = Wire(port, starttls=starttls)
        after.features()
        self.assertNotEqual(after.tls.getpeercert(binary_form=True), old)
        before.send(b"</stream:stream>")
        before.until(b"</stream:stream>")
        for wire in (before, after):
            wire.close()


REAL = "192.0.2.7"


def proxy_1(address: str = REAL) -> bytes:
    """The first version of the header."""
    return f"PROXY TCP4 {address} 127.0.0.1 40000 5222\r\n".encode()


def proxy_2(address: str = REAL) -> bytes:
    """The second version of the header."""
    ports = struct.pack("!HH", 40_000, 5_222)
    addresses = socket.inet_aton(address) + socket.inet_aton("127.0.0.1") + ports
    head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11"
    return head + struct.pack("!H", len(addresses)) + addresses


class ProxyTests(DoorCase):
    """Behind a load balancer that tells who is there."""

    def test_real_address(self) -> None:
        """Whom the PROXY header names is seen and counted, at either endpoint; garbage is not."""
        ports = self.open(
            (f"haproxy:{STOCK}", "starttls"),
            (f"haproxy:{EPOLL}", "starttls"),
            more="[stream]\nmax_streams_per_address = 2\n",
        )
        self.ctl("user", "add", "romeo", "--stdin", input="a rose\n")
        for port in ports:
            with self.subTest(port=port):
                self.counted(port)
                self.garbage(port)
        self.assertNotIn("Traceback", self.text())

    def counted(self, port: int) -> None:
        """Two come in from one address, a third does not; from another one it does."""
        connections = []
        for header in (proxy_1(), proxy_2()):
            wire = Wire(port, starttls=True, before=header)
            wire.features()
            wire.log_in("romeo")
            connections.append(wire)
        rows = self.rows("session", "list")
        self.assertEqual([row["address"] for row in rows], [REAL, REAL])
        third = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        third.sendall(proxy_1() + HEADER)
        self.assertIn(b"<policy-violation", read_all(third))
        other = Wire(port, starttls=True, before=proxy_2("192.0.2.8"))
        other.features()
        for wire in (*connections, other):
            wire.close()
        self.wait_for(lambda: not self.rows("session", "list"))

    def garbage(self, port: int) -> None:
        """Who does not begin with a header is not let in."""
        for data in (
            HEADER,
            b"PROXY nonsense\r\n",
            b"PROXY TCP4\r\n",
            proxy_2().replace(b"\x21", b"\x31", 1),
        ):
            wire = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
            wire.sendall(data)
            self.assertNotIn(b"<stream:features", read_all(wire))


def read_all(wire: socket.socket) -> bytes:
    """What comes until the stream is closed, or the connection."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while not re.search(b"</stream:stream>$", data) and (more := wire.recv(65_536)):
            data += more
    wire.close()
    return data
