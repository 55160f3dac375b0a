"""PrivacyListManager: one object per account with its lists, the default one and the blocklist."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol
from xml.etree import ElementTree

from xmppd.config.config import PrivacySettings
from xmppd.events import Events
from xmppd.host.locks import Locks
from xmppd.privacy.privacy_list import (
    NS,
    UNKNOWN,
    Contacts,
    Kind,
    PrivacyList,
    Standing,
)
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.stanza.phrases import counted
from xmppd.store.errors import AnotherVersion, QuotaExceeded
from xmppd.store.items import Item
from xmppd.store.kind import Damaged
from xmppd.store.personal_items import PersonalItems
from xmppd.store.readable import set_aside, sift

MAX_LISTS = 50
RULES_PER_SLICE = 500
"""Some 5 ms of reading in one turn."""

MAX_UNPINNED = 10_000
MAX_RETRIES = 3
"""Of a change, because other nodes change the same lists meanwhile."""

BLOCKLIST = "blocked"
"""The name of the default list that a block makes where there is none."""

_LIST = "list "
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class PrivacyListChanged:
    """A list was added, changed or removed."""

    account: JID
    name: str


@dataclass(frozen=True, slots=True)
class BlocklistChanged:
    """The default list blocks other JIDs than before."""

    account: JID
    blocked: tuple[JID, ...]
    unblocked: tuple[JID, ...]


class Rosters(Protocol):
    """The rosters, for lists that name groups or subscriptions."""

    def loaded(self, account: str, /) -> Contacts | None:
        """The account's roster if it is in memory."""

    async def roster(self, account: JID, /) -> Contacts:
        """The account's roster, read if need be."""

    async def has_account(self, account: str, /) -> bool:
        """Whether there is an account to keep something for."""


class Sessions(Protocol):
    """The accounts that are online."""

    @property
    def users(self) -> Collection[str]:
        """Bare JIDs."""

    def is_here(self, bare: str) -> bool:
        """Whether an account is online here, or about to be."""


@dataclass(frozen=True)
class PrivacyLists:
    """The privacy lists of one account.

    Attributes:
        lists: By name.
        default_name: The name of the default list; None if none is.
    """

    lists: Mapping[str, PrivacyList] = field(default_factory=dict)
    default_name: str | None = None

    @property
    def default(self) -> PrivacyList | None:
        """The default list."""
        return None if self.default_name is None else self.lists[self.default_name]

    @property
    def blocked(self) -> tuple[JID, ...]:
        """The blocklist: the JIDs to which the default list denies everything (:xep:`0191`, §5)."""
        return () if self.default is None else self.default.blocked

    def in_force(
        self,
        account: JID,
        contacts: Contacts,
        *,
        active: str | None = None,
        invisible: bool = False,
        probes: bool = True,
    ) -> SessionPrivacy | None:
        """The privacy in force for a session of the account; None if there is nothing.

        Args:
            account: Bare JID.
            contacts: The account's.
            active: The name of the session's active list; the default list if there is none.
            invisible: Whether the session is.
            probes: Whether it probes its contacts while it is invisible.
        """
        chosen = self.lists.get(active) if active is not None else None
        rules = chosen or self.default
        if rules is None and not invisible:
            return None
        return SessionPrivacy(
            account,
            contacts,
            None if rules is None else rules.compiled,
            active=None if chosen is None else chosen.name,
            invisible=invisible,
            probes=probes,
        )

    def found(self, name: str) -> PrivacyList:
        """The list of this name.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is none.
        """
        if name not in self.lists:
            raise StanzaError(Condition.ITEM_NOT_FOUND)
        return self.lists[name]

    def with_list(self, changed: PrivacyList) -> "PrivacyLists":
        """The same, with one list added or replaced."""
        return replace(self, lists={**self.lists, changed.name: changed})

    def without(self, name: str) -> "PrivacyLists":
        """The same, without one list; if it was the default, there is none from now on."""
        lists = {known: kept for known, kept in self.lists.items() if known != name}
        return PrivacyLists(lists, None if self.default_name == name else self.default_name)

    def unused_name(self) -> str:
        """A name for a new blocklist."""
        name, number = BLOCKLIST, 1
        while name in self.lists:
            number += 1
            name = f"{BLOCKLIST}-{number}"
        return name


NONE = PrivacyLists()


Decide = Callable[[PrivacyLists], PrivacyLists]


