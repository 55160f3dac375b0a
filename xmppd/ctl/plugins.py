"""Commands on plugins."""

from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import PluginName
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.plugin.plugin_manager import PluginManager
from xmppd.server import XMPPServer

PLUGIN = (Argument("plugin", "its name", PluginName()),)


class PluginRow(Row, frozen=True):
    """A plugin that is loaded, or that the configuration names."""

    plugin: str
    loaded: bool
    configured: bool


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
        for name in sorted({*wanted, *loaded}):
            yield PluginRow(name, name in loaded, name in wanted)

    async def load(self, context: CommandContext) -> Replies:
        """Load a plugin with all its parts, or not at all."""
        name = context.arguments.text("plugin")
        await self.plugins.load(name)
        yield f"the plugin {name} is loaded; name it in plugins.load to have it after a restart"

    async def unload(self, context: CommandContext) -> Replies:
        """Unload a plugin with all its parts."""
        name = context.arguments.text("plugin")
        await self.plugins.unload(name)
        yield (
            f"the plugin {name} is unloaded; take it from plugins.load to keep it out after a "
            "restart"
        )

    async def reload(self, context: CommandContext) -> Replies:
        """Reload a plugin; if it fails now, the old one stays."""
        name = context.arguments.text("plugin")
        await self.plugins.reload(name)
        yield f"the plugin {name} was read again"


COMMANDS: tuple[Declared[PluginCommands], ...] = (
    Declared(Description("plugin list", "list plugins"), PluginCommands.list_all, (PluginRow,)),
    Declared(Description("plugin load", "load a plugin", PLUGIN, "changes"), PluginCommands.load),
    Declared(
        Description("plugin unload", "take a plugin out", PLUGIN, "changes"),
        PluginCommands.unload,
    ),
    Declared(
        Description("plugin reload", "read a plugin again", PLUGIN, "changes"),
        PluginCommands.reload,
    ),
)
