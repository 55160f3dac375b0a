"""Cards: those of all accounts, and where parts of them are."""

from dataclasses import dataclass
from typing import Protocol

from xmppd.stanza import JID, Tree, qname
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
    """The cards.

    Attributes:
        items: Keep them.
        photos: Keeps the photos; None if they are in the cards.
        maker: Makes the cards of accounts that have none; None if they have none.
    """

    items: PersonalItems
    photos: PhotoKeeper | None = None
    maker: CardMaker | None = None

    async def written(self, account: JID, asker: JID) -> bytes | None:
        """The card of an account, as far as somebody may see it; None if there is nothing."""
        card = (await self.items.elements(account.bare, NS)).get("")
        if card is None and self.maker is not None:
            card = await self.maker.card(account, asker) or None
        if self.photos is not None:
            photo = await self.photos.photo(account, asker)
            if photo:
                card = with_photo(card or EMPTY, photo)
        return card

    async def shown(self, account: JID, asker: JID) -> Tree | None:
        """The same as a tree."""
        card = await self.written(account, asker)
        return None if card is None else read(card)

    async def keep(self, account: JID, card: Tree) -> None:
        """Keep the card of an account, as it came; an empty one is none.

        Raises:
            StanzaError: It is too large, or its photo is none.
        """
        if self.photos is not None:
            photo = card.find(PHOTO)
            await self.photos.take_photo(account, photo)
            if photo is not None:
                card = without_photo(card)
        value = write(card) if len(card) else None
        await self.items.keep(account.bare, NS, "", value)


def without_photo(card: Tree) -> Tree:
    """A card without its photo."""
    rest = [child for child in card if child.tag != PHOTO]
    made = Tree(card.tag, card.attrib)
    made.extend(rest)
    return made


def with_photo(card: bytes, photo: bytes) -> bytes:
    """A card with a photo in the place of its own."""
    tree = read(card)
    if tree.find(PHOTO) is not None:
        card = write(without_photo(tree))
    if card.endswith(b"/>"):
        return b"%b>%b</vCard>" % (card[:-2], photo)
    at = card.rindex(b"</")
    return card[:at] + photo + card[at:]


__all__ = ["EMPTY", "NS", "PHOTO", "CardMaker", "Cards", "PhotoKeeper", "with_photo"]