class PrivacyListManager:
    """The lists of the accounts that need them now; that there are none is remembered as well.

    They are changed one after the other: in the store, then in memory. If storing fails, they are
    read again when next needed. Where other nodes change them as well, they are kept in memory only
    while their account is here (CL-44).
    """

    def __init__(
        self,
        items: PersonalItems,
        rosters: Rosters,
        sessions: Sessions,
        next_turn: Callable[[], Awaitable[None]],
        settings: PrivacySettings,
        events: Events,
    ) -> None:
        self.store = items.store
        self.rosters = rosters
        self.sessions = sessions
        self.next_turn = next_turn
        self.room = items.limits
        self.settings = settings
        self.events = events
        self._loaded: dict[str, PrivacyLists] = {}
        self._turns = Locks()

    async def lists(self, account: JID) -> PrivacyLists:
        """The account's lists, read if need be."""
        known = self._loaded.get(account.bare)
        if known is not None:
            return known
        if not self._keeps(account.bare):
            return (await self._read(account))[1]
        async with self._turns.held(account.bare):
            return self._loaded.get(account.bare) or await self._known(account)

    async def _known(self, account: JID) -> PrivacyLists:
        """The account's lists, which are kept in memory from now on."""
        _, lists = await self._read(account)
        self._make_room()
        self._keep(account.bare, lists)
        return lists

    def _keep(self, account: str, lists: PrivacyLists) -> None:
        if self._keeps(account):
            self._loaded[account] = lists

    def _keeps(self, account: str) -> bool:
        return not self.store.shared or self.sessions.is_here(account)

    async def _read(self, account: JID) -> tuple[Mapping[str, bytes], PrivacyLists]:
        """The values that are kept, and the lists that they are."""
        values = await self.store.get_items(account.bare, NS)
        items = [Item(NS, key, value) for key, value in values.items()]
        found, damaged = await self._read_all(items)
        if damaged:
            await set_aside(self.store, account.bare, damaged)
            values = await self.store.get_items(account.bare, NS)
        return values, _of(found)

    async def _read_all(
        self, items: Iterable[Item]
    ) -> tuple[list[PrivacyList | str], list[Damaged]]:
        """The stored lists, and those that cannot be read; each long list is read in its own
        turn.
        """
        found: list[PrivacyList | str] = []
        damaged: list[Damaged] = []
        rules = 0
        for item in items:
            if rules >= RULES_PER_SLICE:
                await self.next_turn()
                rules = 0
            sound, unsound = sift([item], _read)
            found += sound
            damaged += unsound
            rules += sum(len(each.rules) for each in sound if isinstance(each, PrivacyList))
        return found, damaged

    def loaded(self, account: str) -> PrivacyLists | None:
        """The account's lists, if they are in memory, as for every account online."""
        return self._loaded.get(account)

    def forget(self, account: str) -> None:
        """Read the account's lists anew when next needed."""
        self._loaded.pop(account, None)

    def _make_room(self) -> None:
        """Forget the oldest lists of accounts that are away, beyond a fixed number."""
        online = self.sessions.users
        if len(self._loaded) - len(online) <= MAX_UNPINNED:
            return
        for bare in [bare for bare in self._loaded if bare not in online][: MAX_UNPINNED // 2]:
            del self._loaded[bare]

    # -- asking -----------------------------------------------------------------------------------

    async def denies(self, account: JID, kind: Kind, jid: JID) -> bool:
        """Whether the account's default list denies this, where no session's list is asked."""
        default = (await self.lists(account)).default
        if default is None:
            return False
        account = account.to_bare()
        rules = default.compiled
        contacts: Contacts = _Loaded(self.rosters, account.bare)
        if rules.needs_roster:
            contacts = await self.rosters.roster(account)
        return not SessionPrivacy(account, contacts, rules).lets(kind, jid)

    async def who_denies(self, accounts: Iterable[str], kind: Kind, jid: JID) -> set[str]:
        """Those of these accounts whose default list denies this; one query for all whose lists are
        not in memory, and only those that have one are read.
        """
        asked, unread = [], []
        for bare in accounts:
            known = self._loaded.get(bare)
            if known is None:
                unread.append(bare)
            elif known.default is not None:
                asked.append(bare)
        if unread:
            asked += await self.store.who_has_item(unread, NS, _DEFAULT)
        return {bare for bare in asked if await self.denies(JID.prepared(bare), kind, jid)}

    def in_force(
        self,
        account: JID,
        *,
        active: str | None = None,
        invisible: bool = False,
        probes: bool = True,
    ) -> SessionPrivacy | None:
        """The privacy in force for a session of an account whose lists are in memory.

        Args:
            account: Bare JID.
            active: The name of the session's active list; the default list if there is none.
            invisible: Whether the session is.
            probes: Whether it probes its contacts while it is invisible.
        """
        known = self._loaded.get(account.bare, NONE)
        if not known.lists and not invisible:
            return None
        return known.in_force(
            account,
            _Loaded(self.rosters, account.bare),
            active=active,
            invisible=invisible,
            probes=probes,
        )

    # -- changing ---------------------------------------------------------------------------------

    async def save(self, account: JID, changed: PrivacyList) -> None:
        """Add or replace a list.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: it is too long, or there are too many; NOT_ALLOWED: a
                guest keeps none.
        """

        def decide(known: PrivacyLists) -> PrivacyLists:
            self._check_room(known, changed)
            return known.with_list(changed)

        await self._change(account, decide)

    async def remove(self, account: JID, name: str) -> None:
        """Remove a list.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is none of this name.
        """

        def decide(known: PrivacyLists) -> PrivacyLists:
            known.found(name)
            return known.without(name)

        await self._change(account, decide)

    async def set_default(self, account: JID, name: str | None) -> None:
        """Make a list the default one, or decline any.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is none of this name.
        """

        def decide(known: PrivacyLists) -> PrivacyLists:
            if name is not None:
                known.found(name)
            return replace(known, default_name=name)

        await self._change(account, decide)

    async def block(self, account: JID, jids: Iterable[JID], *, by_client: bool = True) -> None:
        """Deny these JIDs everything, first of all, in the default list.

        Args:
            account: Bare JID.
            jids: Those that are blocked.
            by_client: Whether whoever asks for it tells the account's clients what is blocked.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: there are too many; NOT_ALLOWED: a guest keeps none.
        """
        blocked = tuple(jids)

        def decide(known: PrivacyLists) -> PrivacyLists:
            default = known.default or PrivacyList(known.unused_name(), ())
            changed = default.with_blocked(blocked)
            self._check_room(known, changed)
            return replace(known.with_list(changed), default_name=changed.name)

        await self._change(account, decide, by_blocking=by_client)

    async def unblock(
        self, account: JID, jids: Iterable[JID] | None, *, by_client: bool = True
    ) -> None:
        """Take these JIDs out of the blocklist; None for all. Otherwise as :meth:`block`.

        A default list without rules is removed.
        """
        unblocked = None if jids is None else tuple(jids)

        def decide(known: PrivacyLists) -> PrivacyLists:
            if known.default is None:
                return known
            changed = known.default.without_blocked(unblocked)
            return known.with_list(changed) if changed.rules else known.without(changed.name)

        await self._change(account, decide, by_blocking=by_client)

    async def _change(self, account: JID, decide: Decide, *, by_blocking: bool = False) -> None:
        """Change the lists in the store and in memory, and fire the events.

        Args:
            account: Bare JID.
            decide: Says what the lists are from now on; it is asked again if another node has
                changed them before that was stored (CL-42).
            by_blocking: Whether who asked for it tells what is blocked.
        """
        async with self._turns.held(account.bare):
            known = self._loaded.get(account.bare) or await self._known(account)
            kept: Callable[[str], bytes | None] = partial(_value, known)
            for _ in range(1 + MAX_RETRIES):
                after = decide(known)
                try:
                    await self._store(account.bare, known, after, kept)
                except AnotherVersion:
                    values, known = await self._read_again(account, known)
                    kept = values.get
                except BaseException:
                    self.forget(account.bare)
                    raise
                else:
                    self._keep(account.bare, after)
                    self._tell(account, known, after, by_blocking=by_blocking)
                    return
        raise StanzaError(
            Condition.RESOURCE_CONSTRAINT, "the lists are changing too often; try again"
        )

    async def reread(self, account: JID) -> None:
        """Take what another node has stored, if the account's lists are in memory.

        Raises:
            StoreError: They cannot be read; they will be when they are next needed.
        """
        async with self._turns.held(account.bare):
            known = self._loaded.get(account.bare)
            if known is not None:
                await self._read_again(account, known)

    async def _read_again(
        self, account: JID, before: PrivacyLists
    ) -> tuple[Mapping[str, bytes], PrivacyLists]:
        """Read what another node has stored, and fire the events.

        Returns:
            The values as they are kept, and the lists that they are.
        """
        self.forget(account.bare)
        values, after = await self._read(account)
        same = {
            name: known
            for name, known in before.lists.items()
            if name in after.lists and values.get(_LIST + name) == known.wire()
        }
        after = replace(after, lists={**after.lists, **same})
        self._keep(account.bare, after)
        self._tell(account, before, after)
        return values, after

    def _tell(
        self, account: JID, before: PrivacyLists, after: PrivacyLists, *, by_blocking: bool = False
    ) -> None:
        for name in dict.fromkeys((*after.lists, *before.lists)):
            if before.lists.get(name) != after.lists.get(name):
                self.events.fire(PrivacyListChanged(account, name))
        if not by_blocking and before.blocked != after.blocked:
            self.events.fire(_difference(account, before.blocked, after.blocked))

    async def _store(
        self,
        account: str,
        before: PrivacyLists,
        after: PrivacyLists,
        kept: Callable[[str], bytes | None],
    ) -> None:
        """Store the lists first, then the default's name: a name without a list means none.

        Args:
            account: Bare JID.
            before: The lists from which was decided.
            after: The lists from now on.
            kept: Gives the value of a key before.

        Raises:
            AnotherVersion: Another node has changed them.
        """
        if not await self.rosters.has_account(account):
            raise StanzaError(Condition.NOT_ALLOWED, "guests cannot have privacy lists")
        default = {_DEFAULT: kept(_DEFAULT)}
        for name in dict.fromkeys((*after.lists, *before.lists)):
            new, key = after.lists.get(name), _LIST + name
            if before.lists.get(name) is not new:
                value = None if new is None else new.wire()
                await self._set(account, key, value, {**default, key: kept(key)})
        if before.default_name != after.default_name:
            name = after.default_name or ""
            await self._set(account, _DEFAULT, name.encode() or None, default)

    def check_length(self, rules: int) -> None:
        """Whether a list may have so many rules (PL-12).

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: it may not.
        """
        most = self.settings.max_items_per_list
        if rules > most:
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT, f"a list may have at most {counted(most, 'item')}"
            )

    def _check_room(self, known: PrivacyLists, changed: PrivacyList) -> None:
        self.check_length(len(changed.rules))
        if changed.name not in known.lists and len(known.lists) >= MAX_LISTS:
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT, f"an account may have at most {MAX_LISTS} lists"
            )

    async def _set(
        self, account: str, key: str, value: bytes | None, expected: Mapping[str, bytes | None]
    ) -> None:
        limits = self.room
        try:
            await self.store.set_item(
                account, NS, key, value,
                max_items=limits.max_items, max_bytes=limits.max_bytes, expected=expected,
            )  # fmt: skip
        except QuotaExceeded as error:
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT,
                f"an account may store at most {counted(limits.max_items, 'item')} and "
                f"{counted(limits.max_bytes, 'byte')}",
            ) from error


