"""XEP-0054: vcard-temp. The card of an account: shown to all, changed by its owner only."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.plugin.place import Part
from xmppd.stanza import IQ, Condition, StanzaError, qname
from xmppd.stanza.xml import write
from xmppd.store.personal_items import PersonalItems

NS = "vcard-temp"
EMPTY = f"<vCard xmlns='{NS}'/>".encode()


@dataclass(frozen=True)
class IQvCardHandler(IQHandler):
    """Show and keep cards (§3); a card is kept as it came, and an empty one is none."""

    items: PersonalItems

    query = qname(NS, "vCard")
    to = To.SERVER | To.OWN_ACCOUNT | To.ACCOUNTS
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        """The card of an account.

        An owner without a card is given an empty one, which clients fill in (§3.1). To others an
        account without a card answers as one that does not exist, so that cards do not tell who has
        an account (§3.3).
        """
        card = (await self.items.elements(asked.address.bare, NS)).get("")
        if card is not None:
            return card
        if asked.own:
            return EMPTY
        raise StanzaError(Condition.SERVICE_UNAVAILABLE)

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Keep the sender's card."""
        if not asked.own:
            raise StanzaError(Condition.FORBIDDEN, "this card is somebody else's")
        card = iq.payload.tree[0]
        value = write(card) if len(card) else None
        await self.items.keep(asked.address.bare, NS, "", value)


def plug(items: PersonalItems) -> list[Part]:
    """The parts of this feature."""
    return [IQvCardHandler(items)]
