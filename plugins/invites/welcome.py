"""GuestWelcome: what is done for somebody who has come by an invitation."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.stanza import JID

from .invitation import Invitation


@dataclass(frozen=True)
class GuestWelcome:
    """Makes inviter and guest contacts, and has the guest join groups.

    Attributes:
        exists: Whether there is an account of a bare JID.
        subscriptions: Of all accounts.
        groups: Changes shared groups.
    """

    exists: Callable[[str], Awaitable[bool]]
    subscriptions: PresenceSubscribeHandler
    groups: SharedGroupChanges

    async def greet(self, invitation: Invitation, account: JID) -> None:
        """Do for a new account what its invitation says.

        Raises:
            StanzaError: One of their rosters is full.
        """
        await self._join(invitation, account)
        if invitation.is_contact and await self.exists(invitation.inviter):
            await self.subscriptions.befriend(JID.parse(invitation.inviter), account)

    async def _join(self, invitation: Invitation, account: JID) -> None:
        for name in invitation.groups:
            group = self.groups.groups.groups.get(name)
            if group is not None:  # it may have been deleted meanwhile
                members = tuple(dict.fromkeys((*group.members, account.bare)))
                await self.groups.save(replace(group, members=members))


__all__ = ["GuestWelcome"]
