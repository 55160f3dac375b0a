"""What becomes of those in a room when its lists or its configuration have changed."""

from collections.abc import Iterable

from xmppd.stanza import JID, Message

from .config import RoomConfig
from .config_form import CHANGED, codes_of_change
from .effects import Effect, Onlookers, RoomItem, notice
from .occupant import Occupant
from .privileges import role_after, role_under
from .ranks import Role, RoomAffiliation
from .room import Room
from .state import Affiliated, RoomChange
from .versions import step

BANNED = 301
NO_MEMBER = 321
MEMBERS_ONLY = 322


def changed(room: Room, what: RoomChange, version: int, actor: str = "") -> list[Effect]:
    """Have a room be from now on as the store has it already (RM-3).

    Args:
        room: It.
        what: Has changed.
        version: Of its lists now.
        actor: The nick of who has done it; empty if they are not in.

    Returns:
        What is told.
    """
    room.version = version
    if what.locked is not None:
        room.locked = what.locked
    if what.subject is not None:
        room.subject = Message.from_bytes(what.subject) if what.subject else None
    told: list[Effect] = []
    first = version - len(what.affiliated) + 1
    for number, each in enumerate(what.affiliated, first):
        told += _affiliate(room, each, actor, step(room.key, number))
    for each in what.noted:
        told += _affiliate(room, each, actor)
    if what.config is not None:
        told += _configure(room, what.config)
    if what.hats or what.no_hats:
        told += _hat(room, what)
    return told


def _hat(room: Room, what: RoomChange) -> list[Effect]:
    """Have a room have other hats, or other people have them (RM-74)."""
    is_other = room.hats.change(what.hats, what.no_hats)
    told = _dress(room)
    if is_other and room.config.hats:
        told.append(Effect(notice(room.jid, (CHANGED,)), tuple(room.sessions.values())))
    return told


def _dress(room: Room) -> list[Effect]:
    """Show those who wear other hats than before."""
    told: list[Effect] = []
    for occupant in room.occupants.values():
        worn = room.worn(occupant.person)
        if worn != occupant.hats:
            occupant.hats = worn
            told += room.show(occupant)
    return told


def _affiliate(room: Room, affiliated: Affiliated, actor: str, beside: str = "") -> list[Effect]:
    """Have somebody be something else to a room, in it or not (RM-4)."""
    who = JID.prepared(affiliated.jid)
    here = [each for each in room.occupants.values() if _is_about(room, who, each)]
    before = [room.affiliation(each.person) for each in here]
    is_new = room.affiliation(who) is not affiliated.affiliation
    room.affiliate(affiliated)
    told: list[Effect] = []
    for occupant, former in zip(here, before, strict=True):
        if room.affiliation(occupant.person) is not former:
            said = RoomItem(former, actor=actor, reason=affiliated.reason, beside=beside)
            told += _rank(room, occupant, said)
    return told if here or not is_new else [_announced(room, affiliated, beside)]


def _is_about(room: Room, who: JID, occupant: Occupant) -> bool:
    """Whether an entry of a list is what counts for an occupant."""
    if who.local is not None:
        return occupant.person.bare == who.bare
    return occupant.person.domain == who.domain and occupant.person.bare not in room.affiliated


def _rank(room: Room, occupant: Occupant, before: RoomItem) -> list[Effect]:
    """Have an occupant have the role that another affiliation gives (RM-6).

    Args:
        room: Where.
        occupant: Them.
        before: What they were, and what is said of the change.
    """
    affiliation = room.affiliation(occupant.person)
    role = role_after(occupant.role, before.affiliation, affiliation, room.config)
    item = before._replace(affiliation=affiliation, role=role)
    if role is not Role.NONE:
        return room.change_role(occupant, role, item)
    code = BANNED if affiliation is RoomAffiliation.OUTCAST else NO_MEMBER
    return room.send_away(occupant, (code,), item)


def _announced(room: Room, affiliated: Affiliated, beside: str) -> Effect:
    """What occupants are told of somebody who is not in: all of them where they see JIDs, else
    moderators.
    """
    hearers = [
        session
        for occupant in room.occupants.values()
        if room.knows(occupant)
        for session in occupant.sessions.values()
    ]
    item = RoomItem(affiliated.affiliation, reason=affiliated.reason)
    inner = beside + item.xml(JID.prepared(affiliated.jid))
    return Effect(notice(room.jid, (), inner), hearers)


def _configure(room: Room, config: RoomConfig) -> list[Effect]:
    """Have a room be configured otherwise (RM-57)."""
    before, shown = room.config, _shown(room)
    room.configure(config)
    told = _reveal(room, shown)
    for occupant in tuple(room.occupants.values()):
        affiliation = room.affiliation(occupant.person)
        role = role_under(occupant.role, affiliation, before, config)
        if role is Role.NONE:
            told += room.send_away(occupant, (MEMBERS_ONLY,), RoomItem(affiliation))
        elif role is not occupant.role:
            told += room.change_role(occupant, role)
    if config.hats is not before.hats:
        told += _dress(room)
    codes = codes_of_change(before, config)
    if codes:
        told.append(Effect(notice(room.jid, codes), tuple(room.sessions.values())))
    return told


def _shown(room: Room) -> set[Occupant]:
    return {each for each in room.occupants.values() if room.is_shown(each)}


def _reveal(room: Room, before: Iterable[Occupant]) -> list[Effect]:
    """Show those to others who were not shown before, and hide those who are not any more."""
    now, others = _shown(room), _unseeing(room)
    told: list[Effect] = []
    for occupant in room.occupants.values():
        if occupant in now and occupant not in before:
            seen = room.onlookers(occupant, only=others)
            told += room.show(occupant, Onlookers((), seen.knowing, seen.others))
        elif occupant in before and occupant not in now:
            told += room.hide(occupant, others)
    return told


def _unseeing(room: Room) -> list[Occupant]:
    """Those who do not see everybody."""
    return [each for each in room.occupants.values() if each.role is not Role.MODERATOR]


__all__ = ["changed"]
