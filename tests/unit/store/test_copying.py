"""Everything that is in one database is taken to another: xmppctl db copy (ST-12)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import Connection, MetaData, Table, inspect, select, type_coerce, update
from sqlalchemy.types import NullType
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import TestCase

from tests.unit.store.contract import ROMEO
from tests.unit.store.databases import drop_postgresql, execute, make_postgresql, sqlite_url
from tests.unit.store.quarantine_contract import DOMAIN, fill
from xmppd.store import copied_tables, migrate, tries
from xmppd.store.claim_tokens import claim_tokens
from xmppd.store.columns import NAMES
from xmppd.store.copying import Copying
from xmppd.store.engine import make_engine, parse_url
from xmppd.store.errors import StoreError
from xmppd.store.items import Item, items
from xmppd.store.kind import Damaged
from xmppd.store.offline import offline_messages
from xmppd.store.sql import (
    NUMBER,
    ORDERED,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    UniqueConstraint,
    digest_column,
    insert,
    text,
)
from xmppd.store.store import Store, make_store
from xmppd.store.tables import Tables

BOOKS = MetaData(naming_convention=NAMES)
books = Table(
    "books",
    BOOKS,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    digest_column("owner", primary_key=False),
    Column("title", ORDERED, nullable=False),
    Column("price", Double),
    Column("lent", Boolean, nullable=False, server_default=text("false")),
    Column("cover", LargeBinary),
    UniqueConstraint("title"),
    Index(None, "owner"),
    sqlite_autoincrement=True,
)
readers = Table(
    "books_readers",
    BOOKS,
    Column("book", NUMBER, ForeignKey("books.number"), nullable=False),
    Column("name", Text, nullable=False),
)

KILLED = """
import sys, time
from twisted.internet import task
from xmppd.store import copied_tables, copying
from xmppd.store.copying import Copying

copied_tables.PAGE_ROWS = 1
pages = 0
real = copying.put

def put(connection, table, rows):
    global pages
    pages += 1
    if pages == int(sys.argv[3]):
        print("now", flush=True)
        time.sleep(60)
    real(connection, table, rows)

copying.put = put

async def main(reactor):
    async for _ in Copying(sys.argv[1], sys.argv[2], reactor).copy():
        pass

task.react(main)
"""


class CopyingCase(TestCase):
    """A file with something of everything in it, and an empty database on a server."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.patch(tries, "PATIENCE_S", 0.0)
        self.file = sqlite_url(self)
        self.server = make_postgresql()
        self.addCleanup(drop_postgresql, self.server)
        await self.fill(self.file)

    async def fill(self, url: str) -> None:
        """Have something of everything, and things that were there before."""
        store = await self.opened(url)
        await fill(store)
        await store.identity()
        await store.former_accounts.reserve_name(f"benvolio@{DOMAIN}", until=9.0, now=1.0)
        unread = Damaged(Item("urn:x", "<b/>", b"<b/>"), "it is only said to be")
        await store.items.set_aside(ROMEO, [unread])
        await store.tables.put(Tables(BOOKS), "books")

        def more(connection: Connection) -> None:
            for number in range(1, 8):
                book = {
                    "owner": b"o", "title": f"Ä {number}", "price": number / 7, "lent": True,
                    "cover": bytes(range(256)),
                }  # fmt: skip
                connection.execute(insert(books), [book])
            connection.execute(insert(readers), [{"book": 1, "name": "same"}] * 3)
            connection.exec_driver_sql("DELETE FROM books WHERE number > 5")
            token = {"kind": "s2s", "thing": b"t", "name": "a b", "token": 2**62}
            connection.execute(insert(claim_tokens), [token])

        await store.database.write(more)
        await store.close()

    async def opened(self, url: str) -> Store:
        """A server's end of a database."""
        store = make_store(url, reactor=reactor)
        await store.open()
        return store

    async def copy(self, source: str, target: str) -> dict[str, int]:
        """Copy; the tables, and how many rows they have."""
        copying = Copying(source, target, IReactorFromThreads(reactor))
        return {name: rows async for name, rows in copying.copy()}

    async def refused(self, source: str, target: str) -> str:
        """Why it may not be copied."""
        with self.assertRaises(StoreError) as refused:
            await self.copy(source, target)
        return str(refused.exception)

    def everything(self, url: str) -> dict[str, list[str]]:
        """All rows of all tables, in an order of their own."""
        engine = make_engine(parse_url(url))
        everything = MetaData()
        with engine.connect() as connection:
            everything.reflect(connection)
            found = {
                table.name: sorted(repr(tuple(row)) for row in connection.execute(select(table)))
                for table in everything.sorted_tables
                if table.name != "sqlite_sequence"
            }
        engine.dispose()
        return found


