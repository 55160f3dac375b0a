"""Commands by which people move in from other servers, and out."""

from dataclasses import dataclass
from pathlib import Path

from xmppd.command.argument import DRY_RUN, MANY, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Choice, DomainName, FileName, Flag, Text, why_unread
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.migration.agreement import Agreement
from xmppd.migration.importer import Importer, ImportPlan, Outcome
from xmppd.migration.person import SourceError
from xmppd.migration.sources import SOURCES
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza import Condition, StanzaError
from xmppd.stanza.jid import prepare_domain
from xmppd.stanza.phrases import counted

MAX_LINE_BYTES = 16 << 20
"""Of a file with what is of no account."""


class MovedRow(Row, frozen=True):
    """What has become of somebody who moves.

    Attributes:
        says: The result, in one sentence.
        account: Its address on this server; empty in a row that does not concern an account.
        moved: Whether the command imported or exported the account.
        notes: What was left out, and why.
    """

    says: str
    account: str
    moved: bool
    notes: list[str]


@dataclass(frozen=True)
class MovingCommands:
    """The commands by which people move."""

    server: XMPPServer

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def bring_in(self, context: CommandContext) -> Replies:
        """Import, with a row for each person."""
        told, server = context.arguments, self.server
        plan = ImportPlan(
            served=server.domains,
            domains=_renamings(told.texts("domain")),
            only=frozenset(jid.bare for jid in told.jids("only")),
            replace=told.flag("replace"),
            is_dry_run=context.dry_run,
        )
        importer = Importer(
            server.store,
            server.accounts,
            Agreement(server.store.database, server.roster_manager, server.turns),
            server.user_data,
            server.platform.run_in_thread,
            plan,
        )
        path = Path(told.text("source"))
        try:
            path.stat()
        except OSError as error:
            raise Refused(why_unread(error), Condition.ITEM_NOT_FOUND, argument="source") from error
        source = SOURCES[told.text("format")](path, told.text("host"))
        missing = self._missing()
        moved = left = 0
        try:
            async for outcome in importer.run(source.people()):
                moved, left = moved + outcome.taken, left + (not outcome.taken)
                yield _row(outcome, is_dry_run=plan.is_dry_run)
            async for line in self._take_services(context):
                yield line
            for each in await server.platform.run_in_thread(source.left_behind):
                yield f"not imported: {each}"
        except SourceError as error:
            raise Refused(f"{error}; accounts imported before that: {moved}") from error
        finally:
            source.close()
        for domain, hash in sorted(self._missing() - missing):
            yield (
                f"clients of {domain} are no longer offered SCRAM-{hash}: some imported accounts "
                "do not have keys for it"
            )
        verb = "would import" if plan.is_dry_run else "imported"
        yield f"{verb} {counted(moved, 'account')}; not imported: {left}"

    def _missing(self) -> set[tuple[str, str]]:
        """Each domain, with a hash of which not all of its accounts have keys."""
        missing = self.server.store.key_kinds.missing
        return {(domain, hash) for domain in self.server.domains for hash in missing(domain)}

    async def _take_services(self, context: CommandContext) -> Replies:
        """Take what is of no account, if there are files of such beside the people."""
        told, source = context.arguments, Path(context.arguments.text("source"))
        if told.text("format") != "xep0227" or not source.is_dir() or told.given("only"):
            return
        for data in self.server.service_data.all():
            path, taken = source / data.file, 0
            if not path.exists():
                continue
            if told.given("domain"):
                yield f"not imported: {data.file}, in which domains cannot be renamed"
                continue
            with path.open("rb") as file:
                for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), 1):
                    try:
                        if not context.dry_run:
                            await data.take(line)
                        taken += 1
                    except (StanzaError, ValueError) as error:
                        why = error.text if isinstance(error, StanzaError) else str(error)
                        why = why or "the server cannot store it"
                        yield f"not imported: {data.file}, line {number}: {why}"
            verb = "would import" if context.dry_run else "imported"
            yield f"{verb} {counted(taken, 'line')} of {data.file}"

    async def write(self, context: CommandContext) -> Replies:
        """Export, with a row for each account."""
        told, exporter = context.arguments, self.server.exporter
        only = frozenset(jid.bare for jid in told.jids("account"))
        for account in sorted(only):
            if not await self.server.store.accounts.exists(account):
                raise Refused(
                    f"{account} does not exist", Condition.ITEM_NOT_FOUND, argument="account"
                )
        directory, count = Path(told.text("directory")), 0
        try:
            async for account in exporter.write(directory, told.domains("domain"), only):
                count += 1
                yield MovedRow(f"exported {account}", account, True, [])
            if not only and not told.given("domain"):
                async for name in exporter.write_services(directory):
                    yield f"exported {name} as well"
        except OSError as error:
            raise Refused(_unwritable(error, directory)) from error
        yield f"exported {counted(count, 'account')} to {directory}"


