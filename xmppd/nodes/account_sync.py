"""AccountSync: what other nodes have stored of accounts, shown to people who are here."""

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.entries.accounts import GroupsStored, ListsStored, RosterStored
from xmppd.cluster.node import NodeId
from xmppd.nodes.entry_handler import EntryHandler
from xmppd.presence.introductions import EVER
from xmppd.presence.privacy_changes import PrivacyChanges
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.roster.roster_manager import RosterManager
from xmppd.stanza import JID
from xmppd.store.errors import StoreError

_log = Logger()


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

    def met_late(self, account: str) -> None:
        """Read what belongs to an account again, since another node may have changed it and has not
        known that a session is here (CL-141).
        """
        reading = Deferred.fromCoroutine(self.read_again(JID.prepared(account)))
        reading.addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if not failure.check(StoreError):  # which the store has logged
            _log.failure("a change by another node could not be read", failure)

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
