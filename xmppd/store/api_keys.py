"""API keys, without what they prove themselves by: of that there is a digest only."""

from dataclasses import dataclass
from functools import partial

from msgspec import json
from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Double,
    Index,
    LargeBinary,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from xmppd.store.checks import (
    check_bytes,
    check_moment,
    check_text,
    json_text,
    json_value,
    unreadable,
)
from xmppd.store.columns import ORDERED, lock_owner, metadata
from xmppd.store.errors import ChangeRefused
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind

MAX_KEYS = 1_000
DIGEST_BYTES = 32

# The scopes are a text of JSON.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", ORDERED, primary_key=True, nullable=False),
    Column("name", ORDERED, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("made", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("used", Double),
    Index("uq_api_keys_name", "name", unique=True),
    sqlite_with_rowid=False,
)

_columns = (
    api_keys.c.id,
    api_keys.c.name,
    api_keys.c.digest,
    api_keys.c.scopes,
    api_keys.c.made_by,
    api_keys.c.account,
    api_keys.c.made,
    api_keys.c.expires,
    api_keys.c.used,
)
_ALL: Select[str, str, bytes, str, str, str, float, float, float | None] = select(
    *_columns
).order_by(api_keys.c.name)
_ONE: Select[str, str, bytes, str, str, str, float, float, float | None] = select(*_columns).where(
    api_keys.c.id == bindparam("key")
)
_NAMED: Select[str] = select(api_keys.c.id).where(api_keys.c.name == bindparam("called"))
_COUNT: Select[int] = select(func.count()).select_from(api_keys)
_REVOKE: Delete = delete(api_keys).where(api_keys.c.name == bindparam("called"))
_USED: Update = (
    update(api_keys).where(api_keys.c.id == bindparam("key")).values(used=bindparam("now"))
)


class KeyRefused(ChangeRefused):
    """An error: a key of this name is there already, or there are too many."""


@dataclass(frozen=True, slots=True)
class APIKey:
    """A key with which programs give commands.

    Attributes:
        id: The part of it that is no secret.
        name: Its maker's name for it.
        digest: Of its secret part.
        scopes: All that it may do.
        made_by: Who made it.
        account: Bare JID of the person behind it, whose scopes limit its own; empty for one that
            was made at the server's machine.
        made: The time when it was made, in seconds since 1970.
        expires: The time of its end.
        used: About when it was used last; None if it never was.
    """

    id: str
    name: str
    digest: bytes
    scopes: tuple[str, ...]
    made_by: str
    account: str
    made: float
    expires: float
    used: float | None = None


class APIKeyStore(RecordStore):
    """The API keys of this service."""

    async def api_keys(self) -> list[APIKey]:
        """All keys, by name."""

        async def read() -> list[APIKey]:
            return [_key(*row) for row in await self._database.read(_ALL, {})]

        return await self._sound(read, (API_KEY,), {})

    async def api_key(self, id: str) -> APIKey | None:
        """The key of this id."""

        async def read() -> APIKey | None:
            found = await self._database.read(_ONE, {"key": id})
            return _key(*found[0]) if found else None

        return await self._sound(read, (API_KEY,), {"id": id})

    async def add_api_key(self, key: APIKey) -> None:
        """Add a key.

        Raises:
            KeyRefused: One of this name is there already, or there are :data:`MAX_KEYS`.
        """
        await self._database.write(partial(_add, key=key))

    async def revoke_api_key(self, name: str) -> bool:
        """Forget a key; returns whether there was one of this name."""
        return await self._database.write(partial(_revoke, name=name))

    async def note_use(self, id: str, now: float) -> None:
        """Note that a key was used."""
        await self._database.write(partial(_note, id=id, now=now))


def _add(connection: Connection, key: APIKey) -> None:
    lock_owner(connection, "api_keys")
    if connection.execute(_NAMED, {"called": key.name}).first() is not None:
        raise KeyRefused(f"The key {key.name} already exists.")
    if connection.execute(_COUNT).scalar_one() >= MAX_KEYS:
        raise KeyRefused(
            f"There are already {MAX_KEYS} keys; revoke one that nobody uses any more."
        )
    row = {
        "id": key.id,
        "name": key.name,
        "digest": key.digest,
        "scopes": json_text(key.scopes),
        "made_by": key.made_by,
        "account": key.account,
        "made": key.made,
        "expires": key.expires,
        "used": key.used,
    }
    connection.execute(insert(api_keys), row)


def _revoke(connection: Connection, name: str) -> bool:
    return connection.execute(_REVOKE, {"called": name}).rowcount > 0


def _note(connection: Connection, id: str, now: float) -> None:
    connection.execute(_USED, {"key": id, "now": now})


_scopes_decoder = json.Decoder(tuple[str, ...])


def _key(
    id: str,
    name: str,
    digest: bytes,
    scopes: str,
    made_by: str,
    account: str,
    made: float,
    expires: float,
    used: float | None,
) -> APIKey:
    if len(check_bytes("digest", digest)) != DIGEST_BYTES:
        raise unreadable("digest", f"does not have {DIGEST_BYTES} bytes")
    return APIKey(
        check_text("id", id),
        check_text("name", name),
        digest,
        json_value("scopes", scopes, _scopes_decoder),
        check_text("made_by", made_by),
        check_text("account", account),
        check_moment("made", made),
        check_moment("expires", expires),
        None if used is None else check_moment("used", used),
    )


API_KEY = Kind(
    "API key",
    api_keys,
    tuple(column.name for column in _columns),
    _key,
    ("id", "name"),
    {"made_by": "?", "made": 0.0, "used": None},
)

__all__ = ["API_KEY", "MAX_KEYS", "APIKey", "APIKeyStore", "KeyRefused", "api_keys"]
