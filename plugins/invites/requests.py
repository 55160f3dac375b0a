"""InvitedRequests: requests to see an inviter's presence that show a token (:xep:`0379`)."""

from collections.abc import Callable
from dataclasses import dataclass

from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.stanza import JID, Presence, StanzaError

from .invitations import Invitations
from .iq import PARS, PREAUTH


@dataclass(frozen=True, slots=True)
class InvitationTaken:
    """An inviter has let a guest see their presence, and is to see the guest's.

    Attributes:
        inviter: Bare JID.
        guest: Bare JID, perhaps of another server.
    """

    inviter: JID
    guest: JID


@dataclass(frozen=True)
class InvitedRequests:
    """Answers requests in the name of whoever has invited the one that asks.

    Attributes:
        invitations: All of them.
        subscriptions: Of all accounts.
        fire: Fires an event.
    """

    invitations: Invitations
    subscriptions: PresenceSubscribeHandler
    fire: Callable[[object], None]

    async def agree(self, request: Presence) -> bool:
        """Whether the account that is asked has invited the one that asks: that is used up then.
        Any other token leaves the request to people (:xep:`0379#rules`).
        """
        if request.to is None or PARS.encode() not in request.payload.raw:
            return False
        preauth = request.payload.tree.find(PREAUTH)
        token = None if preauth is None else preauth.get("token")
        if not token:
            return False
        inviter, guest = request.to.to_bare(), request.sender.to_bare()
        try:
            found = await self.invitations.open(token, "")
            if found.inviter != inviter.bare or not found.is_contact or found.name:
                return False
            async with self.invitations.used_by(found, guest):
                pass
        except StanzaError:
            return False
        self.fire(InvitationTaken(inviter, guest))
        return True

    async def ask_back(self, event: InvitationTaken) -> None:
        """Ask the guest in the inviter's name, once the guest's own request is answered."""
        ask = Presence.make(event.guest, event.inviter, type="subscribe")
        await self.subscriptions.process(ask)


__all__ = ["InvitationTaken", "InvitedRequests"]
