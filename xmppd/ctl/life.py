"""Commands on the life of a server."""

import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xmppd.build import build
from xmppd.command.argument import DRY_RUN
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.running import Running
from xmppd.ctl.times import iso
from xmppd.explain.troubles import Troubles, state_of
from xmppd.host.version import version
from xmppd.net.certificate_keys import cost_of, kind_of
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza.phrases import counted


class StatusRow(Row, frozen=True):
    """The state of a server: ``well``, ``warnings`` or ``trouble``, with the codes of what is
    wrong, in the order of their sentences.
    """

    state: str
    wrong: list[str]
    version: str
    build: str
    pid: int
    since: str | None
    config: str
    data: str
    domains: list[str]
    certificates: list[str]
    listening: list[str]
    sessions: int
    plugins: list[str]


class NumberRow(Row, frozen=True):
    """A number, with its unit in its name; by how much it has grown in the last minute."""

    statistic: str
    value: float
    per_minute: float | None


class KeyRow(Row, frozen=True):
    """A key of the configuration that has changed."""

    key: str
    effect: str


@dataclass(frozen=True)
class LifeCommands:
    """The commands that show the state of a server, reload its configuration, and stop it."""

    server: XMPPServer
    running: Running
    path: Path
    troubles: Troubles

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def status(self, context: CommandContext) -> Replies:
        """Say what is wrong, then show the state in one row."""
        server, wrong = self.server, self.troubles.now()
        for trouble in wrong:
            yield trouble.says
        if not wrong:
            yield "all is well"
        yield StatusRow(
            state=state_of(wrong),
            wrong=[trouble.code for trouble in wrong],
            version=version(),
            build=build(),
            pid=os.getpid(),
            since=iso(server.clocks.stamp(server.clocks.started)),
            config=str(self.path),
            data=server.config.data,
            domains=list(server.domains),
            certificates=list(_certificates(server)),
            listening=[
                f"{endpoint.where} {endpoint.listen.kind} {endpoint.listen.tls}"
                for endpoint in self.running.endpoints
            ],
            sessions=server.session_manager.bound,
            plugins=sorted(self.running.plugins.loaded),
        )

    async def stats(self, context: CommandContext) -> Replies:
        """Show the numbers of the server, and those of plugins."""
        server = self.server
        usage = resource.getrusage(resource.RUSAGE_SELF)
        numbers: dict[str, float] = {
            "uptime_s": round(server.clock.seconds() - server.clocks.started),
            "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
            "max_memory_kb": usage.ru_maxrss,
            "connections": len(server.client_connections.handlers),
            "connections_turned_away": server.descriptors.turned_away,
            "connections_not_logged_in": len(server.client_connections.unauthenticated),
            "sessions": server.session_manager.bound,
            "sessions_detached": len(server.resumable_sessions),
            "accounts_online": len(server.routing_table.users),
        }
        await server.stored_counts.refresh()  # accounts and offline messages, by the metrics
        numbers["quarantined"] = await server.store.quarantine.count_quarantined()
        numbers.update(server.metrics.numbers())
        grown = server.rates.per_minute(server.clock.seconds(), numbers)
        for name, value in numbers.items():
            yield NumberRow(name, value, grown.get(name))

    async def stop(self, context: CommandContext) -> Replies:
        """Stop the server, when stanzas under way are done."""
        if context.dry_run:
            server = self.server
            yield (
                f"the server would stop, and close the streams of "
                f"{counted(server.session_manager.bound, 'session')}"
            )
            return
        self.running.stop()
        yield "the server is stopping"

    async def reload(self, context: CommandContext) -> Replies:
        """Reload the configuration; keys that apply now come first."""
        now, later = await self.running.reload()
        for key in now:
            yield KeyRow(key, "takes effect now")
        for key in later:
            yield KeyRow(key, "needs a restart")
        yield "reloaded the configuration and the certificates"


def _certificates(server: XMPPServer) -> Iterator[str]:
    """The key of each domain's certificate, with what an RSA key costs."""
    for domain in server.domains:
        shown = None if server.tls is None else server.tls.identity(domain)
        if shown is not None:
            key, cost = shown[1].key, cost_of(shown[1].key)
            yield f"{domain} {kind_of(key)}{cost and f' ({cost})'}"


COMMANDS: tuple[Declared[LifeCommands], ...] = (
    Declared(
        Description(
            "status",
            "show what is wrong, where the server listens, how long it has been running, and more",
            asks="all",
            ends_by="state",
            answers="record",
        ),
        LifeCommands.status,
        (StatusRow,),
    ),
    Declared(
        Description("stats", "show counters of the server", asks="all"),
        LifeCommands.stats,
        (NumberRow,),
    ),
    Declared(Description("stop", "stop the server", (DRY_RUN,), "ends"), LifeCommands.stop),
    Declared(
        Description(
            "reload",
            "reload the configuration and the certificates",
            effect="changes",
            area="config",
        ),
        LifeCommands.reload,
        (KeyRow,),
    ),
)
