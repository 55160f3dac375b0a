"""Clients that read slowly: what waits for them, what makes way, and what becomes of it."""

from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.events import OWNER
from xmppd.session.backlog import OVERHEAD_BYTES, Backlog
from xmppd.session.interceptor_manager import PacketInterceptor, S
from xmppd.stanza import JID, Message, Presence, ns
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"
JULIET = f"juliet@{DOMAIN}"
GONE = "<presence type='unavailable'/>"


def status(text: str, to: str = "") -> str:
    """A presence that says something."""
    to = f" to='{to}'" if to else ""
    return f"<presence{to}><status>{text}</status></presence>"


def message(text: str, to: str = JULIET, kind: str = "chat") -> str:
    """A message that says something."""
    return f"<message to='{to}' type='{kind}'><body>{text}</body></message>"


def said(stanza: str) -> str:
    """A stanza in a word."""
    for tag in ("body", "status"):
        if f"<{tag}>" in stanza:
            return stanza.partition(f"<{tag}>")[2].partition("<")[0]
    return stanza.partition("type='")[2].partition("'")[0] or "here"


class SlowReaderTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        config = house_config(DOMAIN, stream={"stanzas_per_s": 0.0, "bytes_per_s": 0.0,
                                              "max_queued_bytes": 35_000})  # fmt: skip
        both = {"juliet": "both"}
        self.store = SlowStore()
        self.house = House(
            DOMAIN, config=config, store=self.store, romeo=both, nurse=both,
            juliet={"romeo": "both", "nurse": "both"},
        )  # fmt: skip
        self.romeo, self.nurse, self.juliet = self.house.connect("romeo", "nurse", "juliet")
        self.read(self.juliet)

    def read(self, client: Client) -> list[str]:
        return [said(stanza) for stanza in client.received()]

    def stored(self) -> list[str]:
        """What waits in the store for Juliet."""
        return [
            said(m.stanza.decode()) for m in done(self.house.store.offline.offline_messages(JULIET))
        ]


