"""How much there is of each kind, asked of every database."""

from sqlalchemy import Connection, insert
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.unit.store.contract import Asking
from xmppd.store import sizes
from xmppd.store.accounts import accounts
from xmppd.store.columns import digest
from xmppd.store.sizes import Size, StoredSizes

MANY = 20_000


class SizesContract(Asking):
    """What holds in each database."""

    async def measured(self) -> dict[str, Size]:
        """Measured now."""
        return dict(await StoredSizes(self.store.database, Clock()).by_kind())

    async def fill(self) -> None:
        """Have many accounts."""

        def change(connection: Connection) -> None:
            names = [f"{number}@montague.lit" for number in range(MANY)]
            rows = [
                {"owner": digest(name), "account": name, "domain": digest("montague.lit"),
                 "created": 0.0, "disabled": False}
                for name in names
            ]  # fmt: skip
            connection.execute(insert(accounts), rows)

        await self.store.database.write(change, 60.0)

    async def test_large(self) -> None:
        """Of a large table rows and bytes are about right, although not all of it was read; the
        largest is first.
        """
        self.patch(sizes, "MAX_PAGES", 200)
        await self.fill()
        await self.settle()
        found = await StoredSizes(self.store.database, Clock()).by_kind()
        kind, size = found[0]
        self.assertEqual((kind, size.estimated), ("accounts", True))
        self.assertLess(abs(size.rows - MANY), 0.4 * MANY)
        whole = await self.whole()
        self.assertLess(abs(size.bytes - whole), 0.5 * whole)

    async def test_together(self) -> None:
        """Who asks while it is measured waits for that, and nothing is measured twice."""
        stored = StoredSizes(self.store.database, Clock())
        asked = [Deferred.fromCoroutine(stored.by_kind()) for _ in range(5)]
        first, *others = [await each for each in asked]
        self.assertTrue(first)
        for other in others:
            self.assertIs(other, first)

    async def whole(self) -> int:
        """The bytes of the database, most of which are accounts."""
        raise NotImplementedError

    async def settle(self) -> None:
        """Have the database know what was written."""
