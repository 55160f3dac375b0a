"""The command on components, and on services inside the server."""

from dataclasses import dataclass

from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.reply import Replies, Row
from xmppd.components.component_route import ComponentRoute
from xmppd.ctl.declared import Declared
from xmppd.routing.routing_table import RoutingTable


class ComponentRow(Row, frozen=True):
    """A domain whose stanzas a component gets, or a service inside the server.

    Attributes:
        kind: ``component`` or ``service``.
        state: ``connected``, or ``absent``: stanzas that are sent to it are then returned with an
            error.
        connections: Those at this node.
        max_connections: The limit ``max_connections``, which holds for all nodes together; null for
            services inside the server.
        queued_stanzas: Stanzas that wait because the component reads slowly.
    """

    least = ("addresses", "queued_bytes", "max_connections")

    domain: str
    kind: str
    state: str
    connections: int
    max_connections: int | None
    queued_stanzas: int
    queued_bytes: int
    addresses: list[str]


@dataclass(frozen=True)
class ComponentCommands:
    """The command that lists them."""

    routing_table: RoutingTable

    def commands(self) -> list[Command]:
        """All of them."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List them, by their domains."""
        for domain, route in sorted(self.routing_table.components.items()):
            if isinstance(route, ComponentRoute):
                yield _row(route)
            else:
                yield ComponentRow(domain, "service", "connected", 0, None, 0, 0, [])


def _row(route: ComponentRoute) -> ComponentRow:
    sessions = route.sessions
    loads = [session.backlog.load for session in sessions if session.backlog is not None]
    return ComponentRow(
        domain=route.jid.domain,
        kind="component",
        state="connected" if route.count else "absent",
        connections=len(sessions),
        max_connections=route.max_connections,
        queued_stanzas=sum(load.stanzas for load in loads),
        queued_bytes=sum(load.bytes for load in loads),
        addresses=sorted({session.connection.address for session in sessions}),
    )


COMMANDS: tuple[Declared[ComponentCommands], ...] = (
    Declared(
        Description(
            "component list",
            "list components and services, and which components are connected",
            asks="all",
            empty="there is no component",
        ),
        ComponentCommands.list_all,
        (ComponentRow,),
    ),
)
