"""How much the database holds of each kind is measured, in bounded time."""

from sqlalchemy import Connection, text
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.store import databases
from tests.unit.store import sizes_contract as contract
from tests.unit.store.contract import JULIET, KEYS, ROMEO
from xmppd.store.columns import metadata
from xmppd.store.sizes import BESIDE, GOOD_FOR_S, KINDS, StoredSizes, kind_of


class SQLiteTests(databases.OnSQLite, contract.SizesContract):
    """In a file."""

    async def whole(self) -> int:
        def ask(connection: Connection) -> int:
            asked = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            size: int = connection.execute(text(asked)).scalar_one()
            return size

        return await self.store.database.write(ask)

    async def test_small(self) -> None:
        """What is small is counted exactly."""
        for account in (ROMEO, JULIET):
            await self.store.items.set_item(account, "x", "y", b"z", max_items=9, max_bytes=99)
        found = await self.measured()
        self.assertEqual(found["values of accounts and plugins"].rows, 2)
        self.assertFalse(any(size.estimated for size in found.values()))
        self.assertGreater(found["accounts"].bytes, 0)
        self.assertEqual(found["accounts"].rows, 0)
        await self.store.accounts.create_account(ROMEO, KEYS)
        self.assertEqual((await self.measured())["accounts"].rows, 1)  # however many its keys

    async def test_kept(self) -> None:
        """For a minute nothing is measured again."""
        clock = Clock()
        stored = StoredSizes(self.store.database, clock)
        before = await stored.by_kind()
        await self.store.items.set_item(ROMEO, "x", "y", b"z", max_items=9, max_bytes=99)
        self.assertIs(await stored.by_kind(), before)
        clock.advance(GOOD_FOR_S)
        self.assertEqual(dict(await stored.by_kind())["values of accounts and plugins"].rows, 1)


class PostgreSQLTests(databases.OnPostgreSQL, contract.SizesContract):
    """On a server."""

    async def settle(self) -> None:
        databases.execute(self.url, "ANALYZE")

    async def whole(self) -> int:
        def ask(connection: Connection) -> int:
            asked = "SELECT pg_total_relation_size('accounts')"
            size: int = connection.execute(text(asked)).scalar_one()
            return size

        return await self.store.database.write(ask)


class KindTests(SynchronousTestCase):
    """What the records of a table are."""

    def test_each(self) -> None:
        """Each table of the server's own has a kind; one of a plugin is of that plugin."""
        self.assertEqual(KINDS.keys(), metadata.tables.keys())
        self.assertLess(BESIDE, KINDS.keys())
        plugins = ("room", "room_news", "archive")
        for table, kind in (
            ("archive_stanzas", "archive"), ("room_news_items", "room_news"), ("room", "room"),
            ("roomy", "other"), ("sessions", "sessions"), ("sqlite_sequence", "other"),
        ):  # fmt: skip
            self.assertEqual(kind_of(table, plugins), kind)
