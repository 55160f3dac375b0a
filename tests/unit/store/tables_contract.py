"""What tables of plugins are, asked of each database by the test cases that mix this in."""

from functools import partial

from twisted.internet.defer import Deferred, gatherResults

from tests.unit.store.contract import JULIET, ROMEO, Asking
from xmppd.store.errors import StoreError, TablesRefused
from xmppd.store.sql import (
    NAMES,
    Column,
    Connection,
    Double,
    Index,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Tables,
    Text,
    bindparam,
    digest,
    digest_column,
    insert,
    select,
    text,
    update,
)
from xmppd.store.steps import Operations
from xmppd.store.tables import Step

PLUGIN = "guestbook"


def entries(*more: Column[object], name: str = PLUGIN) -> Table:
    """The table of a plugin, in metadata of its own."""
    return Table(
        name,
        MetaData(naming_convention=NAMES),
        digest_column("owner"),
        Column("at", Double, primary_key=True),
        Column("words", Text, nullable=False),
        *more,
        Index(None, "at"),
    )


def add_place(operations: Operations) -> None:
    """The step to the second version."""
    operations.add_column(PLUGIN, Column("place", Text))


FIRST = entries()
SECOND = entries(Column("place", Text))
WORDS: Select[str] = (
    select(FIRST.c.words).where(FIRST.c.owner == bindparam("owner")).order_by(FIRST.c.at)
)


def sign(connection: Connection, account: str, at: float, words: str) -> None:
    """Add a row."""
    row = {"owner": digest(account), "at": at, "words": words}
    connection.execute(insert(FIRST), row)


