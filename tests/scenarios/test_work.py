"""How much work a stanza is, counted and not timed: what makes it more fails here, on any machine.

Every call of a Python function is seen by the interpreter's own profiler while a recorded run is
played. A number that has become smaller is an improvement: write it down.
"""

import gc
import inspect
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Protocol

import twisted.logger
from twisted.internet import defer, task
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

import xmppd
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.presence.presence_manager import unavailable
from xmppd.roster.roster import Roster, item_bytes
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Payload, ns
from xmppd.stanza import xml as stanza_xml
from xmppd.stanza.stanza import Stanza
from xmppd.store.healing import RecordStore
from xmppd.stream import content
from xmppd.stream.stream_parser import StreamParser
from xmppd.testing.client import Client, Elsewhere, done
from xmppd.testing.house import House

DOMAIN = "montague.lit"
CONTACTS = 200
HOUSE = str(Path(xmppd.__file__).parent)


def code(function: Callable[..., object]) -> CodeType:
    """What the interpreter runs when this is called."""
    return function.__code__


# What is counted, and the functions that do it.
COUNTED: dict[CodeType, str] = {
    code(StreamParser.feed): "feeds",
    code(Stanza.wire): "serialised",
    code(Stanza.around_to): "serialised",
    code(stanza_xml.write): "written from a tree",
    code(stanza_xml.dump): "written by lxml",
    code(stanza_xml.parse): "parsed by lxml",
    code(stanza_xml.read): "parsed again",
    code(Payload.without_to): "without an address",
    code(JID.parse): "addresses",
    code(JID.prepared): "addresses",
    code(ConnectionHandler.write): "writes",
    code(LocalClientSession.deliver): "deliveries",
    code(RoutingTable.route): "routed",
    code(defer.Deferred.__init__): "Deferreds",
    code(type(Protocol).__instancecheck__): "checks of a Protocol",  # some 20 µs each
    code(task.Clock.callLater): "timers",
    code(item_bytes): "roster items written",
    code(unavailable): "goodbyes of absent contacts",
    code(Roster._contacts): "broadcasts",
    **{
        code(function): "store calls"
        for store in RecordStore.__subclasses__()
        for function in vars(store).values()
        if inspect.iscoroutinefunction(function) and function.__name__[0] != "_"
    },
}


LOG = str(Path(twisted.logger.__file__).parent)
"""What becomes of a line there is the observers' work: those of a parallel run (trial -j) send each
line to another process, with a Deferred of its own."""

SUSPENDS = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class Work:
    """What was done.

    Attributes:
        counts: How often, for what is counted.
        calls: Of functions of the server itself: of all numbers the one that sees most.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.calls = 0
        self._suspended: set[FrameType] = set()

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Take note of a call; that it goes on after it has waited is none."""
        if event != "call":
            return
        called = frame.f_code
        if called.co_flags & SUSPENDS:
            if frame in self._suspended:
                return
            self._suspended.add(frame)
            self.counts["coroutines"] += called.co_filename.startswith(HOUSE)
        if called in COUNTED and not is_below_log(frame):
            self.counts[COUNTED[called]] += 1
        if called.co_name[0] != "<":  # comprehensions are calls or not, as the interpreter likes
            self.calls += called.co_filename.startswith(HOUSE)


