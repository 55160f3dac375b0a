"""Room: who is in, and as what. It does nothing itself: what is to be told it returns."""

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from xmppd.stanza import JID, Message, Presence, Stanza
from xmppd.stanza.pulled import Pulled

from .config import RoomConfig
from .effects import GONE, OWN, Effect, Onlookers, RoomItem, presences
from .effects import view as shown_as
from .entrance import Entrance
from .hats import RoomHats
from .history import RoomHistory
from .nicks import folded
from .occupant import Occupant, OccupantSession, Said
from .privileges import RolePrivilege, may, may_read_archive
from .ranks import Role, RoomAffiliation, RoomStanding
from .slow_mode import SlowMode
from .state import Affiliated, KeptRoom, RoomFollower
from .versions import since_until, version_name

NON_ANONYMOUS = 100
LOGGED = 170
RENAMED = 303


class Room:
    """A room: what is kept of it, and who is in.

    Args:
        kept: It, as the store has it.
        large_occupants: From how many on it is large.

    Attributes:
        jid: Its bare JID.
        config: How it is configured.
        key: By which the ids of occupants are made.
        created: When it was made, in seconds since 1970.
        creator: Bare JID of who made it; empty if nobody of ours did.
        locked: Whether its owner has yet to say how it is to be (RM-24).
        subject: Its subject, with the time when it was changed; None if it has none.
        affiliated: Its lists, by JID.
        version: Of these.
        followers: Accounts here that have the room among their own, by bare JID.
        hats: Its hats.
        history: What was said last.
        occupants: By folded nick.
        sessions: Those that are in, by full JID.
        slow_mode: Who has said something a moment ago, where that counts.
        noted: Called with each session that has come, has left, or is there otherwise than before.
    """

    def __init__(self, kept: KeptRoom, large_occupants: int) -> None:
        self.jid = kept.jid
        self.key = kept.key
        self.created = kept.created
        self.creator = kept.creator
        self.locked = kept.locked
        self.subject = Message.from_bytes(kept.subject) if kept.subject else None
        self.affiliated = {each.jid: each for each in kept.affiliated}
        self.version = kept.version
        self.followers: dict[str, RoomFollower] = {}
        self.hats = RoomHats(kept.hats)
        self.large_occupants = large_occupants
        self.history = RoomHistory(kept.jid)
        self.occupants: dict[str, Occupant] = {}
        self.sessions: dict[str, OccupantSession] = {}
        self.slow_mode = SlowMode()
        self.noted: Callable[[JID], None] = _nobody_notes
        self._away: tuple[Affiliated, ...] | None = None
        self._leaders: frozenset[str] | None = None
        self._entered = 0
        self.configure(kept.config)

    # -- who is what ------------------------------------------------------------------------------

    def affiliation(self, person: JID) -> RoomAffiliation:
        """What somebody is to the room; what their whole domain is, if they are not listed."""
        found = self.affiliated.get(person.bare) or self.affiliated.get(person.domain)
        return RoomAffiliation.NONE if found is None else found.affiliation

    def affiliate(self, affiliated: Affiliated) -> None:
        """Have somebody be something to the room, or have another nick."""
        if affiliated.affiliation is RoomAffiliation.NONE:
            self.affiliated.pop(affiliated.jid, None)
        else:
            self.affiliated[affiliated.jid] = affiliated
        self._away = self._leaders = None

    @property
    def leaders(self) -> frozenset[str]:
        """The admins and owners, by bare JID; a whole domain is never one of them (RM-1)."""
        if self._leaders is None:
            self._leaders = frozenset(
                each.jid for each in self.affiliated.values() if each.affiliation.leads
            )
        return self._leaders

    @property
    def away(self) -> tuple[Affiliated, ...]:
        """Those to whom the room is something, or who follow it, and who are not in it; the same
        tuple as long as they are the same.
        """
        if self._away is None:
            here = {occupant.person.bare for occupant in self.occupants.values()}
            self._away = tuple(each for each in self._people() if each.jid not in here)
        return self._away

    def _people(self) -> Iterator[Affiliated]:
        """Those who are affiliated with the room, and those who only follow it, if they may read
        what is said there.
        """
        for each in self.affiliated.values():
            if each.affiliation is not RoomAffiliation.OUTCAST:
                known = None if each.nick else self.followers.get(each.jid)
                yield each if known is None else replace(each, nick=known.nick)
        for jid, follower in self.followers.items():
            if jid not in self.affiliated:
                affiliation = self.affiliation(JID.prepared(jid))
                if may_read_archive(RoomStanding(affiliation, Role.NONE), self.config):
                    yield Affiliated(jid, RoomAffiliation.NONE, follower.nick)

    def follow(self, jid: str, follower: RoomFollower | None) -> None:
        """Have somebody follow the room, or not any more.

        Args:
            jid: Their bare JID.
            follower: They; None if they do not.
        """
        if follower is None:
            self.followers.pop(jid, None)
        else:
            self.followers[jid] = follower
        self._away = None

    def configure(self, config: RoomConfig) -> None:
        """Have the room be configured otherwise."""
        self.config = config
        # Looked up for each presence that somebody is shown.
        self._seen_roles = frozenset(
            role for role in Role if may(role, RolePrivilege.BE_SEEN, config)
        )
        self._all_know = not config.is_anonymous
        self._away = None

    def standing(self, sender: JID) -> RoomStanding:
        """What a session is to the room, and in it."""
        session = self.sessions.get(sender.full)
        role = Role.NONE if session is None else session.occupant.role
        return RoomStanding(self.affiliation(sender), role)

    def occupant(self, nick: str) -> Occupant | None:
        """Who is in by this nick, or one that looks like it."""
        return self.occupants.get(folded(nick))

    def reserved(self, nick: str) -> str | None:
        """The bare JID for which a nick is kept; None if it is free."""
        key = folded(nick)
        for each in self.affiliated.values():
            if each.nick and folded(each.nick) == key:
                return each.jid
        return None

    def item(self, occupant: Occupant) -> RoomItem:
        """What is said of an occupant."""
        return RoomItem(self.affiliation(occupant.person), occupant.role)

    def worn(self, person: JID) -> bytes:
        """The hats that somebody wears here, as others see them (RM-74)."""
        return self.hats.worn(person.bare) if self.config.hats else b""

    @property
    def is_large(self) -> bool:
        """Whether so many are in that not everything is told to all (RM-22, RM-49)."""
        return len(self.occupants) > self.large_occupants

    # -- who sees whom ----------------------------------------------------------------------------

    def is_shown(self, occupant: Occupant) -> bool:
        """Whether all see its presence, not only moderators (RM-22)."""
        return not occupant.unheard and occupant.role in self._seen_roles

    def knows(self, viewer: Occupant) -> bool:
        """Whether an occupant is shown JIDs: as sees_jids has it, with nothing made for that, since
        each presence that somebody is shown asks it.
        """
        return self._all_know or viewer.role is Role.MODERATOR or viewer.person.full in self.leaders

    def onlookers(self, occupant: Occupant, *, only: Iterable[Occupant] | None = None) -> Onlookers:
        """Who is told of an occupant.

        Args:
            occupant: Them.
            only: Nobody but these.
        """
        knowing: list[OccupantSession] = []
        others: list[OccupantSession] = []
        is_shown = self.is_shown(occupant)
        # As sees_jids has it, with nothing asked twice: each presence looks through all viewers.
        all_know, leaders = self._all_know, self.leaders
        for viewer in self.occupants.values() if only is None else only:
            is_moderator = viewer.role is Role.MODERATOR
            if viewer is occupant or not (is_shown or is_moderator):
                continue
            knows = all_know or is_moderator or viewer.person.full in leaders
            (knowing if knows else others).extend(viewer.sessions.values())
        return Onlookers(tuple(occupant.sessions.values()), knowing, others)

    def show(self, occupant: Occupant, onlookers: Onlookers | None = None) -> list[Effect]:
        """Show an occupant to onlookers: by default, to all who are told of it."""
        session = occupant.shown
        told = onlookers or self.onlookers(occupant)
        return presences(session, session.presence, self.item(occupant), told)

    # -- entering ---------------------------------------------------------------------------------

    def enter(
        self, sender: JID, said: Said, nick: JID, id: str, role: Role
    ) -> tuple[OccupantSession, list[Effect]]:
        """Let a session in, which may be a further one of an occupant (RM-15).

        Args:
            sender: Its full JID.
            said: What its client says, to nobody.
            nick: The JID that it takes at the room.
            id: By which others know its account.
            role: That of a new occupant.

        Returns:
            It, and what others are told. What it is told itself is its :meth:`entrance`.
        """
        count = len(self.occupants)
        session = self.admit(sender, said, nick, id, role, self._entered + 1)
        occupant = session.occupant
        if count < len(self.occupants):
            occupant.unheard = count >= self.large_occupants and role is not Role.MODERATOR
        if occupant.shown is not session:
            return session, []
        told = self.onlookers(occupant)
        others = tuple(each for each in told.own if each is not session)
        return session, self.show(occupant, told._replace(own=others))

    def admit(
        self, sender: JID, said: Said, nick: JID, id: str, role: Role, number: int
    ) -> OccupantSession:
        """Have a session be in, whatever others are told; with the number that it has."""
        key = folded(nick.resource or "")
        occupant = self.occupants.get(key)
        if occupant is None:
            worn = self.worn(sender)
            occupant = Occupant(nick, sender.to_bare(), id, role, worn)
            self.occupants[key] = occupant
        self._entered = max(self._entered, number)
        session = OccupantSession(sender, occupant, said, number)
        self.sessions[sender.full] = occupant.sessions[sender.full] = session
        self._away = None
        self.noted(sender)
        return session

    def entrance(
        self,
        session: OccupantSession,
        codes: tuple[int, ...],
        before: Iterable[Stanza],
        behind: Callable[[], Iterable[Stanza]],
    ) -> Entrance:
        """What a session that has entered is shown (RM-12): the others, itself, then what is
        behind that.

        Args:
            session: It.
            codes: Said of itself, beside what the room is.
            before: What comes before all that.
            behind: Gives history and subject, when it is their turn.
        """
        session.end_entrance()
        own = session.occupant
        others = [each.jid for each in self.occupants.values() if each is not own]

        def show(jid: JID) -> Presence | None:
            occupant = self.occupants.get(folded(jid.resource or ""))
            if occupant is session.occupant:
                return _pulled(self.own_view(session, codes))
            return None if occupant is None else self.view(session.occupant, occupant)

        session.entrance = Entrance([*others, own.jid], show, before, behind, session.entered)
        return session.entrance

    def own_view(self, session: OccupantSession, codes: tuple[int, ...]) -> Presence:
        """The presence of a session as it is shown to itself when it enters."""
        config = self.config
        said = (
            OWN,
            *(() if config.is_anonymous else (NON_ANONYMOUS,)),
            *((LOGGED,) if config.enablelogging else ()),
            *codes,
        )
        occupant = session.occupant
        item = self.item(occupant)._replace(
            beside=since_until("", version_name(self.key, self.version))
        )
        return shown_as(occupant, session.presence, item, said, session.jid)

    def view(self, viewer: Occupant, found: Occupant) -> Presence | None:
        """The presence of an occupant as another one sees it; None if it does not."""
        is_moderator = viewer.role is Role.MODERATOR
        if not (is_moderator or self.is_shown(found)):
            return None
        knows = is_moderator or self.knows(viewer)
        shown, affiliation = found.shown, self.affiliation(found.person)
        jid = shown.jid if knows else None
        seen = (shown.presence, affiliation, found.role, found.hats, found.jid, jid)
        if found.seen is None or found.seen[0] != seen:  # most who enter see the same
            item = RoomItem(affiliation, found.role)
            made = shown_as(found, shown.presence, item, (), jid)
            found.seen = seen, _pulled(made)
        return found.seen[1]

    # -- being there ------------------------------------------------------------------------------

    def update(self, session: OccupantSession, said: Said) -> list[Effect]:
        """Take another presence of a session that is in (RM-17)."""
        occupant = session.occupant
        before = occupant.shown
        session.says(said)
        self.noted(session.jid)
        if occupant.shown is session or before is session:
            return self.show(occupant)
        return self._show_self(session)

    def _show_self(self, session: OccupantSession) -> list[Effect]:
        own = Onlookers((session,), (), ())
        return presences(session, session.presence, self.item(session.occupant), own)

    def speaks(self, occupant: Occupant) -> list[Effect]:
        """Note that somebody says something: from now on they are seen (RM-22)."""
        if not occupant.unheard:
            return []
        unseeing = [each for each in self.occupants.values() if each.role is not Role.MODERATOR]
        occupant.unheard = False
        seen = self.onlookers(occupant, only=unseeing)
        return self.show(occupant, Onlookers((), seen.knowing, seen.others))

    def rename(self, session: OccupantSession, nick: JID, said: Said) -> list[Effect]:
        """Give a session another nick, under which its account may be in already (RM-17).

        Args:
            session: It.
            nick: The JID that it takes at the room; nobody else has it.
            said: What its client says.
        """
        old, new = session.occupant, self.occupant(nick.resource or "")
        if new is old or (new is None and len(old.sessions) == 1):
            told = self._say_renamed(session, self.onlookers(old), nick)
            del self.occupants[folded(old.nick)]
            old.jid = nick
            self.occupants[folded(old.nick)] = old
            session.says(said)
            for each in old.sessions.values():
                self.noted(each.jid)
            return told + self.show(old)
        others = self.onlookers(old)
        left_by = old.shown is session
        del old.sessions[session.jid.full]
        if old.sessions:
            told = self._say_renamed(session, Onlookers((session,), (), ()), nick)
            told += self.show(old) if left_by else []
        else:
            told = self._say_renamed(session, others, nick)
            del self.occupants[folded(old.nick)]
        if new is None:
            new = self.occupants[folded(nick.resource or "")] = Occupant(
                nick, old.person, old.id, old.role, old.hats
            )
        session.occupant = new
        new.sessions[session.jid.full] = session
        session.says(said)
        self.noted(session.jid)
        return told + (self.show(new) if new.shown is session else self._show_self(session))

    def _say_renamed(
        self, session: OccupantSession, onlookers: Onlookers, nick: JID
    ) -> list[Effect]:
        gone = Presence.make(None, self.jid, type=GONE)
        item = self.item(session.occupant)._replace(nick=nick.resource or "")
        return presences(session, gone, item, onlookers, (RENAMED,))

    # -- leaving ----------------------------------------------------------------------------------

    def leave(
        self,
        session: OccupantSession,
        said: Presence | None = None,
        codes: tuple[int, ...] = (),
        item: RoomItem | None = None,
        extra: str = "",
    ) -> list[Effect]:
        """Let a session go. Others are told only if it is the last one of its occupant.

        Args:
            session: It.
            said: What is said last, by its client or in its place.
            codes: Why it goes.
            item: What is said of it, if somebody has sent it away.
            extra: More of that, as XML.
        """
        occupant = session.occupant
        onlookers = self.onlookers(occupant)
        was_shown = occupant.shown is session
        del self.sessions[session.jid.full], occupant.sessions[session.jid.full]
        self._away = None
        self.noted(session.jid)
        session.end_entrance()
        gone = said or Presence.make(None, self.jid, type=GONE)
        item = item or RoomItem(self.affiliation(occupant.person))
        if occupant.sessions:
            told = presences(session, gone, item, Onlookers((session,), (), ()), codes, extra)
            return told + (self.show(occupant) if was_shown else [])
        del self.occupants[folded(occupant.nick)]
        onlookers = Onlookers((session,), onlookers.knowing, onlookers.others)
        return presences(session, gone, item, onlookers, codes, extra)

    def send_away(
        self,
        occupant: Occupant,
        codes: tuple[int, ...],
        item: RoomItem,
        said: Presence | None = None,
    ) -> list[Effect]:
        """Have all sessions of an occupant leave at once; others are told once."""
        onlookers = self.onlookers(occupant)
        shown = occupant.shown
        self._away = None
        gone = said or Presence.make(None, self.jid, type=GONE)
        for session in occupant.sessions.values():
            del self.sessions[session.jid.full]
            self.noted(session.jid)
            session.end_entrance()
        del self.occupants[folded(occupant.nick)]
        return presences(shown, gone, item, onlookers, codes)

    def close(self, destroyed: str = "", codes: tuple[int, ...] = ()) -> list[Effect]:
        """Have everybody leave, since the room ends; each is told of itself only.

        Args:
            destroyed: What is said if the room is destroyed, as XML.
            codes: Why it ends otherwise.
        """
        told = []
        for occupant in tuple(self.occupants.values()):
            gone = Presence.make(None, self.jid, type=GONE)
            own = Onlookers(tuple(occupant.sessions.values()), (), ())
            item = RoomItem(RoomAffiliation.NONE)
            told += presences(occupant.shown, gone, item, own, codes, destroyed)
            for session in own.own:
                self.noted(session.jid)
                session.end_entrance()
        self.occupants.clear()
        self.sessions.clear()
        self._away = None
        return told

    # -- another role -----------------------------------------------------------------------------

    def change_role(
        self, occupant: Occupant, role: Role, item: RoomItem | None = None
    ) -> list[Effect]:
        """Give an occupant another role, other than none; who may see others by that is shown them.

        Args:
            occupant: Them.
            role: What they are from now on.
            item: What is said of them, if it is more than that.
        """
        before = occupant.role
        was_shown = self.is_shown(occupant)
        hidden = [each for each in self.occupants.values() if not self.is_shown(each)]
        occupant.role = role
        for session in occupant.sessions.values():
            self.noted(session.jid)
        if role is Role.MODERATOR:
            occupant.unheard = False
        told = []
        if was_shown and not self.is_shown(occupant):
            others = [each for each in self.occupants.values() if each.role is not Role.MODERATOR]
            told += self.hide(occupant, others)
        session = occupant.shown
        item = item or self.item(occupant)
        told += presences(session, session.presence, item, self.onlookers(occupant))
        if (before is Role.MODERATOR) != (role is Role.MODERATOR):
            for each in hidden:
                if each is occupant:
                    continue
                if role is Role.MODERATOR:
                    seen = self.onlookers(each, only=(occupant,))
                    told += self.show(each, Onlookers((), seen.knowing, seen.others))
                else:
                    told += self.hide(each, (occupant,))
        return told

    def hide(self, occupant: Occupant, viewers: Iterable[Occupant]) -> list[Effect]:
        """Show an occupant as gone to viewers who are not to see it any more."""
        sessions = [
            session
            for viewer in viewers
            if viewer is not occupant
            for session in viewer.sessions.values()
        ]
        gone = Presence.make(None, self.jid, type=GONE)
        item = RoomItem(self.affiliation(occupant.person))
        return presences(occupant.shown, gone, item, Onlookers((), (), sessions))


def _nobody_notes(session: JID) -> None:
    """Do nothing: it is not kept who is in."""


def _pulled(shown: Presence) -> Presence:
    payload = Pulled(shown.payload.raw)
    return Presence(None, shown.sender, shown.id, shown.type, payload)


__all__ = ["Room"]
