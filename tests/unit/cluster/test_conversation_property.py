"""Whatever happens to the wires between two nodes, each entry is handled once and in order; and
whatever bytes come, nothing but a BadFrame comes of it.
"""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.msgpack import Encoder
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.cluster.conversations import DOMAIN, End, Pair, message, name
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entry_decoder import BadEntry, EntryDecoder
from xmppd.cluster.frame import BadFrame, array, header
from xmppd.cluster.outbox import FrameWindow

ends = st.sampled_from(("a", "b"))
sizes = st.sampled_from((0, 0, 0, 300, 1_500_000))


class Wires(RuleBasedStateMachine):
    """Two nodes, and wires that break, come back, and deliver late."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(FrameWindow(bytes=3_000_000, entries=8))
        self.told: dict[str, list[BusEntry]] = {"a": [], "b": []}
        for end in self.both():
            end.slow = lambda entry: int(name(entry)) % 3 == 0

    def both(self) -> tuple[End, End]:
        """Both ends."""
        return self.pair.a, self.pair.b

    def end(self, which: str) -> End:
        """One of them."""
        return self.pair.a if which == "a" else self.pair.b

    @rule(which=ends, size=sizes, count=st.integers(1, 3))
    def tell(self, which: str, size: int, count: int) -> None:
        """One node has something to say."""
        for _ in range(count):
            entry = message(len(self.told[which]), bytes(size))
            if self.end(which).conversation.tell(entry):
                self.told[which].append(entry)

    @rule()
    def end_turn(self) -> None:
        """Both end their turn."""
        for end in self.both():
            end.end_turn()

    @precondition(lambda self: any(wire.frames for wire in self.pair.wires))
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        """A frame arrives, by any wire there ever was."""
        wires = [wire for wire in self.pair.wires if wire.frames]
        data.draw(st.sampled_from(wires)).deliver()

    @rule()
    def reconnect(self) -> None:
        """They use other wires from now on; those of before still deliver."""
        self.pair.connect()

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        """All that is under way by some wire is lost, and they know it."""
        for wire in data.draw(
            st.sets(st.sampled_from(self.pair.wires)) if self.pair.wires else st.just(set())
        ):
            wire.frames.clear()
            self.pair.wires.remove(wire)
        self.pair.connect()

    @rule(which=ends)
    def disconnect(self, which: str) -> None:
        """One of them finds that there is no wire."""
        self.end(which).conversation.carry(None)

    @rule(which=ends, data=st.data())
    def finish(self, which: str, data: st.DataObject) -> None:
        """Something that waited is handled."""
        waiting = self.end(which).waiting
        if waiting:
            waiting.pop(data.draw(st.integers(0, len(waiting) - 1))).callback(None)

    @rule(which=ends)
    def pause(self, which: str) -> None:
        """A node may not speak, or may again."""
        end = self.end(which)
        end.speaks = not end.speaks
        end.conversation.go_on()

    @rule()
    def wait(self) -> None:
        """Time passes."""
        self.pair.clock.advance(0.02)

    @invariant()
    def in_order(self) -> None:
        """What was handled is the beginning of what was said, in order."""
        for which, there in (("a", self.pair.b), ("b", self.pair.a)):
            assert there.begun == self.told[which][: len(there.begun)]

    def teardown(self) -> None:
        """When the wires are whole, all arrives, and is acknowledged."""
        for end in self.both():
            end.speaks = True
        self.pair.connect()
        for _ in range(200):
            self.pair.settle()
            for end in self.both():
                end.conversation.go_on()
                while end.waiting:
                    end.waiting.pop().callback(None)
            self.pair.clock.advance(0.02)
        assert self.pair.b.begun == self.told["a"]
        assert self.pair.a.begun == self.told["b"]
        for end in self.both():
            state = end.conversation.state()
            assert (state.bytes, state.entries, state.unhandled) == (0, 0, 0)


class WireTests(SynchronousTestCase):
    def test_wires(self) -> None:
        """Whatever happens to the wires, each entry is handled once, and in order (CL-82)."""
        run_state_machine_as_test(Wires)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=8)
    | st.text(max_size=8) | st.sampled_from(("m", "d", "?", "!", f"a@{DOMAIN}", "a@b/c")),
    lambda inner: st.lists(inner, max_size=9)
    | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=20,
)  # fmt: skip
"""What MessagePack can say."""


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A frame, or what is almost one."""
    entries = draw(st.lists(values.map(packed) | st.binary(max_size=30), max_size=3))
    kind = draw(st.sampled_from((0, 0, 0, 1, 2, 3, 255)))
    body = draw(st.just(array(entries, len(entries))) | st.binary(max_size=40))
    frame = (
        header(
            kind, draw(st.sampled_from((0, 1, 1, 2, 2**64 - 1))), draw(st.sampled_from((0, 0, 1)))
        )
        + body
    )
    return frame[: draw(st.integers(0, len(frame)))] if draw(st.booleans()) else frame


def packed(value: object) -> bytes:
    """In MessagePack."""
    return Encoder().encode(value)


class NonsenseTests(SynchronousTestCase):
    @given(st.lists(frames() | st.binary(max_size=60), max_size=6))
    def test_frames(self, frames: list[bytes]) -> None:
        """No frame does anything but good entries, or a BadFrame, and the right ones are taken
        thereafter (CL-81).
        """
        pair = Pair()
        refused = 0
        for frame in frames:
            try:
                pair.b.conversation.receive(frame)
            except BadFrame as error:
                refused += 1
                self.assertTrue(str(error))
        self.assertLessEqual(len(pair.b.begun), len(frames) * 3)
        if refused == len(frames) and not any(frame[:1] == b"\x01" for frame in frames):
            pair.a.conversation.tell(message(1))
            pair.settle()
            self.assertEqual(pair.b.names, ["1"])

    @given(st.lists(values, max_size=4))
    def test_entries(self, values: list[object]) -> None:
        """What is unpacked is an entry, or refused in a sentence."""
        decoder = EntryDecoder([DOMAIN])
        try:
            entries = decoder.decode(packed(values))
        except BadEntry as error:
            self.assertTrue(0 < len(str(error)) <= 200)
        else:
            self.assertTrue(all(isinstance(entry, BusEntry) for entry in entries))
            self.assertEqual(decoder.decode(array(map(packed, entries), len(entries))), entries)
