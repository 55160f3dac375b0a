"""Requests about a room: what its owners ask for."""

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.stanza import IQ, Condition, StanzaError, qname
from xmppd.stanza.form import DATA

from .hall import Hall
from .names import MUC_OWNER
from .privileges import check_owner

_DESTROYED = "<destroy/>"
_FORM = qname(DATA, "x")


class IQRoomOwnerHandler(IQHandler):
    """Opens a new room, or has it not be made (RM-24)."""

    query = qname(MUC_OWNER, "query")
    to = To.ENTITIES

    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    def on_set(self, iq: IQ, asked: Asked) -> None:
        room = self.hall.found(asked.address)
        check_owner(self.hall.affiliation(room, iq.sender))
        form = iq.payload.tree[0].find(_FORM)
        if form is None:
            raise StanzaError(Condition.BAD_REQUEST, "this takes a form")
        if form.get("type") != "cancel":
            room.locked = False
        elif room.locked:
            self.hall.tell(room, room.close(_DESTROYED))


__all__ = ["IQRoomOwnerHandler"]
