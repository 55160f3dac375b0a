"""Shared groups change: everybody online whom it concerns sees it at once."""

from collections.abc import Awaitable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from xmppd.presence.presence_manager import PresenceManager
from xmppd.roster.roster_manager import RosterManager
from xmppd.roster.shared_groups import SharedGroups
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID
from xmppd.store.base import SharedGroup

VIEWERS_PER_SLICE = 20


class SharedGroupChanges:
    """Changes groups, then shows them (RO-14).

    Who is online gets the contacts that came, changed or went, sees those who came, and sees those
    leave who went. The reactor has its turn between slices of viewers.
    """

    def __init__(
        self,
        groups: SharedGroups,
        rosters: RosterManager,
        presences: PresenceManager,
        routing_table: RoutingTable,
        clock: IReactorTime,
    ) -> None:
        self.groups = groups
        self.rosters = rosters
        self.presences = presences
        self.routing_table = routing_table
        self.clock = clock

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
        for number, viewer in enumerate(viewers, 1):
            self._show_to(JID.parse(viewer), before)
            if number % VIEWERS_PER_SLICE == 0:
                await deferLater(self.clock, 0, lambda: None)

    def _show_to(self, viewer: JID, before: SharedGroups) -> None:
        roster = self.rosters.loaded(viewer.bare)
        if roster is None:
            return
        old, new = before.items(viewer.bare), self.groups.items(viewer.bare)
        for bare in sorted(old.keys() | new.keys()):
            if old.get(bare) != new.get(bare):
                roster.push_contact(bare)
            saw, sees = before.sees(viewer.bare, bare), self.groups.sees(viewer.bare, bare)
            if saw != sees:
                self._show_presence(viewer, JID.parse(bare), sees=sees)

    def _show_presence(self, viewer: JID, contact: JID, *, sees: bool) -> None:
        """The contact comes or goes for this viewer, unless its own roster shows it anyway."""
        roster = self.rosters.loaded(contact.bare)
        if roster is None or roster.is_subscribed(viewer):
            return
        if sees:
            self.presences.send_presences(contact, viewer)
        else:
            self.presences.send_unavailable(contact, viewer)
