"""Saved sessions: carbons are a state like others, and the addresses they saw are called so."""

from alembic import op
from msgspec import MsgspecError, convert, msgpack
from sqlalchemy import column, select, table, update

revision = "0011"
down_revision = "0010"

_SESSIONS = table("sessions", column("key"), column("data"))


def upgrade() -> None:
    """Write each session as it is saved now; one that cannot be read stays as it is."""
    connection = op.get_bind()
    for key, data in connection.execute(select(_SESSIONS.c.key, _SESSIONS.c.data)).all():
        try:
            changed = _changed(bytes(data))
        except (MsgspecError, UnicodeDecodeError, LookupError):
            continue
        connection.execute(update(_SESSIONS).where(_SESSIONS.c.key == key).values(data=changed))


def _changed(data: bytes) -> bytes:
    session = msgpack.decode(data, type=dict[str, object])
    state = convert(session["state"], dict[str, bytes])
    if session.pop("carbons", False):
        state["carbons"] = b"enabled"
    if "sight" in state:
        state["seen"] = state.pop("sight")
    return msgpack.encode({**session, "state": state})
