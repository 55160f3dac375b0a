"""Rows of the database as the values that callers know."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter

from msgspec import json

from xmppd.store.base import (
    Credentials,
    Device,
    RosterData,
    RosterItem,
    ScramKeys,
    SharedGroup,
    Token,
)

_decoder = json.Decoder(tuple[str, ...])
_token_decoder = json.Decoder(Token)

MAX_CACHED_NAMES = 1_000

RosterRow = tuple[int, str | None, str, str, str, bool, bytes | None, bool]
KeysRow = tuple[bool, float, str | None, bytes, int, bytes, bytes]
DeviceRow = tuple[str, str, str, float, float, str | None, str | None]
MemberRow = tuple[str, str, str, str, str | None]


def names_to_text(names: Sequence[str]) -> str:
    """Names of groups as one column holds them."""
    return json.encode(names).decode()


@lru_cache(maxsize=MAX_CACHED_NAMES)
def names_of_text(text: str) -> tuple[str, ...]:
    """Names of groups out of one column; most contacts are in the same few."""
    return _decoder.decode(text)


def credentials(account: str, rows: Sequence[KeysRow]) -> Credentials | None:
    """An account, of one row for each of its keys."""
    if not rows:
        return None
    disabled, locked_until = rows[0][:2]
    keys = {row[2]: ScramKeys(row[2], *row[3:]) for row in rows if row[2] is not None}
    return Credentials(account, keys, bool(disabled), locked_until)


def roster(rows: Sequence[RosterRow]) -> RosterData:
    """A roster, of one row for each item; a row without one if only the version is left."""
    if not rows:
        return RosterData(0, ())
    items = [
        RosterItem(
            jid, name, names_of_text(groups), subscription, bool(ask), pending, bool(approved)
        )
        for _, jid, name, groups, subscription, ask, pending, approved in rows
        if jid is not None
    ]
    items.sort(key=attrgetter("jid"))
    return RosterData(rows[0][0], tuple(items))


def token_to_text(token: Token | None) -> str | None:
    """A token as a column holds it."""
    return None if token is None else json.encode(token).decode()


def device(row: DeviceRow) -> Device:
    """A device."""
    id, software, name, first_seen, last_seen, current, new = row
    return Device(
        id, software, name, first_seen, last_seen, _token_of_text(current), _token_of_text(new)
    )


def _token_of_text(text: str | None) -> Token | None:
    return None if text is None else _token_decoder.decode(text)


def shared_groups(rows: Iterable[MemberRow]) -> list[SharedGroup]:
    """Groups, of one row for each member; a row without one if there is nobody in it."""
    return [
        SharedGroup(
            name,
            display_name,
            tuple(row[4] for row in members if row[4] is not None),
            visible_to,
            names_of_text(groups),
        )
        for (name, display_name, visible_to, groups), members in groupby(rows, lambda row: row[:4])
    ]


__all__ = ["credentials", "device", "names_to_text", "roster", "shared_groups", "token_to_text"]
