"""The schema: made, checked, brought up to date, by one at a time."""

import shutil
import sys
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, make_url
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.unit.store.databases import drop_postgresql, execute, make_postgresql, sqlite_url
from xmppd.store import migrate, migrations
from xmppd.store.base import StoreError
from xmppd.store.engine import make_engine, parse_url
from xmppd.store.schema import metadata
from xmppd.store.sql import SQLStore

LATER_STEP = """
revision = "9999"
down_revision = "{before}"

def upgrade():
    from alembic import op
    import sqlalchemy as sa
    with op.batch_alter_table("roster_versions") as table:
        table.add_column(sa.Column("extra", sa.Text))
"""


class SchemaTests:
    """Asked of both databases."""

    url: str

    def test_created(self) -> None:
        """An empty database gets all tables, even if nothing may be upgraded."""
        self.prepare(upgrade=False)
        self.assertEqual(migrate.current_revision(self.url), self.head())
        self.prepare(upgrade=False)

    def test_no_drift(self) -> None:
        """The steps lead to exactly the tables that the statements were written for."""
        self.prepare()
        with self.engine.connect() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            self.assertEqual(compare_metadata(context, metadata), [])

    def test_names(self) -> None:
        """Every constraint has a name, so that a later step can change it."""
        self.prepare()
        inspector = inspect(self.engine)
        for table in metadata.tables:
            self.assertEqual(inspector.get_pk_constraint(table)["name"], f"pk_{table}")

    def test_upgrade(self) -> None:
        """Older tables are brought up to date, with what is in them."""
        self.prepare()
        execute(self.url, "INSERT INTO roster_versions (owner, version) VALUES ('x', 7)")
        later = self.later_scripts()
        migrate.prepare(self.engine, upgrade=True, scripts=later)
        self.assertEqual(migrate.current_revision(self.url), "9999")
        with self.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT version, extra FROM roster_versions").all()
        self.assertEqual([tuple(row) for row in rows], [(7, None)])

    def test_older(self) -> None:
        """Older tables are left alone if the administrator wants that, who learns what to do."""
        self.prepare()
        with self.assertRaisesRegex(StoreError, "xmppctl db upgrade"):
            migrate.prepare(self.engine, upgrade=False, scripts=self.later_scripts())
        self.assertEqual(migrate.current_revision(self.url), self.head())

    def test_newer(self) -> None:
        """Tables of a later version are not touched."""
        self.prepare()
        execute(self.url, "UPDATE alembic_version SET version_num = '9999'")
        with self.assertRaisesRegex(StoreError, "9999, which this version of xmppd does not know"):
            self.prepare()

    def test_for_xmppctl(self) -> None:
        """An administrator sees the revision, and what an upgrade found."""
        self.assertIsNone(migrate.current_revision(self.url))
        self.assertIsNone(migrate.upgrade(self.url))
        self.assertEqual(migrate.upgrade(self.url), self.head())

    def prepare(self, *, upgrade: bool = True) -> None:
        """Do as a start of the server does."""
        migrate.prepare(self.engine, upgrade=upgrade)

    def head(self) -> str:
        """The newest revision."""
        steps = Path(migrations.__path__[0], "versions").glob("[0-9]*.py")
        return max(step.name[:4] for step in steps)

    def later_scripts(self) -> str:
        """The steps of a version that knows one more."""
        copied = self.mktemp()
        shutil.copytree(migrations.__path__[0], copied)
        step = LATER_STEP.format(before=self.head())
        Path(copied, "versions", "9999_later.py").write_text(step)
        return str(Path(copied).resolve())


class SQLiteSchemaTests(SchemaTests, SynchronousTestCase):
    """In a file."""

    def setUp(self) -> None:
        self.url = sqlite_url(self)
        self.engine = make_engine(parse_url(self.url))
        self.addCleanup(self.engine.dispose)


class PostgreSQLSchemaTests(SchemaTests, SynchronousTestCase):
    """On a server."""

    def setUp(self) -> None:
        self.url = make_postgresql()
        self.addCleanup(drop_postgresql, self.url)
        self.engine = make_engine(parse_url(self.url))
        self.addCleanup(self.engine.dispose)


STARTER = """
import sys
from twisted.internet import task
from xmppd.store.sql import SQLStore

async def main(reactor):
    store = SQLStore(sys.argv[1], reactor=reactor)
    await store.open()
    await store.set_item("x", "n", sys.argv[2], b"v", max_items=99, max_bytes=999)
    await store.close()

task.react(main)
"""


class StartTests(TestCase):
    """Several processes find an empty database at the same moment."""

    async def start_together(self, url: str) -> None:
        """All of them come up, and can write."""
        outcomes = await gatherResults(
            [
                getProcessOutputAndValue(
                    sys.executable,
                    ["-c", STARTER, url, str(number)],
                    {"PYTHONPATH": ":".join(sys.path)},
                )
                for number in range(4)
            ]
        )
        for _, errors, code in outcomes:
            self.assertEqual(code, 0, errors.decode())
        store = SQLStore(url, reactor=reactor)
        await store.open()
        self.assertEqual(len(await store.get_items("x", "n")), 4)
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


class UnusableTests(TestCase):
    """What is wrong is said in one sentence, without the password."""

    async def error(self, url: str) -> str:
        """What an administrator reads."""
        store = SQLStore(url, reactor=reactor)
        error = await self.assertFailure(Deferred.fromCoroutine(store.open()), StoreError)
        await store.close()
        self.assertNotIn("\n", str(error))
        return str(error)

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
                error = self.assertRaises(StoreError, parse_url, url)
                self.assertNotIn("s3cret", str(error))

    def test_drivers(self) -> None:
        """An administrator names the database, not the driver."""
        for url in ("postgresql://h/d", "postgresql+psycopg://h/d"):
            self.assertEqual(parse_url(url).drivername, "postgresql+psycopg")
