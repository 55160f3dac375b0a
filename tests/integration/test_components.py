"""Components that others have written, on real sockets."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from hashlib import sha1
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

from slixmpp import ComponentXMPP, Message
from slixmpp.exceptions import IqError

from tests.integration.people import PATIENCE_S, PLUGINS, Person, ServerCase, people
from xmppd.testing.process import ServerProcess

SECRET = "wherefore art thou"
HEADER = (
    b"<stream:stream xmlns='jabber:component:accept' to='mad.verona.lit'"
    b" xmlns:stream='http://etherx.jabber.org/streams'>"
)
ROOT = Path(__file__).parents[2]
WOKKEL = """
import sys
from xmppd_plugins.example_wokkel import DiscoHandler, Noticeboard, PingHandler
from twisted.internet import reactor
from wokkel.component import Component
component = Component("127.0.0.1", int(sys.argv[1]), "outside.verona.lit", sys.argv[2])
for handler in DiscoHandler(), PingHandler(), Noticeboard():
    handler.setHandlerParent(component)
component.startService()
reactor.run()
"""


class Echo(ComponentXMPP):
    """A component written with slixmpp, which says what it hears.

    Args:
        server: Where it connects.
        domain: Its own.
    """

    def __init__(self, server: ServerProcess, domain: str, secret: str = SECRET) -> None:
        super().__init__(domain, secret, server.host, server.component_port)
        self.log = server.log
        self.register_plugin("xep_0030")
        self.register_plugin("xep_0199")
        self.heard: list[str] = []
        self.add_event_handler("message", self.answer)

    def answer(self, message: Message) -> None:
        """Say it back."""
        self.heard.append(message["body"])
        if message["type"] in ("chat", "normal"):
            message.reply(message["body"]).send()

    async def arrive(self) -> "Echo":
        """Connect, and be let in."""
        came = asyncio.ensure_future(self.wait_until("session_start", PATIENCE_S))
        await asyncio.sleep(0)
        self.connect()
        await came
        return self

    async def lose(self) -> None:
        """Have the connection break, and the server notice."""
        before = self.losses()
        self.abort()
        async with asyncio.timeout(PATIENCE_S):
            while self.losses() == before:
                await asyncio.sleep(0.02)

    def losses(self) -> int:
        """How often the server has seen this component hang up."""
        return self.log.read_text(encoding="utf-8").count(f"{self.boundjid.host} disconnected")


class SlixmppTests(ServerCase):
    """A ComponentXMPP of slixmpp."""

    settings: ClassVar[dict[str, object]] = {
        "component": [
            {"name": "echo.verona.lit", "secret": SECRET, "title": "Echo"},
            {"name": "pair.verona.lit", "secret": SECRET, "max_connections": 2},
        ]
    }

    def component(self, domain: str = "echo.verona.lit", secret: str = SECRET) -> Any:
        component = Echo(self.server, domain, secret)
        self.present.append(component)  # type: ignore[arg-type]  # is aborted likewise
        return component

    @people
    async def test_there_and_back(self) -> None:
        """What somebody says to a component is heard, and what it says is heard."""
        await self.component().arrive()
        (romeo,) = await self.arrivals("romeo")
        romeo.say("anybody@echo.verona.lit/desk", "ay me")
        answer = await romeo.expect("message", sender="anybody@echo.verona.lit/desk")
        self.assertEqual(answer["body"], "ay me")

    @people
    async def test_both_ask(self) -> None:
        """Each can ask the other, and both can ask the server."""
        component = await self.component().arrive()
        (romeo,) = await self.arrivals("romeo")
        await romeo["xep_0199"].ping("echo.verona.lit", timeout=PATIENCE_S)
        await component["xep_0199"].ping(
            romeo.boundjid, ifrom="echo.verona.lit", timeout=PATIENCE_S
        )
        info = await component["xep_0030"].get_info(
            "verona.lit", ifrom="echo.verona.lit", timeout=PATIENCE_S
        )
        self.assertIn(("server", "im", None, "xmppd"), info["disco_info"]["identities"])

    @people
    async def test_listed(self) -> None:
        """Whoever looks around at the server finds the component by its name."""
        await self.component().arrive()
        (romeo,) = await self.arrivals("romeo")
        items = await romeo["xep_0030"].get_items("verona.lit", timeout=PATIENCE_S)
        self.assertIn(("echo.verona.lit", None, "Echo"), items["disco_items"]["items"])

    @people
    async def test_hangs_up(self) -> None:
        """When a component is gone, senders are told; when it is back, it is there."""
        component = await self.component().arrive()
        (romeo,) = await self.arrivals("romeo")
        await component.lose()
        with self.assertRaises(IqError) as raised:
            await romeo["xep_0199"].ping("echo.verona.lit", timeout=PATIENCE_S)
        self.assertEqual(raised.exception.condition, "remote-server-timeout")
        await self.component().arrive()
        await romeo["xep_0199"].ping("echo.verona.lit", timeout=PATIENCE_S)

    @people
    async def test_wrong_secret(self) -> None:
        """Without the secret nobody is let in."""
        component = self.component(secret="therefore")
        told = asyncio.ensure_future(component.wait_until("stream_error", PATIENCE_S))
        await asyncio.sleep(0)
        component.connect()
        self.assertEqual((await told)["condition"], "not-authorized")

    @people
    async def test_fail_over(self) -> None:
        """Of two connections, the one that is left takes over."""
        pair = [await self.component("pair.verona.lit").arrive() for _ in range(2)]
        connections = await self.arrivals("romeo", "juliet", "nurse", "tybalt")
        for person in connections:
            for number in range(10):
                person.say("pair.verona.lit", f"{person.boundjid.bare} {number}")
                await person.expect("message", body=f"{person.boundjid.bare} {number}")
        for person in connections:
            own = [[t for t in each.heard if t.startswith(person.boundjid.bare)] for each in pair]
            self.assertIn([], own)
        await pair[0].lose()
        for person in connections:
            person.say("pair.verona.lit", "still there?")
            await person.expect("message", body="still there?")

    @people
    async def test_presence(self) -> None:
        """Presence goes to a component and comes from it, and both can be subscribed to."""
        component = await self.component().arrive()
        (romeo,) = await self.arrivals("romeo")
        came = asyncio.ensure_future(component.wait_until("presence_subscribe", PATIENCE_S))
        await asyncio.sleep(0)
        romeo.send_presence_subscription("nurse@echo.verona.lit", ptype="subscribe")
        request = await came
        self.assertEqual(request["from"].bare, romeo.boundjid.bare)
        component.send_presence_subscription(
            pto=romeo.boundjid.bare, pfrom="nurse@echo.verona.lit", ptype="subscribed"
        )
        component.send_presence(pto=romeo.boundjid.bare, pfrom="nurse@echo.verona.lit/1")
        await romeo.expect("presence", type="available", sender="nurse@echo.verona.lit/1")


class WokkelTests(ServerCase):
    """The same handlers of wokkel, in a process of their own and inside the server."""

    settings: ClassVar[dict[str, object]] = {
        "component": [{"name": "outside.verona.lit", "secret": SECRET}],
        "plugins": {"load": ["disco", "ping", "example_wokkel"]},
    }
    plugins = (*PLUGINS, "xep_0060")
    boards: ClassVar[tuple[str, ...]] = ("outside.verona.lit", "board.verona.lit")

    def outside(self) -> None:
        """Have the process run, and end with the test."""
        process = subprocess.Popen(
            [sys.executable, "-c", WOKKEL, str(self.server.component_port), SECRET],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

    @people
    async def test_notice_board(self) -> None:
        """Boards inside and outside are used in the same way, and do the same."""
        self.outside()
        romeo, juliet = [
            await self.person(self.account(name), plugins=self.plugins).arrive()
            for name in ("romeo", "juliet")
        ]
        await self.listed(romeo, "outside.verona.lit")
        for board in self.boards:
            await romeo["xep_0199"].ping(board, timeout=PATIENCE_S)
            await self.use(board, romeo, juliet)

    async def listed(self, person: Person, domain: str) -> None:
        """Look until the component is there."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                items = await person["xep_0030"].get_items("verona.lit", timeout=PATIENCE_S)
                if any(item[0] == domain for item in items["disco_items"]["items"]):
                    return
                await asyncio.sleep(0.05)

    async def use(self, board: str, romeo: Person, juliet: Person) -> None:
        """Hang up a notice, read it, and hear of another."""
        notice = ElementTree.fromstring("<notice xmlns='urn:example:notice'>a plague</notice>")
        await juliet["xep_0060"].publish(board, "verona", id="1", payload=notice)
        found = await romeo["xep_0060"].get_items(board, "verona", timeout=PATIENCE_S)
        self.assertIn("a plague", str(found))
        await romeo["xep_0060"].subscribe(board, "verona", timeout=PATIENCE_S)
        await juliet["xep_0060"].publish(board, "verona", id="2", payload=notice)
        event = await romeo.expect("message", sender=board)
        self.assertIn("a plague", str(event))
        info = await romeo["xep_0030"].get_info(board, timeout=PATIENCE_S)
        self.assertIn("http://jabber.org/protocol/pubsub#publish", info["disco_info"]["features"])


