"""Commands on the nodes of the service."""

from contextlib import aclosing
from dataclasses import dataclass

from xmppd.cluster.cluster import Cluster
from xmppd.cluster.directory import DirectoryAway
from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Flag, Number
from xmppd.command.other_nodes import Incomplete, Unanswered
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row, RowOfNode
from xmppd.ctl.declared import Declared
from xmppd.nodes.directory_check import DirectoryCheck
from xmppd.nodes.drain import RATE_PER_S, Drain, DrainProgress
from xmppd.routing.locations import Locations

CHECK = "cluster check"
DRAIN = "cluster drain"
MAX_RATE = 10_000

SAY_EVERY_S = 5.0
"""How often it is said how far a node is drained."""


class NodeRow(Row, frozen=True):
    """A node, as it sees itself."""

    least = ("others", "claims", "generation")

    generation: int
    sessions: int
    acts: bool
    draining: bool
    lease_age_s: float
    complete: bool
    disagreements: int
    claims: int
    others: int


class TrafficRow(Row, frozen=True):
    """What is under way from one node to another."""

    least = ("window_percent", "reconnects", "bytes", "unhandled", "dropped")

    other: str
    way: str
    silent_s: float
    reconnects: int
    window_percent: int
    entries: int
    bytes: int
    lag_ms: int
    dropped: int
    unhandled: int
    trouble: str


class CheckRow(Row, frozen=True):
    """What differs from what all nodes know, and how much of it is repaired."""

    compared: str
    differ: int
    repaired: int


class BalanceRow(Row, frozen=True):
    """What a node has given to others, of the things that live once."""

    moved: int
    claims: int


