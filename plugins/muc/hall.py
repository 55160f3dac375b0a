"""Hall: what the rooms of one service have in common."""

from collections.abc import Iterable

from xmppd.command.command_table import CommandTable
from xmppd.host.clocks import Clocks
from xmppd.stanza import JID, Condition, Message, Stanza, StanzaError, Tree, ns
from xmppd.stanza.date_time import date_time

from .effects import Effect
from .occupant import OccupantSession
from .occupant_ids import occupant_id
from .ranks import RoomAffiliation
from .room import Room
from .rooms import Rooms
from .settings import RoomSettings
from .teller import RoomTeller


class Hall:
    """The rooms of one service, and what holds for all of them.

    Args:
        rooms: Those that are here.
        teller: Tells people.
        commands: Know the administrators, who own all rooms, and whose accounts are ours.
        settings: The limits.
        clocks: Tell the time.
    """

    def __init__(
        self,
        rooms: Rooms,
        teller: RoomTeller,
        commands: CommandTable,
        settings: RoomSettings,
        clocks: Clocks,
    ) -> None:
        self.rooms = rooms
        self.teller = teller
        self.commands = commands
        self.settings = settings
        self.clocks = clocks

    def found(self, jid: JID) -> Room:
        """A room that is here.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is none of this address.
        """
        room = self.rooms.loaded.get(jid.bare)
        if room is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "there is no such room")
        return room

    def is_admin(self, person: JID) -> bool:
        """Whether somebody owns all rooms (RM-7)."""
        return self.commands.actor(person).admin or person.bare in self.settings.admins

    def affiliation(self, room: Room, person: JID) -> RoomAffiliation:
        """What somebody may do in a room, listed there or not."""
        return RoomAffiliation.OWNER if self.is_admin(person) else room.affiliation(person)

    def occupant_id(self, room: Room, person: JID) -> str:
        """The id by which others know somebody in a room (RM-43)."""
        return occupant_id(room.key, room.jid, person)

    def check_create(self, who: JID) -> None:
        """Let somebody make a room.

        Raises:
            StanzaError: NOT_ALLOWED: they may not.
        """
        allowed = self.settings.create
        is_ours = who.domain in self.commands.domains
        if not (allowed == "all" or (allowed == "local" and is_ours) or self.is_admin(who)):
            raise StanzaError(Condition.NOT_ALLOWED, "there is no such room, and you may make none")

    def tell(self, room: Room, effects: Iterable[Effect]) -> None:
        """Tell people what has happened in a room."""
        self.teller.tell(effects)

    def history(self, room: Room, session: OccupantSession, join: Tree) -> Iterable[Stanza]:
        """What was said before a session has entered, as far as it asks for that."""
        return ()

    def subject(self, room: Room) -> Message:
        """The subject of a room, empty or not, for who enters."""
        if room.subject is None:
            return Message.make(None, room.jid, b"<subject/>", type="groupchat")
        return room.subject

    async def keep_subject(self, room: Room, said: Message) -> None:
        """Keep the subject of a room, which may be empty."""
        stamp = f"<delay xmlns='{ns.DELAY}' stamp='{date_time(self.clocks.wall_clock())}'/>"
        room.subject = said.with_child(stamp.encode())


__all__ = ["Hall"]
