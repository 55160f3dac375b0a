"""RoomStore: rooms, as they are in the store."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from msgspec import DecodeError, json
from msgspec.structs import replace

from xmppd.stanza import JID
from xmppd.stanza.phrases import counted
from xmppd.store.claim_tokens import raise_token
from xmppd.store.errors import ChangeRefused, QuotaExceeded
from xmppd.store.sql import Connection, Database, Select, digest, lock_owner

from . import tables as t
from .config import RoomConfig
from .ranks import Role, RoomAffiliation
from .state import (
    Affiliated,
    AffiliationChange,
    Destroyed,
    Hat,
    KeptOccupant,
    KeptRoom,
    RoomChange,
)

T = TypeVar("T")

DAMAGED = RoomConfig(
    roomname="(its configuration was damaged)",
    persistentroom=True,
    publicroom=False,
    membersonly=True,
)
"""The configuration of a room whose own cannot be read: nobody enters who might not have."""


class RoomExists(ChangeRefused):
    """An error: there is a room of that name."""


class NoSuchRoom(ChangeRefused):
    """An error: there is no room of that name any more."""


class RoomStore:
    """Rooms with their lists, hats and occupants. Whoever has a room writes with the token of its
    claim, so that a later owner's changes are not undone (ST-10).

    Args:
        database: Keeps them, in tables that the plugin has brought.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    # -- one room ---------------------------------------------------------------------------------

    async def load(self, room: JID) -> KeptRoom | None:
        """A room with all that belongs to it; None if there is none."""
        key, read = {"room_": digest(room.bare)}, self.database.read
        found = await read(t.ROOM, key)
        if not found:
            return None
        config, id_key, created, creator, locked, subject, version = found[0]
        people: dict[str, list[str]] = {}
        for uri, jid in await read(t.HAT_PEOPLE, key):
            people.setdefault(uri, []).append(jid)
        return KeptRoom(
            room.to_bare(),
            config_of(config),
            id_key,
            created,
            creator,
            bool(locked),
            subject,
            version,
            tuple(_affiliated(await read(t.AFFILIATIONS, key))),
            tuple(Hat(*row, tuple(people.get(row[0], ()))) for row in await read(t.HATS, key)),
            tuple(_occupants(await read(t.OCCUPANTS, key))),
        )

    async def changes(self, room: JID, after: int) -> list[AffiliationChange]:
        """The changes of a room's lists behind a version, as far as they are kept: the last 1,000
        (:xep:`0463`).
        """
        rows = await self.database.read(t.CHANGES, {"room_": digest(room.bare), "after": after})
        return [
            AffiliationChange(version, jid, _AFFILIATIONS.get(affiliation, RoomAffiliation.NONE))
            for version, jid, affiliation in rows
        ]

    async def card(self, room: JID) -> bytes:
        """The card of a room; empty if it has none."""
        found = await self.database.read(t.CARD, {"room_": digest(room.bare)})
        return found[0][0] if found else b""

    async def forward(self, room: JID, now: float) -> Destroyed | None:
        """Where people of a room went that was destroyed; None if nobody has said."""
        found = await self.database.read(t.FORWARD, {"room_": digest(room.bare), "now": now})
        return Destroyed(*found[0]) if found else None

    async def create(self, made: KeptRoom, token: int, *, max_rooms: int) -> None:
        """Keep a new room.

        Args:
            made: It, with all that belongs to it.
            token: Of its owner.
            max_rooms: How many rooms there may be of one creator.

        Raises:
            RoomExists: There is one of this name.
            QuotaExceeded: There are as many of its creator.
            Deposed: Another node has it by now.
        """

        def change(connection: Connection) -> None:
            if connection.execute(t.ROOM, {"room_": digest(made.jid.bare)}).first() is not None:
                raise RoomExists(made.jid.bare)
            if made.creator:
                maker = {"maker_": lock_owner(connection, made.creator)}
                if connection.execute(t.COUNT_MADE, maker).scalar_one() >= max_rooms:
                    raise QuotaExceeded(f"you have already created {counted(max_rooms, 'room')}")
            connection.execute(t.ADD_ROOM, _room_row(made))
            lists = RoomChange(noted=made.affiliated, hats=made.hats, came=made.occupants)
            _change(connection, made.jid, lists)

        await self._write(made.jid, token, change)

    async def change(self, room: JID, token: int, what: RoomChange) -> int:
        """Keep what changes of a room.

        Returns:
            The version of its lists. Each of those affiliated anew has one of its own; the last of
            them has this one.

        Raises:
            NoSuchRoom: It was destroyed.
            Deposed: Another node has the room by now.
        """
        return await self._write(room, token, lambda connection: _change(connection, room, what))

    async def destroy(
        self, room: JID, token: int, where: Destroyed | None = None, until: float = 0.0
    ) -> None:
        """Remove a room with all that belongs to it.

        Args:
            room: It.
            token: Of its owner.
            where: Where its people go; None if nobody says.
            until: For how long that is told, in seconds since 1970.

        Raises:
            Deposed: Another node has the room by now.
        """

        def change(connection: Connection) -> None:
            key = digest(room.bare)
            for statement in t.DROP_ALL:
                connection.execute(statement, {"room_": key})
            if where is not None:
                row = {
                    "room": key,
                    "until": until,
                    "forward": where.forward,
                    "reason": where.reason,
                }
                connection.execute(t.SET_DESTROYED.on(connection), row)

        await self._write(room, token, change)

    async def forget_destroyed(self, now: float) -> None:
        """Forget where people went from rooms, when that was told for long enough."""

        def change(connection: Connection) -> None:
            connection.execute(t.DROP_FORGOTTEN, {"now": now})

        await self.database.write(change)

    # -- many rooms -------------------------------------------------------------------------------

    async def all(self, service: str, limit: int, after: str = "") -> list[tuple[str, RoomConfig]]:
        """Some rooms of a service behind one of them, by bare JID."""
        return await self._lines(t.ALL_ROOMS, service, limit, after)

    async def public(
        self, service: str, limit: int, after: str = ""
    ) -> list[tuple[str, RoomConfig]]:
        """Those of them that are listed for everybody."""
        return await self._lines(t.PUBLIC_ROOMS, service, limit, after)

    async def rooms_of(
        self, service: str, person: JID, limit: int, after: str = ""
    ) -> list[tuple[str, RoomConfig]]:
        """Those of them with which somebody is affiliated, and from which they are not banned."""
        return await self._lines(t.ROOMS_OF, service, limit, after, person_=digest(person.bare))

    async def orphans(
        self, service: str, limit: int, after: str = ""
    ) -> list[tuple[str, RoomConfig]]:
        """Those of them that nobody owns."""
        return await self._lines(t.ORPHANS, service, limit, after)

    async def occupied(self, service: str, limit: int, after: str = "") -> list[str]:
        """Those of them in which somebody was when that was last kept."""
        wanted = {"service_": digest(service), "limit": limit, "after": after}
        return [name for (name,) in await self.database.read(t.OCCUPIED, wanted)]

    async def count(self, service: str, *, public: bool = False) -> int:
        """How many rooms a service has, or how many that are listed for everybody."""
        statement = t.COUNT_PUBLIC if public else t.COUNT_ROOMS
        ((count,),) = await self.database.read(statement, {"service_": digest(service)})
        return count

    async def _lines(
        self, statement: Select[str, str], service: str, limit: int, after: str, **more: object
    ) -> list[tuple[str, RoomConfig]]:
        wanted = {"service_": digest(service), "limit": limit, "after": after, **more}
        rows = await self.database.read(statement, wanted)
        return [(name, config_of(config)) for name, config in rows]

    async def _write(self, room: JID, token: int, change: Callable[[Connection], T]) -> T:
        def as_owner(connection: Connection) -> T:
            raise_token(connection, t.KIND, room.bare, token)
            return change(connection)

        return await self.database.write(as_owner)


