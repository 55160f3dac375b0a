"""Servers with real doors, certificates of an authority of our own, and people in memory."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier
from msgspec import convert
from msgspec.structs import replace
from twisted.internet import reactor
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IListeningPort, IProtocol, IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from tests.unit.net.peer import port_number
from xmppd.config.config import DomainSettings, ListenSettings
from xmppd.host.clocks import Clocks, wall_clock
from xmppd.host.machine import Descriptors
from xmppd.net.certificate import SRV_NAME, XMPP_ADDR, ascii_domain
from xmppd.net.epoll_endpoint import EPollServerEndpoint
from xmppd.net.listen_endpoint import certificates
from xmppd.net.login_queue import LARGEST_WINDOW, Window
from xmppd.resolve.attempts import Attempts
from xmppd.resolve.connector import Visitor
from xmppd.resolve.lost import no_stream, not_found
from xmppd.resolve.targets import Directions, Target
from xmppd.server.xmpp_server import XMPPServer
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config, memory_store
from xmppd.testing.network import Network

clock = cast(ReactorBase, reactor)
PATIENCE_S = 60.0
DAY = timedelta(days=1)


class Authority:
    """Signs certificates.

    Args:
        directory: Where they are kept.
        name: Its own.
        above: Who has signed it; nobody but itself, if nobody.
        use: What those it signs may be used for; None if it does not say.
        is_authority: Whether its own certificate says that it is one.
        says_what_for: Whether it says what its key may be used for, and which key it is.
        signs: Whether its key may sign certificates, if it says so.
        below: How many authorities may be below it; any number if None.

    Attributes:
        file: Its own certificate.
        now: When it began.
    """

    def __init__(
        self,
        directory: Path,
        name: str = "authority",
        above: "Authority | None" = None,
        *,
        use: ObjectIdentifier | None = None,
        is_authority: bool = True,
        says_what_for: bool = True,
        signs: bool = True,
        below: int | None = None,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.file = directory / f"{name}.crt"
        self.now = datetime.now(UTC)
        self._chain = b""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=signs, crl_sign=signs, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip
        issuer = above or self
        public = self._key.public_key()
        builder = issuer._builder(self._name, public, DAY).add_extension(
            x509.BasicConstraints(is_authority, below), critical=True
        )
        if says_what_for:
            key = x509.SubjectKeyIdentifier.from_public_key(public)
            builder = builder.add_extension(key, critical=False)
        if is_authority and says_what_for:
            builder = builder.add_extension(usage, critical=True)
        if use is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        certificate = builder.sign(issuer._key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.file.write_bytes(pem)
        if above is not None:
            self._chain = pem + above._chain

    def appoint(
        self, name: str, *, use: ObjectIdentifier | None = None, is_authority: bool = True
    ) -> "Authority":
        """Another one, whose word is ours."""
        return Authority(self.directory, name, self, use=use, is_authority=is_authority)

    def sign(
        self,
        domain: str,
        *names: x509.GeneralName,
        lasts: timedelta = DAY,
        use: ObjectIdentifier | None = ExtendedKeyUsageOID.SERVER_AUTH,
        named: bool = True,
    ) -> dict[str, str]:
        """A ``[[domain]]`` table with a new certificate; for a server's use only, as they are now.

        Args:
            domain: Whose.
            names: What it names; the domain, as DNS has it, if nothing.
            lasts: From some days ago on until then from now.
            use: What it may be used for; None if it does not say.
            named: Whether it names anything at all but its subject.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ascii_domain(domain))])
        builder = self._builder(subject, key.public_key(), lasts)
        if named:
            all_names = x509.SubjectAlternativeName(names or (x509.DNSName(ascii_domain(domain)),))
            builder = builder.add_extension(all_names, critical=False)
        if use is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = certificate.public_bytes(serialization.Encoding.PEM) + self._chain
        pem += key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file = self.directory / f"{ascii_domain(domain)}-{certificate.serial_number}.pem"
        file.write_bytes(pem)
        return {"name": domain, "certificate": str(file)}

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, lasts: timedelta
    ) -> x509.CertificateBuilder:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - 3 * DAY)
            .not_valid_after(self.now + lasts)
            .add_extension(issuer, critical=False)
        )


def xmpp_address(domain: str) -> x509.OtherName:
    """The domain as an xmppAddr."""
    return x509.OtherName(XMPP_ADDR, bytes([0x0C, len(domain.encode())]) + domain.encode())


