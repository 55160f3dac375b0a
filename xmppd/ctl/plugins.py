"""Commands on plugins."""

from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from twisted.logger import Logger

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Flag, PluginName
from xmppd.command.other_nodes import Unanswered
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.plugin.library import available
from xmppd.plugin.plugin_manager import PluginManager
from xmppd.server.xmpp_server import XMPPServer

PLUGIN = (
    Argument("plugin", "the plugin's name, such as carbons", PluginName()),
    Argument("--everywhere", "do this on every node; if one node fails, undo it on all", Flag()),
)
ALL = Argument("--all", "also list plugins that could be loaded, and what each does", Flag())
LIST_SHOWN = "which replaces the default list; xmppctl config show plugins.load shows it"
_log = Logger()


class PluginRow(Row, frozen=True):
    """A plugin that is loaded, or that the configuration names."""

    plugin: str
    loaded: bool
    configured: bool
    about: str


@dataclass(frozen=True)
class PluginCommands:
    """The commands that show plugins, and load or unload them until the next start."""

    plugins: PluginManager
    server: XMPPServer

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List plugins by name."""
        wanted, loaded = self.plugins.config.plugins.load, self.plugins.loaded
        directory = self.plugins.config.plugins.directory
        found = available(Path(directory) if directory else None)
        others = found if context.arguments.flag("all") else ()
        for name in sorted({*wanted, *loaded, *others}):
            yield PluginRow(name, name in loaded, name in wanted, found.get(name, ""))

    async def load(self, context: CommandContext) -> Replies:
        """Load a plugin with all its parts, or not at all; at every node, or at none."""
        name = context.arguments.text("plugin")
        await self.plugins.load(name)
        there = await self._everywhere(context, "plugin load")
        if there.failed:
            await self._undo(context, "plugin unload", there.done)
            await self.plugins.unload(name)
            raise Refused(f"{there.failed}; so plugin {name} is loaded nowhere")
        if name in self.plugins.config.plugins.load:
            yield f"plugin {name} is loaded"
        else:
            yield (
                f"plugin {name} is loaded; to keep it after a restart, add it to plugins.load, "
                f"{LIST_SHOWN}"
            )

    async def unload(self, context: CommandContext) -> Replies:
        """Unload a plugin with all its parts; at every node, or at none."""
        name = context.arguments.text("plugin")
        await self.plugins.unload(name)
        there = await self._everywhere(context, "plugin unload")
        if there.failed:
            await self._undo(context, "plugin load", there.done)
            await self.plugins.load(name)
            raise Refused(f"{there.failed}; so plugin {name} stays loaded where it was")
        if name in self.plugins.config.plugins.load:
            yield (
                f"plugin {name} is unloaded; to keep it out after a restart, leave it out of "
                f"plugins.load, {LIST_SHOWN}"
            )
        else:
            yield f"plugin {name} is unloaded"

    async def reload(self, context: CommandContext) -> Replies:
        """Reload a plugin; where it fails now, the old one stays."""
        name = context.arguments.text("plugin")
        await self.plugins.reload(name)
        there = await self._everywhere(context, "plugin reload")
        if there.failed:
            read = ", ".join((context.others.here, *there.done))
            raise Refused(
                f"{there.failed}; the old version stays loaded there, and {read} have the new one"
            )
        yield f"plugin {name} was reloaded"

    async def _everywhere(self, context: CommandContext, command: str) -> "_Done":
        """Give a command to all other nodes, if that is wanted, until one fails."""
        told = context.arguments
        done = list[str]()
        for node in context.others.nodes if told.flag("everywhere") else ():
            try:
                await self._at(context, node, command)
            except (Refused, Unanswered) as error:
                return _Done(done, f"{node}: {error}")
            done.append(node)
        return _Done(done, "")

    async def _undo(self, context: CommandContext, command: str, nodes: list[str]) -> None:
        for node in nodes:
            try:
                await self._at(context, node, command)
            except (Refused, Unanswered) as error:
                _log.warn("{command} at {node}: {error}", command=command, node=node, error=error)

    async def _at(self, context: CommandContext, node: str, command: str) -> None:
        plugin = {"plugin": context.arguments.text("plugin")}
        async with aclosing(context.others.replies(node, command, plugin)) as replies:
            async for _ in replies:
                pass


@dataclass(frozen=True)
class _Done:
    """What other nodes have done.

    Attributes:
        done: The names of those that have.
        failed: The name of the one that has not, and why; empty if all have.
    """

    done: list[str]
    failed: str


COMMANDS: tuple[Declared[PluginCommands], ...] = (
    Declared(
        Description(
            "plugin list",
            "list plugins",
            (ALL,),
            asks="all",
            area="plugins",
            empty="no plugin is loaded",
        ),
        PluginCommands.list_all,
        (PluginRow,),
    ),
    Declared(
        Description("plugin load", "load a plugin", PLUGIN, "changes", area="plugins"),
        PluginCommands.load,
    ),
    Declared(
        Description("plugin unload", "unload a plugin", PLUGIN, "changes", area="plugins"),
        PluginCommands.unload,
    ),
    Declared(
        Description(
            "plugin reload", "load a plugin's code again", PLUGIN, "changes", area="plugins"
        ),
        PluginCommands.reload,
    ),
)