def is_below_log(frame: FrameType | None) -> bool:
    """Whether it is the log that calls."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(LOG):
            return True
        frame = frame.f_back
    return False


@contextmanager
def counted() -> Iterator[Work]:
    """Count what is done in the block.

    The garbage collector rests: coroutines of earlier tests that it closes would be counted here.
    Nor does a parser wear out meanwhile that earlier tests have used.
    """
    content._shared_pool._idle.clear()
    content._shared_pool.give_back(content._shared_pool.borrow())
    work = Work()
    gc.collect()
    gc.disable()
    sys.setprofile(work.note)
    try:
        yield work
    finally:
        sys.setprofile(None)
        gc.enable()


class WorkTests(SynchronousTestCase):
    """Romeo has 200 contacts who see him, and all are online."""

    def setUp(self) -> None:
        contacts = {f"c{number}": "both" for number in range(CONTACTS)}
        self.house = House(DOMAIN, plugins=("ping",), romeo=contacts, juliet={})
        for name in contacts:
            self.house.add(name, {"romeo": "both"})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.contacts = self.house.connect(*contacts)

    def assert_work(
        self, stanzas: list[str], calls_each: int, sender: Client | None = None, **each: float
    ) -> None:
        """What somebody sends is so much work, each.

        Args:
            stanzas: What is sent.
            calls_each: How many of our functions are called, at most.
            sender: Who sends it; Romeo if nobody is named.
            each: All else that is counted, exactly; what is not named is not done.
        """
        sender = sender or self.romeo
        for pool in content._shared_pools.values():  # one that is used up makes way
            pool._idle.clear()
        self.send(sender, stanzas[:2])  # what is made once and kept is made by now
        with counted() as work:
            self.send(sender, stanzas)
        count = len(stanzas)
        work_each = {name.replace(" ", "_"): number / count for name, number in work.counts.items()}
        self.assertEqual(work_each, each)
        self.assertLessEqual(work.calls / count, calls_each)

    def send(self, client: Client, stanzas: list[str]) -> None:
        for stanza in stanzas:
            client.send(stanza)

    def test_message_to_a_resource(self) -> None:
        """A message to a full JID."""
        text = f"<message to='juliet@{DOMAIN}/1' type='chat'><body>Hello</body></message>"
        self.assert_work(
            [text] * 100, 29, feeds=1, addresses=1, serialised=1, deliveries=1, writes=1
        )

    def test_message_to_an_account(self) -> None:
        """A message to a bare JID."""
        text = f"<message to='juliet@{DOMAIN}' type='chat'><body>Hello</body></message>"
        self.assert_work(
            [text] * 100, 30, feeds=1, addresses=1, serialised=1, deliveries=1, writes=1
        )

    def test_ping(self) -> None:
        """A ping to the server."""
        text = f"<iq to='{DOMAIN}' type='get' id='1'><ping xmlns='{ns.PING}'/></iq>"
        self.assert_work(
            [text] * 100, 43, feeds=1, addresses=1, routed=1, serialised=1, without_an_address=1,
            deliveries=1, writes=1,
        )  # fmt: skip

    def test_directed_presence(self) -> None:
        """A presence to one contact, who sees the sender anyway."""
        text = f"<presence to='c1@{DOMAIN}'/>"
        self.assert_work(
            [text] * 100, 38, feeds=1, addresses=1, serialised=1, deliveries=1, writes=1
        )

    def test_broadcast(self) -> None:
        """A change of presence, told to 200 contacts and to oneself."""
        texts = [f"<presence><status>{number}</status></presence>" for number in range(50)]
        self.assert_work(
            texts, CONTACTS * 2 + 65, feeds=1, serialised=1, without_an_address=2, broadcasts=1,
            deliveries=CONTACTS + 1, writes=CONTACTS + 1,
        )  # fmt: skip

    def test_broadcast_elsewhere(self) -> None:
        """The same, told to 200 contacts of other servers."""
        self.house.add("nurse", {f"c{n}@s{n % 4}.lit": "both" for n in range(CONTACTS)})
        elsewhere = Elsewhere(self.house)
        (nurse,) = self.house.connect("nurse")
        elsewhere.heard()
        texts = [f"<presence><status>{number}</status></presence>" for number in range(50)]
        self.assert_work(
            texts, CONTACTS * 4 + 70, sender=nurse, feeds=1, serialised=1, broadcasts=1,
            without_an_address=CONTACTS + 2, deliveries=1, writes=1,
        )  # fmt: skip
        self.assertEqual(len(elsewhere.heard()), CONTACTS * 52)

    def test_probe(self) -> None:
        """A probe for somebody who has left."""
        self.send(self.contacts[1], ["<presence type='unavailable'/>"])
        text = f"<presence to='c1@{DOMAIN}' type='probe'/>"
        self.assert_work(
            [text] * 100, 48, feeds=1, addresses=1, goodbyes_of_absent_contacts=1, routed=1,
            serialised=1, without_an_address=1, deliveries=1, writes=1,
        )  # fmt: skip

    def test_logins(self) -> None:
        """Binding, roster and first presence of somebody with one contact, who is online."""
        self.logins(233, deliveries=7, writes=7)

    def test_logins_of_the_lonely(self) -> None:
        """The same, when the contact is away and has left no word."""
        self.romeo.abort()
        self.logins(219, deliveries=5, writes=5)

    def logins(self, calls_each: int, **each: float) -> None:
        clients = [self.house.logged_in(f"c{number}") for number in range(20)]
        with counted() as work:
            for client in clients:
                client.send(
                    f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>2</resource></bind>"
                    f"</iq><iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq><presence/>"
                )
        work_each = {name.replace(" ", "_"): number / 20 for name, number in work.counts.items()}
        same = {
            "feeds": 1, "coroutines": 13, "addresses": 4, "routed": 2,
            "serialised": 3, "without_an_address": 4, "roster_items_written": 1, "broadcasts": 1,
            "store_calls": 1,
        }  # fmt: skip
        self.assertEqual(work_each, {**same, **each})
        self.assertLessEqual(work.calls / 20, calls_each)

    def test_counting(self) -> None:
        """What waits, and goes on, is counted once."""
        waiting: defer.Deferred[None] = defer.Deferred()

        async def wait() -> None:
            await waiting

        done(self.house.store.accounts.credentials("a@b"))  # which is remembered
        with counted() as work:
            defer.Deferred.fromCoroutine(wait())
            JID.parse("a@b")
            waiting.callback(None)
            done(self.house.store.accounts.credentials("a@b"))
        self.assertEqual((work.counts["addresses"], work.counts["store calls"]), (1, 1))
        self.assertEqual(work.counts["coroutines"], 2)

    def test_garbage(self) -> None:
        """What earlier tests have left behind is counted for nobody."""

        async def wait() -> None:
            try:
                await defer.Deferred()
            finally:
                JID.parse("a@b")

        waiting = wait()
        waiting.send(None)
        cycle: list[object] = [waiting]
        cycle.append(cycle)
        del waiting, cycle
        with counted() as work:
            kept: list[list[None]] = [[] for _ in range(10_000)]
        self.assertEqual(len(kept), 10_000)
        self.assertEqual(work.counts["addresses"], 0)

    def test_log(self) -> None:
        """What the log does with a line is counted for nobody."""

        @implementer(ILogObserver)
        def observer(event: LogEvent) -> None:
            defer.Deferred()

        with counted() as work:
            Logger(observer=observer).info("a line")
            defer.Deferred()
        self.assertEqual(work.counts["Deferreds"], 1)
