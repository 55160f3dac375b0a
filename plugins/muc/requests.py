"""Requests about a room: what its owners ask for, and its admins and moderators."""

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, Tree, child, element, qname
from xmppd.stanza.form import DATA

from .config_form import config_form, filled_form
from .effects import RoomItem
from .hall import Hall
from .lists import WantedChanges, WantedLists
from .names import MUC_ADMIN, MUC_OWNER
from .privileges import check_owner, check_read_list, sees_jids
from .ranks import Role, RoomAffiliation, RoomStanding
from .room import Room
from .state import Destroyed, RoomChange

KICKED = 307

_DESTROY = qname(MUC_OWNER, "destroy")
_FORM = qname(DATA, "x")
_ITEM = qname(MUC_ADMIN, "item")


class IQRoomOwnerHandler(IQHandler):
    """Has a room configured, and destroyed (:xep:`0045`, §10)."""

    query = qname(MUC_OWNER, "query")
    to = To.ENTITIES

    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        room = self._room(iq, asked)
        answer = element(MUC_OWNER, "query")
        answer.append(
            config_form(
                room.jid,
                room.config,
                _listed(room, RoomAffiliation.ADMIN),
                _listed(room, RoomAffiliation.OWNER),
            )
        )
        return answer

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        room = self._room(iq, asked)
        query = iq.payload.tree[0]
        form, destroy = query.find(_FORM), query.find(_DESTROY)
        if destroy is not None:
            await self._destroy(room, destroy)
        elif form is None:
            raise StanzaError(Condition.BAD_REQUEST, "send a form, or destroy")
        elif form.get("type") == "cancel":
            await self._cancel(room)
        elif form.get("type", "submit") == "submit":
            await self._configure(room, iq.sender, form)
        else:
            raise StanzaError(Condition.BAD_REQUEST, "the form must have the type submit")

    def _room(self, iq: IQ, asked: Asked) -> Room:
        """The room, for an owner."""
        room = self.hall.found(asked.address)
        check_owner(self.hall.affiliation(room, iq.sender))
        return room

    async def _configure(self, room: Room, actor: JID, form: Tree) -> None:
        """Have a room be as a form says, and be open from then on."""
        filled = filled_form(room.config, form)
        standing = RoomStanding(RoomAffiliation.OWNER)
        lists = WantedChanges(room, actor, standing)
        wanted = WantedLists()
        if filled.owners is not None:
            wanted = lists.want_lists(RoomAffiliation.OWNER, filled.owners)
        if filled.admins is not None:
            wanted = lists.want_lists(RoomAffiliation.ADMIN, filled.admins)
        what = RoomChange(
            None if filled.config == room.config else filled.config,
            locked=False if room.locked else None,
            affiliated=tuple(wanted.affiliated.values()),
        )
        if what != RoomChange():
            await self.hall.change(room, what, actor)

    async def _cancel(self, room: Room) -> None:
        """Have a new room not be made; another one stays as it is."""
        if room.locked:
            await self.hall.destroy(room)

    async def _destroy(self, room: Room, destroy: Tree) -> None:
        """Have a room be no more, and say where its people go (RM-55)."""
        address = destroy.get("jid", "")
        try:
            forward = JID.parse(address).bare if address else ""
        except ValueError as error:
            raise StanzaError(Condition.JID_MALFORMED, str(error)) from error
        reason = (destroy.findtext(qname(MUC_OWNER, "reason")) or "").strip()
        password = destroy.findtext(qname(MUC_OWNER, "password")) or ""
        await self.hall.destroy(room, Destroyed(forward, reason), password)


class IQRoomAdminHandler(IQHandler):
    """Has the lists of a room read and changed, and the roles of who is in it (§8, §9)."""

    query = qname(MUC_ADMIN, "query")
    to = To.ENTITIES

    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        room = self.hall.found(asked.address)
        item = iq.payload.tree[0].find(_ITEM)
        affiliation = None if item is None else item.get("affiliation")
        role = None if item is None else item.get("role")
        standing = self.hall.standing(room, iq.sender)
        try:
            wanted = Role(role) if role is not None else RoomAffiliation(affiliation)
        except ValueError as error:
            raise StanzaError(Condition.BAD_REQUEST, "name an affiliation or a role") from error
        check_read_list(standing, wanted, room.config)
        answer = element(MUC_ADMIN, "query")
        if isinstance(wanted, Role):
            _add_occupants(answer, room, wanted, knows=sees_jids(standing, room.config))
        else:
            _add_affiliated(answer, room, wanted)
        return answer

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        room = self.hall.found(asked.address)
        standing = self.hall.standing(room, iq.sender)
        wanted = WantedChanges(room, iq.sender, standing).read(iq.payload.tree[0])
        if wanted.affiliated:
            what = RoomChange(affiliated=tuple(wanted.affiliated.values()))
            await self.hall.change(room, what, iq.sender)
        actor = self.hall.nick(room, iq.sender)
        for occupant, (role, reason) in wanted.roles.items():
            if room.occupant(occupant.nick) is not occupant:
                continue  # what came before has sent it away
            item = RoomItem(room.affiliation(occupant.person), role, actor=actor, reason=reason)
            if role is Role.NONE:
                self.hall.tell(room, room.send_away(occupant, (KICKED,), item))
            else:
                self.hall.tell(room, room.change_role(occupant, role, item))


def _listed(room: Room, affiliation: RoomAffiliation) -> list[str]:
    return [each.jid for each in room.affiliated.values() if each.affiliation is affiliation]


def _add_affiliated(answer: Element, room: Room, wanted: RoomAffiliation) -> None:
    for each in room.affiliated.values():
        if each.affiliation is not wanted:
            continue
        item = child(answer, "item", affiliation=wanted.value, jid=each.jid)
        if each.nick:
            item.set("nick", each.nick)
        if wanted is RoomAffiliation.OUTCAST and each.actor:
            child(item, "actor", jid=each.actor)
        if each.reason:
            child(item, "reason", each.reason)


def _add_occupants(answer: Element, room: Room, wanted: Role, *, knows: bool) -> None:
    for occupant in room.occupants.values():
        if occupant.role is not wanted:
            continue
        affiliation = room.affiliation(occupant.person)
        item = child(
            answer, "item", affiliation=affiliation.value, nick=occupant.nick, role=wanted.value
        )
        if knows:
            item.set("jid", occupant.shown.jid.full)


__all__ = ["IQRoomAdminHandler", "IQRoomOwnerHandler"]