class CopyTests(CopyingCase):
    async def test_there_and_back(self) -> None:
        """What was copied to a server, and from there to another file, is what it was."""
        before = self.everything(self.file)
        self.assertTrue(all(before.values()), {name for name, rows in before.items() if not rows})
        counted = await self.copy(self.file, self.server)
        self.assertEqual(
            counted,
            {name: len(rows) for name, rows in before.items() if name in counted},
        )
        self.assertEqual(before.keys() - counted.keys(), {"usage", "alembic_version"})
        self.assertEqual(self.everything(self.server), before)
        other = sqlite_url(self)
        await self.copy(self.server, other)
        self.assertEqual(self.everything(other), before)
        for url in (self.server, other):
            await self.assert_works(url)

    async def assert_works(self, url: str) -> None:
        """A server works on it: numbers go on, the plugin finds its tables, keys are the same."""
        store = await self.opened(url)
        await store.tables.put(Tables(BOOKS), "books")
        book = {"owner": b"o", "title": "Z", "cover": None}
        added = insert(books).returning(books.c.number, books.c.lent)
        number, lent = await store.database.write(
            lambda connection: connection.execute(added, book).one()
        )
        self.assertEqual((number, lent), (8, False))
        message = await store.offline.store_offline(
            ROMEO, b"<z/>", sender="x@y", stored=1.0, max_messages=99, max_bytes=9_999
        )
        self.assertGreater(message, max(int(row[1]) for row in self.numbers(url)))
        credentials = await store.accounts.credentials(ROMEO)
        assert credentials is not None, "he has an account"
        await store.close()
        kept = inspect(make_engine(parse_url(url)))
        self.assertTrue(kept.get_unique_constraints("books"))
        self.assertTrue(kept.get_foreign_keys("books_readers"))
        self.assertEqual([each["column_names"] for each in kept.get_indexes("books")
                          if not each["unique"]], [["owner"]])  # fmt: skip

    def numbers(self, url: str) -> list[str]:
        """The messages that were there before."""
        return self.everything(self.file)["offline_messages"]

    async def test_many(self) -> None:
        """Tables of more than a page, and rows that fill a page, are copied whole."""
        self.patch(copied_tables, "PAGE_ROWS", 7)
        self.patch(copied_tables, "PAGE_BYTES", 1_000)
        store = await self.opened(self.file)
        for number in range(40):
            await store.items.set_item(
                ROMEO, "urn:many", str(number), bytes(number * 30), max_items=99, max_bytes=99_999
            )
        await store.close()
        sizes: list[int] = []
        page = copied_tables.page

        def measured(*arguments: object, **named: object) -> list[copied_tables.Row]:
            rows = page(*arguments, **named)  # type: ignore[arg-type]
            sizes.append(sum(len(value) for row in rows for value in row
                             if isinstance(value, bytes)))  # fmt: skip
            return rows

        self.patch(sys.modules["xmppd.store.copying"], "page", measured)
        await self.copy(self.file, self.server)
        self.assertEqual(self.everything(self.server), self.everything(self.file))
        self.assertLess(max(sizes), 1_000 + 39 * 30 + 200)

    async def test_damaged(self) -> None:
        """A record with a value that fits no other database is set aside, as when it is read."""
        self.damage(offline_messages, {"stored": "long ago"})
        self.damage(items, {"value": "no bytes"})
        self.damage(claim_tokens, {"name": b"\xff\xfe"})
        said = await self.refused(self.file, self.server)
        self.assertIn("A row of the table claim_tokens (kind s2s, thing 74)", said)
        execute(self.file, "DELETE FROM claim_tokens")
        await self.copy(self.file, self.server)
        self.assertEqual(self.everything(self.server), self.everything(self.file))
        store = await self.opened(self.server)
        kinds = {each.kind for each in await store.quarantine.quarantined()}
        self.assertTrue({"offline message", "item"} <= kinds, kinds)
        await store.close()

    def damage(self, table: Table, changes: dict[str, object]) -> None:
        """Put something in a column behind the store's back."""
        engine = make_engine(parse_url(self.file))
        values = {name: type_coerce(value, NullType()) for name, value in changes.items()}
        key = list(table.primary_key)
        with engine.begin() as connection:
            first = connection.execute(select(*key).limit(1)).one()
            same = [column == value for column, value in zip(key, first, strict=True)]
            connection.execute(update(table).where(*same).values(values))
        engine.dispose()


