"""What becomes of a schema, asked of each database by the test cases that mix this in."""

import shutil
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.store.databases import execute
from xmppd.store import migrate, migrations
from xmppd.store.base import StoreError
from xmppd.store.schema import metadata

LATER_STEP = """
revision = "9999"
down_revision = "{before}"

def upgrade():
    from alembic import op
    import sqlalchemy as sa
    with op.batch_alter_table("roster_versions") as table:
        table.add_column(sa.Column("extra", sa.Text))
"""


class SchemaContract(SynchronousTestCase):
    """A test case with the URL and the engine of an empty database."""

    url: str
    engine: Engine

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
        """Every key has a name, so that a later step can change it."""
        self.prepare()
        inspector = inspect(self.engine)
        # SQLite has no name for the key that counts by itself, and no need of one.
        counting = (
            {"offline_messages", "held_messages", "quarantine"}
            if self.engine.dialect.name == "sqlite"
            else set[str]()
        )
        for table in metadata.tables.keys() - counting:
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
