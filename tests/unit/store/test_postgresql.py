"""PostgreSQL: no wait without end, and a connection that is lost is made again."""

from sqlalchemy import Connection, Select, select, text
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.internet.task import deferLater

from tests.unit.store import databases
from xmppd.store import rosters
from xmppd.store.columns import digest
from xmppd.store.engine import LOCK_TIMEOUT_S, STATEMENT_TIMEOUT_S, make_engine, parse_url
from xmppd.store.errors import StoreError
from xmppd.store.joint_reads import MAX_WAITING_READS
from xmppd.store.postgresql import PostgreSQLDatabase
from xmppd.store.rosters import RosterItem


def show(connection: Connection) -> list[str]:
    """How long the server lets us wait."""
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    return [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]


class PostgreSQLTests(databases.OnPostgreSQL):
    async def opened(self, connections: int) -> PostgreSQLDatabase:
        """The same database, by so many connections, and by nobody else."""
        await self.store.close()
        database = PostgreSQLDatabase(
            parse_url(self.url), IReactorFromThreads(reactor), connections
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(database.close()))
        await database.open(upgrade=True)
        return database

    async def test_herd(self) -> None:
        """What many ask in one turn of the reactor goes in one trip, each to who asked; and so does
        what they ask while all connections are taken.
        """
        for number in range(3):
            await self.store.rosters.save_roster_items(
                f"{number}@x", [RosterItem(f"of-{number}@x")]
            )
        database = await self.opened(1)
        together = [self.asked(database, number % 3) for number in range(10)]
        await deferLater(IReactorTime(reactor), 0)
        later = [self.asked(database, number % 3) for number in range(100)]
        for reads in (together, later):
            told = [await read for read in reads]
            self.assertEqual(told, [f"of-{number % 3}@x" for number in range(len(reads))])
        self.assertEqual(database.reads.trips, 2)

    def asked(self, database: PostgreSQLDatabase, number: int) -> Deferred[str]:
        """The only item of a roster, which is being read."""

        async def read() -> str:
            rows = await database.read(rosters._ROSTER, {"owner": digest(f"{number}@x")})
            return rosters._roster(rows).items[0].jid

        return Deferred.fromCoroutine(read())

    async def test_herd_without_database(self) -> None:
        """If the database fails, everybody on the trip hears of it, and the next trip goes well."""
        database = await self.opened(1)
        databases.execute(self.url, "ALTER TABLE roster_items RENAME TO hidden")
        for _ in range(2):
            reads = [
                Deferred.fromCoroutine(database.read(rosters._ROSTER, {"owner": digest("a@x")}))
                for _ in range(3)
            ]
            for read in reads:
                await self.assertFailure(read, StoreError)
        databases.execute(self.url, "ALTER TABLE hidden RENAME TO roster_items")
        self.assertEqual(await database.read(rosters._ROSTER, {"owner": digest("a@x")}), [])

    async def test_wrong_statement(self) -> None:
        """A statement that is wrong fails alone, whoever asks for something on the same trip."""
        await self.store.rosters.save_roster_items("a@x", [RosterItem("b@x")])
        database = await self.opened(1)
        wrong: Select[int] = select(text("1")).select_from(text("nowhere"))
        owner = {"owner": digest("a@x")}
        good, bad, other, first = (
            Deferred.fromCoroutine(database.read(query, values))
            for query, values in (
                (rosters._VERSION, owner), (wrong, {}), (rosters._VERSION, owner),
                (rosters._VERSION, owner),
            )
        )  # fmt: skip
        error = await self.assertFailure(bad, StoreError)
        self.assertIn("nowhere", str(error))
        self.assertEqual(len(await good), 1)
        self.assertEqual(await other, await first)

    async def test_too_many_reads(self) -> None:
        """Only so many may wait."""
        database = await self.opened(1)
        nobody = {"owner": digest("a@x")}
        reads = [
            Deferred.fromCoroutine(database.read(rosters._ROSTER, nobody))
            for _ in range(MAX_WAITING_READS + 1)
        ]
        error = await self.assertFailure(reads.pop(), StoreError)
        self.assertIn("too slow", str(error))
        for read in reads:
            self.assertEqual(await read, [])

    async def test_timeouts(self) -> None:
        """The server ends what takes too long."""
        database = PostgreSQLDatabase(parse_url(self.url), IReactorFromThreads(reactor), 1)
        shown = await database.write(show)
        await database.close()
        self.assertEqual(shown, [f"{LOCK_TIMEOUT_S}s", f"{STATEMENT_TIMEOUT_S}s", "1min"])

    async def test_limits_of_the_connection(self) -> None:
        """Both ends give a peer up that the network has lost; what the URL says comes before."""
        url = parse_url(f"{self.url}&connect_timeout=3&options=-c lock_timeout=1234")
        engine = make_engine(url)
        self.addCleanup(engine.dispose)
        with engine.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            named = driver.info.get_parameters()
            shown = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
            counted = connection.exec_driver_sql("SHOW statement_timeout").scalar_one()
        self.assertEqual((named["connect_timeout"], named["tcp_user_timeout"]), ("3", "15000"))
        self.assertEqual((shown, counted), ("1234ms", f"{STATEMENT_TIMEOUT_S}s"))

    async def test_reconnect(self) -> None:
        """After the server has dropped all connections reads and writes go on."""
        version = await self.store.rosters.save_roster_items("a@x", [RosterItem("b@x")])
        databases.execute(
            self.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        self.assertEqual((await self.store.rosters.roster("a@x")).version, version)
        await self.store.rosters.save_roster_items("a@x", [RosterItem("c@x")])
        self.assertEqual(len((await self.store.rosters.roster("a@x")).items), 2)

    async def test_failure(self) -> None:
        """A write that fails is told in one sentence, and the next one goes well."""
        databases.execute(self.url, "ALTER TABLE roster_items RENAME TO hidden")
        saving = Deferred.fromCoroutine(
            self.store.rosters.save_roster_items("a@x", [RosterItem("b@x", "s3cret")])
        )
        error = await self.assertFailure(saving, StoreError)
        self.assertIn("does not exist", str(error))
        self.assertNotIn("s3cret", str(error))
        databases.execute(self.url, "ALTER TABLE hidden RENAME TO roster_items")
        await self.store.rosters.save_roster_items("a@x", [RosterItem("c@x")])
        self.assertEqual((await self.store.rosters.roster("a@x")).items, (RosterItem("c@x"),))
