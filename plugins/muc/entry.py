"""RoomEntry: presence to rooms, by which people enter, move about and leave."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xmppd.stanza import JID, Condition, Later, Presence, Stanza, StanzaError, Tree, qname

from .effects import Effect
from .hall import Hall
from .known_lists import lists_since, wanted_lists
from .names import JOIN, MUC, is_forged
from .nicks import check_nick
from .occupant import OccupantSession, Said
from .privileges import (
    RolePrivilege,
    check_enter,
    check_not_full,
    check_password,
    check_role,
    first_role,
    may,
)
from .ranks import Role, RoomAffiliation
from .room import Room
from .rooms import MOVED
from .state import AffiliationChange
from .way import node_of

CREATED = 201
RENAMED_BY_US = 210

_PASSWORD = qname(MUC, "password")
_STATUS = ("show", "status")


@dataclass(frozen=True)
class EnteredRoom:
    """A session has entered a room, in which it was not before.

    Attributes:
        room: The room.
        session: Its full JID.
    """

    room: Room
    session: JID


class RoomEntry:
    """Lets people in by their presence, and out (RM-10 to RM-19).

    Args:
        hall: Where the rooms are.
    """

    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    def take_presence(self, room: Room | None, presence: Presence) -> Later:
        """Take a presence to a room, or to somebody in it.

        Raises:
            StanzaError: Its sender may not do that.
        """
        session = None if room is None else room.sessions.get(presence.sender.full)
        match presence.type:
            case None:
                return self._available(room, presence)
            case "unavailable" if room is not None and session is not None:
                shown = self._shown(room, presence, session.occupant.role)
                self.hall.tell(room, room.leave(session, shown), presence.sender)
            case "probe" if room is not None and session is not None:
                self._probe(room, session, presence)
        return None

    def _shown(self, room: Room, presence: Presence, role: Role) -> Presence:
        """What a client says, to nobody and without what only the room may say."""
        is_heard = may(role, RolePrivilege.CHANGE_STATUS, room.config)

        def unwanted(child: Tree) -> bool:
            return is_forged(child, room.jid.full) or not (is_heard or child.tag not in _STATUS)

        payload = presence.without_children(unwanted).payload.without_to()
        return Presence(None, presence.sender, presence.id, presence.type, payload)

    def _said(self, room: Room, presence: Presence, role: Role) -> Said:
        """The same, of who is there.

        Raises:
            StanzaError: BAD_REQUEST: its priority is none.
        """
        try:
            priority = presence.priority
        except ValueError as error:
            raise StanzaError(Condition.BAD_REQUEST, str(error)) from error
        return Said(self._shown(room, presence, role), priority)

    def _available(self, room: Room | None, presence: Presence) -> Later:
        join = presence.payload.tree.find(JOIN)
        nick = presence.to
        if nick is None or nick.resource is None:
            raise StanzaError(Condition.JID_MALFORMED, "enter with a nick: room@service/nick")
        if room is None or join is None or wanted_lists(join) is None:
            return self._take(room, presence, nick, join)
        return self._take_later(room, presence, nick, join)

    async def _take_later(self, room: Room, presence: Presence, nick: JID, join: Tree) -> None:
        """Let somebody in who wants to know what is new in the room's lists (RM-76)."""
        if presence.sender.full not in room.sessions:
            self._check(room, presence.sender, nick, join.findtext(_PASSWORD))
        log = await self.hall.rooms.store.changes(room.jid, 0)
        if self.hall.rooms.loaded.get(room.jid.full) is not room:
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT, MOVED)
        later = self._take(room, presence, nick, join, log)
        if later is not None:
            await later

    def _take(
        self,
        room: Room | None,
        presence: Presence,
        nick: JID,
        join: Tree | None,
        log: Sequence[AffiliationChange] = (),
    ) -> Later:
        session = None if room is None else room.sessions.get(presence.sender.full)
        if room is not None and session is not None:
            self._move(room, session, presence, nick, is_new=join is None)
            if join is not None:
                self._show(room, session, join, (), log)  # RM-14
            return None
        if join is None:
            raise StanzaError(Condition.NOT_ACCEPTABLE, "enter the room first")  # RM-18
        if room is None:
            return self._create(presence, nick, join)
        self._check(room, presence.sender, nick, join.findtext(_PASSWORD))
        self._let_in(room, presence, nick, join, log)
        return None

    # -- entering ---------------------------------------------------------------------------------

    def _check(self, room: Room, sender: JID, nick: JID, password: str | None) -> None:
        """Let in who may enter, in the order of RM-10.

        Raises:
            StanzaError: They may not.
        """
        affiliation = self.hall.affiliation(room, sender)
        if room.locked and affiliation is not RoomAffiliation.OWNER:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "the room is not open yet")
        check_enter(affiliation, room.config)
        check_password(affiliation, room.config, password)
        self._check_nick(room, sender, nick)
        if room.occupant(nick.resource or "") is None:
            check_not_full(affiliation, room.config, len(room.occupants))
        self._check_domain(sender)

    def _check_domain(self, sender: JID) -> None:
        """Let somebody in whose server may.

        Raises:
            StanzaError: NOT_ALLOWED: it may not.
        """
        if sender.domain in self.hall.settings.blocked_domains:
            text = f"users of {sender.domain} may not enter rooms here"
            raise StanzaError(Condition.NOT_ALLOWED, text)

    def _check_nick(self, room: Room, sender: JID, nick: JID) -> None:
        """Let somebody take a nick.

        Raises:
            StanzaError: It cannot be one, or is somebody else's, or they have another one for good.
        """
        name = nick.resource or ""
        check_nick(name)
        holder, own = room.reserved(name), room.affiliated.get(sender.bare)
        if holder is not None and holder != sender.bare:
            raise StanzaError(Condition.CONFLICT, "this nick is reserved for someone else")
        if room.config.lock_nicks and own is not None and own.nick and holder != sender.bare:
            raise StanzaError(Condition.NOT_ACCEPTABLE, f"your nick here is {own.nick}")
        occupant = room.occupant(name)
        if occupant is not None and occupant.person != sender.to_bare():
            raise StanzaError(Condition.CONFLICT, "someone else has this nick, or a similar one")

    async def _create(self, presence: Presence, nick: JID, join: Tree) -> None:
        """Make the room that somebody enters, and is the owner of (RM-24)."""
        sender = presence.sender
        self._check_domain(sender)
        await self.hall.check_create(nick.to_bare(), sender)
        check_nick(nick.resource or "")
        room = await self.hall.create(nick.to_bare(), sender)
        self._let_in(room, presence, nick, join, (), CREATED)

    def _let_in(
        self,
        room: Room,
        presence: Presence,
        nick: JID,
        join: Tree,
        log: Sequence[AffiliationChange],
        *codes: int,
    ) -> None:
        sender = presence.sender
        affiliation = self.hall.affiliation(room, sender)
        role = first_role(affiliation, room.config)
        id = self.hall.occupant_id(room, sender)
        said = self._said(room, presence, role)
        session, told = room.enter(sender, said, nick, id, role)
        session.heard, session.node = self.hall.clocks.seconds(), node_of(presence)
        self.hall.tell(room, told, sender)
        if presence.payload.tree.get("to", nick.full) != nick.full:
            codes += (RENAMED_BY_US,)
        self._show(room, session, join, codes, log)
        self.hall.events.fire(EnteredRoom(room, sender))

    def _show(
        self,
        room: Room,
        session: OccupantSession,
        join: Tree,
        codes: tuple[int, ...],
        log: Sequence[AffiliationChange],
    ) -> None:
        wanted, standing = wanted_lists(join), self.hall.standing(room, session.jid)
        before = () if wanted is None else lists_since(room, standing, wanted, log)
        history = self.hall.history(room, join)  # what is said from now on comes behind it

        def behind() -> Iterable[Stanza]:
            return (*history, self.hall.subject(room))

        self.hall.teller.show(session, room.entrance(session, codes, before, behind))

    # -- being there ------------------------------------------------------------------------------

    def _move(
        self, room: Room, session: OccupantSession, presence: Presence, nick: JID, *, is_new: bool
    ) -> None:
        """Take another presence of who is in, maybe with another nick.

        Args:
            room: Where.
            session: Theirs.
            presence: What their client says.
            nick: With which nick.
            is_new: Whether it is told even if it says nothing new.
        """
        occupant = session.occupant
        said = self._said(room, presence, occupant.role)
        if nick == occupant.jid:
            if is_new or said.presence.payload.raw != session.presence.payload.raw:
                self.hall.tell(room, room.update(session, said), session.jid)
            return
        check_role(room.standing(session.jid), RolePrivilege.CHANGE_NICK, room.config)
        if room.config.lock_nicks:
            raise StanzaError(Condition.NOT_ACCEPTABLE, "you cannot change your nick in this room")
        self._check_nick(room, session.jid, nick)
        self.hall.tell(room, room.rename(session, nick, said), session.jid)

    def _probe(self, room: Room, session: OccupantSession, probe: Presence) -> None:
        """Show an occupant to one who asks."""
        nick = None if probe.to is None else probe.to.resource
        asked = None if nick is None else room.occupant(nick)
        seen = None if asked is None else room.view(session.occupant, asked)
        if seen is not None:
            self.hall.tell(room, [Effect(seen, (session,))])


__all__ = ["EnteredRoom", "RoomEntry"]
