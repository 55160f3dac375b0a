"""Devices that may log in by a token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import starmap
from typing import Any, TypeVar

from msgspec import json
from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Double,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    select,
)

from xmppd.store.checks import check_moment, check_text, json_text, json_value
from xmppd.store.columns import ORDERED, OWNER, digest, digest_column, lock_owner, metadata, upsert
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind

MAX_SPENT_TOKENS = 4
"""The number of a device's tokens that are known after their end."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Token:
    """The record of a token that was given to a device, without its secret part (FA-1).

    Attributes:
        nonce: Random; the token is made from it and a secret that is not in the store.
        mechanism: The one it may be used with.
        issued: The time, in seconds since 1970.
        expires: The time of its end.
        count: The highest number that it was used with; 0 if it never was with any.
    """

    nonce: bytes
    mechanism: str
    issued: float
    expires: float
    count: int = 0


@dataclass(frozen=True, slots=True)
class Device:
    """A client of an account that has tokens (:xep:`0484#impl-tokens`).

    Attributes:
        id: The installation's own, from its user agent.
        software: Its name for itself.
        name: The owner's name for the device.
        first_seen: The time when it was first given a token, in seconds since 1970.
        last_seen: The time when it last logged in by one, or got one.
        current: The token that it used last, or nothing.
        new: One that it was given since and has not used, or nothing.
        spent: Those it was given that have ended, the newest first: a client that still uses one is
            told so. At most :data:`MAX_SPENT_TOKENS`.
    """

    id: str
    software: str
    name: str
    first_seen: float
    last_seen: float
    current: Token | None = None
    new: Token | None = None
    spent: tuple[Token, ...] = ()

    @property
    def tokens(self) -> tuple[Token, ...]:
        """The tokens that it may use, the newer one first."""
        return tuple(token for token in (self.new, self.current) if token is not None)

    def used(self, nonce: bytes, count: int | None, seen: float) -> "Device | None":
        """The device after it has used a token: an older one has ended (FA-3).

        Args:
            nonce: The token's.
            count: The client's count of its uses; None without one.
            seen: Now.

        Returns:
            None if this is none of its tokens, or has been counted already (FA-4).
        """
        token = next((token for token in self.tokens if token.nonce == nonce), None)
        if token is None or (token.count if count is None else count <= token.count):
            return None
        current = token if count is None else replace(token, count=count)
        if token is self.new:
            return self._spending(self.current, current=current, new=None, last_seen=seen)
        return replace(self, current=current, last_seen=seen)

    def given(self, device: "Device", token: Token) -> "Device":
        """The device with a new token, in the place of one that it has not used (FA-3).

        Args:
            device: As it describes itself now.
            token: The new one.
        """
        told = replace(
            device, first_seen=self.first_seen, current=self.current, new=token, spent=self.spent
        )
        return told._spending(self.new)

    def without_current(self) -> "Device":
        """The device after the token that it used last has ended."""
        return self._spending(self.current, current=None)

    def ended(self) -> "Device":
        """The device after all of its tokens have ended (FA-5)."""
        return self._spending(self.current, self.new, current=None, new=None)

    def _spending(self, *tokens: Token | None, **changes: Any) -> "Device":
        spent = (*(token for token in tokens if token is not None), *self.spent)
        return replace(self, spent=spent[:MAX_SPENT_TOKENS], **changes)


def with_token(known: Device | None, device: Device, token: Token) -> Device:
    """A device with a new token.

    Args:
        known: As it is in the store; None if it is not.
        device: As it describes itself now.
        token: The new one.
    """
    if known is None:
        return replace(device, current=None, new=token, spent=())
    return known.given(device, token)


def within(devices: Sequence[Device], max_devices: int) -> list[Device]:
    """The devices of an account within its limit (FA-5).

    Those that were seen longest ago lose their tokens. As many without tokens are still known, so
    that they can be told.

    Args:
        devices: All of the account's, the one that was seen last first.
        max_devices: The number that may have tokens.

    Returns:
        Those that are kept, in the same order.
    """
    kept, active, ended = [], 0, 0
    for device in devices:
        if device.tokens and active < max_devices:
            active += 1
            kept.append(device)
        elif ended < max_devices:
            ended += 1
            kept.append(device.ended())
    return kept


