"""What the log says of a database that fails for a while."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Select, select
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from xmppd.store.accounts import accounts
from xmppd.store.database import Columns, Database, NewRows, Parameters, T, no_check
from xmppd.store.errors import QuotaExceeded, StoreError
from xmppd.store.limits import CALL_LIMIT_S
from xmppd.store.watched import CALM_S, Watched
from xmppd.testing.client import done

QUERY = select(accounts.c.account)


class Fickle(Database):
    """A database that does as it is told.

    Attributes:
        reads: What becomes of a read.
        writes: What becomes of a write.
    """

    alone = True
    shared = False

    def __init__(self) -> None:
        self.reads: Exception | None = None
        self.writes: Exception | None = None

    async def open(self, upgrade: bool, may_create: bool = True) -> None:
        """There is nothing to open."""

    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        if self.reads is not None:
            raise self.reads
        return []

    async def write(self, change: Callable[[Connection], T], limit_s: float = 0.0) -> T:
        if self.writes is not None:
            raise self.writes
        return change(None)  # type: ignore[arg-type]  # nobody looks at it

    async def append(
        self, *parts: NewRows, check: Callable[[], None] = no_check, limit_s: float = 0.0
    ) -> None:
        check()
        if self.writes is not None:
            raise self.writes

    def free_bytes(self) -> float:
        return 0.0

    async def close(self) -> None:
        """There is nothing to close."""


class WatchedTests(SynchronousTestCase):
    """An episode (ST-3)."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.fickle = Fickle()
        self.database = Watched(self.fickle, self.clock)

    def write(self, times: int = 1) -> None:
        for _ in range(times):
            done(self.database.write(lambda _: None))

    def fail_to_write(self, times: int = 1) -> None:
        self.fickle.writes = StoreError("the disk is full")
        for _ in range(times):
            self.assertRaises(StoreError, self.write)
        self.fickle.writes = None

    def test_one_line(self) -> None:
        """A thousand calls that fail are one line, and one at the end says how many."""
        with capturedLogs() as lines:
            self.fail_to_write(1_000)
            self.clock.advance(60)
            self.fail_to_write()
            self.write(10)
            self.clock.advance(CALM_S)
            self.write(10)
        self.assertEqual(
            [formatEvent(line) for line in lines],
            [
                "the database cannot be written: the disk is full",
                "the database can be written again; failed calls: 1001 in 60 s",
            ],
        )

    def test_on_and_off(self) -> None:
        """While calls fail now and then, it is one episode."""
        with capturedLogs() as lines:
            for _ in range(100):
                self.fail_to_write()
                self.write()
                self.clock.advance(CALM_S / 2)
        self.assertEqual(len(lines), 1)
        self.clock.advance(CALM_S)
        with capturedLogs() as lines:
            self.write()
            self.clock.advance(CALM_S)
        self.assertIn("failed calls: 100 in", formatEvent(lines[0]) or "")
        self.assertEqual(self.database.failures, {"read": 0, "write": 100, "append": 0})

    def test_apart(self) -> None:
        """A disk that is full may still be read: the two are told apart."""
        with capturedLogs() as lines:
            self.fail_to_write()
            done(self.database.read(QUERY, {}))
            self.clock.advance(CALM_S)
        self.assertEqual(len(lines), 1)
        self.fickle.reads = StoreError("the disk is gone")
        with capturedLogs() as lines:
            self.assertRaises(StoreError, done, self.database.read(QUERY, {}))
        self.assertEqual(formatEvent(lines[0]), "the database cannot be read: the disk is gone")

    def test_refusal(self) -> None:
        """What is refused for a reason of its own is no failure."""
        self.fickle.writes = QuotaExceeded("full")
        with capturedLogs() as lines:
            self.assertRaises(QuotaExceeded, self.write)
        self.assertEqual(lines, [])

    def test_closed(self) -> None:
        """Closing ends an episode, and leaves no timer."""
        self.fail_to_write(3)
        self.write()
        with capturedLogs() as lines:
            done(self.database.close())
        self.assertIn("failed calls: 3 in", formatEvent(lines[0]) or "")
        self.assertEqual(self.clock.getDelayedCalls(), [])


class SharedTests(SynchronousTestCase):
    """A database that other nodes write to (ST-11)."""

    def setUp(self) -> None:
        self.fickle = Fickle()
        self.fickle.shared = True
        self.clock = Clock()
        self.database = Watched(self.fickle, self.clock)
        self.made: list[str] = []
        self.voice = Deferred[None]()
        self.database.voice = self.wait_for_voice

    def wait_for_voice(self) -> Deferred[None]:
        self.voice = Deferred()
        return self.voice

    def change(self, connection: Connection) -> None:
        self.made.append("change")

    def test_not_allowed(self) -> None:
        """While this node may not act nothing is written, and as soon as it may it is."""
        allowed = [False, True]
        self.database.may_write = lambda: allowed.pop(0)
        writing = Deferred.fromCoroutine(self.database.write(self.change))
        self.assertNoResult(writing)
        self.assertEqual(self.made, [])
        self.voice.callback(None)
        self.successResultOf(writing)
        self.assertEqual(self.made, ["change"])

    def test_too_long(self) -> None:
        """A change waits for that as long as it may take, and is refused then."""
        self.database.may_write = lambda: False
        with capturedLogs() as lines:
            writing = Deferred.fromCoroutine(self.database.write(self.change))
            appending = Deferred.fromCoroutine(self.database.append())
            self.clock.advance(CALL_LIMIT_S)
        self.failureResultOf(writing, StoreError)
        self.failureResultOf(appending, StoreError)
        self.assertEqual(self.made, [])
        self.assertEqual(lines, [])  # it is not the database that fails

    def test_appending(self) -> None:
        """Nothing is appended either, unless it may act when its turn has come."""
        allowed = [False, True]
        self.database.may_write = lambda: allowed.pop(0)
        appending = Deferred.fromCoroutine(self.database.append())
        self.assertNoResult(appending)
        self.voice.callback(None)
        self.successResultOf(appending)
        self.assertEqual(allowed, [])

    def test_abandoned(self) -> None:
        """A node that was declared dead neither reads nor writes, not even what has begun."""
        begun: list[Callable[[Connection], None]] = []

        async def write(change: Callable[[Connection], None], limit_s: float = 0.0) -> None:
            begun.append(change)

        self.patch(self.fickle, "write", write)
        done(self.database.write(self.change))
        self.database.abandon()
        self.assertRaises(StoreError, begun[0], None)
        self.assertEqual(self.made, [])
        for work in (
            self.database.read(QUERY, {}),
            self.database.write(self.change),
            self.database.append(),
        ):
            self.failureResultOf(Deferred.fromCoroutine(work), StoreError)
        self.assertEqual(len(begun), 1)
