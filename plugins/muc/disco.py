"""What service discovery says of rooms and of their service (RM-58)."""

from collections.abc import Iterable
from heapq import merge
from itertools import groupby, islice
from operator import itemgetter

from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem, DiscoQuestion
from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, qname
from xmppd.stanza.form import Field, result
from xmppd.stanza.rsm import PageRequest, page_request, page_set
from xmppd_plugins.disco import ITEMS, items_query

from .hall import Hall
from .names import AFFILIATIONS, HATS, MUC, OCCUPANT_ID, STANZA_ID
from .room import Room

ROOM_INFO = f"{MUC}#roominfo"
_NAME = itemgetter(0)
STABLE_ID = f"{MUC}#stable_id"
RESERVED_NICK = "x-roomuser-item"
MAX_LISTED = 1_000
"""Rooms in one answer."""

SERVICE = DiscoInfo(features=(MUC, "vcard-temp", OCCUPANT_ID, STABLE_ID))
_ROOM = (MUC, OCCUPANT_ID, STABLE_ID, STANZA_ID, f"{MUC}#self-ping-optimization", AFFILIATIONS)


def room_info(room: Room, question: DiscoQuestion, more: Iterable[Field] = ()) -> DiscoInfo | None:
    """What is said of a room, or of a node of it; None of one that it has not.

    Args:
        room: It.
        question: What is asked.
        more: Fields that other plugins have for its form.
    """
    if question.node == RESERVED_NICK:
        return _reserved_nick(room, question.asker)
    if question.node:
        return None
    identity = DiscoIdentity("conference", "text", room.config.roomname or room.jid.local or "")
    return DiscoInfo((identity,), (*_ROOM, *_kinds(room)), (_form(room, more),))


def _reserved_nick(room: Room, asker: JID) -> DiscoInfo:
    """The nick that is kept for somebody; nothing if there is none (:xep:`0045`, §7.12)."""
    found = room.affiliated.get(asker.bare)
    if found is None or not found.nick:
        return DiscoInfo()
    return DiscoInfo((DiscoIdentity("conference", "text", found.nick),))


def _kinds(room: Room) -> tuple[str, ...]:
    """The features that say how a room is configured (§4.2)."""
    config = room.config
    return (
        "muc_public" if config.publicroom else "muc_hidden",
        "muc_membersonly" if config.membersonly else "muc_open",
        "muc_moderated" if config.moderatedroom else "muc_unmoderated",
        "muc_semianonymous" if config.is_anonymous else "muc_nonanonymous",
        "muc_passwordprotected" if config.passwordprotectedroom else "muc_unsecured",
        "muc_persistent" if config.persistentroom else "muc_temporary",
        *((HATS,) if config.hats else ()),
    )


def _form(room: Room, more: Iterable[Field]) -> Element:
    config = room.config
    subject = "" if room.subject is None else room.subject.payload.tree.findtext("subject") or ""
    fields = [
        Field("muc#roominfo_description", "Description", values=(config.roomdesc,)),
        Field("muc#roominfo_subject", "Subject", values=(subject,)),
        Field("muc#roominfo_occupants", "Occupants", values=(str(len(room.occupants)),)),
        Field("muc#roominfo_lang", "Language", values=(config.lang,)),
        Field("muc#roominfo_avatarhash", "Hash of the avatar", values=(config.avatarhash,)),
        Field(
            "muc#roominfo_contactjid", "Contact addresses", "jid-multi", values=config.contactjid
        ),
        Field(
            "muc#roominfo_changesubject",
            "Participants may change the subject",
            "boolean",
            values=(str(int(config.changesubject)),),
        ),
        Field(
            "muc#roominfo_slow_mode_duration",
            "Minimum seconds between messages",
            values=(str(config.slow_mode_duration),),
        ),
        Field("hats#hash", "Hash of the hats", values=(room.hats.hash,)),
    ]
    return result(ROOM_INFO, *(field for field in (*fields, *more) if any(field.values)))


class IQRoomItemsHandler(IQHandler):
    """List the rooms of a service that are for everybody, and those that the asker has to do with,
    in pages (:xep:`0059`).
    """

    query = qname(ITEMS, "query")

    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        query = iq.payload.tree[0]
        if query.get("node"):
            raise StanzaError(Condition.ITEM_NOT_FOUND, "the node does not exist")
        request = page_request(query, usual=MAX_LISTED, most=MAX_LISTED)
        page = request or PageRequest(MAX_LISTED)
        if page.is_backwards or page.skipped is not None:
            raise StanzaError(
                Condition.FEATURE_NOT_IMPLEMENTED, "rooms can only be listed forwards"
            )
        found = await self._listed(asked.address, iq.sender, page)
        names = [item.jid.full for item in found]
        if request is None and len(found) < MAX_LISTED:
            return items_query(found)
        if page.most == 0:
            count = await self.hall.rooms.store.count(asked.address.domain, public=True)
            return items_query((), given=page_set(None, None, count=count))
        first, last = (names[0], names[-1]) if names else (None, None)
        return items_query(found, given=page_set(first, last))

    async def _listed(self, service: JID, asker: JID, page: PageRequest) -> tuple[DiscoItem, ...]:
        """The rooms of a page, by name, each once."""
        store, after = self.hall.rooms.store, page.after or ""
        public = await store.public(service.domain, page.most, after)
        own = await store.rooms_of(service.domain, asker, page.most, after)
        rooms = (next(same) for _, same in groupby(merge(public, own, key=_NAME), key=_NAME))
        return tuple(
            DiscoItem(JID.prepared(name), config.roomname or name.partition("@")[0])
            for name, config in islice(rooms, page.most)
        )


__all__ = ["SERVICE", "IQRoomItemsHandler", "room_info"]
