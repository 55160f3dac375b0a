"""What appending rows does, asked of each database by the test cases that mix this in."""

from twisted.internet.defer import Deferred, gatherResults

from tests.unit.store.contract import Asking
from xmppd.store.database import NewRows
from xmppd.store.errors import StoreError
from xmppd.store.sql import (
    NAMES,
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Tables,
    Text,
    select,
)

metadata = MetaData(naming_convention=NAMES)
lines = Table(
    "lines",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("act", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("words", Text, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
)
pages = Table(
    "lines_pages",
    metadata,
    Column("page", BigInteger, primary_key=True, autoincrement=False),
    Column("line", BigInteger, nullable=False),
    Index(None, "line", unique=True),
)
LINES: Select[int, int, float, str, bytes] = select(lines).order_by(lines.c.number)
PAGES: Select[int, int] = select(pages).order_by(pages.c.page)


def line(number: int, words: str = "Ay me!") -> tuple[object, ...]:
    """A row."""
    return (2**62 + number, 2, 0.5, words, b"\x00\xff'")


class AppendContract(Asking):
    """Two tables that rows are appended to, in an open store."""

    async def append(self, *parts: NewRows) -> None:
        await self.store.tables.put(Tables(metadata), "lines")
        await self.store.database.append(*parts)

    async def words(self) -> list[str]:
        return [row[3] for row in await self.store.database.read(LINES, {})]

    async def test_appended(self) -> None:
        """NewRows of several tables are there, with all their values."""
        await self.append(NewRows(lines, [line(1), line(2)]), NewRows(pages, [(1, 7)]))
        self.assertEqual(await self.store.database.read(LINES, {}), [line(1), line(2)])
        self.assertEqual(await self.store.database.read(PAGES, {}), [(1, 7)])

    async def test_nothing(self) -> None:
        """Nothing is appended without an error."""
        await self.append(NewRows(lines, []), NewRows(pages, [], often_there=True))
        await self.append()
        self.assertEqual(await self.words(), [])

    async def test_again(self) -> None:
        """What is there already stays as it is, and the others are appended, also if it is another
        key that is there.
        """
        for often_there in (False, True):
            await self.append(
                NewRows(lines, [line(1), line(2)], often_there),
                NewRows(pages, [(1, 7)], often_there),
            )
            await self.append(
                NewRows(lines, [line(2, "O!"), line(3)], often_there),
                NewRows(pages, [(2, 7), (3, 8)], often_there),
            )
        self.assertEqual(await self.words(), ["Ay me!"] * 3)
        self.assertEqual(await self.store.database.read(PAGES, {}), [(1, 7), (3, 8)])

    async def test_many(self) -> None:
        """However many there are, and some of them there already, each is there once, in full."""
        for count in (31, 32, 33, 200):
            await self.append(NewRows(lines, [line(number) for number in range(count)]))
            wanted = [line(number) for number in range(count)]
            self.assertEqual(await self.store.database.read(LINES, {}), wanted)

    async def test_all_or_nothing(self) -> None:
        """If one cannot be written none is, and others can be afterwards."""
        wrong = (1, None)
        with self.assertRaises(StoreError):
            await self.append(NewRows(lines, [line(1)]), NewRows(pages, [wrong]))
        self.assertEqual(await self.words(), [])
        many = [(number, number) for number in range(2, 50)]
        with self.assertRaises(StoreError):
            await self.append(NewRows(lines, [line(1)]), NewRows(pages, [*many, wrong, *many]))
        self.assertEqual(await self.store.database.read(PAGES, {}), [])
        await self.append(NewRows(lines, [line(1)]))
        self.assertEqual(await self.words(), ["Ay me!"])

    async def test_checked(self) -> None:
        """Nothing is written if that is not allowed when its turn has come."""
        await self.append()

        def check() -> None:
            raise StoreError("not now")

        with self.assertRaisesRegex(StoreError, "not now"):
            await self.store.database.append(NewRows(lines, [line(1)]), check=check)
        self.assertEqual(await self.words(), [])

    async def test_at_the_same_time(self) -> None:
        """Many may be under way, between other writes."""
        await self.append()
        database = self.store.database
        works = [
            Deferred.fromCoroutine(work)
            for number in range(20)
            for work in (
                database.append(NewRows(lines, [line(number), line(number + 1)])),
                self.store.items.set_item(
                    "name", "urn:x", str(number), b"x", max_items=100, max_bytes=10_000
                ),
            )
        ]
        await gatherResults(works)
        self.assertEqual(len(await self.words()), 21)
        self.assertEqual(len(await self.store.items.get_items("name", "urn:x")), 20)
