"""What the table of registrations does, asked of each database."""

from twisted.internet.defer import Deferred, gatherResults

from tests.plugins.push.service import DOMAIN, JULIET, SERVICE
from tests.unit.store.contract import Asking
from xmppd.store.errors import QuotaExceeded
from xmppd.store.tables import Tables
from xmppd_plugins.push import registrations
from xmppd_plugins.push.registrations import (
    MAX_REGISTRATIONS,
    PushRecord,
    Registration,
    Registrations,
    metadata,
)


class RegistrationsContract(Asking):
    """The table, asked of each database."""

    async def table(self) -> Registrations:
        """Registrations, once the plugin is loaded."""
        await self.store.tables.put(Tables(metadata), "push")
        return Registrations(self.store.database)

    def one(self, node: str, account: str = JULIET, service: str = SERVICE) -> Registration:
        """A registration."""
        return Registration(account, service, node, b"<x/>", "device")

    async def count(self, table: Registrations, registration: Registration, unseen: int) -> None:
        """Note that its service was told of so many messages more."""
        await table.note(registration, lambda record: PushRecord(record.unseen + unseen))

    async def test_kept(self) -> None:
        """What was registered is read, the oldest first; what was noted as well."""
        table = await self.table()
        first, second = self.one("𝔘"), self.one("")
        await table.save(first, 1.0)
        await table.save(second, 2.0)
        self.assertEqual(await table.of(JULIET), (first, second))
        record = PushRecord(5, 4, 3, 2, 1.5, "gone")
        self.assertEqual(await table.note(second, lambda _: record), record)
        self.assertEqual(await table.records(JULIET), {first.key: PushRecord(), second.key: record})
        await table.save(second, 3.0)
        self.assertEqual(
            await table.records(JULIET), {first.key: PushRecord(), second.key: PushRecord()}
        )

    async def test_gone(self) -> None:
        """What is noted of one that is gone is not kept."""
        table = await self.table()
        await table.save(self.one("a"), 1.0)
        self.assertTrue(await table.remove(JULIET, SERVICE, "a"))
        self.assertFalse(await table.remove(JULIET, SERVICE, "a"))
        self.assertFalse(await table.remove(JULIET, SERVICE, None))
        self.assertIsNone(await table.note(self.one("a"), lambda _: PushRecord(1)))
        self.assertEqual(await table.records(JULIET), {})

    async def test_accounts(self) -> None:
        """All accounts with registrations are found, in pages."""
        table = await self.table()
        self.patch(registrations, "PAGE", 2)
        names = {f"c{number}@{DOMAIN}" for number in range(5)}
        for name in names:
            for node in ("a", "b"):
                await table.save(self.one(node, name), 1.0)
        found = await table.accounts()
        self.assertEqual((set(found), len(found)), (names, 5))

    async def test_seen(self) -> None:
        """Those that were told of something are found once."""
        table = await self.table()
        for node, unseen in (("a", 0), ("b", 2)):
            await table.save(self.one(node), 1.0)
            await self.count(table, self.one(node), unseen)
        self.assertEqual(await table.seen(JULIET), (self.one("b"),))
        self.assertEqual(await table.seen(JULIET), ())

    async def test_noted_at_once(self) -> None:
        """Outcomes that are noted at the same moment are all counted."""
        table = await self.table()
        one = self.one("a")
        await table.save(one, 1.0)
        noting = [Deferred.fromCoroutine(self.count(table, one, 1)) for _ in range(10)]
        await gatherResults(noting)
        self.assertEqual(await table.records(JULIET), {one.key: PushRecord(10)})

    async def test_at_once(self) -> None:
        """Those that are registered at the same moment are not more than there is room for."""
        table = await self.table()
        saving = [
            Deferred.fromCoroutine(table.save(self.one(str(number)), 1.0)) for number in range(15)
        ]
        for each in saving:
            each.addErrback(lambda failure: failure.trap(QuotaExceeded) and None)
        await gatherResults(saving)
        self.assertEqual(len(await table.of(JULIET)), MAX_REGISTRATIONS)
