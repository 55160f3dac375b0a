"""Damage to a database, as a disk or a hand may do it: bytes that are cut off, flipped or added."""

from collections.abc import Sequence
from random import Random

from sqlalchemy import create_engine, select, type_coerce, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import NullType

from xmppd.store import kinds
from xmppd.store.engine import parse_url
from xmppd.store.kinds import Kind

KINDS = tuple(kind for kind in vars(kinds).values() if isinstance(kind, Kind))


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
