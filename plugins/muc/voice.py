"""Requests for voice: visitors ask, moderators answer (:xep:`0045`, §7.13, §8.6)."""

from xmppd.stanza import Condition, Message, StanzaError, Tree, dump
from xmppd.stanza.form import Field, form, values_of

from .approval import OpenRequests, decision
from .effects import Effect
from .hall import Hall
from .names import MUC
from .occupant import OccupantSession
from .privileges import RolePrivilege, check_role
from .ranks import Role
from .room import Room

REQUEST = f"{MUC}#request"
ALLOW = "muc#request_allow"

_NICK = "muc#roomnick"
_ROLE = "muc#role"


class VoiceRequests:
    """Takes what visitors ask for, and what moderators answer (RM-52).

    Args:
        hall: Where the rooms are.
    """

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.open = OpenRequests(hall.clocks.seconds)

    def take(self, room: Room, session: OccupantSession, filled: Tree) -> None:
        """Take a form that asks for voice, or that answers.

        Raises:
            StanzaError: It asks for something else, or is not for its sender to fill in.
        """
        values = values_of(filled, REQUEST)
        if ALLOW in values:
            self._answer(room, session, filled)
        elif values.get(_ROLE) == [Role.PARTICIPANT.value]:
            self._ask(room, session)
        else:
            raise StanzaError(Condition.BAD_REQUEST, f"{_ROLE} must be {Role.PARTICIPANT.value}")

    def _ask(self, room: Room, session: OccupantSession) -> None:
        visitor = session.occupant
        if not room.config.allow_voice_requests:
            raise StanzaError(Condition.FORBIDDEN, "this room does not allow requests for voice")
        if visitor.role is not Role.VISITOR:
            raise StanzaError(Condition.NOT_ALLOWED, "you already have voice")
        moderators = [
            each for each in room.sessions.values() if each.occupant.role is Role.MODERATOR
        ]
        if not moderators:
            raise StanzaError(Condition.RECIPIENT_UNAVAILABLE, "no moderator is here at the moment")
        self.open.ask(room, visitor.person.bare, visitor.nick)
        asked = form(
            REQUEST,
            "Request for voice",
            "Decide whether this visitor may send messages to all.",
            Field(_ROLE, "Role", "list-single", values=(Role.PARTICIPANT.value,)),
            Field("muc#jid", "JID", "jid-single", values=(session.jid.full,)),
            Field(_NICK, "Nick", values=(visitor.nick,)),
            Field(ALLOW, "Grant voice?", "boolean", values=("0",)),
        )
        self.hall.tell(room, [Effect(Message.make(None, room.jid, dump(asked)), moderators)])

    def _answer(self, room: Room, session: OccupantSession, filled: Tree) -> None:
        check_role(self.hall.standing(room, session.jid), RolePrivilege.ANSWER, room.config)
        is_allowed, nick = decision(filled, REQUEST, ALLOW, _NICK)
        visitor = room.occupant(nick)
        if visitor is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "no occupant has this nick any more")
        self.open.answer(room, visitor.person.bare)
        if is_allowed and visitor.role is Role.VISITOR:
            self.hall.tell(room, room.change_role(visitor, Role.PARTICIPANT))


__all__ = ["ALLOW", "REQUEST", "VoiceRequests"]
