"""Sessions that outlive their connections, and their server, over real TLS."""

import asyncio
from itertools import combinations
from pathlib import Path
from random import Random
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any
from xml.etree.ElementTree import Element, XMLPullParser

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.people import PASSWORD, PATIENCE_S, Person, ServerCase, befriend, people
from tests.integration.raw_client import RawClient
from xmppd.stanza import ns
from xmppd.testing.process import ServerProcess

SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"
STEPS = 30
STANZAS = ("message", "presence", "iq")


class Caller:
    """Somebody who keeps what the server has not handled, and comes back after every cut.

    Attributes:
        heard: The texts of all messages that came.
        told: The texts of all messages that were sent.
        seen: The types of all presences that came; empty for an available one.
        resumed: How often a session was resumed.
        failed: How often it was not.
    """

    def __init__(self, server: ServerProcess, name: str) -> None:
        self.server = server
        self.name = name
        self.heard: list[str] = []
        self.told: list[str] = []
        self.seen: list[str] = []
        self.resumed = self.failed = 0
        self._unhandled: list[str] = []
        self._previd = ""
        self._begin(self._authenticated())

    def _authenticated(self) -> RawClient:
        client = RawClient(self.server)
        answer, _ = client.authenticate("PLAIN", f"\0{self.name}\0{PASSWORD}".encode())
        assert answer == "success", answer
        client.open()
        return client

    def _begin(self, client: RawClient) -> None:
        """Bind a resource, and be available."""
        client.send(
            f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>1</resource></bind></iq>"
            f"<enable {SM} resume='true'/>".encode()
        )
        data = client.until(b" max='300'/>").decode()
        self._previd = data.rpartition(" id='")[2].partition("'")[0]
        self._use(client)
        self._received = self._handled = self._asked = self._answered = 0
        self._unhandled, again = [], self._unhandled
        client.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>".encode())
        client.send(b"<presence/>")
        self._unhandled += ["", ""]
        for stanza in again:
            self._send(stanza)

    def _use(self, client: RawClient) -> None:
        self.client = client
        self._parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
        self._parser.feed(f"<s xmlns:stream='{ns.STREAM}'>")
        self._depth = 0

    # -- what it does -----------------------------------------------------------------------------

    def say(self, to: str) -> None:
        """Send the next message."""
        text = f"{self.name} {len(self.told)}"
        self.told.append(text)
        self._send(f"<message to='{to}' type='chat'><body>{text}</body></message>")

    def _send(self, stanza: str) -> None:
        self._unhandled.append(stanza)
        if stanza:
            self.client.send(stanza.encode())

    def catch_up(self) -> None:
        """Read until all that was sent so far has been handled."""
        self._asked += 1
        self.client.send(f"<r {SM}/>".encode())
        while self._answered < self._asked:
            self.take(self.client.receive())

    def hear_out(self, count: int) -> None:
        """Read until so many messages were heard: stored ones come behind what is handled."""
        while len(self.heard) < count:
            self.take(self.client.receive())

    def settle(self) -> None:
        """Let the server know of all that was received."""
        self.client.send(f"<a {SM} h='{self._received}'/>".encode())

    def cut(self, rest: bytes = b"") -> None:
        """Have the connection break, perhaps in the middle of something."""
        self.client.send(rest)
        self.client.close()

    def come_back(self) -> None:
        """Resume, or begin anew if that fails."""
        client = self._authenticated()
        client.send(f"<resume {SM} previd='{self._previd}' h='{self._received}'/>".encode())
        data = client.until(b">")
        if not data.startswith(b"<resumed "):
            client.until(b"</failed>")
            self.failed += 1
            self._begin(client)
            return
        self.resumed += 1
        self._use(client)
        self._asked = self._answered = 0
        self._acknowledged(int(data.partition(b" h='")[2].partition(b"'")[0]))
        self._unhandled, again = [], self._unhandled
        for stanza in again:
            self._send(stanza)

    # -- what it gets -----------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """Take what has come, and acknowledge it if asked."""
        assert data, f"{self.name} was closed"
        self._parser.feed(data)
        for event, element in self._parser.read_events():  # type: ignore[misc]  # of these two
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 1:
                assert isinstance(element, Element)
                self._hear(element)

    def _hear(self, element: Element) -> None:
        name = element.tag.rpartition("}")[2]
        self._received += name in STANZAS
        if name == "message":
            assert element.get("type") != "error", element.attrib
            self.heard.append(element.findtext("body", ""))
        elif name == "presence":
            self.seen.append(element.get("type", ""))
        elif name == "iq" and element.get("type") == "get":
            ping_id = element.get("id")
            self._send(f"<iq type='result' id='{ping_id}' to='{self.server.domain}'/>")
        elif name == "r":
            self.settle()
        elif name == "a":
            self._answered += 1
            self._acknowledged(int(element.attrib["h"]))

    def _acknowledged(self, handled: int) -> None:
        del self._unhandled[: handled - self._handled]
        self._handled = handled


