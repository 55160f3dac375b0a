"""What a message and a ping cost in memory by TCP, WebSocket and BOSH, the kernel left out.

    python -m bench.doors
    python -m bench.in_turn ../parent doors

Whoever speaks by HTTP has come in through its channel, as from a browser; so what is measured is
all that a message takes between the sockets. By BOSH it is two requests, and making them.
"""

import os
import re
import sys
from base64 import b64encode
from collections.abc import Callable
from math import inf
from time import process_time

from bench.compare import machine, number, table
from bench.ours import plugins
from bench.where import BIND, DOMAIN, Wire
from xmppd.config.config import ListenSettings
from xmppd.stanza import ns
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House, house_config

PAIRS = 50
ROUNDS = 300
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
SASL = ns.SASL.encode()
FRAMING = b"urn:ietf:params:xml:ns:xmpp-framing"
HTTPBIND = "http://jabber.org/protocol/httpbind"
MESSAGE = b"<message to='%b@p.test' type='chat'><body>ay me</body></message>"
PING = b"<iq type='get' id='p' to='p.test'><ping xmlns='urn:xmpp:ping'/></iq>"

_name = re.compile(rb"^<[a-z]+")
_sid = re.compile(rb"\ssid='([^']+)'")


class Keeping(Wire):
    """A transport that keeps what was written last."""

    last = b""

    def write(self, data: bytes) -> None:
        """Keep these bytes."""
        self.last = data

    def getHandle(self) -> None:
        """None, since there is no socket."""


class Doors:
    """A house with a door for each way.

    Attributes:
        house: The same.
    """

    def __init__(self) -> None:
        config = house_config(DOMAIN, web={"max_connections_per_address": 10_000})
        self.house = House(config=config, plugins=plugins(archives=False))
        self._ends: list[Callable[[], None]] = []
        vars(self.house.server.bosh_sessions)["_at_end_of_turn"] = self._ends.append

    def end_turn(self) -> None:
        """Have what was said leave."""
        ends = self._ends
        while ends:
            ends.pop(0)()

    def connect(self, kind: str) -> tuple[Callable[[bytes], None], Keeping]:
        """A connection to the door of TCP or that of HTTP: what takes its bytes, and its wire."""
        server, wire = self.house.server, Keeping()
        listen = ListenSettings(endpoint="", kind=kind, tls="none")  # type: ignore[arg-type]
        doors = server.listeners if kind == "client" else server.http_doors
        protocol = doors.listener(listen).buildProtocol(None)
        protocol.makeConnection(wire)  # type: ignore[no-untyped-call]
        return protocol.dataReceived, wire

    def person(self, way: str, name: str) -> "Person":
        """Somebody who is there, and reads what comes."""
        account = self.house.jid(name).bare
        done(self.house.server.passwords.create(account, PASSWORD))
        person = WAYS[way](self)
        person.open()
        said = b64encode(f"\0{name}\0{PASSWORD}".encode())
        person.say(b"<auth xmlns='%b' mechanism='PLAIN'>%b</auth>" % (SASL, said))
        self.house.clock.advance(0)
        person.open()
        for element in (BIND, b"<presence/>"):
            person.say(element)
            self.house.clock.advance(0)
        return person


class Person:
    """Somebody on a stream by TCP.

    Args:
        doors: Are come in by.
    """

    def __init__(self, doors: Doors) -> None:
        self.feed, self.wire = doors.connect("client")

    def open(self) -> None:
        """Begin the stream, or begin it anew."""
        self.feed(
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='p.test'"
            b" xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
        )

    def say(self, element: bytes) -> None:
        """Send an element."""
        self.sender(element)()

    def sender(self, element: bytes) -> Callable[[], None]:
        """What sends an element, again and again."""
        feed = self.feed
        return lambda: feed(element)

    def hear(self) -> None:
        """Do what has to be done to hear more."""


