"""Commands on the server itself."""

import os
import resource
from collections.abc import AsyncGenerator

from xmppd.config import config_file
from xmppd.ctl.check import check
from xmppd.ctl.command import Argument, Arguments, Command, CommandContext
from xmppd.ctl.protocol import Reply
from xmppd.ctl.users import iso
from xmppd.host.machine import version
from xmppd.stanza import JID
from xmppd.store.look import missing_accounts
from xmppd.store.migrate import current_revision, upgrade

_PLUGIN = Argument("plugin", "its name")


async def _status(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    server, running = context.server, context.running
    yield {
        "version": version(),
        "pid": os.getpid(),
        "since": iso(server.clocks.stamp(server.started_at)),
        "config": str(context.path),
        "data": server.config.data,
        "domains": list(server.domains),
        "listening": [
            f"{door.where} {door.listen.kind} {door.listen.tls}" for door in running.endpoints
        ],
        "sessions": server.session_manager.bound,
        "plugins": sorted(running.plugins.loaded),
    }


async def _stats(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    server = context.server
    usage = resource.getrusage(resource.RUSAGE_SELF)
    numbers: dict[str, float] = {
        "uptime_s": round(server.clock.seconds() - server.started_at),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "max_memory_kb": usage.ru_maxrss,
        "connections": len(server.client_connections.handlers),
        "connections_turned_away": server.descriptors.turned_away,
        "connections_not_logged_in": len(server.client_connections.unauthenticated),
        "sessions": server.session_manager.bound,
        "sessions_detached": len(server.resumable_sessions),
        "accounts_online": len(server.routing_table.users),
    }
    for domain in server.domains:
        numbers[f"accounts_of_{domain}"] = await server.store.count_accounts(domain)
    numbers["quarantined"] = await server.store.count_quarantined()
    for statistic in server.parts.statistics.values():
        numbers[statistic.name] = statistic.sample()
    for name, value in numbers.items():
        yield {"statistic": name, "value": value}


async def _list_plugins(
    context: CommandContext, arguments: Arguments
) -> AsyncGenerator[Reply, None]:
    wanted = context.server.config.plugins.load
    loaded = context.running.plugins.loaded
    for name in sorted({*wanted, *loaded}):
        yield {"plugin": name, "loaded": name in loaded, "configured": name in wanted}


async def _load_plugin(
    context: CommandContext, arguments: Arguments
) -> AsyncGenerator[Reply, None]:
    name = arguments.text("plugin")
    context.running.plugins.load(name)
    yield f"the plugin {name} is loaded; name it in plugins.load to have it after a restart"


async def _unload_plugin(
    context: CommandContext, arguments: Arguments
) -> AsyncGenerator[Reply, None]:
    name = arguments.text("plugin")
    context.running.plugins.unload(name)
    yield f"the plugin {name} is unloaded; take it from plugins.load to keep it out after a restart"


async def _reload_plugin(
    context: CommandContext, arguments: Arguments
) -> AsyncGenerator[Reply, None]:
    name = arguments.text("plugin")
    context.running.plugins.reload(name)
    yield f"the plugin {name} was read again"


async def _stop(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    context.running.stop()
    yield "the server stops"


async def _reload(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    now, later = context.running.reload()
    for key in now:
        yield {"key": key, "effect": "holds now"}
    for key in later:
        yield {"key": key, "effect": "needs a restart"}
    yield "the configuration and the certificates were read again"


async def _check(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    for warning in await check(context.path, context.reactor):
        yield warning
    config = config_file.load(context.path)
    domains = [domain.name for domain in config.domain]
    admins = [jid.bare for jid in map(JID.parse, config.admins) if jid.domain in domains]
    for admin in missing_accounts(config.storage.url, admins):
        yield f"admins names {admin}, who has no account; add it with: xmppctl user add {admin}"
    yield f"{context.path} has no mistake"


async def _revision(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    yield {"revision": current_revision(context.config.storage.url)}


async def _upgrade(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    url = context.config.storage.url
    before = upgrade(url)
    after = current_revision(url)
    if before == after:
        yield f"the schema is {after} already"
    else:
        yield f"the schema was {before or 'not there'}, and is {after} now"


COMMANDS = (
    Command("status", "where it listens, since when, and more", _status, needs="server"),
    Command("stats", "numbers", _stats, needs="server"),
    Command("stop", "stop the server", _stop, needs="server"),
    Command("reload", "read configuration and certificates again", _reload, needs="server"),
    Command("plugin list", "list plugins", _list_plugins, needs="server"),
    Command("plugin load", "load a plugin", _load_plugin, (_PLUGIN,), needs="server"),
    Command("plugin unload", "take a plugin out", _unload_plugin, (_PLUGIN,), needs="server"),
    Command("plugin reload", "read a plugin again", _reload_plugin, (_PLUGIN,), needs="server"),
    Command("config check", "look for mistakes in the configuration", _check, needs="file"),
    Command("db revision", "the revision of the database's schema", _revision, needs="file"),
    Command("db upgrade", "bring the database's schema up to date", _upgrade, needs="file"),
)
