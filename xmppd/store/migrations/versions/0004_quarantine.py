"""A place for records that cannot be read; and what an earlier version wrote wrongly is mended."""

import re

import sqlalchemy as sa
from alembic import op
from msgspec import MsgspecError, msgpack

from xmppd.host.clocks import wall_clock

revision = "0004"
down_revision = "0003"

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")

# The prefix of this namespace is xml, whatever is declared: a parser takes no other.
_NAMESPACE = b"'http://www.w3.org/XML/1998/namespace'"
_TAG = re.compile(rb"<[^<>]*>")
_DECLARED = re.compile(rb" xmlns:(a[0-9]+)=" + re.escape(_NAMESPACE) + rb" \1:")
_COLUMNS = (
    ("offline_messages", "id", "stanza"),
    ("held_messages", "number", "stanza"),
    ("items", "owner, space, item", "value"),
    ("roster_items", "owner, contact", "pending_in"),
    ("sessions", "key", "data"),
)


def upgrade() -> None:
    """One table more, and mended stanzas in the others."""
    op.create_table(
        "quarantine",
        sa.Column("number", _id, autoincrement=True, nullable=False),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("fields", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_quarantine"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_quarantine_owner", "quarantine", ["owner"])
    op.create_index("uq_quarantine_digest", "quarantine", ["digest"], unique=True)
    for table, key, column in _COLUMNS:
        _mend(table, key.split(", "), column)
    _say_more_of_sessions()


def _mend(table: str, key: list[str], column: str) -> None:
    connection = op.get_bind()
    shape = sa.table(table, *(sa.column(name) for name in (*key, column)))
    content = shape.c[column]
    place = sa.func.instr if connection.dialect.name == "sqlite" else _position
    found = connection.execute(sa.select(shape).where(place(content, _NAMESPACE) > 0)).all()
    for row in found:
        *names, data = row
        mended = _mended(data)
        if mended != data:
            this = [shape.c[name] == value for name, value in zip(key, names, strict=True)]
            connection.execute(sa.update(shape).where(*this).values({column: mended}))


def _position(content: sa.ColumnElement[bytes], part: bytes) -> sa.ColumnElement[int]:
    return sa.func.position(sa.literal(part, sa.LargeBinary).op("IN")(content))


def _say_more_of_sessions() -> None:
    """A saved session says how long it sleeps, and how its unacknowledged stanzas are counted."""
    connection = op.get_bind()
    sessions = sa.table("sessions", sa.column("key"), sa.column("data"))
    now = wall_clock()
    for key, data in connection.execute(sa.select(sessions)).all():
        try:
            shell = msgpack.decode(data, type=dict[str, object])
        except (MsgspecError, ValueError, TypeError):  # set aside when it is read
            continue
        until = shell.pop("until", None)
        if isinstance(until, int | float):
            shell |= {"saved": (0.0, now, ""), "left_s": until - now, **_counted(shell)}
            changed = sa.update(sessions).where(sessions.c.key == key)
            connection.execute(changed.values(data=msgpack.encode(shell)))


def _counted(shell: dict[str, object]) -> dict[str, object]:
    match shell:
        case {"sent": int(sent), "unacknowledged": list(stanzas)}:
            first = sent - len(stanzas) + 1
            positions = [(first + number) % 2**32 for number in range(len(stanzas))]
            return {"positions": positions, "outstanding": len(stanzas)}
    return {}


def _mended(value: object) -> object:
    """The same value, in which xml: attributes have their prefix again, however deep they are."""
    match value:
        case bytes() if _NAMESPACE not in value:
            return value
        case bytes() if value.startswith(b"<"):
            return _TAG.sub(lambda tag: _DECLARED.sub(b" xml:", tag[0]), value)
        case bytes():
            try:
                return msgpack.encode(_mended(msgpack.decode(value)))
            except (MsgspecError, ValueError):  # no part of a session: it is left as it is
                return value
        case list():
            return [_mended(each) for each in value]
        case dict():
            return {name: _mended(each) for name, each in value.items()}
    return value
