"""Messages to a room itself that are not for all: forms, invitations, and answers to them."""

from xmppd.stanza import Condition, Later, Message, StanzaError, qname
from xmppd.stanza.form import DATA

from .approval import filled_in
from .hall import Hall
from .invites import DECLINE, INVITE, RoomInvites
from .names import USER
from .occupant import OccupantSession
from .register import REGISTER, IQRoomRegisterHandler
from .room import Room
from .voice import REQUEST, VoiceRequests

_TYPE = f"{qname(DATA, 'field')}[@var='FORM_TYPE']/{qname(DATA, 'value')}"


class RoomErrands:
    """Takes what somebody wants of a room (RM-40).

    Args:
        hall: Where the rooms are.
        registration: Takes what was decided about it.
    """

    def __init__(self, hall: Hall, registration: IQRoomRegisterHandler) -> None:
        self.voice = VoiceRequests(hall)
        self.invites = RoomInvites(hall)
        self.registration = registration

    def take_errand(self, room: Room, message: Message) -> Later:
        """Take a message to a room that is not for all in it.

        Raises:
            StanzaError: It is nothing that a room takes, or not from this sender.
        """
        tree, session = message.payload.tree, room.sessions.get(message.sender.full)
        said = tree.find(USER)
        if said is not None and (decline := said.find(DECLINE)) is not None:
            self.invites.decline(room, message.sender, decline)
            return None
        if said is not None and (invites := said.findall(INVITE)):
            return self.invites.invite(room, _inside(session), invites)
        filled = filled_in(tree)
        match None if filled is None else filled.findtext(_TYPE):
            case kind if filled is not None and kind == REQUEST:
                self.voice.take(room, _inside(session), filled)
                return None
            case kind if filled is not None and kind == REGISTER:
                return self.registration.take(room, message.sender, filled)
        _inside(session)
        raise StanzaError(
            Condition.BAD_REQUEST, "messages to the whole room must have the type groupchat"
        )


def _inside(session: OccupantSession | None) -> OccupantSession:
    """The session of who is in.

    Raises:
        StanzaError: NOT_ACCEPTABLE: they are not.
    """
    if session is None:
        raise StanzaError(Condition.NOT_ACCEPTABLE, "enter the room first")
    return session


__all__ = ["RoomErrands"]
