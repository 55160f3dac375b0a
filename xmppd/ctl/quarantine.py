"""Commands on records that could not be read and were set aside (QT-1)."""

from collections.abc import AsyncGenerator, AsyncIterator

from xmppd.ctl.command import Argument, Arguments, Command, CommandContext
from xmppd.ctl.protocol import Refused, Reply, Row
from xmppd.stanza.date_time import date_time
from xmppd.store.base import Quarantined, Store

PAGE = 1_000
MAX_SHOWN_CHARACTERS = 100_000
"""Of one field."""

_SECRET = frozenset(("salt", "stored_key", "server_key"))
_ALL = "all"
_NUMBER = Argument("number", "as db quarantine list has it")


async def _list(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    async for entry in _entries(context.server.store, arguments.text("account")):
        yield _row(entry)


async def _show(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    number = _number(arguments.text("number"))
    store = context.server.store
    entries = await store.quarantined(after=number - 1, limit=1)
    found = await store.quarantined_fields(number)
    if found is None or not entries:
        raise Refused(f"nothing with the number {number} is set aside")
    for name, about in _row(entries[0]).items():
        yield {"field": name, "value": about}
    for name, value in found.items():
        yield {"field": f"record.{name}", "value": _shown(name, value)}


async def _delete(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    wanted, store = arguments.text("number"), context.server.store
    if wanted == _ALL:
        numbers = [entry.number async for entry in _entries(store)]
    else:
        numbers = [_number(wanted)]
    deleted = await store.forget_quarantined(numbers)
    if not deleted and wanted != _ALL:
        raise Refused(f"nothing with the number {wanted} is set aside")
    yield f"records that were deleted: {deleted}"


async def _entries(store: Store, account: str = "") -> AsyncIterator[Quarantined]:
    after = 0
    while page := await store.quarantined(account=account, after=after, limit=PAGE):
        for entry in page:
            yield entry
        after = page[-1].number


def _row(entry: Quarantined) -> Row:
    return {
        "number": entry.number,
        "kind": entry.kind,
        "account": entry.account,
        "name": entry.name,
        "since": date_time(entry.since),
        "bytes": entry.size_bytes,
        "reason": entry.reason,
    }


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refused(f'"{text}" is no number')
    return int(text)


def _shown(name: str, value: object) -> str:
    """A field for people: bytes as text, or in hexadecimal; keys of passwords are not shown."""
    if not isinstance(value, bytes):
        text = str(value)
    elif name in _SECRET:
        text = f"({len(value)} bytes)"
    else:
        text = value.decode(errors="backslashreplace") if value[:1] == b"<" else _text(value)
    if len(text) > MAX_SHOWN_CHARACTERS:
        return f"{text[:MAX_SHOWN_CHARACTERS]}… ({len(text)} characters)"
    return text


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


COMMANDS = (
    Command(
        "db quarantine list",
        "list records that could not be read",
        _list,
        (Argument("--account", "only those of this account"),),
    ),
    Command("db quarantine show", "show one of them as it was stored", _show, (_NUMBER,)),
    Command(
        "db quarantine delete",
        "delete one of them, or all, for good",
        _delete,
        (Argument("number", f"{_NUMBER.help}; or {_ALL}"),),
    ),
)
