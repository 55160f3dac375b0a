"""Commands about the nodes of services."""

from collections.abc import Awaitable, Callable

from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Address, Number
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza import JID, Condition, StanzaError, child, element
from xmppd.stanza.date_time import date_time

from .listing import MAX_LISTED
from .names import OWNER
from .requests import PubSubRequests
from .state import NodeName, NodeState

NOT_FOUND = Condition.ITEM_NOT_FOUND
USUAL_ITEMS = 50

SERVICE = Argument("service", "such as pubsub.example.org", Address())
NODE = Argument("node", "the node's name")
LIST = Description(
    "pubsub nodes",
    "list the nodes of a service",
    (SERVICE,),
    area="data",
    empty="no nodes exist there",
)
SHOW = Description("pubsub config", "show a node's configuration", (SERVICE, NODE), area="data")
ITEMS = Description(
    "pubsub items",
    "list the newest items of a node",
    (SERVICE, NODE, Argument("--most", "how many", Number(1, MAX_LISTED))),
    area="content",
    empty="the node has no items",
)
DELETE = Description(
    "pubsub delete",
    "delete a node, with all its items",
    (SERVICE, NODE, DRY_RUN),
    effect="ends",
    area="data",
)


class PubSubNodeRow(Row, frozen=True):
    """A node."""

    node: str
    title: str
    access: str
    items: int
    subscriptions: int
    owners: list[str]


class ItemRow(Row, frozen=True):
    """An item."""

    id: str
    by: str
    at: str
    size_bytes: int


class ConfigRow(Row, frozen=True):
    """A field of a node's configuration."""

    field: str
    value: str


class PubSubCommands:
    """The commands.

    Args:
        requests: Do what is asked of nodes.
        exists: Whether there is an account of a bare JID.
    """

    def __init__(self, requests: PubSubRequests, exists: Callable[[str], Awaitable[bool]]) -> None:
        self.requests = requests
        self.exists = exists
        self.store = requests.store
        self.served = requests.engine.nodes

    def commands(self) -> list[Command]:
        """All of them."""
        return [
            Command(LIST, self.nodes, (PubSubNodeRow,)),
            Command(SHOW, self.config, (ConfigRow,)),
            Command(ITEMS, self.items, (ItemRow,)),
            Command(DELETE, self.delete),
        ]

    async def nodes(self, context: CommandContext) -> Replies:
        """A row for each node."""
        host, after, found = self._service(context), "", False
        while page := await self.store.nodes(host, MAX_LISTED, after):
            found = True
            for node, config in page:
                state = await self.store.node(NodeName(host.full, node))
                if state is not None:
                    yield PubSubNodeRow(
                        node,
                        config.title,
                        config.access_model.value,
                        (await self.store.items.totals(state.name)).items,
                        len(state.follows),
                        state.owners,
                    )
            after = page[-1][0]
        if not found and host.local and not await self.exists(host.bare):
            raise Refused(f"{host} does not exist", NOT_FOUND)

    async def config(self, context: CommandContext) -> Replies:
        """A row for each field."""
        state = await self._node(context)
        for field in self.served.host(state.name.host).form.fields.values():
            line = field.field(state.config)
            yield ConfigRow(line.var, ", ".join(line.values))

    async def items(self, context: CommandContext) -> Replies:
        """A row for each item."""
        name = (await self._node(context)).name
        most = context.arguments.number("most", USUAL_ITEMS)
        for item in await self.store.items.heads(name, most):
            yield ItemRow(item.id, item.publisher, date_time(item.published), item.size)

    async def delete(self, context: CommandContext) -> Replies:
        """Delete it, in the name of the service."""
        name = (await self._node(context)).name
        host = JID.prepared(name.host)
        if context.dry_run:
            count = (await self.store.items.totals(name)).items
            yield f"node {name.node} of {host} would be deleted; number of its items: {count}"
            return
        query = element(OWNER, "pubsub")
        child(query, "delete", node=name.node)
        try:
            await self.requests.ask(host, host, "set", query)
        except StanzaError as error:
            raise Refused(error.text or error.condition.tag, error.condition) from error
        yield f"node {name.node} of {host} was deleted"

    def _service(self, context: CommandContext) -> JID:
        jid = context.arguments.jid("service")
        try:
            return self.served.host(jid.full).jid
        except StanzaError as error:
            known = ", ".join(self.served.hosts)
            raise Refused(f"{jid} is not a PubSub service; use {known}", NOT_FOUND) from error

    async def _node(self, context: CommandContext) -> NodeState:
        name = NodeName(self._service(context).full, context.arguments.text("node"))
        state = await self.store.node(name)
        if state is None:
            raise Refused(f"{name.host} has no node {name.node}", NOT_FOUND)
        return state


__all__ = ["PubSubCommands"]
