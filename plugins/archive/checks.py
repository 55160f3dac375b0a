"""Checks of all archives: entries without their stanza, and stanzas that are none any more."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

from xmppd.stanza.xml import check_whole
from xmppd.store.sql import Database, Select, bindparam, select, tuple_

from .routed import read_back
from .tables import archives, entries, stanzas

ROWS_PER_TURN = 200

_ENTRIES: Select[int, int, str | None, bytes | None] = (
    select(entries.c.archive, entries.c.position, archives.c.name, stanzas.c.stanza)
    .select_from(
        entries.outerjoin(stanzas, entries.c.position == stanzas.c.position).outerjoin(
            archives, entries.c.archive == archives.c.number
        )
    )
    .where(
        tuple_(entries.c.archive, entries.c.position)
        > tuple_(bindparam("archive"), bindparam("after"))
    )
    .order_by(entries.c.archive, entries.c.position)
    .limit(ROWS_PER_TURN)
)


class Damage(NamedTuple):
    """A message that cannot be read.

    Attributes:
        archive: The number of the archive it is in.
        position: Its place there.
        owner: Bare JID of the archive's owner.
        says: What is wrong.
    """

    archive: int
    position: int
    owner: str
    says: str


async def find_damage(
    database: Database, next_turn: Callable[[], Awaitable[None]]
) -> AsyncIterator[Damage]:
    """All entries of the database that cannot be read; those of archives that are gone are left
    out, since they are about to be deleted.
    """
    archive, after = 0, -1
    while rows := await database.read(_ENTRIES, {"archive": archive, "after": after}):
        for archive, after, owner, stanza in rows:
            says = _says(stanza)
            if owner is not None and says:
                yield Damage(archive, after, owner, says)
        await next_turn()


def _says(stanza: bytes | None) -> str:
    if stanza is None:
        return "the message is missing"
    try:
        check_whole(stanza)
        read_back(stanza)
    except (ValueError, KeyError) as error:
        return f"the message is damaged: {error}"
    return ""


__all__ = ["Damage", "find_damage"]
