"""Hall: what the rooms of one service have in common."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from xmppd.command.command_table import CommandTable
from xmppd.events import Events
from xmppd.handler.iq_handler import IQHandler
from xmppd.host.clocks import Clocks
from xmppd.stanza import JID, Condition, Message, StanzaError, Tree, escape, ns
from xmppd.stanza.date_time import date_time
from xmppd.stanza.form import Field

from .config import RoomConfig
from .effects import Effect, affected, destroyed
from .history import HistoryRequest
from .occupant_ids import new_key, occupant_id
from .ranks import RoomAffiliation, RoomStanding
from .room import Room
from .room_command import RoomCommand
from .rooms import Rooms
from .settings import RoomSettings
from .state import Affiliated, Destroyed, KeptRoom, RoomChange


@dataclass(frozen=True)
class ListsChanged:
    """People are something else to a room than before.

    Attributes:
        room: The room.
        people: They; a domain stands for all of its accounts.
    """

    room: Room
    people: Sequence[JID]


class Hall:
    """The rooms of one service, and what holds for all of them.

    Args:
        rooms: Those that are here.
        commands: Know the administrators, who own all rooms, and whose accounts are ours.
        settings: The limits.
        clocks: Tell the time.
        events: Those who want to know what is said.

    Attributes:
        handlers: Requests to rooms that other plugins answer, by their ``query``.
        room_commands: Commands of each room, by node.
        fields: Each makes a field that another plugin has for what a room says of itself, or None.
    """

    def __init__(
        self,
        rooms: Rooms,
        commands: CommandTable,
        settings: RoomSettings,
        clocks: Clocks,
        events: Events,
    ) -> None:
        self.rooms = rooms
        self.teller = rooms.teller
        self.commands = commands
        self.settings = settings
        self.clocks = clocks
        self.events = events
        self.handlers: dict[str, IQHandler] = {}
        self.room_commands: dict[str, RoomCommand] = {}
        self.fields: list[Callable[[Room], Field | None]] = []
        self._away: WeakKeyDictionary[Room, tuple[object, Sequence[Affiliated]]] = (
            WeakKeyDictionary()
        )

    def told(self, room: Room) -> list[Field]:
        """What other plugins have a room say of itself."""
        made = (make(room) for make in self.fields)
        return [field for field in made if field is not None]

    def found(self, jid: JID) -> Room:
        """A room that is here.

        Raises:
            StanzaError: ITEM_NOT_FOUND: there is none of this address.
        """
        room = self.rooms.loaded.get(jid.bare)
        if room is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "the room does not exist")
        return room

    def is_admin(self, person: JID) -> bool:
        """Whether somebody owns all rooms (RM-7)."""
        return self.commands.actor(person).admin or person.bare in self.settings.admins

    def affiliation(self, room: Room, person: JID) -> RoomAffiliation:
        """What somebody may do in a room, listed there or not; its service may do all."""
        is_service = person.full == room.jid.domain
        if is_service or self.is_admin(person):
            return RoomAffiliation.OWNER
        return room.affiliation(person)

    def standing(self, room: Room, sender: JID) -> RoomStanding:
        """What somebody may do in a room, by what they are to it and in it."""
        return RoomStanding(self.affiliation(room, sender), room.standing(sender).role)

    def nick(self, room: Room, sender: JID) -> str:
        """The nick of a session; empty if it is not in."""
        session = room.sessions.get(sender.full)
        return "" if session is None else session.occupant.nick

    def away(self, room: Room) -> Sequence[Affiliated]:
        """The accounts of ours to whom a room is something, or who follow it, and who are not in it
        (RM-62); the same list as long as they are the same.
        """
        away, known = room.away, self._away.get(room)
        if known is None or known[0] is not away:
            ours = [each for each in away if self._is_ours(each.jid)]
            known = self._away[room] = away, ours
        return known[1]

    def _is_ours(self, jid: str) -> bool:
        local, _, domain = jid.rpartition("@")
        return bool(local) and domain in self.commands.domains

    def occupant_id(self, room: Room, person: JID) -> str:
        """The id by which others know somebody in a room (RM-43)."""
        return occupant_id(room.key, room.jid, person)

    async def check_create(self, jid: JID, who: JID) -> None:
        """Let somebody make a room (RM-25).

        Raises:
            StanzaError: NOT_ALLOWED: they may not; GONE: it was destroyed, and its people are
                somewhere else.
        """
        where = await self.rooms.store.forward(jid, self.clocks.wall_clock())
        if where is not None and where.forward:
            raise StanzaError(
                Condition.GONE, where.reason or None, uri=f"xmpp:{where.forward}?join"
            )
        allowed = self.settings.create
        is_ours = who.domain in self.commands.domains
        if not (allowed == "all" or (allowed == "local" and is_ours) or self.is_admin(who)):
            raise StanzaError(
                Condition.NOT_ALLOWED, "the room does not exist, and you may not create one"
            )

    async def create(self, jid: JID, owner: JID) -> Room:
        """Make a room; it is locked, unless rooms are open at once."""
        listed = Affiliated(owner.bare, RoomAffiliation.OWNER)
        kept = KeptRoom(
            jid,
            RoomConfig(),
            new_key(),
            self.clocks.wall_clock(),
            owner.bare,
            locked=not self.settings.instant,
            affiliated=(listed,),
        )
        room = await self.rooms.create(kept)
        self.events.fire(ListsChanged(room, (owner.to_bare(),)))
        return room

    async def change(self, room: Room, what: RoomChange, actor: JID) -> None:
        """Have something of a room be otherwise, and those who are in it told.

        Raises:
            StanzaError: Another node has it by now.
        """
        absent = [each for each in what.affiliated if self._is_told(room, each, actor)]
        self.tell(room, await self.rooms.change(room, what, self.nick(room, actor)))
        for each in absent:
            self.teller.hand_on(affected(room.jid, each))
        if what.affiliated:
            people = [JID.prepared(each.jid) for each in what.affiliated]
            self.events.fire(ListsChanged(room, people))

    def _is_told(self, room: Room, change: Affiliated, actor: JID) -> bool:
        """Whether somebody is told what they become though they are not in: accounts of ours are,
        if it is news to them (RM-4).
        """
        who = JID.prepared(change.jid)
        if not room.config.tell_affected or who.bare == actor.bare or who.local is None:
            return False
        if who.domain not in self.commands.domains or room.affiliation(who) is change.affiliation:
            return False
        return all(each.person.bare != who.bare for each in room.occupants.values())

    async def destroy(self, room: Room, where: Destroyed | None = None, password: str = "") -> None:
        """Have a room be no more, and those who are in it told where to go (RM-55).

        Raises:
            StanzaError: Another node has it by now.
        """
        until = self.clocks.wall_clock() + self.settings.forward_destroyed_s
        await self.rooms.destroy(room, where if where and where.forward else None, until)
        self.tell(room, room.close(destroyed(where or Destroyed(""), password)))

    def tell(self, room: Room, effects: Iterable[Effect], cause: JID | None = None) -> None:
        """Tell people what has happened in a room, by the session that has caused it."""
        self.teller.tell(effects, cause)

    def history(self, room: Room, join: Tree) -> list[Message]:
        """What was said before, for who enters, as far as they ask for that (RM-45)."""
        most, now = room.config.maxhistoryfetch, self.clocks.wall_clock()
        return room.history.shown(HistoryRequest.of(join, most, now))

    def subject(self, room: Room) -> Message:
        """The subject of a room, empty or not, for who enters."""
        if room.subject is None:
            return Message.make(None, room.jid, b"<subject/>", type="groupchat")
        return room.subject

    async def keep_subject(self, room: Room, said: Message) -> None:
        """Keep the subject of a room, which may be empty, with its time (RM-51)."""
        stamp = date_time(self.clocks.wall_clock())
        delay = f"<delay xmlns='{ns.DELAY}' from='{escape(room.jid.full)}' stamp='{stamp}'/>"
        kept = said.with_child(delay.encode()).wire()
        await self.rooms.change(room, RoomChange(subject=kept))


__all__ = ["Hall", "ListsChanged"]