# -- rows -----------------------------------------------------------------------------------------


def _change(connection: Connection, room: JID, what: RoomChange) -> int:
    key = digest(room.bare)
    of_room = {"room_": key}
    if what.config is not None:
        row = {"config_": _written(what.config), "public_": what.config.publicroom, **of_room}
        connection.execute(t.SET_CONFIG, row)
    if what.locked is not None:
        connection.execute(t.SET_LOCKED, {"locked_": what.locked, **of_room})
    if what.subject is not None:
        connection.execute(t.SET_SUBJECT, {"subject_": what.subject, **of_room})
    if what.card is not None:
        connection.execute(t.SET_CARD.on(connection), {"room": key, "card": what.card})
    _keep_hats(connection, key, what)
    _keep_occupants(connection, key, what)
    return _keep_lists(connection, room, what)


def _keep_lists(connection: Connection, room: JID, what: RoomChange) -> int:
    key = digest(room.bare)
    of_room = {"room_": key}
    count = len(what.affiliated)
    statement = t.NEXT_VERSION if count else t.VERSION
    version: int | None = connection.execute(
        statement, {"count": count, **of_room}
    ).scalar_one_or_none()
    if version is None:
        raise NoSuchRoom(room.bare)
    first = version - count + 1
    anew = [replace(each, version=first + i) for i, each in enumerate(what.affiliated)]
    _keep_affiliated(connection, key, (*anew, *what.noted))
    if anew:
        rows = [
            {
                "room": key,
                "version": each.version,
                "jid": each.jid,
                "affiliation": each.affiliation.value,
            }
            for each in anew
        ]
        connection.execute(t.ADD_CHANGE, rows)
        connection.execute(t.TRIM_CHANGES, {"last": version - t.MAX_CHANGES, **of_room})
    return version


