"""XEP-0199: XMPP Ping. Are you there?"""

from collections.abc import Awaitable
from dataclasses import dataclass

from xmppd.handler.iq_handler import IQHandler
from xmppd.plugin.place import Part
from xmppd.presence.presence_manager import PresenceManager
from xmppd.stanza import IQ, JID, Condition, StanzaError, ns, qname


@dataclass(frozen=True)
class IQPingHandler(IQHandler):
    """Answer for the server (§4.2), and for an account to those who may see its presence."""

    presences: PresenceManager

    query = qname(ns.PING, "ping")
    features = (ns.PING,)
    account_features = (ns.PING,)

    def on_get(self, iq: IQ) -> Awaitable[None] | None:
        to = iq.to
        if to is None or to.local is None or to.bare == iq.sender.bare:
            return None
        return self._account(iq.sender, to)

    async def _account(self, viewer: JID, account: JID) -> None:
        """Whoever may not know whether there is such an account learns nothing here."""
        if not await self.presences.can_see(viewer, account):
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)


def plug(presences: PresenceManager) -> list[Part]:
    """What this feature is made of."""
    return [IQPingHandler(presences)]
