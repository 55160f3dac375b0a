"""Commands on archives."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Address, FileName, Moment, why_unread
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.migration.user_data import UserData
from xmppd.stanza import JID, Condition, Tree, qname
from xmppd.stanza.date_time import exact_date_time, microseconds_of
from xmppd.stanza.phrases import counted, listed
from xmppd.stanza.result import RESULT, Results
from xmppd.stanza.xml import escape

from .archive import Archive
from .checks import find_damage
from .entries import ALL, ArchiveEntry, Selection
from .expiry import Expiry
from .ids import MAX_POSITION, first_at
from .ids import microseconds_of as time_of
from .importing import MESSAGES_PER_SLICE, Imported, keep, read_result, read_results
from .settings import ArchiveSettings

ENTRIES_PER_PAGE = 200
PIE = "urn:xmpp:pie:0"

ACCOUNT = Argument("account", "the account whose archive it is", AccountName())
SHOW = Description(
    "archive show",
    "show the size of an archive",
    (ACCOUNT,),
    who="owner",
    area="data",
    empty="the archive is empty",
)
EXPORT = Description(
    "archive export",
    "export an archive as XML (XEP-0227); administrators can do this only on the server's own "
    "machine",
    (ACCOUNT,),
    who="owner",
    answers="document",
    area="content",
)
DELETE = Description(
    "archive delete",
    "delete messages from an archive; copies in the archives of others stay",
    (
        ACCOUNT,
        Argument("--with", "only messages to and from this address", Address()),
        Argument(
            "--before", "only messages before this time, such as 2026-10-31T12:00:00Z", Moment()
        ),
        DRY_RUN,
    ),
    effect="ends",
    who="owner",
    area="content",
)
EXPIRE = Description(
    "archive expire",
    "delete now what exceeds the configured age or size",
    (DRY_RUN,),
    "ends",
    area="data",
)
IMPORT = Description(
    "archive import",
    "import an archive that another server exported (XEP-0227), from a file on this machine",
    (ACCOUNT, Argument("file", "a file that the server can read", FileName())),
    effect="changes",
    area="data",
)
CHECK = Description("archive check", "check all archives for damage", area="data")


class ArchiveRow(Row, frozen=True):
    """An archive.

    Attributes:
        account: Its owner.
        messages: The number of them.
        bytes: The size of them.
        first: The moment of the first one.
        last: That of the last one.
    """

    account: str
    messages: int
    bytes: int
    first: str
    last: str


class DamageRow(Row, frozen=True):
    """A message that cannot be read, or is missing.

    Attributes:
        account: In whose archive it is; empty if that is not known.
        id: Its id there.
        at: Its moment.
        damage: What is wrong.
    """

    account: str
    id: str
    at: str
    damage: str


@dataclass(frozen=True)
class ArchiveCommands:
    """The commands on archives.

    Attributes:
        archive: All of them.
        expiry: Deletes.
        exists: Whether there is an account of a bare JID.
    """

    archive: Archive
    expiry: Expiry
    exists: Callable[[str], Awaitable[bool]]

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [
            Command(SHOW, self.show, (ArchiveRow,)),
            Command(EXPORT, self.export),
            Command(IMPORT, self.bring_in),
            Command(DELETE, self.delete),
            Command(EXPIRE, self.expire),
            Command(CHECK, self.check, (DamageRow,)),
        ]

    async def show(self, context: CommandContext) -> Replies:
        """Show it, in one row."""
        owner = context.arguments.jid("account").bare
        await self.archive.write_all()
        first, last = (
            await self.archive.entries.first(owner),
            await self.archive.entries.last(owner),
        )
        if first is None or last is None:
            if not await self.exists(owner):
                raise Refused(f"{owner} does not exist", Condition.ITEM_NOT_FOUND)
            yield f"the archive of {owner} is empty"
            return
        count, size = await self.archive.entries.sums(owner)
        yield ArchiveRow(owner, count, size, _moment(first), _moment(last))

    async def export(self, context: CommandContext) -> Replies:
        """Write it, a line for each message."""
        account = context.arguments.jid("account")
        if context.actor.jid is not None and not context.actor.owns(account):
            raise Refused("you may not read the archives of others", Condition.FORBIDDEN)
        async for line in exported(self.archive, account):
            yield line

    async def bring_in(self, context: CommandContext) -> Replies:
        """Add the messages of a file, some in each transaction."""
        owner = context.arguments.jid("account").bare
        await self.begin(owner)
        count = unread = 0
        batch: list[Imported] = []
        try:
            for found in read_results(Path(context.arguments.text("file")), owner):
                if found is None:
                    unread += 1
                    continue
                batch.append(found)
                if len(batch) == MESSAGES_PER_SLICE:
                    count += await self.keep(owner, batch)
            count += await self.keep(owner, batch)
        except (OSError, ValueError) as error:
            raise Refused(f"{why_unread(error)}; messages added: {count}") from error
        yield f"messages added to the archive of {owner}: {count}"
        if unread:
            yield (
                f"messages skipped, because they are unreadable or not from or to {owner}: {unread}"
            )

    async def begin(self, owner: str) -> None:
        """Be ready to add messages to an archive: nobody is to get what somebody has left who had
        the name before.
        """
        await self.archive.write_all()
        number = self.archive.ids.number(owner)
        await self.expiry.delete(number, await self.archive.entries.begins(owner))

    async def keep(self, owner: str, batch: list[Imported]) -> int:
        """Add messages to an archive, and empty the list; returns their number."""
        messages, number = list(batch), self.archive.ids.number(owner)
        batch.clear()
        if messages:
            await self.archive.database.write(
                partial(keep, owner=owner, number=number, messages=messages)
            )
            await self.expiry.next_turn()
        return len(messages)

    async def delete(self, context: CommandContext) -> Replies:
        """Delete what is asked for, and its rows."""
        arguments = context.arguments
        owner, before = arguments.jid("account").bare, MAX_POSITION
        if arguments.given("before"):
            before = first_at(microseconds_of(arguments.text("before")))
        peer = arguments.jid("with").bare if arguments.given("with") else None
        await self.archive.write_all()
        if context.dry_run:
            count, _ = await self.archive.entries.sums(owner)
            which = "those" if arguments.given("before") or peer is not None else "all"
            until = f" before {arguments.text('before')}" if arguments.given("before") else ""
            whom = "" if peer is None else f" with {peer}"
            yield (
                f"would delete {which} of the {counted(count, 'message')} in the archive of "
                f"{owner}{until}{whom}"
            )
            return
        count = await self.expiry.delete(self.archive.ids.number(owner), before, peer)
        yield f"messages deleted from the archive of {owner}: {count}"

    async def expire(self, context: CommandContext) -> Replies:
        """Delete what the hourly run would."""
        await self.archive.write_all()
        if context.dry_run:
            yield f"would delete these messages: {listed(_expiring(self.expiry.settings))}"
            return
        yield f"messages deleted: {await self.expiry.expire()}"

    async def check(self, context: CommandContext) -> Replies:
        """Read all archives."""
        await self.archive.write_all()
        found = 0
        async for damage in find_damage(self.archive.database, self.expiry.next_turn):
            found += 1
            id = self.archive.ids.id_of(damage.archive, damage.position)
            at = exact_date_time(time_of(damage.position))
            yield DamageRow(damage.owner, id, at, damage.says)
        yield f"damaged messages: {found}"


async def everything(archive: Archive, account: JID) -> AsyncIterator[ArchiveEntry]:
    """All entries of an archive, the oldest first."""
    selection = ALL
    while page := await archive.entries.page(account.bare, selection, ENTRIES_PER_PAGE):
        for entry in page:
            yield entry
        selection = Selection(after=page[-1].position)


class ArchiveData(UserData):
    """The archive of whoever moves. Its messages have no ids there by which they are called here:
    their times stand for them, and they get others where they arrive.

    Args:
        commands: Have the archives.
    """

    tags = (qname(f"{PIE}#mam", "archive"),)

    def __init__(self, commands: ArchiveCommands) -> None:
        self._commands = commands

    async def written(self, account: JID) -> AsyncIterator[bytes]:
        """All messages, the oldest first."""
        archive, results, begun = self._commands.archive, Results(account, account, None), False
        await archive.write_all()
        async for entry in everything(archive, account):
            made = _result(results, entry, str(time_of(entry.position)))
            if made is not None:
                yield b"" if begun else f"<archive xmlns='{PIE}#mam'>".encode()
                begun = True
                yield made.encode()
        if begun:
            yield b"</archive>\n"

    async def take(self, account: JID, tree: Tree) -> Collection[str]:
        """Add messages; those that cannot be read, or are not the account's, are left out."""
        read = [read_result(each, account.bare) for each in tree if each.tag == RESULT]
        sound = [each for each in read if each is not None]
        if await self._commands.archive.entries.last(account.bare) is None:
            await self._commands.begin(account.bare)
        for at in range(0, len(sound), MESSAGES_PER_SLICE):
            await self._commands.keep(account.bare, sound[at : at + MESSAGES_PER_SLICE])
        count = len(read) - len(sound)
        skipped = f"messages skipped, because they are unreadable or not from or to {account}"
        return [f"{skipped}: {count}"] * bool(count)