@dataclass(frozen=True, slots=True)
class _Loaded:
    """The contacts of an account whose roster is in memory."""

    rosters: Rosters
    account: str

    def standing(self, jid: JID) -> Standing:
        """The subscription and groups of this JID."""
        roster = self.rosters.loaded(self.account)
        return UNKNOWN if roster is None else roster.standing(jid)


def _value(lists: PrivacyLists, key: str) -> bytes | None:
    """What is kept of these lists by a key."""
    if key == _DEFAULT:
        return None if lists.default_name is None else lists.default_name.encode()
    kept = lists.lists.get(key.removeprefix(_LIST))
    return None if kept is None else kept.wire()


def _read(item: Item) -> PrivacyList | str:
    """Read a stored list, or the name of the default one."""
    if item.key == _DEFAULT:
        return item.value.decode()
    tree = ElementTree.fromstring(b"<query xmlns='%b'>%b</query>" % (NS.encode(), item.value))
    return PrivacyList.from_tree(tree[0], address=JID.prepared)


def _of(found: Iterable[PrivacyList | str]) -> PrivacyLists:
    lists: dict[str, PrivacyList] = {}
    default = None
    for each in found:
        if isinstance(each, str):
            default = each
        else:
            lists[each.name] = each
    return PrivacyLists(lists, default if default in lists else None)


def _difference(account: JID, before: Iterable[JID], after: Iterable[JID]) -> BlocklistChanged:
    old, new = dict.fromkeys(before), dict.fromkeys(after)
    return BlocklistChanged(
        account,
        tuple(jid for jid in new if jid not in old),
        tuple(jid for jid in old if jid not in new),
    )


__all__ = [
    "MAX_LISTS",
    "BlocklistChanged",
    "PrivacyListChanged",
    "PrivacyListManager",
    "PrivacyLists",
]
