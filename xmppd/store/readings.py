"""Readings: what each node has counted, a ring of so many for each of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Delete,
    Double,
    Integer,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
)

from xmppd.store.checks import check_integer, check_moment, check_text
from xmppd.store.columns import ORDERED, metadata, upsert
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind

MAX_READINGS = 2_017
"""Of each node; the next one takes the place of the oldest."""

MAX_NODES = 64
"""Nodes that are gone, and whose readings are kept."""

WRITE_LIMIT_S = 5.0
"""The time that a reading waits to be written."""

# Which reading is the newest is told by its number: clocks are set. Its place in the ring is the
# rest of that number.
readings = Table(
    "readings",
    metadata,
    Column("node", ORDERED, primary_key=True, nullable=False),
    Column("place", Integer, primary_key=True, nullable=False, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("counted", Text, nullable=False),
    sqlite_with_rowid=False,
)

_OF_NODE: Select[str, int, float, str] = (
    select(readings.c.node, readings.c.number, readings.c.at, readings.c.counted)
    .where(readings.c.node == bindparam("whose"), readings.c.at >= bindparam("since"))
    .order_by(readings.c.number)
)
_NEWEST = func.max(readings.c.at)
_NODES: Select[str, float] = (
    select(readings.c.node, _NEWEST).group_by(readings.c.node).order_by(_NEWEST.desc())
)
_SAVE = upsert(readings)
_FORGET: Delete = delete(readings).where(readings.c.node == bindparam("whose"))


@dataclass(frozen=True, slots=True)
class KeptReading:
    """What a node had counted by a moment.

    Attributes:
        number: Rises with each reading of a node.
        at: The time, in seconds since 1970, as the clock of the node said then.
        counted: In whichever form who counts wants to have it back.
    """

    number: int
    at: float
    counted: str


class ReadingStore(RecordStore):
    """The readings of all nodes of the service, bounded in number."""

    async def readings(self, node: str, since: float = 0.0) -> list[KeptReading]:
        """Those of a node, the oldest first.

        Args:
            node: Its name.
            since: None from before this time, as its clock said.
        """
        asked = {"whose": node, "since": since}

        async def read() -> list[KeptReading]:
            return [_reading(*row) for row in await self._database.read(_OF_NODE, asked)]

        return await self._sound(read, (READING,), {"node": node})

    async def nodes(self) -> Sequence[tuple[str, float]]:
        """The nodes that have some, with the time of the newest."""
        return await self._database.read(_NODES, {})

    async def save(self, node: str, *kept: KeptReading) -> None:
        """Write the next ones of a node, in one statement."""
        await self._database.write(partial(_save, node=node, kept=kept), WRITE_LIMIT_S)

    async def forget_gone(self, present: Collection[str], since: float) -> None:
        """Forget the readings of nodes that are gone.

        Args:
            present: The nodes that are not gone, whatever their clocks say.
            since: Which of the others has none from after this time, in seconds since 1970, is
                forgotten; so are those that were gone first, if they are too many.
        """
        change = partial(_forget, present=frozenset(present), since=since)
        await self._database.write(change, WRITE_LIMIT_S)


def _save(connection: Connection, node: str, kept: Sequence[KeptReading]) -> None:
    rows = [
        {
            "node": node,
            "place": each.number % MAX_READINGS,
            "number": each.number,
            "at": each.at,
            "counted": each.counted,
        }
        for each in kept
    ]
    connection.execute(_SAVE.on(connection), rows)


def _forget(connection: Connection, present: Collection[str], since: float) -> None:
    gone = [each for each in connection.execute(_NODES).all() if each[0] not in present]
    for place, (node, newest) in enumerate(gone):
        if newest < since or place >= MAX_NODES:
            connection.execute(_FORGET, {"whose": node})


def _reading(node: str, number: int, at: float, counted: str) -> KeptReading:
    check_text("node", node)
    return KeptReading(
        check_integer("number", number),
        check_moment("at", at),
        check_text("counted", counted),
    )


READING = Kind(
    "reading",
    readings,
    ("node", "number", "at", "counted"),
    _reading,
    ("node", "number"),
)

__all__ = ["MAX_NODES", "MAX_READINGS", "READING", "KeptReading", "ReadingStore", "readings"]
