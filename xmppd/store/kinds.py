"""The kinds of records, by table: how each is known to be sound, and what it can do without."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Table

from xmppd.store import rows, schema
from xmppd.store.base import Fragment, Item, OfflineMessage, Record, RosterItem, SavedSession
from xmppd.store.schema import digest

UNKNOWN_VERSION = 2**62
"""Of a roster whose version cannot be read: higher than any that a step has led to."""

NO_GROUPS = rows.names_to_text(())


@dataclass(frozen=True, eq=False)
class Kind:
    """Records that are the rows of one table.

    Attributes:
        name: What an administrator calls one of them.
        table: Where they are.
        columns: What ``check`` gets.
        check: Raises :class:`~xmppd.store.base.Unreadable` if a row is not sound.
        named_by: The columns that say which one it is.
        instead: What stands in a column that cannot be read, where a record can do without it.
    """

    name: str
    table: Table
    columns: tuple[str, ...]
    check: Callable[..., object]
    named_by: tuple[str, ...] = ()
    instead: Mapping[str, object] = field(default_factory=dict)


ACCOUNT = Kind(
    "account",
    schema.accounts,
    ("account", "created", "disabled", "locked_until"),
    rows.check_account,
    # Whether it was closed is not known: then it is, until an administrator opens it.
    instead={"account": "", "created": 0.0, "disabled": True, "locked_until": 0.0},
)
KEY = Kind(
    "password key",
    schema.scram_keys,
    ("hash", "salt", "iterations", "stored_key", "server_key"),
    rows.scram_keys,
    ("hash",),
)
FORMER_ACCOUNT = Kind(
    "former account",
    schema.former_accounts,
    ("until", "key"),
    rows.former_account,
    instead={"key": None},
)
ROSTER_VERSION = Kind(
    "roster version",
    schema.roster_versions,
    ("version",),
    rows.check_version,
    instead={"version": UNKNOWN_VERSION},
)
ROSTER_ITEM = Kind(
    "contact",
    schema.roster_items,
    ("jid", "name", "groups", "subscription", "ask", "pending_in", "approved"),
    rows.roster_item,
    ("jid",),
    {"name": "", "groups": NO_GROUPS, "ask": False, "pending_in": None, "approved": False},
)
OFFLINE_MESSAGE = Kind(
    "offline message",
    schema.offline_messages,
    ("id", "stanza", "stored", "session", "position"),
    rows.offline_message,
    ("id",),
    {"stored": 0.0, "session": None, "position": None},
)
LAST_PRESENCE = Kind(
    "last presence",
    schema.last_presences,
    ("seen", "status"),
    rows.last_presence,
    instead={"status": None},
)
DEVICE = Kind(
    "device",
    schema.devices,
    (
        "id",
        "software",
        "name",
        "first_seen",
        "last_seen",
        "current_token",
        "new_token",
        "spent_tokens",
    ),
    rows.device,
    ("id",),
    {"software": "", "name": "", "current_token": None, "new_token": None, "spent_tokens": None},
)
ITEM = Kind("item", schema.items, ("key", "value"), rows.item, ("namespace", "key"))
SHARED_GROUP = Kind(
    "shared group",
    schema.shared_groups,
    ("name", "display_name", "visible_to", "groups"),
    rows.check_shared_group,
    ("name",),
    {"display_name": "", "visible_to": "members", "groups": NO_GROUPS},
)
MEMBER = Kind(
    "member of a shared group",
    schema.shared_group_members,
    ("account", "position"),
    rows.check_member,
)
SESSION = Kind(
    "saved session",
    schema.sessions,
    ("key", "account", "data"),
    rows.saved_session,
    ("key",),
)
HELD_MESSAGE = Kind(
    "held message",
    schema.held_messages,
    ("session", "position", "account", "stanza", "came", "number"),
    rows.held_message,
    ("number",),
    {"session": b"", "position": 0, "came": 0.0},
)


def place(account: str, record: Record) -> tuple[Kind, dict[str, object], dict[str, object]] | None:
    """Where a record is kept: its kind, what it is found by, and the content by which it is itself.

    Returns:
        None if it is a part of something else, with no place of its own.
    """
    match record:
        case OfflineMessage():
            return OFFLINE_MESSAGE, {"id": record.id}, {"stanza": record.stanza}
        case RosterItem():
            # By what the columns say: if that is damaged their digests are those of other names.
            contact = {"owner": digest(account), "jid": record.jid}
            return ROSTER_ITEM, {**contact}, {"pending_in": record.pending_in}
        case Item(namespace=namespace, key=key):
            item = {"owner": digest(account), "space": digest(namespace), "key": key}
            return ITEM, {**item}, {"value": record.value}
        case SavedSession():
            return SESSION, {"key": record.key}, {"data": record.data}
        case Fragment():
            return None


__all__ = ["Kind", "place"]
