"""What can be changed, each as a function inside a transaction that somebody else begins and ends.

They run in threads, so they touch nothing but the connection.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import starmap
from operator import itemgetter

from sqlalchemy import Connection

from xmppd.store import queries, rows
from xmppd.store.base import (
    AccountExists,
    Device,
    HeldMessage,
    LastPresence,
    NoSuchAccount,
    QuotaExceeded,
    RosterItem,
    SavedSession,
    ScramKeys,
    SharedGroup,
    StanzaPlace,
    Token,
    Use,
    check_room,
    roster_version_step,
    with_token,
    within,
)
from xmppd.store.rows import names_to_text
from xmppd.store.schema import digest


def create_account(
    connection: Connection, account: str, keys: Sequence[ScramKeys], created: float
) -> None:
    """Add an account that owns nothing but its keys."""
    owner = _lock(connection, account)
    row = {
        "owner": owner,
        "account": account,
        "domain": digest(account.rpartition("@")[2]),
        "created": created,
        "disabled": False,
        "locked_until": 0.0,
    }
    adding = queries.ADD_ACCOUNT[connection.dialect.name]
    if connection.execute(adding, row).first() is None:
        raise AccountExists(account)
    _forget_belongings(connection, owner)
    connection.execute(queries.FORGET_FORMER_ACCOUNT, {"owner": owner})
    _add_keys(connection, owner, keys)


def set_keys(connection: Connection, account: str, keys: Sequence[ScramKeys]) -> None:
    """Replace all keys."""
    owner = _lock(connection, account)
    if connection.execute(queries.ACCOUNT_EXISTS, {"owner": owner}).first() is None:
        raise NoSuchAccount(account)
    connection.execute(queries.FORGET_KEYS, {"owner": owner})
    _end_devices(connection, owner)
    _add_keys(connection, owner, keys)


def add_key(
    connection: Connection, account: str, key: ScramKeys, known: Mapping[str, ScramKeys]
) -> bool:
    """Add a key to those that are known, if these are still all there are."""
    owner = _lock(connection, account)
    found = connection.execute(queries.CREDENTIALS, {"owner": owner}).tuples().all()
    credentials = rows.credentials(account, found)
    if credentials is None or credentials.keys != known:
        return False
    connection.execute(queries.SAVE_KEY[connection.dialect.name], _key_row(owner, key))
    return True


def delete_account(connection: Connection, account: str) -> None:
    """Remove an account and whatever bears its name."""
    owner = _lock(connection, account)
    if not connection.execute(queries.FORGET_ACCOUNT, {"owner": owner}).rowcount:
        raise NoSuchAccount(account)
    _forget_belongings(connection, owner)


def reserve_name(connection: Connection, account: str, until: float, now: float) -> None:
    """Keep a name and one of its keys, and forget reservations that are over."""
    owner = _lock(connection, account)
    found = connection.execute(queries.CREDENTIALS, {"owner": owner}).tuples().all()
    credentials = rows.credentials(account, found)
    key = None if credentials is None else next(iter(credentials.keys.values()), None)
    connection.execute(queries.FORGET_FORMER_ACCOUNTS, {"now": now})
    row = {"owner": owner, "until": until, "key": rows.key_to_text(key)}
    connection.execute(queries.SAVE_FORMER_ACCOUNT[connection.dialect.name], row)


def set_disabled(connection: Connection, account: str, disabled: bool) -> None:
    """Close an account, or open it."""
    owner = _lock(connection, account)
    values = {"whose": owner, "disabled": disabled}
    if not connection.execute(queries.SET_DISABLED, values).rowcount:
        raise NoSuchAccount(account)
    if disabled:
        _end_devices(connection, owner)


def set_locked(connection: Connection, account: str, until: float) -> None:
    """Lock an account until then."""
    values = {"whose": digest(account), "locked_until": until}
    if not connection.execute(queries.SET_LOCKED, values).rowcount:
        raise NoSuchAccount(account)


def save_roster_items(connection: Connection, account: str, items: Sequence[RosterItem]) -> int:
    """Add or replace contacts; tells the new version."""
    owner = _lock(connection, account)
    if not items:
        return _roster_version(connection, owner)
    saving = [
        {
            "owner": owner,
            "contact": digest(item.jid),
            "jid": item.jid,
            "name": item.name,
            "groups": names_to_text(item.groups),
            "subscription": item.subscription,
            "ask": item.ask,
            "pending_in": item.pending_in,
            "approved": item.approved,
        }
        for item in items
    ]
    connection.execute(queries.SAVE_ROSTER_ITEM[connection.dialect.name], saving)
    return next_roster_version(connection, owner)


def raise_roster_version(connection: Connection, account: str) -> int:
    """Give a roster a new version; tells it."""
    return next_roster_version(connection, _lock(connection, account))


def delete_roster_item(connection: Connection, account: str, jid: str) -> int:
    """Remove a contact; tells the version."""
    owner = _lock(connection, account)
    forgotten = {"owner": owner, "contact": digest(jid)}
    if not connection.execute(queries.FORGET_ROSTER_ITEM, forgotten).rowcount:
        return _roster_version(connection, owner)
    return next_roster_version(connection, owner)


def save_shared_group(connection: Connection, group: SharedGroup) -> None:
    """Add or replace a group and all its members."""
    key = _lock(connection, group.name)
    row = {
        "id": key,
        "name": group.name,
        "display_name": group.display_name,
        "visible_to": group.visible_to,
        "groups": names_to_text(group.groups),
    }
    connection.execute(queries.SAVE_SHARED_GROUP[connection.dialect.name], row)
    connection.execute(queries.FORGET_MEMBERS, {"group": key})
    members = [
        {"shared_group": key, "owner": digest(account), "account": account, "position": position}
        for position, account in enumerate(dict.fromkeys(group.members))
    ]
    if members:
        connection.execute(queries.ADD_MEMBERS, members)


def delete_shared_group(connection: Connection, name: str) -> None:
    """Remove a group."""
    key = _lock(connection, name)
    connection.execute(queries.FORGET_MEMBERS, {"group": key})
    connection.execute(queries.FORGET_SHARED_GROUP, {"group": key})


def store_offline(
    connection: Connection,
    account: str,
    stanza: bytes,
    sender: str,
    sender_domain: str | None,
    stored: float,
    max_messages: int,
    max_bytes: int,
    place: StanzaPlace | None = None,
) -> int:
    """Keep a message if there is room; tells its id."""
    owner = _lock(connection, account)
    shares = rows.shares(sender, sender_domain)
    found = connection.execute(queries.OFFLINE_USE, {"owner": owner, **shares}).tuples()
    used = rows.offline_use(found, shares)
    check_room(used, len(stanza), max_messages=max_messages, max_bytes=max_bytes)
    row = {
        "owner": owner,
        "stored": stored,
        "size": len(stanza),
        "stanza": stanza,
        "sender": shares["sender"],
        "sender_domain": None if sender_domain is None else shares["domain"],
        "session": None if place is None else place.key,
        "position": None if place is None else place.position,
    }
    if place is not None and place.held:
        connection.execute(queries.FORGET_HELD, {"held": place.number})
    message: int = connection.execute(queries.ADD_OFFLINE, row).scalar_one()
    return message


def delete_offline(connection: Connection, account: str, ids: Sequence[int]) -> None:
    """Forget messages."""
    owner = digest(account)
    if ids:
        gone = [{"owner": owner, "message": message} for message in ids]
        connection.execute(queries.FORGET_OFFLINE, gone)


def save_last_presences(connection: Connection, last: Mapping[str, LastPresence]) -> None:
    """Note when these were last here, in an order that lets two nodes do so at once."""
    by_owner = {digest(account): left for account, left in last.items()}
    rows = [
        {"owner": owner, "seen": left.seen, "status": left.status}
        for owner, left in sorted(by_owner.items(), key=itemgetter(0))
    ]
    connection.execute(queries.SAVE_LAST_PRESENCE[connection.dialect.name], rows)


def add_token(
    connection: Connection, account: str, device: Device, token: Token, max_devices: int
) -> None:
    """Give a device a token, and end those of others for which there is no room."""
    owner = _lock(connection, account)
    known = _device(connection, owner, device.id)
    _save_device(connection, owner, with_token(known, device, token))
    devices = _devices(connection, owner)
    kept = {each.id: each for each in within(devices, max_devices)}
    for other in devices:
        if other.id not in kept:
            gone = {"owner": owner, "device": digest(other.id)}
            connection.execute(queries.FORGET_DEVICE, gone)
        elif kept[other.id] != other:
            _save_device(connection, owner, kept[other.id])


def use_token(
    connection: Connection, account: str, id: str, nonce: bytes, count: int | None, seen: float
) -> bool:
    """Note that a token was used, if it may be."""
    owner = _lock(connection, account)
    device = _device(connection, owner, id)
    used = None if device is None else device.used(nonce, count, seen)
    if used is not None:
        _save_device(connection, owner, used)
    return used is not None


def end_token(connection: Connection, account: str, id: str) -> None:
    """End the token that a device used last."""
    owner = _lock(connection, account)
    device = _device(connection, owner, id)
    if device is not None:
        _save_device(connection, owner, device.without_current())


def end_device(connection: Connection, account: str, id: str) -> bool:
    """End a device's tokens; whether it had any."""
    owner = _lock(connection, account)
    device = _device(connection, owner, id)
    if device is None or not device.tokens:
        return False
    _save_device(connection, owner, device.ended())
    return True


