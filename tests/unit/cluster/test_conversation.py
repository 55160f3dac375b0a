"""What one node says to another arrives once and in order, whatever becomes of wires between."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.cluster.conversations import WINDOW, B, Pair, message, name, presence
from xmppd.cluster import conversation, inbox, outbox
from xmppd.cluster.bus import Unreachable
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.frame import (
    HEADER_BYTES,
    MAX_ENTRY_BYTES,
    MAX_FRAME_BYTES,
    MAX_FRAME_ENTRIES,
    BadFrame,
    FrameKind,
    array,
    header,
)
from xmppd.cluster.outbox import FrameWindow
from xmppd.stanza import Condition, StanzaError


class ConversationTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.start()

    def start(self, window: FrameWindow = WINDOW, acknowledge_after_s: float = 0.02) -> None:
        """Begin anew."""
        self.pair = Pair(window, acknowledge_after_s)
        self.a, self.b = self.pair.a, self.pair.b
        self.settle = self.pair.settle

    def tell(self, *ids: object) -> None:
        """Have messages sent."""
        for id in ids:
            self.assertTrue(self.a.conversation.tell(message(id)))

    def later(self, waiting: object) -> Deferred[None]:
        """Something that is waited for."""
        return Deferred.fromCoroutine(waiting)  # type: ignore[arg-type]


class OrderTests(ConversationTestCase):
    def test_frame(self) -> None:
        """What one turn has for a node leaves as one frame, and is handled in order."""
        self.tell(1, 2, 3)
        self.settle()
        self.assertEqual(self.b.names, ["1", "2", "3"])
        self.assertEqual(self.a.wire.sent, 1 + 1)  # the other one was an acknowledgement

    def test_again(self) -> None:
        """What was under way as a wire broke is sent again by the next one, and is handled once."""
        self.tell(1)
        self.settle()
        self.tell(2)
        self.a.end_turn()
        self.pair.cut()
        self.tell(3)
        self.settle()
        self.assertEqual(self.b.names, ["1"])
        self.pair.connect()
        self.settle()
        self.assertEqual(self.b.names, ["1", "2", "3"])

    def test_duplicate(self) -> None:
        """What comes once more is not handled once more, and its sender learns that it was."""
        self.tell(1)
        self.a.end_turn()
        frame = self.a.wire.frames[-1]
        self.settle()
        self.pair.clock.advance(0.02)
        self.settle()
        self.b.conversation.receive(frame)
        before = self.b.wire.sent
        self.pair.clock.advance(0.02)
        self.assertEqual((self.b.names, self.b.wire.sent), (["1"], before + 1))

    def test_gap(self) -> None:
        """A frame with one missing before it is refused; what is missing comes by the next wire."""
        self.tell(1)
        self.a.end_turn()
        self.a.wire.frames.clear()
        self.tell(2)
        self.a.end_turn()
        with self.assertRaisesRegex(BadFrame, "frame 2 came after frame 0"):
            self.a.wire.deliver()
        self.pair.connect()
        self.settle()
        self.assertEqual(self.b.names, ["1", "2"])

    def test_entries_of_a_frame(self) -> None:
        """A frame has no more entries than may be begun in one turn."""
        self.start(acknowledge_after_s=0.0)
        self.tell(*range(MAX_FRAME_ENTRIES + 1))
        self.settle()
        self.assertEqual(self.b.names, [str(id) for id in range(MAX_FRAME_ENTRIES + 1)])

    def test_bytes_of_a_frame(self) -> None:
        """No frame is larger than one may be, however many entries it would have."""
        for id in range(5):
            self.a.conversation.tell(message(id, bytes(300_000)))
        self.a.end_turn()
        self.assertTrue(all(len(frame) <= MAX_FRAME_BYTES for frame in self.a.wire.frames))
        self.settle()
        self.assertEqual(self.b.names, ["0", "1", "2", "3", "4"])

    def test_large_entry(self) -> None:
        """An entry that is larger than a frame goes in several, also over a cut."""
        raw = bytes(range(256)) * 12_000
        self.a.conversation.tell(message(1, raw))
        self.tell(2)
        self.a.end_turn()
        self.assertTrue(all(len(frame) <= MAX_FRAME_BYTES for frame in self.a.wire.frames))
        self.a.wire.deliver()
        self.a.wire.deliver()
        self.pair.cut()
        self.pair.connect()
        self.settle()
        self.assertEqual(self.b.begun, [message(1, raw), message(2)])

    def test_too_large(self) -> None:
        """An entry that nobody would take is not sent; those behind it are."""
        self.assertFalse(self.a.conversation.tell(message(1, bytes(MAX_ENTRY_BYTES))))
        self.tell(2)
        self.settle()
        self.assertEqual(self.b.names, ["2"])
        self.assertEqual(self.a.conversation.state().dropped, 1)


class AcknowledgementTests(ConversationTestCase):
    def test_handled(self) -> None:
        """A frame is acknowledged when it and all before it are handled, and not before."""
        self.start(acknowledge_after_s=0.0)
        self.b.slow = lambda entry: name(entry) == "1"
        for id in (1, 2):
            self.tell(id)
            self.settle()
        self.assertEqual(self.b.names, ["1", "2"])
        self.assertEqual(self.a.conversation.state().entries, 2)
        self.b.waiting[0].callback(None)
        self.settle()
        self.assertEqual(self.a.conversation.state().entries, 0)

    def test_rides_along(self) -> None:
        """An acknowledgement goes with the next frame of the other direction."""
        self.tell(1)
        self.settle()
        before = self.b.wire.sent
        self.b.conversation.tell(message(2))
        self.settle()
        self.assertEqual(self.a.conversation.state().entries, 0)
        self.pair.clock.advance(1)
        self.assertEqual(self.b.wire.sent, before + 1)

    def test_time(self) -> None:
        """Or it goes by itself after 20 ms."""
        self.tell(1)
        self.settle()
        self.assertEqual(self.a.conversation.state().entries, 1)
        self.pair.clock.advance(conversation.ACKNOWLEDGE_AFTER_S)
        self.settle()
        self.assertEqual(self.a.conversation.state().entries, 0)

    def test_count(self) -> None:
        """Or after 32 frames."""
        for id in range(conversation.ACKNOWLEDGE_AFTER_FRAMES):
            self.assertEqual(self.a.conversation.state().entries, id)
            self.tell(id)
            self.settle()
        self.assertEqual(self.a.conversation.state().entries, 0)

    def test_not_sent(self) -> None:
        """A frame that was not sent is not acknowledged by anybody who is right."""
        with self.assertRaisesRegex(BadFrame, "acknowledges frame 1, but the last one was 0"):
            self.a.conversation.receive(header(FrameKind.ACKNOWLEDGEMENT, 0, 1))

    def test_settled(self) -> None:
        """One may wait until all that was said so far is handled."""
        self.start(acknowledge_after_s=0.0)
        self.successResultOf(self.later(self.a.conversation.settled()))
        self.b.slow = lambda entry: True
        self.tell(1)
        settled = self.later(self.a.conversation.settled())
        self.tell(2)
        self.settle()
        self.assertNoResult(settled)
        self.b.waiting[0].callback(None)
        self.settle()
        self.assertNoResult(settled)  # they went in one frame
        self.b.waiting[1].callback(None)
        self.settle()
        self.successResultOf(settled)


class WindowTests(ConversationTestCase):
    WINDOW = FrameWindow(bytes=10_000, entries=10)

    def setUp(self) -> None:
        self.start(self.WINDOW, acknowledge_after_s=0.0)
        self.b.slow = lambda entry: True

    def test_room(self) -> None:
        """When the window is full one waits for room, which comes with an acknowledgement."""
        self.tell(*range(9))
        self.assertIsNone(self.a.conversation.room())
        self.tell(9)
        first, second = (self.later(self.a.conversation.room()) for _ in range(2))
        self.settle()
        self.assertNoResult(first)
        for waiting in self.b.waiting:
            waiting.callback(None)
        self.settle()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertIsNone(self.a.conversation.room())

    def test_bytes(self) -> None:
        """It is full by bytes as well."""
        self.a.conversation.tell(message(1, bytes(10_000)))
        waiting = self.a.conversation.room()
        self.assertIsNotNone(waiting)
        self.assertNoResult(self.later(waiting))

    def test_no_room_for_too_long(self) -> None:
        """Who waits for ten seconds is told that the other node does not answer (CL-85)."""
        self.tell(*range(10))
        room = self.later(self.a.conversation.room())
        self.pair.clock.advance(outbox.ROOM_WITHIN_S)
        error = self.failureResultOf(room, StanzaError).value
        self.assertIs(error.condition, Condition.REMOTE_SERVER_TIMEOUT)
        self.assertEqual(self.a.conversation.state().entries, 10)

    def test_twice(self) -> None:
        """Who does not wait may fill twice the window; then entries are dropped, and counted
        (CL-84).
        """
        self.tell(*range(20))
        self.assertFalse(self.a.conversation.tell(message(20)))
        self.assertEqual(self.a.conversation.state().dropped, 1)
        self.settle()
        self.assertEqual(len(self.b.begun), 10)
        while self.b.waiting:
            self.b.waiting.pop(0).callback(None)
            self.settle()
        self.assertEqual(self.b.names, [str(id) for id in range(20)])

    def test_question_without_place(self) -> None:
        """A question for which there is no place at all fails at once."""
        self.tell(*range(20))
        self.failureResultOf(self.later(self.a.conversation.ask(message(20), 5)), Unreachable)

    def test_newest_presence(self) -> None:
        """Of presences that wait only the newest of a sender is sent; others keep their order."""
        self.pair.cut()
        for entry in (presence(1), message(2), presence(3, "benvolio"), presence(4)):
            self.a.conversation.tell(entry)
        self.pair.connect()
        self.settle()
        self.assertEqual(self.b.names, ["2", "3", "4"])
        state = self.a.conversation.state()
        self.assertEqual((state.entries, state.fullness, state.superseded), (3, 0.3, 1))

    def test_lag(self) -> None:
        """The state says for how long the oldest frame has waited."""
        self.tell(1)
        self.settle()
        self.pair.clock.advance(3)
        self.assertEqual(self.a.conversation.state().lag_s, 3)
        self.assertEqual(self.b.conversation.state().unhandled, 1)


class QuestionTests(ConversationTestCase):
    def ask(self) -> Deferred[BusEntry | None]:
        """Ask the other node something."""
        return Deferred.fromCoroutine(self.a.conversation.ask(message("?"), 5))

    def test_answer(self) -> None:
        """An answer comes back to whoever asked."""
        self.b.outcome = message("!")
        asked = self.ask()
        self.settle()
        self.assertEqual(self.successResultOf(asked), message("!"))

    def test_answers(self) -> None:
        """Two questions each get their answer, in any order; one may be that it is done."""
        self.b.slow = lambda entry: True
        first, second = self.ask(), self.ask()
        self.settle()
        self.b.waiting[1].callback(message("second"))
        self.settle()
        self.assertEqual(self.successResultOf(second), message("second"))
        self.b.waiting[0].callback(None)
        self.settle()
        self.assertIsNone(self.successResultOf(first))

    def test_late(self) -> None:
        """A question that is not answered in time fails, and a late answer is nobody's."""
        self.b.slow = lambda entry: True
        asked = self.ask()
        self.settle()
        self.pair.clock.advance(5)
        error = self.failureResultOf(asked, Unreachable).value
        self.assertEqual(str(error), "node b.1 did not answer in 5 s")
        self.b.waiting[0].callback(None)
        self.settle()

    def test_refused(self) -> None:
        """Who is refused is told why."""
        self.b.outcome = Unreachable("the account is elsewhere")
        asked = self.ask()
        self.settle()
        error = self.failureResultOf(asked, Unreachable).value
        self.assertEqual(str(error), "the account is elsewhere")

    def test_failed(self) -> None:
        """A fault of the other node is logged there, and the entry counts as handled."""
        for slow in (False, True):
            self.b.slow = lambda entry, slow=slow: slow  # type: ignore[misc]
            self.b.outcome = ZeroDivisionError("secret")
            asked = self.ask()
            self.settle()
            if slow:
                self.b.waiting[0].errback(ZeroDivisionError("secret"))
                self.settle()
            error = self.failureResultOf(asked, Unreachable).value
            self.assertEqual(str(error), "Routed was not handled, since something failed")
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.tell(1)
        self.b.outcome = None
        self.settle()
        self.assertEqual(self.b.names[-1], "1")

    def test_overtakes(self) -> None:
        """An answer does not wait behind entries that must wait, since these may wait for it
        (CL-83).
        """
        self.patch(conversation, "MAX_AT_ONCE", 2)
        self.b.slow = lambda entry: True
        asked = Deferred.fromCoroutine(self.b.conversation.ask(message("?"), 5))
        self.tell(1, 2, 3)
        self.settle()
        self.assertEqual(self.b.names, ["1", "2"])
        self.successResultOf(asked)