async def exported(archive: Archive, owner: JID) -> AsyncIterator[str]:
    """An archive as it is exported, a line for each message."""
    yield (
        f"<server-data xmlns='{PIE}'>"
        f"<host jid='{escape(owner.domain)}'><user name='{escape(owner.local or '')}'>"
        f"<archive xmlns='{PIE}#mam'>"
    )
    results = Results(owner, owner, None)
    async for entry in everything(archive, owner):
        made = _result(results, entry, archive.id_of(owner.bare, entry.position))
        if made is not None:
            yield made
    yield "</archive></user></host></server-data>"


def _expiring(limits: ArchiveSettings) -> list[str]:
    """The messages that the hourly run deletes, in words."""
    return [
        *_beyond(limits.max_age_days, "day", "those older than {} (archive.max_age_days)"),
        *_beyond(
            limits.max_messages, "message", "those beyond {} in one archive (archive.max_messages)"
        ),
        *_beyond(limits.max_bytes, "byte", "those beyond {} in one archive (archive.max_bytes)"),
        "those of no account",
    ]


def _beyond(limit: int, one: str, says: str) -> list[str]:
    """What a limit says; nothing if there is none."""
    return [says.format(counted(limit, one))] if limit else []


def _result(results: Results, entry: ArchiveEntry, id: str) -> str | None:
    """An entry as it is exported; None if it is damaged."""
    try:
        made = results.result(entry.stanza or b"", id.encode(), time_of(entry.position))
    except ValueError:
        return None
    raw = made.payload.raw
    return raw[raw.index(b">") + 1 : raw.rindex(b"</")].decode()


def _moment(entry: ArchiveEntry) -> str:
    return exact_date_time(time_of(entry.position))


__all__ = ["ArchiveCommands", "ArchiveData", "ArchiveRow", "DamageRow", "exported"]
