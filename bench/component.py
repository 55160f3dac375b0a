"""A component (XEP-0114) that sends every message back to where it came from."""

import re
from hashlib import sha1

from bench.client import BenchError, Client, Connections
from bench.server import COMPONENT, COMPONENT_SECRET

ID = re.compile(rb"<stream:stream [^>]*?id=['\"]([^'\"]+)")
HANDSHAKE = re.compile(rb"<handshake\b[^>]*?(?:/>|></handshake>)")
ADDRESSES = re.compile(rb" (from|to)=['\"]([^'\"]*)['\"]")
MESSAGE_END = b"</message>"


class Component(Client):
    """The component, on the loop of its connections.

    Attributes:
        connected: Whether the server has let it in.
    """

    __slots__ = ("connected",)

    def __init__(self, connections: Connections, port: int) -> None:
        super().__init__(connections, COMPONENT, 0)
        self.connected = False
        self.on_data = self._hear
        clients_ports, connections.ports = connections.ports, (port,)
        self.connect()
        connections.ports = clients_ports
        self.send(
            b"<stream:stream xmlns='jabber:component:accept'"
            b" xmlns:stream='http://etherx.jabber.org/streams' to='%b'>" % COMPONENT.encode()
        )

    def _hear(self, data: bytes) -> None:
        """Take bytes until the handshake is done."""
        self.received += data
        stream = ID.search(self.received)
        if b"</stream:error>" in self.received:
            raise BenchError(f"the component is refused, {self.received[-300:]!r}")
        if HANDSHAKE.search(self.received):
            self.received, self.connected, self.on_data = b"", True, self._echo
        elif stream is not None:
            self.received = b""
            proof = sha1(stream[1] + COMPONENT_SECRET.encode()).hexdigest().encode()
            self.send(b"<handshake>%b</handshake>" % proof)

    def _echo(self, data: bytes) -> None:
        """Take bytes after the handshake."""
        *whole, self.tail = (self.tail + data).split(MESSAGE_END)
        self.send(b"".join(map(answer, whole)))


def answer(message: bytes) -> bytes:
    """The message, back to its sender."""
    head, _, body = message.partition(b">")
    addresses = dict(ADDRESSES.findall(head))
    return b"<message from='%b' to='%b' type='chat' id='m1'>%b</message>" % (
        addresses[b"to"], addresses[b"from"], body,
    )  # fmt: skip
