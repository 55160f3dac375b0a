"""Changes of shared groups, which every account online that they concern sees at once."""

from collections.abc import Awaitable

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from xmppd.presence.presence_manager import PresenceManager
from xmppd.roster.roster_manager import RosterManager
from xmppd.roster.shared_groups import SharedGroups
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID
from xmppd.store.shared_groups import SharedGroup

VIEWERS_PER_SLICE = 20
_log = Logger()


class SharedGroupChanges:
    """Changes groups, then shows them (RO-14).

    An account online sees removed contacts leave, is pushed the contacts that came, changed or
    went, and sees the presence of those that came. All "unavailable" are sent at once, since later
    nobody would send them to a former viewer; the rest is done in slices.
    """

    def __init__(
        self,
        groups: SharedGroups,
        rosters: RosterManager,
        presences: PresenceManager,
        routing_table: RoutingTable,
    ) -> None:
        self.groups = groups
        self.rosters = rosters
        self.presences = presences
        self.routing_table = routing_table

    async def save(self, group: SharedGroup) -> None:
        """Add or replace a group."""
        await self._show(self.groups.as_it_is(), self.groups.save(group))

    async def delete(self, name: str) -> None:
        """Remove a group."""
        await self._show(self.groups.as_it_is(), self.groups.delete(name))

    async def reload(self) -> None:
        """Follow changes that were made in the store."""
        await self._show(self.groups.as_it_is(), self.groups.load())

    async def _show(self, before: SharedGroups, change: Awaitable[None]) -> None:
        await change
        if before.groups == self.groups.groups:
            return
        viewers = sorted(before.online_viewers() | self.groups.online_viewers())
        for viewer in viewers:
            self._say_goodbyes(JID.prepared(viewer), before)
        for start in range(0, len(viewers), VIEWERS_PER_SLICE):
            if start:
                await self.rosters.broadcasts.next_turn()
            told = [
                Deferred.fromCoroutine(self._show_to(JID.prepared(viewer), before))
                for viewer in viewers[start : start + VIEWERS_PER_SLICE]
            ]
            for succeeded, result in await DeferredList(told, consumeErrors=True):
                if not succeeded:
                    _log.failure("a changed group was not shown to somebody", result)

    def _say_goodbyes(self, viewer: JID, before: SharedGroups) -> None:
        """Send "unavailable" of accounts that are not seen any more, unless their own rosters show
        them.
        """
        for bare in before.items(viewer.bare):
            contact = JID.prepared(bare)
            if before.sees(viewer.bare, bare) and not self._seen(viewer, contact):
                self.presences.hide_own(contact, viewer)

    async def _show_to(self, viewer: JID, before: SharedGroups) -> None:
        """Show the viewer its roster as it is now, and the presence of those that it did not see
        before.
        """
        roster = self.rosters.loaded(viewer.bare)
        if roster is None:
            return
        old, new = before.items(viewer.bare), self.groups.items(viewer.bare)
        concerned = sorted(old.keys() | new.keys())
        changed = [bare for bare in concerned if old.get(bare) != new.get(bare)]
        if changed:
            await self.rosters.show(roster, changed)
        for bare in concerned:
            if self.groups.sees(viewer.bare, bare) and not before.sees(viewer.bare, bare):
                await self._introduce(JID.prepared(bare), viewer)

    async def _introduce(self, contact: JID, viewer: JID) -> None:
        roster = self.rosters.loaded(contact.bare)
        if roster is not None and not roster.is_subscribed(viewer):
            showing = self.presences.show_own(contact, viewer)
            if showing is not None:
                await showing

    def _seen(self, viewer: JID, contact: JID) -> bool:
        roster = self.rosters.loaded(contact.bare)
        return roster is not None and roster.may_be_seen_by(viewer)
