"""AccountEndings: accounts whose owners want them to end, which they can take back for a while."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from twisted.logger import Logger

from xmppd.account.accounts import Accounts
from xmppd.stanza import JID
from xmppd.store.accounts import NoSuchAccount
from xmppd.store.sql import Connection, Database, digest

from .settings import AccountPageSettings
from .tables import ALL, DUE, DUE_AT, END, STAY

BATCH = 100
"""Accounts that are removed in one sweep."""

_log = Logger()


class AccountEndings:
    """Removes accounts when their time has come; until then nothing about them changes.

    Args:
        database: Keeps them, for all nodes.
        accounts: All there are.
        settings: How long they can be taken back.
        wall_clock: Seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        settings: AccountPageSettings,
        wall_clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self._database = database
        self._accounts = accounts
        self._wall_clock = wall_clock

    def use(self, settings: AccountPageSettings) -> None:
        """Take other settings, for those who ask from now on."""
        self.settings = settings

    async def ask(self, account: JID) -> float:
        """Have an account end; returns when, in seconds since 1970."""
        due = self._wall_clock() + self.settings.delete_after_s
        row = {"owner": digest(account.bare), "account": account.bare, "due": due}

        def save(connection: Connection) -> None:
            connection.execute(END.on(connection), row)

        await self._database.write(save)
        _log.info("{account} will be removed", account=account.bare)
        return due

    async def take_back(self, account: JID) -> None:
        """Let an account stay."""

        def forget(connection: Connection) -> None:
            connection.execute(STAY, {"whose": digest(account.bare)})

        await self._database.write(forget)
        _log.info("{account} will not be removed", account=account.bare)

    async def due(self, account: JID) -> float | None:
        """When an account ends, in seconds since 1970; None if it does not."""
        rows = await self._database.read(DUE_AT, {"whose": digest(account.bare)})
        return rows[0][0] if rows else None

    async def all(self, limit: int) -> Sequence[tuple[str, float]]:
        """The accounts that are to end, and when, the next ones first."""
        return await self._database.read(ALL, {"limit": limit})

    async def sweep(self) -> None:
        """Remove those whose time has come. Where several nodes do that, one finds nothing more."""
        now = {"now": self._wall_clock(), "limit": BATCH}
        for (account,) in await self._database.read(DUE, now):
            with suppress(NoSuchAccount):
                await self._accounts.remove(JID.parse(account))


__all__ = ["AccountEndings"]
