"""Tokens of claims: the highest that each thing has had, so that they only rise."""

from sqlalchemy import BigInteger, Column, Select, Table, Text, bindparam, select

from xmppd.store.columns import digest, digest_column, metadata
from xmppd.store.healing import RecordStore

# The thing is the digest of its name.
claim_tokens = Table(
    "claim_tokens",
    metadata,
    Column("kind", Text, primary_key=True, nullable=False),
    digest_column("thing"),
    Column("name", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

_TOKEN: Select[int] = select(claim_tokens.c.token).where(
    claim_tokens.c.kind == bindparam("kind"), claim_tokens.c.thing == bindparam("thing")
)


class ClaimTokenStore(RecordStore):
    """The tokens of things that live only once in a service of several nodes."""

    async def highest_token(self, kind: str, name: str) -> int:
        """The highest token that an owner of a thing has used; 0 if it never had one."""
        found = await self._database.read(_TOKEN, {"kind": kind, "thing": digest(name)})
        return found[0][0] if found else 0


__all__ = ["ClaimTokenStore", "claim_tokens"]
