"""Commands on other servers."""

from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import DomainName
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.times import iso
from xmppd.explain import other_servers
from xmppd.host.clocks import Clocks
from xmppd.s2s.foreign_routes import ForeignRoutes
from xmppd.stanza import Condition
from xmppd.stanza.phrases import counted

THEIRS = DomainName(ours=False)
DOMAIN = Argument("domain", "the other server's domain, such as example.net", THEIRS)


class ServerRow(Row, frozen=True):
    """The stream or the queue between a domain of ours and one elsewhere."""

    least = ("queued_bytes", "passed", "address", "local")

    remote: str
    local: str
    direction: str
    state: str
    security: str
    address: str
    queued_stanzas: int
    queued_bytes: int
    passed: int
    since_s: int


class StepRow(Row, frozen=True):
    """A step that was tried."""

    at: str | None
    step: str
    what: str
    outcome: str
    ms: float | None


@dataclass(frozen=True)
class ServerCommands:
    """The commands that show the ways to other servers, and clear them."""

    routes: ForeignRoutes
    clocks: Clocks

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List streams, and queues that wait for one."""
        wanted = context.arguments.text("domain")
        for row in self.routes.state():
            if wanted in ("", row.remote):
                yield ServerRow(
                    remote=row.remote,
                    local=row.local,
                    direction=row.direction,
                    state=row.state,
                    security=row.security,
                    address=row.address,
                    queued_stanzas=row.queued_stanzas,
                    queued_bytes=row.queued_bytes,
                    passed=row.passed,
                    since_s=round(row.since_s),
                )

    async def close(self, context: CommandContext) -> Replies:
        """Close streams; the next stanza opens a new one."""
        domain = context.arguments.text("domain")
        yield f"closed {counted(self.routes.close_to(domain), 'stream')} with {domain}"

    async def why(self, context: CommandContext) -> Replies:
        """Say the causes first; then list the steps in the order in which they began, the states of
        now, and the remedies with their codes.
        """
        domain = context.arguments.text("domain")
        routes = self.routes
        causes, steps = other_servers.causes(routes, domain), other_servers.steps(routes, domain)
        states = [*other_servers.states(routes, domain)]
        blocked = routes.policies.of(domain).block
        if not (steps or states or blocked):
            raise Refused(
                f"{domain} is a domain of this server"
                if routes.context.serves(domain)
                else f"since this server started, it has not tried to reach {domain}, and {domain} "
                "has not connected",
                Condition.ITEM_NOT_FOUND,
            )
        for cause in causes:
            yield str(cause)
        for step in steps:
            ms = None if step.ms is None else round(step.ms, 1)
            yield StepRow(iso(step.at), step.kind, step.what, step.outcome, ms)
        now = iso(self.clocks.wall_clock())
        for what, state in states:
            yield StepRow(now, "state", what, state, None)
        if blocked:
            yield StepRow(now, "policy", "s2s.domain", "blocked: nothing is sent or accepted", None)
        for cause in causes:
            yield StepRow(now, "remedy", cause.code, cause.says, None)


COMMANDS: tuple[Declared[ServerCommands], ...] = (
    Declared(
        Description(
            "s2s list",
            "list the streams with other servers, and the stanzas that wait for a stream",
            (Argument("--domain", "only streams with this domain", THEIRS),),
            asks="all",
            area="s2s",
            empty="no stream with another server is open, and no stanza waits for one",
        ),
        ServerCommands.list_all,
        (ServerRow,),
    ),
    Declared(
        Description(
            "s2s close",
            "close the streams with another server; the next stanza opens a new one",
            (DOMAIN,),
            "changes",
            asks="all",
            area="s2s",
        ),
        ServerCommands.close,
    ),
    Declared(
        Description(
            "s2s why",
            "show why stanzas do or do not get through to and from another server, and what to do",
            (DOMAIN,),
            asks="all",
            area="s2s",
        ),
        ServerCommands.why,
        (StepRow,),
    ),
)