@dataclass(frozen=True)
class ClusterCommands:
    """The commands that show the nodes, and what they have with each other, and drain them."""

    cluster: Cluster
    locations: Locations
    drain_here: Drain
    check_here: DirectoryCheck

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def status(self, context: CommandContext) -> Replies:
        """Say how this node is."""
        membership = self.cluster.membership
        yield NodeRow(
            generation=membership.id.generation,
            sessions=self.locations.sessions.bound,
            acts=membership.speaks,
            draining=membership.node.draining,
            lease_age_s=round(membership.lease_age_s, 1),
            complete=membership.complete,
            disagreements=self.locations.disagreements,
            claims=sum(1 for _ in self.cluster.claims.all_mine()),
            others=len(membership.nodes),
        )

    async def links(self, context: CommandContext) -> Replies:
        """Say what is under way to each other node."""
        for traffic in sorted(self.cluster.bus.traffic()):
            yield TrafficRow(
                other=str(traffic.node),
                way=traffic.way,
                silent_s=round(traffic.silent_s, 1),
                reconnects=traffic.reconnects,
                window_percent=round(100 * traffic.fullness),
                entries=traffic.entries,
                bytes=traffic.bytes,
                lag_ms=round(1_000 * traffic.lag_s),
                dropped=traffic.dropped,
                unhandled=traffic.unhandled,
                trouble=traffic.trouble,
            )

    async def check(self, context: CommandContext) -> Replies:
        """Compare what each node has with what all know of it."""
        self._refuse_if_alone()
        others, left, missing = context.others, 0, list[str]()
        sources = {others.here: self._check(context)}
        for node in others.nodes:
            sources[node] = others.replies(node, CHECK, context.given)
        for node, source in sources.items():
            try:
                async with aclosing(source) as found:
                    async for reply in found:
                        if isinstance(reply, CheckRow):
                            left += reply.differ - reply.repaired
                            yield RowOfNode(node, reply) if others.here else reply
            except Unanswered:
                missing.append(node)
        if missing:
            raise Incomplete(missing)
        if left and others.here:
            raise Refused(
                f"wrong entries: {left}; xmppctl {CHECK} --repair corrects the list in Redis"
            )

    async def _check(self, context: CommandContext) -> Replies:
        """Compare what is here; the node that is asked first looks for what nobody has as well."""
        repair = context.arguments.flag("repair")
        compared = [self.check_here.here(repair=repair)]
        if context.others.here:
            compared.append(self.check_here.gone(repair=repair))
        try:
            for source in compared:
                async for differing in source:
                    yield CheckRow(*differing)
        except DirectoryAway as error:
            raise Refused(f"Redis does not answer: {error}") from error

    def _refuse_if_alone(self) -> None:
        if not self.cluster.directory.shared:
            raise Refused("this server is not a node: it has no [cluster] in its configuration")

    async def balance(self, context: CommandContext) -> Replies:
        """Give what another node would get if nobody had it to that node."""
        moved = await self.cluster.claims.balance()
        yield BalanceRow(moved=moved, claims=sum(1 for _ in self.cluster.claims.all_mine()))

    async def drain(self, context: CommandContext) -> Replies:
        """Have a node hand all that it has to the others, or take clients again."""
        self._refuse_if_alone()
        node = context.arguments.text("node")
        if node != self.cluster.membership.id.name:
            async for reply in self._at_other(node, context):
                yield reply
        elif context.arguments.flag("cancel"):
            yield await self._cancel(node)
        else:
            async for reply in self._drain(node, context):
                yield reply

    async def _at_other(self, node: str, context: CommandContext) -> Replies:
        nodes = self.cluster.membership.nodes
        if node not in nodes:
            raise Refused(f"unknown node {node}; the nodes are {', '.join(self._names())}")
        try:
            async with aclosing(context.others.replies(node, DRAIN, context.given)) as found:
                async for reply in found:
                    yield reply
        except Unanswered as error:
            raise Refused(str(error)) from error

    def _names(self) -> list[str]:
        membership = self.cluster.membership
        return sorted([membership.id.name, *membership.nodes])

    async def _cancel(self, node: str) -> str:
        if not await self.drain_here.cancel():
            raise Refused(f"{node} is not draining")
        return f"{node} accepts clients again; what it handed over stays where it is"

    async def _drain(self, node: str, context: CommandContext) -> Replies:
        """Begin, or join a drain that is under way; say how far it has come until it ends."""
        drain, told = self.drain_here, context.arguments
        drain.begin(told.number("rate", RATE_PER_S) if told.given("rate") else None)
        while await drain.watch(SAY_EVERY_S) and context.listening:
            yield f"{node}: {_told(drain.progress)}, clients left: {drain.progress.left}"
        if drain.is_running:
            return
        if not drain.is_over:
            raise Refused(
                f"{node} is not drained: draining was cancelled, or no other node accepts clients"
            )
        yield f"{node} is drained: {_told(drain.progress)}"
        if drain.progress.asleep:
            yield (
                f"sessions without a connection that stay at {node}: {drain.progress.asleep}; "
                f"{node} saves them when it stops, and their clients can resume them at any node"
            )


def _told(progress: DrainProgress) -> str:
    return (
        f"clients disconnected: {progress.closed}, sessions moved to other nodes: {progress.moved}"
    )


COMMANDS: tuple[Declared[ClusterCommands], ...] = (
    Declared(
        Description("cluster status", "show the state that each node reports", asks="all"),
        ClusterCommands.status,
        (NodeRow,),
    ),
    Declared(
        Description(
            "cluster links",
            "show the connections between the nodes",
            asks="all",
            empty="this service has no other node",
        ),
        ClusterCommands.links,
        (TrafficRow,),
    ),
    Declared(
        Description(
            CHECK,
            "compare each node's sessions with the list in Redis; with --repair, correct it",
            (Argument("--repair", "correct what differs", Flag()),),
            effect="changes",
        ),
        ClusterCommands.check,
        (CheckRow,),
    ),
    Declared(
        Description(
            "cluster balance",
            "spread work that only one node at a time can do, such as streams to other "
            "servers, evenly over the nodes",
            effect="changes",
            asks="all",
        ),
        ClusterCommands.balance,
        (BalanceRow,),
    ),
    Declared(
        Description(
            DRAIN,
            "move everything from one node to the others, so that you can stop it",
            (
                Argument("node", "the node's name"),
                Argument(
                    "--rate",
                    f"how many clients to disconnect a second; {RATE_PER_S} by default",
                    Number(1, MAX_RATE),
                ),
                Argument("--cancel", "let the node accept clients again", Flag()),
            ),
            effect="changes",
            answers="stream",
        ),
        ClusterCommands.drain,
    ),
)
