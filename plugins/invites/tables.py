"""The tables of invitations, and their statements.

An invitation is known by the digest of its token, which is kept nowhere. What is used of it are the
rows of those who have taken it up: so that it is used once however many try at the same moment, and
is not used by one who did not get to the end.
"""

from xmppd.store.sql import (
    NAMES,
    ORDERED,
    BindParameter,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    digest_column,
    func,
    insert,
    or_,
    select,
    update,
    upsert,
)

metadata = MetaData(naming_convention=NAMES)

# The owner is the inviter: when their account goes, nobody comes in their name any more.
invites = Table(
    "invites",
    metadata,
    Column("id", ORDERED, primary_key=True, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    digest_column("owner", primary_key=False),
    Column("inviter", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("is_contact", Boolean, nullable=False),
    Column("with_account", Boolean, nullable=False),
    Column("max_uses", Integer, nullable=False),
    Column("made", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("revoked", Double),
    Index("uq_invites_digest", "digest", unique=True),
    Index(None, "owner", "made"),
    Index(None, "domain", "name"),
    Index(None, "expires"),
    sqlite_with_rowid=False,
)
uses = Table(
    "invites_uses",
    metadata,
    Column("invite", ORDERED, primary_key=True, nullable=False),
    digest_column("taker"),
    Column("account", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("done", Boolean, nullable=False),
    sqlite_with_rowid=False,
)
guests = Table(
    "invites_guests",
    metadata,
    digest_column("owner"),
    Column("inviter", Text, nullable=False),
    Column("invite", Text, nullable=False),
    Column("since", Double, nullable=False),
    sqlite_with_rowid=False,
)

WHICH: BindParameter[str] = bindparam("which")
_COUNTS = or_(uses.c.done, uses.c.since > bindparam("since"))
_USED = (
    select(func.count())
    .select_from(uses)
    .where(uses.c.invite == invites.c.id, _COUNTS)
    .scalar_subquery()
)
_columns = (
    invites.c.id,
    invites.c.inviter,
    invites.c.domain,
    invites.c.name,
    invites.c.groups,
    invites.c.is_contact,
    invites.c.with_account,
    invites.c.max_uses,
    invites.c.made,
    invites.c.expires,
    invites.c.revoked,
    _USED,
)
Columns = tuple[str, str, str, str, str, bool, bool, int, float, float, float | None, int]
_ANY: Select[*Columns] = select(*_columns)
BY_DIGEST = _ANY.where(invites.c.digest == bindparam("digest"))
BY_ID = _ANY.where(invites.c.id == WHICH)
_IN_ORDER = _ANY.order_by(invites.c.made, invites.c.id).limit(bindparam("limit"))
_BEHIND = or_(
    invites.c.made > bindparam("made"),
    and_(invites.c.made == bindparam("made"), invites.c.id > bindparam("behind")),
)
PAGE = _IN_ORDER.where(_BEHIND)
PAGE_OF = PAGE.where(invites.c.owner == bindparam("owner"))
PROMISED: Select[str] = (
    select(invites.c.id)
    .where(
        invites.c.domain == bindparam("domain"),
        invites.c.name == bindparam("called"),
        invites.c.expires > bindparam("now"),
        invites.c.revoked.is_(None),
        invites.c.max_uses > _USED,
    )
    .limit(1)
)
MADE: Select[int] = select(func.coalesce(func.sum(invites.c.max_uses), 0)).where(
    invites.c.owner == bindparam("owner"), invites.c.made > bindparam("after")
)
ADD = insert(invites)
REVOKE = (
    update(invites)
    .where(invites.c.id == WHICH, invites.c.revoked.is_(None))
    .values(revoked=bindparam("now"))
)
_TAKER = and_(uses.c.invite == WHICH, uses.c.taker == bindparam("who"))
TAKE = upsert(uses)
GIVE_BACK = delete(uses).where(_TAKER, uses.c.done.is_(False))
FINISH = update(uses).where(_TAKER).values(done=True)
TAKERS: Select[str, float] = (
    select(uses.c.account, uses.c.since)
    .where(uses.c.invite == WHICH, uses.c.done)
    .order_by(uses.c.since)
    .limit(bindparam("limit"))
)
GUEST = upsert(guests)
INVITED_BY: Select[str, str, float] = select(
    guests.c.inviter, guests.c.invite, guests.c.since
).where(guests.c.owner == bindparam("owner"))
FORGET = delete(invites).where(invites.c.expires < bindparam("before"))
FORGET_USES = delete(uses).where(
    uses.c.invite.not_in(select(invites.c.id)), uses.c.since < bindparam("before")
)

__all__ = [
    "ADD",
    "BY_DIGEST",
    "BY_ID",
    "FINISH",
    "FORGET",
    "FORGET_USES",
    "GIVE_BACK",
    "GUEST",
    "INVITED_BY",
    "MADE",
    "PAGE",
    "PAGE_OF",
    "PROMISED",
    "REVOKE",
    "TAKE",
    "TAKERS",
    "Columns",
    "guests",
    "invites",
    "metadata",
    "uses",
]