class CutCase(SynchronousTestCase):
    """Romeo and Juliet, who see each other, at a server of their own."""

    def setUp(self) -> None:
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        self.server = ServerProcess(
            self.directory,
            "verona.lit",
            auth={"scram_iterations": 64},
            stream={"close_timeout_s": 0.2},
        )
        self.server.start()
        self.addCleanup(self.server.stop)
        accounts = [self.server.add_user(name, PASSWORD) for name in ("romeo", "juliet", "nurse")]
        for one, other in combinations(accounts, 2):
            self.server.tell("roster add", account=one, contact=other, mutual=True)
        self.romeo, self.juliet, self.nurse = (
            Caller(self.server, name) for name in ("romeo", "juliet", "nurse")
        )
        for caller in (self.romeo, self.juliet, self.nurse):
            caller.catch_up()
        self.nurse.seen.clear()

    def talk(self, random: Random) -> None:
        """One of them says something, and something may go wrong."""
        one, other = random.sample((self.romeo, self.juliet), 2)
        one.say(f"{other.name}@verona.lit")
        if random.random() < 0.3:
            one.catch_up()
        if random.random() < 0.3:
            other.catch_up()
        if random.random() < 0.4:
            torn = b"<message to='nurse@verona.lit'><body>not"
            one.cut(torn[: random.randrange(len(torn))])
            if random.random() < 0.5:
                other.say(f"{one.name}@verona.lit")
            one.come_back()

    def catch_up(self) -> None:
        for _ in range(2):
            for caller in (self.romeo, self.juliet):
                caller.catch_up()

    def assert_told(self) -> None:
        """Each has heard all that the other said, in order and once."""
        self.catch_up()
        self.juliet.hear_out(len(self.romeo.told))
        self.romeo.hear_out(len(self.juliet.told))
        self.assertEqual(self.juliet.heard, self.romeo.told)
        self.assertEqual(self.romeo.heard, self.juliet.told)

    def seen_by_the_nurse(self) -> list[str]:
        self.nurse.catch_up()
        return self.nurse.seen


class CutTests(CutCase):
    """Connections break."""

    def test_conversation(self) -> None:
        """At every step of a conversation: nothing is lost or doubled, and nobody sees it."""
        random = Random(5222)
        for _ in range(STEPS):
            self.talk(random)
        self.assert_told()
        self.assertGreater(self.romeo.resumed + self.juliet.resumed, STEPS // 5)
        self.assertEqual(self.seen_by_the_nurse(), [])

    def test_restarts(self) -> None:
        """So it is when the server is stopped and started in between."""
        random = Random(5223)
        for _ in range(3):
            for _ in range(5):
                self.talk(random)
            self.server.stop()
            self.romeo.cut()
            self.juliet.cut()
            self.nurse.cut()
            self.server.start()
            for caller in (self.romeo, self.juliet, self.nurse):
                caller.come_back()
        self.assert_told()
        self.assertEqual(self.seen_by_the_nurse(), [])
        self.assertEqual(self.romeo.failed + self.juliet.failed + self.nurse.failed, 0)

    def test_killed(self) -> None:
        """When it is killed they begin anew, and what was accepted is not lost."""
        random = Random(5224)
        for _ in range(3):
            for _ in range(5):
                self.talk(random)
            for caller in (self.romeo, self.juliet):
                caller.catch_up()
            self.romeo.say("juliet@verona.lit")
            self.romeo.catch_up()  # accepted; she has not acknowledged it
            self.server.kill()
            for caller in (self.romeo, self.juliet):
                caller.cut()
            self.server.start()
            for caller in (self.juliet, self.romeo):
                caller.come_back()
                caller.catch_up()
        self.assert_told()
        self.assertEqual((self.romeo.failed, self.juliet.failed), (3, 3))


class SlixmppTests(ServerCase):
    """A client that others have written."""

    def somebody(self, address: str) -> Person:
        person = self.person(address)
        person.register_plugin("xep_0198")
        person.end_session_on_disconnect = False
        return person

    async def resume(self, person: Person) -> None:
        """Come back by another connection, to the session there was."""
        resumed = person.loop.create_future()
        person.add_event_handler(
            "session_resumed", lambda _: resumed.set_result(None), disposable=True
        )
        person.connect(self.server.host, self.server.port)
        await resumed

    async def friends(self, *names: str) -> list[Person]:
        """Two that see each other, and can resume."""
        friends = [await self.somebody(self.account(name)).arrive() for name in names]
        await befriend(*friends)
        for person in friends:
            await person.catch_up()
            person.inbox.clear()
        return friends

    @people
    async def test_restarted(self) -> None:
        """When the server is restarted both are back, have what was said, and saw nothing."""
        romeo, juliet = await self.friends("romeo", "juliet")
        await juliet.lose()
        romeo.say(juliet.boundjid.bare, "before")
        await romeo.catch_up()
        gone = asyncio.ensure_future(romeo.wait_until("disconnected", PATIENCE_S))
        await asyncio.to_thread(self.server.stop)
        await gone
        await asyncio.to_thread(self.server.start)
        await self.resume(romeo)
        romeo.say(juliet.boundjid.bare, "after")
        await romeo.catch_up()
        await self.resume(juliet)
        for text in ("before", "after"):
            message = await juliet.expect("message")
            self.assertEqual(message["body"], text)
        for person in (romeo, juliet):
            await person.saw_nothing("presence")
            await person.saw_nothing("message")

    @people
    async def test_resumed(self) -> None:
        """It resumes its session, has what it missed, and its contact has seen nothing."""
        romeo, juliet = await self.friends("romeo", "juliet")
        await romeo.lose()
        juliet.say(romeo.boundjid.bare, "while you were out")
        await juliet.catch_up()
        await self.resume(romeo)
        message = await romeo.expect("message", body="while you were out")
        self.assertTrue(message["delay"]["stamp"])
        romeo.say(juliet.boundjid.bare, "here I am")
        await juliet.expect("message", body="here I am")
        await juliet.saw_nothing("presence")
