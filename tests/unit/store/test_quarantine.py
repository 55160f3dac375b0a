"""Records that cannot be read are set aside, and stop nothing but themselves (QT-1)."""

from collections.abc import Sequence
from typing import Any

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.unit.store import databases
from tests.unit.store import quarantine_contract as contract
from tests.unit.store.contract import JULIET, ROMEO
from xmppd.store.engine import make_engine, parse_url
from xmppd.store.errors import StoreError
from xmppd.store.healing import RecordStore
from xmppd.store.items import Item
from xmppd.store.kind import Damaged, Fragment
from xmppd.store.memory import MemoryDatabase
from xmppd.store.readable import MAX_NAMED_AT_ONCE, Quarantined, readable
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import done
from xmppd.testing.house import memory_store


class MemoryTests(contract.QuarantineContract):
    def setUp(self) -> None:
        self.store = memory_store()


class SQLiteTests(databases.OnSQLite, contract.QuarantineContract):
    """In a file."""


class PostgreSQLTests(databases.OnPostgreSQL, contract.QuarantineContract):
    """On a server."""


class DamagedPostgreSQLTests(databases.OnPostgreSQL, contract.DamageContract):
    """On a server, which keeps out of a column what is none of its kind."""


class DamagedSQLiteTests(databases.OnSQLite, contract.DamageContract):
    """In a file, in which any column takes any value."""

    async def after(
        self, table: str, column: str, value: object, where: str = ""
    ) -> dict[str, Any]:
        await self.fill()
        self.damage(table, column, value, where)
        await self.another_store()
        return await self.read_all()

    async def test_text_in_place_of_bytes(self) -> None:
        """One message is no bytes any more: the other is there."""
        found = await self.after("offline_messages", "stanza", "<a/>", "id=1")
        self.assertEqual([each.stanza for each in found["messages"]], [b"<b/>"])

    async def test_roster(self) -> None:
        """A contact stays one without the name or the groups that cannot be read."""
        broken = "\ud800".encode("utf-8", "surrogatepass")
        for column, value in (
            ("name", b"\xff"),
            ("groups", "[1"),
            ("groups", '["\\u0001"]'),
            ("name", "\x01"),
            ("name", broken),
        ):
            with self.subTest(column=column, value=value):
                found = await self.after("roster_items", column, value, f"jid={JULIET}")
                names = [item.jid for item in found["roster"]]
                self.assertEqual(names, [JULIET, "nurse@capulet.lit"])
                await self.store.accounts.delete_account(ROMEO)
                await self.store.accounts.delete_account(f"benvolio@{contract.DOMAIN}")

    async def test_other_name(self) -> None:
        """A contact or an item of which the name alone is damaged is found, and set aside."""
        found = await self.after("roster_items", "jid", "@", f"jid={JULIET}")
        (bad,) = (item for item in found["roster"] if item.jid == "@")
        self.damage("items", "key", "<c/>", "key=<a/>")
        damaged = [Damaged(bad, "bad"), Damaged(Item("urn:x", "<c/>", b"<a/>"), "bad")]
        self.assertEqual(len(await self.store.items.set_aside(ROMEO, damaged)), 2)
        self.assertEqual(len((await self.store.rosters.roster(ROMEO)).items), 1)
        self.assertEqual(list(await self.store.items.get_items(ROMEO, "urn:x")), ["<b/>"])

    async def test_roster_version(self) -> None:
        """A roster whose version is lost is a roster, and its next version is another."""
        found = await self.after("roster_versions", "version", "x")
        self.assertEqual(len(found["roster"]), 2)
        before = (await self.store.rosters.roster(ROMEO)).version
        after = await self.store.rosters.save_roster_items(ROMEO, [RosterItem("x@y")])
        self.assertGreater(after, before)

    async def test_account_stays(self) -> None:
        """An account whose name in the list is damaged can log in, and the others are listed."""
        found = await self.after("accounts", "account", b"\xff\xfe", f"account={ROMEO}")
        names = [info.account for info in found["accounts"]]
        self.assertEqual(names, [f"benvolio@{contract.DOMAIN}"])
        credentials = await self.store.accounts.credentials(ROMEO)
        assert credentials is not None
        self.assertEqual(len(credentials.keys), 2)

    async def test_key(self) -> None:
        """One key cannot be used: the other can."""
        found = await self.after("scram_keys", "iterations", "many", "hash=SHA-1")
        self.assertEqual(list(found["credentials"].keys), ["SHA-256"])

    async def test_closed_account(self) -> None:
        """An account of which nobody knows whether it was closed is closed."""
        await self.after("accounts", "disabled", "perhaps")
        credentials = await self.store.accounts.credentials(ROMEO)
        assert credentials is not None
        self.assertTrue(credentials.disabled)

    async def test_moments(self) -> None:
        """What has no time any more is there without it."""
        found = await self.after("offline_messages", "stored", "noon")
        self.assertEqual([each.stored for each in found["messages"]], [0.0, 0.0])
        found = await self.after_more("last_presences", "seen", 1e300)
        self.assertEqual(found["last"], {})

    async def after_more(self, table: str, column: str, value: object) -> dict[str, Any]:
        self.damage(table, column, value)
        await self.another_store()
        return await self.read_all()

    async def test_group(self) -> None:
        """A member that is no address is none; the groups and their other members are."""
        found = await self.after("shared_group_members", "account", "@", f"account={ROMEO}")
        groups = found["groups"]
        self.assertEqual([group.members for group in groups], [(JULIET,), (JULIET,)])

    async def test_token(self) -> None:
        """A device without the token that cannot be read is known, and gets another."""
        found = await self.after("devices", "new_token", "{", "id=id")
        self.assertEqual(
            {d.id: d.new is None for d in found["devices"]}, {"id": True, "other": False}
        )
        await self.store.devices.add_token(ROMEO, contract.DEVICE, contract.TOKEN, max_devices=5)

    async def test_held(self) -> None:
        """What was held comes back without the one that cannot be read."""
        await self.fill()
        self.damage("held_messages", "stanza", "x", "number=1")
        self.assertEqual(
            [each.stanza for each in await self.store.sessions.recover_messages("")], [b"<d/>"]
        )

    async def test_sessions(self) -> None:
        """Sessions are taken up without the one that cannot be read."""
        await self.fill()
        self.damage("sessions", "data", "x", "account=" + ROMEO)
        self.assertEqual(await self.store.sessions.saved_sessions(""), [])
        self.assertEqual(await self.store.quarantine.count_quarantined(), 2)