def _end_devices(connection: Connection, owner: bytes) -> None:
    for device in _devices(connection, owner):
        if device.tokens:
            _save_device(connection, owner, device.ended())


def _devices(connection: Connection, owner: bytes) -> list[Device]:
    """An account's devices, the one that was seen last first."""
    found = connection.execute(queries.DEVICES, {"owner": owner}).tuples().all()
    return [rows.device(*row) for row in found]


def _device(connection: Connection, owner: bytes, id: str) -> Device | None:
    this = {"owner": owner, "device": digest(id)}
    found = connection.execute(queries.DEVICE, this).tuples().first()
    return None if found is None else rows.device(*found)


def _save_device(connection: Connection, owner: bytes, device: Device) -> None:
    row = {
        "owner": owner,
        "device": digest(device.id),
        "id": device.id,
        "software": device.software,
        "name": device.name,
        "first_seen": device.first_seen,
        "last_seen": device.last_seen,
        "current_token": rows.token_to_text(device.current),
        "new_token": rows.token_to_text(device.new),
        "spent_tokens": rows.tokens_to_text(device.spent),
    }
    connection.execute(queries.SAVE_DEVICE[connection.dialect.name], row)


def set_item(
    connection: Connection,
    account: str,
    namespace: str,
    key: str,
    value: bytes,
    max_items: int,
    max_bytes: int,
) -> None:
    """Keep a value if there is room."""
    name = {"owner": _lock(connection, account), "space": digest(namespace), "item": digest(key)}
    size = len(key.encode()) + len(value)
    whose = {"owner": name["owner"], "all": rows.ITEMS}
    found = connection.execute(queries.ITEMS_USE, whose).tuples().first() or (0, 0)
    before = connection.execute(queries.ITEM_SIZE, name).tuples().first()
    used, old = rows.use(*found), Use() if before is None else rows.use(1, *before)
    if used.count - old.count >= max_items or used.bytes - old.bytes + size > max_bytes:
        raise QuotaExceeded(account)
    row = {**name, "namespace": namespace, "key": key, "size": size, "value": value}
    connection.execute(queries.SAVE_ITEM[connection.dialect.name], row)


