"""Commands on the configuration and the database, for which no server is needed."""

import os
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from twisted.internet.interfaces import IReactorFromThreads

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import FileName
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.config import config_file
from xmppd.config.config import Config
from xmppd.config.option_places import placed
from xmppd.config.permissions import PRIVATE
from xmppd.ctl.check import check
from xmppd.ctl.declared import Declared
from xmppd.ctl.settings import SettingsCommands
from xmppd.ctl.warned import remarks, text_of
from xmppd.host.data_directory import DataDirectory, DataDirectoryError, InUse
from xmppd.host.machine import IReactor
from xmppd.net.listen_endpoint import certificates
from xmppd.stanza import JID
from xmppd.stanza.phrases import counted
from xmppd.store.backup import back_up
from xmppd.store.copying import Copying
from xmppd.store.look import missing_accounts
from xmppd.store.migrate import current_revision, upgrade


class RevisionRow(Row, frozen=True):
    """The revision of a schema."""

    revision: str | None


@dataclass(frozen=True)
class FileCommands:
    """The commands that look for mistakes, and bring tables up to date.

    Attributes:
        path: The configuration file.
        reactor: Of its endpoints.
    """

    path: Path
    reactor: IReactor

    @property
    def config(self) -> Config:
        """The content of the file."""
        return config_file.load(self.path)

    def commands(self) -> list[Command]:
        """The commands of this class, and those on options."""
        of_options = SettingsCommands(lambda: self.config)
        return [*(declared.by(self) for declared in COMMANDS), *of_options.commands()]

    async def check(self, context: CommandContext) -> Replies:
        """Check the configuration, as a start would."""
        for warning in await check(self.path, self.reactor):
            yield warning
        config = self.config
        for remark in remarks(self.path, config, certificates(config).tls):
            yield remark
        domains = [domain.name for domain in config.domain]
        admins = [jid.bare for jid in map(JID.parse, config.admins) if jid.domain in domains]
        for admin in missing_accounts(config.storage.url, admins):
            says = (
                f"the option admins lists {admin}, but there is no such account; create it with: "
                f"xmppctl user add {admin}"
            )
            yield placed(self.path, text_of(self.path), says)
        yield f"{self.path} is valid"

    async def revision(self, context: CommandContext) -> Replies:
        """Show it, in one row."""
        yield RevisionRow(current_revision(self.config.storage.url))

    async def upgrade(self, context: CommandContext) -> Replies:
        """Upgrade the database; only a backup leads back."""
        url = self.config.storage.url
        before = upgrade(url)
        after = current_revision(url)
        if before == after:
            yield f"the schema is already {after}"
        else:
            yield f"the schema was {before or 'missing'} and is now {after}"

    async def backup(self, context: CommandContext) -> Replies:
        """Write the database into one file, and the secret into another one."""
        config, target = self.config, Path(context.arguments.text("file"))
        secret, beside = DataDirectory(Path(config.data)).secret_file, Path(f"{target}.secret")
        for each in (target, beside):
            if each.exists():
                raise Refused(f"{each} already exists: name another file, or remove it")
        if not target.parent.is_dir():
            raise Refused(f"the directory {target.parent} does not exist")
        try:
            back_up(config.storage.url, target)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secret.read_bytes())
        except OSError as error:
            raise Refused(f"{error.filename or target}: {error.strerror or error}") from error
        yield f"wrote everything to {target}, and the secret to {beside}"
        yield (
            "whoever reads either file can try to guess passwords: keep both as safe as the server"
        )

    async def copy(self, context: CommandContext) -> Replies:
        """Copy everything; no server may use either database meanwhile."""
        config = self.config
        directory = DataDirectory(Path(config.data))
        try:
            directory.lock()
        except InUse as error:
            raise Refused(
                f"the data directory {directory.path} is in use; stop the server before you copy "
                "its database"
            ) from error
        except DataDirectoryError as error:
            raise Refused(str(error)) from error
        umask = os.umask(PRIVATE)
        try:
            reactor = IReactorFromThreads(self.reactor)
            target = config_file.database_url(context.arguments.text("url"), directory.path)
            copying = Copying(config.storage.url, target, reactor)
            rows = 0
            async with aclosing(copying.copy()) as copied:
                async for table, number in copied:
                    rows += number
                    if number:
                        yield f"rows of {table}: {number}"
            yield (
                f"copied and compared {counted(rows, 'row')}; now set storage.url to "
                f"{copying.shown}"
            )
        finally:
            os.umask(umask)
            directory.release()


COMMANDS: tuple[Declared[FileCommands], ...] = (
    Declared(
        Description(
            "config check", "check the configuration for mistakes", needs="file", area="config"
        ),
        FileCommands.check,
    ),
    Declared(
        Description(
            "db revision", "show the revision of the database's schema", needs="file", area="data"
        ),
        FileCommands.revision,
        (RevisionRow,),
    ),
    Declared(
        Description(
            "db upgrade",
            "bring the database's schema up to date",
            effect="changes",
            needs="file",
            area="data",
        ),
        FileCommands.upgrade,
    ),
    Declared(
        Description(
            "backup",
            "write a copy of the database to a new file, even while the server runs; SQLite only",
            (Argument("file", "the new file", FileName()),),
            needs="file",
            answers="sentences",
            area="data",
        ),
        FileCommands.backup,
    ),
    Declared(
        Description(
            "db copy",
            "copy everything to another, empty database, while the server is stopped",
            (Argument("url", "the other database: sqlite:///… or postgresql://…"),),
            effect="changes",
            needs="file",
            area="data",
        ),
        FileCommands.copy,
    ),
)
