"""Shared groups change: everybody online whom it concerns sees it at once."""

from collections.abc import Awaitable

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from xmppd.presence.presence_manager import PresenceManager
from xmppd.roster.roster_manager import RosterManager
from xmppd.roster.shared_groups import SharedGroups
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID
from xmppd.store.base import SharedGroup

VIEWERS_PER_SLICE = 20
_log = Logger()


class SharedGroupChanges:
    """Changes groups, then shows them (RO-14).

    Who is online sees those leave who went, gets the contacts that came, changed or went, and sees
    those who came. All goodbyes are said at once, since nobody else will say them to who does not
    see the contact any more; between slices of the rest the reactor has its turn.
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
        """Take note of what changed in the store."""
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
        """Those who are not seen any more leave, unless their own rosters show them anyway."""
        for bare in before.items(viewer.bare):
            contact = JID.prepared(bare)
            if before.sees(viewer.bare, bare) and not self._seen(viewer, contact):
                self.presences.send_unavailable(contact, viewer)

    async def _show_to(self, viewer: JID, before: SharedGroups) -> None:
        """The viewer's roster as it is now, and those who were not seen before."""
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
                self._introduce(JID.prepared(bare), viewer)

    def _introduce(self, contact: JID, viewer: JID) -> None:
        roster = self.rosters.loaded(contact.bare)
        if roster is not None and not roster.is_subscribed(viewer):
            self.presences.send_presences(contact, viewer)

    def _seen(self, viewer: JID, contact: JID) -> bool:
        roster = self.rosters.loaded(contact.bare)
        return roster is not None and roster.may_be_seen_by(viewer)
