"""XEP-0054: vcard-temp. The card of an account: shown to all, changed by its owner only."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Protocol

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.migration.user_data import UserData
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import Part
from xmppd.stanza import IQ, JID, Condition, StanzaError, Tree, qname
from xmppd.stanza.xml import read, write
from xmppd.store.personal_items import PersonalItems

NS = "vcard-temp"
PHOTO = qname(NS, "PHOTO")
EMPTY = f"<vCard xmlns='{NS}'/>".encode()


class PhotoKeeper(Protocol):
    """Keeps the photos of cards elsewhere."""

    async def photo(self, account: JID, asker: JID) -> bytes:
        """The ``<PHOTO/>`` of a card; empty if there is none that the asker may see."""

    async def take_photo(self, who: JID, photo: Tree | None) -> None:
        """Take the photo of a card from its owner; None if the card has none.

        Raises:
            StanzaError: It is none.
        """


class CardMaker(Protocol):
    """Makes cards for accounts that have none here."""

    async def card(self, account: JID, asker: JID) -> bytes:
        """A ``<vCard/>``; empty if there is nothing that the asker may see."""


@dataclass
class Cards:
    """Cards, and where parts of them are.

    Attributes:
        photos: Keeps the photos; None if they are in the cards.
        maker: Makes the cards of accounts that have none; None if they have none.
    """

    photos: PhotoKeeper | None = None
    maker: CardMaker | None = None


@dataclass(frozen=True)
class IQvCardHandler(IQHandler):
    """Show and keep cards (§3); a card is kept as it came, and an empty one is none."""

    items: PersonalItems
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
        card = (await self.items.elements(asked.address.bare, NS)).get("")
        if card is None and self.cards.maker is not None and not asked.server:
            card = await self.cards.maker.card(asked.address.to_bare(), iq.sender) or None
        if self.cards.photos is not None and not asked.server:
            photo = await self.cards.photos.photo(asked.address.to_bare(), iq.sender)
            if photo:
                card = with_photo(card or EMPTY, photo)
        if card is not None:
            return card
        if asked.own:
            return EMPTY
        raise StanzaError(Condition.SERVICE_UNAVAILABLE)

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Keep the sender's card."""
        if not asked.own:
            raise StanzaError(Condition.FORBIDDEN, "this vCard belongs to someone else")
        card = iq.payload.tree[0]
        if self.cards.photos is not None:
            photo = card.find(PHOTO)
            await self.cards.photos.take_photo(iq.sender, photo)
            if photo is not None:
                rest = [child for child in card if child.tag != PHOTO]
                card = Tree(card.tag, card.attrib)
                card.extend(rest)
        value = write(card) if len(card) else None
        await self.items.keep(asked.address.bare, NS, "", value)


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


def with_photo(card: bytes, photo: bytes) -> bytes:
    """A card with a photo in the place of its own."""
    tree = read(card)
    if tree.find(PHOTO) is not None:
        rest = [child for child in tree if child.tag != PHOTO]
        tree = Tree(tree.tag, tree.attrib)
        tree.extend(rest)
        card = write(tree)
    if card.endswith(b"/>"):
        return b"%b>%b</vCard>" % (card[:-2], photo)
    at = card.rindex(b"</")
    return card[:at] + photo + card[at:]


def plug(items: PersonalItems) -> list[Part]:
    """The parts of this feature."""
    cards = Cards()
    return [IQvCardHandler(items, cards), Offer(cards), CardData(items)]
