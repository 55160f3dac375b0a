"""Wherever a connection is cut, or the server stopped: nothing lost, nothing twice, in order."""

from collections.abc import Iterator
from typing import Any, cast
from xml.etree.ElementTree import Element, XMLPullParser

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.message.held_messages import GAP_S
from xmppd.stanza import ns
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

DOMAIN = "montague.lit"
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"
NAMES = ("romeo", "juliet")
AWAY = "nurse"
STANZAS = ("message", "presence", "iq")


class Person:
    """A client that does what :xep:`0198` asks of it, over a network that cuts where it is told.

    Attributes:
        heard: The texts of all messages it has got.
        told: The texts of all messages it has sent, by their recipient.
        gone: How many goodbyes it has got.
    """

    def __init__(self, house: House, name: str, other: str) -> None:
        self.house = house
        self.name = name
        self.other = other
        self.heard: list[str] = []
        self.told: dict[str, list[str]] = {other: [], AWAY: []}
        self.gone = 0
        (self.client,) = house.connect(name)
        self._handled = self._acknowledged = 0
        self._unacknowledged: list[str] = []
        self._attached(self.client)
        self.previd = self.client.enable()

    def _attached(self, client: Client) -> None:
        self.client = client
        self._parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
        self._parser.feed(f"<s xmlns:stream='{ns.STREAM}'>")
        self._depth = 0
        self.online, self.resuming = True, False

    # -- what it does -----------------------------------------------------------------------------

    def say(self, to: str, *, cut_after: float | None = None) -> None:
        """Send the next message; of its bytes perhaps only a part arrives."""
        text = f"{self.name} {len(self.told[to])}"
        self.told[to].append(text)
        stanza = f"<message to='{to}@{DOMAIN}' type='chat'><body>{text}</body></message>"
        self._unacknowledged.append(stanza)
        if self.online and not self.resuming:
            self._send(stanza, cut_after)

    def request(self) -> None:
        """Ask what was handled."""
        if self.online and not self.resuming:
            self._send(f"<r {SM}/>", None)

    def _send(self, text: str, cut_after: float | None) -> None:
        end = len(text) if cut_after is None else int(cut_after * len(text))
        self.client.send(text[:end])

    def cut(self, read: float, *, noticed: bool) -> None:
        """Lose the connection; of what was sent down it, only a part has been read.

        The server may notice much later.
        """
        if self.online:
            data = self.client.raw()
            if noticed:
                self.client.abort()
            self._read(data[: int(read * len(data))])
            self.online = False

    def lost_server(self, house: House) -> None:
        """The server has stopped; here is another one."""
        self.house = house
        if self.online:
            data, _, _ = self.client.raw().partition(b"<stream:error>")
            self._read(data)
            self.online = False

    def read(self) -> None:
        """Take all that has come, and acknowledge it if asked."""
        if self.online:
            self._read(self.client.raw())

    def come_back(self) -> None:
        """Resume, and send again what the server has not got."""
        if self.online:
            return
        old, client = self.client, self.house.logged_in(self.name)
        client.send(f"<resume {SM} previd='{self.previd}' h='{self._handled}'/>")
        self._attached(client)
        self.resuming = True
        old.abort()
        self.read()

    # -- what it gets -----------------------------------------------------------------------------

    def _read(self, data: bytes) -> None:
        self._parser.feed(data)
        events = cast(Iterator[tuple[str, Element]], self._parser.read_events())
        for event, element in events:
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 1:
                self._take(element)

    def _take(self, element: Element) -> None:
        name = element.tag.rpartition("}")[2]
        if name in STANZAS:
            self._handled += 1
            if name == "message":
                assert element.get("type") != "error", element.attrib
                self.heard.append(element.findtext("body", ""))
            self.gone += element.get("type") == "unavailable"
        elif name == "r":
            self.client.send(f"<a {SM} h='{self._handled}'/>")
        elif name in ("a", "resumed"):
            handled = int(element.attrib["h"])
            del self._unacknowledged[: handled - self._acknowledged]
            self._acknowledged = handled
            if name == "resumed":
                self.resuming = False
                for stanza in self._unacknowledged:
                    self.client.send(stanza)
        else:
            raise AssertionError(name)


people = st.sampled_from(NAMES)
fractions = st.floats(0, 1)
steps = st.one_of(
    st.tuples(st.just("say"), people, st.just(False)),
    st.tuples(st.just("say"), people, st.booleans()),
    st.tuples(st.just("torn"), people, fractions, fractions),
    st.tuples(st.just("cut"), people, fractions, st.booleans()),
    st.tuples(st.just("come back"), people),
    st.tuples(st.just("read"), people),
    st.tuples(st.just("request"), people),
    st.tuples(st.just("restart")),
    st.tuples(st.just("slow")),
    st.tuples(st.just("answer")),
)


class Scene:
    """Romeo and Juliet talk to each other, and write to the nurse, who is away."""

    def __init__(self) -> None:
        self.store = SlowStore()
        self.house = House(
            DOMAIN, store=self.store, romeo={"juliet": "both"}, juliet={"romeo": "both"}, nurse={}
        )
        self.people = {
            name: Person(self.house, name, other)
            for name, other in zip(NAMES, reversed(NAMES), strict=True)
        }

    def play(self, step: tuple[Any, ...]) -> None:
        """Do one of the steps."""
        if step[0] == "slow":
            self.store.slow = True
            return
        if step[0] == "answer":
            self._answer()
            return
        if step[0] == "restart":
            self._answer()
            self.house = self.house.restarted()
            for person in self.people.values():
                person.lost_server(self.house)
            return
        person = self.people[step[1]]
        if step[0] == "say":
            person.say(AWAY if step[2] else person.other)
        elif step[0] == "torn":
            person.say(person.other, cut_after=step[2])
            person.cut(step[3], noticed=True)
        elif step[0] == "cut":
            person.cut(step[2], noticed=step[3])
        else:
            {"come back": person.come_back, "read": person.read, "request": person.request}[
                step[0]
            ]()

    def _answer(self) -> None:
        self.store.slow = False
        self.store.release_all()
        self.house.clock.advance(GAP_S)

    def finish(self) -> None:
        """Everybody is back, and has read all."""
        for _ in range(4):
            self._answer()
            for person in self.people.values():
                person.come_back()
                person.read()

    def stored(self) -> list[str]:
        """What waits for the nurse."""
        messages = done(self.store.offline.offline_messages(f"{AWAY}@{DOMAIN}"))
        return [each.stanza.decode().partition("<body>")[2].partition("<")[0] for each in messages]


class PropertyTests(SynchronousTestCase):
    @given(st.lists(steps, min_size=30, max_size=60))
    def test_cuts(self, story: list[tuple[Any, ...]]) -> None:
        """Both have heard what the other has said, and neither has seen the other leave."""
        scene = Scene()
        for step in story:
            scene.play(step)
        scene.finish()
        romeo, juliet = (scene.people[name] for name in NAMES)
        self.assertEqual(juliet.heard, romeo.told["juliet"])
        self.assertEqual(romeo.heard, juliet.told["romeo"])
        self.assertEqual((romeo.gone, juliet.gone), (0, 0))
        stored = scene.stored()
        for person in (romeo, juliet):
            theirs = [text for text in stored if text.startswith(person.name)]
            self.assertEqual(theirs, person.told[AWAY])
