"""What the table of conversations does, asked of each database."""

from typing import Any

from tests.unit.store.contract import JULIET, ROMEO, Asking
from xmppd.store.tables import Tables
from xmppd_plugins.inbox.entries import (
    MAX_CONVERSATIONS,
    InboxEntries,
    InboxEntry,
    Moved,
    metadata,
)

NURSE = "nurse@montague.lit"


class InboxEntriesContract(Asking):
    """A plugin that is loaded, in an open store."""

    async def table(self) -> InboxEntries:
        """The conversations, once the plugin is loaded."""
        await self.store.tables.put(Tables(metadata), "inbox")
        return InboxEntries(self.store.database)

    async def note(
        self, table: InboxEntries, *messages: tuple[str, int], peer: str = ROMEO
    ) -> None:
        """Messages of a conversation, with their positions: one is got, said, or a receipt."""
        moved = Moved()
        for what, position in messages:
            moved.by(position, speaks=what != "receipt", own=what == "said")
        await table.note({(JULIET, peer): moved})

    async def test_noted(self) -> None:
        """Messages move a conversation on, many at once, and a reply has read those before."""
        table = await self.table()
        await self.note(table, ("got", 10), ("got", 20), ("receipt", 30))
        await self.note(table, ("got", 15), peer=NURSE)
        self.assertEqual(
            await table.page(JULIET, 10),
            [InboxEntry(ROMEO, 30, 20, 0, 2), InboxEntry(NURSE, 15, 15, 0, 1)],
        )
        await self.note(table, ("got", 35), ("said", 40), ("got", 50))
        self.assertEqual(await table.one(JULIET, ROMEO), InboxEntry(ROMEO, 50, 50, 40, 1))
        self.assertEqual(await table.totals(JULIET), (2, 2, 2))
        self.assertEqual(await table.totals(ROMEO), (0, 0, 0))
        self.assertIsNone(await table.one(ROMEO, JULIET))

    async def test_read(self) -> None:
        """What was read is not unread, and never becomes so; nor is counted again what was."""
        table = await self.table()
        await self.note(table, ("got", 10), ("got", 20))
        await table.read(JULIET, ROMEO, 20, counted=30, unread=1)
        await self.note(table, ("got", 30))
        await self.note(table, ("got", 40))
        self.assertEqual(await table.one(JULIET, ROMEO), InboxEntry(ROMEO, 40, 40, 20, 2))
        await table.read(JULIET, ROMEO, 10, counted=40, unread=7)
        self.assertEqual(await table.one(JULIET, ROMEO), InboxEntry(ROMEO, 40, 40, 20, 2))
        await table.read(JULIET, NURSE, 10, counted=40, unread=7)
        self.assertIsNone(await table.one(JULIET, NURSE))

    async def test_pages(self) -> None:
        """Of many those are read that are wanted, in both directions."""
        table = await self.table()
        names = [f"c{number}@montague.lit" for number in range(6)]
        for number, name in enumerate(names):
            await self.note(table, ("got", number), peer=name)
        for number in (0, 5):
            await table.read(JULIET, names[number], number + 1, counted=number, unread=0)

        async def shown(limit: int, **how: Any) -> list[int]:
            return [each.last for each in await table.page(JULIET, limit, **how)]

        self.assertEqual(await shown(3), [5, 4, 3])
        self.assertEqual(await shown(3, before=3), [2, 1, 0])
        self.assertEqual(await shown(2, backwards=True), [1, 0])
        self.assertEqual(await shown(2, after=2, backwards=True), [4, 3])
        self.assertEqual(await shown(2, skipped=1), [4, 3])
        self.assertEqual(await shown(9, unread_only=True), [4, 3, 2, 1])

    async def test_most(self) -> None:
        """An account has so many conversations; those that are silent longest make room (UN-1)."""
        table = await self.table()
        for position in range(1, MAX_CONVERSATIONS + 3, 500):
            moved: dict[tuple[str, str], Moved] = {}
            for number in range(position, min(position + 500, MAX_CONVERSATIONS + 3)):
                one = moved[JULIET, f"c{number}@x.lit"] = Moved()
                one.by(number, speaks=True, own=False)
            await table.note(moved)
        await self.note(table, ("got", 1), peer=JULIET)
        kept = MAX_CONVERSATIONS
        self.assertEqual(await table.totals(JULIET), (kept, kept, kept))
        [oldest] = await table.page(JULIET, 1, backwards=True)
        self.assertEqual(oldest.last, 3)
