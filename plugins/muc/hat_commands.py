"""Commands by which a room has hats, and people have them (:xep:`0317`, §3)."""

from collections.abc import Iterable
from math import isfinite

from msgspec.structs import replace

from xmppd.stanza import JID, Condition, Element, StanzaError
from xmppd.stanza.form import Field, table

from .hall import Hall
from .hats import MAX_HATS, MAX_PEOPLE
from .names import HATS
from .privileges import sees_jids
from .ranks import Role, RoomAffiliation
from .room import Room
from .room_command import RoomCommand, Values, value
from .state import Hat, RoomChange

COMMANDS = f"{HATS}:commands"
MAX_URI_BYTES = 1_000
MAX_TITLE_BYTES = 200
MAX_HUE = 360.0

_JID, _TITLE, _URI, _HUE = (f"hats#{name}" for name in ("jid", "title", "uri", "hue"))
_PERSON = Field(_JID, "User address", "jid-single", required=True)


class HatCommand(RoomCommand):
    """A command about hats, for admins and owners.

    Args:
        hall: Where the rooms are.
    """

    form_type = COMMANDS

    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    def check(self, room: Room, actor: JID) -> None:
        if not room.config.hats:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "this room has no hats")
        if not self.hall.affiliation(room, actor).leads:
            raise StanzaError(Condition.FORBIDDEN, "only admins and owners may manage hats")

    async def change(self, room: Room, actor: JID, hat: Hat) -> None:
        """Have a hat be so from now on; if it is already, nothing is told."""
        if room.hats.by_uri.get(hat.uri) != hat:
            await self.hall.change(room, RoomChange(hats=(hat,)), actor)


class CreateHat(HatCommand):
    """Make a hat, or change what one is called."""

    node, title = f"{COMMANDS}:create", "Create a hat"

    def fields(self, room: Room) -> tuple[Field, ...]:
        return (
            Field(_TITLE, "Hat title", required=True),
            Field(_URI, "Hat URI", required=True),
            Field(_HUE, "Hat hue"),
        )

    async def run(self, room: Room, actor: JID, values: Values) -> None:
        uri, title = value(values, _URI), value(values, _TITLE)
        _check(uri, _URI, MAX_URI_BYTES)
        _check(title, _TITLE, MAX_TITLE_BYTES)
        known = room.hats.by_uri.get(uri)
        if known is None and len(room.hats.by_uri) >= MAX_HATS:
            text = f"a room may have at most {MAX_HATS} hats; destroy another one first"
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, text)
        people = () if known is None else known.people
        await self.change(room, actor, Hat(uri, title, _hue(value(values, _HUE)), people))


class DestroyHat(HatCommand):
    """Have a hat be no more; who has it has it no more."""

    node, title = f"{COMMANDS}:destroy", "Destroy a hat"

    def fields(self, room: Room) -> tuple[Field, ...]:
        return (_hats(room),)

    async def run(self, room: Room, actor: JID, values: Values) -> None:
        hat = _found(room, values)
        await self.hall.change(room, RoomChange(no_hats=(hat.uri,)), actor)


class AssignHat(HatCommand):
    """Give somebody a hat, whether they are in or not."""

    node, title = f"{COMMANDS}:assign", "Assign a hat"

    def fields(self, room: Room) -> tuple[Field, ...]:
        return _PERSON, _hats(room)

    async def run(self, room: Room, actor: JID, values: Values) -> None:
        hat, person = _found(room, values), _person(values)
        if person not in hat.people:
            if len(hat.people) >= MAX_PEOPLE:
                text = f"{MAX_PEOPLE} people already have this hat, which is the maximum"
                raise StanzaError(Condition.RESOURCE_CONSTRAINT, text)
            people = tuple(sorted((*hat.people, person)))
            await self.change(room, actor, replace(hat, people=people))


class UnassignHat(HatCommand):
    """Take a hat from somebody."""

    node, title = f"{COMMANDS}:unassign", "Remove a hat"

    def fields(self, room: Room) -> tuple[Field, ...]:
        return _PERSON, _hats(room)

    async def run(self, room: Room, actor: JID, values: Values) -> None:
        hat, person = _found(room, values), _person(values)
        if person not in hat.people:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "this user does not have the hat")
        people = tuple(each for each in hat.people if each != person)
        await self.change(room, actor, replace(hat, people=people))