class WaitingTests(SlowReaderTestCase):
    """While Juliet's wire is full."""

    def setUp(self) -> None:
        super().setUp()
        self.juliet.stop_reading()

    def told(self, *stanzas: str) -> list[str]:
        """What Juliet reads in the end of what Romeo sends."""
        for stanza in stanzas:
            self.romeo.send(stanza)
        self.assertEqual(self.juliet.received(), [])
        self.juliet.read_on()
        self.assertIsNone(self.juliet.session.backlog)
        return self.read(self.juliet)

    def test_messages(self) -> None:
        """Every message waits, and they come in their order."""
        self.assertEqual(self.told(*map(message, "abc")), ["a", "b", "c"])

    def test_newest_presence(self) -> None:
        """Of many presences of one sender the newest comes, where it stood."""
        told = self.told(status("1"), message("a"), status("2"), message("b"), status("3"))
        self.assertEqual(told, ["a", "b", "3"])

    def test_other_senders(self) -> None:
        """Nobody's presence makes way for somebody else's."""
        self.romeo.send(status("1"))
        self.nurse.send(status("2"))
        self.assertEqual(self.told(message("a")), ["1", "2", "a"])

    def test_goodbye(self) -> None:
        """A goodbye takes the place of what it ends, and is told before what comes after it."""
        told = self.told(status("1"), GONE, status("2"), status("3"))
        self.assertEqual(told, ["unavailable", "3"])

    def test_many_goodbyes(self) -> None:
        """However often somebody comes and goes, one goodbye waits and perhaps one presence."""
        told = self.told(*[status("x"), GONE] * 10, status("at last"))
        self.assertEqual(told, ["unavailable", "at last"])

    def test_directed_presence(self) -> None:
        """What was sent to Juliet in person never makes way, and makes nothing give way."""
        to = f"{JULIET}/1"
        told = self.told(status("1"), status("2", to), status("3", to), status("4"))
        self.assertEqual(told, ["2", "3", "4"])

    def test_subscription_stanzas_and_errors(self) -> None:
        """Requests and errors all wait, in order."""
        self.house.add("tybalt")
        (tybalt,) = self.house.connect("tybalt")
        tybalt.send(f"<presence to='{JULIET}' type='subscribe'/>")
        error = f"<presence to='{JULIET}/1' type='error'><status>e</status></presence>"
        self.assertEqual(self.told(error, error), ["subscribe", "e", "e"])

    def test_what_has_left_is_not_replaced(self) -> None:
        """A presence that is on the wire already does not make way any more."""
        self.romeo.send(status("1"))
        self.juliet.read_on()
        self.juliet.stop_reading()
        self.assertEqual(self.read(self.juliet), ["1"])
        self.assertEqual(self.told(status("2")), ["2"])

    def test_full_again(self) -> None:
        """When the wire is full again, the rest keeps waiting, in order."""
        for letter in "abc":
            self.romeo.send(message(letter))
        write = self.juliet.transport.write

        def write_one(data: bytes) -> None:
            write(data)
            self.juliet.stop_reading()

        self.patch(self.juliet.transport, "write", write_one)
        for letter in "abc":
            self.juliet.read_on()
            self.assertEqual(self.read(self.juliet), [letter])
        self.romeo.send(message("d"))
        self.juliet.read_on()
        self.assertEqual(self.read(self.juliet), ["d"])

    def test_only_bytes_wait(self) -> None:
        """What waits keeps no trees, and counts as the bytes that are kept: a payload, a wire."""
        inside = "<a/>" * 1_000
        self.romeo.send(f"<message to='{JULIET}/1'><x xmlns='urn:x'>{inside}</x></message>")
        backlog = self.juliet.session.backlog
        assert backlog is not None
        ((stanza, wire, _),) = backlog.waiting()
        self.assertIsNone(stanza.payload._tree)
        kept = len(wire) + len(stanza.payload.raw)
        self.assertEqual(backlog.size_bytes, kept + OVERHEAD_BYTES)

    def test_many_presences(self) -> None:
        """Many who come at once have room of their own, and their presence counts once (SE-9)."""
        for number in range(60):
            self.romeo.send(status(f"{number}" * 1_500))
        self.assertFalse(self.juliet.closed)
        for number in range(60):
            presence = Presence.make(None, JID.parse(f"n{number}@{DOMAIN}/1"), b"x" * 1_000)
            self.assertTrue(self.juliet.session.deliver(presence, presence.wire()))
        self.assertFalse(self.juliet.closed)  # they take more than messages may
        backlog = self.juliet.session.backlog
        assert backlog is not None
        self.assertGreater(backlog.size_bytes, self.juliet.handler.max_queued_bytes)
        self.romeo.send(message("a"))
        self.assertFalse(self.juliet.closed)
        for number in range(60, 200):
            presence = Presence.make(None, JID.parse(f"n{number}@{DOMAIN}/1"), b"x" * 1_000)
            self.juliet.session.deliver(presence, presence.wire())
        self.assertTrue(self.juliet.closed)  # but not without end
        self.assertEqual(self.stored(), ["a"])

    def test_bytes_are_counted(self) -> None:
        """What makes way does not count; when all has left, nothing does."""
        backlog = self.juliet.session.backlog
        assert backlog is not None
        for _ in range(3):
            self.romeo.send(status("x" * 1_000))
        self.assertEqual(backlog.size_bytes // 1_000, 1)
        self.romeo.send(GONE)
        self.assertLess(backlog.size_bytes, OVERHEAD_BYTES + 200)
        self.juliet.read_on()
        self.assertEqual((backlog.size_bytes, len(backlog)), (0, 0))


class AgeTests(SynchronousTestCase):
    """What may wait for so long only, as for another server."""

    def fill(self, *moments: float) -> Backlog:
        backlog, to, sender = Backlog(), JID.parse("juliet@b.lit"), JID.parse("romeo@a.lit")
        for moment in moments:
            stanza = Message.make(to, sender, id=f"{moment:.0f}")
            backlog.add(stanza, b"x" * 10, came=moment)
        return backlog

    def test_in_order(self) -> None:
        """All that waits leaves in the order in which it came."""
        backlog = self.fill(0.0, 1.0, 2.0)
        self.assertEqual([stanza.id for stanza, _, _ in backlog.take_all()], ["0", "1", "2"])
        self.assertEqual((len(backlog), backlog.size_bytes), (0, 0))

    def test_too_old(self) -> None:
        """What came before a moment is taken, and the rest waits on."""
        backlog = self.fill(0.0, 1.0, 2.0, 3.0)
        self.assertEqual([stanza.id for stanza, _, _ in backlog.take_until(2.0)], ["0", "1"])
        self.assertEqual(len(backlog), 2)
        self.assertEqual(backlog.take_until(1.0), [])


class LostTests(SlowReaderTestCase):
    """A client that had not read everything when its connection ended."""

    def test_messages_are_stored(self) -> None:
        """Messages that had not left are stored, in their order, and come with the next login."""
        self.juliet.stop_reading()
        for letter in "abc":
            self.romeo.send(message(letter))
        self.juliet.abort()
        self.assertEqual(self.stored(), ["a", "b", "c"])
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        told = [text for text in self.read(juliet) if text in "abc"]
        self.assertEqual(told, ["a", "b", "c"])

    def test_closed_by_us(self) -> None:
        """So it is when we end the stream, or the client does."""
        self.juliet.stop_reading()
        self.romeo.send(message("a"))
        self.juliet.send("</stream:stream>")
        self.assertEqual(self.stored(), ["a"])

    def test_too_much_waits(self) -> None:
        """A client for whom too much waits is cut off; its contacts hear it, nothing is lost."""
        self.juliet.stop_reading()
        self.read(self.romeo)
        texts = [f"{number}" * 1_500 for number in range(9)]
        for text in texts:
            self.romeo.send(message(text))
        self.assertFalse(self.juliet.closed)
        self.romeo.send(message("z" * 1_500))
        self.assertTrue(self.juliet.closed)
        self.assertEqual(self.stored(), [*texts, "z" * 1_500])
        self.assertEqual(self.read(self.romeo), ["unavailable"])

    def test_stop(self) -> None:
        """A server that stops waits until what was not read is stored."""
        self.juliet.stop_reading()
        for letter in "abc":
            self.romeo.send(message(letter))
        self.store.slow = self.store.late = True
        stopped = self.house.stop()
        for handler in tuple(self.house.server.client_connections.handlers):
            handler.transport.abortConnection()
        self.assertNoResult(stopped)
        self.store.release_all()
        self.store.slow = False
        self.successResultOf(stopped)
        self.assertEqual(self.stored(), ["a", "b", "c"])

    def test_given_up_and_replaced(self) -> None:
        """Who is cut off is gone at once, and in the way of no new session of the same address."""
        self.juliet.stop_reading()
        self.patch(self.juliet.transport, "abortConnection", lambda: None)  # as late as can be
        for _ in range(12):
            self.romeo.send(message("x" * 3_000))
        self.assertTrue(self.juliet.closed)
        (juliet,) = self.house.connect("juliet/1")
        self.juliet.handler.connectionLost()
        self.assertEqual(len(self.house.server.routing_table.available(JULIET)), 1)
        self.assertFalse(juliet.closed)

    def test_requests_are_answered(self) -> None:
        """Who had asked something is told that nobody is there."""
        self.juliet.stop_reading()
        self.read(self.romeo)
        for kind in ("get", "result"):
            self.romeo.send(f"<iq to='{JULIET}/1' type='{kind}' id='1'><query xmlns='x'/></iq>")
        self.juliet.abort()
        answers = [stanza for stanza in self.romeo.received() if stanza.startswith("<iq")]
        self.assertEqual(len(answers), 1)
        self.assertIn("<service-unavailable ", answers[0])

    def test_bounced(self) -> None:
        """What could only be for this resource, and not for another that is there, goes back to
        who sent it.
        """
        self.house.connect("juliet/2")
        self.juliet.stop_reading()
        self.read(self.romeo)
        self.romeo.send(message("a", f"{JULIET}/1", "normal"))
        self.juliet.abort()
        (error,) = [stanza for stanza in self.romeo.received() if "<message" in stanza]
        self.assertIn("<service-unavailable ", error)
        self.assertEqual(self.stored(), [])

    def test_named_resource(self) -> None:
        """What was for this resource is stored, if no other one is there."""
        self.juliet.stop_reading()
        self.romeo.send(message("a", f"{JULIET}/1", "normal"))
        self.juliet.abort()
        self.assertEqual(self.stored(), ["a"])

    def test_other_resource(self) -> None:
        """Another resource that got the same message does not get it twice; else it gets it now."""
        (other,) = self.house.connect("juliet/2")
        self.juliet.stop_reading()
        self.romeo.send(message("both"))
        self.romeo.send(message("one", f"{JULIET}/1"))
        self.assertEqual(self.read(other), ["both"])
        self.juliet.abort()
        self.assertEqual(self.read(other), ["unavailable", "one"])
        self.assertEqual(self.stored(), [])

    def test_all_resources_lost(self) -> None:
        """If nobody is left who had it, it is stored once."""
        (other,) = self.house.connect("juliet/2")
        for client in (self.juliet, other):
            client.stop_reading()
        self.romeo.send(message("a"))
        self.juliet.abort()
        other.abort()
        self.assertEqual(self.stored(), ["a"])

    def test_offline_messages(self) -> None:
        """A stored message that was not read in the end is still stored, once."""
        self.juliet.abort()
        self.romeo.send(message("a"))
        juliet = self.house.bind("juliet")
        juliet.stop_reading()
        juliet.send("<presence/>")
        juliet.abort()
        self.assertEqual(self.stored(), ["a"])

    def test_interceptors_see_it_once(self) -> None:
        """What is routed again does not come in a second time: nobody counts or stores it twice."""
        seen: list[str] = []

        class Counter(PacketInterceptor):
            incoming_kinds = (Message,)

            def incoming(self, stanza: S, session: JID) -> S:
                seen.append(stanza.payload.tree.findtext("body") or "")
                return stanza

        self.house.server.interceptors.put(Counter(), OWNER)
        self.juliet.stop_reading()
        self.romeo.send(message("a"))
        self.juliet.abort()
        self.assertEqual((seen, self.stored()), (["a"], ["a"]))

    def test_presence_is_forgotten(self) -> None:
        """Presence that was not read is nobody's loss."""
        self.juliet.stop_reading()
        self.romeo.send(status("1"))
        self.juliet.abort()
        self.assertEqual(self.read(self.romeo)[-1:], ["unavailable"])
        self.assertEqual(self.stored(), [])

    def test_pings_wait_as_well(self) -> None:
        """A client that has stopped reading is found out by its silence."""
        self.juliet.stop_reading()
        self.romeo.send(message("a"))
        for _ in range(40):
            self.house.clock.advance(15)
        self.assertTrue(self.juliet.closed)
        self.assertEqual(self.stored(), ["a"])
        self.assertNotIn(ns.PING, self.juliet.raw().decode())
