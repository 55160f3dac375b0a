"""Writing many messages at a time: when, and what if that fails."""

from time import process_time

from twisted.internet.defer import Deferred

from tests.plugins.archive.archives import JULIET, ROMEO, ArchiveCase, chat
from tests.plugins.archive.store_contract import JULIET as JULIET_HERE
from tests.plugins.archive.store_contract import ROMEO as ROMEO_HERE
from tests.plugins.archive.store_contract import StoreCase, at_once
from tests.unit.store import databases
from xmppd.store.database import NewRows
from xmppd.store.errors import StoreError
from xmppd.testing.client import done
from xmppd_plugins.archive.entries import ALL
from xmppd_plugins.archive.tables import stanzas
from xmppd_plugins.archive.tail_indexer import INDEX_S
from xmppd_plugins.archive.tail_writer import MAX_MESSAGES_PER_FLUSH, MIN_GAP_S, RETRY_S, ROOM_S


class WritingCase(ArchiveCase):
    """The database counts what it is asked to append, and fails if it is told to."""

    def setUp(self) -> None:
        super().setUp()
        self.flushes: list[int] = []
        self.fails = False
        self.append = self.archive.database.append
        self.patch(self.archive.database, "append", self.appending)

    async def appending(self, *parts: NewRows, **options: object) -> None:
        if self.fails:
            raise StoreError("The disk is full.")
        self.flushes += [len(rows) for table, rows, _ in parts if table.name == stanzas.name]
        await self.append(*parts)

    def advance(self, seconds: float) -> None:
        self.house.clock.advance(seconds)


class FlushTests(WritingCase):
    def test_after_a_while(self) -> None:
        """AR-16: what is said within the time of a flush is written together."""
        self.say("a", "b", "c")
        self.advance(0.09)
        self.assertEqual(self.flushes, [])
        self.advance(0.02)
        self.assertEqual(self.flushes, [3])

    def test_configured(self) -> None:
        """That time is a setting, which holds at once."""
        self.house.reload(self.config(flush_ms=1000))
        self.say("a")
        self.advance(0.9)
        self.assertEqual(self.flushes, [])
        self.advance(0.2)
        self.assertEqual(self.flushes, [1])

    def test_many(self) -> None:
        """Many are written at once."""
        self.say(*["a"] * MAX_MESSAGES_PER_FLUSH)
        self.assertEqual(self.flushes, [MAX_MESSAGES_PER_FLUSH])

    def test_asked_for(self) -> None:
        """Who asks has it written, and others a moment later (OA-2)."""
        for _ in range(3):
            self.say("a")
            waiting = self.archive.secure(ROMEO)
            assert waiting is not None
            answer = Deferred.fromCoroutine(waiting)
            self.advance(MIN_GAP_S)
            done(answer)
        self.assertEqual(self.flushes, [1, 1, 1])

    def test_gap(self) -> None:
        """Two of these are not made in a row: what comes in between goes along."""
        self.say("a")
        done(self.archive.secure(ROMEO) or self.never())
        self.say("b", "c")
        answer = Deferred.fromCoroutine(self.archive.secure(ROMEO) or self.never())
        self.assertNoResult(answer)
        self.assertEqual(self.flushes, [1])
        self.advance(MIN_GAP_S)
        done(answer)
        self.assertEqual(self.flushes, [1, 2])

    async def never(self) -> None:
        raise AssertionError("all is written")

    def test_acknowledged(self) -> None:
        """A client with stream management is told when its messages are on disk (OA-2)."""
        self.romeo.send("<enable xmlns='urn:xmpp:sm:3'/>")
        self.romeo.raw()
        self.fails = True
        self.romeo.send(chat(JULIET, "Ay me!") + "<r xmlns='urn:xmpp:sm:3'/>")
        self.assertNotIn(b"<a ", self.romeo.raw())
        self.fails = False
        self.advance(RETRY_S)
        self.advance(10)
        self.assertIn(b"<a ", self.romeo.raw())
        self.assertEqual(self.flushes, [1])

    def test_fails(self) -> None:
        """What cannot be written stays and is found; it is written when that works again."""
        self.fails = True
        self.say("a")
        self.failureResultOf(Deferred.fromCoroutine(self.archive.writer.flush()), StoreError)
        self.say("b")
        self.assertEqual(self.said(JULIET), ["a", "b"])
        self.fails = False
        self.advance(RETRY_S)
        self.assertEqual(self.flushes, [2])
        self.assertEqual(self.said(JULIET), ["a", "b"])

    def test_index(self) -> None:
        """What was written is indexed after a minute, and leaves the memory."""
        self.say("a", "b")
        self.advance(1)
        self.assertEqual(len(self.archive.tail), 2)
        self.advance(INDEX_S)
        self.assertEqual(len(self.archive.tail), 0)
        self.assertEqual(self.said(JULIET), ["a", "b"])


class FullTests(WritingCase):
    """The tail has little room, and the database does not work."""

    def setUp(self) -> None:
        super().setUp()
        self.archive.tail.max_messages = 3
        self.fails = True
        self.say("a", "b", "c")
        self.juliet.raw()

    def test_waits(self) -> None:
        """Who sends more waits, with all that they send, until there is room."""
        self.say("d", "e")
        self.assertEqual(self.juliet.raw(), b"")
        self.fails = False
        self.advance(RETRY_S)
        self.assertEqual(self.juliet.raw().count(b"<body>"), 2)
        self.assertEqual(self.said(JULIET), ["a", "b", "c", "d", "e"])

    def test_told(self) -> None:
        """In the end they are told to try again, and nobody has got it."""
        self.say("d")
        self.romeo.raw()
        self.advance(ROOM_S)
        self.assertIn(b"resource-constraint", self.romeo.raw())
        self.assertEqual(self.juliet.raw(), b"")
        self.assertEqual(self.said(ROMEO), ["a", "b", "c"])

    def test_given_up(self) -> None:
        """Of who has waited in vain nothing is left, however long the database does not work."""
        for _ in range(3):
            self.say("d")
            self.assertEqual(len(self.archive.writer._no_room), 1)
            self.advance(ROOM_S)
            self.assertEqual(len(self.archive.writer._no_room), 0)


class StartTests(databases.OnSQLite, StoreCase):
    """A file in which nothing is indexed."""

    async def test_fast(self) -> None:
        """20,000 messages are read back in less than half a second."""
        archive = await self.opened()
        self.patch(archive.indexer, "_index_when_due", lambda: None)
        for number in range(20_000):
            self.say(ROMEO_HERE, JULIET_HERE, str(number))
            if number % 1_000 == 999:
                await archive.writer.flush()
        archive.writer.stop(), archive.indexer.stop()
        await self.another_store()
        self.archive.indexer.stop()
        fastest_s = float("inf")  # others may work on this machine
        for _ in range(3):
            again = self.made()
            self.patch(again.indexer, "_index_when_due", lambda: None)
            began = process_time()
            await again.open()
            fastest_s = min(fastest_s, process_time() - began)
        self.assertLess(fastest_s, 0.5)
        self.assertEqual(await again.entries.count(JULIET_HERE.bare, ALL, at_once), 20_000)
