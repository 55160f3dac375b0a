"""How soon a connection is closed whose stream has ended with an error, on every endpoint."""

import socket
import ssl
import time

from tests.integration.processes import ProcessCase

HEADER = (
    b"<?xml version='1.0'?><stream:stream to='%b' xmlns='%b' version='1.0'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)
DOORS = """
[[listen]]
endpoint = "{endpoint}"
kind = "server"
tls = "starttls"
[[listen]]
endpoint = "{endpoint}"
kind = "component"
tls = "none"
[[component]]
name = "echo.localhost"
secret = "wherefore"
"""
WRONG = (
    (b"<message></iq>", b"not-well-formed"),
    (b"<a>" * 100, b"policy-violation"),
    (b"<!-- psst -->", b"restricted-xml"),
)
SOON_S = 0.9
"""Less than what a peer has for its last words."""

AT_LAST_S = 3.0
"""More than that, for a busy machine, and less than what a peer has after an orderly end."""


class Wire:
    """One connection, of which somebody writes the time.

    Args:
        port: Where to.
        namespace: Of the content.
        direct: Speak TLS from the first byte.
    """

    def __init__(self, port: int, namespace: bytes, *, direct: bool = False) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), 20)
        if direct:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.socket = context.wrap_socket(
                self.socket, server_hostname="localhost", suppress_ragged_eofs=False
            )
        to = b"echo.localhost" if b"component" in namespace else b"localhost"
        self.socket.sendall(HEADER % (to, namespace))
        self.heard = b""
        self.until(b"</stream:features>" if b"component" not in namespace else b"'>")

    def until(self, end: bytes) -> None:
        """Read until this has come."""
        while end not in self.heard:
            data = self.socket.recv(65_536)
            assert data, self.heard
            self.heard += data

    def end_s(self) -> float:
        """Read to the end; how long that took."""
        begun = time.monotonic()
        while data := self.socket.recv(65_536):
            self.heard += data
        return time.monotonic() - begun

    def gone_s(self) -> float:
        """Write until that is not possible any more; how long it was."""
        begun = time.monotonic()
        try:
            while time.monotonic() < begun + 20:
                self.socket.sendall(b" ")
                time.sleep(0.02)
        except OSError:
            pass
        return time.monotonic() - begun


class ClosingTests(ProcessCase):
    """Clients, servers and components that have made a mistake."""

    endpoint = "epoll:0:interface=127.0.0.1"

    def setUp(self) -> None:
        super().setUp()
        self.configure(DOORS.format(endpoint=self.endpoint), endpoint=self.endpoint)
        self.start()

    def wires(self) -> list[tuple[str, int, bytes, bool]]:
        """Every kind of door: what it is, its port, what is spoken there, and TLS at once."""
        starttls, direct, server, component = self.ports()
        return [
            ("client", starttls, b"jabber:client", False),
            ("client with TLS", direct, b"jabber:client", True),
            ("server", server, b"jabber:server", False),
            ("component", component, b"jabber:component:accept", False),
        ]

    def test_our_half_at_once(self) -> None:
        """The end of what the server says follows its error at once, whatever went wrong."""
        for name, port, namespace, direct in self.wires():
            for wrong, condition in WRONG:
                with self.subTest(name, condition=condition):
                    wire = Wire(port, namespace, direct=direct)
                    wire.socket.sendall(wrong)
                    self.assertLess(wire.end_s(), SOON_S)
                    self.assertIn(b"<" + condition, wire.heard)
                    self.assertTrue(wire.heard.endswith(b"</stream:stream>"))
                    wire.socket.close()

    def test_the_other_half_soon(self) -> None:
        """Who does not close its half after an error has a second."""
        for name, port, namespace, direct in self.wires():
            with self.subTest(name):
                wire = Wire(port, namespace, direct=direct)
                wire.socket.sendall(b"<message></iq>")
                wire.end_s()
                self.assertLess(wire.gone_s(), AT_LAST_S)
                wire.socket.close()

    def test_not_while_talking(self) -> None:
        """Who talks on gets no more time by it, and reads the error all the same."""
        for name, port, namespace, direct in self.wires():
            with self.subTest(name):
                wire = Wire(port, namespace, direct=direct)
                wire.socket.sendall(b"<message></iq>" + b"x" * 20_000)
                wire.socket.sendall(b"<message/>" * 1_000)
                self.assertLess(wire.end_s(), SOON_S)
                self.assertIn(b"<not-well-formed", wire.heard)
                begun = time.monotonic()
                try:
                    while time.monotonic() < begun + 20:
                        wire.socket.sendall(b"x" * 30_000)
                except OSError:
                    pass
                self.assertLess(time.monotonic() - begun, AT_LAST_S)
                wire.socket.close()


class PortableClosingTests(ClosingTests):
    """The same on Twisted's own endpoints."""

    endpoint = "tcp:0:interface=127.0.0.1"
