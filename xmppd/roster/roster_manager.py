"""RosterManager: one Roster per account, loaded once and kept while its owner is online."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from xmppd.cluster.entries.accounts import RosterStored
from xmppd.config.config import RosterSettings
from xmppd.events import Events
from xmppd.host.locks import Locks
from xmppd.roster.broadcasts import Broadcasts
from xmppd.roster.roster import Roster, visible
from xmppd.roster.shared_groups import SharedGroups
from xmppd.stanza import JID, Condition, Later, Presence, StanzaError
from xmppd.stanza.phrases import counted
from xmppd.store.accounts import AccountStore
from xmppd.store.errors import AnotherVersion, Unreadable
from xmppd.store.readable import set_aside, sift
from xmppd.store.rosters import RosterData, RosterItem, RosterStore

MAX_UNPINNED = 10_000
MAX_RETRIES = 3
"""Of a change, because other nodes change the same roster meanwhile."""


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


@dataclass(frozen=True, slots=True)
class Change:
    """A decision about a contact.

    Attributes:
        item: The contact as it is from now on; None if it is removed.
        push: Whether the owner is told.
    """

    item: RosterItem | None
    push: bool = True


Decide = Callable[[RosterItem | None], Change | None]


class RosterManager:
    """The rosters that are needed now.

    A roster in memory is the truth: it changes first, at once, so that two changes never work from
    the same old state; then it is stored; then its owner is told. If storing fails, the change is
    undone: the contacts of a session that is online have to see it leave later. Only if
    another change has come on top of it, the roster is forgotten, and read when next needed.

    Where several nodes change one roster, each says from which version it has decided, and the
    store takes one of them. The others read what is new, and decide again. A roster is kept in
    memory there only while its owner is here (CL-44).

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
        self._loading: dict[tuple[str, bool], list[Deferred[Roster]]] = {}
        self._turns = Locks()
        self.on_reread: Callable[[Roster, str, RosterItem | None], object] = _nobody_sees

    def loaded(self, account: str) -> Roster | None:
        """The account's roster if it is in memory, as it is for every account online."""
        return self._loaded.get(account)

    async def roster(self, account: JID) -> Roster:
        """The account's roster, read if need be; many calls at once cause one read."""
        roster = self._loaded.get(account.bare)
        return await self._turn(account.to_bare()) if roster is None else roster

    def _keeps(self, account: str) -> bool:
        return not self.store.shared or self.routing_table.is_here(account)

    async def look(self, account: JID) -> Roster:
        """The account's roster for a look: if it has to be read, it is not kept."""
        roster = self._loaded.get(account.bare)
        if roster is not None:
            return roster
        return await self._read(account.to_bare())

    async def who_may_be_seen(self, viewer: JID, accounts: Iterable[str]) -> set[str]:
        """Those of these accounts that let the viewer see their presence, by their rosters or a
        shared group; one query for all whose rosters are not in memory.
        """
        seen: set[str] = set()
        unread: list[str] = []
        for bare in accounts:
            roster = self._loaded.get(bare)
            if roster is not None:
                may_see = roster.may_be_seen_by(viewer)
            else:
                may_see = viewer.bare == bare or self.shared_groups.sees(viewer.bare, bare)
                unread += [bare] * (not may_see)
            seen.update((bare,) * may_see)
        return seen | await self.store.who_may_be_seen(viewer.bare, unread) if unread else seen

    def _turn(self, account: JID) -> Deferred[Roster]:
        """The roster when it has been read, in the order of the calls.

        Who is about to keep it does not wait for what was begun before its owner came: other nodes
        told nobody here what they have changed since.
        """
        turn: Deferred[Roster] = Deferred()
        reading = account.bare, self._keeps(account.bare)
        turns = self._loading.setdefault(reading, [])
        turns.append(turn)
        if len(turns) == 1:
            read = Deferred.fromCoroutine(self._read(account))
            read.addCallback(self._keep, reading).addBoth(self._tell, reading)
        return turn

    async def _read(self, account: JID) -> Roster:
        data = await self._stored(account.bare)
        return Roster(account, data, self.routing_table, self.shared_groups, self.broadcasts)

    async def _stored(self, account: str) -> RosterData:
        data = await self.store.roster(account)
        items, damaged = sift(data.items, _sound)
        if damaged:
            await set_aside(self.store, account, damaged)
            version = (await self.store.roster(account)).version
            data = RosterData(version, tuple(items))
        return data

    def _keep(self, roster: Roster, reading: tuple[str, bool]) -> Roster:
        if reading[1] and self._keeps(reading[0]):
            self._make_room()
            self._loaded[roster.account.bare] = roster
        return roster

    def _tell(self, outcome: Roster | Failure, reading: tuple[str, bool]) -> None:
        for turn in self._loading.pop(reading):
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
            raise StanzaError(Condition.NOT_ALLOWED, "guests cannot have contacts")

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
                f"the roster already has {counted(self.settings.max_items, 'contact')}, the "
                "maximum",
            )

    async def save(self, roster: Roster, item: RosterItem) -> None:
        """Add or change a contact, whatever it was before.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: the roster is full, or changes all the time.
        """
        change = Change(item)
        await self.change(roster, item.jid, lambda _: change)

    async def change(
        self,
        roster: Roster,
        jid: str,
        decide: Decide,
        *,
        before_push: Callable[[], None] | None = None,
    ) -> RosterItem | None:
        """Decide about a contact: in memory, in the store, and at the owner's resources.

        Args:
            roster: Of its owner.
            jid: Of the contact.
            decide: Says what becomes of the contact, None if it stays as it is; it is given what it
                is now, None if it is none. It is asked at once, and again if another node has
                changed the roster before this could be stored (CL-41).
            before_push: Called when a change is stored, before its owner is told.

        Returns:
            The contact as it was when that was decided.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: the roster is full, or changes all the time.
        """
        before = roster.items.get(jid)
        change = self._decide(roster, jid, before, decide)
        if change is None:
            return before
        reading = roster.reading
        roster.unstored[jid] += 1
        try:
            async with self._turns.held(roster.account.bare):
                if roster.reading == reading and await self._save(roster, jid, before, change):
                    known = before
                else:
                    known, (before, change) = before, await self._change_again(roster, jid, decide)
                if change is not None and before_push is not None:
                    before_push()
                _push(roster, jid, known, before, change)
                telling = None if change is None else self._tell_nodes(roster)
                if telling is not None:
                    await telling
        finally:
            roster.unstored -= Counter((jid,))
        if change is not None:
            self.events.fire(RosterChanged(roster.account, jid, change.item))
            if self._loaded.get(roster.account.bare) is not roster:
                await self.reread(roster.account, roster.version)
        return before

    def _decide(
        self, roster: Roster, jid: str, item: RosterItem | None, decide: Decide
    ) -> Change | None:
        """Have something decided about a contact, and put it into memory.

        Args:
            roster: Of its owner.
            jid: Of the contact.
            item: The contact as it is, which need not be what is in memory.
            decide: Decides.
        """
        seen = roster.items.get(jid)
        if item is not seen:
            roster.set(jid, item)
        try:
            change = decide(item)
            if change is not None:
                if change.item is not None:
                    self.check_room(roster, change.item)
                roster.set(jid, change.item)
            return change
        finally:
            if roster.items.get(jid) is not seen:
                self.events.fire(ContactChanged(roster, jid, seen))

    async def _change_again(
        self, roster: Roster, jid: str, decide: Decide
    ) -> tuple[RosterItem | None, Change | None]:
        """Decide about a contact that another node may have changed, until that can be stored.

        Returns:
            The contact before, and what was decided.
        """
        for _ in range(MAX_RETRIES):
            before = (await self._read_again(roster)).get(jid)
            change = self._decide(roster, jid, before, decide)
            if change is None or await self._save(roster, jid, before, change):
                return before, change
        self._decide(roster, jid, (await self._read_again(roster)).get(jid), _nothing)
        raise StanzaError(
            Condition.RESOURCE_CONSTRAINT, "the roster is changing too often; try again"
        )

    async def _save(
        self, roster: Roster, jid: str, before: RosterItem | None, change: Change
    ) -> bool:
        """Store a change; if that fails, undo it. False if another node has changed the roster."""
        account, item = roster.account.bare, change.item
        if item is None:
            saving = self.store.delete_roster_item(account, jid, expected=roster.version)
        else:
            saving = self.store.save_roster_items(account, [item], expected=roster.version)
        try:
            roster.version = await saving
        except AnotherVersion:
            return False
        except BaseException:
            if roster.items.get(jid) is item:
                roster.set(jid, before)
                self.events.fire(ContactChanged(roster, jid, item))
            else:
                self.forget(account)
            raise
        return True

    async def show(self, roster: Roster, jids: Sequence[str]) -> None:
        """Push contacts that shared groups have changed to the owner (RO-17)."""
        async with self._turns.held(roster.account.bare):
            while not await self._raise_version(roster):
                await self._read_again(roster)
            roster.push_contacts(jids)

    async def _raise_version(self, roster: Roster) -> bool:
        account, version = roster.account.bare, roster.version
        try:
            roster.version = await self.store.raise_roster_version(account, expected=version)
        except AnotherVersion:
            return False
        return True

    def _tell_nodes(self, roster: Roster) -> Later:
        account = roster.account.bare
        return self.routing_table.tell_nodes_of(account, RosterStored(account, roster.version))

    # -- what other nodes have changed ------------------------------------------------------------

    async def reread(self, account: JID, version: int) -> None:
        """Take what another node has stored, if the account's roster is in memory and older.

        It stays the same object; the owner's resources that are here are told.

        Args:
            account: Bare JID.
            version: Of the roster, as the other node has stored it.

        Raises:
            StoreError: The roster cannot be read; it will be when it is next needed.
        """
        if (account.bare, True) in self._loading:  # perhaps as it was before
            await self._turn(account)
        async with self._turns.held(account.bare):
            roster = self._loaded.get(account.bare)
            if roster is not None and roster.version < version:
                await self._read_again(roster)

    async def _read_again(self, roster: Roster) -> dict[str, RosterItem]:
        """Take what other nodes have stored, but for contacts that are not stored yet.

        Returns:
            The contacts as they are stored.
        """
        try:
            data = await self._stored(roster.account.bare)
        except BaseException:
            self.forget(roster.account.bare)
            raise
        stored = {item.jid: item for item in data.items}
        roster.version = data.version
        roster.reading += 1
        pushed: list[str] = []
        for jid in {**roster.items, **stored}.keys() - roster.unstored.keys():
            before, item = roster.items.get(jid), stored.get(jid)
            if item != before:
                roster.set(jid, item)
                self.events.fire(ContactChanged(roster, jid, before))
                self.on_reread(roster, jid, before)
                pushed += [jid] * is_shown(before, item)
        roster.push_contacts(sorted(pushed))
        return stored


def _nobody_sees(roster: Roster, jid: str, before: RosterItem | None) -> None:
    """Do nothing."""


def is_shown(*items: RosterItem | None) -> bool:
    """Whether the owner's clients see a contact that is one of these."""
    return any(item is not None and visible(item) for item in items)


def _nothing(_: RosterItem | None) -> None:
    """Decide that a contact stays as it is."""


def _push(
    roster: Roster,
    jid: str,
    known: RosterItem | None,
    before: RosterItem | None,
    change: Change | None,
) -> None:
    """Push a change of a contact to the owner's interested resources (:rfc:`6121#section-2.1.6`).

    Args:
        roster: Of its owner.
        jid: Of the contact.
        known: The contact as the resources know it.
        before: The contact as it was when the change was decided.
        change: What was decided.
    """
    after = before if change is None else change.item
    tells = known != before or (change is not None and change.push)
    if tells and (after is None or is_shown(known, after)):
        roster.push_contacts([jid])


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
