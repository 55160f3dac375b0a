"""Servers in processes of their own, and what the tests say to them over real sockets."""

import json
import os
import re
import socket
import ssl
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from xmppd.net.certificate import make_self_signed

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
LATER = re.compile(rb"too many clients are logging in; try again in (\d+) seconds")
HEADER = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='localhost' version='1.0'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)

BASE = """\
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
scram_iterations = 16
[plugins]
load = ["ping"]
"""


def python(module: str, function: str = "") -> list[str]:
    """A command that runs a console script of ours as it is in the checkout."""
    code = f"import sys; sys.argv[0] = '{function}'; from {module} import main; main()"
    return [sys.executable, "-c", code]


XMPPD = python("xmppd.app", "xmppd")
XMPPCTL = python("xmppd.ctl.main", "xmppctl")
TWISTD_CODE = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"


def twistd(*arguments: str | Path) -> list[str]:
    """A command that runs twistd with our plugin on its path."""
    return [sys.executable, "-c", TWISTD_CODE, *map(str, arguments)]


def environment() -> dict[str, str]:
    """That of the tests, with the checkout on Python's path."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


class ProcessCase(SynchronousTestCase):
    """A directory with a configuration, and processes that do not outlive the test."""

    def setUp(self) -> None:
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        self.config = self.directory / "xmppd.toml"
        self.log = self.directory / "log"
        make_self_signed(
            "localhost", self.directory / "localhost.crt", self.directory / "localhost.key"
        )
        self.configure()

    def configure(self, text: str = "", *, endpoint: str = "epoll:0:interface=127.0.0.1") -> None:
        """Write the configuration, with something added."""
        self.config.write_text(BASE.format(endpoint=endpoint) + text, encoding="utf-8")

    def start(
        self, *command: str, log: Path | None = None, **environ: str
    ) -> "subprocess.Popen[bytes]":
        """A server that is up, started by twistd or otherwise, which may log to another file."""
        written = log or self.log
        with self.log.open("wb") as output:
            process = subprocess.Popen(
                command or twistd("-n", "--pidfile=", "xmppd", "--config", self.config),
                cwd=self.directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment(), **environ},
            )
        self.addCleanup(self.end, process)
        self.wait_for(lambda: written.exists() and "xmppd is up" in written.read_text(), process)
        return process

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        """Whatever became of the process, it is gone."""
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE_S)

    def wait_for(self, condition: object, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Look again and again until it is so."""
        assert callable(condition)
        until = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > until or (process is not None and process.poll() is not None):
                self.fail(
                    f"it did not happen:\n{self.log.read_text() if self.log.exists() else ''}"
                )
            time.sleep(0.02)

    def run_command(
        self, command: list[str], input: str = "", *, checkout: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program to its end, with the checkout on its path or without."""
        return subprocess.run(
            command,
            cwd=self.directory,
            input=input,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env=environment() if checkout else {**os.environ, "PYTHONPATH": ""},
            check=False,
        )

    def refused_start(self) -> str:
        """What somebody sees whose server does not start: one line and status 1."""
        ended = self.run_command(twistd("-n", "--pidfile=", "xmppd", "--config", self.config))
        self.assertEqual(ended.returncode, 1, ended.stdout + ended.stderr)
        self.assertEqual(ended.stderr.count("\n"), 1, ended.stderr)
        self.assertNotIn("Traceback", ended.stdout)
        return ended.stderr.rstrip("\n")

    def ctl(self, *arguments: str, input: str = "", status: int = 0) -> str:
        """What xmppctl prints."""
        ended = self.run_command(
            [*XMPPCTL, "--wide", "--config", str(self.config), *arguments], input
        )
        self.assertEqual(ended.returncode, status, ended.stdout + ended.stderr)
        return ended.stderr if status else ended.stdout

    def rows(self, *arguments: str) -> list[dict[str, object]]:
        """What xmppctl prints for programs."""
        return [json.loads(line) for line in self.ctl("--json", *arguments).splitlines()]

    def ports(self) -> list[int]:
        """Where the server listens: STARTTLS, direct TLS."""
        return [
            int(port)
            for port in re.findall(r"listening for [a-z ]+ at 127\.0\.0\.1:(\d+)", self.text())
        ]

    def text(self) -> str:
        """The log."""
        return self.log.read_text(encoding="utf-8")


def heard_at_login(port: int, context: ssl.SSLContext, account: str, password: str) -> bytes:
    """What a client hears that verifies the server's certificate, and logs in by PLAIN; up to its
    success, or the end of the connection.
    """
    name, _, domain = account.partition("@")
    token = b64encode(f"\0{name}\0{password}".encode()).decode()
    header = (
        f"<stream:stream xmlns='jabber:client' to='{domain}' version='1.0' "
        "xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>"
    with (
        socket.create_connection(("127.0.0.1", port), PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname=domain) as client,
    ):
        client.sendall(f"{header}{auth}".encode())
        heard = b""
        while b"<success" not in heard and (data := client.recv(4_096)):
            heard += data
        return heard


class Peer:
    """A client that shows each byte: direct TLS, PLAIN.

    Args:
        port: With direct TLS.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.connect()

    def connect(self) -> None:
        """Connect, by TLS."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.wire(), server_hostname="localhost")
        self._read = b""

    def wire(self) -> socket.socket:
        """Connect in the clear."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)

    @property
    def certificate(self) -> bytes:
        """What the server shows."""
        return self.socket.getpeercert(binary_form=True) or b""

    def send(self, data: bytes) -> None:
        """Send."""
        self.socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """Read until this has come, and take it."""
        while end not in self._read:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError(self._read)
            self._read += data
        head, end, self._read = self._read.partition(end)
        return head + end

    def log_in(self, name: str, password: str) -> None:
        """Prove who we are, and bind a resource; whoever is told to come again later does so."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                self.prove(name, password)
                break
            except EOFError as error:
                later = LATER.search(error.args[0])
                if later is None or time.monotonic() > until:
                    raise
                time.sleep(int(later[1]))
                self.close()
                self.connect()
        self.send(
            b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
            b"<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>"
        )
        self.until(b"id='r'")
        self.until(b"</iq>")

    def prove(self, name: str, password: str) -> None:
        """Prove who we are."""
        self.send(HEADER)
        self.until(b"</stream:features>")
        token = b64encode(f"\0{name}\0{password}".encode())
        self.send(
            b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%b</auth>" % token
        )
        self.until(b"</success>")
        self.send(HEADER)
        self.until(b"</stream:features>")

    def close(self) -> None:
        """Leave without a word."""
        self.socket.close()
