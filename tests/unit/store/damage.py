"""Damage to a database, as a disk or a hand may do it: bytes that are cut off, flipped or added."""

from collections.abc import Sequence
from random import Random

from sqlalchemy import create_engine, select, type_coerce, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import NullType

from xmppd.store.accounts import ACCOUNT
from xmppd.store.api_keys import API_KEY
from xmppd.store.audit import AUDIT_ENTRY
from xmppd.store.devices import DEVICE
from xmppd.store.engine import parse_url
from xmppd.store.former_accounts import FORMER_ACCOUNT
from xmppd.store.held import HELD_MESSAGE
from xmppd.store.items import ITEM
from xmppd.store.jobs import JOB
from xmppd.store.kind import Kind
from xmppd.store.last_presences import LAST_PRESENCE
from xmppd.store.offline import OFFLINE_MESSAGE
from xmppd.store.readings import READING
from xmppd.store.rosters import ROSTER_ITEM, ROSTER_VERSION
from xmppd.store.scram_keys import KEY
from xmppd.store.sessions import SESSION
from xmppd.store.shared_groups import MEMBER, SHARED_GROUP
from xmppd.store.tables import PLUGIN_SCHEMA

KINDS = (
    ACCOUNT, KEY, FORMER_ACCOUNT, ROSTER_VERSION, ROSTER_ITEM, OFFLINE_MESSAGE, LAST_PRESENCE,
    DEVICE, ITEM, SHARED_GROUP, MEMBER, SESSION, HELD_MESSAGE, PLUGIN_SCHEMA, API_KEY, AUDIT_ENTRY,
    JOB, READING,
)  # fmt: skip


def do_damage(url: str, chance: Random, among: Sequence[Kind] = KINDS) -> str:
    """Damage one column of one record; tells which, or nothing if the database refused."""
    kind = chance.choice(among)
    name = chance.choice(kind.columns)
    engine = create_engine(parse_url(url))
    try:
        with engine.begin() as connection:
            raw = (type_coerce(each, NullType()).label(each.name) for each in kind.table.c)
            rows = connection.execute(select(*raw)).mappings().all()
            if not rows:
                return ""
            row = chance.choice(rows)
            key = [column == row[column.name] for column in kind.table.primary_key]
            value = type_coerce(damaged(row[name], chance), NullType())
            connection.execute(update(kind.table).where(*key).values({name: value}))
    except SQLAlchemyError:
        return ""
    finally:
        engine.dispose()
    return f"{kind.table.name}.{name}"


def damaged(value: object, chance: Random) -> object:
    """The same value, damaged."""
    data = bytearray(value if isinstance(value, bytes) else str(value).encode())
    match chance.randrange(3):
        case 0:
            del data[chance.randrange(len(data) + 1) :]
        case 1 if data:
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        case _:
            data.insert(chance.randrange(len(data) + 1), chance.randrange(256))
    if isinstance(value, bytes):
        return bytes(data)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return bytes(data)