class HandlingTests(ConversationTestCase):
    def test_at_once(self) -> None:
        """No more than a thousand entries are being handled; the others wait in their order."""
        self.start(acknowledge_after_s=0.0)
        self.b.slow = lambda entry: True
        self.tell(*range(conversation.MAX_AT_ONCE + 2))
        self.settle()
        self.assertEqual(len(self.b.begun), conversation.MAX_AT_ONCE)
        self.b.waiting[5].callback(None)
        self.assertEqual(len(self.b.begun), conversation.MAX_AT_ONCE + 1)
        for waiting in self.b.waiting:
            if not waiting.called:
                waiting.callback(None)
        self.assertEqual(self.b.names, [str(id) for id in range(conversation.MAX_AT_ONCE + 2)])

    def test_without_a_lease(self) -> None:
        """A node that may not speak handles nothing; when it may again, it goes on."""
        self.b.speaks = False
        asked = Deferred.fromCoroutine(self.b.conversation.ask(message("?"), 5))
        self.tell(1)
        self.settle()
        self.assertEqual(self.b.names, [])
        self.assertNoResult(asked)
        self.b.speaks = True
        self.b.conversation.go_on()
        self.assertEqual(self.b.names, ["1"])
        self.successResultOf(asked)

    def test_too_much(self) -> None:
        """A node that sends more than any window allows is refused."""
        self.b.speaks = False
        self.patch(inbox, "MAX_UNHANDLED", 2)
        self.tell(1, 2, 3)
        self.settle()
        self.tell(4)
        self.a.end_turn()
        with self.assertRaisesRegex(BadFrame, "199 bytes and 3 entries"):
            self.a.wire.deliver()

    def test_too_many_bytes(self) -> None:
        """The same for bytes."""
        self.b.speaks = False
        self.patch(inbox, "MAX_UNHANDLED_BYTES", 100)
        self.a.conversation.tell(message(1, bytes(100)))
        self.a.end_turn()
        self.a.wire.frames.popleft()
        with self.assertRaisesRegex(BadFrame, "too much is waiting here"):
            self.a.wire.deliver()

    def test_inside(self) -> None:
        """What one entry sets free is handled behind it, not in its midst."""
        self.b.slow = lambda entry: name(entry) == "1"
        ends: list[str] = []

        def handle(entry: BusEntry) -> None:
            if name(entry) == "2":
                self.b.waiting[0].callback(None)
            ends.append(name(entry))

        self.b.outcome = handle
        self.tell(1, 2, 3)
        self.settle()
        self.assertEqual(ends, ["2", "3"])


