"""One Roster per account: loaded once, kept while its owner is here, changed through here only."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

from xmppd.events import Events
from xmppd.roster.roster import Roster
from xmppd.roster.shared_groups import SharedGroups
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.store.base import AccountStore, RosterItem, RosterStore

MAX_UNPINNED = 10_000


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """A contact was added, changed or removed (``item`` None)."""

    account: JID
    jid: str
    item: RosterItem | None


class Rosters(RosterStore, AccountStore, Protocol):
    """Rosters, and whose they are."""


class RosterManager:
    """The rosters of everybody who needs one just now.

    A roster in memory is the truth: it changes first, at once, so that two changes never work from
    the same old state; then it is stored; then its owner is told. If storing fails, the roster is
    forgotten, and read again when next needed.
    """

    def __init__(
        self,
        store: Rosters,
        routing_table: RoutingTable,
        shared_groups: SharedGroups,
        events: Events,
    ) -> None:
        self.store = store
        self.routing_table = routing_table
        self.shared_groups = shared_groups
        self.events = events
        self._loaded: dict[str, Roster] = {}
        self._loading: dict[str, list[Deferred[None]]] = {}

    def loaded(self, account: str) -> Roster | None:
        """The account's roster if it is in memory, as it is for everybody online."""
        return self._loaded.get(account)

    async def roster(self, account: JID) -> Roster:
        """The account's roster, read if need be; many who ask at once cause one read."""
        bare = account.bare
        while (roster := self._loaded.get(bare)) is None:
            if bare in self._loading:
                waiter: Deferred[None] = Deferred()
                self._loading[bare].append(waiter)
                await waiter
                continue
            self._loading[bare] = []
            try:
                data = await self.store.roster(bare)
                self._make_room()
                self._loaded[bare] = Roster(
                    account.to_bare(), data, self.routing_table, self.shared_groups
                )
            finally:
                for waiter in self._loading.pop(bare):
                    waiter.callback(None)
        return roster

    def _make_room(self) -> None:
        """Forget the oldest rosters of people who are away, beyond a fixed number."""
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
        if not await self.store.exists(account.bare):
            raise StanzaError(Condition.NOT_ALLOWED, "a guest keeps no contacts")

    async def save(self, roster: Roster, item: RosterItem, *, push: bool = True) -> None:
        """Add or change a contact: in memory, in the store, and at the owner's resources."""
        before = roster.items.get(item.jid)
        roster.put(item)
        await self._stored(roster, self.store.save_roster_items(roster.account.bare, [item]))
        if push:
            roster.push(before, item)
        self.events.fire(RosterChanged(roster.account, item.jid, item))

    async def remove(self, roster: Roster, jid: str, *, push: bool = True) -> None:
        """Remove a contact: in memory, in the store, and at the owner's resources."""
        roster.drop(jid)
        await self._stored(roster, self.store.delete_roster_item(roster.account.bare, jid))
        if push:
            roster.push_removal(jid)
        self.events.fire(RosterChanged(roster.account, jid, None))

    async def _stored(self, roster: Roster, change: Awaitable[int]) -> None:
        try:
            roster.version = max(await change, roster.version)
        except BaseException:
            self.forget(roster.account.bare)
            raise
