"""Last presences are written a moment later, many at a time."""

from collections.abc import Sequence

from sqlalchemy import Select
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.unit.store.databases import execute, sqlite_url
from xmppd.store.database import Columns, Parameters
from xmppd.store.engine import parse_url
from xmppd.store.errors import StoreError
from xmppd.store.last_presences import WRITE_AFTER_S, LastPresence, PresenceStore
from xmppd.store.memory import MemoryDatabase
from xmppd.store.sqlite import SQLiteDatabase
from xmppd.testing.client import done

GONE = LastPresence(1.0, "gone")


class LastPresencesTests(TestCase):
    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.url = sqlite_url(self)
        self.database = SQLiteDatabase(parse_url(self.url), IReactorFromThreads(reactor))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.database.close()))
        await self.database.open(upgrade=True)
        self.clock = Clock()
        self.presences = PresenceStore(self.database, self.clock, max_unwritten=3)

    async def test_one_write(self) -> None:
        """Those who go at the same moment are written together, once that moment is over."""
        before = self.database.commits
        await self.presences.save_last_presence("a@x", GONE)
        await self.presences.save_last_presence("b@x", GONE)
        self.assertEqual(
            await self.presences.last_presence(["a@x", "b@x"]), {"a@x": GONE, "b@x": GONE}
        )
        self.assertEqual(self.database.commits, before)
        self.clock.advance(WRITE_AFTER_S)
        self.assertEqual(await self.presences.last_presence(["a@x"]), {"a@x": GONE})
        await self.presences.close()
        self.assertEqual(self.database.commits, before + 1)
        self.assertEqual(
            await self.presences.last_presence(["a@x", "b@x"]), {"a@x": GONE, "b@x": GONE}
        )

    async def test_bounded(self) -> None:
        """With too many unwritten the next one waits until they are."""
        before = self.database.commits
        for name in ("a@x", "b@x", "c@x", "d@x"):
            await self.presences.save_last_presence(name, GONE)
        self.assertEqual(self.database.commits, before + 1)
        await self.presences.close()

    async def test_retry(self) -> None:
        """What could not be written is tried again, and who came later is not overwritten."""
        execute(self.url, "ALTER TABLE last_presences RENAME TO hidden")
        await self.presences.save_last_presence("a@x", GONE)
        await self.presences.save_last_presence("b@x", GONE)
        writing = Deferred.fromCoroutine(self.presences.write())
        later = LastPresence(2.0, None)
        await self.presences.save_last_presence("a@x", later)
        await self.assertFailure(writing, StoreError)
        execute(self.url, "ALTER TABLE hidden RENAME TO last_presences")
        self.clock.advance(WRITE_AFTER_S)
        await self.presences.close()
        self.assertEqual(
            await self.presences.last_presence(["a@x", "b@x"]), {"a@x": later, "b@x": GONE}
        )

    async def test_failure_is_bounded(self) -> None:
        """While the database fails no more than so many are kept, and who comes then is told."""
        execute(self.url, "ALTER TABLE last_presences RENAME TO hidden")
        for name in ("a@x", "b@x", "c@x"):
            await self.presences.save_last_presence(name, GONE)
        saving = Deferred.fromCoroutine(self.presences.save_last_presence("d@x", GONE))
        await self.assertFailure(saving, StoreError)
        with capturedLogs() as lines:
            await self.presences.close()
        self.assertEqual(lines[-1]["count"], 3)

    async def test_closed(self) -> None:
        """After the store has closed nothing more is noted."""
        await self.presences.close()
        saving = Deferred.fromCoroutine(self.presences.save_last_presence("a@x", GONE))
        await self.assertFailure(saving, StoreError)


class LateDatabase(MemoryDatabase):
    """Reads at once, and tells it when it is let to."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Deferred[None] = Deferred()

    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        rows = await super().read(query, parameters)
        await self.told
        return rows


class MeanwhileTests(SynchronousTestCase):
    def test_written_meanwhile(self) -> None:
        """What is written while somebody reads is found, whatever was read of it."""
        database, clock = LateDatabase(), Clock()
        presences = PresenceStore(database, clock)
        done(presences.save_last_presence("a@x", GONE))
        finding = Deferred.fromCoroutine(presences.last_presence(["a@x", "b@x"]))
        clock.advance(WRITE_AFTER_S)
        database.told.callback(None)
        self.assertEqual(self.successResultOf(finding), {"a@x": GONE})
