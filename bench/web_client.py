"""Blocking clients by TCP, WebSocket and BOSH, for one thing at a time."""

import hashlib
import hmac
import re
import select
import socket
from base64 import b64decode, b64encode
from collections import deque
from typing import Protocol

from bench.client import BenchError
from bench.server import HOST
from bench.web_servers import WebServer

PATIENCE_S = 20.0
PASSWORD = "pw"
DOMAIN = "p.test"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
BIND = (
    b"<iq xmlns='jabber:client' type='set' id='b'>"
    b"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
)
CLIENT = b" xmlns='jabber:client'"


class Wire(Protocol):
    """One stream, by whichever way."""

    def open(self) -> None:
        """Open the stream, or begin it anew; its features have come."""

    def send(self, element: bytes) -> None:
        """Send an element."""

    def until(self, end: bytes) -> bytes:
        """What comes, up to this."""

    def close(self) -> None:
        """Leave: without a word where the server hears of it by the connection."""


class TCP:
    """A stream by TCP."""

    def __init__(self, server: WebServer) -> None:
        self.socket = dial(server.port)
        self._came = b""

    def open(self) -> None:
        self.send(
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='p.test' version='1.0'"
            b" xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        self.until(b"</stream:features>")

    def send(self, element: bytes) -> None:
        self.socket.sendall(element)

    def until(self, end: bytes) -> bytes:
        while (at := self._came.find(end)) < 0:
            self._came += received(self.socket)
        at += len(end)
        found, self._came = self._came[:at], self._came[at:]
        return found

    def close(self) -> None:
        self.socket.close()


class WebSocket(TCP):
    """A stream by WebSocket; the mask is zero, which costs a server as much as another."""

    def __init__(self, server: WebServer) -> None:
        self.socket = dial(server.http_port)
        self._came = self._framed = b""
        self.socket.sendall(
            f"GET {server.ws_path} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: xmpp\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += received(self.socket)
        if b" 101 " not in head:
            raise BenchError(f"no WebSocket: {head!r}")

    def open(self) -> None:
        self.send(b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='p.test' version='1.0'/>")
        self.until(b"features>")

    def send(self, element: bytes) -> None:
        size = len(element)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2)
        self.socket.sendall(head + b"\0\0\0\0" + element)

    def until(self, end: bytes) -> bytes:
        while end not in self._came:
            self._framed += received(self.socket)
            while (text := self._message()) is not None:
                self._came += text
        at = self._came.find(end) + len(end)
        found, self._came = self._came[:at], self._came[at:]
        return found

    def _message(self) -> bytes | None:
        data = self._framed
        if len(data) < 2:
            return None
        size, at = data[1] & 0x7F, 2
        if size == 126:
            size, at = int.from_bytes(data[2:4]), 4
        elif size == 127:
            size, at = int.from_bytes(data[2:10]), 10
        if len(data) < at + size:
            return None
        self._framed = data[at + size :]
        return data[at : at + size]


class Bosh:
    """A stream by BOSH, on two connections that stay."""

    def __init__(self, server: WebServer) -> None:
        self.path = server.bosh_path
        self.sockets = [dial(server.http_port) for _ in range(2)]
        self.free = deque(self.sockets)
        self.partly: dict[socket.socket, bytes] = dict.fromkeys(self.sockets, b"")
        self.rid, self.sid, self._came = 1_000, "", b""
        self.is_new = True

    def request(self, attributes: str, content: bytes = b"") -> None:
        """Send a body; which connection is free is known."""
        self.rid += 1
        sid = f" sid='{self.sid}'" if self.sid else ""
        begin = (
            f"<body xmlns='http://jabber.org/protocol/httpbind' rid='{self.rid}'{sid}{attributes}"
        ).encode()
        body = begin + (b">" + content + b"</body>" if content else b"/>")
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Type: text/xml\r\n"
            f"Accept: */*\r\nAccept-Language: en\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        while not self.free:
            self._read()
        self.free.popleft().sendall(head + body)

    def _read(self) -> None:
        busy = [each for each in self.sockets if each not in self.free]
        ready, _, _ = select.select(busy, (), (), PATIENCE_S)
        if not ready:
            raise BenchError("nothing has come by BOSH")
        for each in ready:
            self.partly[each] += received(each)
            head, end, body = self.partly[each].partition(b"\r\n\r\n")
            found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            if end and found is not None and len(body) >= int(found[1]):
                self.partly[each] = b""
                self._came += body
                self.free.append(each)

    def open(self) -> None:
        xmpp = " xmlns:xmpp='urn:xmpp:xbosh'"
        if self.is_new:
            self.is_new = False
            self.request(f" to='{DOMAIN}' wait='60' hold='1' ver='1.6'{xmpp} xmpp:version='1.0'")
            while b"sid=" not in self._came:
                self._read()
            found = re.search(rb"\ssid=['\"]([^'\"]+)", self._came)
            assert found is not None
            self.sid = found[1].decode()
            if b"features" not in self._came:
                self.poll()
        else:
            self.request(f" to='{DOMAIN}'{xmpp} xmpp:restart='true'")
        self.until(b"features>")

    def send(self, element: bytes) -> None:
        self.request("", element)

    def poll(self) -> None:
        """Let a request wait."""
        self.request("")

    def until(self, end: bytes) -> bytes:
        while end not in self._came:
            if len(self.free) == 2:
                self.poll()
            self._read()
        at = self._came.find(end) + len(end)
        found, self._came = self._came[:at], self._came[at:]
        return found

    def close(self) -> None:
        # A session that nobody ends lives on for a minute, and is one of those an account may have.
        self.request(" type='terminate'")
        while len(self.free) < len(self.sockets):
            self._read()
        for each in self.sockets:
            each.close()


WIRES: dict[str, type[TCP] | type[Bosh]] = {"tcp": TCP, "ws": WebSocket, "bosh": Bosh}


def dial(port: int) -> socket.socket:
    """A connection that sends at once."""
    made = socket.create_connection((HOST, port), PATIENCE_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def received(from_: socket.socket) -> bytes:
    """What comes next."""
    data = from_.recv(65_536)
    if not data:
        raise BenchError("the server has hung up")
    return data


def register(server: WebServer, names: list[str]) -> None:
    """Make these accounts, those that are there already aside."""
    for name in names:
        wire = TCP(server)
        wire.open()
        wire.send(
            f"<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>{name}</username>"
            f"<password>{PASSWORD}</password></query></iq>".encode()
        )
        wire.until(b">")
        wire.close()


def log_in(server: WebServer, way: str, name: str, mechanism: str = "PLAIN") -> Wire:
    """A session that is bound; it has sent no presence."""
    wire = WIRES[way](server)
    wire.open()
    if mechanism == "PLAIN":
        token = b64encode(f"\0{name}\0{PASSWORD}".encode()).decode()
        wire.send(f"<auth xmlns='{SASL}' mechanism='PLAIN'>{token}</auth>".encode())
        wire.until(b"<success")
        if isinstance(wire, TCP):
            wire.until(b">")
    else:
        _scram(wire, name)
    wire.open()
    wire.send(BIND if way != "tcp" else BIND.replace(CLIENT, b""))
    bound = wire.until(b"</iq>")
    if b"<jid>" not in bound:
        raise BenchError(f"{name} may not log in: {bound!r}")
    return wire


def _scram(wire: Wire, name: str) -> None:
    first = f"n={name},r=fyko+d2lbbFgONRv9qkxdawL"
    said = b64encode(f"n,,{first}".encode()).decode()
    wire.send(f"<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{said}</auth>".encode())
    challenge = wire.until(b"</challenge>")
    server_first = b64decode(challenge.rpartition(b"</")[0].rpartition(b">")[2]).decode()
    nonce, salt, count = (part[2:] for part in server_first.split(",")[:3])
    bare = f"c=biws,r={nonce}"
    salted = _salted(salt, int(count))
    key = hmac.digest(salted, b"Client Key", "sha1")
    signed = f"{first},{server_first},{bare}".encode()
    signature = hmac.digest(hashlib.sha1(key).digest(), signed, "sha1")
    proof = b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()
    final = b64encode(f"{bare},p={proof}".encode()).decode()
    wire.send(f"<response xmlns='{SASL}'>{final}</response>".encode())
    wire.until(b"success>")


def _salted(salt: str, count: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), b64decode(salt), count)


__all__ = ["CLIENT", "DOMAIN", "Wire", "dial", "log_in", "received", "register"]
