"""Search for rooms in the way that clients know from directories of users (:xep:`0055`)."""

from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.stanza import IQ, Condition, Element, StanzaError, child, element, qname
from xmppd.stanza.form import DATA, Field, form, table, values_of

from .hall import Hall
from .search import MAX_ITEMS, WRONG_WORDS, FoundRoom, find_rooms, words_of

NS = "jabber:iq:search"

_FORM = qname(DATA, "x")
_WORDS = Field("words", "Words in name, description or address", required=True)
_COLUMNS = (
    Field("jid", "Address", "jid-single"),
    Field("name", "Name"),
    Field("description", "Description"),
    Field("users", "Occupants"),
)


class IQWordSearchHandler(IQHandler):
    """Answer with the rooms that are for everybody and have some words (RM-67).

    Args:
        hall: Where the rooms are.
    """

    query = qname(NS, "query")
    features = (NS,)

    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        answer = element(NS, "query")
        child(answer, "instructions", "Search for rooms by words, with the form.")
        answer.append(form(NS, "Search for rooms", "", _WORDS))
        return answer

    async def on_set(self, iq: IQ, asked: Asked) -> Element:
        filled = iq.payload.tree[0].find(_FORM)
        if filled is None:
            raise StanzaError(Condition.BAD_REQUEST, "use the form to search for rooms")
        words = words_of(" ".join(values_of(filled, NS).get(_WORDS.var, ())))
        if not words:
            raise StanzaError(Condition.NOT_ACCEPTABLE, WRONG_WORDS)
        found = await find_rooms(self.hall, asked.address.domain, words)
        answer = element(NS, "query")
        answer.append(table(NS, _COLUMNS, [_row(each) for each in found[:MAX_ITEMS]]))
        return answer


def _row(room: FoundRoom) -> list[tuple[str, ...]]:
    name = room.config.roomname or room.address.partition("@")[0]
    description = room.config.roomdesc
    return [(room.address,), (name,), (description,) if description else (), (str(room.users),)]


__all__ = ["IQWordSearchHandler"]
