"""The tables of rooms do the same on each database."""

from hypothesis import given
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.muc import store_contract as contract
from tests.plugins.muc.rooms_of_all_kinds import rooms
from tests.unit.store import databases
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store
from xmppd.store.tables import Tables
from xmppd.testing.client import done
from xmppd_plugins.muc.ranks import RoomAffiliation
from xmppd_plugins.muc.state import Affiliated, KeptRoom, heir
from xmppd_plugins.muc.store import RoomStore
from xmppd_plugins.muc.tables import metadata

ROMEO, JULIET = "romeo@verona.lit", "juliet@verona.lit"


class MemoryTests(contract.StoreContract):
    """In memory, as other tests have it."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.database = MemoryDatabase()
        await self.another_store()

    async def another_store(self) -> None:
        self.store = Store(self.database, Clock())
        await self.store.open()


class SQLiteTests(databases.OnSQLite, contract.StoreContract):
    """In a file."""


class PostgreSQLTests(databases.OnPostgreSQL, contract.StoreContract):
    """On a server."""


class EveryRoomTests(SynchronousTestCase):
    """What holds for every room."""

    @given(rooms())
    def test_as_it_was(self, room: KeptRoom) -> None:
        """A room that is read is the one that was kept."""
        store = Store(MemoryDatabase(), Clock())
        done(store.open())
        done(store.tables.put(Tables(metadata), "muc"))
        kept = RoomStore(store.database)
        done(kept.create(room, 1, max_rooms=1))
        self.assertEqual(done(kept.load(room.jid)), room)


class HeirTests(SynchronousTestCase):
    """Who owns a room whose owners are gone."""

    def test_oldest(self) -> None:
        """It is the admin who has been so for longest."""
        member = Affiliated("tybalt@capulet.lit", RoomAffiliation.MEMBER, version=1)
        old = Affiliated(ROMEO, RoomAffiliation.ADMIN, version=2)
        new = Affiliated(JULIET, RoomAffiliation.ADMIN, version=3)
        owner = Affiliated(ROMEO, RoomAffiliation.OWNER, version=2)
        self.assertEqual(heir((new, member, old)), owner)

    def test_nobody(self) -> None:
        """There is none while there is an owner, or if there is no admin."""
        admin = Affiliated(ROMEO, RoomAffiliation.ADMIN)
        self.assertIsNone(heir((admin, Affiliated(JULIET, RoomAffiliation.OWNER))))
        self.assertIsNone(heir((Affiliated(JULIET, RoomAffiliation.MEMBER),)))
