"""What becomes of a schema, asked of each database by the test cases that mix this in."""

import shutil
from collections import Counter
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from msgspec import msgpack
from sqlalchemy import Connection, Engine, insert, inspect, select
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.store.databases import execute
from xmppd.store import migrate, migrations
from xmppd.store.columns import metadata, upsert
from xmppd.store.errors import StoreError
from xmppd.store.items import items
from xmppd.store.offline import offline_messages
from xmppd.store.sessions import sessions
from xmppd.store.usage import usage

SHARES = ("sender", "sender_domain")

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
        self.assertEqual(migrate.NEWEST, self.head())
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
            {"offline_messages", "held_messages", "quarantine", "audit"}
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
        migrate.prepare(self.engine, upgrade=True, scripts=later, newest="9999")
        self.assertEqual(migrate.current_revision(self.url), "9999")
        with self.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT version, extra FROM roster_versions").all()
        self.assertEqual([tuple(row) for row in rows], [(7, None)])

    def test_usage_of_before(self) -> None:
        """What was stored before it was counted is counted with the upgrade."""
        self.upgrade("0004")
        with self.engine.begin() as connection:
            self.keep(connection, "a", "one", "three")
            self.keep(connection, "b", "four")
            self.put(connection, "a", "k", "value")
        self.prepare()
        self.assert_counted()
        with self.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM offline_messages WHERE size = 3")
        self.assert_counted()

    def test_sessions_of_before(self) -> None:
        """A session that was saved before has its carbons, and sees whom it saw; one that cannot
        be read is left as it is.
        """
        self.upgrade("0010")
        before = {"jid": "romeo@montague.lit/1", "carbons": True, "state": {"sight": b"[]"}}
        with self.engine.begin() as connection:
            for key, data in (
                (b"1", msgpack.encode(before)),
                (b"2", b"half of it"),
                (b"3", b"\x80"),
            ):
                row = {"key": key, "owner": b"o", "account": "romeo@montague.lit", "data": data}
                connection.execute(insert(sessions), row)
        self.prepare()
        with self.engine.connect() as connection:
            found = connection.execute(select(sessions.c.data).order_by(sessions.c.key)).all()
        after = {"jid": "romeo@montague.lit/1", "state": {"carbons": b"enabled", "seen": b"[]"}}
        self.assertEqual(msgpack.decode(found[0][0]), after)
        self.assertEqual([bytes(data) for (data,) in found[1:]], [b"half of it", b"\x80"])

    def test_rows_of_before(self) -> None:
        """What was kept before there were nodes belongs to none, and nobody has taken it."""
        self.upgrade("0011")
        with self.engine.begin() as connection:
            self.keep(connection, "a", "one")
            row = {"key": b"1", "owner": b"o", "account": "romeo@montague.lit", "data": b"x"}
            connection.execute(insert(sessions), row)
        self.prepare()
        with self.engine.connect() as connection:
            holders = connection.execute(select(offline_messages.c.holder)).all()
            nodes = connection.execute(select(sessions.c.node)).all()
        self.assertEqual((holders, nodes), ([(None,)], [("",)]))

    def test_usage(self) -> None:
        """Whatever adds, changes or removes rows, also several at a time, they are counted."""
        self.prepare()
        with self.engine.begin() as connection:
            self.keep(connection, "a", "one", "three", "eleven", sender="s", sender_domain="d")
            self.keep(connection, "a", "four", sender="t", sender_domain="d")
            self.keep(connection, "b", "eight", sender="s")
            for key, value in (("k", "v"), ("k", "longer"), ("l", ""), ("k", "less")):
                self.put(connection, "a", key, value)
        self.assert_counted()
        for statement in (
            "UPDATE offline_messages SET size = size + 7 WHERE size > 3",
            "DELETE FROM offline_messages WHERE size < 12",
            "DELETE FROM items",
        ):
            execute(self.url, statement)
            self.assert_counted()

    def keep(self, connection: Connection, owner: str, *words: str, **shares: str) -> None:
        """Store messages."""
        rows = [
            {"owner": owner.encode(), "stored": 1.0, "size": len(word), "stanza": word.encode()}
            | {name: share.encode() for name, share in shares.items()}
            for word in words
        ]
        connection.execute(insert(offline_messages), rows)

    def put(self, connection: Connection, owner: str, key: str, value: str) -> None:
        """Store an item, or another in its place."""
        row = {
            "owner": owner.encode(),
            "space": b"",
            "item": key.encode(),
            "namespace": "",
            "key": key,
            "size": len(value),
            "value": value.encode(),
        }
        connection.execute(upsert(items).on(connection), row)

    def assert_counted(self) -> None:
        """The table of usage says what is there."""
        with self.engine.connect() as connection:
            found = {
                (owner, share): (count, size)
                for owner, share, count, size in connection.execute(select(usage))
            }
            expected: Counter[tuple[bytes, bytes]] = Counter()
            sizes: Counter[tuple[bytes, bytes]] = Counter()
            messages = select(*[offline_messages.c[c] for c in ("owner", "size", *SHARES)])
            for owner, size, *shares in connection.execute(messages):
                for share in (b"messages", *shares):
                    if share is not None:
                        expected[owner, share] += 1
                        sizes[owner, share] += size
            for owner, size in connection.execute(select(items.c.owner, items.c.size)):
                expected[owner, b"items"] += 1
                sizes[owner, b"items"] += size
        self.assertEqual(found, {key: (expected[key], sizes[key]) for key in expected})

    def test_older(self) -> None:
        """Older tables are left alone if the administrator wants that, who learns what to do."""
        self.prepare()
        with self.assertRaisesRegex(StoreError, "xmppctl db upgrade"):
            later = self.later_scripts()
            migrate.prepare(self.engine, upgrade=False, scripts=later, newest="9999")
        self.assertEqual(migrate.current_revision(self.url), self.head())

    def test_empty(self) -> None:
        """Where there must be tables, none are made; xmppctl makes them (ST-6)."""
        with self.assertRaisesRegex(StoreError, "is empty; .*xmppctl db upgrade"):
            migrate.prepare(self.engine, upgrade=True, may_create=False)
        self.assertIsNone(migrate.upgrade(self.url))
        migrate.prepare(self.engine, upgrade=True, may_create=False)

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
        """The newest revision, as the files of the steps have it."""
        steps = Path(migrations.__path__[0], "versions").glob("[0-9]*.py")
        return max(step.name[:4] for step in steps)

    def upgrade(self, revision: str) -> None:
        """Make the tables as they were then."""
        config = Config()
        config.set_main_option("script_location", migrate.SCRIPTS)
        config.set_main_option("path_separator", "os")
        with self.engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

    def later_scripts(self) -> str:
        """The steps of a version that knows one more."""
        copied = self.mktemp()
        shutil.copytree(migrations.__path__[0], copied)
        step = LATER_STEP.format(before=self.head())
        Path(copied, "versions", "9999_later.py").write_text(step)
        return str(Path(copied).resolve())
