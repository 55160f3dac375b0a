"""XEP-0054: vcard-temp. The card of an account: shown to all, changed by its owner only."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass

from xmppd.account.accounts import Accounts
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.migration.user_data import UserData
from xmppd.pages.page import Panel
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import Part
from xmppd.stanza import IQ, JID, Condition, StanzaError, Tree, qname
from xmppd.stanza.xml import write
from xmppd.store.personal_items import PersonalItems

from .cards import EMPTY, NS, Cards
from .commands import VCardCommands


@dataclass(frozen=True)
class IQvCardHandler(IQHandler):
    """Show and keep cards (§3); a card is kept as it came, and an empty one is none."""

    cards: Cards

    query = qname(NS, "vCard")
    to = To.SERVER | To.OWN_ACCOUNT | To.ACCOUNTS
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        """The card of an account.

        An owner without a card is given an empty one, which clients fill in (§3.1). To others an
        account without a card answers as one that does not exist, so that cards do not tell who has
        an account (§3.3).
        """
        card: bytes | None = None
        if not asked.server:
            card = await self.cards.written(asked.address.to_bare(), iq.sender)
        if card is not None:
            return card
        if asked.own:
            return EMPTY
        raise StanzaError(Condition.SERVICE_UNAVAILABLE)

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Keep the sender's card."""
        if not asked.own:
            raise StanzaError(Condition.FORBIDDEN, "this vCard belongs to someone else")
        await self.cards.keep(asked.address.to_bare(), iq.payload.tree[0])


class CardData(UserData):
    """The card of whoever moves, as it was set.

    Args:
        items: Keep it.
    """

    tags = (qname(NS, "vCard"),)

    def __init__(self, items: PersonalItems) -> None:
        self._items = items

    async def written(self, account: JID) -> AsyncIterator[bytes]:
        """The card, if there is one."""
        card = (await self._items.elements(account.bare, NS)).get("")
        if card is not None:
            yield card + b"\n"

    async def take(self, account: JID, tree: Tree) -> Collection[str]:
        """Keep it, with its photo."""
        if len(tree):
            await self._items.keep(account.bare, NS, "", write(tree))
        return ()


def plug(items: PersonalItems, accounts: Accounts) -> list[Part]:
    """The parts of this feature."""
    cards = Cards(items)
    return [
        IQvCardHandler(cards),
        Offer(cards),
        CardData(items),
        *VCardCommands(cards, accounts.store.exists).commands(),
        Panel(
            page="user",
            title="vCard",
            command="vcard show",
            about="account",
            acts=("vcard set",),
            each=("vcard delete",),
        ),
    ]


__all__ = ["NS", "Cards"]
