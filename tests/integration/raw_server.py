"""A server that shows each byte, and says of itself what it likes."""

import socket
import ssl
from base64 import b64encode
from pathlib import Path
from xml.etree import ElementTree

PATIENCE_S = 60
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


class RawServer:
    """A stream to another server; blocking, for a while.

    Args:
        port: Where that listens, on the loopback interface.
        name: Who we say we are.
        to: Whom we want.
        certificate: PEM, with its key in another file; None to show none.

    Attributes:
        features: What is offered, under TLS if there is a certificate or none is wanted.
    """

    def __init__(
        self,
        port: int,
        name: str,
        to: str,
        certificate: tuple[Path, Path] | None = None,
        *,
        tls: bool = True,
    ) -> None:
        self._name, self._to = name, to
        self._wire: socket.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._read = b""
        self.features = self.open()
        if tls:
            self.send(f"<starttls xmlns='{TLS}'/>")
            self.until(b">")
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if certificate is not None:
                context.load_cert_chain(*certificate)
            self._wire = context.wrap_socket(self._wire, server_hostname=to)
            self.features = self.open()

    def close(self) -> None:
        """Leave without a word."""
        self._wire.close()

    def send(self, text: str) -> None:
        """Send all of it."""
        self._wire.sendall(text.encode())

    def until(self, end: bytes) -> bytes:
        """Read until this has come, and take it.

        Raises:
            EOFError: It did not come; with what did.
        """
        while end not in self._read:
            data = self._wire.recv(65_536)
            if not data:
                raise EOFError(self._read)
            self._read += data
        head, end, self._read = self._read.partition(end)
        return head + end

    def rest(self) -> bytes:
        """All that comes until the other side closes."""
        try:
            return self.until(b"\0")
        except EOFError as error:
            data: bytes = error.args[0]
            return data

    def open(self) -> bytes:
        """Open a stream; its features."""
        self.send(
            "<?xml version='1.0'?><stream:stream xmlns='jabber:server' version='1.0'"
            f" xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'"
            f" from='{self._name}' to='{self._to}'>"
        )
        return self.until(b"</stream:features>")

    def external(self, identity: str = "") -> str:
        """Prove who we are by our certificate; ``success``, or why not."""
        text = b64encode(identity.encode()).decode() or "="
        self.send(f"<auth xmlns='{SASL}' mechanism='EXTERNAL'>{text}</auth>")
        answer = self.until(b">")
        if b"<success" in answer:
            self.features = self.open()
            return "success"
        answer += self.until(b"</failure>")
        return ElementTree.fromstring(answer)[0].tag.partition("}")[2]

    def dialback(self, key: str) -> bytes:
        """Have somebody asked whether we are who we say."""
        self.send(f"<db:result from='{self._name}' to='{self._to}'>{key}</db:result>")
        return self.until(b">")


__all__ = ["RawServer"]