class RefusedTests(CopyingCase):
    async def test_not_empty(self) -> None:
        """A database with something in it is left alone."""
        store = await self.opened(self.server)
        await store.accounts.create_account(f"nurse@{DOMAIN}", ())
        await store.close()
        before = self.everything(self.server)
        self.assertIn("is not empty", await self.refused(self.file, self.server))
        self.assertEqual(self.everything(self.server), before)

    async def test_empty(self) -> None:
        """One that `xmppctl db upgrade` has made is empty."""
        migrate.upgrade(self.server)
        await self.copy(self.file, self.server)
        self.assertEqual(self.everything(self.server), self.everything(self.file))

    async def test_others(self) -> None:
        """Nor is one that is somebody else's touched."""
        execute(self.server, "CREATE TABLE poems (line TEXT)")
        self.assertIn("is not empty", await self.refused(self.file, self.server))
        self.assertEqual(self.everything(self.server), {"poems": []})

    async def test_schema(self) -> None:
        """Both have to be of this version."""
        migrate.upgrade(self.server)
        execute(self.server, "UPDATE alembic_version SET version_num = '9999'")
        self.assertIn("9999", await self.refused(self.file, self.server))
        execute(self.file, "UPDATE alembic_version SET version_num = '0001'")
        self.assertIn("older schema 0001", await self.refused(self.file, self.server))

    async def test_in_use(self) -> None:
        """A server that uses one of them is noticed."""
        for url in (self.file, self.server):
            store = await self.opened(url)
            self.assertIn("in use by", await self.refused(self.file, self.server))
            await store.close()

    async def test_itself(self) -> None:
        """A database is not copied onto itself, nor from where there is none."""
        self.assertIn("the one that storage.url names", await self.refused(self.file, self.file))
        nowhere = f"sqlite:///{self.mktemp()}"
        self.assertIn("is not there", await self.refused(nowhere, self.server))


class KilledTests(CopyingCase):
    async def test_killed(self) -> None:
        """What was killed in the middle is refused to servers, and is copied whole the next time,
        in both directions; nothing is doubled.
        """
        before = self.everything(self.file)
        await self.killed(self.file, self.server)
        await self.copy(self.file, self.server)
        self.assertEqual(self.everything(self.server), before)
        other = sqlite_url(self)
        await self.killed(self.server, other)
        await self.copy(self.server, other)
        self.assertEqual(self.everything(other), before)

    async def killed(self, source: str, target: str) -> None:
        """Copy up to the middle."""
        path = ":".join([str(Path.cwd()), *sys.path])
        rows = sum(len(found) for found in self.everything(source).values())
        copying = subprocess.Popen(
            [sys.executable, "-c", KILLED, source, target, str(rows // 2)],
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
        )
        assert copying.stdout is not None, "it is a pipe"
        self.assertEqual(copying.stdout.readline(), b"now\n")
        copying.send_signal(signal.SIGKILL)
        copying.wait()
        copying.stdout.close()
        half = self.everything(target)
        self.assertTrue(half["accounts"])
        self.patch(tries, "PATIENCE_S", 5.0)  # PostgreSQL lifts the lock a moment later
        store = make_store(target, reactor=reactor)
        with self.assertRaisesRegex(StoreError, "a copy that was not finished.*xmppctl db copy"):
            await store.open()
        await store.close()
