"""Registration with a room: a nick that is kept, and membership (:xep:`0045`, §7.10, §9.9)."""

from msgspec.structs import replace

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Element,
    Message,
    StanzaError,
    Tree,
    child,
    dump,
    element,
    qname,
)
from xmppd.stanza.form import DATA, Field, form, values_of

from .approval import OpenRequests, decision
from .effects import Effect
from .hall import Hall
from .names import MUC
from .nicks import check_nick
from .privileges import check_register
from .ranks import RoomAffiliation
from .room import Room
from .state import Affiliated, RoomChange

NS = "jabber:iq:register"
REGISTER = f"{MUC}#register"
ALLOW = "muc#register_allow"
NICK = "muc#register_roomnick"
MAX_TOLD = 10
"""Owners who are sent a request while none of them is in."""

_JID = "muc#register_jid"
_FORM, _REMOVE = qname(DATA, "x"), qname(NS, "remove")
_NONE, _MEMBER = RoomAffiliation.NONE, RoomAffiliation.MEMBER


class IQRoomRegisterHandler(IQHandler):
    """Answer about registering, and register (RM-59).

    Whoever registers where membership gives nothing becomes a member; elsewhere those are asked
    who may make members, unless the room says otherwise.

    Args:
        hall: Where the rooms are.
    """

    query = qname(NS, "query")
    to = To.ENTITIES
    features = (NS,)

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.open = OpenRequests(hall.clocks.seconds)

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        room = self.hall.found(asked.address)
        check_register(room.affiliation(iq.sender))
        known = room.affiliated.get(iq.sender.bare)
        answer = element(NS, "query")
        if known is not None:
            child(answer, "registered")
            child(answer, "username", known.nick)
            return answer
        child(answer, "instructions", "Choose your nick for this room.")
        field = Field(NICK, "Nick", required=True)
        title = f"Registration with {room.config.roomname or room.jid.full}"
        answer.append(form(REGISTER, title, "Choose your nick.", field))
        return answer

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        room, query = self.hall.found(asked.address), iq.payload.tree[0]
        check_register(room.affiliation(iq.sender))
        if query.find(_REMOVE) is not None:
            await self._remove(room, iq.sender)
            return
        filled = query.find(_FORM)
        if filled is None or filled.get("type") != "submit":
            raise StanzaError(Condition.BAD_REQUEST, f"send a form with {NICK}")
        nick = self._free_nick(room, iq.sender, values_of(filled, REGISTER).get(NICK, []))
        known = room.affiliated.get(iq.sender.bare)
        if known is not None:
            await self._keep(room, known, nick, iq.sender)
        elif room.config.allow_registration or not (
            room.config.membersonly or room.config.moderatedroom
        ):
            await self._add(room, iq.sender, nick, iq.sender)
        else:
            self._ask(room, iq.sender, nick)

    def _free_nick(self, room: Room, who: JID, values: list[str]) -> str:
        """The nick that somebody wants.

        Raises:
            StanzaError: CONFLICT: it is somebody else's; or it is none.
        """
        nick = check_nick(values[0] if len(values) == 1 else "")
        holder, occupant = room.reserved(nick), room.occupant(nick)
        if holder not in (None, who.bare) or (
            occupant is not None and occupant.person.bare != who.bare
        ):
            raise StanzaError(Condition.CONFLICT, "someone else has this nick, or a similar one")
        return nick

    async def _keep(self, room: Room, known: Affiliated, nick: str, who: JID) -> None:
        """Keep another nick for somebody who is in the lists already."""
        if nick != known.nick:
            await self.hall.change(room, RoomChange(noted=(replace(known, nick=nick),)), who)

    async def _add(self, room: Room, who: JID, nick: str, actor: JID) -> None:
        """Make somebody a member."""
        member = Affiliated(who.bare, _MEMBER, nick, actor=actor.bare)
        await self.hall.change(room, RoomChange(affiliated=(member,)), actor)

    async def _remove(self, room: Room, who: JID) -> None:
        """End a registration: of members their membership, of others their nick."""
        known = room.affiliated.get(who.bare)
        if known is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "you are not registered with this room")
        if known.affiliation is _MEMBER:
            what = RoomChange(affiliated=(Affiliated(who.bare, _NONE),))
            await self.hall.change(room, what, who)
        else:
            await self._keep(room, known, "", who)

    # -- where somebody decides -------------------------------------------------------------------

    def _ask(self, room: Room, who: JID, nick: str) -> None:
        """Ask who leads the room: those who are in, or else its owners wherever they are."""
        self.open.ask(room, who.bare, nick)
        asked = form(
            REGISTER,
            "Request for membership",
            "Decide whether this user becomes a member of the room.",
            Field(_JID, "JID", "jid-single", values=(who.bare,)),
            Field(NICK, "Nick", values=(nick,)),
            Field(ALLOW, "Grant membership?", "boolean", values=("0",)),
        )
        message = Message.make(None, room.jid, dump(asked))
        leaders = [
            each for each in room.sessions.values() if room.affiliation(each.occupant.person).leads
        ]
        if leaders:
            self.hall.tell(room, [Effect(message, leaders)])
            return
        owners = [
            each.jid
            for each in room.affiliated.values()
            if each.affiliation is RoomAffiliation.OWNER
        ]
        for owner in owners[:MAX_TOLD]:
            self.hall.teller.hand_on(message.addressed(JID.prepared(owner)))

    async def take(self, room: Room, sender: JID, filled: Tree) -> None:
        """Take what somebody who leads a room has decided.

        Raises:
            StanzaError: FORBIDDEN: they do not; or it decides about nobody.
        """
        if not self.hall.affiliation(room, sender).leads:
            raise StanzaError(Condition.FORBIDDEN, "only admins and owners may add members")
        is_allowed, text = decision(filled, REGISTER, ALLOW, _JID)
        try:
            who = JID.parse(text)
        except ValueError as error:
            raise StanzaError(Condition.JID_MALFORMED, f"{_JID}: {error}") from error
        nick = self.open.answer(room, who.bare)
        if is_allowed and room.affiliation(who) is _NONE:
            await self._add(room, who, self._free_nick(room, who, [nick]), sender)


__all__ = ["ALLOW", "NICK", "NS", "REGISTER", "IQRoomRegisterHandler"]