class GoneTests(ConversationTestCase):
    def test_take_back(self) -> None:
        """What a lost node has not acknowledged is taken back, in order; who asked is told."""
        self.b.slow = lambda entry: True
        self.tell(1)
        self.settle()
        self.a.conversation.tell(message(2, bytes(2_000_000)))
        asked = Deferred.fromCoroutine(self.a.conversation.ask(message("?"), 5))
        settled = self.later(self.a.conversation.settled())
        self.a.end_turn()
        self.tell(3)
        self.assertEqual(list(map(name, self.a.conversation.take_back())), ["1", "2", "3"])
        self.assertEqual(str(self.failureResultOf(asked, Unreachable).value), f"node {B} is gone")
        self.successResultOf(settled)
        self.assertEqual(self.a.conversation.take_back(), [])

    def test_room(self) -> None:
        """Nobody waits for room at a node that is gone."""
        self.start(FrameWindow(bytes=10_000, entries=1))
        self.tell(1)
        room = self.later(self.a.conversation.room())
        self.a.conversation.take_back()
        self.successResultOf(room)
        self.assertEqual(self.pair.clock.getDelayedCalls(), [])

    def test_no_more(self) -> None:
        """Of a node that is gone nothing is handled any more, not even what has come already."""
        self.b.speaks = False
        self.tell(1)
        self.a.end_turn()
        again = list(self.a.wire.frames)
        self.settle()
        self.b.speaks = True
        self.b.conversation.take_back()
        self.b.conversation.go_on()
        for frame in again:
            self.b.conversation.receive(frame)
        self.assertFalse(self.b.conversation.tell(message(2)))
        self.assertEqual(self.b.names, [])
        self.assertEqual(self.pair.clock.getDelayedCalls(), [])

    def test_handled_late(self) -> None:
        """What was being handled when its sender was lost ends quietly."""
        self.b.slow = lambda entry: True
        self.tell(1)
        self.settle()
        self.b.conversation.take_back()
        self.b.waiting[0].callback(None)
        self.assertEqual(self.pair.clock.getDelayedCalls(), [])


