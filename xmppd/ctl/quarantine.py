"""Commands on records that could not be read and were set aside (QT-1)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from msgspec.structs import asdict

from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.stanza import Condition
from xmppd.stanza.date_time import date_time
from xmppd.stanza.phrases import counted
from xmppd.store.quarantine import QuarantineStore
from xmppd.store.readable import Quarantined

PAGE = 1_000
MAX_SHOWN_CHARACTERS = 100_000
"""Of one field."""

_SECRET = frozenset(("salt", "stored_key", "server_key"))
_ALL = "all"
_NUMBER = Argument("number", 'the number that "db quarantine list" shows')


class QuarantinedRow(Row, frozen=True):
    """A record, in a list."""

    number: int
    kind: str
    account: str
    name: str
    since: str
    bytes: int
    reason: str


class FieldRow(Row, frozen=True):
    """A field of a record, as it was stored, or a fact about the record."""

    field: str
    value: str | int


@dataclass(frozen=True)
class QuarantineCommands:
    """The commands that show such records, and delete them."""

    store: QuarantineStore

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List records by number."""
        async for entry in self._entries(context.arguments.text("account")):
            yield _row(entry)

    async def show(self, context: CommandContext) -> Replies:
        """Show a record, with the facts about it first."""
        number = _number(context.arguments.text("number"))
        entries = await self.store.quarantined(after=number - 1, limit=1)
        found = await self.store.quarantined_fields(number)
        if found is None or not entries:
            raise _nothing(str(number))
        for name, about in asdict(_row(entries[0])).items():
            yield FieldRow(name, about)
        for name, value in found.items():
            yield FieldRow(f"record.{name}", _shown(name, value))

    async def delete(self, context: CommandContext) -> Replies:
        """Delete records for good."""
        wanted = context.arguments.text("number")
        if wanted == _ALL:
            numbers = [entry.number async for entry in self._entries()]
        else:
            numbers = [_number(wanted)]
        if context.dry_run:
            known = {entry.number async for entry in self._entries()}
            if wanted != _ALL and not known.intersection(numbers):
                raise _nothing(wanted)
            yield f"would delete {counted(len(numbers), 'record')}"
            return
        deleted = await self.store.forget_quarantined(numbers)
        if not deleted and wanted != _ALL:
            raise _nothing(wanted)
        yield f"deleted {counted(deleted, 'record')}"

    async def _entries(self, account: str = "") -> AsyncIterator[Quarantined]:
        after = 0
        while page := await self.store.quarantined(account=account, after=after, limit=PAGE):
            for entry in page:
                yield entry
            after = page[-1].number


def _nothing(number: str) -> Refused:
    return Refused(f"no record in quarantine has the number {number}", Condition.ITEM_NOT_FOUND)


def _row(entry: Quarantined) -> QuarantinedRow:
    return QuarantinedRow(
        number=entry.number,
        kind=entry.kind,
        account=entry.account,
        name=entry.name,
        since=date_time(entry.since),
        bytes=entry.size_bytes,
        reason=entry.reason,
    )


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Refused(f'"{text}" is not a number', Condition.BAD_REQUEST)
    return int(text)


def _shown(name: str, value: object) -> str:
    """A field for people: bytes as text, or in hexadecimal; keys of passwords are not shown."""
    if not isinstance(value, bytes):
        text = str(value)
    elif name in _SECRET:
        text = f"({counted(len(value), 'byte')})"
    else:
        text = value.decode(errors="backslashreplace") if value[:1] == b"<" else _text(value)
    if len(text) > MAX_SHOWN_CHARACTERS:
        return f"{text[:MAX_SHOWN_CHARACTERS]}… ({counted(len(text), 'character')})"
    return text


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


COMMANDS: tuple[Declared[QuarantineCommands], ...] = (
    Declared(
        Description(
            "db quarantine list",
            "list records that could not be read",
            (Argument("--account", "only records of this account"),),
            needs="store",
            area="data",
            empty="no record is in quarantine",
        ),
        QuarantineCommands.list_all,
        (QuarantinedRow,),
    ),
    Declared(
        Description(
            "db quarantine show",
            "show a record as it was stored",
            (_NUMBER,),
            needs="store",
            area="content",
        ),
        QuarantineCommands.show,
        (FieldRow,),
    ),
    Declared(
        Description(
            "db quarantine delete",
            "delete a record, or all of them, for good",
            (Argument("number", f"{_NUMBER.help}; or {_ALL}"), DRY_RUN),
            "ends",
            needs="store",
            area="data",
        ),
        QuarantineCommands.delete,
    ),
)
