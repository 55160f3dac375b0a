"""What TLS costs the server: a handshake with each kind of certificate, and a record.

    python -m bench.tls

Both ends are in this process, joined by a socket pair; counted is the CPU time of the server's end
only. A handshake is that of ``client`` listeners, a full one under TLS 1.3. A record is one of 200
bytes that comes in and goes back, through the hub, which finds some connections with some records.
"""

import datetime
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock

from bench.compare import machine, number, table
from xmppd.config.config import DomainSettings, TLSSettings
from xmppd.net.certificate import PrivateKey
from xmppd.net.epoll_connection import SocketLimits
from xmppd.net.epoll_hub import Hub
from xmppd.net.epoll_tls import ClearConnection
from xmppd.net.tls import TLS, ContextFactory

NAME = "p.test"
PEER = IPv4Address("TCP", "192.0.2.1", 1)
HANDSHAKES = 60
ROUNDS = 7
"""Each kind has its turn in each; the least and the median of all are told."""

TURNS = 300
RECORD = b"m" * 200
LOADS = ((1, 1), (50, 1), (50, 20))
"""Connections that have something, and the records that wait for each."""

KEYS: dict[str, Callable[[], PrivateKey]] = {
    "ECDSA P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ECDSA P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA 2048": lambda: rsa.generate_private_key(65_537, 2_048),
    "RSA 3072": lambda: rsa.generate_private_key(65_537, 3_072),
    "RSA 4096": lambda: rsa.generate_private_key(65_537, 4_096),
}
"""The keys that certificates have; the first one is what the others are compared with."""


class Loop(Clock):
    """As much of a reactor as the hub needs; its turns come when they are asked for."""

    def addReader(self, reader: IReadDescriptor) -> None:
        """The hub is known."""

    removeReader = addReader


class Echo(Protocol):
    """Sends back what comes."""

    def dataReceived(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)  # type: ignore[union-attr]  # it is there


class Peer:
    """A client, and the server's end of its connection in the hub."""

    def __init__(self, hub: Hub) -> None:
        ours, self.socket = socket.socketpair()
        ours.setblocking(False)
        self.socket.setblocking(False)
        self.end = ClearConnection(hub, ours, PEER, Echo(), SocketLimits())
        self.end.protocol.makeConnection(self.end)

    def shake_hands(self, context: ssl.SSLContext, contexts: ContextFactory) -> float:
        """Put TLS on the connection; returns the seconds that it has cost the server."""
        client = context.wrap_socket(
            self.socket, do_handshake_on_connect=False, server_hostname=NAME
        )
        self.socket = client
        spent_s = cost_s(lambda: self.end.startTLS(contexts))
        done = False
        while not done:
            try:
                client.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            spent_s += cost_s(self.end.hub.doRead)
        return spent_s

    def close(self) -> None:
        """Close both ends."""
        self.socket.close()
        self.end.abortConnection()


def cost_s(work: Callable[[], object]) -> float:
    """The CPU time of what is done."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


def contexts(directory: Path, kind: str) -> ContextFactory:
    """Contexts that show a new certificate with a key of this kind."""
    file = write_certificate(directory, kind)
    tls = TLS(TLSSettings(), (DomainSettings(name=NAME, certificate=str(file)),))
    return tls.context_factory("client")


def write_certificate(directory: Path, kind: str) -> Path:
    """Write a new certificate with a key of this kind, both into one file."""
    key = KEYS[kind]()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, None if kind == "Ed25519" else hashes.SHA256())
    )
    file = directory / f"{kind}.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    file.write_bytes(
        certificate.public_bytes(pem) + key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    )
    return file


def client_context() -> ssl.SSLContext:
    """That of a client which believes everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def handshakes(directory: Path) -> list[list[str]]:
    """What a handshake costs with each kind of key."""
    shown = {kind: contexts(directory, kind) for kind in KEYS}
    costs: dict[str, list[float]] = {kind: [] for kind in KEYS}
    context, hub = client_context(), Hub(Loop())
    for _ in range(ROUNDS):
        for kind, ours in shown.items():
            for _ in range(HANDSHAKES):
                peer = Peer(hub)
                costs[kind].append(peer.shake_hands(context, ours) * 1e6)
                peer.close()
    first = costs[next(iter(KEYS))]
    return [
        [
            kind,
            number(min(costs[kind])),
            f"**{number(statistics.median(costs[kind]))}**",
            f"{statistics.median(costs[kind]) / statistics.median(first):.1f}",
        ]
        for kind in KEYS
    ]


def records(ours: ContextFactory | None) -> Iterator[float]:
    """What a record costs, in microseconds, with each of the loads; None is in the clear."""
    for connections, waiting in LOADS:
        hub, context = Hub(Loop()), client_context()
        peers = [Peer(hub) for _ in range(connections)]
        for peer in peers:
            if ours is not None:
                peer.shake_hands(context, ours)
        spent_s = [spend(hub, peers, waiting) for _ in range(max(20, TURNS // connections))]
        yield min(spent_s) / (connections * waiting) * 1e6
        for peer in peers:
            peer.close()
        hub.doRead()


def spend(hub: Hub, peers: list[Peer], waiting: int) -> float:
    """All of them send so many records, and get them back."""
    for peer in peers:
        for _ in range(waiting):
            peer.socket.send(RECORD)
    spent_s = 0.0
    left = {peer: waiting * len(RECORD) for peer in peers}
    while left:
        spent_s += cost_s(hub.doRead)
        for peer in list(left):
            try:
                left[peer] -= len(peer.socket.recv(65_536))
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            if not left[peer]:
                del left[peer]
    return spent_s


def record_costs() -> dict[str, float]:
    """What a record costs, in microseconds, by its load, in the clear and under TLS."""
    least: dict[str, float] = {}
    with TemporaryDirectory(prefix="xmppd-bench-") as directory:
        ours = contexts(Path(directory), next(iter(KEYS)))
    for _ in range(ROUNDS):
        for way, found in (("clear", None), ("TLS", ours)):
            for (connections, waiting), spent_us in zip(LOADS, records(found), strict=True):
                name = f"{connections} × {waiting}, {way}"
                least[name] = min(spent_us, least.get(name, inf))
    return least


def main() -> int:
    """Print both tables."""
    print(f"{machine()}\n")
    with TemporaryDirectory(prefix="xmppd-bench-") as directory:
        rows = handshakes(Path(directory))
    print("### A handshake under TLS 1.3, by the key of the certificate: CPU, µs\n")
    print(table(["key", "least", "median", "by that with ECDSA P-256"], rows), end="\n\n")
    costs = record_costs()
    print("### A record of 200 bytes there and back, in the hub: CPU, µs, least\n")
    rows = [[name, f"{spent_us:.2f}"] for name, spent_us in costs.items()]
    print(table(["connections × records that wait", "µs"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
