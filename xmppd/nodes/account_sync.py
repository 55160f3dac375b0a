"""AccountSync: what other nodes have stored of accounts, shown to people who are here."""

from xmppd.cluster.entries.accounts import GroupsStored, ListsStored, RosterStored
from xmppd.cluster.node import NodeId
from xmppd.nodes.entry_handler import EntryHandler
from xmppd.presence.introductions import EVER
from xmppd.presence.privacy_changes import PrivacyChanges
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.roster.roster_manager import RosterManager
from xmppd.stanza import JID


class AccountSync:
    """Reads again what another node has stored.

    Args:
        rosters: Push what is new to their owners.
        privacy: Puts other lists in force.
        groups: Show their members the difference.
    """

    def __init__(
        self, rosters: RosterManager, privacy: PrivacyChanges, groups: SharedGroupChanges
    ) -> None:
        self.rosters = rosters
        self.privacy = privacy
        self.groups = groups

    def put_in(self, entries: EntryHandler) -> None:
        """Handle what concerns stored things."""
        entries.put(RosterStored, self.roster_stored)
        entries.put(ListsStored, self.lists_stored)
        entries.put(GroupsStored, self.groups_stored)

    async def read_again(self, account: JID) -> None:
        """Read what may have been stored of an account before others knew that this node is to be
        told.
        """
        await self.rosters.reread(account, EVER)
        await self.privacy.lists.reread(account)
        await self.privacy.renew(account)

    async def roster_stored(self, sender: NodeId, entry: RosterStored) -> None:
        """Take a roster that has changed."""
        await self.rosters.reread(JID.prepared(entry.account), entry.version)

    async def lists_stored(self, sender: NodeId, entry: ListsStored) -> None:
        """Take privacy lists that have changed; answered when they are in force."""
        account = JID.prepared(entry.account)
        await self.privacy.lists.reread(account)
        await self.privacy.renew(account)

    async def groups_stored(self, sender: NodeId, entry: GroupsStored) -> None:
        """Take shared groups that have changed; answered when they are read, or seen."""
        if entry.show:
            await self.groups.show_read()
        else:
            await self.groups.read()


__all__ = ["AccountSync"]
