"""Preferences of accounts: whose messages are archived (:xep:`0441`, AR-12)."""

from collections.abc import Mapping
from functools import partial

from msgspec import Struct, json

from xmppd.account.accounts import AccountRemoved
from xmppd.message.follower import Course
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.roster.roster import visible
from xmppd.roster.roster_manager import RosterManager
from xmppd.stanza import JID
from xmppd.store.sql import Connection, digest

from .archive import Archive
from .settings import Default
from .tables import DELETE_PREFERENCES, PREFERENCES, SAVE_PREFERENCES

MAX_JIDS = 1_000
"""That one account may name."""


class Preference(Struct, frozen=True):
    """What one account wants; the message of somebody whom it does not name goes by the default.

    Attributes:
        default: Whether messages are archived: always, never, or of contacts only.
        always: JIDs whose messages are archived; a bare one stands for all of its resources.
        never: JIDs whose messages are not, whatever else is said of them.
    """

    default: Default = "always"
    always: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()


class PreferenceOf(Struct, frozen=True):
    """What an account wants from now on; all nodes are told.

    Attributes:
        account: Bare JID.
        wanted: None for what everybody has.
    """

    account: str
    wanted: Preference | None


_ALWAYS = Preference()
_EVERYBODYS = {"always": _ALWAYS, "never": Preference("never"), "roster": Preference("roster")}
_decode = json.Decoder(PreferenceOf).decode


class Preferences:
    """What accounts want, as far as they want something else than everybody: all of that is in
    memory, so that no message has to wait for it.

    Args:
        archive: Asks for each message; its settings say what everybody has, and whether accounts
            may want something else.
        rosters: Know the contacts of those who are online.
        messages: Tell other nodes.
    """

    def __init__(self, archive: Archive, rosters: RosterManager, messages: PluginMessages) -> None:
        self.archive = archive
        self.rosters = rosters
        self.messages = messages
        self._of: dict[str, Preference] = {}
        archive.vetoes.append(self.keep_out)

    @property
    def everybodys(self) -> Preference:
        """What everybody has who wants nothing else."""
        return _EVERYBODYS[self.archive.settings.default]

    @property
    def may_change(self) -> bool:
        """Whether accounts may want something else."""
        return self.archive.settings.preferences

    async def load(self) -> None:
        """Read what accounts want; of one whose row cannot be read that is nothing.

        Raises:
            StoreError: The database cannot be read.
        """
        for (document,) in await self.archive.database.read(PREFERENCES, {}):
            try:
                self.take(_decode(document))
            except ValueError:
                continue

    def of(self, account: str) -> Preference:
        """What an account wants, by its bare JID."""
        return self._of.get(account, self.everybodys) if self.may_change else self.everybodys

    async def set(self, account: JID, wanted: Preference) -> None:
        """Store what an account wants, and go by it.

        Raises:
            StoreError: It cannot be stored; then nothing has changed.
        """
        told = PreferenceOf(account.bare, None if wanted == self.everybodys else wanted)
        row = {"owner": digest(account.bare), "document": json.encode(told).decode()}
        await self.archive.database.write(partial(_save if told.wanted else _delete, row=row))
        await self.messages.tell_all(account, told)

    def take(self, told: PreferenceOf) -> None:
        """Go by what an account wants from now on."""
        if told.wanted is None:
            self._of.pop(told.account, None)
        else:
            self._of[told.account] = told.wanted

    def removed(self, event: AccountRemoved) -> None:
        """Forget what an account wants that is gone."""
        self._of.pop(event.account.bare, None)

    def tell(self) -> Tell[PreferenceOf]:
        """What other nodes say."""
        return Tell(PreferenceOf, self.take)

    def keep_out(self, course: Course) -> bool:
        """Whether an account keeps a message out of its archive."""
        wanted = self.of(course.account) if self._of else self.everybodys
        if wanted is _ALWAYS:
            return False
        message = course.message
        peer = message.to if course.is_sent else message.sender
        return peer is not None and not self._is_kept(wanted, course.account, peer)

    def _is_kept(self, wanted: Preference, account: str, peer: JID) -> bool:
        if peer.full in wanted.never or peer.bare in wanted.never:
            return False
        if peer.full in wanted.always or peer.bare in wanted.always:
            return True
        if wanted.default != "roster":
            return wanted.default == "always"
        if peer.bare == account:
            return True
        roster = self.rosters.loaded(account)
        if roster is None:
            return True  # its owner is away for long, and would rather have it than not
        item = roster.items.get(peer.bare)
        if item is not None and visible(item):
            return True
        return self.rosters.shared_groups.sees(account, peer.bare)


def _save(connection: Connection, row: Mapping[str, object]) -> None:
    connection.execute(SAVE_PREFERENCES.on(connection), row)


def _delete(connection: Connection, row: Mapping[str, object]) -> None:
    connection.execute(DELETE_PREFERENCES, {"whose": row["owner"]})


__all__ = ["MAX_JIDS", "Preference", "Preferences"]