class TablesContract(Asking):
    """A plugin with one table, in an open store."""

    async def another_store(self) -> None:
        """Open the database anew: nothing is remembered."""
        raise NotImplementedError

    async def put(self, table: Table, *steps: Step, plugin: str = PLUGIN) -> None:
        """Load the plugin, as it is with this table and these steps."""
        undo = await self.store.tables.put(Tables(table.metadata, steps), plugin)
        undo()

    async def sign(self, account: str, *words: str) -> None:
        for at, each in enumerate(words):
            await self.store.database.write(partial(sign, account=account, at=at, words=each))

    async def words(self, account: str) -> list[str]:
        found = await self.store.database.read(WORDS, {"owner": digest(account)})
        return [words for (words,) in found]

    async def version(self) -> int | None:
        """Which version the database says that the tables are."""

        def look(connection: Connection) -> int | None:
            found = text("SELECT version FROM plugin_schemas WHERE plugin = 'guestbook'")
            version: int | None = connection.execute(found).scalar()
            return version

        return await self.store.database.write(look)

    async def test_made(self) -> None:
        """A plugin that is loaded for the first time has its tables, and finds them again."""
        await self.put(FIRST)
        await self.sign(ROMEO, "O, she doth teach", "the torches")
        await self.put(FIRST)
        self.assertEqual(await self.words(ROMEO), ["O, she doth teach", "the torches"])
        self.assertEqual(await self.words(JULIET), [])
        self.assertEqual(await self.version(), 0)

    async def test_upgraded(self) -> None:
        """A later version of a plugin changes its tables, and nothing that is in them."""
        await self.put(FIRST)
        await self.sign(ROMEO, "a")
        await self.put(SECOND, add_place)
        await self.put(SECOND, add_place)
        await self.store.database.write(lambda c: c.execute(update(SECOND).values(place="x")))
        self.assertEqual((await self.words(ROMEO), await self.version()), (["a"], 1))

    async def test_made_as_it_is_now(self) -> None:
        """Where there are no tables they are made of the last version, and no step is taken."""
        await self.put(SECOND, add_place)
        await self.store.database.write(lambda c: c.execute(update(SECOND).values(place="x")))
        self.assertEqual(await self.version(), 1)

    async def test_once(self) -> None:
        """What is loaded at the same moment takes no step twice."""
        await self.put(FIRST)
        taken: list[Operations] = []

        def step(operations: Operations) -> None:
            taken.append(operations)
            add_place(operations)

        await gatherResults([Deferred.fromCoroutine(self.put(SECOND, step)) for _ in range(4)])
        self.assertEqual(len(taken), 1)

    async def test_newer(self) -> None:
        """Tables of a later version are left alone, in one sentence; the database does not fail."""
        await self.put(SECOND, add_place)
        error = await self.assertFailure(Deferred.fromCoroutine(self.put(FIRST)), TablesRefused)
        self.assertRegex(str(error), "plugin guestbook have version 1, .*install a newer version")
        self.assertEqual(await self.version(), 1)

    async def test_step_fails(self) -> None:
        """A step that fails leaves everything as it was, what was done before it too."""
        await self.put(FIRST)
        await self.sign(ROMEO, "a")

        def fails(operations: Operations) -> None:
            operations.execute("DELETE FROM guestbook")
            raise ZeroDivisionError

        def wrong(operations: Operations) -> None:
            operations.execute("DELETE FROM guestbook")
            operations.drop_column("guestbook", "nothing")

        third = entries(Column("place", Text), Column("mood", Text))
        for step, failure in ((fails, ZeroDivisionError), (wrong, StoreError)):
            with self.subTest(step):
                loading = Deferred.fromCoroutine(self.put(third, add_place, step))
                await self.assertFailure(loading, failure)
                self.assertEqual((await self.words(ROMEO), await self.version()), (["a"], 0))
        await self.put(SECOND, add_place)

    async def test_step_is_missing(self) -> None:
        """Tables that are not what the plugin says are not used, and it says of what columns."""
        await self.put(FIRST)
        loading = Deferred.fromCoroutine(self.put(SECOND, lambda operations: None))
        error = await self.assertFailure(loading, TablesRefused)
        self.assertIn("(different: place)", str(error))
        self.assertEqual(await self.version(), 0)

    async def test_not_upgraded(self) -> None:
        """Older tables are left alone if the administrator wants that; new ones are made."""
        await self.put(FIRST)
        await self.store.tables.open(may_upgrade=False)
        loading = Deferred.fromCoroutine(self.put(SECOND, add_place))
        error = await self.assertFailure(loading, TablesRefused)
        self.assertRegex(str(error), "older version 0: .*upgrade")
        await self.put(FIRST)
        await self.put(entries(name="other"), plugin="other")

    async def test_names(self) -> None:
        """A table is called as the plugin is, and never as one of the server's."""
        await self.put(entries(name="guestbook_pages"))
        for name, plugin in (
            ("accounts", PLUGIN), ("guestbooks", PLUGIN), ("items", "items"),
            ("offline_messages", "offline"),
        ):  # fmt: skip
            with self.subTest(name):
                await self.refuses(ValueError, self.put(entries(name=name), plugin=plugin))

    async def test_taken(self) -> None:
        """A table that somebody else has made is not taken for the plugin's."""
        name = "guestbook_page"
        await self.put(entries(name=name))
        await self.refuses(TablesRefused, self.put(entries(name=name), plugin=name))

    async def test_owner(self) -> None:
        """An owner that is no digest would never go: that is refused."""
        table = Table(PLUGIN, MetaData(), Column("owner", Text, primary_key=True))
        await self.refuses(ValueError, self.put(table))

    async def test_gone_with_the_account(self) -> None:
        """Rows with an owner go with the account."""
        await self.put(FIRST)
        for account in (ROMEO, JULIET):
            await self.store.accounts.create_account(account, ())
            await self.sign(account, "a")
        await self.store.accounts.delete_account(ROMEO)
        self.assertEqual((await self.words(ROMEO), await self.words(JULIET)), ([], ["a"]))

    async def test_gone_unloaded(self) -> None:
        """So they do while the plugin is not loaded: who gets the name later finds nothing."""
        await self.put(FIRST)
        await self.store.accounts.create_account(ROMEO, ())
        await self.sign(ROMEO, "a")
        await self.sign(JULIET, "left behind")
        await self.another_store()
        await self.store.accounts.delete_account(ROMEO)
        await self.store.accounts.create_account(JULIET, ())
        self.assertEqual((await self.words(ROMEO), await self.words(JULIET)), ([], []))

    async def test_dropped(self) -> None:
        """A table that a step drops is missed by nobody when an account is removed."""
        first = MetaData(naming_convention=NAMES)
        for name in ("guestbook_pages", "guestbook_covers"):
            Table(name, first, digest_column("owner"), Column("words", Text, primary_key=True))
        later = MetaData(naming_convention=NAMES)
        first.tables["guestbook_pages"].to_metadata(later)
        await self.store.tables.put(Tables(first), PLUGIN)
        await self.another_store()
        step = partial(Operations.drop_table, table_name="guestbook_covers")
        await self.store.tables.put(Tables(later, (step,)), PLUGIN)
        await self.store.accounts.create_account(ROMEO, ())
        await self.store.accounts.delete_account(ROMEO)

    async def test_removed_by_hand(self) -> None:
        """A table that somebody has dropped, of a plugin that is gone, is missed by nobody."""
        await self.put(FIRST)
        await self.store.database.write(lambda c: c.execute(text("DROP TABLE guestbook")))
        await self.another_store()
        await self.store.accounts.create_account(ROMEO, ())

    async def test_record_lost(self) -> None:
        """Tables whose record is damaged are taken as they are, if they are as the plugin says."""
        await self.put(FIRST)
        await self.sign(ROMEO, "a")
        damage = text("UPDATE plugin_schemas SET plugin = 'guestbo'")
        await self.store.database.write(lambda c: c.execute(damage))
        await self.another_store()
        later = Deferred.fromCoroutine(self.put(SECOND, add_place))
        await self.assertFailure(later, TablesRefused)
        await self.put(FIRST)
        self.assertEqual(await self.words(ROMEO), ["a"])

    async def test_rows(self) -> None:
        """All that an account has is found, with the rows of plugins, loaded or not."""
        await self.put(FIRST)
        await self.sign(ROMEO, "a")
        await self.set_item("key", b"value")
        for again in (self.another_store, None):
            found = await self.store.belongings.rows(self.store.database, ROMEO)
            rows = {table: dict(row) for table, row in found}
            self.assertEqual(rows[PLUGIN], {"owner": digest(ROMEO), "at": 0.0, "words": "a"})
            self.assertEqual((rows["items"]["key"], rows["items"]["value"]), ("key", b"value"))
            self.assertEqual(rows.keys(), {PLUGIN, "items"})
            if again is not None:
                await again()

    async def test_without_owner(self) -> None:
        """Rows without an owner stay."""
        table = Table(PLUGIN, MetaData(), Column("words", LargeBinary, primary_key=True))
        await self.put(table)
        await self.store.database.write(lambda c: c.execute(insert(table), {"words": b"a"}))
        await self.store.accounts.create_account(ROMEO, ())
        await self.store.accounts.delete_account(ROMEO)
        self.assertEqual(len(await self.store.database.read(select(table.c.words), {})), 1)
