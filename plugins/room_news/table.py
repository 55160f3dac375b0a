"""The table of who has not seen yet that something was said in a room."""

from collections.abc import Iterable

from xmppd.store.sql import (
    NAMES,
    ORDERED,
    Column,
    Connection,
    Database,
    Index,
    MetaData,
    Select,
    Table,
    bindparam,
    delete,
    digest,
    digest_column,
    select,
    upsert,
)

metadata = MetaData(naming_convention=NAMES)
news = Table(
    "room_news",
    metadata,
    digest_column("room"),
    digest_column("owner"),
    Column("name", ORDERED, nullable=False),
    Column("person", ORDERED, nullable=False),
    Index(None, "owner"),
)

_ROOM, _OWNER = news.c.room == bindparam("room_"), news.c.owner == bindparam("owner_")
_UNAWARE: Select[str] = select(news.c.person).where(_ROOM)
_ROOMS: Select[str] = select(news.c.name).where(_OWNER).order_by(news.c.name)
_ADD = upsert(news)
_DROP = delete(news).where(_ROOM, _OWNER)


class NewsTable:
    """Knows for whom there is something new in which room.

    Args:
        database: Has the table.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def unaware(self, room: str) -> set[str]:
        """The accounts, by bare JID, for which something is new in a room."""
        return {jid for (jid,) in await self.database.read(_UNAWARE, {"room_": digest(room)})}

    async def rooms(self, person: str) -> list[str]:
        """The rooms in which something is new for an account, by bare JID."""
        return [name for (name,) in await self.database.read(_ROOMS, {"owner_": digest(person)})]

    async def add(self, room: str, people: Iterable[str]) -> None:
        """Note that something is new in a room for these accounts."""
        key = digest(room)
        rows = [
            {"room": key, "owner": digest(person), "name": room, "person": person}
            for person in people
        ]

        def change(connection: Connection) -> None:
            connection.execute(_ADD.on(connection), rows)

        await self.database.write(change)

    async def drop(self, rooms: Iterable[str], person: str) -> None:
        """Note that nothing is new for an account in these rooms."""
        owner = digest(person)
        rows = [{"room_": digest(room), "owner_": owner} for room in rooms]

        def change(connection: Connection) -> None:
            for row in rows:
                connection.execute(_DROP, row)

        await self.database.write(change)


__all__ = ["NewsTable", "metadata"]
