"""Leftovers: the objects and the memory that closed connections leave behind.

    python -m bench.gone [--connections N] [--kind REGEX]

For each kind of connection so many are made and closed, one after the other, while the server's
garbage collector rests. Only that could find objects they leave in cycles; and a server without
leftovers keeps its memory as it is.
"""

import argparse
import re
import socket
import ssl
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from pathlib import Path

from xmppd.testing.process import ServerProcess

CONNECTIONS = 20_000
WARM_UP = 200
"""So many go first: caches fill, and Python's own memory grows to what one of them needs."""

PATIENCE_S = 30.0
PLUGINS = Path(__file__).parent / "plugins"
PASSWORD = "a rose by any other name"
SECRET = "of the echo"
ECHO = "echo.localhost"
SM = "urn:xmpp:sm:3"


@dataclass(frozen=True)
class Left:
    """The leftovers of one connection, on average.

    Attributes:
        objects: In cycles.
        resident_bytes: By which the process grew.
    """

    objects: float
    resident_bytes: float


class Wire:
    """A connection, as a client has it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._read = b""

    def send(self, text: str) -> None:
        """Send all of it."""
        self.socket.sendall(text.encode())

    def until(self, *ends: str) -> bytes:
        """Read until one of these has come, and take it."""
        while not any(end.encode() in self._read for end in ends):
            more = self.socket.recv(65_536)
            if not more:
                raise EOFError(self._read)
            self._read += more
        data, self._read = self._read, b""
        return data

    def open(self, namespace: str = "jabber:client", to: str = "localhost") -> bytes:
        """Open a stream; the server's header and what follows."""
        self.send(
            f"<stream:stream xmlns='{namespace}' xmlns:stream='http://etherx.jabber.org/streams'"
            f" to='{to}' version='1.0'>"
        )
        return self.until("</stream:features>", "xml:lang='en'>", f"from='{ECHO}'>")

    def encrypt(self) -> None:
        """Speak TLS from here on; the certificate is not checked."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def start_tls(self, namespace: str = "jabber:client") -> None:
        """Speak TLS, asked for in a stream."""
        self.open(namespace)
        self.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.until("<proceed")
        self.encrypt()
        self.open(namespace)

    def log_in(self, *, bind: bool = True) -> None:
        """Log in as Romeo, by PLAIN."""
        proof = b64encode(f"\0romeo\0{PASSWORD}".encode()).decode()
        self.send(
            f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>"
        )
        self.until("<success")
        self.open()
        if bind:
            self.send(
                "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
                "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>"
            )
            self.until("<presence")

    def goodbye(self) -> None:
        """End the stream as one should, and close when the server has."""
        self.send("</stream:stream>")
        with suppress(OSError):
            while self.socket.recv(65_536):
                pass
        self.socket.close()

    def vanish(self) -> None:
        """Close without ending the stream."""
        self.socket.close()


# -- the kinds of connections ------------------------------------------------------------------


def silent(server: ServerProcess) -> None:
    """A connection on which nothing is sent."""
    Wire(server.port).vanish()


def plain(server: ServerProcess) -> None:
    """A stream in the clear."""
    wire = Wire(server.port)
    wire.open()
    wire.goodbye()


def torn(server: ServerProcess) -> None:
    """A stream that ends in the middle of an element."""
    wire = Wire(server.port)
    wire.open()
    wire.send("<iq type='get'><query xmlns='jabber:iq:ro")
    wire.vanish()


def nonsense(server: ServerProcess) -> None:
    """Bytes that are not well-formed."""
    wire = Wire(server.port)
    wire.open()
    wire.send("<a></b>")
    wire.until("</stream:stream>")
    wire.goodbye()


def start_tls(server: ServerProcess) -> None:
    """TLS, asked for in a stream."""
    wire = Wire(server.port)
    wire.start_tls()
    wire.goodbye()


def direct_tls(server: ServerProcess) -> None:
    """TLS from the first byte."""
    wire = Wire(server.direct_tls_port)
    wire.encrypt()
    wire.open()
    wire.vanish()


def no_tls(server: ServerProcess) -> None:
    """A handshake that fails."""
    wire = Wire(server.direct_tls_port)
    wire.send("GET / HTTP/1.1\r\n\r\n")
    wire.vanish()


def logged_in(server: ServerProcess) -> None:
    """A session, from login to its closing tag."""
    wire = Wire(server.direct_tls_port)
    wire.encrypt()
    wire.open()
    wire.log_in()
    wire.goodbye()


def lost(server: ServerProcess) -> None:
    """A session whose connection is lost."""
    wire = Wire(server.direct_tls_port)
    wire.encrypt()
    wire.open()
    wire.log_in()
    wire.vanish()


def refused(server: ServerProcess) -> None:
    """A wrong password."""
    wire = Wire(server.direct_tls_port)
    wire.encrypt()
    wire.open()
    wire.send(
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHJvbWVvAHdyb25n</auth>"
    )
    wire.until("</failure>")
    wire.goodbye()


def resumed(server: ServerProcess) -> None:
    """A session that is resumed on another connection, and then ends."""
    wire = Wire(server.direct_tls_port)
    wire.encrypt()
    wire.open()
    wire.log_in()
    wire.send(f"<enable xmlns='{SM}' resume='true'/>")
    previd = re.search(rb"id='([^']*)'", wire.until("<enabled").partition(b"<enabled")[2])
    assert previd is not None
    wire.vanish()
    again = Wire(server.direct_tls_port)
    again.encrypt()
    again.open()
    again.log_in(bind=False)
    again.send(f"<resume xmlns='{SM}' previd='{previd[1].decode()}' h='0'/>")
    again.until("<resumed")
    again.goodbye()


def component(server: ServerProcess) -> None:
    """A component."""
    wire = Wire(server.component_port)
    header = wire.open("jabber:component:accept", ECHO)
    stream_id = re.search(rb" id='([^']*)'", header)
    assert stream_id is not None
    proof = sha1(stream_id[1] + SECRET.encode(), usedforsecurity=False).hexdigest()
    wire.send(f"<handshake>{proof}</handshake>")
    wire.until("<handshake/>")
    wire.goodbye()


def from_server(server: ServerProcess) -> None:
    """Another server, which proves nothing."""
    wire = Wire(server_port(server))
    wire.start_tls("jabber:server")
    wire.goodbye()


@cache
def server_port(server: ServerProcess) -> int:
    """The port for other servers; it is asked for once, since asking leaves something as well."""
    (port,) = server.ports("server")
    return port


KINDS: tuple[Callable[[ServerProcess], None], ...] = (
    silent, plain, torn, nonsense, start_tls, direct_tls, no_tls,
    logged_in, lost, refused, resumed, component, from_server,
)  # fmt: skip


def made(directory: Path) -> ServerProcess:
    """A server with a listener of each kind; Romeo has an account."""
    server = ServerProcess(
        directory,
        component=[{"name": ECHO, "secret": SECRET}],
        listen=[{"endpoint": "epoll:0:interface=127.0.0.1", "kind": "server", "tls": "starttls"}],
        plugins={"load": ["leftovers"], "directory": str(PLUGINS)},
        log={"level": "warn"},
    )
    server.start()
    server.add_user("romeo", PASSWORD)
    return server


def left_by(server: ServerProcess, kind: Callable[[ServerProcess], None], count: int) -> Left:
    """The leftovers of so many connections of a kind."""
    objects_in_cycles(server)
    own = objects_in_cycles(server)  # those of asking
    before = resident_bytes(server.pid)
    for _ in range(count):
        kind(server)
    plain(server)  # when it is answered, what was closed before has been seen
    after = resident_bytes(server.pid)
    return Left((objects_in_cycles(server) - own) / count, (after - before) / count)


def objects_in_cycles(server: ServerProcess) -> float:
    """The number of objects in cycles; afterwards there are none."""
    rows = [row for row in server.tell("stats") if isinstance(row, dict)]
    return next(float(str(r["value"])) for r in rows if r["statistic"] == "objects_in_cycles")


def resident_bytes(pid: int) -> int:
    """The resident memory of the process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def main() -> int:
    """Measure each kind, and print what it leaves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="of each kind")
    parser.add_argument("--kind", default="", metavar="REGEX", help="names to measure")
    options = parser.parse_args()
    count = options.connections
    sys.stdout.write("| connections | objects in cycles, each | memory before | after | ratio |\n")
    sys.stdout.write("|---|---|---|---|---|\n")
    with tempfile.TemporaryDirectory(prefix="gone-") as directory:
        server = made(Path(directory))
        try:
            for kind in KINDS:
                if re.search(options.kind, kind.__name__):
                    left_by(server, kind, WARM_UP)
                    before = resident_bytes(server.pid)
                    left = left_by(server, kind, count)
                    after = resident_bytes(server.pid)
                    sys.stdout.write(
                        f"| {count} {kind.__name__} | {left.objects:.2f} | {before >> 20} MiB"
                        f" | {after >> 20} MiB | {after / before:.2f} |\n"
                    )
                    sys.stdout.flush()
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