# The tokens are texts of JSON.
devices = Table(
    "devices",
    metadata,
    digest_column("owner"),
    digest_column("device"),
    Column("id", ORDERED, nullable=False),
    Column("software", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("current_token", Text),
    Column("new_token", Text),
    Column("spent_tokens", Text),
    sqlite_with_rowid=False,
)

_columns = (
    devices.c.id,
    devices.c.software,
    devices.c.name,
    devices.c.first_seen,
    devices.c.last_seen,
    devices.c.current_token,
    devices.c.new_token,
    devices.c.spent_tokens,
)
_this = (devices.c.owner == OWNER, devices.c.device == bindparam("device"))
_ALL: Select[str, str, str, float, float, str | None, str | None, str | None] = (
    select(*_columns)
    .where(devices.c.owner == OWNER)
    .order_by(devices.c.last_seen.desc(), devices.c.id.desc())
)
_ONE: Select[str, str, str, float, float, str | None, str | None, str | None] = select(
    *_columns
).where(*_this)
_SAVE = upsert(devices)
_FORGET: Delete = delete(devices).where(*_this)

_token_decoder = json.Decoder(Token)
_tokens_decoder = json.Decoder(tuple[Token, ...])


class DeviceStore(RecordStore):
    """The devices of accounts."""

    async def devices(self, account: str) -> list[Device]:
        """The account's devices, also those without tokens, the one that was seen last first."""
        owner = {"owner": digest(account)}

        async def read() -> list[Device]:
            return list(starmap(_device, await self._database.read(_ALL, owner)))

        return await self._sound(read, (DEVICE,), owner, account)

    async def device(self, account: str, id: str) -> Device | None:
        """A device of the account."""
        this = {"owner": digest(account), "device": digest(id)}

        async def read() -> Device | None:
            found = await self._database.read(_ONE, this)
            return _device(*found[0]) if found else None

        return await self._sound(read, (DEVICE,), this, account)

    async def add_token(
        self, account: str, device: Device, token: Token, *, max_devices: int
    ) -> None:
        """Give a device a new token, in the place of one that it has not used.

        If there are too many devices, others lose theirs, as by :func:`within`.

        Args:
            account: Bare JID.
            device: As it describes itself now; its tokens, and when it was first seen, are not
                looked at if it is known.
            token: The new one.
            max_devices: The number of an account's devices that may have tokens.
        """
        change = partial(
            _add_token, account=account, device=device, token=token, max_devices=max_devices
        )
        await self._change(account, change)

    async def use_token(
        self, account: str, id: str, nonce: bytes, count: int | None, seen: float
    ) -> bool:
        """Note that a device used a token, as by :meth:`Device.used`, once.

        Returns:
            False if that cannot be: there is no such token, or it has been counted.
        """
        change = partial(_use_token, account=account, id=id, nonce=nonce, count=count, seen=seen)
        return await self._change(account, change)

    async def end_token(self, account: str, id: str) -> None:
        """End the token that a device used last."""
        await self._change(account, partial(_end_token, account=account, id=id))

    async def end_device(self, account: str, id: str) -> bool:
        """End all tokens of a device; returns whether it had any."""
        return await self._change(account, partial(_end_device, account=account, id=id))

    async def _change(self, account: str, change: Callable[[Connection], T]) -> T:
        ask = partial(self._database.write, change)
        return await self._sound(ask, (DEVICE,), {"owner": digest(account)}, account)


def end_devices(connection: Connection, owner: bytes) -> None:
    """End the tokens of all devices of an account."""
    for device in _devices(connection, owner):
        if device.tokens:
            _save(connection, owner, device.ended())


def _add_token(
    connection: Connection, account: str, device: Device, token: Token, max_devices: int
) -> None:
    """Give a device a token, and end those of others for which there is no room."""
    owner = lock_owner(connection, account)
    known = _find(connection, owner, device.id)
    _save(connection, owner, with_token(known, device, token))
    all_devices = _devices(connection, owner)
    kept = {each.id: each for each in within(all_devices, max_devices)}
    for other in all_devices:
        if other.id not in kept:
            connection.execute(_FORGET, {"owner": owner, "device": digest(other.id)})
        elif kept[other.id] != other:
            _save(connection, owner, kept[other.id])


def _use_token(
    connection: Connection, account: str, id: str, nonce: bytes, count: int | None, seen: float
) -> bool:
    """Note that a token was used, if it may be."""
    owner = lock_owner(connection, account)
    device = _find(connection, owner, id)
    used = None if device is None else device.used(nonce, count, seen)
    if used is not None:
        _save(connection, owner, used)
    return used is not None


def _end_token(connection: Connection, account: str, id: str) -> None:
    owner = lock_owner(connection, account)
    device = _find(connection, owner, id)
    if device is not None:
        _save(connection, owner, device.without_current())


def _end_device(connection: Connection, account: str, id: str) -> bool:
    owner = lock_owner(connection, account)
    device = _find(connection, owner, id)
    if device is None or not device.tokens:
        return False
    _save(connection, owner, device.ended())
    return True


def _devices(connection: Connection, owner: bytes) -> list[Device]:
    """An account's devices, the one that was seen last first."""
    found = connection.execute(_ALL, {"owner": owner}).tuples().all()
    return [_device(*row) for row in found]


def _find(connection: Connection, owner: bytes, id: str) -> Device | None:
    this = {"owner": owner, "device": digest(id)}
    found = connection.execute(_ONE, this).tuples().first()
    return None if found is None else _device(*found)


def _save(connection: Connection, owner: bytes, device: Device) -> None:
    row = {
        "owner": owner,
        "device": digest(device.id),
        "id": device.id,
        "software": device.software,
        "name": device.name,
        "first_seen": device.first_seen,
        "last_seen": device.last_seen,
        "current_token": None if device.current is None else json_text(device.current),
        "new_token": None if device.new is None else json_text(device.new),
        "spent_tokens": json_text(device.spent) if device.spent else None,
    }
    connection.execute(_SAVE.on(connection), row)


def _device(
    id: str,
    software: str,
    name: str,
    first_seen: float,
    last_seen: float,
    current_token: str | None,
    new_token: str | None,
    spent_tokens: str | None,
) -> Device:
    return Device(
        check_text("id", id),
        check_text("software", software),
        check_text("name", name),
        check_moment("first_seen", first_seen),
        check_moment("last_seen", last_seen),
        _token("current_token", current_token),
        _token("new_token", new_token),
        () if spent_tokens is None else json_value("spent_tokens", spent_tokens, _tokens_decoder),
    )


def _token(column: str, text: str | None) -> Token | None:
    return None if text is None else json_value(column, text, _token_decoder)


DEVICE = Kind(
    "device",
    devices,
    tuple(column.name for column in _columns),
    _device,
    ("id",),
    {"software": "", "name": "", "current_token": None, "new_token": None, "spent_tokens": None},
)

__all__ = [
    "DEVICE",
    "MAX_SPENT_TOKENS",
    "Device",
    "DeviceStore",
    "Token",
    "devices",
    "end_devices",
    "with_token",
    "within",
]
