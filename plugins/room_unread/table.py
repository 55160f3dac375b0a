"""The table of who follows which room, and up to where they have read it."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from xmppd.store.sql import (
    NAMES,
    ORDERED,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Columns,
    Connection,
    Database,
    Index,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    digest,
    digest_column,
    select,
    update,
    upsert,
)
from xmppd_plugins.inbox.entries import inbox
from xmppd_plugins.muc.config import RoomConfig
from xmppd_plugins.muc.ranks import RoomAffiliation
from xmppd_plugins.muc.state import RoomFollower
from xmppd_plugins.muc.store import config_of
from xmppd_plugins.muc.tables import affiliations, rooms

MAX_FOLLOWERS = 10_000
"""Of a room, whom it knows while it is in memory."""

metadata = MetaData(naming_convention=NAMES)
followers = Table(
    "room_unread_followers",
    metadata,
    digest_column("room"),
    digest_column("owner"),
    Column("name", ORDERED, nullable=False),
    Column("person", ORDERED, nullable=False),
    Column("nick", Text, nullable=False),
    Column("wants_all", Boolean, nullable=False),
    Column("displayed", BigInteger, nullable=False),
    Index(None, "owner"),
)
_C = followers.c
_OF_OWNER, _OF_ROOM = _C.owner == bindparam("owner_"), _C.room == bindparam("room_")


def _newer(new: Columns) -> dict[str, ColumnElement[object]]:
    """What changes of who follows a room already: what they have read stays read."""
    return {"nick": new.nick, "wants_all": new.wants_all}


_FOLLOW = upsert(followers, _newer)
_LEAVE = delete(followers).where(_OF_ROOM, _OF_OWNER)
_READ = (
    update(followers)
    .where(_OF_ROOM, _OF_OWNER, _C.displayed < bindparam("to"))
    .values(displayed=bindparam("to"))
)
_FOLLOWED: Select[str, str, bool] = select(_C.name, _C.nick, _C.wants_all).where(_OF_OWNER)
_FOLLOWERS: Select[str, str, bool] = (
    select(_C.person, _C.nick, _C.wants_all).where(_OF_ROOM).limit(bindparam("limit"))
)
_ONE: Select[str, bool] = select(_C.nick, _C.wants_all).where(_OF_ROOM, _OF_OWNER)
_DISPLAYED: Select[int] = select(_C.displayed).where(_OF_ROOM, _OF_OWNER)
_OWN, _DOMAIN = affiliations.alias("own"), affiliations.alias("of_domain")
_SHOWN: Select[str, bool, int, str, float, str | None, str | None, int | None] = (
    select(
        _C.name,
        _C.wants_all,
        _C.displayed,
        rooms.c.config,
        rooms.c.created,
        _OWN.c.affiliation,
        _DOMAIN.c.affiliation,
        inbox.c.unread,
    )
    .select_from(
        followers.join(rooms, rooms.c.room == _C.room)
        .outerjoin(_OWN, and_(_OWN.c.room == _C.room, _OWN.c.person == _C.owner))
        .outerjoin(
            _DOMAIN, and_(_DOMAIN.c.room == _C.room, _DOMAIN.c.person == bindparam("domain_"))
        )
        .outerjoin(inbox, and_(inbox.c.owner == _C.owner, inbox.c.peer == _C.room))
    )
    .where(_OF_OWNER)
)


class FollowedRoom(NamedTuple):
    """A room that an account follows.

    Attributes:
        name: Its bare JID.
        wants_all: Whether the account wants to be told of all that is said there.
        displayed: The position in the room's archive up to which the account has read.
        config: How the room is configured.
        created: When it was made, in seconds since 1970.
        affiliation: What the account is to it.
        mentions: The number of unread messages that the room itself has sent to the account; None
            if it has sent none.
    """

    name: str
    wants_all: bool
    displayed: int
    config: RoomConfig
    created: float
    affiliation: RoomAffiliation
    mentions: int | None


class FollowerTable:
    """Knows who follows which room, and what they have read there.

    Args:
        database: Has the table.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def followed(self, account: str) -> dict[str, RoomFollower]:
        """What an account, a bare JID, follows, by the bare JIDs of the rooms."""
        rows = await self.database.read(_FOLLOWED, {"owner_": digest(account)})
        return {name: RoomFollower(nick, bool(wants_all)) for name, nick, wants_all in rows}

    async def followers(self, room: str) -> dict[str, RoomFollower]:
        """Who follows a room, by bare JID."""
        wanted = {"room_": digest(room), "limit": MAX_FOLLOWERS}
        rows = await self.database.read(_FOLLOWERS, wanted)
        return {person: RoomFollower(nick, bool(wants_all)) for person, nick, wants_all in rows}

    async def one(self, room: str, account: str) -> RoomFollower | None:
        """An account as it follows a room; None if it does not."""
        found = await self.database.read(_ONE, _key(room, account))
        return RoomFollower(found[0][0], bool(found[0][1])) if found else None

    async def displayed(self, room: str, account: str) -> int | None:
        """Up to which position an account has read a room that it follows; None if it does not."""
        found = await self.database.read(_DISPLAYED, _key(room, account))
        return found[0][0] if found else None

    async def shown(self, account: str) -> list[FollowedRoom]:
        """The rooms that an account follows, as far as there are such rooms."""
        domain = account.rpartition("@")[2]
        wanted = {"owner_": digest(account), "domain_": digest(domain)}
        return [
            FollowedRoom(
                name, bool(wants_all), displayed, config_of(config), created,
                _affiliation(own or of_domain), mentions,
            )
            for name, wants_all, displayed, config, created, own, of_domain, mentions
            in await self.database.read(_SHOWN, wanted)
        ]  # fmt: skip

    async def change(
        self, account: str, new: Mapping[str, RoomFollower], gone: Iterable[str], since: int
    ) -> None:
        """Have an account follow rooms, or follow them otherwise, and others no more.

        Args:
            account: Its bare JID.
            new: By the bare JIDs of the rooms.
            gone: Those of rooms that it does not follow any more.
            since: The position up to which nothing is unread in rooms that it has not followed.
        """
        rows = [
            {
                "room": digest(room),
                "owner": digest(account),
                "name": room,
                "person": account,
                "nick": follower.nick,
                "wants_all": follower.wants_all,
                "displayed": since,
            }
            for room, follower in new.items()
        ]
        left = [_key(room, account) for room in gone]

        def change(connection: Connection) -> None:
            if left:
                connection.execute(_LEAVE, left)
            if rows:
                connection.execute(_FOLLOW.on(connection), rows)

        await self.database.write(change)

    async def read(self, positions: Mapping[tuple[str, str], int]) -> None:
        """Note up to where rooms were read; never back.

        Args:
            positions: In the archives of the rooms, by the bare JIDs of room and account.
        """
        # Whoever writes the same rows does so in the same order, and so waits for nobody who waits.
        rows = [{**_key(*key), "to": positions[key]} for key in sorted(positions)]

        def change(connection: Connection) -> None:
            connection.execute(_READ, rows)

        await self.database.write(change)


_AFFILIATIONS = {each.value: each for each in RoomAffiliation}


def _affiliation(text: str | None) -> RoomAffiliation:
    return _AFFILIATIONS.get(text or "", RoomAffiliation.NONE)


def _key(room: str, account: str) -> dict[str, object]:
    return {"room_": digest(room), "owner_": digest(account)}


__all__ = ["MAX_FOLLOWERS", "FollowedRoom", "FollowerTable", "metadata"]
