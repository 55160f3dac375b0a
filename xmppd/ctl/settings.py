"""Commands that show the configuration: what there is to set, and what holds."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from msgspec.structs import FieldInfo, fields

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Flag, OptionName
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.config.config import Config
from xmppd.config.reference import Option, default_of, in_toml, options, without_secrets
from xmppd.config.section import Section
from xmppd.config.table import ConfigError
from xmppd.ctl.declared import Declared
from xmppd.plugin.plugin_options import plugin_options
from xmppd.stanza import Condition

NAME = Argument("name", "an option or a table; everything by default", OptionName())


class OptionRow(Row, frozen=True):
    """An option of the configuration."""

    least = ("restart", "kind")

    option: str
    kind: str
    default: str
    restart: bool
    help: str


class SettingRow(Row, frozen=True):
    """The value of an option."""

    least = ("default",)

    option: str
    value: str
    differs: bool
    default: str


@dataclass(frozen=True)
class SettingsCommands:
    """The commands on options.

    Attributes:
        config: The configuration: the one that holds, where a server is running, else the file's.
    """

    config: Callable[[], Config]

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def options(self, context: CommandContext) -> Replies:
        """List what there is to set, in the order of the example; then that of plugins."""
        name = context.arguments.text("name")
        known = [*options(), *self._of_plugins()]
        found = [option for option in known if _is_in(option.name, name)]
        if not found:
            raise _unknown(name, known)
        for option in found:
            yield OptionRow(option.name, option.kind, option.default, option.restart, option.help)

    async def show(self, context: CommandContext) -> Replies:
        """List what holds; secrets are hidden."""
        name, changed = context.arguments.text("name"), context.arguments.flag("changed")
        config = self.config()
        loaded = [
            option
            for option in self._of_plugins()
            if option.name.partition(".")[0] in config.plugins.load
        ]
        found = [row for row in settings(config, loaded) if _is_in(row.option, name)]
        known = [*options(), *loaded]
        if not found and name not in {option.name for option in known}:
            raise _unknown(name, known)
        for row in found:
            if row.differs or not changed:
                yield row

    def _of_plugins(self) -> list[Option]:
        """What there is to set of all plugins that could be loaded."""
        try:
            directory = self.config().plugins.directory
        except ConfigError:
            directory = ""  # those that come with xmppd are there all the same
        return list(plugin_options(Path(directory) if directory else None))


def settings(config: Config, of_plugins: Iterable[Option] = ()) -> Iterator[SettingRow]:
    """The value of each option; of a table that may be there several times, those that differ.

    Args:
        config: Has them.
        of_plugins: What there is to set of plugins that are loaded.
    """
    yield from _of_section(config, "")
    given = {
        f"{name}.{key}": in_toml(without_secrets(key, value))
        for name, table in config.plugin_tables.items()
        for key, value in table.items()
    }
    for option in of_plugins:
        if option.name.count(".") == 1:
            shown = given.pop(option.name, option.default)
            yield SettingRow(option.name, shown, shown != option.default, option.default)
    for name, shown in given.items():
        yield SettingRow(name, shown, True, "")


@cache
def _fields(kind: type[Section]) -> tuple[FieldInfo, ...]:
    """The fields of a table: to read its annotations takes longer than all else here."""
    return fields(kind)


def _of_section(section: Section, where: str, *, changed: bool = False) -> Iterator[SettingRow]:
    for field in _fields(type(section)):
        name, value = where + field.name, getattr(section, field.name)
        if name == "plugin_tables":
            continue
        if isinstance(value, Section):
            yield from _of_section(value, f"{name}.", changed=changed)
        elif isinstance(value, tuple) and any(isinstance(each, Section) for each in value):
            for number, each in enumerate(value, 1):
                yield from _of_section(each, f"{name}[{number}].", changed=True)
        else:
            default = default_of(field)
            differs = value != default
            if differs or not changed:
                shown = in_toml(without_secrets(field.name, value))
                yield SettingRow(name, shown, differs, in_toml(default))


def _is_in(option: str, name: str) -> bool:
    """Whether this option is the one of a name, or in the table of that name."""
    plain = re.sub(r"\[\d+\]", "", option)
    return not name or any(f"{each}.".startswith(f"{name}.") for each in (option, plain))


def _unknown(name: str, options: Iterable[Option]) -> Refused:
    known = {option.name for option in options}
    known |= {each.rpartition(".")[0] for each in known} - {""}
    near = get_close_matches(name, known, 1)
    return Refused(
        f"unknown option {name}" + (f"; try {near[0]}" if near else ""),
        Condition.ITEM_NOT_FOUND,
    )


COMMANDS: tuple[Declared[SettingsCommands], ...] = (
    Declared(
        Description(
            "config options",
            "list the configuration options: type, default and meaning",
            (NAME,),
            needs="file",
            area="config",
        ),
        SettingsCommands.options,
        (OptionRow,),
    ),
    Declared(
        Description(
            "config show",
            "show the configuration in effect, without secrets, and what differs from the default",
            (NAME, Argument("--changed", "only what differs from the default", Flag())),
            needs="file",
            area="config",
            empty="every option has its default",
        ),
        SettingsCommands.show,
        (SettingRow,),
    ),
)
