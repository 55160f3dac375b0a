"""Every statement, built once: building one costs more than running it.

The annotation of a query is its row. What adds or replaces is written twice, by dialect, since
SQL's own MERGE is not on SQLite.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, repeat

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Delete,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from xmppd.store.schema import (
    accounts,
    devices,
    former_accounts,
    held_messages,
    items,
    last_presences,
    offline_messages,
    quarantine,
    roster_items,
    roster_versions,
    scram_keys,
    sessions,
    shared_group_members,
    shared_groups,
    usage,
)

ByDialect = dict[str, Insert]

MAX_NAMES_PER_QUERY = 500
_QUERY_SIZES = (1, 8, 32, 128, MAX_NAMES_PER_QUERY)

_owner: BindParameter[bytes] = bindparam("owner")
_step: BindParameter[int] = bindparam("step")


def _add_or_replace(table: Table) -> ByDialect:
    """An INSERT that takes the place of the row with the same primary key."""
    by_dialect: ByDialect = {}
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql)):
        adding = dialect.insert(table)
        kept = {column.name for column in table.primary_key}
        values = {column.name: column for column in adding.excluded if column.name not in kept}
        by_dialect[name] = adding.on_conflict_do_update(
            index_elements=list(table.primary_key), set_=values
        )
    return by_dialect


def _add_if_absent(table: Table) -> ByDialect:
    """An INSERT that returns a row only if there was none of this primary key."""
    key = list(table.primary_key)
    return {
        "sqlite": sqlite.insert(table).on_conflict_do_nothing(index_elements=key).returning(*key),
        "postgresql": postgresql.insert(table)
        .on_conflict_do_nothing(index_elements=key)
        .returning(*key),
    }


def _next_roster_version() -> ByDialect:
    by_dialect: ByDialect = {}
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql)):
        first = dialect.insert(roster_versions).values(owner=_owner, version=_step)
        by_dialect[name] = first.on_conflict_do_update(
            index_elements=[roster_versions.c.owner],
            set_={"version": roster_versions.c.version + _step},
        ).returning(roster_versions.c.version)
    return by_dialect


# -- accounts

CREDENTIALS: Select[bool, float, str | None, bytes, int, bytes, bytes] = (
    select(
        accounts.c.disabled,
        accounts.c.locked_until,
        scram_keys.c.hash,
        scram_keys.c.salt,
        scram_keys.c.iterations,
        scram_keys.c.stored_key,
        scram_keys.c.server_key,
    )
    .select_from(accounts.outerjoin(scram_keys, scram_keys.c.owner == accounts.c.owner))
    .where(accounts.c.owner == _owner)
)

ACCOUNTS: Select[str, float, bool, float, float | None] = (
    select(
        accounts.c.account,
        accounts.c.created,
        accounts.c.disabled,
        accounts.c.locked_until,
        last_presences.c.seen,
    )
    .select_from(accounts.outerjoin(last_presences, last_presences.c.owner == accounts.c.owner))
    .where(accounts.c.domain == bindparam("domain"), accounts.c.account > bindparam("after"))
    .order_by(accounts.c.account)
    .limit(bindparam("limit"))
)

COUNT_ACCOUNTS: Select[int] = select(func.count()).where(accounts.c.domain == bindparam("domain"))

ADD_ACCOUNT = _add_if_absent(accounts)
FORGET_ACCOUNT: Delete = delete(accounts).where(accounts.c.owner == _owner)
ACCOUNT_EXISTS: Select[bytes] = select(accounts.c.owner).where(accounts.c.owner == _owner)
SET_DISABLED: Update = (
    update(accounts)
    .where(accounts.c.owner == bindparam("whose"))
    .values(disabled=bindparam("disabled"))
)
SET_LOCKED: Update = (
    update(accounts)
    .where(accounts.c.owner == bindparam("whose"))
    .values(locked_until=bindparam("locked_until"))
)
ADD_KEYS: Insert = insert(scram_keys)
FORGET_KEYS: Delete = delete(scram_keys).where(scram_keys.c.owner == _owner)
SAVE_KEY = _add_or_replace(scram_keys)

FORMER_ACCOUNT: Select[float, str | None] = select(
    former_accounts.c.until, former_accounts.c.key
).where(former_accounts.c.owner == _owner)
SAVE_FORMER_ACCOUNT = _add_or_replace(former_accounts)
FORGET_FORMER_ACCOUNT: Delete = delete(former_accounts).where(former_accounts.c.owner == _owner)
FORGET_FORMER_ACCOUNTS: Delete = delete(former_accounts).where(
    former_accounts.c.until <= bindparam("now")
)

FORGET_BELONGINGS: tuple[Delete, ...] = tuple(
    delete(table).where(table.c.owner == _owner)
    for table in (
        scram_keys,
        roster_items,
        roster_versions,
        offline_messages,
        last_presences,
        devices,
        items,
        shared_group_members,
        sessions,
        held_messages,
        quarantine,
    )
)

# Held until the end of the transaction: what counts and then writes must be alone with an account.
LOCK_OWNER: Select[None] = select(func.pg_advisory_xact_lock(bindparam("number", type_=BigInteger)))

# -- rosters

# One query, so that the version is the one of these items.
ROSTER: Select[int, str | None, str, str, str, bool, bytes | None, bool] = (
    select(
        roster_versions.c.version,
        roster_items.c.jid,
        roster_items.c.name,
        roster_items.c.groups,
        roster_items.c.subscription,
        roster_items.c.ask,
        roster_items.c.pending_in,
        roster_items.c.approved,
    )
    .select_from(
        roster_versions.outerjoin(roster_items, roster_items.c.owner == roster_versions.c.owner)
    )
    .where(roster_versions.c.owner == _owner)
)

ROSTER_VERSION: Select[int] = select(roster_versions.c.version).where(
    roster_versions.c.owner == _owner
)
NEXT_ROSTER_VERSION = _next_roster_version()
SAVE_ROSTER_ITEM = _add_or_replace(roster_items)
FORGET_ROSTER_ITEM: Delete = delete(roster_items).where(
    roster_items.c.owner == _owner, roster_items.c.contact == bindparam("contact")
)

SHARED_GROUPS: Select[str, str, str, str, str | None] = (
    select(
        shared_groups.c.name,
        shared_groups.c.display_name,
        shared_groups.c.visible_to,
        shared_groups.c.groups,
        shared_group_members.c.account,
    )
    .select_from(
        shared_groups.outerjoin(
            shared_group_members, shared_group_members.c.shared_group == shared_groups.c.id
        )
    )
    .order_by(shared_groups.c.name, shared_group_members.c.position)
)
SAVE_SHARED_GROUP = _add_or_replace(shared_groups)
FORGET_SHARED_GROUP: Delete = delete(shared_groups).where(shared_groups.c.id == bindparam("group"))
ADD_MEMBERS: Insert = insert(shared_group_members)
FORGET_MEMBERS: Delete = delete(shared_group_members).where(
    shared_group_members.c.shared_group == bindparam("group")
)

# -- messages

OFFLINE_MESSAGES: Select[int, bytes, float, bytes | None, int | None] = (
    select(
        offline_messages.c.id,
        offline_messages.c.stanza,
        offline_messages.c.stored,
        offline_messages.c.session,
        offline_messages.c.position,
    )
    .where(offline_messages.c.owner == _owner, offline_messages.c.id > bindparam("after"))
    .order_by(offline_messages.c.id)
    .limit(bindparam("limit"))
)
OFFLINE_USE: Select[bytes, int, int] = select(usage.c.share, usage.c.count, usage.c.bytes).where(
    usage.c.owner == _owner,
    usage.c.share.in_((bindparam("all"), bindparam("sender"), bindparam("domain"))),
)
ADD_OFFLINE: Insert = insert(offline_messages).returning(offline_messages.c.id)
FORGET_OFFLINE: Delete = delete(offline_messages).where(
    offline_messages.c.owner == _owner, offline_messages.c.id == bindparam("message")
)

# -- last presences

SAVE_LAST_PRESENCE = _add_or_replace(last_presences)


def owner_parameters(owners: Sequence[bytes]) -> dict[str, bytes]:
    """Parameters of :func:`last_presences_of`: the last one again and again, up to its size."""
    size = next(size for size in _QUERY_SIZES if size >= len(owners))
    padding = repeat(owners[-1], size - len(owners))
    return dict(zip(_owner_names(size), chain(owners, padding), strict=True))


@lru_cache(maxsize=len(_QUERY_SIZES))
def last_presences_of(size: int) -> Select[bytes, float, str | None]:
    """Query for this many names at once."""
    names: list[BindParameter[bytes]] = [bindparam(name) for name in _owner_names(size)]
    return select(last_presences.c.owner, last_presences.c.seen, last_presences.c.status).where(
        last_presences.c.owner.in_(names)
    )


@lru_cache(maxsize=len(_QUERY_SIZES))
def _owner_names(size: int) -> tuple[str, ...]:
    return tuple(f"owner_{number}" for number in range(size))


# -- devices

_device = (
    devices.c.id,
    devices.c.software,
    devices.c.name,
    devices.c.first_seen,
    devices.c.last_seen,
    devices.c.current_token,
    devices.c.new_token,
    devices.c.spent_tokens,
)
_this_device = (devices.c.owner == _owner, devices.c.device == bindparam("device"))
DEVICES: Select[str, str, str, float, float, str | None, str | None, str | None] = (
    select(*_device)
    .where(devices.c.owner == _owner)
    .order_by(devices.c.last_seen.desc(), devices.c.id.desc())
)
DEVICE: Select[str, str, str, float, float, str | None, str | None, str | None] = select(
    *_device
).where(*_this_device)
SAVE_DEVICE = _add_or_replace(devices)
FORGET_DEVICE: Delete = delete(devices).where(*_this_device)

# -- items

_this_item = (
    items.c.owner == _owner,
    items.c.space == bindparam("space"),
    items.c.item == bindparam("item"),
)
ITEM: Select[bytes] = select(items.c.value).where(*_this_item)
ITEMS: Select[str, bytes] = select(items.c.key, items.c.value).where(
    items.c.owner == _owner, items.c.space == bindparam("space")
)
ITEMS_USE: Select[int, int] = select(usage.c.count, usage.c.bytes).where(
    usage.c.owner == _owner, usage.c.share == bindparam("all")
)
ITEM_SIZE: Select[int] = select(items.c.size).where(*_this_item)
SAVE_ITEM = _add_or_replace(items)
FORGET_ITEM: Delete = delete(items).where(*_this_item)

# -- sessions

SESSIONS: Select[bytes, str, bytes] = select(sessions.c.key, sessions.c.account, sessions.c.data)
ADD_SESSIONS: Insert = insert(sessions)
FORGET_ALL_SESSIONS: Delete = delete(sessions)

HELD_MESSAGES: Select[bytes, int, str, bytes, float, int] = select(
    held_messages.c.session,
    held_messages.c.position,
    held_messages.c.account,
    held_messages.c.stanza,
    held_messages.c.came,
    held_messages.c.number,
).order_by(held_messages.c.number)
HOLD_MESSAGE: Insert = insert(held_messages).returning(held_messages.c.number)
FORGET_HELD: Delete = delete(held_messages).where(held_messages.c.number == bindparam("held"))
PLACE_HELD: Update = (
    update(held_messages)
    .where(held_messages.c.number == bindparam("message"))
    .values(session=bindparam("key"), position=bindparam("at"))
)
PLACE_OFFLINE: Update = (
    update(offline_messages)
    .where(offline_messages.c.id == bindparam("message"))
    .values(session=bindparam("key"), position=bindparam("at"))
)
FORGET_ALL_HELD: Delete = delete(held_messages)

# -- quarantine

_entry = (
    quarantine.c.number,
    quarantine.c.kind,
    quarantine.c.account,
    quarantine.c.name,
    quarantine.c.reason,
    quarantine.c.since,
    quarantine.c.size,
)
QUARANTINED: Select[int, str, str, str, str, float, int] = (
    select(*_entry)
    .where(quarantine.c.number > bindparam("after"))
    .order_by(quarantine.c.number)
    .limit(bindparam("limit"))
)
QUARANTINED_OF: Select[int, str, str, str, str, float, int] = QUARANTINED.where(
    quarantine.c.owner == _owner
)
QUARANTINED_FIELDS: Select[bytes] = select(quarantine.c.fields).where(
    quarantine.c.number == bindparam("number")
)
QUARANTINE_USE: Select[int, int] = select(
    func.count(), func.coalesce(func.sum(quarantine.c.size), 0)
).select_from(quarantine)
QUARANTINED_SIZES: Select[int, int] = select(quarantine.c.number, quarantine.c.size).order_by(
    quarantine.c.number
)
SET_ASIDE: ByDialect = {
    name: dialect.insert(quarantine)
    .on_conflict_do_nothing(index_elements=[quarantine.c.digest])
    .returning(quarantine.c.number)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
FORGET_QUARANTINED: Delete = delete(quarantine).where(quarantine.c.number == bindparam("entry"))
