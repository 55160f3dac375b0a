"""Tokens of claims: the highest that an owner of each thing has used, so that they only rise.

Who owns something that lives only once in the service writes with its token: :func:`raise_token` is
the first thing in its transaction, and refuses who was deposed while it slept (ST-10).
"""

from functools import partial

from sqlalchemy import BigInteger, Column, Connection, Select, Table, Text, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from xmppd.store.columns import InsertByDialect, digest, digest_column, metadata
from xmppd.store.errors import ChangeRefused
from xmppd.store.healing import RecordStore
from xmppd.store.prepared import Prepared

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


def _raising() -> InsertByDialect:
    """An INSERT that returns the token, unless a higher one was used."""
    statements = []
    for dialect in (sqlite, postgresql):
        adding = dialect.insert(claim_tokens)
        statements.append(
            adding.on_conflict_do_update(
                index_elements=list(claim_tokens.primary_key),
                set_={"token": adding.excluded.token},
                where=claim_tokens.c.token <= adding.excluded.token,
            ).returning(claim_tokens.c.token)
        )
    return InsertByDialect(*statements)


_RAISE: Prepared[int] = Prepared(_raising())


class Deposed(ChangeRefused):
    """An error: something has a later owner, so this one may not write any more."""


class ClaimTokenStore(RecordStore):
    """The tokens of things that live only once in a service of several nodes."""

    async def highest_token(self, kind: str, name: str) -> int:
        """The highest token that an owner of a thing has used; 0 if it never had one."""
        found = await self._database.read(_TOKEN, {"kind": kind, "thing": digest(name)})
        return found[0][0] if found else 0

    async def raise_token(self, kind: str, name: str, token: int) -> None:
        """Note that an owner of a thing uses its token.

        Raises:
            Deposed: A later owner has used a higher one.
        """
        change = partial(raise_token, kind=kind, name=name, token=token)
        await self._database.write(change)


def raise_token(connection: Connection, kind: str, name: str, token: int) -> None:
    """Note, in the transaction of an owner's change, that it uses its token.

    No other owner of the thing writes before the transaction ends.

    Raises:
        Deposed: A later owner has used a higher one.
    """
    row = {"kind": kind, "thing": digest(name), "name": name, "token": token}
    if not _RAISE.on(connection, row):
        raise Deposed(f"{kind} {name} has had a later owner than that of token {token}")


__all__ = ["ClaimTokenStore", "Deposed", "claim_tokens", "raise_token"]
