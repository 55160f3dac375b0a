"""Cards of rooms, and the avatars in them (:xep:`0054`, :xep:`0486`)."""

from base64 import b64decode
from hashlib import sha1

from msgspec.structs import replace

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.stanza import IQ, Condition, StanzaError, Tree, qname
from xmppd.stanza.xml import write

from .hall import Hall
from .privileges import check_owner
from .state import RoomChange

NS = "vcard-temp"
MAX_CARD_BYTES = 131_072

_EMPTY = f"<vCard xmlns='{NS}'/>".encode()
_PHOTO = f"{qname(NS, 'PHOTO')}/{qname(NS, 'BINVAL')}"


class IQRoomCardHandler(IQHandler):
    """Show the card of a room to everybody, and keep what its owners make of it (RM-68).

    Args:
        hall: Where the rooms are.
    """

    query = qname(NS, "vCard")
    to = To.ENTITIES
    features = (NS,)

    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        room = self.hall.found(asked.address)
        return await self.hall.rooms.store.card(room.jid) or _EMPTY

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        room = self.hall.found(asked.address)
        check_owner(self.hall.affiliation(room, iq.sender))
        card = iq.payload.tree[0]
        kept = write(card) if len(card) else b""
        if len(kept) > MAX_CARD_BYTES:
            text = f"a room's vCard may have at most {MAX_CARD_BYTES} bytes"
            raise StanzaError(Condition.NOT_ACCEPTABLE, text)
        config = replace(room.config, avatarhash=_hash(card))
        await self.hall.change(room, RoomChange(config=config, card=kept), iq.sender)


def _hash(card: Tree) -> str:
    """The hash by which others know the avatar in a card; empty if there is none.

    Raises:
        StanzaError: BAD_REQUEST: the picture is not in Base64.
    """
    text = card.findtext(_PHOTO)
    if text is None:
        return ""
    try:
        picture = b64decode("".join(text.split()), validate=True)
    except ValueError as error:
        raise StanzaError(Condition.BAD_REQUEST, "the picture is not valid Base64") from error
    return sha1(picture, usedforsecurity=False).hexdigest() if picture else ""


__all__ = ["MAX_CARD_BYTES", "IQRoomCardHandler"]
