"""Guestbook: the rules of the books of all accounts."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec import Struct

from xmppd.cluster.claims import Owned
from xmppd.cluster.node import Node
from xmppd.host.metrics import Histogram, Label
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.presence.presence_manager import PresenceManager
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.stanza.xml import find_unwritable
from xmppd.store.accounts import AccountStore
from xmppd.store.claim_tokens import Deposed
from xmppd.store.errors import QuotaExceeded, StoreError

from .entries import KIND, LATEST, Entries, Entry
from .settings import GuestbookSettings

NS = "urn:xmppd:guestbook"
PAGE = 50
"""Entries that are shown at a time."""

RESULT = Label("result", ("signed", "refused", "full"))


class Sign(Struct, frozen=True):
    """A request to write an entry, for the node that has the book.

    Attributes:
        owner: Bare JID of the account whose book it is.
        guest: Bare JID of its author.
        words: The entry.
    """

    owner: str
    guest: str
    words: str


class Signed(Struct, frozen=True):
    """An entry that was written, for who asked, and for the nodes of the book's owner.

    Attributes:
        owner: Bare JID of the account whose book it is.
        number: As in an :class:`Entry`, and so are all others.
    """

    owner: str
    number: int
    guest: str
    signed: float
    words: str

    def entry(self) -> Entry:
        """The same as it is in the book."""
        return Entry(self.number, self.guest, self.signed, self.words)


class Guestbook(Owned):
    """The books of all accounts: each is read and signed by those who may see its owner's presence,
    and by the owner. On however many nodes the service is, one of them writes in a book.

    Args:
        entries: All of them.
        accounts: Those that may have a book.
        presences: Knows who may see an account.
        messages: Carries what nodes have to say to each other.
        wall_clock: Tells the time, in seconds since 1970.
        settings: The limits.

    Attributes:
        tokens: Of the books that this node has.
        results: How often a book was signed, or not, by the values of :data:`RESULT`.
        sizes: Those of entries, in bytes.
    """

    kind = KIND

    def __init__(
        self,
        entries: Entries,
        accounts: AccountStore,
        presences: PresenceManager,
        messages: PluginMessages,
        wall_clock: Callable[[], float],
        settings: GuestbookSettings,
    ) -> None:
        self.entries = entries
        self.accounts = accounts
        self.presences = presences
        self.messages = messages
        self.wall_clock = wall_clock
        self.settings = settings
        self.tokens: dict[str, int] = {}
        self.results = dict.fromkeys(RESULT.values, 0)
        self.sizes = Histogram(20, 50, 100, 200, 500, 1_000)

    # What is in a book is in the store: nothing else has to go with it to another node.

    async def take_up(self, name: str, token: int, state: bytes | None) -> None:
        self.tokens[name] = token

    async def lay_down(self, name: str) -> bytes:
        self.lost(name)
        return b""

    def lost(self, name: str) -> None:
        del self.tokens[name]

    def absent(self, node: Node) -> None:
        """Do nothing: nobody is in a book."""

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
        """Have the node that has the book write an entry.

        Raises:
            StanzaError: There is no such book, it is full, or the words are too many, or none.
        """
        try:
            sign = Sign(owner.bare, guest.bare, self._checked(words.strip()))
            signed = await self.messages.ask((KIND, owner.bare), sign, Signed)
        except StanzaError as error:
            is_full = error.condition is Condition.RESOURCE_CONSTRAINT
            self.results["full" if is_full else "refused"] += 1
            raise
        self.results["signed"] += 1
        self.sizes.observe(len(signed.words.encode()))
        return signed.entry()

    async def write(self, sign: Sign) -> Signed:
        """Write an entry in a book that this node has, and have all nodes of its owner told.

        Raises:
            StanzaError: There is no such book, it is full, or another node has it by now.
        """
        owner, guest = JID.prepared(sign.owner), JID.prepared(sign.guest)
        try:
            entry = await self._add(owner, guest, sign.words)
        except (QuotaExceeded, Deposed) as error:
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, str(error)) from error
        signed = Signed(sign.owner, entry.number, entry.guest, entry.signed, entry.words)
        with suppress(StanzaError):  # who reads the book will see it
            await self.messages.tell(owner, signed)
        return signed

    def _checked(self, words: str) -> str:
        most = self.settings.max_entry_bytes
        if not 0 < len(words.encode()) <= most:
            raise StanzaError(Condition.NOT_ACCEPTABLE, f"an entry may have 1 to {most} bytes")
        if find_unwritable(words):
            raise StanzaError(Condition.NOT_ACCEPTABLE, "an entry must be text")
        return words

    async def _add(self, owner: JID, guest: JID, words: str) -> Entry:
        await self._check_exists(owner)
        now, most, token = self.wall_clock(), self.settings.max_entries, self.tokens[owner.bare]
        entry = await self.entries.add(owner, guest, words, now, max_entries=most, token=token)
        try:
            await self._check_exists(owner)
        except StanzaError:  # it was removed meanwhile, and nobody inherits its book
            await self.entries.erase(owner)
            raise
        return entry

    async def _check_exists(self, owner: JID) -> None:
        if not await self.accounts.exists(owner.bare):
            raise StanzaError(Condition.ITEM_NOT_FOUND, "the account does not exist")

    async def page(self, owner: JID, before: int = LATEST) -> Sequence[Entry]:
        """The latest entries of a book before that of a number, as many as are shown at a time."""
        return await self.entries.page(owner, before, PAGE)

    async def fade(self) -> None:
        """Erase what was kept for long enough."""
        if self.settings.kept_s:
            with suppress(StoreError):  # the store has logged it, and there is a next time
                await self.entries.fade(self.wall_clock() - self.settings.kept_s)


__all__ = ["NS", "PAGE", "RESULT", "Guestbook", "Sign", "Signed"]
