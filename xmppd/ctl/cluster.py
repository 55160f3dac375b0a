"""Commands on the nodes of the service."""

from dataclasses import dataclass

from xmppd.cluster.cluster import Cluster
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.session.session_manager import SessionManager


class NodeRow(Row, frozen=True):
    """A node, as it sees itself."""

    generation: int
    sessions: int
    acts: bool
    lease_age_s: float
    complete: bool
    claims: int
    others: int


class TrafficRow(Row, frozen=True):
    """What is under way from one node to another."""

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


@dataclass(frozen=True)
class ClusterCommands:
    """The commands that show the nodes, and what they have with each other."""

    cluster: Cluster
    session_manager: SessionManager

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def status(self, context: CommandContext) -> Replies:
        """Say how this node is."""
        membership = self.cluster.membership
        yield NodeRow(
            generation=membership.id.generation,
            sessions=len(self.session_manager.sessions),
            acts=membership.speaks,
            lease_age_s=round(membership.lease_age_s, 1),
            complete=membership.complete,
            claims=sum(1 for _ in self.cluster.claims.all_mine()),
            others=len(membership.nodes),
        )

    async def links(self, context: CommandContext) -> Replies:
        """Say what is under way to each other node."""
        for traffic in self.cluster.bus.traffic():
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


COMMANDS: tuple[Declared[ClusterCommands], ...] = (
    Declared(
        Description("cluster status", "each node, as it sees itself", asks="all"),
        ClusterCommands.status,
        (NodeRow,),
    ),
    Declared(
        Description("cluster links", "what is under way between the nodes, and how", asks="all"),
        ClusterCommands.links,
        (TrafficRow,),
    ),
)