class ListHats(HatCommand):
    """Tell which hats there are, to who is in or belongs to the room."""

    node, title = f"{COMMANDS}:list", "List the hats"

    def check(self, room: Room, actor: JID) -> None:
        if not room.config.hats:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "this room has no hats")
        standing = self.hall.standing(room, actor)
        is_in = standing.role is not Role.NONE
        if not is_in and not standing.affiliation.is_above(RoomAffiliation.NONE):
            raise StanzaError(Condition.FORBIDDEN, "only occupants and members may do this")

    async def run(self, room: Room, actor: JID, values: Values) -> Element:
        hats = sorted(room.hats.by_uri.values(), key=lambda each: each.uri)
        return _table((_TITLE, _URI, _HUE), ([hat.title, hat.uri, _text(hat.hue)] for hat in hats))


class ListAssignedHats(ListHats):
    """Tell who has which hat, to who is shown JIDs."""

    node, title = f"{COMMANDS}:list-assigned", "List users with hats"

    def check(self, room: Room, actor: JID) -> None:
        super().check(room, actor)
        if not sees_jids(self.hall.standing(room, actor), room.config):
            raise StanzaError(Condition.FORBIDDEN, "only those who may see addresses may do this")

    async def run(self, room: Room, actor: JID, values: Values) -> Element:
        hats = sorted(room.hats.by_uri.values(), key=lambda each: each.uri)
        worn = ((person, hat) for hat in hats for person in hat.people)
        rows = ([person, hat.uri, hat.title, _text(hat.hue)] for person, hat in worn)
        return _table((_JID, _URI, _TITLE, _HUE), rows)


def commands_for_hats(hall: Hall) -> list[RoomCommand]:
    """All of them."""
    kinds = (CreateHat, DestroyHat, AssignHat, UnassignHat, ListHats, ListAssignedHats)
    return [kind(hall) for kind in kinds]


def _hats(room: Room) -> Field:
    hats = tuple(room.hats.by_uri.values())
    options, labels = tuple(hat.uri for hat in hats), tuple(hat.title for hat in hats)
    return Field(_URI, "The hat", "list-single", required=True, options=options, labels=labels)


def _found(room: Room, values: Values) -> Hat:
    found = room.hats.by_uri.get(value(values, _URI))
    if found is None:
        raise StanzaError(Condition.ITEM_NOT_FOUND, "this room does not have that hat")
    return found


def _person(values: Values) -> str:
    person = JID.prepared(value(values, _JID))
    if person.local is None:
        raise StanzaError(Condition.NOT_ACCEPTABLE, "hats are for users, not for whole domains")
    return person.bare


def _check(text: str, name: str, most_bytes: int) -> None:
    if not 1 <= len(text.encode()) <= most_bytes:
        raise StanzaError(Condition.NOT_ACCEPTABLE, f"{name} must have 1 to {most_bytes} bytes")


def _hue(text: str) -> float | None:
    """An angle in degrees.

    Raises:
        StanzaError: NOT_ACCEPTABLE: it is none.
    """
    if not text:
        return None
    try:
        hue = float(text)
    except ValueError:
        hue = -1.0
    if not (isfinite(hue) and 0.0 <= hue <= MAX_HUE):
        raise StanzaError(
            Condition.NOT_ACCEPTABLE, f"{_HUE} must be an angle from 0 to {MAX_HUE:g}"
        )
    return hue


def _text(hue: float | None) -> str:
    return "" if hue is None else f"{hue:g}"


def _table(names: tuple[str, ...], rows: Iterable[list[str]]) -> Element:
    columns = [Field(name, name.partition("#")[2].capitalize()) for name in names]
    return table(COMMANDS, columns, [[(text,) if text else () for text in row] for row in rows])


__all__ = ["COMMANDS", "MAX_TITLE_BYTES", "MAX_URI_BYTES", "commands_for_hats"]