def delete_item(connection: Connection, account: str, namespace: str, key: str) -> None:
    """Forget a value."""
    name = {"owner": digest(account), "space": digest(namespace), "item": digest(key)}
    connection.execute(queries.FORGET_ITEM, name)


def save_sessions(
    connection: Connection, sessions: Sequence[SavedSession], theirs: Mapping[str, Sequence[int]]
) -> None:
    """Keep these and no others; nothing is held any more."""
    connection.execute(queries.FORGET_ALL_SESSIONS)
    connection.execute(queries.FORGET_ALL_HELD)
    for account, ids in theirs.items():
        delete_offline(connection, account, ids)
    saving = [
        {
            "key": session.key,
            "owner": digest(session.account),
            "account": session.account,
            "data": session.data,
        }
        for session in sessions
    ]
    if saving:
        connection.execute(queries.ADD_SESSIONS, saving)


def take_up_sessions(
    connection: Connection, held: Sequence[HeldMessage], lost: Sequence[HeldMessage]
) -> list[int]:
    """Hold what sessions have, and forget that they were saved; tells the numbers of it."""
    numbers = hold_messages(connection, held, ())
    for message in lost:
        _add_offline(connection, message)
    connection.execute(queries.FORGET_ALL_SESSIONS)
    return numbers


