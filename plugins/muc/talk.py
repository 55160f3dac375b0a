"""RoomTalk: messages to rooms, and to those who are in them."""

from dataclasses import dataclass
from math import ceil

from xmppd.message.worth import is_chat_state
from xmppd.net.token_bucket import TokenBucket
from xmppd.stanza import JID, Condition, ErrorType, Later, Message, StanzaError, Tree

from .effects import Effect, occupant_id, user
from .errands import RoomErrands
from .hall import Hall
from .memory import is_subject
from .names import is_forged
from .occupant import Occupant, OccupantSession
from .privileges import RolePrivilege, check_role
from .ranks import Role
from .room import Room


@dataclass(frozen=True)
class SaidToAll:
    """Something was said to all in a room, who have been told.

    Attributes:
        room: Where.
        said: As they were told, to nobody.
        author: Bare JID of who has said it.
        tree: Of the message, to look at.
    """

    room: Room
    said: Message
    author: JID
    tree: Tree


class RoomTalk:
    """Says to all in a room what one of them says (RM-40), and to one what is for them (RM-50).

    Args:
        hall: Where the rooms are.
        errands: Takes what is for the room itself.
    """

    def __init__(self, hall: Hall, errands: RoomErrands) -> None:
        self.hall = hall
        self.errands = errands

    def take_message(self, room: Room | None, message: Message) -> Later:
        """Take a message to a room, or to somebody in it.

        Raises:
            StanzaError: Its sender may not say that.
        """
        if room is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "the room does not exist")
        nick = None if message.to is None else message.to.resource
        if nick is None and message.type != "groupchat":
            return self.errands.take_errand(room, message)
        session = room.sessions.get(message.sender.full)
        if session is None:
            raise StanzaError(Condition.NOT_ACCEPTABLE, "enter the room first")
        if nick is not None:
            self._say_to_one(room, session, message, nick)
            return None
        return self._say_to_all(room, session, message)

    def _check_size(self, message: Message) -> None:
        most = self.hall.settings.max_message_bytes
        if len(message.payload.raw) > most:
            raise StanzaError(
                Condition.POLICY_VIOLATION, f"a message may have at most {most} bytes"
            )

    def _check_rate(self, occupant: Occupant) -> None:
        settings = self.hall.settings
        if occupant.bucket is None:
            occupant.bucket = TokenBucket(settings.messages_per_s, settings.burst_messages)
        now = self.hall.clocks.seconds()
        if occupant.bucket.take(1, now) > 0:
            occupant.bucket.take(-1, now)  # what is refused costs nothing
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT,
                f"messages come too fast, at most {settings.messages_per_s:g} a second; wait a "
                "moment",
            )

    def _check_slow(self, room: Room, occupant: Occupant, tree: Tree) -> None:
        """Let a text be said if the room's time from one of somebody to their next has passed,
        whatever their nick; moderators have no such time (RM-42).
        """
        every_s = room.config.slow_mode_duration
        if not every_s or occupant.role is Role.MODERATOR or tree.find("body") is None:
            return
        now = self.hall.clocks.seconds()
        left_s = room.slow_mode.speak(occupant.person.bare, now, every_s)
        if left_s:
            text = f"at most one message every {every_s} s is allowed here; wait {ceil(left_s)} s"
            raise StanzaError(Condition.POLICY_VIOLATION, text, type=ErrorType.WAIT)

    # -- to all -----------------------------------------------------------------------------------

    def _say_to_all(self, room: Room, session: OccupantSession, message: Message) -> Later:
        occupant = session.occupant
        if room.is_large and is_chat_state(message.payload.tree):
            return None  # RM-49
        is_other_subject = is_subject(message.payload.tree)
        privilege = RolePrivilege.SUBJECT if is_other_subject else RolePrivilege.SPEAK
        check_role(room.standing(session.jid), privilege, room.config)
        self._check_size(message)
        self._check_rate(occupant)
        if not is_other_subject:
            self._check_slow(room, occupant, message.payload.tree)
        waiting = self.hall.rooms.memory.space()
        if waiting is not None or is_other_subject:
            return self._say_later(room, occupant, message, waiting)
        self._say(room, occupant, message, _in_name_of(occupant, room, message))
        return None

    async def _say_later(
        self, room: Room, occupant: Occupant, message: Message, waiting: Later
    ) -> None:
        if waiting is not None:
            await waiting
        said = _in_name_of(occupant, room, message)
        if is_subject(message.payload.tree):
            await self.hall.keep_subject(room, said)
        self._say(room, occupant, message, said)

    def _say(self, room: Room, occupant: Occupant, message: Message, said: Message) -> None:
        """Have all hear it, the sender included, in one order for all, when it is kept."""
        memory = self.hall.rooms.memory
        given = memory.remember(room, said, message.sender, message.payload.tree)
        heard = Effect(given, room.sessions.values())
        self.hall.tell(room, [*room.speaks(occupant), heard], message.sender)
        self.hall.events.fire(SaidToAll(room, given, occupant.person, message.payload.tree))

    # -- to one -----------------------------------------------------------------------------------

    def _say_to_one(
        self, room: Room, session: OccupantSession, message: Message, nick: str
    ) -> None:
        if message.type == "groupchat":
            raise StanzaError(
                Condition.BAD_REQUEST, "send messages for everyone to the room's own address"
            )
        check_role(room.standing(session.jid), RolePrivilege.PRIVATE_MESSAGE, room.config)
        reader = room.occupant(nick)
        if reader is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "no occupant has this nick")
        self._check_size(message)
        self._check_rate(session.occupant)
        said = _in_name_of(session.occupant, room, message).with_child(user())
        first, *others = sorted(reader.sessions.values(), key=lambda each: -each.priority)
        self.hall.teller.hand_on(said.addressed(first.jid))
        self.hall.tell(room, [Effect(said, others)])


def _in_name_of(occupant: Occupant, room: Room, message: Message) -> Message:
    """A message as its sender's occupant says it, to nobody yet: without what only the room may
    say, and with the id by which others know the occupant (RM-41).
    """
    jid = room.jid.full
    left = message.without_children(lambda child: is_forged(child, jid))
    payload = left.payload.without_to()
    said = Message(None, occupant.jid, message.id, message.type, payload)
    return said.with_child(occupant_id(occupant))


__all__ = ["RoomTalk", "SaidToAll"]
