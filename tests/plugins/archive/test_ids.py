"""Positions and ids."""

from hypothesis import given
from hypothesis import strategies as some
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from xmppd_plugins.archive.ids import (
    KEY_BYTES,
    MAX_POSITION,
    STEP_BACK_S,
    ArchiveIds,
    PositionClock,
    elsewhere,
    first_at,
    last_at,
    microseconds_of,
)

IDS = ArchiveIds(bytes(range(KEY_BYTES)))
NOW = 1_700_000_000.0
positions = some.integers(0, MAX_POSITION)
numbers = some.integers(1, MAX_POSITION)


class PositionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = NOW
        self.clock = PositionClock(lambda: self.now, lambda: 7)

    @given(some.lists(some.floats(0, 4e9), min_size=2, max_size=50))
    def test_never_back(self, times: list[float]) -> None:
        """Each position is above the last one, wherever the clock is set (OA-9)."""
        given = []
        for self.now in times:
            given.append(self.clock.next())
        self.assertEqual(given, sorted(set(given)))
        self.assertLessEqual(given[-1], MAX_POSITION)

    def test_time(self) -> None:
        """A position tells the time, to the microsecond."""
        position = PositionClock(lambda: NOW, lambda: 7).next()
        self.assertEqual(microseconds_of(position), int(NOW * 1_000_000))
        self.assertLessEqual(first_at(microseconds_of(position)), position)
        self.assertGreaterEqual(last_at(microseconds_of(position)), position)
        self.assertEqual(last_at(9) + 1, first_at(10))

    def test_bounds(self) -> None:
        """A time beyond all positions is the end of them, or their beginning."""
        self.assertEqual(first_at(2**70), MAX_POSITION)
        self.assertEqual(last_at(2**70), MAX_POSITION)
        self.assertEqual(first_at(-1), 0)

    def test_nodes(self) -> None:
        """Two nodes give no position twice, nor does one at both ends of a message (OA-10)."""
        clocks = [PositionClock(lambda: NOW, lambda node=node: node) for node in (0, 1, 255)]  # type: ignore[misc]  # each has its own
        given = [clock.next() for clock in clocks for _ in range(50)]
        self.assertEqual(len(set(given + list(map(elsewhere, given)))), 2 * len(given))
        self.assertEqual({microseconds_of(elsewhere(each)) for each in given[:1]}, {int(NOW * 1e6)})

    def test_restart(self) -> None:
        """Behind a restart they go on above the highest that is kept."""
        last = self.clock.next()
        again = PositionClock(lambda: NOW - 3600, lambda: 7)
        again.go_on_above(self.clock.last)
        self.assertGreater(again.next(), last)

    def test_set_back(self) -> None:
        """A clock that was set back by more than a minute is told of, once."""
        self.clock.next()
        with capturedLogs() as lines:
            self.now -= STEP_BACK_S - 1
            self.clock.next()
            self.assertEqual(lines, [])
            self.now -= 3600
            self.clock.next(), self.clock.next()
        [line] = lines
        self.assertIn("3659 s behind", formatEvent(line) or "")


class IdTests(SynchronousTestCase):
    @given(numbers, positions)
    def test_round(self, number: int, position: int) -> None:
        """An id says the position to who has the key, for the archive it was made for (AR-25)."""
        id = IDS.id_of(number, position)
        self.assertRegex(id, r"\A[0-9a-f]{32}\Z")
        self.assertEqual(IDS.position_of(number, id), position)
        self.assertIsNone(IDS.position_of(number ^ 1, id))

    @given(some.text(max_size=40) | some.text("0123456789abcdefABCDEF", min_size=32, max_size=32))
    def test_forged(self, id: str) -> None:
        """What is none of ours is known as such without a read."""
        self.assertIsNone(IDS.position_of(1, id))

    def test_written_otherwise(self) -> None:
        """An id is its text: in capitals it is another."""
        id = IDS.id_of(1, 10)
        self.assertIsNone(IDS.position_of(1, id.upper()))
        self.assertIsNone(IDS.position_of(1, f" {id[1:]}"))

    def test_key(self) -> None:
        """With another key there are other ids, and other numbers."""
        other = ArchiveIds(bytes(KEY_BYTES))
        self.assertNotEqual(other.id_of(1, 10), IDS.id_of(1, 10))
        self.assertNotEqual(other.number("romeo@montague.lit"), IDS.number("romeo@montague.lit"))
        self.assertIsNone(other.position_of(1, IDS.id_of(1, 10)))

    @given(some.text())
    def test_number(self, owner: str) -> None:
        """Each archive has a number that the database has room for."""
        self.assertTrue(0 < IDS.number(owner) <= MAX_POSITION)