def _keep_affiliated(connection: Connection, room: bytes, affiliated: Iterable[Affiliated]) -> None:
    for each in affiliated:
        person = digest(each.jid)
        if each.affiliation is RoomAffiliation.NONE:
            connection.execute(t.DROP_AFFILIATION, {"room_": room, "person_": person})
            continue
        row = {
            "room": room,
            "person": person,
            "owner": b"" if each.affiliation is RoomAffiliation.OUTCAST else person,
            "jid": each.jid,
            "affiliation": each.affiliation.value,
            "nick": each.nick,
            "reason": each.reason,
            "actor": each.actor,
            "version": each.version,
        }
        connection.execute(t.SET_AFFILIATION.on(connection), row)


def _keep_hats(connection: Connection, room: bytes, what: RoomChange) -> None:
    for uri in (*what.no_hats, *(hat.uri for hat in what.hats)):
        connection.execute(t.DROP_HAT_PEOPLE, {"room_": room, "hat_": digest(uri)})
    for uri in what.no_hats:
        connection.execute(t.DROP_HAT, {"room_": room, "hat_": digest(uri)})
    for hat in what.hats:
        row = {"room": room, "hat": digest(hat.uri), "uri": hat.uri}
        connection.execute(t.SET_HAT.on(connection), {**row, "title": hat.title, "hue": hat.hue})
        people = [{**row, "owner": digest(jid), "jid": jid} for jid in hat.people]
        if people:
            connection.execute(t.ADD_HAT_PERSON, people)


def _keep_occupants(connection: Connection, room: bytes, what: RoomChange) -> None:
    if what.empty:
        connection.execute(t.DROP_OCCUPANTS, {"room_": room})
    for session in what.left:
        connection.execute(t.DROP_OCCUPANT, {"room_": room, "session_": digest(session)})
    rows = [
        {
            "room": room,
            "session": digest(each.session),
            "jid": each.session,
            "nick": each.nick,
            "role": each.role.value,
            "presence": each.presence,
            "number": each.number,
            "node": each.node,
        }
        for each in what.came
    ]
    if rows:
        connection.execute(t.SET_OCCUPANT.on(connection), rows)


def _room_row(made: KeptRoom) -> dict[str, object]:
    return {
        "room": digest(made.jid.bare),
        "service": digest(made.jid.domain),
        "maker": digest(made.creator),
        "public": made.config.publicroom,
        "name": made.jid.bare,
        "config": _written(made.config),
        "key": made.key,
        "created": made.created,
        "creator": made.creator,
        "locked": made.locked,
        "subject": made.subject,
        "version": made.version,
    }


_AFFILIATIONS = {each.value: each for each in RoomAffiliation}
_ROLES = {each.value: each for each in Role}
_encoder, _decoder = json.Encoder(), json.Decoder(RoomConfig)


def _written(config: RoomConfig) -> str:
    return _encoder.encode(config).decode()


def config_of(text: str) -> RoomConfig:
    """A configuration as it is kept; :data:`DAMAGED` if it cannot be read."""
    try:
        return _decoder.decode(text)
    except DecodeError:
        return DAMAGED


def _affiliated(rows: Iterable[tuple[str, str, str, str, str, int]]) -> Iterable[Affiliated]:
    for jid, affiliation, nick, reason, actor, version in rows:
        if affiliation in _AFFILIATIONS:
            yield Affiliated(jid, _AFFILIATIONS[affiliation], nick, reason, actor, version)


def _occupants(rows: Iterable[tuple[str, str, str, bytes, int, str]]) -> Iterable[KeptOccupant]:
    for jid, nick, role, presence, number, node in rows:
        if role in _ROLES:
            yield KeptOccupant(jid, nick, _ROLES[role], presence, number, node)


__all__ = ["DAMAGED", "NoSuchRoom", "RoomExists", "RoomStore", "config_of"]
