"""Guestbook: the rules of the books of all accounts."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from xmppd.host.metrics import Histogram, Label
from xmppd.presence.presence_manager import PresenceManager
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.stanza.xml import find_unwritable
from xmppd.store.accounts import AccountStore
from xmppd.store.errors import QuotaExceeded, StoreError

from .entries import LATEST, Entries, Entry
from .settings import GuestbookSettings

NS = "urn:xmppd:guestbook"
PAGE = 50
"""Entries that are shown at a time."""

RESULT = Label("result", ("signed", "refused", "full"))
Teller = Callable[[JID, Entry], None]


class Guestbook:
    """The books of all accounts: each is read and signed by those who may see its owner's presence,
    and by the owner.

    Args:
        entries: All of them.
        accounts: Those that may have a book.
        presences: Knows who may see an account.
        wall_clock: Tells the time, in seconds since 1970.
        settings: The limits.

    Attributes:
        tellers: Each is told of an entry that was signed, and of whose book.
        results: How often a book was signed, or not, by the values of :data:`RESULT`.
        sizes: Those of entries, in bytes.
    """

    def __init__(
        self,
        entries: Entries,
        accounts: AccountStore,
        presences: PresenceManager,
        wall_clock: Callable[[], float],
        settings: GuestbookSettings,
    ) -> None:
        self.entries = entries
        self.accounts = accounts
        self.presences = presences
        self.wall_clock = wall_clock
        self.settings = settings
        self.tellers: list[Teller] = []
        self.results = dict.fromkeys(RESULT.values, 0)
        self.sizes = Histogram(20, 50, 100, 200, 500, 1_000)

    def use(self, settings: GuestbookSettings) -> None:
        """Take other limits; what is in the books stays there."""
        self.settings = settings

    async def check_seen(self, guest: JID, owner: JID) -> None:
        """Let nobody pass who may not know that there is such an account.

        Raises:
            StanzaError: SERVICE_UNAVAILABLE, as for an account that does not exist.
        """
        if not await self.presences.can_see(guest, owner):
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)

    async def sign(self, owner: JID, guest: JID, words: str) -> Entry:
        """Write an entry.

        Raises:
            StanzaError: There is no such book, it is full, or the words are too many, or none.
        """
        try:
            entry = await self._add(owner, guest, self._checked(words.strip()))
        except QuotaExceeded as error:
            self.results["full"] += 1
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, str(error)) from error
        except StanzaError:
            self.results["refused"] += 1
            raise
        self.results["signed"] += 1
        self.sizes.observe(len(entry.words.encode()))
        for tell in self.tellers:
            tell(owner, entry)
        return entry

    def _checked(self, words: str) -> str:
        most = self.settings.max_entry_bytes
        if not 0 < len(words.encode()) <= most:
            raise StanzaError(Condition.NOT_ACCEPTABLE, f"an entry has 1 to {most} bytes")
        if find_unwritable(words):
            raise StanzaError(Condition.NOT_ACCEPTABLE, "an entry is text")
        return words

    async def _add(self, owner: JID, guest: JID, words: str) -> Entry:
        await self._check_exists(owner)
        now, most = self.wall_clock(), self.settings.max_entries
        entry = await self.entries.add(owner, guest, words, now, max_entries=most)
        try:
            await self._check_exists(owner)
        except StanzaError:  # it was removed meanwhile, and nobody inherits its book
            await self.entries.erase(owner)
            raise
        return entry

    async def _check_exists(self, owner: JID) -> None:
        if not await self.accounts.exists(owner.bare):
            raise StanzaError(Condition.ITEM_NOT_FOUND, "there is no such account")

    async def page(self, owner: JID, before: int = LATEST) -> Sequence[Entry]:
        """The latest entries of a book before that of a number, as many as are shown at a time."""
        return await self.entries.page(owner, before, PAGE)

    async def fade(self) -> None:
        """Erase what was kept for long enough."""
        if self.settings.kept_s:
            with suppress(StoreError):  # the store has logged it, and there is a next time
                await self.entries.fade(self.wall_clock() - self.settings.kept_s)


__all__ = ["NS", "PAGE", "RESULT", "Guestbook"]