def place_messages(connection: Connection, places: Sequence[StanzaPlace]) -> None:
    """Note where messages stand."""
    for held, placing in ((True, queries.PLACE_HELD), (False, queries.PLACE_OFFLINE)):
        at = [
            {"message": place.number, "key": place.key, "at": place.position}
            for place in places
            if place.held is held
        ]
        if at:
            connection.execute(placing, at)


def hold_messages(
    connection: Connection, messages: Sequence[HeldMessage], arrived: Sequence[int]
) -> list[int]:
    """Keep some messages, forget others; tells the numbers of those that are kept."""
    if arrived:
        connection.execute(queries.FORGET_HELD, [{"held": number} for number in arrived])
    numbers: list[int] = []
    for message in messages:
        row = {
            "owner": digest(message.account),
            "account": message.account,
            "session": message.key,
            "position": message.position,
            "came": message.came,
            "stanza": message.stanza,
        }
        numbers.append(connection.execute(queries.HOLD_MESSAGE, row).scalar_one())
    return numbers


def recover_messages(connection: Connection) -> list[HeldMessage]:
    """Make offline messages of all that are held; tells them with their new ids."""
    held = starmap(rows.held_message, connection.execute(queries.HELD_MESSAGES).tuples().all())
    recovered = [_add_offline(connection, message) for message in held]
    if recovered:
        connection.execute(queries.FORGET_ALL_HELD)
    return recovered


def _add_offline(connection: Connection, message: HeldMessage) -> HeldMessage:
    """Make an offline message of one that was held, whatever the account's quota."""
    row = {
        "owner": digest(message.account),
        "stored": message.came,
        "size": len(message.stanza),
        "stanza": message.stanza,
        "session": message.key,
        "position": message.position,
    }
    number: int = connection.execute(queries.ADD_OFFLINE, row).scalar_one()
    return replace(message, number=number)


def forget_quarantined(connection: Connection, numbers: Sequence[int]) -> int:
    """Delete what was set aside; tells how many there were."""
    return sum(
        connection.execute(queries.FORGET_QUARANTINED, {"entry": number}).rowcount
        for number in numbers
    )


def next_roster_version(connection: Connection, owner: bytes) -> int:
    """Raise the version of a roster; tells it."""
    raising = queries.NEXT_ROSTER_VERSION[connection.dialect.name]
    values = {"owner": owner, "step": roster_version_step()}
    version: int = connection.execute(raising, values).scalar_one()
    return version


def _lock(connection: Connection, name: str) -> bytes:
    """Be alone with a name until the transaction ends: on SQLite whoever writes is.

    Returns:
        The digest of the name.
    """
    owner = digest(name)
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(owner[:8], signed=True)
        connection.execute(queries.LOCK_OWNER, {"number": number})
    return owner


def _add_keys(connection: Connection, owner: bytes, keys: Iterable[ScramKeys]) -> None:
    adding = [_key_row(owner, key) for key in keys]
    if adding:
        connection.execute(queries.ADD_KEYS, adding)


def _key_row(owner: bytes, key: ScramKeys) -> dict[str, bytes | str | int]:
    return {
        "owner": owner,
        "hash": key.hash,
        "salt": key.salt,
        "iterations": key.iterations,
        "stored_key": key.stored_key,
        "server_key": key.server_key,
    }


def _forget_belongings(connection: Connection, owner: bytes) -> None:
    for forgetting in queries.FORGET_BELONGINGS:
        connection.execute(forgetting, {"owner": owner})


def _roster_version(connection: Connection, owner: bytes) -> int:
    return connection.execute(queries.ROSTER_VERSION, {"owner": owner}).scalar() or 0
