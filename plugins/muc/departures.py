"""Accounts that are removed: rooms forget them, but for bans, and have an owner still."""

from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from msgspec import Struct

from xmppd.stanza import StanzaError

from .hall import Hall
from .ranks import RoomAffiliation
from .room import Room
from .service import RoomService
from .state import Affiliated, RoomChange, heir


class PersonGone(Struct, frozen=True):
    """Somebody's account was removed.

    Attributes:
        person: Its bare JID.
    """

    person: str


class Departures:
    """Has rooms that are here forget who is gone, and pass to the oldest admin when that was their
    last owner (RM-66). What is kept of other rooms is gone already, and those pass on when they are
    loaded.

    Args:
        services: By domain.
    """

    def __init__(self, services: Mapping[str, RoomService]) -> None:
        self.services = services

    async def take(self, gone: PersonGone) -> None:
        """Forget somebody in each room, in its turn."""
        for service in self.services.values():
            for name in _listing(service.hall, gone.person, service.jid.domain):
                await service.in_line(name, partial(_forget, service.hall, name, gone.person))


def _listing(hall: Hall, person: str, domain: str) -> list[str]:
    """The rooms of a service in whose lists somebody is, or where they have a hat."""
    return [
        name
        for name, room in hall.rooms.loaded.items()
        if room is not None
        and room.jid.domain == domain
        and (person in room.affiliated or room.hats.worn(person))
    ]


async def _forget(hall: Hall, name: str, person: str) -> None:
    room = hall.rooms.loaded.get(name)
    if room is None:
        return
    what = RoomChange(affiliated=_listed_without(room, person), hats=room.hats.without(person))
    if what != RoomChange():
        with suppress(StanzaError):  # another node has the room by now, and reads it as it is
            await hall.change(room, what, room.jid)


def _listed_without(room: Room, person: str) -> tuple[Affiliated, ...]:
    """What changes in the lists of a room when somebody is gone."""
    known = room.affiliated.get(person)
    if known is None or known.affiliation is RoomAffiliation.OUTCAST:
        return ()
    left = Affiliated(person, RoomAffiliation.NONE)
    owner = heir(each for each in room.affiliated.values() if each.jid != person)
    is_owner = known.affiliation is RoomAffiliation.OWNER
    return (left, owner) if owner is not None and is_owner else (left,)


__all__ = ["Departures", "PersonGone"]
