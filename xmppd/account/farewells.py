"""Farewells: the end of subscriptions between an account that is removed and its contacts."""

from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.handler.presence_update_handler import PresenceUpdateHandler
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.roster.subscription import farewells
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, Presence


class Farewells:
    """Ends the subscriptions between an account and its contacts, so that none keeps it in the
    roster.

    Args:
        presence_updates: Tells contacts that a session is unavailable.
        subscriptions: Ends subscriptions, both ways.
        shared_groups: The groups that bring it to the rosters of others.
    """

    def __init__(
        self,
        presence_updates: PresenceUpdateHandler,
        subscriptions: PresenceSubscribeHandler,
        shared_groups: SharedGroupChanges,
    ) -> None:
        self.presence_updates = presence_updates
        self.subscriptions = subscriptions
        self.shared_groups = shared_groups
        self.rosters = presence_updates.rosters

    async def say_goodbye(self, session: LocalClientSession) -> None:
        """Make a session unavailable while its roster is still there."""
        gone = Presence.make(None, session.jid, type="unavailable")
        later = self.presence_updates.process(gone)
        if later is not None:
            await later

    async def end_subscriptions(self, account: JID) -> None:
        """End the subscriptions between the account and each contact (:xep:`0077`, §3.2)."""
        roster = await self.rosters.roster(account)
        for item in tuple(roster.items.values()):
            for kind in farewells(item):
                farewell = Presence.make(JID.prepared(item.jid), account, type=kind)
                await self.subscriptions.process(farewell)

    async def leave_groups(self) -> None:
        """Read the shared groups again, of which the account is no member any more."""
        await self.shared_groups.reload()

    def forget(self, account: str) -> None:
        """Forget its roster."""
        self.rosters.forget(account)


__all__ = ["Farewells"]
