"""Rows of the database as the values that callers know.

A row need not be what was written: disks fail, and SQLite keeps any value in any column. What is
not as it should be raises :class:`~xmppd.store.base.Unreadable`, which names the column. A text
must be one that can stand in XML, since most of them leave the server in it.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter

from msgspec import MsgspecError, json

from xmppd.stanza import JID
from xmppd.stanza.xml import find_unwritable
from xmppd.store.base import (
    AccountInfo,
    Credentials,
    Device,
    FormerAccount,
    HeldMessage,
    LastPresence,
    OfflineMessage,
    RosterData,
    RosterItem,
    SavedSession,
    ScramKeys,
    SharedGroup,
    Shares,
    Token,
    Unreadable,
    Use,
)
from xmppd.store.schema import digest

_decoder = json.Decoder(tuple[str, ...])
_key_decoder = json.Decoder(ScramKeys)
_token_decoder = json.Decoder(Token)
_tokens_decoder = json.Decoder(tuple[Token, ...])

MAX_CACHED_NAMES = 1_000
MAX_ITERATIONS = 100_000_000
_MAX_SECONDS = 253_402_300_799
"""The last moment of the year 9999: later ones cannot be written as a date."""

_FLAGS = frozenset((0, 1))
_SUBSCRIPTIONS = frozenset(("none", "to", "from", "both"))
_VISIBLE_TO = frozenset(("members", "everybody"))
MESSAGES, ITEMS = b"messages", b"items"
"""What the database counts all messages and all items of an account under."""

RosterRow = tuple[int, str | None, str, str, str, bool, bytes | None, bool]
KeysRow = tuple[bool, float, str | None, bytes, int, bytes, bytes]
MemberRow = tuple[str, str, str, str, str | None]


def names_to_text(names: Sequence[str]) -> str:
    """Names of groups as one column holds them."""
    return json.encode(names).decode()


@lru_cache(maxsize=MAX_CACHED_NAMES)
def names_of_text(text: str) -> tuple[str, ...]:
    """Names of groups out of one column; most contacts are in the same few."""
    try:
        names = _decoder.decode(text)
    except (MsgspecError, ValueError, TypeError) as error:
        raise Unreadable(f"groups: {error}", field="groups") from error
    for name in names:
        _text("groups", name)
    return names


def credentials(account: str, rows: Sequence[KeysRow]) -> Credentials | None:
    """An account, of one row for each of its keys."""
    if not rows:
        return None
    disabled, locked_until = rows[0][:2]
    keys = {row[2]: scram_keys(row[2], *row[3:]) for row in rows if row[2] is not None}
    return Credentials(
        account, keys, _flag("disabled", disabled), _moment("locked_until", locked_until)
    )


def scram_keys(
    hash: str, salt: bytes, iterations: int, stored_key: bytes, server_key: bytes
) -> ScramKeys:
    """One key of an account."""
    return ScramKeys(
        _text("hash", hash),
        _bytes("salt", salt),
        _rounds("iterations", iterations),
        _bytes("stored_key", stored_key),
        _bytes("server_key", server_key),
    )


def account_info(
    account: str, created: float, disabled: bool, locked_until: float, last_seen: float | None
) -> AccountInfo:
    """One line of a list of accounts."""
    check_account(account, created, disabled, locked_until)
    if last_seen is not None:
        _moment("seen", last_seen)
    return AccountInfo(account, created, bool(disabled), locked_until, last_seen)


def check_account(account: str, created: float, disabled: bool, locked_until: float) -> None:
    """Whether this is an account."""
    _text("account", account)
    _moment("created", created)
    _flag("disabled", disabled)
    _moment("locked_until", locked_until)


def shares(sender: str, sender_domain: str | None) -> dict[str, bytes]:
    """What a sender's messages are counted under, as parameters of a query.

    No message is counted under the domain ``None``.
    """
    of_domain = digest("@" + (sender_domain or ""))
    return {"all": MESSAGES, "sender": digest(sender), "domain": of_domain}


def offline_use(rows: Iterable[tuple[bytes, int, int]], shares: dict[str, bytes]) -> Shares:
    """How much waits for an account, of the rows found with :func:`shares`."""
    used = {share: use(count, size) for share, count, size in rows}
    return Shares(*(used.get(shares[name], Use()) for name in ("all", "sender", "domain")))


def key_to_text(key: ScramKeys | None) -> str | None:
    """A key as one column holds it."""
    return None if key is None else json.encode(key).decode()


def former_account(until: float, key: str | None) -> FormerAccount:
    """What is kept of an account that was removed."""
    try:
        kept = None if key is None else _key_decoder.decode(key)
    except (MsgspecError, ValueError, TypeError) as error:
        raise _bad("key", str(error)) from error
    if kept is not None:
        _rounds("key", kept.iterations)
    return FormerAccount(_moment("until", until), kept)


def use(count: int, size_bytes: int) -> Use:
    """How much is kept; nothing if the count is damaged, since nobody is shut out by that."""
    if type(count) is not int or type(size_bytes) is not int:
        return Use()
    return Use(count, size_bytes)


def roster(rows: Sequence[RosterRow]) -> RosterData:
    """A roster, of one row for each item; a row without one if only the version is left."""
    if not rows:
        return RosterData(0, ())
    check_version(rows[0][0])
    items = [
        roster_item(jid, name, groups, subscription, ask, pending, approved)
        for _, jid, name, groups, subscription, ask, pending, approved in rows
        if jid is not None
    ]
    items.sort(key=attrgetter("jid"))
    return RosterData(rows[0][0], tuple(items))


def check_version(version: int) -> None:
    """Whether this is the version of a roster."""
    if _integer("version", version) < 0:
        raise _bad("version", f"is {version}")


def roster_item(
    jid: str,
    name: str,
    groups: str,
    subscription: str,
    ask: bool,
    pending_in: bytes | None,
    approved: bool,
) -> RosterItem:
    """One contact."""
    usual = (
        type(jid) is type(name) is str
        and jid.isprintable()
        and name.isprintable()
        and subscription in _SUBSCRIPTIONS
        and pending_in is None
        and ask in _FLAGS
        and approved in _FLAGS
    )
    if not usual:
        _check_roster_item(jid, name, subscription, ask, pending_in, approved)
    return RosterItem(
        jid, name, names_of_text(groups), subscription, bool(ask), pending_in, bool(approved)
    )


def _check_roster_item(
    jid: str, name: str, subscription: str, ask: bool, pending_in: bytes | None, approved: bool
) -> None:
    _text("jid", jid)
    _text("name", name)
    if subscription not in _SUBSCRIPTIONS:
        raise _bad("subscription", "is none that there is")
    _flag("ask", ask)
    if pending_in is not None:
        _bytes("pending_in", pending_in)
    _flag("approved", approved)


def offline_message(
    id: int, stanza: bytes, stored: float, session: bytes | None, position: int | None
) -> OfflineMessage:
    """A message that waits."""
    key = b"" if session is None else _bytes("session", session)
    at = 0 if position is None else _integer("position", position)
    return OfflineMessage(id, _bytes("stanza", stanza), _moment("stored", stored), key, at)


def last_presence(seen: float, status: str | None) -> LastPresence:
    """What an account left behind."""
    if status is not None:
        _text("status", status)
    return LastPresence(_moment("seen", seen), status)


def item(key: str, value: bytes) -> tuple[str, bytes]:
    """A small value, and its name."""
    return _text("key", key, in_xml=False), _bytes("value", value)


def saved_session(key: bytes, account: str, data: bytes) -> SavedSession:
    """A session that outlived the server."""
    return SavedSession(_bytes("key", key), _text("account", account), _bytes("data", data))


def held_message(
    key: bytes, position: int, account: str, stanza: bytes, came: float, number: int
) -> HeldMessage:
    """A message that was not acknowledged."""
    return HeldMessage(
        _bytes("session", key),
        _integer("position", position),
        _text("account", account),
        _bytes("stanza", stanza),
        _moment("came", came),
        number,
    )


def token_to_text(token: Token | None) -> str | None:
    """A token as a column holds it."""
    return None if token is None else json.encode(token).decode()


def tokens_to_text(tokens: Sequence[Token]) -> str | None:
    """Tokens as a column holds them."""
    return json.encode(tokens).decode() if tokens else None


def device(
    id: str,
    software: str,
    name: str,
    first_seen: float,
    last_seen: float,
    current_token: str | None,
    new_token: str | None,
    spent_tokens: str | None,
) -> Device:
    """A device."""
    return Device(
        _text("id", id),
        _text("software", software),
        _text("name", name),
        _moment("first_seen", first_seen),
        _moment("last_seen", last_seen),
        _token_of_text("current_token", current_token),
        _token_of_text("new_token", new_token),
        _tokens_of_text("spent_tokens", spent_tokens),
    )


def _token_of_text(column: str, text: str | None) -> Token | None:
    if text is None:
        return None
    try:
        return _token_decoder.decode(text)
    except (MsgspecError, ValueError, TypeError) as error:
        raise _bad(column, str(error)) from error


def _tokens_of_text(column: str, text: str | None) -> tuple[Token, ...]:
    if text is None:
        return ()
    try:
        return _tokens_decoder.decode(text)
    except (MsgspecError, ValueError, TypeError) as error:
        raise _bad(column, str(error)) from error


def shared_groups(rows: Iterable[MemberRow]) -> list[SharedGroup]:
    """Groups, of one row for each member; a row without one if there is nobody in it."""
    found: list[SharedGroup] = []
    for group, members in groupby(rows, lambda row: row[:4]):
        check_shared_group(*group)
        name, display_name, visible_to, groups = group
        accounts = [row[4] for row in members if row[4] is not None]
        for account in accounts:
            check_member(account)
        found.append(
            SharedGroup(name, display_name, tuple(accounts), visible_to, names_of_text(groups))
        )
    return found


def check_shared_group(name: str, display_name: str, visible_to: str, groups: str) -> None:
    """Whether this is a shared group."""
    _text("name", name)
    _text("display_name", display_name)
    if visible_to not in _VISIBLE_TO:
        raise _bad("visible_to", "is neither members nor everybody")
    names_of_text(groups)


def check_member(account: str, position: int = 0) -> None:
    """Whether this is a member of a shared group."""
    _integer("position", position)
    try:
        prepared = JID.parse(_text("account", account))
    except ValueError as error:
        raise _bad("account", str(error)) from error
    if prepared.bare != account:
        raise _bad("account", "is not prepared")


# -- columns


def _bad(column: str, why: str) -> Unreadable:
    return Unreadable(f"{column}: {why}", field=column)


def _text(column: str, value: str, *, in_xml: bool = True) -> str:
    if type(value) is not str:
        raise _bad(column, "is no text")
    if in_xml and not value.isprintable() and find_unwritable(value):
        raise _bad(column, "has characters that no text has")
    return value


def _bytes(column: str, value: bytes) -> bytes:
    if type(value) is not bytes:
        raise _bad(column, "is not bytes")
    return value


def _integer(column: str, value: int) -> int:
    if type(value) is not int:
        raise _bad(column, "is no whole number")
    return value


def _rounds(column: str, iterations: int) -> int:
    if not 1 <= _integer(column, iterations) <= MAX_ITERATIONS:
        raise _bad(column, f"has {iterations} iterations")
    return iterations


def _flag(column: str, value: bool) -> bool:
    if value not in _FLAGS:
        raise _bad(column, "is neither true nor false")
    return bool(value)


def _moment(column: str, value: float) -> float:
    if type(value) not in (float, int) or not 0 <= value <= _MAX_SECONDS:
        raise _bad(column, "is not within the years 1970 to 9999")
    return value


__all__ = [
    "account_info",
    "check_account",
    "check_member",
    "check_shared_group",
    "check_version",
    "credentials",
    "device",
    "former_account",
    "held_message",
    "item",
    "key_to_text",
    "last_presence",
    "names_to_text",
    "offline_message",
    "roster",
    "roster_item",
    "saved_session",
    "scram_keys",
    "shared_groups",
    "token_to_text",
    "tokens_to_text",
    "use",
]
