"""Changes of shared groups, which every account online that they concern sees at once."""

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from xmppd.cluster.bus import ask_all
from xmppd.cluster.entries.accounts import GroupsStored
from xmppd.presence.presence_manager import PresenceManager
from xmppd.roster.roster_manager import RosterManager
from xmppd.roster.shared_groups import SharedGroups
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID
from xmppd.store.shared_groups import SharedGroup

ASK_S = 5.0
"""The time for which a change waits until people at other nodes see it."""

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
        self._shown: SharedGroups | None = None

    async def save(self, group: SharedGroup) -> None:
        """Add or replace a group."""
        before = self.groups.as_it_is()
        await self.groups.save(group)
        await self._show_everywhere(before)

    async def delete(self, name: str) -> None:
        """Remove a group."""
        before = self.groups.as_it_is()
        await self.groups.delete(name)
        await self._show_everywhere(before)

    async def reload(self) -> None:
        """Follow changes that were made in the store."""
        before = self.groups.as_it_is()
        await self.groups.load()
        await self._show_everywhere(before)

    async def _show_everywhere(self, before: SharedGroups) -> None:
        """Show the change to people here and at other nodes, once all nodes know it (CL-47): each
        says then whom somebody at another one may see.
        """
        await self._ask_nodes(GroupsStored(show=False))
        await self._show(before)
        await self._ask_nodes(GroupsStored(show=True))

    async def _ask_nodes(self, entry: GroupsStored) -> None:
        nodes = [node.id for node in self.routing_table.membership.nodes.values()]
        if nodes:
            await ask_all(self.routing_table.bus, nodes, entry, ASK_S)

    async def read(self) -> None:
        """Read what another node has changed in the store; it is shown later."""
        before = self.groups.as_it_is()
        await self.groups.load()
        self._shown = self._shown or before

    async def show_read(self) -> None:
        """Show people here what was read."""
        before, self._shown = self._shown, None
        if before is not None:
            await self._show(before)

    async def _show(self, before: SharedGroups) -> None:
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
                    _log.failure("a changed group could not be shown to some accounts", result)

    def _say_goodbyes(self, viewer: JID, before: SharedGroups) -> None:
        """Send "unavailable" of accounts that are not seen any more, unless their own rosters show
        them.
        """
        lost = [
            bare
            for bare in before.items(viewer.bare)
            if before.sees(viewer.bare, bare) and not self._seen(viewer, JID.prepared(bare))
        ]
        for bare in lost:
            self.presences.hide_own(JID.prepared(bare), viewer)
        if lost:
            self.presences.hide_from(viewer, frozenset(lost))

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
        new_ones = [
            bare
            for bare in concerned
            if self.groups.sees(viewer.bare, bare) and not before.sees(viewer.bare, bare)
        ]
        for bare in new_ones:
            await self._introduce(JID.prepared(bare), viewer)
        if new_ones and self.routing_table.directory.shared:
            for session in self.routing_table.available_here(viewer.bare):
                await self.presences.introductions.meet(session, see=new_ones)

    async def _introduce(self, contact: JID, viewer: JID) -> None:
        roster = self.rosters.loaded(contact.bare)
        if roster is not None and not roster.is_subscribed(viewer):
            showing = self.presences.show_own(contact, viewer)
            if showing is not None:
                await showing

    def _seen(self, viewer: JID, contact: JID) -> bool:
        """Whether the viewer sees an account, by its roster or a group."""
        if self.routing_table.is_here(contact.bare):
            theirs = self.rosters.loaded(contact.bare)
            return theirs is not None and theirs.may_be_seen_by(viewer)
        own = self.rosters.loaded(viewer.bare)
        subscribed = own is not None and own.sees(contact)
        return subscribed or self.groups.sees(viewer.bare, contact.bare)
