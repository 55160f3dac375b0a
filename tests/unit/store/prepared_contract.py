"""What prepared statements do, asked of each database by the test cases that mix this in."""

from twisted.internet.defer import Deferred, DeferredList

from tests.unit.store.append_contract import LINES, line, lines, metadata
from tests.unit.store.contract import Asking
from xmppd.store.errors import ChangeRefused, StoreError
from xmppd.store.sql import (
    Connection,
    Prepared,
    Tables,
    bindparam,
    delete,
    insert,
    select,
    update,
    upsert,
)

ADD: Prepared[()] = Prepared(insert(lines))
TAKE: Prepared[int, bytes] = Prepared(
    delete(lines)
    .where(lines.c.number == bindparam("number_"), lines.c.act == 2)
    .returning(lines.c.number, lines.c.bytes)
)
SAY: Prepared[str] = Prepared(
    update(lines)
    .where(lines.c.number == bindparam("number_"))
    .values(words=bindparam("said"))
    .returning(lines.c.words)
)
PUT: Prepared[()] = Prepared(upsert(lines))
WORDS: Prepared[str, float] = Prepared(select(lines.c.words, lines.c.at).order_by(lines.c.number))

Row = dict[str, object]


def named(number: int, words: str = "Ay me!") -> Row:
    """A row by the names of its columns."""
    return dict(zip(lines.c.keys(), line(number, words), strict=True))


class PreparedContract(Asking):
    """A table, in an open store."""

    async def add(self, *rows: Row) -> None:
        def change(connection: Connection) -> None:
            for row in rows:
                self.assertEqual(ADD.on(connection, row), [])

        await self.store.database.write(change)

    async def there(self) -> list[tuple[object, ...]]:
        return list(await self.store.database.read(LINES, {}))

    async def test_done(self) -> None:
        """Rows are added, changed, replaced, removed and read with their values."""
        await self.store.tables.put(Tables(metadata), "lines")
        await self.add(named(1), named(2))
        first, second = line(1)[0], line(2)[0]

        def change(connection: Connection) -> None:
            self.assertEqual(
                SAY.on(connection, {"number_": first, "said": "O! \N{WHITE HEART SUIT}"}),
                [("O! \N{WHITE HEART SUIT}",)],
            )
            self.assertEqual(SAY.on(connection, {"number_": 7, "said": "O!"}), [])
            self.assertEqual(TAKE.on(connection, {"number_": second}), [(second, line(2)[4])])
            self.assertEqual(TAKE.on(connection, {"number_": second}), [])
            PUT.on(connection, named(3, "Hist!"))
            PUT.on(connection, named(3, "Romeo!"))
            said = [("O! \N{WHITE HEART SUIT}", 0.5), ("Romeo!", 0.5)]
            self.assertEqual(list(WORDS.on(connection, {})), said)

        await self.store.database.write(change)
        self.assertEqual(
            await self.there(), [line(1, "O! \N{WHITE HEART SUIT}"), line(3, "Romeo!")]
        )

    async def test_each(self) -> None:
        """The same is done for each of several rows, in their order; for none nothing is done."""
        await self.store.tables.put(Tables(metadata), "lines")

        def change(connection: Connection) -> None:
            PUT.on_each(connection, [named(1), named(2), named(1, "Hist!")])
            PUT.on_each(connection, [])

        await self.store.database.write(change)
        self.assertEqual(await self.there(), [line(1, "Hist!"), line(2)])

    async def test_failed(self) -> None:
        """What cannot be written fails in a sentence; others can be afterwards."""
        await self.store.tables.put(Tables(metadata), "lines")
        with self.assertRaisesRegex(StoreError, "failed: "):
            await self.add(named(1), {**named(2), "words": None})
        with self.assertRaisesRegex(StoreError, "failed: "):
            await self.add(named(1), named(1))
        await self.add(named(1))
        self.assertEqual(await self.there(), [line(1)])

    async def test_refused(self) -> None:
        """A change that refuses leaves nothing of it, and all that is written with it."""
        await self.store.tables.put(Tables(metadata), "lines")

        def refuse(connection: Connection) -> None:
            ADD.on(connection, named(2))
            raise ChangeRefused("banished")

        outcomes = await DeferredList(
            [
                Deferred.fromCoroutine(self.add(named(1))),
                Deferred.fromCoroutine(self.store.database.write(refuse)),
                Deferred.fromCoroutine(self.add({**named(4), "words": None})),
                Deferred.fromCoroutine(self.add(named(3))),
            ],
            consumeErrors=True,
        )
        self.assertEqual([done for done, _ in outcomes], [True, False, False, True])
        self.assertEqual(await self.there(), [line(1), line(3)])
