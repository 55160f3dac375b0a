"""Commands on other servers."""

from collections.abc import Sequence
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
from xmppd.explain.finding import counted
from xmppd.explain.other_servers import Cause
from xmppd.host.clocks import Clocks
from xmppd.resolve.attempts import AttemptStep
from xmppd.s2s.domain_pair import OPEN, STREAM_FROM
from xmppd.s2s.foreign_routes import REFUSED, ForeignRoutes
from xmppd.s2s.server_stream import CALL_FROM
from xmppd.stanza import Condition

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
        """List the steps in the order in which they began, then the states of now, and the causes
        with their remedies.
        """
        domain = context.arguments.text("domain")
        routes, history = self.routes, self.routes.history
        refusals = history.refusals.of(domain)
        steps = sorted((*history.attempts.of(domain), *refusals), key=_began)
        for step in steps:
            ms = None if step.ms is None else round(step.ms, 1)
            yield StepRow(iso(step.at), step.kind, step.what, step.outcome, ms)
        now, found = iso(self.clocks.wall_clock()), False
        for what, state in other_servers.states(routes, domain):
            found = True
            yield StepRow(now, "state", what, state, None)
        if routes.policies.of(domain).block:
            found = True
            yield StepRow(now, "policy", "s2s.domain", "blocked: nothing is sent or accepted", None)
        if not steps and not found:
            raise Refused(
                f"since the server started, it has not tried to reach {domain}, and {domain} has "
                "not connected",
                Condition.ITEM_NOT_FOUND,
            )
        for cause in self._causes(domain, steps):
            yield StepRow(now, "remedy", cause.code, cause.says, None)

    def _causes(self, domain: str, steps: Sequence[AttemptStep]) -> list[Cause]:
        """Those in the way of stanzas there, and of stanzas from there."""
        routes = self.routes
        pairs = [pair for pair in routes.pairs.values() if pair.remote == domain]
        found = [cause for pair in pairs if (cause := other_servers.of_pair(pair)) is not None]
        tries = [step for step in steps if step.what.startswith(STREAM_FROM)]
        if tries and not pairs and tries[-1].outcome != OPEN:  # it failed, and is over
            local = tries[-1].what.removeprefix(STREAM_FROM)
            found.append(other_servers.of_failure(tries[-1].outcome, local, domain))
        calls = [step for step in steps if step.what.startswith(CALL_FROM)]
        if routes.policies.of(domain).block:
            found.append(other_servers.of_refusal("blocked", domain))
        elif calls and calls[-1].kind == REFUSED:
            found.append(other_servers.of_refusal(calls[-1].outcome, domain))
        return list(dict.fromkeys(found))


def _began(step: AttemptStep) -> float:
    return step.at


COMMANDS: tuple[Declared[ServerCommands], ...] = (
    Declared(
        Description(
            "s2s list",
            "list the streams with other servers, and the stanzas that wait for one",
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
