"""What the graphs show of the time before a restart."""

from msgspec.structs import replace
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.membership import LocalMembership
from xmppd.cluster.node import NodeId
from xmppd.console.graphs import OVERVIEW, values
from xmppd.console.history import LONG_STEP_S, SPANS, STEP_S, ReadingHistory
from xmppd.console.reading_keeper import (
    KEPT_S,
    LAST_STEP_S,
    LOST_S,
    MAX_UNWRITTEN,
    ReadingKeeper,
)
from xmppd.console.readings import Readings
from xmppd.host.clocks import Clocks
from xmppd.store.errors import StoreError
from xmppd.store.readings import MAX_READINGS, KeptReading
from xmppd.store.store import Store
from xmppd.testing.client import done
from xmppd.testing.house import memory_store

TODAY = 1.7e9
HOUR_S, DAY_S = 3_600.0, 86_400.0


class Life:
    """A server from its start to its end.

    Args:
        store: Is there before and afterwards.
        today: The time of day at the start, in seconds since 1970.
        name: Of the node.
        boot: The steady clock at the start.
    """

    def __init__(self, store: Store, today: float, name: str = "", boot: float = 50.0) -> None:
        self.clock = Clock()
        self.clock.advance(boot)
        self.ahead = today - boot
        self.history = ReadingHistory()
        self.id = f"{name} {today}"
        membership = LocalMembership()
        membership.id = NodeId(name, 1)
        clocks = Clocks(self.clock.seconds, lambda: self.clock.seconds() + self.ahead)
        self.clocks = clocks
        self.keeper = ReadingKeeper(store.readings, self.history, membership, clocks)
        self.count = 0.0

    def run(self, seconds: float, step_s: float = STEP_S) -> "Life":
        """Let time go by, in which a message comes each second."""
        until = self.clock.seconds() + seconds
        while self.clock.seconds() <= until:
            reading = Readings(self.clock.seconds(), self.id, messages=self.count, sessions=3)
            if self.history.keep(reading):
                self.keeper.keep(reading)
            self.clock.advance(step_s)
            self.count += step_s
        return self

    def stop(self) -> None:
        """End in an orderly way."""
        done(self.keeper.keep_last())

    @property
    def now(self) -> float:
        """The time of day."""
        return self.clocks.wall_clock()

    def seen(self, span: str = "week") -> list[tuple[str, float]]:
        """What the graphs show: whose it is, and the time of day."""
        return [(each.life, self.clocks.stamp(each.at)) for each in self.history.over(SPANS[span])]


class KeeperTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = memory_store()

    def rows(self, node: str = "") -> list[KeptReading]:
        return done(self.store.readings.readings(node))

    def test_killed(self) -> None:
        """What was counted until five minutes before a kill is there after the next start."""
        before = Life(self.store, TODAY).run(2 * HOUR_S + 200)
        after = Life(self.store, before.now + 3 * HOUR_S).run(0)
        old = [at for life, at in after.seen("day") if life == before.id]
        self.assertEqual(old[0], TODAY)
        self.assertLess(before.now - old[-1], LOST_S + STEP_S)
        self.assertEqual(len(old), 2 * HOUR_S // LONG_STEP_S + 1)
        rates, _ = values(OVERVIEW, after.history.over(SPANS["day"]))["stanzas"]
        self.assertEqual(set(rates), {1.0, None})
        self.assertEqual(rates.count(None), 1)

    def test_stopped(self) -> None:
        """At an orderly stop nothing is lost, and the hour goes on."""
        before = Life(self.store, TODAY).run(HOUR_S + 200)
        before.stop()
        after = Life(self.store, before.now + 5, boot=99_999.0).run(0)
        old = [at for life, at in after.seen("hour") if life == before.id]
        self.assertLess(abs(old[-1] - before.now + STEP_S), 0.1)

    def test_short_lives(self) -> None:
        """A server that starts again and again does not write: the ring keeps its week."""
        for number in range(5):
            life = Life(self.store, TODAY + number * 60).run(LAST_STEP_S - 2 * STEP_S)
            life.stop()
        self.assertEqual(self.rows(), [])
        Life(self.store, TODAY + 999).run(LAST_STEP_S).stop()
        self.assertEqual(len(self.rows()), 2)

    def test_ring(self) -> None:
        """After a week the oldest makes way; what is older than a week is not shown."""
        before = Life(self.store, TODAY).run(KEPT_S + DAY_S, LONG_STEP_S)
        self.assertEqual(len(self.rows()), MAX_READINGS)
        after = Life(self.store, before.now + 2 * DAY_S).run(0)
        old = [at for life, at in after.seen() if life == before.id]
        self.assertLessEqual(after.now - old[0], KEPT_S + STEP_S)
        self.assertLess(len(old), MAX_READINGS)

    def test_gone(self) -> None:
        """What nodes have written that were not there for a week is forgotten at a start."""
        Life(self.store, TODAY, "a").run(HOUR_S)
        Life(self.store, TODAY + KEPT_S, "b").run(HOUR_S)
        self.assertEqual(len(done(self.store.readings.nodes())), 2)
        Life(self.store, TODAY + KEPT_S + 2 * HOUR_S, "c").run(0)
        self.assertEqual([name for name, _ in done(self.store.readings.nodes())], ["b"])

    def test_nodes(self) -> None:
        """Each node has its own."""
        Life(self.store, TODAY, "a").run(HOUR_S)
        found = Life(self.store, TODAY + HOUR_S, "b").run(HOUR_S)
        self.assertEqual({life for life, _ in found.seen()}, {found.id})


class ClockTests(SynchronousTestCase):
    """The time of day is set, and the graphs stay what they were."""

    def setUp(self) -> None:
        self.store = memory_store()

    def after(self, before: Life, today: float) -> list[float]:
        """What is seen of a life by another one, in seconds before its start; in order."""
        after = Life(self.store, today).run(0)
        seen = [at for _, at in after.seen("day")]
        self.assertEqual(seen, sorted(seen))
        self.assertEqual(len(seen), len(set(seen)))
        return [
            round(after.now - STEP_S - at) for life, at in after.seen("day") if life == before.id
        ]

    def test_set_while_it_runs(self) -> None:
        """A clock that was wrong at the start, and is set, is right for all that was counted."""
        for ahead in (-40 * 365 * DAY_S, -HOUR_S, HOUR_S, 400 * DAY_S):
            self.store = memory_store()
            before = Life(self.store, TODAY + ahead).run(HOUR_S)
            before.ahead -= ahead
            before.run(HOUR_S)
            found = self.after(before, before.now + 600)
            self.assertEqual(len(found), 25, ahead)
            self.assertLess(abs(found[0] - 2 * HOUR_S - 600), 3 * STEP_S)

    def test_set_back(self) -> None:
        """What would lie in the future, since the clock was set back, is left out."""
        before = Life(self.store, TODAY).run(4 * HOUR_S)
        found = self.after(before, before.now - 2 * HOUR_S)
        self.assertLess(abs(found[0] - 2 * HOUR_S), 3 * STEP_S)
        self.assertGreater(found[-1], 0)

    def test_set_back_and_forth(self) -> None:
        """A life in the far future does not hide the one before it."""
        first = Life(self.store, TODAY).run(HOUR_S)
        Life(self.store, TODAY + 400 * DAY_S).run(HOUR_S)
        found = self.after(first, first.now + HOUR_S)
        self.assertEqual(len(found), 13)

    def test_other_node(self) -> None:
        """A wrong clock takes nothing from a node that is there."""
        Life(self.store, TODAY, "a").run(HOUR_S)
        late = Life(self.store, TODAY + 400 * DAY_S, "b")
        membership = late.keeper._membership
        assert isinstance(membership, LocalMembership)
        membership.nodes = {"a": replace(membership.node, id=NodeId("a", 1))}
        late.run(0)
        self.assertEqual(len(done(self.store.readings.readings("a"))), 13)


class AwayTests(SynchronousTestCase):
    """The database is not there."""

    def setUp(self) -> None:
        self.store = memory_store()
        self.is_away = True
        write, read = self.store.database.write, self.store.database.read
        self.calls = 0

        async def away_or(call: object, *given: object) -> object:
            self.calls += 1
            if self.is_away:
                raise StoreError("The database is away.")
            return await call(*given)  # type: ignore[operator]

        self.patch(self.store.database, "write", lambda *given: away_or(write, *given))
        self.patch(self.store.database, "read", lambda *given: away_or(read, *given))

    def test_away(self) -> None:
        """The graphs go on in memory, nothing is logged, and an hour is written afterwards."""
        life = Life(self.store, TODAY).run(3 * HOUR_S)
        self.assertEqual(len(life.seen("day")), 37)
        self.assertLessEqual(self.calls, 37)
        self.is_away = False
        life.run(LONG_STEP_S)
        self.assertEqual(len(done(self.store.readings.readings(""))), MAX_UNWRITTEN)
        life.stop()

    def test_away_at_the_start(self) -> None:
        """What was counted before the start comes back as soon as the database does."""
        self.is_away = False
        before = Life(self.store, TODAY).run(HOUR_S)
        self.is_away = True
        after = Life(self.store, before.now + HOUR_S).run(HOUR_S)
        self.assertEqual({life for life, _ in after.seen("day")}, {after.id})
        self.is_away = False
        after.run(2 * LONG_STEP_S)
        self.assertEqual({life for life, _ in after.seen("day")}, {before.id, after.id})
        numbers = [each.number for each in done(self.store.readings.readings(""))]
        self.assertEqual(numbers, list(range(len(numbers))))

    def test_away_at_the_end(self) -> None:
        """A stop does not fail for that."""
        Life(self.store, TODAY).run(HOUR_S).stop()

    def test_unreadable(self) -> None:
        """What another version has written, or nobody, is left out."""
        self.is_away = False
        Life(self.store, TODAY).run(HOUR_S)
        for number, text in enumerate(("", "{}", '["x"]', "[1e999]", "null", "[0,7]")):
            done(self.store.readings.save("", KeptReading(number, TODAY, text)))
        after = Life(self.store, TODAY + 2 * HOUR_S).run(0)
        self.assertEqual(len(after.seen("day")), 13 - 6 + 1)
