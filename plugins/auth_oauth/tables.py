"""The tables of tokens that people have logged in by, and their statements."""

from xmppd.store.many import QUERY_SIZES, one_of
from xmppd.store.sql import (
    NAMES,
    Boolean,
    Column,
    Double,
    Index,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    digest_column,
    insert_if_absent,
    select,
    update,
    upsert,
)

metadata = MetaData(naming_convention=NAMES)

# Named by its digest; the token itself is sealed.
tokens = Table(
    "auth_oauth_tokens",
    metadata,
    digest_column("proof"),
    digest_column("owner", primary_key=False),
    Column("account", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires", Double, nullable=False),
    Column("asked", Double, nullable=False),
    Column("over", Boolean, nullable=False),
    Index(None, "owner", "expires"),
    Index(None, "expires"),
    Index(None, "over", "asked"),
    sqlite_with_rowid=False,
)
devices = Table(
    "auth_oauth_devices",
    metadata,
    digest_column("proof"),
    Column("device", Text, primary_key=True, nullable=False),
    digest_column("owner", primary_key=False),
    Index(None, "owner"),
    sqlite_with_rowid=False,
)

_C = tokens.c
_IS_IT = _C.proof == bindparam("which")
Columns = tuple[bytes, str, bytes, float, bool]
_TOKENS: Select[*Columns] = select(_C.proof, _C.account, _C.sealed, _C.expires, _C.over).limit(
    bindparam("limit")
)
TOKEN = upsert(tokens)
DEVICE = insert_if_absent(devices)
DUE = _TOKENS.where(_C.over.is_(False), _C.asked <= bindparam("before")).order_by(_C.asked)
CLAIM = (
    update(tokens)
    .where(_IS_IT, _C.over.is_(False), _C.asked <= bindparam("before"))
    .values(asked=bindparam("now"))
)
OVER = update(tokens).where(_IS_IT).values(over=True)
EXPIRED = _TOKENS.where(_C.expires <= bindparam("now")).order_by(_C.expires)
KNOWN: dict[int, Select[bytes, bool]] = {
    size: select(_C.proof, _C.over).where(one_of(_C.proof, size, "proof")) for size in QUERY_SIZES
}
DEVICES: Select[str] = select(devices.c.device).where(devices.c.proof == bindparam("which"))
FORGET = delete(tokens).where(_IS_IT)
FORGET_DEVICES = delete(devices).where(devices.c.proof == bindparam("which"))
SPARE: Select[bytes] = (
    select(_C.proof)
    .where(_C.owner == bindparam("of_owner"))
    .order_by(_C.expires.desc(), _C.proof)
    .limit(1)
    .offset(bindparam("kept"))
)

__all__ = [
    "CLAIM",
    "DEVICE",
    "DEVICES",
    "DUE",
    "EXPIRED",
    "FORGET",
    "FORGET_DEVICES",
    "KNOWN",
    "OVER",
    "SPARE",
    "TOKEN",
    "devices",
    "metadata",
    "tokens",
]