class HostileTests(ServerCase):
    """Components that mean no good, or are broken."""

    settings: ClassVar[dict[str, object]] = {
        "component": [{"name": "mad.verona.lit", "secret": SECRET}],
        "stream": {"max_stanza_bytes": 65_536, "max_queued_bytes": 1_048_576},
        "plugins": {"load": ["disco", "ping"]},
    }

    def wire(self) -> socket.socket:
        """A connection at the components' door."""
        wire = socket.create_connection((self.server.host, self.server.component_port))
        wire.settimeout(PATIENCE_S)
        self.addCleanup(wire.close)
        return wire

    def let_in(self) -> socket.socket:
        """One that has made the handshake."""
        wire = self.wire()
        wire.sendall(HEADER)
        head = until(wire, b">", 2)
        stream_id = head.partition(b" id='")[2].partition(b"'")[0].decode()
        proof = sha1(f"{stream_id}{SECRET}".encode()).hexdigest()
        wire.sendall(f"<handshake>{proof}</handshake>".encode())
        until(wire, b"<handshake/>", 1)
        return wire

    @people
    async def test_every_state(self) -> None:
        """In each state, what does not belong there ends that stream with the right error."""
        (romeo,) = await self.arrivals("romeo")
        large = b"<message to='x'><body>" + b"x" * 140_000 + b"</body></message>"
        for state, sent, condition in (
            ("new", b"GET / HTTP/1.1\r\n\r\n", b"not-well-formed"),
            ("new", HEADER.replace(b"mad.", b"sane."), b"host-unknown"),
            ("new", HEADER.replace(b"component:accept", b"client"), b"invalid-namespace"),
            ("new", b"<!DOCTYPE x>" + HEADER, b"restricted-xml"),
            ("opened", b"<handshake>0</handshake>", b"not-authorized"),
            ("opened", b"<message to='x'/>", b"not-authorized"),
            ("opened", large, b"policy-violation"),
            ("opened", HEADER + b"</stream:stream>", b"not-authorized"),
            ("in", HEADER + b"</stream:stream>", b"unsupported-stanza-type"),
            ("in", large, b"policy-violation"),
            ("in", b"<message from='romeo@verona.lit' to='x'/>", b"invalid-from"),
            ("in", b"<message from='x@evil.example' to='x'/>", b"invalid-from"),
            ("in", b"<message></iq>", b"not-well-formed"),
            ("in", b"<message to='&x;'/>", b"restricted-xml"),
        ):
            with self.subTest(state=state, condition=condition):
                wire = self.let_in() if state == "in" else self.wire()
                wire.sendall(HEADER + sent if state == "opened" else sent)
                self.assertIn(b"<" + condition + b" ", rest(wire))
                wire.close()
        await romeo.catch_up()

    @people
    async def test_resets(self) -> None:
        """Streams that break in any state leave nothing behind."""
        (romeo,) = await self.arrivals("romeo")
        for _ in range(20):
            for wire in (self.wire(), self.let_in()):
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                wire.sendall(b"<stream:str")
                wire.close()
        await romeo.catch_up()
        self.let_in()
        await romeo.catch_up()

    @people
    async def test_flood(self) -> None:
        """While a component floods the server and reads nothing, people are served."""
        (romeo,) = await self.arrivals("romeo")
        before = memory_kb(self.server.pid)
        wire = self.let_in()
        wire.setblocking(False)
        ping = b"<iq to='verona.lit' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>" * 200
        until_s = asyncio.get_running_loop().time() + 3
        while asyncio.get_running_loop().time() < until_s:
            with contextlib.suppress(BlockingIOError, ConnectionError):
                wire.send(ping)
            async with asyncio.timeout(1):
                await romeo.catch_up()
        self.assertLess(memory_kb(self.server.pid) - before, 30_000)


def until(wire: socket.socket, end: bytes, times: int) -> bytes:
    """Read until this has come so often."""
    data = b""
    while data.count(end) < times:
        more = wire.recv(65_536)
        if not more:
            raise EOFError(data)
        data += more
    return data


def rest(wire: socket.socket) -> bytes:
    """All that comes until the server has said its last word."""
    data = b""
    while b"</stream:stream>" not in data:
        more = wire.recv(65_536)
        if not more:
            break
        data += more
    return data


def memory_kb(pid: int) -> int:
    """What a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0])
