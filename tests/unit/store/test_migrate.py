"""The schema: made, checked, brought up to date, by one at a time."""

import sys
from pathlib import Path

from sqlalchemy import make_url
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.unit.store import schema_contract
from tests.unit.store.databases import drop_postgresql, execute, make_postgresql, sqlite_url
from xmppd.store import migrate
from xmppd.store.engine import make_engine, parse_url
from xmppd.store.errors import StoreError
from xmppd.store.store import make_store


class SQLiteSchemaTests(schema_contract.SchemaContract):
    """In a file."""

    def setUp(self) -> None:
        self.url = sqlite_url(self)
        self.engine = make_engine(parse_url(self.url))
        self.addCleanup(self.engine.dispose)


class PostgreSQLSchemaTests(schema_contract.SchemaContract):
    """On a server."""

    def setUp(self) -> None:
        self.url = make_postgresql()
        self.addCleanup(drop_postgresql, self.url)
        self.engine = make_engine(parse_url(self.url))
        self.addCleanup(self.engine.dispose)


STARTER = """
import sys
from twisted.internet import task
from xmppd.store.store import make_store

async def main(reactor):
    store = make_store(sys.argv[1], reactor=reactor)
    await store.open()
    await store.items.set_item("x", "n", sys.argv[2], b"v", max_items=99, max_bytes=999)
    await store.close()
    print("alembic" in sys.modules)

task.react(main)
"""


class StartTests(TestCase):
    """Several processes find an empty database at the same moment."""

    async def start(self, url: str, number: int) -> str:
        """Have a process start, which comes up and can write; it says whether it has Alembic."""
        told, errors, code = await getProcessOutputAndValue(
            sys.executable,
            ["-c", STARTER, url, str(number)],
            {"PYTHONPATH": ":".join(sys.path)},
        )
        self.assertEqual(code, 0, errors.decode())
        return str(told.decode().strip())

    async def start_together(self, url: str) -> None:
        """All of them come up, and can write."""
        await gatherResults(
            [Deferred.fromCoroutine(self.start(url, number)) for number in range(4)]
        )
        store = make_store(url, reactor=reactor)
        await store.open()
        self.assertEqual(len(await store.items.get_items("x", "n")), 4)
        await store.close()

    async def test_sqlite(self) -> None:
        """In a file the first one makes the tables; the others wait."""
        path = Path(sqlite_url(self).removeprefix("sqlite:///")).resolve()
        await self.start_together(f"sqlite:///{path}")

    async def test_postgresql(self) -> None:
        """On a server the first one makes the tables; the others wait."""
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        await self.start_together(url)

    async def test_nothing_to_do(self) -> None:
        """Alembic, which takes a tenth of a start, comes only where there is a step to take."""
        path = Path(sqlite_url(self).removeprefix("sqlite:///")).resolve()
        self.assertEqual(await self.start(f"sqlite:///{path}", 1), "True")
        self.assertEqual(await self.start(f"sqlite:///{path}", 2), "False")


class UnusableTests(TestCase):
    """What is wrong is said in one sentence, without the password."""

    async def error(self, url: str) -> str:
        """What an administrator reads."""
        store = make_store(url, reactor=reactor)
        with self.assertRaises(StoreError) as refused:
            await store.open()
        await store.close()
        self.assertNotIn("\n", str(refused.exception))
        return str(refused.exception)

    async def test_no_directory(self) -> None:
        """A file in a directory that is not there."""
        self.assertIn("No such file", await self.error("sqlite:////nowhere/at/all.sqlite"))

    async def test_directory(self) -> None:
        """A directory in place of a file."""
        path = Path(self.mktemp())
        path.mkdir()
        self.assertIn("Is a directory", await self.error(f"sqlite:///{path}"))

    async def test_no_database(self) -> None:
        """A file that is something else."""
        path = Path(self.mktemp())
        path.write_text("Two households, both alike in dignity, in fair Verona" * 100)
        self.assertIn("file is not a database", await self.error(f"sqlite:///{path}"))

    async def test_other_tables(self) -> None:
        """A database of somebody else that has a table of the same name."""
        url = sqlite_url(self)
        execute(url, "CREATE TABLE accounts (id INTEGER)")
        self.assertIn("already exists", await self.error(url))
        self.assertIsNone(migrate.current_revision(url))

    async def test_no_server(self) -> None:
        """A server that does not answer; the password stays ours."""
        directory = Path(self.mktemp()).resolve()
        error = await self.error(f"postgresql://romeo:s3cret@/x?host={directory}")
        self.assertIn("postgresql+psycopg://romeo:***@/x", error)
        self.assertNotIn("s3cret", error)

    async def test_no_such_database(self) -> None:
        """A server that does not have the database."""
        url = make_postgresql()
        drop_postgresql(url)
        self.assertIn(f'database "{make_url(url).database}" does not exist', await self.error(url))


class URLTests(SynchronousTestCase):
    def test_refused(self) -> None:
        """What is not the URL of a database we can use is refused, and not repeated."""
        for url in (
            "",
            "nonsense:s3cret",
            "mysql://u:s3cret@h/d",
            "sqlite://",
            "sqlite:///:memory:",
        ):
            with self.subTest(url=url):
                with self.assertRaises(StoreError) as refused:
                    parse_url(url)
                self.assertNotIn("s3cret", str(refused.exception))

    def test_drivers(self) -> None:
        """An administrator names the database, not the driver."""
        for url in ("postgresql://h/d", "postgresql+psycopg://h/d"):
            self.assertEqual(parse_url(url).drivername, "postgresql+psycopg")
