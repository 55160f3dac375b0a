"""RosterManager: one Roster per account, loaded once and kept while its owner is online."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from xmppd.config.config import RosterSettings
from xmppd.events import Events
from xmppd.roster.broadcasts import Broadcasts
from xmppd.roster.roster import Roster, visible
from xmppd.roster.shared_groups import SharedGroups
from xmppd.stanza import JID, Condition, Presence, StanzaError
from xmppd.store.accounts import AccountStore
from xmppd.store.errors import Unreadable
from xmppd.store.readable import set_aside, sift
from xmppd.store.rosters import RosterData, RosterItem, RosterStore

MAX_UNPINNED = 10_000


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """A contact was added, changed or removed (``item`` None)."""

    account: JID
    jid: str
    item: RosterItem | None


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """A contact has changed in memory, and may not be stored yet.

    Attributes:
        roster: As it is now.
        jid: Of the contact.
        before: The item before; None if there was none.
    """

    roster: Roster
    jid: str
    before: RosterItem | None


class RosterManager:
    """The rosters that are needed now.

    A roster in memory is the truth: it changes first, at once, so that two changes never work from
    the same old state; then it is stored; then its owner is told. If storing fails, the change is
    undone: the contacts of a session that is online have to see it leave later. Only if
    another change has come on top of it, the roster is forgotten, and read when next needed.

    Attributes:
        max_items: The most contacts a roster may have, whatever makes them (RO-18).
    """

    def __init__(
        self,
        store: RosterStore,
        accounts: AccountStore,
        shared_groups: SharedGroups,
        broadcasts: Broadcasts,
        events: Events,
        settings: RosterSettings,
    ) -> None:
        self.settings = settings
        self.store = store
        self.accounts = accounts
        self.routing_table = shared_groups.routing_table
        self.shared_groups = shared_groups
        self.broadcasts = broadcasts
        self.events = events
        self._loaded: dict[str, Roster] = {}
        self._loading: dict[str, list[Deferred[Roster]]] = {}

    def loaded(self, account: str) -> Roster | None:
        """The account's roster if it is in memory, as it is for every account online."""
        return self._loaded.get(account)

    async def roster(self, account: JID) -> Roster:
        """The account's roster, read if need be; many calls at once cause one read."""
        roster = self._loaded.get(account.bare)
        return await self._turn(account.to_bare()) if roster is None else roster

    async def look(self, account: JID) -> Roster:
        """The account's roster for a look: if it has to be read, it is not kept."""
        roster = self._loaded.get(account.bare)
        if roster is not None:
            return roster
        return await self._read(account.to_bare())

    def _turn(self, account: JID) -> Deferred[Roster]:
        """The roster when it has been read, in the order of the calls."""
        turn: Deferred[Roster] = Deferred()
        turns = self._loading.setdefault(account.bare, [])
        turns.append(turn)
        if len(turns) == 1:
            reading = Deferred.fromCoroutine(self._read(account))
            reading.addCallback(self._keep).addBoth(self._tell, account.bare)
        return turn

    async def _read(self, account: JID) -> Roster:
        data = await self.store.roster(account.bare)
        items, damaged = sift(data.items, _sound)
        if damaged:
            await set_aside(self.store, account.bare, damaged)
            version = (await self.store.roster(account.bare)).version
            data = RosterData(version, tuple(items))
        return Roster(account, data, self.routing_table, self.shared_groups, self.broadcasts)

    def _keep(self, roster: Roster) -> Roster:
        self._make_room()
        self._loaded[roster.account.bare] = roster
        return roster

    def _tell(self, outcome: Roster | Failure, account: str) -> None:
        for turn in self._loading.pop(account):
            if isinstance(outcome, Failure):
                turn.errback(outcome)
            else:
                turn.callback(outcome)

    def _make_room(self) -> None:
        """Forget the oldest rosters of accounts that are away, beyond a fixed number."""
        online = self.routing_table.users
        if len(self._loaded) - len(online) <= MAX_UNPINNED:
            return
        for bare in [bare for bare in self._loaded if bare not in online][: MAX_UNPINNED // 2]:
            del self._loaded[bare]

    def forget(self, account: str) -> None:
        """Read the account's roster anew when next needed."""
        self._loaded.pop(account, None)

    async def check_owner(self, account: JID) -> None:
        """Whether the account may change its roster: a guest has none to change (BI-4).

        Raises:
            StanzaError: NOT_ALLOWED: there is no such account.
        """
        if not await self.has_account(account.bare):
            raise StanzaError(Condition.NOT_ALLOWED, "a guest keeps no contacts")

    async def has_account(self, account: str) -> bool:
        """Whether there is an account to keep something for; a guest has none."""
        return await self.accounts.exists(account)

    def check_room(self, roster: Roster, item: RosterItem) -> None:
        """Whether the roster may have this contact (RO-18).

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: it would be one too many.
        """
        before = roster.items.get(item.jid)
        is_new = visible(item) and (before is None or not visible(before))
        if is_new and roster.count >= self.settings.max_items:
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT,
                f"the roster has {self.settings.max_items} contacts, which is all it may have",
            )

    async def save(
        self,
        roster: Roster,
        item: RosterItem,
        *,
        push: bool = True,
        before_push: Callable[[], None] | None = None,
    ) -> None:
        """Add or change a contact: in memory, in the store, and at the owner's resources.

        Args:
            roster: Of its owner.
            item: The contact as it is from now on.
            push: Whether its owner is told.
            before_push: Called when the change is stored, before its owner is told.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: the roster is full.
        """
        self.check_room(roster, item)
        before = roster.items.get(item.jid)
        roster.put(item)
        self.events.fire(ContactChanged(roster, item.jid, before))
        async with roster.turn:
            saving = self.store.save_roster_items(roster.account.bare, [item])
            await self._stored(roster, item.jid, before, item, saving)
            if before_push is not None:
                before_push()
            if push:
                roster.push(before, item)
        self.events.fire(RosterChanged(roster.account, item.jid, item))

    async def remove(self, roster: Roster, jid: str, *, push: bool = True) -> None:
        """Remove a contact: in memory, in the store, and at the owner's resources."""
        before = roster.items.get(jid)
        roster.remove(jid)
        self.events.fire(ContactChanged(roster, jid, before))
        async with roster.turn:
            deleting = self.store.delete_roster_item(roster.account.bare, jid)
            await self._stored(roster, jid, before, None, deleting)
            if push:
                roster.push_contacts([jid])
        self.events.fire(RosterChanged(roster.account, jid, None))

    async def show(self, roster: Roster, jids: Sequence[str]) -> None:
        """Push contacts that shared groups have changed to the owner (RO-17)."""
        async with roster.turn:
            roster.version = await self.store.raise_roster_version(roster.account.bare)
            roster.push_contacts(jids)

    async def _stored(
        self,
        roster: Roster,
        jid: str,
        before: RosterItem | None,
        after: RosterItem | None,
        change: Awaitable[int],
    ) -> None:
        """Wait for the store; if it fails, undo the change of the contact."""
        try:
            roster.version = await change
        except BaseException:
            if roster.items.get(jid) is after:
                self._undo(roster, jid, before)
            else:
                self.forget(roster.account.bare)
            raise

    def _undo(self, roster: Roster, jid: str, before: RosterItem | None) -> None:
        undone = roster.items.get(jid)
        if before is None:
            roster.remove(jid)
        else:
            roster.put(before)
        self.events.fire(ContactChanged(roster, jid, undone))


def _sound(item: RosterItem) -> RosterItem:
    """A contact from the store, once its address and request were checked.

    Raises:
        ValueError: They are wrong; a contact can do without its request.
    """
    if JID.parse(item.jid).full != item.jid:
        raise ValueError("the address is not prepared")
    if item.pending_in is not None:
        try:
            Presence.from_bytes(item.pending_in)
        except ValueError as error:
            rest = replace(item, pending_in=None)
            raise Unreadable(f"the request: {error}", field="pending_in", rest=rest) from error
    return item
