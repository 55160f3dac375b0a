"""Invitations that a room passes on, and what becomes of them (:xep:`0045`, §7.8.2)."""

from collections import OrderedDict
from collections.abc import Sequence
from weakref import WeakKeyDictionary

from xmppd.stanza import JID, Condition, Message, StanzaError, Tree, child, dump, element, qname

from .hall import Hall
from .names import MUC_USER
from .occupant import OccupantSession
from .privileges import RolePrivilege, check_role
from .ranks import RoomAffiliation
from .room import Room
from .state import Affiliated, RoomChange

MAX_INVITED = 20
"""People in one message."""

MAX_OPEN = 1_000
"""Invitations of a room that may be declined; the oldest one is forgotten."""

INVITE, DECLINE = qname(MUC_USER, "invite"), qname(MUC_USER, "decline")
_REASON, _CONTINUE = qname(MUC_USER, "reason"), qname(MUC_USER, "continue")


class RoomInvites:
    """Invites people into rooms in the name of somebody there, and tells those who declines
    (RM-54).

    Args:
        hall: Where the rooms are.
    """

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self._open: WeakKeyDictionary[Room, OrderedDict[tuple[str, str], None]] = (
            WeakKeyDictionary()
        )

    async def invite(self, room: Room, session: OccupantSession, invites: Sequence[Tree]) -> None:
        """Invite people.

        Args:
            room: Where to.
            session: Who invites.
            invites: An element for each.

        Raises:
            StanzaError: They may not, or one of these may not be invited; then nobody is.
        """
        standing = self.hall.standing(room, session.jid)
        check_role(standing, RolePrivilege.INVITE, room.config)
        if len(invites) > MAX_INVITED:
            text = f"at most {MAX_INVITED} people may be invited at once"
            raise StanzaError(Condition.NOT_ACCEPTABLE, text)
        people = [self._invited(room, invite) for invite in invites]
        if room.config.membersonly and (standing.affiliation.leads or room.config.allowinvites):
            await self._add_members(room, session, people)
        inviter = session.occupant.person
        for person, invite in zip(people, invites, strict=True):
            self._note(room, inviter, person)
            self.hall.teller.hand_on(_invitation(room, inviter, person, invite))

    def _invited(self, room: Room, invite: Tree) -> JID:
        """Who is invited.

        Raises:
            StanzaError: JID_MALFORMED: nobody; NOT_ALLOWED: they are banned.
        """
        try:
            person = JID.parse(invite.get("to", ""))
        except ValueError as error:
            text = f"an invitation needs an address ({error})"
            raise StanzaError(Condition.JID_MALFORMED, text) from error
        if room.affiliation(person) is RoomAffiliation.OUTCAST:
            raise StanzaError(Condition.NOT_ALLOWED, f"{person.bare} is banned from this room")
        return person.to_bare()

    async def _add_members(
        self, room: Room, session: OccupantSession, people: Sequence[JID]
    ) -> None:
        new = {
            person.bare: Affiliated(
                person.bare, RoomAffiliation.MEMBER, actor=session.occupant.person.bare
            )
            for person in people
            if room.affiliation(person) is RoomAffiliation.NONE
        }
        if new:
            what = RoomChange(affiliated=tuple(new.values()))
            await self.hall.change(room, what, session.jid)

    def _note(self, room: Room, inviter: JID, person: JID) -> None:
        """Remember that somebody may decline."""
        noted = self._open.setdefault(room, OrderedDict())
        noted[person.bare, inviter.bare] = None
        if len(noted) > MAX_OPEN:
            noted.popitem(last=False)

    def decline(self, room: Room, sender: JID, decline: Tree) -> None:
        """Tell who has invited somebody that they do not come, if they are in.

        Raises:
            StanzaError: ITEM_NOT_FOUND: they were not invited by that one, or have declined.
        """
        try:
            inviter = JID.parse(decline.get("to", ""))
        except ValueError as error:
            text = f"a refusal needs the address of the inviter ({error})"
            raise StanzaError(Condition.JID_MALFORMED, text) from error
        noted = self._open.get(room, OrderedDict())
        if noted.pop((sender.bare, inviter.bare), "") is not None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "this invitation no longer exists")
        said = element(MUC_USER, "x")
        declined = child(said, "decline", **{"from": sender.bare})
        if (reason := decline.findtext(_REASON)) is not None:
            child(declined, "reason", reason)
        message = Message.make(None, room.jid, dump(said))
        for session in room.sessions.values():
            if session.occupant.person.bare == inviter.bare:
                self.hall.teller.hand_on(message.addressed(session.jid))


def _invitation(room: Room, inviter: JID, person: JID, invite: Tree) -> Message:
    """What somebody is sent who is invited."""
    said = element(MUC_USER, "x")
    passed_on = child(said, "invite", **{"from": inviter.bare})
    if (reason := invite.findtext(_REASON)) is not None:
        child(passed_on, "reason", reason)
    if (going_on := invite.find(_CONTINUE)) is not None:
        thread = going_on.get("thread")
        child(passed_on, "continue", **({} if thread is None else {"thread": thread}))
    if room.config.passwordprotectedroom:
        child(said, "password", room.config.roomsecret)
    return Message.make(person, room.jid, dump(said))


__all__ = ["DECLINE", "INVITE", "MAX_INVITED", "MAX_OPEN", "RoomInvites"]
