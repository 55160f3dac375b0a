"""What an archive keeps, asked of each database by the test cases that mix this in."""

from functools import partial
from random import Random

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from tests.unit.store.contract import Asking
from xmppd.host.clocks import Clocks, boot_clock, wall_clock
from xmppd.message.decision import MATCH, Cell, Decision
from xmppd.message.follower import ON_ITS_WAY, Course
from xmppd.stanza import JID, Message
from xmppd.store.sql import Tables, select
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.checks import find_damage
from xmppd_plugins.archive.entries import ALL, ArchiveEntry, Selection
from xmppd_plugins.archive.expiry import Expiry
from xmppd_plugins.archive.ids import MAX_POSITION, microseconds_of
from xmppd_plugins.archive.importing import Imported, keep
from xmppd_plugins.archive.settings import ArchiveSettings
from xmppd_plugins.archive.tables import archives, entries, metadata, stanzas

DELIVERED = Decision(Cell.DELIVERED, MATCH)
ROMEO, JULIET, NURSE = (
    JID.parse(f"{name}@montague.lit/1") for name in ("romeo", "juliet", "nurse")
)


async def at_once() -> None:
    """The next turn is now."""


class StoreCase(Asking):
    """An archive on an open store."""

    archive: Archive
    settings = ArchiveSettings()

    async def another_store(self) -> None:
        """Open the database anew: nothing is remembered."""
        raise NotImplementedError

    async def opened(self) -> Archive:
        """An archive on the store, as a server that starts has it."""
        await self.store.tables.put(Tables(metadata), "archive")
        self.archive = self.made()
        await self.archive.open()
        return self.archive

    def made(self) -> Archive:
        """An archive that has read nothing yet."""
        clocks = Clocks(boot_clock, wall_clock)
        archive = Archive(self.store.database, lambda: 0, clocks, reactor, self.settings)
        self.addCleanup(lambda: (archive.writer.stop(), archive.indexer.stop()))
        return archive

    async def killed(self) -> Archive:
        """The archive of a server that starts behind one that was killed."""
        self.archive.writer.stop()
        self.archive.indexer.stop()
        await self.another_store()
        return await self.opened()

    def send(self, sender: JID, to: JID, words: str) -> Course:
        """Have a message be sent; returns its course at the recipient's end, prepared."""
        message = Message.make(to, sender, f"<body>{words}</body>".encode(), type="chat")
        sent = Course(message, message.payload.tree, sender.bare, ON_ITS_WAY, True)
        self.archive.prepare(sent)
        self.archive.follow(sent)
        got = Course(message, message.payload.tree, to.bare, DELIVERED)
        self.archive.prepare(got)
        return got

    def say(self, sender: JID, to: JID, *words: str) -> None:
        """Have messages be sent and delivered."""
        for each in words:
            self.archive.follow(self.send(sender, to, each))

    async def page(
        self,
        owner: JID,
        selection: Selection = ALL,
        limit: int = 1_000,
        *,
        backwards: bool = False,
    ) -> list[str]:
        """What was said, in the order of a page."""
        page = await self.archive.entries.page(owner.bare, selection, limit, backwards=backwards)
        return list(map(words_of, page))