def srv_name(domain: str) -> x509.OtherName:
    """The domain's service between servers, as SRV-ID has it."""
    name = f"_xmpp-server.{ascii_domain(domain)}".encode()
    return x509.OtherName(SRV_NAME, bytes([0x16, len(name)]) + name)


class Map:
    """Where servers are: a connector that asks nobody.

    Attributes:
        targets: By domain.
        asked: The domains that somebody looked for.
    """

    def __init__(self) -> None:
        self.targets: dict[str, Target] = {}
        self.asked: list[str] = []

    def use(self, directions: Directions) -> None:
        """The map has all."""

    async def connect(self, domain: str, visitor: Visitor) -> IProtocol:
        """What is connected to the domain's server."""
        self.asked.append(domain)
        target = self.targets.get(domain)
        if target is None:
            raise not_found("it is not on the map")
        endpoint = TCP4ClientEndpoint(clock, target.host, target.port, timeout=5)
        try:
            protocol = await endpoint.connect(_Once(visitor, target))
        except ConnectError as error:
            raise no_stream(str(error)) from error
        await visitor.settle(protocol)
        return protocol

    def forget(self, domain: str) -> None:
        """Nothing is remembered."""


class _Once(Factory):
    noisy = False

    def __init__(self, visitor: Visitor, target: Target) -> None:
        self._made = visitor, target

    def buildProtocol(self, addr: object) -> Protocol:
        visitor, target = self._made
        return visitor.make(target)


class Open(Window):
    """Lets everybody log in at once, however late a busy machine is."""

    def __init__(self) -> None:
        super().__init__()
        self.size = LARGEST_WINDOW

    def adapt(self, late_s: float, *, wanted: bool) -> None:
        """Stay as it is."""


class Town(House):
    """A server with a door for others on loopback, and people who are connected in memory.

    Args:
        roads: Where the others are; it is entered there.
        domains: ``[[domain]]`` tables; names alone have no certificate.
        s2s: The table ``[s2s]``, as in the file.
        tls: ``starttls``, ``direct`` or ``none``: what its door speaks.
        people: As for a House.
    """

    def __init__(
        self,
        roads: Map,
        domains: Sequence[Mapping[str, str] | str],
        s2s: Mapping[str, object],
        *,
        tls: str = "starttls",
        epoll: bool = True,
        **people: Mapping[str, str],
    ) -> None:
        tables = [{"name": name} if isinstance(name, str) else dict(name) for name in domains]
        config = replace(house_config(s2s=s2s), domain=convert(tables, tuple[DomainSettings, ...]))
        self.domain = config.domain[0].name
        self.clock = clock  # type: ignore[assignment]
        self.clocks = Clocks(clock.seconds, wall_clock)
        self.descriptors = Descriptors(sys.maxsize)
        self.store = memory_store()
        self.network = Network()
        self.address = "127.0.0.1"
        self.roads = roads
        self.secret = self.domain.encode()
        self.server = XMPPServer(config, self.store, self, certificates(config), self._connector)
        for connections in (self.server.client_connections, self.server.server_connections):
            connections.login_queue.window = Open()
        self._tls = tls
        self._epoll = epoll
        self._port: IListeningPort | None = None
        for name, contacts in people.items():
            self.add(name, contacts)

    def _connector(self, attempts: Attempts, directions: Directions) -> Map:
        return self.roads

    async def open(self) -> None:
        """Open the door, and enter it on the map."""
        done(self.server.start())
        endpoint: IStreamServerEndpoint = TCP4ServerEndpoint(clock, 0, interface="127.0.0.1")
        if self._epoll:
            endpoint = EPollServerEndpoint(clock, 0, interface="127.0.0.1")
        listen = convert({"endpoint": "", "kind": "server", "tls": self._tls}, ListenSettings)
        self._port = await endpoint.listen(self.server.listeners.listener(listen))
        self.port = port_number(self._port)
        for domain in self.server.domains:
            self.roads.targets[domain] = Target("127.0.0.1", self.port, self._tls == "direct")

    async def close(self) -> None:
        """Close everything."""
        for handler in tuple(self.server.client_connections.handlers):
            handler.transport.abortConnection()
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        await self.server.stop()


async def heard(client: Client, count: int = 1) -> list[str]:
    """The next stanzas that come to somebody."""
    stanzas: list[str] = []
    for _ in range(int(PATIENCE_S / 0.01)):
        stanzas += client.received()
        if len(stanzas) >= count:
            return stanzas
        await soon()
    raise AssertionError(f"{stanzas} is all that came")


def soon() -> Deferred[None]:
    """In a moment."""
    return deferLater(clock, 0.01, lambda: None)