def _unwritable(error: OSError, directory: Path) -> str:
    """Why an export cannot be written."""
    if isinstance(error, FileExistsError):
        return f"{error}; name a new directory" if error.errno is None else f"{directory} is a file"
    if isinstance(error, FileNotFoundError):
        return f"the directory {directory.parent} does not exist"
    return f"{error.filename or directory} cannot be written ({error.strerror or error})"


def _renamings(texts: list[str]) -> dict[str, str]:
    """What domains of the source are called here.

    Raises:
        Refused: One is not said as OLD=NEW.
    """
    found = {}
    for text in texts:
        old, equals, new = text.partition("=")
        try:
            found[old] = prepare_domain(new)
        except ValueError:
            equals = ""
        if not old or not equals:
            raise Refused(f"--domain must be OLD=NEW, such as old.example=new.example, not {text}")
    return found


def _row(outcome: Outcome, *, is_dry_run: bool) -> MovedRow:
    notes = outcome.notes.all()
    if outcome.taken:
        did = "would be imported" if is_dry_run else "was imported"
        says = f"{outcome.account} {did}" + (f", but: {'; '.join(notes)}" if notes else "")
    else:
        says = f"{outcome.name}: {'; '.join(notes)}"
    return MovedRow(says, outcome.account, outcome.taken and not is_dry_run, notes)


COMMANDS: tuple[Declared[MovingCommands], ...] = (
    Declared(
        Description(
            "import",
            "import accounts from another server, from files on this machine",
            (
                Argument("format", "the format of the files", Choice(tuple(SOURCES))),
                Argument(
                    "source",
                    "the file or directory to import, which the user that runs xmppd must be able "
                    "to read; for a database on another machine, a file NAME.url with its URL",
                    FileName(),
                ),
                Argument(
                    "--host", "the domain of the accounts, if the source does not name it", Text()
                ),
                Argument(
                    "--domain", "OLD=NEW: accounts of OLD become accounts of NEW", Text(), MANY
                ),
                Argument(
                    "--only",
                    "only this account, by the address that it will have on this server",
                    AccountName(),
                    MANY,
                ),
                Argument("--replace", "replace accounts that already exist", Flag()),
                DRY_RUN,
            ),
            effect="ends",
            answers="stream",
            area="data",
        ),
        MovingCommands.bring_in,
        (MovedRow,),
    ),
    Declared(
        Description(
            "export",
            "export accounts, with all their data, to a new directory on this machine",
            (
                Argument("format", "the format of the export", Choice(("xep0227",))),
                Argument(
                    "directory", "a directory that is empty or does not exist yet", FileName()
                ),
                Argument("--account", "only this account", AccountName(), MANY),
                Argument("--domain", "only accounts of this domain", DomainName()),
            ),
            answers="stream",
            area="content",
        ),
        MovingCommands.write,
        (MovedRow,),
    ),
)