class NonsenseTests(ConversationTestCase):
    def assert_refused(self, frame: bytes, why: str) -> None:
        """Whoever sends such a frame is told off, and nothing of it is handled (CL-81)."""
        with self.assertRaisesRegex(BadFrame, why):
            self.b.conversation.receive(frame)
        self.assertEqual(self.b.begun, [])
        self.tell(1)
        self.settle()
        self.assertEqual(self.b.names, ["1"])
        self.start()

    def frame(self, *entries: bytes, number: int = 1) -> bytes:
        """A frame of packed entries."""
        return header(FrameKind.ENTRIES, number, 0) + array(entries, len(entries))

    def test_size(self) -> None:
        """A frame that is too short or too long."""
        self.assert_refused(b"", "the frame has 0 bytes")
        self.assert_refused(bytes(HEADER_BYTES - 1), "the frame has 16 bytes")
        self.assert_refused(bytes(MAX_FRAME_BYTES + 1), "the frame has 1048577 bytes")

    def test_kind(self) -> None:
        """One of an unknown kind, or an acknowledgement is malformed."""
        self.assert_refused(header(3, 1, 0), "unknown kind 3")
        self.assert_refused(header(FrameKind.ACKNOWLEDGEMENT, 1, 0), "acknowledgement is malformed")
        self.assert_refused(
            header(FrameKind.ACKNOWLEDGEMENT, 0, 0) + b"x", "acknowledgement is malformed"
        )

    def test_no_entries(self) -> None:
        """One that has no entries."""
        self.assert_refused(self.frame(), "has no entries")

    def test_unknown_entry(self) -> None:
        """One with an entry that is unknown here: nothing of the frame is handled."""
        known = b"\x98\xa1m\x00\xa3a@b\xa3c@d\xa11\xc0\xc4\x00\x00"
        self.assert_refused(
            self.frame(known[:1] + known[1:], b"\x91\xa1q"), "an invalid entry: Invalid value 'q'"
        )

    def test_parts_without_end(self) -> None:
        """Parts of an entry that is larger than any may be."""
        part = bytes(MAX_FRAME_BYTES - HEADER_BYTES)
        with self.assertRaisesRegex(BadFrame, "an entry has more than"):
            for number in range(1, 20):
                self.b.conversation.receive(header(FrameKind.PART, number, 0) + part)
        self.assertEqual(number, 18)
