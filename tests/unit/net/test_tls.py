"""TLS over real sockets, on Twisted's transport and on ours."""

import socket
import sys
from pathlib import Path
from types import FrameType
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from OpenSSL import SSL
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.unit.net.peer import (
    Recorder,
    Service,
    clock,
    dial,
    in_thread,
    next_turn,
    port_number,
)
from tests.unit.net.test_certificate import certificate, pem, pem_key
from xmppd.config.config import DomainSettings, TLSSettings
from xmppd.net.certificate import make_self_signed
from xmppd.net.epoll_endpoint import EPollServerEndpoint
from xmppd.net.tls import (
    TLS,
    Kind,
    channel_bindings,
    peer_certificate,
    tls_version,
)
from xmppd.testing.signing_authority import SigningAuthority

T = TypeVar("T")
DOMAINS = ("montague.lit", "capulet.lit", "Bücher.example")


class Files:
    """A directory with certificates of some domains."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory

    def domain(self, name: str) -> DomainSettings:
        """A new certificate of this domain, in place of the one it had."""
        stem = name.split(".", maxsplit=1)[0]
        files = DomainSettings(
            name=name,
            certificate=str(self.directory / f"{stem}.crt"),
            key=str(self.directory / f"{stem}.key"),
        )
        files.key_file.unlink(missing_ok=True)
        make_self_signed(name, files.chain_file, files.key_file)
        return files

    def tls(self, *names: str) -> TLS:
        """These domains, with our defaults."""
        return TLS(TLSSettings(), tuple(self.domain(name) for name in names))


class Stock(TestCase):
    """Twisted's transport: what holds for any, and the tests ours inherits."""

    timeout = 15
    port: IListeningPort

    def endpoint(self) -> IStreamServerEndpoint:
        return TCP4ServerEndpoint(clock, 0, interface="127.0.0.1")

    def setUp(self) -> None:
        self.files = Files(Path(self.mktemp()))
        self.domains = tuple(self.files.domain(name) for name in DOMAINS)
        self.tls = TLS(TLSSettings(), self.domains)

    async def serve(self, kind: Kind = "client", *, direct_tls: bool = False) -> None:
        """Answer each client with x, under TLS from its first byte.

        Args:
            kind: Who connects.
            direct_tls: Whether that is because of the port.
        """
        factory = self.tls.context_factory(kind, direct_tls=direct_tls)

        def answer(server: Recorder, data: bytes) -> None:
            server.transport.write(data)

        self.service = Service(answer, made=lambda server: server.transport.startTLS(factory))
        self.port = await self.endpoint().listen(self.service)
        self.addCleanup(self._clean_up)

    async def _clean_up(self) -> None:
        await maybeDeferred(self.port.stopListening)
        for server in self.service.all:
            if "lost" not in server.calls:
                server.transport.abortConnection()
                await server.end()
        await next_turn()

    def connect(
        self, context: SSL.Context | None = None, sni: str = "", alpn: tuple[bytes, ...] = ()
    ) -> SSL.Connection:
        """A client that has been answered, and with it the handshake is done on both sides."""
        sock = dial(port_number(self.port))
        sock.settimeout(None)
        self.addCleanup(sock.close)
        connection = SSL.Connection(context or SSL.Context(SSL.TLS_CLIENT_METHOD), sock)
        if sni:
            connection.set_tlsext_host_name(sni.encode("ascii"))
        if alpn:
            connection.set_alpn_protos(list(alpn))
        connection.set_connect_state()
        connection.do_handshake()
        connection.send(b"x")
        connection.recv(1)
        return connection

    async def client(
        self, context: SSL.Context | None = None, sni: str = "", alpn: tuple[bytes, ...] = ()
    ) -> tuple[SSL.Connection, Recorder]:
        """Both ends of a connection."""
        connection = await in_thread(self.connect, context, sni, alpn)
        return connection, await self.service.connections.get()

    def shown(self, connection: SSL.Connection) -> x509.Certificate:
        """The server's certificate, as the client sees it."""
        shown = connection.get_peer_certificate(as_cryptography=True)
        assert shown is not None
        return shown

    def on_file(self, name: str) -> x509.Certificate:
        """The certificate of this domain on disk."""
        stem = name.split(".", maxsplit=1)[0]
        return x509.load_pem_x509_certificate((self.files.directory / f"{stem}.crt").read_bytes())

    async def test_versions(self) -> None:
        """TLS 1.3 and 1.2 are spoken; nothing older is."""
        await self.serve()
        for maximum, name in ((SSL.TLS1_3_VERSION, "TLSv1.3"), (SSL.TLS1_2_VERSION, "TLSv1.2")):
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.set_max_proto_version(maximum)
            connection, server = await self.client(context)
            self.assertEqual(connection.get_protocol_version_name(), name)
            self.assertEqual(tls_version(server.transport), name)
        old = SSL.Context(SSL.TLS_CLIENT_METHOD)
        old.set_min_proto_version(SSL.TLS1_VERSION)
        old.set_max_proto_version(SSL.TLS1_1_VERSION)
        old.set_cipher_list(b"ALL:@SECLEVEL=0")
        with self.assertRaises(SSL.Error):
            await in_thread(self.connect, old)

    async def test_no_renegotiation(self) -> None:
        """A client of TLS 1.2 cannot make us compute a handshake again and again."""
        await self.serve()
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        connection, _ = await self.client(context)
        connection.renegotiate()

        def again() -> None:
            connection.do_handshake()
            connection.send(b"x")
            connection.recv(1)

        with self.assertRaises(SSL.Error):
            await in_thread(again)

    async def test_minimum_version(self) -> None:
        """An administrator may allow TLS 1.3 only."""
        self.tls = TLS(TLSSettings(minimum_version="1.3"), (self.files.domain("montague.lit"),))
        await self.serve()
        await self.client()
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        with self.assertRaises(SSL.Error):
            await in_thread(self.connect, context)

    async def test_ciphers(self) -> None:
        """An administrator may choose the ciphers of both versions; ours keep secrets forward."""
        await self.serve()
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        connection, _ = await self.client(context)
        self.assertRegex(connection.get_cipher_name() or "", "^ECDHE-ECDSA-(AES.*GCM|CHACHA)")
        settings = TLSSettings(ciphers="TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256")
        self.tls.use(TLS(settings, (self.files.domain("montague.lit"),)))
        connection, _ = await self.client(context)
        self.assertEqual(connection.get_cipher_name(), "ECDHE-ECDSA-AES128-GCM-SHA256")
        connection, _ = await self.client()
        self.assertEqual(connection.get_cipher_name(), "TLS_CHACHA20_POLY1305_SHA256")

    async def test_sni(self) -> None:
        """The domain that the client names shows its certificate; else the first one does."""
        await self.serve()
        for sni, domain in (
            ("capulet.lit", "capulet.lit"),
            ("CAPULET.lit", "capulet.lit"),
            ("xn--bcher-kva.example", "Bücher.example"),
            ("montague.lit", "montague.lit"),
            ("verona.lit", "montague.lit"),
            ("", "montague.lit"),
        ):
            with self.subTest(sni=sni):
                connection, _ = await self.client(sni=sni)
                self.assertEqual(self.shown(connection), self.on_file(domain))

    async def test_alpn(self) -> None:
        """XMPP is agreed on; behind STARTTLS, who offers other protocols only is served as well."""
        await self.serve()
        for offered, agreed in (
            ((b"xmpp-client",), b"xmpp-client"),
            ((b"h2", b"xmpp-client"), b"xmpp-client"),
            ((b"http/1.1",), b""),
            ((b"xmpp-server",), b""),
            ((), b""),
        ):
            for sni in ("", "capulet.lit"):
                with self.subTest(offered=offered, sni=sni):
                    connection, _ = await self.client(alpn=offered, sni=sni)
                    self.assertEqual(connection.get_alpn_proto_negotiated(), agreed)

    async def assert_wrong_door(self, kind: Kind, *wrong: tuple[bytes, ...]) -> None:
        """Whoever offers these is told so by the handshake; everybody else is served."""
        await self.serve(kind, direct_tls=True)
        for offered in wrong:
            for newest in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
                for sni in ("", "capulet.lit"):
                    with self.subTest(offered=offered, newest=newest, sni=sni):
                        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
                        context.set_max_proto_version(newest)
                        with self.assertRaises(SSL.Error) as raised:
                            await in_thread(self.connect, context, sni, offered)
                        self.assertIn("alert no application protocol", str(raised.exception))
        await self.client()
        await self.client(alpn=(b"h2", f"xmpp-{kind}".encode()))

    async def test_alpn_of_direct_tls(self) -> None:
        """Where TLS begins with the first byte, who offers other protocols only is told that this
        is the wrong door (RFC 7301, §3.2).
        """
        wrong = (b"http/1.1",), (b"h2", b"http/1.1"), (b"xmpp-server",), (b"x" * 255,)
        await self.assert_wrong_door("client", *wrong)

    async def test_alpn_of_direct_tls_for_servers(self) -> None:
        """So it is where servers call."""
        await self.assert_wrong_door("server", (b"http/1.1",), (b"xmpp-client",))

    async def test_alpn_of_servers(self) -> None:
        """Other servers agree on xmpp-server."""
        await self.serve("server")
        connection, _ = await self.client(alpn=(b"xmpp-client", b"xmpp-server"))
        self.assertEqual(connection.get_alpn_proto_negotiated(), b"xmpp-server")

    async def test_renewed_certificate(self) -> None:
        """After a reload newcomers see the new certificate; who is there stays connected."""
        await self.serve()
        before, _ = await self.client()
        old = self.on_file("montague.lit")
        self.files.domain("montague.lit")
        self.assertEqual(self.shown((await self.client())[0]), old)
        self.tls.use(TLS(TLSSettings(), self.domains))
        for sni in ("", "montague.lit"):
            new, _ = await self.client(sni=sni)
            self.assertEqual(self.shown(new), self.on_file("montague.lit"))
        self.assertNotEqual(self.on_file("montague.lit"), old)
        await in_thread(lambda: (before.send(b"y"), before.recv(1)))

    async def test_bad_reload(self) -> None:
        """When one file is bad, all contexts stay as they were."""
        await self.serve()
        old = self.on_file("montague.lit")
        self.files.domain("montague.lit")
        (self.files.directory / "capulet.key").write_text("damaged")
        with self.assertRaisesRegex(ValueError, r"capulet\.key has no private key"):
            self.tls.use(TLS(TLSSettings(), self.domains))
        self.assertEqual(self.shown((await self.client())[0]), old)
        self.files.domain("capulet.lit")
        self.tls.use(TLS(TLSSettings(), self.domains))
        self.assertEqual(self.shown((await self.client())[0]), self.on_file("montague.lit"))

    async def test_no_resumption(self) -> None:
        """A session is not resumed: every connection shows its certificate anew."""
        await self.serve()
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.set_max_proto_version(version)
            first, _ = await self.client(context)
            session = first.get_session()

            assert session is not None

            def again(
                context: SSL.Context = context, session: SSL.Session = session
            ) -> bytes | None:
                with dial(port_number(self.port)) as sock:
                    sock.settimeout(None)
                    connection = SSL.Connection(context, sock)
                    connection.set_session(session)
                    connection.set_connect_state()
                    connection.do_handshake()
                    connection.send(b"x")
                    connection.recv(1)
                    return connection.master_key()

            self.assertNotEqual(await in_thread(again), first.master_key())

    async def test_channel_bindings(self) -> None:
        """Both ends know the same bindings; the exporter is there under TLS 1.3 only."""
        await self.serve()
        connection, server = await self.client(sni="capulet.lit")
        end_point = self.on_file("capulet.lit").fingerprint(hashes.SHA256())
        self.assertEqual(
            channel_bindings(server.transport),
            {
                "tls-exporter": connection.export_keying_material(
                    b"EXPORTER-Channel-Binding", 32, b""
                ),
                "tls-server-end-point": end_point,
            },
        )
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        _, server = await self.client(context, sni="capulet.lit")
        self.assertEqual(channel_bindings(server.transport), {"tls-server-end-point": end_point})

    async def test_bindings_are_made_when_asked_for(self) -> None:
        """Which bindings there are costs no certificate parsed and nothing exported."""
        await self.serve()
        _, server = await self.client()
        calls: list[str] = []

        def note(frame: FrameType, event: str, _: object) -> None:
            if event == "call":
                calls.append(frame.f_code.co_name)

        sys.setprofile(note)
        try:
            bindings = channel_bindings(server.transport)
            types = tuple(bindings)
        finally:
            sys.setprofile(None)
        self.assertEqual(types, ("tls-exporter", "tls-server-end-point"))
        self.assertIn("get_context", calls)
        for costly in ("export_keying_material", "get_certificate", "to_cryptography"):
            self.assertNotIn(costly, calls)

    async def test_binding_over_a_reload(self) -> None:
        """Who has been shown a certificate binds to that one, whatever is shown to others since."""
        await self.serve()
        before = self.on_file("montague.lit")
        _, early = await self.client()
        self.files.domain("montague.lit")
        self.tls.use(TLS(TLSSettings(), self.domains))
        _, late = await self.client()
        for server, shown in ((early, before), (late, self.on_file("montague.lit"))):
            self.assertEqual(
                channel_bindings(server.transport)["tls-server-end-point"],
                shown.fingerprint(hashes.SHA256()),
            )

    async def test_end_point_hashes(self) -> None:
        """The end-point binding takes the hash of our certificate's signature."""
        await self.serve()
        server: Recorder
        for key, algorithm, expected in (
            (ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), hashes.SHA384()),
            (rsa.generate_private_key(65_537, 2048), hashes.SHA256(), hashes.SHA256()),
            (ed25519.Ed25519PrivateKey.generate(), None, None),
        ):
            shown = certificate(key, algorithm=algorithm)
            (self.files.directory / "montague.crt").write_bytes(pem(shown))
            (self.files.directory / "montague.key").write_bytes(pem_key(key))
            self.tls.use(TLS(TLSSettings(), self.domains))
            _, server = await self.client()
            self.assertEqual(
                channel_bindings(server.transport).get("tls-server-end-point"),
                shown.fingerprint(expected) if expected else None,
            )

    async def test_no_client_certificate_wanted(self) -> None:
        """Without a client CA clients are not asked for a certificate."""
        await self.serve()
        _, server = await self.client(self.with_certificate(self.files.domain("romeo.lit")))
        self.assertIsNone(peer_certificate(server.transport))

    def with_certificate(self, files: DomainSettings) -> SSL.Context:
        """A client that shows this certificate if asked."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.use_certificate_chain_file(str(files.chain_file))
        context.use_privatekey_file(str(files.key_file))
        return context

    async def test_client_certificates(self) -> None:
        """Trusted, self-signed or none: the handshake goes on, and what was shown is known."""
        romeo, tybalt = self.files.domain("romeo.lit"), self.files.domain("tybalt.lit")
        domains = tuple(self.files.domain(name) for name in DOMAINS)
        self.tls.use(TLS(TLSSettings(client_ca=romeo.certificate), domains))
        await self.serve()
        for sni in ("", "capulet.lit"):
            with self.subTest(sni=sni):
                _, server = await self.client(self.with_certificate(romeo), sni=sni)
                shown = peer_certificate(server.transport)
                assert shown is not None
                self.assertEqual(shown.certificate, self.on_file("romeo.lit"))
                self.assertTrue(shown.verified)
                _, server = await self.client(self.with_certificate(tybalt), sni=sni)
                shown = peer_certificate(server.transport)
                assert shown is not None
                self.assertEqual(shown.certificate, self.on_file("tybalt.lit"))
                self.assertFalse(shown.verified)
                _, server = await self.client(sni=sni)
                self.assertIsNone(peer_certificate(server.transport))

    async def test_servers_are_asked(self) -> None:
        """Other servers are asked for a certificate; one that is self-signed is not verified."""
        await self.serve("server")
        _, server = await self.client(self.with_certificate(self.files.domain("romeo.lit")))
        shown = peer_certificate(server.transport)
        assert shown is not None
        self.assertEqual((shown.verified, shown.verify_error), (False, 18))
        _, server = await self.client()
        self.assertIsNone(peer_certificate(server.transport))

    async def test_in_the_clear(self) -> None:
        """Without TLS there is nothing to know."""
        self.service = Service()
        self.port = await self.endpoint().listen(self.service)
        self.addCleanup(self._clean_up)
        sock = await in_thread(dial, port_number(self.port))
        server = await self.service.connections.get()
        transport = server.transport
        self.assertEqual(
            (
                tls_version(transport),
                channel_bindings(transport),
                peer_certificate(transport),
            ),
            (None, {}, None),
        )
        sock.close()
        await server.end()

    async def test_after_the_end(self) -> None:
        """Asking about a connection that has ended does no harm."""
        await self.serve()
        connection, server = await self.client()
        connection.shutdown()
        connection.sock_shutdown(socket.SHUT_RDWR)
        await server.end()
        tls_version(server.transport)
        channel_bindings(server.transport)
        peer_certificate(server.transport)


class EPoll(Stock):
    """Our transport."""

    def endpoint(self) -> IStreamServerEndpoint:
        return EPollServerEndpoint(clock, 0, interface="127.0.0.1")


class SettingsTests(SynchronousTestCase):
    """What is wrong is told at start."""

    def setUp(self) -> None:
        self.files = Files(Path(self.mktemp()))

    def test_no_domain(self) -> None:
        """TLS without any certificate is a mistake."""
        with self.assertRaisesRegex(ValueError, "no domain has a certificate"):
            TLS(TLSSettings(), ())

    def test_unknown_ciphers(self) -> None:
        """Ciphers nobody knows are named."""
        for ciphers in ("ROT13", "TLS_ROT13"):
            tls = TLS(TLSSettings(ciphers=ciphers), (self.files.domain("montague.lit"),))
            with self.assertRaisesRegex(ValueError, ciphers):
                tls.context_factory("client")

    def test_bad_client_ca(self) -> None:
        """A client CA that is missing or no certificate is named."""
        path = self.files.directory / "ca.pem"
        settings, domains = TLSSettings(client_ca=str(path)), (self.files.domain("montague.lit"),)
        with self.assertRaisesRegex(ValueError, r"ca\.pem cannot be read"):
            TLS(settings, domains)
        path.write_text("nothing")
        with self.assertRaisesRegex(ValueError, r"ca\.pem has no certificate"):
            TLS(settings, domains)

    def test_weak_key(self) -> None:
        """A key OpenSSL finds too weak is refused, naming the file and the reason."""
        key = rsa.generate_private_key(65_537, 1024)
        files = self.files.domain("montague.lit")
        files.chain_file.write_bytes(pem(certificate(key)))
        files.key_file.write_bytes(pem_key(key))
        with self.assertRaisesRegex(ValueError, r"montague\.crt .*key too small"):
            TLS(TLSSettings(), (files,)).context_factory("client")

    def test_same_factory(self) -> None:
        """There is one factory for each kind, and it lives through reloads."""
        tls = self.files.tls("montague.lit")
        factory = tls.context_factory("client")
        tls.use(self.files.tls("montague.lit"))
        self.assertIs(tls.context_factory("client"), factory)
        self.assertIsNot(tls.context_factory("server"), factory)


class ACMETests(SynchronousTestCase):
    """Certificates that an authority signs, and what it is shown before it does."""

    def setUp(self) -> None:
        self.files = Files(Path(self.mktemp()))

    def acme(self) -> DomainSettings:
        """A domain whose certificate is not there yet."""
        file = str(self.files.directory / "verona.pem")
        return DomainSettings(name="verona.lit", certificate=file, acme=True)

    def test_provisional(self) -> None:
        """Until an authority has signed one there is one of our own; where files are named, those
        must be there.
        """
        tls = TLS(TLSSettings(), (self.acme(),))
        found = tls.identity("verona.lit")
        assert found is not None
        self.assertEqual(found[1].certificate.issuer, found[1].certificate.subject)
        named = DomainSettings(name="verona.lit", certificate="nowhere.pem")
        self.assertRaises(ValueError, TLS, TLSSettings(), (named,))

    def test_renewed(self) -> None:
        """What is in a domain's file by now is shown, under all its names; the others stay."""
        other = self.files.domain("mantua.lit")
        tls = TLS(TLSSettings(), (self.acme(), other))
        factory = tls.context_factory("client")
        before = tls.identity("mantua.lit")
        authority = SigningAuthority(self.files.directory)
        chain, key = authority.issue("verona.lit", "verona.lit", "rooms.verona.lit")
        self.acme().chain_file.write_bytes(chain.read_bytes() + key.read_bytes())
        tls.renew("verona.lit")
        for name in ("verona.lit", "rooms.verona.lit"):
            found = tls.identity(name)
            assert found is not None
            self.assertIn("CN=authority", found[1].certificate.issuer.rfc4514_string())
        self.assertEqual(tls.identity("mantua.lit"), before)
        self.assertIs(tls.context_factory("client"), factory)

    def test_useless(self) -> None:
        """A file that cannot be used changes nothing."""
        tls = TLS(TLSSettings(), (self.acme(),))
        before = tls.identity("verona.lit")
        self.acme().chain_file.write_text("nothing", encoding="ascii")
        self.assertRaises(ValueError, tls.renew, "verona.lit")
        self.assertEqual(tls.identity("verona.lit"), before)