class LogTests(SynchronousTestCase):
    """What the administrator is told."""

    def setUp(self) -> None:
        self.store = memory_store()
        self.logged = self.enterContext(capturedLogs())

    @property
    def told(self) -> list[str | None]:
        return [formatEvent(event) for event in self.logged]

    def read(self, count: int) -> None:
        """Read so many records that are all bad."""
        records = [Fragment("card", str(number), b"%d" % number) for number in range(count)]

        def fails(record: Fragment) -> None:
            raise ValueError("torn\nINFO all is well")

        done(readable(self.store.items, ROMEO, records, fails))

    def test_named_once(self) -> None:
        """Each is named once, in one line, with what to do."""
        self.read(1)
        self.read(1)
        (line,) = self.told
        self.assertIn(f"card 0 of {ROMEO}", line)
        self.assertIn("xmppctl db quarantine show 1", line)
        self.assertNotIn("\n", line)

    def test_many(self) -> None:
        """Of very many the first are named, and the others counted."""
        self.read(MAX_NAMED_AT_ONCE + 7)
        self.assertEqual(len(self.told), MAX_NAMED_AT_ONCE + 1)
        self.assertIn("more records moved to quarantine: 7", self.told[-1])

    def test_store_fails(self) -> None:
        """If the store cannot be written what is good comes back all the same."""

        class Broken(RecordStore):
            @override
            async def set_aside(
                self, account: str, damaged: Sequence[Damaged]
            ) -> list[Quarantined]:
                raise StoreError("the disk is full")

        records = [Fragment("x", "y", data) for data in (b"1", b"x", b"2")]
        found = done(
            readable(Broken(MemoryDatabase()), ROMEO, records, lambda each: int(each.data))
        )
        self.assertEqual(found, [1, 2])
        self.assertIn("could not be moved to quarantine: 1: the disk is full", self.told[0])


class MendedSQLiteTests(contract.MendedContract):
    """In a file."""

    def setUp(self) -> None:
        self.engine = make_engine(parse_url(databases.sqlite_url(self)))
        self.addCleanup(self.engine.dispose)


class MendedPostgreSQLTests(contract.MendedContract):
    """On a server."""

    def setUp(self) -> None:
        url = databases.make_postgresql()
        self.addCleanup(databases.drop_postgresql, url)
        self.engine = make_engine(parse_url(url))
        self.addCleanup(self.engine.dispose)
