"""A client that shows each byte, with what Python's ssl does not have: keying material of TLS."""

import socket
import struct
from base64 import b64decode, b64encode
from xml.etree import ElementTree

from OpenSSL import SSL

from xmppd.testing.process import ServerProcess

PATIENCE_S = 60
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


class RawClient:
    """A stream after STARTTLS; blocking, for a while.

    Attributes:
        features: What the server offers under TLS.
        tls: The connection.
    """

    def __init__(self, server: ServerProcess, *, version: int = SSL.TLS1_3_VERSION) -> None:
        self.domain = server.domain
        self._connect(server.host, server.port)
        self.open()
        self.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.until(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self._start_tls(server, version)
        self.features = self.open()

    def _connect(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port))
        patience = struct.pack("ll", PATIENCE_S, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
        self._read = b""
        self._wire: socket.socket | SSL.Connection = self._socket

    def _start_tls(self, server: ServerProcess, version: int) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        context.load_verify_locations(str(server.certificate))
        context.set_verify(SSL.VERIFY_PEER)
        self.tls = SSL.Connection(context, self._socket)
        self.tls.set_tlsext_host_name(self.domain.encode())
        self.tls.set_connect_state()
        self.tls.do_handshake()
        self._wire = self.tls

    def close(self) -> None:
        """Leave without a word."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._wire.sendall(data)

    def receive(self) -> bytes:
        """The next bytes; none when the server has closed."""
        data, self._read = self._read, b""
        if data:
            return data
        try:
            return self._wire.recv(65_536)
        except (SSL.ZeroReturnError, SSL.SysCallError, ConnectionError):
            return b""

    def until(self, end: bytes) -> bytes:
        """Read until this has come, and take it."""
        data = b""
        while end not in data:
            more = self.receive()
            if not more:
                raise EOFError(data)
            data += more
        head, end, self._read = data.partition(end)
        return head + end

    @property
    def header(self) -> bytes:
        """Our stream header."""
        return (
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='%b' version='1.0'"
            b" xmlns:stream='http://etherx.jabber.org/streams'>" % self.domain.encode()
        )

    def open(self) -> bytes:
        """Open a stream; its features."""
        self.send(self.header)
        return self.until(b"</stream:features>")

    def log_in(self, name: str, password: str, resource: str) -> None:
        """Log in by PLAIN, and bind a resource."""
        answer, _ = self.authenticate("PLAIN", f"\0{name}\0{password}".encode())
        assert answer == "success", answer
        self.open()
        self.send(
            f"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<resource>{resource}</resource></bind></iq>".encode()
        )
        self.until(b"</iq>")

    # -- SASL -----------------------------------------------------------------------------------

    def authenticate(self, mechanism: str, message: bytes) -> tuple[str, bytes]:
        """Begin with a mechanism; the name of the answer, and what it says."""
        return self._exchange(f"<auth xmlns='{SASL}' mechanism='{mechanism}'>", message, "auth")

    def respond(self, message: bytes) -> tuple[str, bytes]:
        """Go on with it."""
        return self._exchange(f"<response xmlns='{SASL}'>", message, "response")

    def _exchange(self, start: str, message: bytes, name: str) -> tuple[str, bytes]:
        self.send(f"{start}{b64encode(message).decode()}</{name}>".encode())
        data = self.until(b">")
        answer = data.split()[0].lstrip(b"<").decode()
        data += self.until(f"</{answer}>".encode())
        tree = ElementTree.fromstring(data)
        if answer == "failure":
            return answer, tree[0].tag.partition("}")[2].encode()
        return answer, b64decode(tree.text or "")


class QuickClient(RawClient):
    """The same with TLS from the first byte; nothing is said yet."""

    def __init__(self, server: ServerProcess, *, version: int = SSL.TLS1_3_VERSION) -> None:
        self.domain = server.domain
        self._connect(server.host, server.direct_tls_port)
        self._start_tls(server, version)
