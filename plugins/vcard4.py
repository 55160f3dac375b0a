"""XEP-0292: vCard4 over XMPP. The card that an account publishes, also by a request of its own."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.plugin.place import Part
from xmppd.presence.presence_manager import PresenceManager
from xmppd.stanza import IQ, Condition, Element, StanzaError, dump, element, qname
from xmppd_plugins.pep.faces import NodeFaces
from xmppd_plugins.pubsub.requests import PubSubRequests
from xmppd_plugins.pubsub.state import NodeName

NS = "urn:ietf:params:xml:ns:vcard-4.0"
NODE = "urn:xmpp:vcard4"
CURRENT = "current"
"""The id of the one item."""


@dataclass(frozen=True)
class IQvCard4Handler(IQHandler):
    """Show and take the card in the node (CV-9)."""

    requests: PubSubRequests
    presences: PresenceManager

    query = qname(NS, "vcard")
    to = To.OWN_ACCOUNT | To.ACCOUNTS
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> bytes | Element:
        """The card, for who may read the node; the owner without one is given an empty one."""
        engine, account = self.requests.engine, asked.address.to_bare()
        try:
            page = await engine.items(NodeName(account.bare, NODE), iq.sender, newest=1)
        except StanzaError as error:
            if asked.own and error.condition is Condition.ITEM_NOT_FOUND:
                return element(NS, "vcard")
            if asked.own or await self.presences.can_see(iq.sender, account):
                raise
            raise StanzaError(Condition.SERVICE_UNAVAILABLE) from error
        for item in page.items:
            if item.payload:
                return item.payload
        return element(NS, "vcard")

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Publish the owner's card."""
        if not asked.own:
            raise StanzaError(Condition.FORBIDDEN, "this card is somebody else's")
        name = NodeName(asked.address.bare, NODE)
        await self.requests.engine.publish(name, iq.sender, [(CURRENT, dump(iq.query))], None)


def plug(requests: PubSubRequests, presences: PresenceManager, faces: NodeFaces) -> list[Part]:
    """The parts of this plugin; by the last of what it asks for, accounts have nodes."""
    return [IQvCard4Handler(requests, presences)]