class ByWebSocket(Person):
    """Somebody by WebSocket."""

    def __init__(self, doors: Doors) -> None:
        self.feed, self.wire = doors.connect("http")
        self.feed(
            f"GET /ws HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
            "Sec-WebSocket-Protocol: xmpp\r\n\r\n".encode()
        )

    def open(self) -> None:
        self._frame(b"<open xmlns='%b' to='p.test' version='1.0'/>" % FRAMING)

    def say(self, element: bytes) -> None:
        self._frame(_declaring(element))

    def sender(self, element: bytes) -> Callable[[], None]:
        feed, frame = self.feed, masked(_declaring(element))
        return lambda: feed(frame)

    def _frame(self, text: bytes) -> None:
        self.feed(masked(text))


class ByBosh(Person):
    """Somebody by BOSH, on two connections that stay."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._feeds = [doors.connect("http") for _ in range(2)]
        self._rid = 1_000
        self._sid = b""

    def _ask(self, attributes: bytes, content: bytes = b"") -> None:
        self._rid += 1
        feed, wire = self._feeds[self._rid % 2]
        begin = b"<body xmlns='%b' rid='%d'%b%b" % (
            HTTPBIND.encode(), self._rid, self._sid, attributes
        )  # fmt: skip
        body = begin + (b">%b</body>" % content if content else b"/>")
        feed(
            b"POST /bosh HTTP/1.1\r\nHost: p.test\r\nContent-Type: text/xml\r\nAccept: */*\r\n"
            b"Accept-Language: en\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        self._doors.end_turn()
        if not self._sid:
            found = _sid.search(wire.last)
            assert found is not None, wire.last
            self._sid = b" sid='%b'" % found[1]

    def open(self) -> None:
        if self._sid:
            self._ask(b" to='p.test' xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'")
        else:
            self._ask(
                b" to='p.test' wait='60' hold='1' ver='1.6' xmlns:xmpp='urn:xmpp:xbosh'"
                b" xmpp:version='1.0'"
            )

    def say(self, element: bytes) -> None:
        self._ask(b"", _declaring(element))

    def sender(self, element: bytes) -> Callable[[], None]:
        declaring = _declaring(element)
        return lambda: self._ask(b"", declaring)

    def hear(self) -> None:
        self._ask(b"")


WAYS: dict[str, type[Person]] = {"TCP": Person, "WebSocket": ByWebSocket, "BOSH": ByBosh}


def masked(text: bytes) -> bytes:
    """A frame with a text message, as a browser sends it."""
    mask, size = os.urandom(4), len(text)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2)
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))


def _declaring(element: bytes) -> bytes:
    """An element with its content namespace, if it has no other."""
    if b" xmlns=" in element.partition(b">")[0]:
        return element
    return _name.sub(rb"\g<0> xmlns='jabber:client'", element)


def chatting(doors: Doors, way: str) -> Callable[[], None]:
    """A message from the first to the second of each pair, who does what it takes to hear more."""
    steps: list[Callable[[], None]] = []
    for pair in range(PAIRS):
        names = [f"{way}-{side}{pair}".lower() for side in "ab"]
        one, other = (doors.person(way, name) for name in names)
        steps.append(one.sender(MESSAGE % names[1].encode()))
        if way == "BOSH":
            steps.append(other.hear)

    def say() -> None:
        for step in steps:
            step()

    return say


def pinging(doors: Doors, way: str) -> Callable[[], None]:
    """A ping of each person."""
    people = [doors.person(way, f"{way}-p{number}".lower()) for number in range(PAIRS)]
    steps = [person.sender(PING) for person in people]

    def ask() -> None:
        for step in steps:
            step()

    return ask


def cost_us(work: Callable[[], None]) -> float:
    """The CPU time of one of what work does fifty of, the best of many short rounds: so it is the
    same on a busy machine.
    """
    best_s = inf
    for _ in range(ROUNDS):
        began = process_time()
        work()
        best_s = min(best_s, process_time() - began)
    return best_s / PAIRS * 1e6


def door_costs() -> dict[str, float]:
    """What a message, and a ping, cost by each way; making the requests of BOSH is in it."""
    doors = Doors()
    works = {
        f"{what}, {way}": made(doors, way)
        for what, made in (("chat", chatting), ("ping", pinging))
        for way in WAYS
    }
    return {name: cost_us(work) for name, work in works.items()}


def main() -> int:
    """Print a table."""
    print(f"{machine()}\n")
    print(table(["one", "µs"], [[name, number(cost)] for name, cost in door_costs().items()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
