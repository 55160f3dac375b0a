"""What the table of guestbooks does, asked of each database."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred, gatherResults

from tests.unit.store.contract import JULIET, LONG_LOCAL, ROMEO, Asking
from xmppd.stanza import JID
from xmppd.store.errors import QuotaExceeded
from xmppd.store.tables import Tables
from xmppd_plugins.guestbook.entries import LATEST, Entries, Entry, metadata

OWNER, OTHER = JID.parse(ROMEO), JID.parse(JULIET)


class EntriesContract(Asking):
    """A plugin that is loaded, in an open store."""

    async def book(self) -> Entries:
        """The entries, once the plugin is loaded."""
        await self.store.tables.put(Tables(metadata), "guestbook")
        return Entries(self.store.database)

    async def sign(self, book: Entries, *words: str, owner: JID = OWNER) -> list[Entry]:
        """Write entries."""
        return [
            await book.add(owner, OTHER, each, signed=float(at), max_entries=5)
            for at, each in enumerate(words)
        ]

    async def words(self, book: Entries, owner: JID = OWNER) -> list[str]:
        """All that is written in a book."""
        return [entry.words for entry in await book.page(owner, LATEST, 100)]

    async def test_read(self) -> None:
        """What was written is read, the latest first, in pages."""
        book = await self.book()
        written = await self.sign(book, "a", "", "𝔘\n'")
        self.assertEqual(await book.page(OWNER, LATEST, 2), written[:0:-1])
        self.assertEqual(await book.page(OWNER, written[1].number, 2), written[:1])
        self.assertEqual(await self.words(book, OTHER), [])
        self.assertEqual(written[2], Entry(written[2].number, JULIET, 2.0, "𝔘\n'"))

    async def test_long_name(self) -> None:
        """The longest address has a book too."""
        book, owner = await self.book(), JID.of(LONG_LOCAL, "montague.lit")
        (entry,) = await self.sign(book, "a", owner=owner)
        self.assertEqual(await book.page(owner, LATEST, 1), [entry])

    async def test_full(self) -> None:
        """Those who sign at the same moment do not write more than the book has room for."""
        book = await self.book()
        adding: Sequence[Deferred[Entry]] = [
            Deferred.fromCoroutine(book.add(OWNER, OTHER, "x", 1.0, max_entries=5))
            for _ in range(8)
        ]
        for each in adding:
            each.addErrback(lambda failure: failure.trap(QuotaExceeded))
        await gatherResults(adding)
        self.assertEqual(len(await self.words(book)), 5)
        await self.sign(book, "a", owner=OTHER)

    async def test_erased(self) -> None:
        """One entry is erased, or all of a book; and a number is never given twice."""
        book = await self.book()
        a, b, c = await self.sign(book, "a", "b", "c")
        await self.sign(book, "x", owner=OTHER)
        self.assertEqual(await book.erase(OTHER, b.number), 0)
        self.assertEqual(await book.erase(OWNER, b.number), 1)
        self.assertEqual(await self.words(book), ["c", "a"])
        self.assertEqual(await book.erase(OWNER), 2)
        self.assertEqual((await self.words(book), await self.words(book, OTHER)), ([], ["x"]))
        (d,) = await self.sign(book, "d")
        self.assertGreater(d.number, c.number)
        self.assertGreater(b.number, a.number)

    async def test_faded(self) -> None:
        """Entries of before a moment are erased, in all books."""
        book = await self.book()
        await self.sign(book, "a", "b", "c")
        await self.sign(book, "a", "b", owner=OTHER)
        await book.fade(1.0)
        self.assertEqual(await self.words(book), ["c", "b"])
        self.assertEqual(await self.words(book, OTHER), ["b"])

    async def test_removed(self) -> None:
        """An account takes its book along, also when the plugin is not loaded then."""
        book = await self.book()
        for account, owner in ((ROMEO, OWNER), (JULIET, OTHER)):
            await self.store.accounts.create_account(account, [])
            await self.sign(book, "a", owner=owner)
        await self.another_store()
        await self.store.accounts.delete_account(ROMEO)
        book = await self.book()
        self.assertEqual((await self.words(book), await self.words(book, OTHER)), ([], ["a"]))

    async def test_told(self) -> None:
        """What is told of an account has its book."""
        book = await self.book()
        await self.sign(book, "a")
        rows = await self.store.belongings.rows(self.store.database, ROMEO)
        (row,) = [row for table, row in rows if table == "guestbook"]
        self.assertEqual((row["guest"], row["words"]), (JULIET, "a"))

    async def another_store(self) -> None:
        """Open the database anew."""
        raise NotImplementedError
