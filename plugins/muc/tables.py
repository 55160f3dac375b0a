"""The tables of rooms, and the statements on them.

``room`` is the digest of a room's bare JID. ``owner``, where there is one, is the digest of the
account that a row goes with; bans do not go with anybody, and theirs is empty.
"""

from xmppd.store.sql import (
    NAMES,
    ORDERED,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    Index,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    digest_column,
    exists,
    func,
    insert,
    not_,
    select,
    update,
    upsert,
)

from .ranks import RoomAffiliation

KIND = "muc"
"""Of things that live once: each room does, by its bare JID."""

MAX_CHANGES = 1_000
"""Changes of a room's lists that are kept (:xep:`0463`)."""

metadata = MetaData(naming_convention=NAMES)
rooms = Table(
    "muc_rooms",
    metadata,
    digest_column("room"),
    digest_column("service", primary_key=False),
    digest_column("maker", primary_key=False),
    Column("public", Boolean, nullable=False),
    Column("name", ORDERED, nullable=False),
    Column("config", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("created", Double, nullable=False),
    Column("creator", Text, nullable=False),
    Column("locked", Boolean, nullable=False),
    Column("subject", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index(None, "service", "public", "name"),
    Index(None, "service", "name"),
    Index(None, "maker"),
)
affiliations = Table(
    "muc_affiliations",
    metadata,
    digest_column("room"),
    digest_column("person"),
    digest_column("owner", primary_key=False),
    Column("jid", ORDERED, nullable=False),
    Column("affiliation", Text, nullable=False),
    Column("nick", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Index(None, "person"),
    Index(None, "owner"),
)
changes = Table(
    "muc_changes",
    metadata,
    digest_column("room"),
    Column("version", BigInteger, primary_key=True),
    Column("jid", ORDERED, nullable=False),
    Column("affiliation", Text, nullable=False),
)
hats = Table(
    "muc_hats",
    metadata,
    digest_column("room"),
    digest_column("hat"),
    Column("uri", ORDERED, nullable=False),
    Column("title", Text, nullable=False),
    Column("hue", Double),
)
hat_people = Table(
    "muc_hat_people",
    metadata,
    digest_column("room"),
    digest_column("hat"),
    digest_column("owner"),
    Column("uri", ORDERED, nullable=False),
    Column("jid", ORDERED, nullable=False),
    Index(None, "owner"),
)
occupants = Table(
    "muc_occupants",
    metadata,
    digest_column("room"),
    digest_column("session"),
    Column("jid", ORDERED, nullable=False),
    Column("nick", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("presence", LargeBinary, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("node", Text, nullable=False),
)
cards = Table(
    "muc_cards",
    metadata,
    digest_column("room"),
    Column("card", LargeBinary, nullable=False),
)
destroyed = Table(
    "muc_destroyed",
    metadata,
    digest_column("room"),
    Column("forward", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("until", Double, nullable=False),
    Index(None, "until"),
)


_LISTED = and_(rooms.c.public, not_(rooms.c.locked))


def _of_room(table: Table) -> ColumnElement[bool]:
    return table.c.room == bindparam("room_")


# -- reading one room -----------------------------------------------------------------------------

ROOM: Select[str, bytes, float, str, bool, bytes, int] = select(
    rooms.c.config,
    rooms.c.key,
    rooms.c.created,
    rooms.c.creator,
    rooms.c.locked,
    rooms.c.subject,
    rooms.c.version,
).where(_of_room(rooms))
AFFILIATIONS: Select[str, str, str, str, str, int] = (
    select(
        affiliations.c.jid,
        affiliations.c.affiliation,
        affiliations.c.nick,
        affiliations.c.reason,
        affiliations.c.actor,
        affiliations.c.version,
    )
    .where(_of_room(affiliations))
    .order_by(affiliations.c.version, affiliations.c.jid)
)
HATS: Select[str, str, float | None] = (
    select(hats.c.uri, hats.c.title, hats.c.hue).where(_of_room(hats)).order_by(hats.c.uri)
)
HAT_PEOPLE: Select[str, str] = (
    select(hat_people.c.uri, hat_people.c.jid)
    .where(_of_room(hat_people))
    .order_by(hat_people.c.jid)
)
OCCUPANTS: Select[str, str, str, bytes, int, str] = (
    select(
        occupants.c.jid,
        occupants.c.nick,
        occupants.c.role,
        occupants.c.presence,
        occupants.c.number,
        occupants.c.node,
    )
    .where(_of_room(occupants))
    .order_by(occupants.c.number, occupants.c.jid)
)
CHANGES: Select[int, str, str] = (
    select(changes.c.version, changes.c.jid, changes.c.affiliation)
    .where(_of_room(changes), changes.c.version > bindparam("after"))
    .order_by(changes.c.version)
)
CARD: Select[bytes] = select(cards.c.card).where(_of_room(cards))
FORWARD: Select[str, str] = select(destroyed.c.forward, destroyed.c.reason).where(
    _of_room(destroyed), destroyed.c.until > bindparam("now")
)

# -- lists of rooms -------------------------------------------------------------------------------

_LINE: Select[str, str] = select(rooms.c.name, rooms.c.config)
_PAGE = (rooms.c.service == bindparam("service_"), rooms.c.name > bindparam("after"))


def _page(statement: Select[str, str]) -> Select[str, str]:
    return statement.order_by(rooms.c.name).limit(bindparam("limit"))


ALL_ROOMS = _page(_LINE.where(*_PAGE))
PUBLIC_ROOMS = _page(_LINE.where(*_PAGE, _LISTED))
ROOMS_OF = _page(
    _LINE.join(affiliations, affiliations.c.room == rooms.c.room).where(
        *_PAGE,
        affiliations.c.person == bindparam("person_"),
        affiliations.c.affiliation != RoomAffiliation.OUTCAST.value,
    )
)
ORPHANS = _page(
    _LINE.where(
        *_PAGE,
        not_(
            exists().where(
                affiliations.c.room == rooms.c.room,
                affiliations.c.affiliation == RoomAffiliation.OWNER.value,
            )
        ),
    )
)
OCCUPIED: Select[str] = (
    select(rooms.c.name)
    .where(
        *_PAGE,
        exists().where(occupants.c.room == rooms.c.room),
    )
    .order_by(rooms.c.name)
    .limit(bindparam("limit"))
)
COUNT_ROOMS: Select[int] = (
    select(func.count()).select_from(rooms).where(rooms.c.service == bindparam("service_"))
)
COUNT_PUBLIC = COUNT_ROOMS.where(_LISTED)
COUNT_MADE: Select[int] = (
    select(func.count()).select_from(rooms).where(rooms.c.maker == bindparam("maker_"))
)

# -- writing --------------------------------------------------------------------------------------

ADD_ROOM = insert(rooms)
SET_CONFIG = (
    update(rooms)
    .where(_of_room(rooms))
    .values(config=bindparam("config_"), public=bindparam("public_"))
)
SET_LOCKED = update(rooms).where(_of_room(rooms)).values(locked=bindparam("locked_"))
SET_SUBJECT = update(rooms).where(_of_room(rooms)).values(subject=bindparam("subject_"))
NEXT_VERSION = (
    update(rooms)
    .where(_of_room(rooms))
    .values(version=rooms.c.version + bindparam("count"))
    .returning(rooms.c.version)
)
VERSION: Select[int] = select(rooms.c.version).where(_of_room(rooms))
SET_AFFILIATION = upsert(affiliations)
DROP_AFFILIATION = delete(affiliations).where(
    _of_room(affiliations), affiliations.c.person == bindparam("person_")
)
ADD_CHANGE = insert(changes)
TRIM_CHANGES = delete(changes).where(_of_room(changes), changes.c.version <= bindparam("last"))
SET_HAT = upsert(hats)
DROP_HAT = delete(hats).where(_of_room(hats), hats.c.hat == bindparam("hat_"))
ADD_HAT_PERSON = insert(hat_people)
DROP_HAT_PEOPLE = delete(hat_people).where(
    _of_room(hat_people), hat_people.c.hat == bindparam("hat_")
)
SET_CARD = upsert(cards)
SET_OCCUPANT = upsert(occupants)
DROP_OCCUPANT = delete(occupants).where(
    _of_room(occupants), occupants.c.session == bindparam("session_")
)
DROP_OCCUPANTS = delete(occupants).where(_of_room(occupants))
DROP_ALL = tuple(
    delete(table).where(_of_room(table))
    for table in (affiliations, changes, hats, hat_people, occupants, cards, destroyed, rooms)
)
SET_DESTROYED = upsert(destroyed)
DROP_FORGOTTEN = delete(destroyed).where(destroyed.c.until <= bindparam("now"))

__all__ = [
    "ADD_CHANGE",
    "ADD_HAT_PERSON",
    "ADD_ROOM",
    "AFFILIATIONS",
    "ALL_ROOMS",
    "CARD",
    "CHANGES",
    "COUNT_MADE",
    "COUNT_PUBLIC",
    "COUNT_ROOMS",
    "DROP_AFFILIATION",
    "DROP_ALL",
    "DROP_FORGOTTEN",
    "DROP_HAT",
    "DROP_HAT_PEOPLE",
    "DROP_OCCUPANT",
    "DROP_OCCUPANTS",
    "FORWARD",
    "HATS",
    "HAT_PEOPLE",
    "KIND",
    "MAX_CHANGES",
    "NEXT_VERSION",
    "OCCUPANTS",
    "OCCUPIED",
    "ORPHANS",
    "PUBLIC_ROOMS",
    "ROOM",
    "ROOMS_OF",
    "SET_AFFILIATION",
    "SET_CARD",
    "SET_CONFIG",
    "SET_DESTROYED",
    "SET_HAT",
    "SET_LOCKED",
    "SET_OCCUPANT",
    "SET_SUBJECT",
    "TRIM_CHANGES",
    "VERSION",
    "affiliations",
    "cards",
    "changes",
    "destroyed",
    "hat_people",
    "hats",
    "metadata",
    "occupants",
    "rooms",
]
