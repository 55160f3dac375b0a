"""The command that looks at a server from outside."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from twisted.internet.interfaces import IReactorFromThreads

from xmppd.checkup import certificates, dns, features, ports, turn, web
from xmppd.checkup.checked import Checked, Found, Sight
from xmppd.command.argument import MANY, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AnyOf
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies
from xmppd.config import config_file
from xmppd.config.config import name_server
from xmppd.config.table import ConfigError
from xmppd.ctl.check import check
from xmppd.ctl.declared import Declared
from xmppd.host.clocks import wall_clock
from xmppd.host.machine import IReactor, Workers
from xmppd.net.certificate import load_authorities
from xmppd.resolve.name_service import NameService
from xmppd.resolve.question import IResolverReactor
from xmppd.s2s.verification import Trust

LOOKS: dict[str, Callable[[Sight], Found]] = {
    "dns": dns.look,
    "certs": certificates.look,
    "ports": ports.look,
    "web": web.look,
    "turn": turn.look,
    "features": features.look,
}
VISITS_AT_ONCE = 4


@dataclass(frozen=True)
class CheckupCommands:
    """The command that looks at a server as others see it; it needs none that runs.

    Attributes:
        path: The configuration file.
        reactor: Asks DNS.
    """

    path: Path
    reactor: IReactor

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def check(self, context: CommandContext) -> Replies:
        """Look at all, or at the topics that are named."""
        wanted = context.arguments.texts("topic") or ["config", *LOOKS]
        workers = Workers(cast(IReactorFromThreads, self.reactor), "xmppctl-check", VISITS_AT_ONCE)
        results: Counter[str] = Counter()
        try:
            sight = self._sight(workers)
            for topic in dict.fromkeys(wanted):
                found = self._config() if topic == "config" else LOOKS[topic](sight)
                async for row in found:
                    results[row.result] += 1
                    yield row
        finally:
            workers.stop_soon()
        if results["bad"]:
            raise Refused(f"{results['bad']} of {results.total()} checks failed")

    def _sight(self, workers: Workers) -> Sight:
        config, reactor = config_file.load(self.path), cast(IResolverReactor, self.reactor)
        s2s = config.s2s
        authorities = load_authorities(Path(s2s.authorities)) if s2s.authorities else None
        return Sight(
            config,
            NameService(reactor, [name_server(text) for text in s2s.dns_servers]),
            Trust(authorities, wall_clock),
            wall_clock,
            workers.run,
        )

    async def _config(self) -> AsyncIterator[Checked]:
        """What ``config check`` says."""
        try:
            warnings = await check(self.path, self.reactor)
        except ConfigError as error:
            yield Checked("config", "bad", str(self.path), str(error).rstrip("."))
            return
        for warning in warnings:
            yield Checked("config", "warn", str(self.path), warning)
        if not warnings:
            yield Checked("config", "ok", str(self.path), "the configuration is valid")


COMMANDS: tuple[Declared[CheckupCommands], ...] = (
    Declared(
        Description(
            "check",
            "check this server from outside, and say what to change",
            (
                Argument(
                    "topic",
                    "what to check; everything by default",
                    AnyOf(("dns", "certs", "ports", "web", "turn", "config", "features")),
                    most=MANY,
                ),
            ),
            needs="file",
            area="config",
        ),
        CheckupCommands.check,
        (Checked,),
    ),
)
