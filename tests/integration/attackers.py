"""Peers that mean no good, the pair that must not notice, and the server between them."""

import random
import resource
import socket
import ssl
import struct
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from threading import Event, Thread

from typing_extensions import override

from tests.integration.processes import HEADER, PATIENCE_S, Peer, ProcessCase

ELSEWHERE = "127.0.0.2"
"""Where attackers come from: what is counted by address does not count for others."""

PASSWORD = "a rose by any other name"
MAX_LATENCY_S = 1.0
MAX_GROWTH_BYTES = 96 << 20
PEOPLE = ("romeo", "juliet", "tybalt", "paris")

CONFIG = """\
data = "data"
[[domain]]
name = "localhost"
certificate = "localhost.crt"
key = "localhost.key"
[[listen]]
endpoint = "{endpoint}"
tls = "starttls"
[[listen]]
endpoint = "{endpoint}"
tls = "direct"
[auth]
max_delay_s = 1.0
[stream]
negotiation_timeout_s = 8.0
max_unauthenticated = 1500
max_queued_bytes = 1048576
bytes_burst = 4194304
"""


def attacker(port: int, *, reads_little: bool = False) -> socket.socket:
    """A connection in the clear, from elsewhere."""
    wire = socket.socket()
    if reads_little:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    wire.settimeout(PATIENCE_S)
    wire.bind((ELSEWHERE, 0))
    wire.connect(("127.0.0.1", port))
    return wire


def reset(wire: socket.socket) -> None:
    """Hang up by force."""
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.close()


def last_words(wire: socket.socket) -> bytes:
    """What comes until the server closes the stream, or hangs up."""
    data = b""
    with suppress(ConnectionError):
        while not data.endswith(b"</stream:stream>") and (more := wire.recv(65_536)):
            data += more
    wire.close()
    return data


def client_hello() -> bytes:
    """How TLS begins."""
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    tls = context.wrap_bio(there, here, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return here.read()


class Intruder(Peer):
    """Somebody from elsewhere who knows a password."""

    def __init__(self, port: int, *, reads_little: bool = False) -> None:
        self._reads_little = reads_little
        super().__init__(port)

    @override
    def wire(self) -> socket.socket:
        return attacker(self.port, reads_little=self._reads_little)

    def flood(self, data: bytes) -> None:
        """Send what the server takes, and do not read; what it does about it is its business."""
        self.socket.settimeout(0.5)
        with suppress(OSError):
            self.socket.sendall(data)
        self.socket.settimeout(PATIENCE_S)


class Canary(Thread):
    """Two friends who write to each other all the time.

    Attributes:
        worst_s: The longest that a message took since somebody looked.
        count: How many have arrived.
        trouble: What ended it; None while it sings.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.worst_s = 0.0
        self.count = 0
        self.trouble: Exception | None = None
        self._over = Event()
        self._romeo, self._juliet = Peer(port), Peer(port)
        for peer, name in ((self._romeo, "romeo"), (self._juliet, "juliet")):
            peer.log_in(name, PASSWORD)

    def run(self) -> None:
        """Sing until it is over."""
        try:
            while not self._over.wait(0.005):
                self._write(self._romeo, self._juliet, b"juliet")
                self._write(self._juliet, self._romeo, b"romeo")
        except Exception as error:  # told where somebody looks
            self.trouble = error

    def _write(self, writer: Peer, reader: Peer, name: bytes) -> None:
        body = b"<body>%d</body>" % self.count
        began = time.monotonic()
        writer.send(b"<message type='chat' to='%b@localhost'>%b</message>" % (name, body))
        before, _, _ = reader.until(body).rpartition(b"<message")
        if b"<body>" in before:
            raise AssertionError(f"more than message {self.count} came: {before!r}")
        self.worst_s = max(self.worst_s, time.monotonic() - began)
        self.count += 1

    def stop(self) -> None:
        """Enough."""
        self._over.set()
        self.join(PATIENCE_S)
        self._romeo.close()
        self._juliet.close()


_database: list[bytes] = []


class HostileCase(ProcessCase):
    """A server under attack, and a canary."""

    endpoint = "epoll:0:interface=127.0.0.1"
    process: "Popen[bytes]"

    def setUp(self) -> None:
        super().setUp()
        raise_descriptor_limit()
        self.random = random.Random(1)
        self.config.write_text(CONFIG.format(endpoint=self.endpoint), encoding="utf-8")
        self.add_people()
        self.process = self.start()
        self.starttls, self.direct = self.ports()
        self.canary = Canary(self.direct)
        self.canary.start()
        self.addCleanup(self.canary.stop)
        self.resident_bytes = self.memory_bytes()

    def add_people(self) -> None:
        """Those who are at home here: made once, and copied from then on."""
        database = self.directory / "data" / "xmppd.sqlite"
        if not _database:
            for name in PEOPLE:
                self.ctl("user", "add", name, "--stdin", input=f"{PASSWORD}\n")
            _database.append(database.read_bytes())
        database.parent.mkdir(mode=0o700, exist_ok=True)
        database.write_bytes(_database[0])

    def memory_bytes(self) -> int:
        """What the server takes."""
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    @contextmanager
    def attack(self, name: str) -> Iterator[None]:
        """What must hold during an attack, and after it."""
        self.canary.worst_s = 0.0
        count = self.canary.count
        with self.subTest(name):
            yield
            self.wait_for(lambda: self.canary.count > count + 20 or self.canary.trouble)
            self.assertIsNone(self.canary.trouble)
            self.assertLess(self.canary.worst_s, MAX_LATENCY_S, name)
            newcomer = Peer(self.direct)
            newcomer.log_in("paris", PASSWORD)
            newcomer.close()
            growth_bytes = self.memory_bytes() - self.resident_bytes
            self.assertLess(growth_bytes, MAX_GROWTH_BYTES, name)
            self.assertNotIn("Traceback", self.text(), name)

    def intruder(self, *, reads_little: bool = False) -> Intruder:
        """Tybalt, from elsewhere."""
        intruder = Intruder(self.direct, reads_little=reads_little)
        intruder.log_in("tybalt", PASSWORD)
        return intruder


def plain(name: str, password: str) -> bytes:
    """An attempt to log in."""
    token = b64encode(f"\0{name}\0{password}".encode())
    return b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%b</auth>" % token


def raise_descriptor_limit() -> None:
    """Thousands of attackers are thousands of descriptors, for us as well."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


__all__ = ["HEADER", "HostileCase", "Intruder", "attacker", "client_hello", "last_words"]
__all__ += ["plain", "reset"]
