"""One-sided subscriptions: of two accounts here, one has it and the other does not (IM-6)."""

from typing import NamedTuple

from sqlalchemy import Select, and_, bindparam, exists, literal, not_, or_, select

from xmppd.store.accounts import accounts
from xmppd.store.database import Database
from xmppd.store.rosters import roster_items

RANGES = 4_096
"""Owners are looked at by the first twelve bits of their digests: so many at a time."""

_other = roster_items.alias("other")
_owner = accounts.alias("owner")
_contact = accounts.alias("contact")
_of_both = and_(_other.c.owner == roster_items.c.contact, _other.c.contact == roster_items.c.owner)
_SEES = [literal("to"), literal("both")]
_IS_SEEN = [literal("from"), literal("both")]
_ONE_SIDED: Select[str, str] = (
    select(_owner.c.account, roster_items.c.jid)
    .select_from(roster_items)
    .join(_owner, _owner.c.owner == roster_items.c.owner)
    .join(_contact, _contact.c.owner == roster_items.c.contact)
    .where(
        roster_items.c.owner >= bindparam("first"),
        roster_items.c.owner < bindparam("end"),
        or_(
            and_(
                roster_items.c.subscription.in_(_SEES),
                not_(exists().where(_of_both, _other.c.subscription.in_(_IS_SEEN))),
            ),
            and_(
                roster_items.c.subscription.in_(_IS_SEEN),
                not_(exists().where(_of_both, _other.c.subscription.in_(_SEES))),
            ),
        ),
    )
    .order_by(roster_items.c.owner, roster_items.c.contact)
)


class OneSided(NamedTuple):
    """A contact whose roster does not say the same.

    Attributes:
        account: Bare JID of the owner.
        contact: Bare JID.
    """

    account: str
    contact: str


async def one_sided(database: Database, number: int) -> list[OneSided]:
    """The contacts that are one-sided, of the owners in one of the :data:`RANGES`."""
    first, end = number << 4, (number + 1) << 4
    owners = {
        "first": first.to_bytes(2),
        "end": end.to_bytes(2) if end < 1 << 16 else b"\xff" * 64,
    }
    return [OneSided(*row) for row in await database.read(_ONE_SIDED, owners)]


__all__ = ["RANGES", "OneSided", "one_sided"]