class StoreContract(StoreCase):
    """What holds on each database."""

    async def test_steps(self) -> None:
        """What was said is found while it is in memory, written and indexed."""
        archive = await self.opened()
        for number, step in enumerate((archive.writer.flush, archive.indexer.index)):
            self.say(ROMEO, JULIET, f"{number}a", f"{number}b")
            await step()
            self.say(JULIET, ROMEO, f"{number}c")
        everything = ["0a", "0b", "0c", "1a", "1b", "1c"]
        for owner in (ROMEO, JULIET):
            self.assertEqual(await self.page(owner), everything)
            self.assertEqual(await self.page(owner, backwards=True), everything[::-1])
            self.assertEqual(await self.page(owner, limit=2), everything[:2])
            self.assertEqual(await self.page(owner, limit=2, backwards=True), ["1c", "1b"])
            self.assertEqual(await archive.entries.count(owner.bare, ALL, at_once), 6)
        self.assertEqual(await self.page(NURSE), [])

    async def test_killed(self) -> None:
        """What was written is there behind a start, indexed or not, under the same ids."""
        archive = await self.opened()
        self.say(ROMEO, JULIET, "a", "b")
        await archive.writer.flush()
        await archive.indexer.index()
        self.say(ROMEO, JULIET, "c")
        await archive.writer.flush()
        before = await archive.entries.page(JULIET.bare, ALL, 10)
        self.say(ROMEO, JULIET, "not written")
        again = await self.killed()
        self.assertEqual(await again.entries.page(JULIET.bare, ALL, 10), before)
        self.assertEqual(again.ids.number("x@y"), archive.ids.number("x@y"))
        self.say(ROMEO, JULIET, "d")
        self.assertEqual(await self.page(ROMEO), ["a", "b", "c", "d"])
        await again.close()

    async def test_closed(self) -> None:
        """An orderly stop writes all, and positions go on above those there were."""
        archive = await self.opened()
        self.say(ROMEO, JULIET, "a")
        last = archive.positions.last
        await archive.close()
        again = await self.killed()
        self.assertEqual(await self.page(ROMEO), ["a"])
        self.assertGreater(again.positions.next(), last)

    async def test_peer(self) -> None:
        """A conversation with one peer is found among others, on disk and in memory."""
        archive = await self.opened()
        for _ in range(2):
            self.say(ROMEO, JULIET, "to Juliet")
            self.say(NURSE, ROMEO, "from the nurse")
            await archive.writer.flush()
            await archive.indexer.index()
            self.say(JULIET, ROMEO, "from Juliet")
        juliet = Selection(peer=JULIET.bare)
        self.assertEqual(await self.page(ROMEO, juliet), ["to Juliet", "from Juliet"] * 2)
        self.assertEqual(await archive.entries.count(ROMEO.bare, juliet, at_once), 4)
        nurse = Selection(peer=NURSE.bare)
        self.assertEqual(await self.page(ROMEO, nurse), ["from the nurse"] * 2)

    async def test_late(self) -> None:
        """A message that its recipient gets when it was written already is in both archives
        (AR-2).
        """
        archive = await self.opened()
        for step in (archive.writer.flush, archive.indexer.index):
            course = self.send(ROMEO, JULIET, "late")
            await archive.writer.flush()
            await step()
            self.say(ROMEO, JULIET, "early")
            archive.follow(course)
            self.assertEqual((await self.page(JULIET))[-2:], ["late", "early"])
        await archive.writer.flush()
        self.assertEqual(await self.page(JULIET), ["late", "early"] * 2)
        await self.killed()
        for owner in (ROMEO, JULIET):
            self.assertEqual(await self.page(owner), ["late", "early"] * 2)

    async def test_secured(self) -> None:
        """Who asks is told when all that they have sent is written (OA-2)."""
        archive = await self.opened()
        self.assertIsNone(archive.secure(ROMEO.bare))
        self.say(ROMEO, JULIET, "a")
        self.assertIsNone(archive.secure(JULIET.bare))
        waiting = archive.secure(ROMEO.bare)
        assert waiting is not None
        await waiting
        self.assertIsNone(archive.secure(ROMEO.bare))
        await self.killed()
        self.assertEqual(await self.page(JULIET), ["a"])

    async def test_at(self) -> None:
        """Entries are found by their positions."""
        archive = await self.opened()
        self.say(ROMEO, JULIET, "a", "b")
        await archive.writer.flush()
        await archive.indexer.index()
        self.say(ROMEO, JULIET, "c", "d")
        page = await archive.entries.page(JULIET.bare, ALL, 10)
        wanted = [page[3].position, page[0].position, 5]
        found = await archive.entries.at(JULIET.bare, wanted)
        self.assertEqual(list(map(words_of, found)), ["a", "d"])
        self.assertEqual(await archive.entries.at(NURSE.bare, wanted), [])

    async def test_ends(self) -> None:
        """An archive has a first and a last entry, or none."""
        archive = await self.opened()
        self.assertIsNone(await archive.entries.first(ROMEO.bare))
        self.say(ROMEO, JULIET, "a", "b", "c")
        first = await archive.entries.first(ROMEO.bare)
        last = await archive.entries.last(ROMEO.bare)
        assert first is not None and last is not None
        self.assertEqual((words_of(first), words_of(last)), ("a", "c"))

    def expiry(self, max_messages: int = 0) -> Expiry:
        """What deletes, for which everything is old enough."""
        settings = ArchiveSettings(max_messages=max_messages)
        database = self.archive.database
        return Expiry(database, wall_clock, lambda: MAX_POSITION, at_once, settings)

    async def rows(self) -> list[int]:
        """The numbers of archives, entries and stanzas in the database."""
        database = self.archive.database
        columns = (archives.c.number, entries.c.position, stanzas.c.position)
        return [len(await database.read(select(column), {})) for column in columns]

    async def test_expired(self) -> None:
        """The oldest go where there are too many, and stanzas that nobody has (AR-13)."""
        archive = await self.opened()
        self.say(ROMEO, JULIET, "a", "b", "c")
        self.say(ROMEO, NURSE, "d")
        await archive.write_all()
        self.assertEqual(await self.expiry(max_messages=2).expire(), 3)
        self.assertEqual(await self.page(ROMEO), ["c", "d"])
        self.assertEqual(await self.page(JULIET), ["b", "c"])
        self.assertEqual(await self.rows(), [3, 5, 3])
        self.assertEqual(await archive.entries.sums(ROMEO.bare), (2, await self.size(ROMEO)))

    async def size(self, owner: JID) -> int:
        page = await self.archive.entries.page(owner.bare, ALL, 100)
        return sum(len(each.stanza or b"") for each in page)

    async def test_deleted(self) -> None:
        """One conversation is deleted, or all before a position."""
        archive = await self.opened()
        self.say(ROMEO, JULIET, "a", "b")
        self.say(ROMEO, NURSE, "c", "d")
        await archive.write_all()
        number, expiry = archive.ids.number(ROMEO.bare), self.expiry()
        self.assertEqual(await expiry.delete(number, MAX_POSITION, NURSE.bare), 2)
        self.assertEqual(await self.page(ROMEO), ["a", "b"])
        last = await archive.entries.last(ROMEO.bare)
        assert last is not None
        self.assertEqual(await expiry.delete(number, last.position), 1)
        self.assertEqual(await self.page(ROMEO), ["b"])
        self.assertEqual(await self.page(NURSE), ["c", "d"])
        self.assertEqual(await self.rows(), [3, 5, 4])

    async def test_nobodys(self) -> None:
        """What is in archives that are gone goes."""
        archive = await self.opened()
        self.say(ROMEO, JULIET, "a")
        self.say(ROMEO, ROMEO, "b")
        await archive.write_all()
        await self.store.accounts.create_account(ROMEO.bare, [])
        await self.store.accounts.delete_account(ROMEO.bare)
        self.assertEqual(await self.expiry().expire(), 2)
        self.assertEqual(await self.rows(), [1, 1, 1])

    async def test_buried(self) -> None:
        """A tombstone takes the place of what was said in both archives (AR-10)."""
        archive = await self.opened()
        self.say(ROMEO, JULIET, "a", "b")
        first = await archive.entries.first(JULIET.bare)
        assert first is not None
        await archive.bury(JULIET.bare, first.position, b"<message from='x@y/z' to='a@b'/>")
        for owner in (ROMEO, JULIET):
            page = await archive.entries.page(owner.bare, ALL, 10)
            self.assertEqual([each.is_tombstone for each in page], [True, False])
            self.assertEqual(page[0].stanza, b"<message from='x@y/z' to='a@b'/>")

    async def test_damaged(self) -> None:
        """What cannot be read is found (QU-14)."""
        archive = await self.opened()
        self.say(ROMEO, JULIET, "a", "b")
        first = await archive.entries.first(JULIET.bare)
        assert first is not None
        await archive.bury(JULIET.bare, first.position, b"<<")
        found = [each async for each in find_damage(archive.database, at_once)]
        self.assertEqual({each.owner for each in found}, {ROMEO.bare, JULIET.bare})
        self.assertEqual({each.position for each in found}, {first.position})

    async def test_imported(self) -> None:
        """What is imported stands where its time is, and takes no other's place (AR-15)."""
        archive = await self.opened()
        self.say(ROMEO, JULIET, "a")
        self.say(ROMEO, JULIET, "c")
        await archive.write_all()
        moment = microseconds_of((await archive.entries.page(JULIET.bare, ALL, 1))[0].position)
        message = Message.make(JULIET, NURSE, b"<body>b</body>", type="chat")
        for owner in (JULIET, NURSE):
            number = archive.ids.number(owner.bare)
            messages = [Imported(message, moment - 10), Imported(message, moment - 10)]
            await archive.database.write(
                partial(keep, owner=owner.bare, number=number, messages=messages)
            )
        self.assertEqual(await self.page(JULIET), ["b", "b", "a", "c"])
        self.assertEqual(await self.page(JULIET, Selection(peer=NURSE.bare)), ["b", "b"])
        self.assertEqual(await self.page(NURSE), ["b", "b"])
        # Both ends have one row.
        self.assertEqual(await self.rows(), [3, 8, 4])

    async def test_any_schedule(self) -> None:
        """However messages, flushes, index runs and starts follow each other, each message is in
        both archives once and in order.
        """
        await self.opened()
        chance = Random(7)
        people = (ROMEO, JULIET, NURSE)
        said: dict[JID, list[str]] = {each: [] for each in people}
        late: list[Course] = []
        for number in range(150):
            sender, to = chance.sample(people, 2)
            late.append(self.send(sender, to, str(number)))
            for each in (sender, to):
                said[each].append(str(number))
            if chance.random() < 0.7:
                self.archive.follow(late.pop())
            await self.something_else(chance.random(), late)
        for course in late:
            self.archive.follow(course)
        for _ in range(2):
            for person in people:
                await self.check_all(person, said[person])
            await self.archive.writer.flush()
            await self.archive.indexer.index()

    async def something_else(self, chance: float, late: list[Course]) -> None:
        """What may come between two messages."""
        if chance < 0.1:
            await self.archive.writer.flush()
        elif chance < 0.2:
            Deferred.fromCoroutine(self.archive.writer.flush())
        elif chance < 0.25:
            await self.archive.indexer.index()
        elif chance < 0.3:
            for course in late:
                self.archive.follow(course)
            late.clear()
        elif chance < 0.35 and not late:
            await self.archive.writer.flush()
            await self.killed()

    async def check_all(self, person: JID, said: list[str]) -> None:
        """All that was said is in somebody's archive, however one asks."""
        entries = self.archive.entries
        self.assertEqual(await self.page(person), said)
        self.assertEqual(await entries.count(person.bare, ALL, at_once), len(said))
        start = await entries.page(person.bare, ALL, 5)
        self.assertEqual(await self.page(person, Selection(after=start[-1].position)), said[5:])
        self.assertEqual(await self.page(person, backwards=True, limit=7), said[:-8:-1])


def words_of(entry: ArchiveEntry) -> str:
    """What was said."""
    return (entry.stanza or b"").partition(b"<body>")[2].partition(b"<")[0].decode()
