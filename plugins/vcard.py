"""XEP-0054: vcard-temp. Everybody's card: shown to whoever asks, changed by its owner only."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import IQHandler
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
    features = (NS,)

    async def on_get(self, iq: IQ) -> bytes:
        """The card of whoever is asked.

        The owner of no card is given an empty one, which clients fill in (§3.1). To others an
        account without a card answers as one that does not exist, so that cards tell nobody who
        has an account (§3.3).
        """
        account = iq.sender.bare if iq.to is None else iq.to.bare
        card = (await self.items.elements(account, NS)).get("")
        if card is not None:
            return card
        if account == iq.sender.bare:
            return EMPTY
        raise StanzaError(Condition.SERVICE_UNAVAILABLE)

    async def on_set(self, iq: IQ) -> None:
        """Keep the sender's card."""
        if iq.to is not None and iq.to.bare != iq.sender.bare:
            raise StanzaError(Condition.FORBIDDEN, "this card is somebody else's")
        card = iq.payload.tree[0]
        value = write(card) if len(card) else None
        await self.items.keep(iq.sender.bare, NS, "", value)


def plug(items: PersonalItems) -> list[Part]:
    """What this feature is made of."""
    return [IQvCardHandler(items)]
