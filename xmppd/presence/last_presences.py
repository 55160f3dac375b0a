"""Last presences of absent accounts, without asking the store each time."""

from collections.abc import Iterable, Sequence
from contextlib import suppress

from xmppd.store.errors import StoreError
from xmppd.store.last_presences import LastPresence, PresenceStore

MAX_KNOWN = 50_000
MAX_STATUS_LENGTH = 256
"""In characters; a longer status is asked for when it is needed."""


class LastPresences:
    """The last presences that are kept in memory (PM-9); also that an account was never here.

    They are written by this class alone, so the copy in memory stays true until then; where other
    nodes write them too, none are kept.

    Args:
        store: Keeps them all.
        shared: Whether other nodes write them.
    """

    def __init__(self, store: PresenceStore, *, shared: bool = False) -> None:
        self.store = store
        self.shared = shared
        self._known: dict[str, LastPresence | None] = {}
        self._changes = 0

    def knows(self, account: str) -> bool:
        """Whether :meth:`known` has the answer for this account."""
        return account in self._known

    def known(self, account: str) -> LastPresence | None:
        """The account's last presence, if it is in memory; None if it was never here."""
        return self._known.get(account)

    async def find(self, accounts: Iterable[str]) -> dict[str, LastPresence]:
        """The last presences of those accounts that were ever here; one query for all that are not
        known.
        """
        wanted = tuple(dict.fromkeys(accounts))
        found = {name: last for name in wanted if (last := self._known.get(name)) is not None}
        unknown = [name for name in wanted if name not in self._known]
        if unknown:
            found.update(await self._ask(unknown))
        return found

    async def _ask(self, accounts: Sequence[str]) -> dict[str, LastPresence]:
        changes = self._changes
        found = await self.store.last_presence(accounts)
        if changes == self._changes:  # else the answer may be older than what has been written
            for account in accounts:
                self._remember(account, found.get(account))
        return found

    async def save(self, account: str, last: LastPresence) -> None:
        """Save the account's last presence."""
        self._changes += 1
        self._remember(account, last)
        await self.store.save_last_presence(account, last)
        if self.shared:
            with suppress(StoreError):  # then it is written later
                await self.store.write()

    def forget(self, account: str) -> None:
        """Forget an account that is removed, or that has changed in the store."""
        self._changes += 1
        self._known.pop(account, None)

    def _remember(self, account: str, last: LastPresence | None) -> None:
        self._known.pop(account, None)
        if last is not None and last.status is not None and len(last.status) > MAX_STATUS_LENGTH:
            return
        if self.shared:
            return
        if len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[account] = last
