"""Export and import of what accounts publish (:xep:`0227`): nodes with all that they have."""

from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

import msgspec

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, FileName, why_unread
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies
from xmppd.migration.user_data import UserData
from xmppd.stanza import JID, Condition, StanzaError, Tree, dump, escape, qname
from xmppd.stanza.form import DATA
from xmppd.stanza.xml import read, write
from xmppd.stanza.xml_file import elements_of
from xmppd.store.errors import QuotaExceeded

from . import events
from .access import Affiliation
from .config import WhenFull
from .engine import Engine
from .names import NS, OWNER
from .nodes import Host, kept
from .state import Follow, NewItem, NodeItem, NodeName, NodeState
from .tables import NodeExists

ITEMS_PER_PAGE = 100
PAGE_BYTES = 1 << 20
PIE = "urn:xmpp:pie:0"

ACCOUNT = Argument("account", "the account", AccountName())
EXPORT = Description(
    "pubsub export",
    "export an account's nodes and items as XML (XEP-0227); administrators can do this only on "
    "the server's own machine",
    (ACCOUNT,),
    who="owner",
    answers="document",
    area="content",
)
IMPORT = Description(
    "pubsub import",
    "import nodes and items that another server exported (XEP-0227), from a file on this "
    "machine; sends no notifications, and keeps existing items",
    (ACCOUNT, Argument("file", "a file that the server can read", FileName())),
    effect="changes",
    area="data",
)


class NodeExchange:
    """Writes what accounts publish, and takes it in.

    Args:
        engine: Knows the nodes.
    """

    def __init__(self, engine: Engine) -> None:
        self.nodes = engine.nodes
        self.store = engine.store

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [Command(EXPORT, self.export), Command(IMPORT, self.bring_in)]

    # -- writing ----------------------------------------------------------------------------------

    async def export(self, context: CommandContext) -> Replies:
        """Write it: how each node is, and what is in it."""
        account = context.arguments.jid("account")
        if context.actor.jid is not None and not context.actor.owns(account):
            raise Refused("you may not read what others published", Condition.FORBIDDEN)
        yield (
            f"<server-data xmlns='{PIE}'><host jid='{escape(account.domain)}'>"
            f"<user name='{escape(account.local or '')}'>"
        )
        async for line in self.written(account):
            yield line
        yield "</user></host></server-data>"

    async def written(self, account: JID) -> AsyncIterator[str]:
        """How each node of an account is, and what is in it."""
        host = self._host(account)
        names = [name for name, _ in await self.store.nodes(account, host.max_nodes)]
        yield f"<pubsub xmlns='{OWNER}'>"
        for name in names:
            state = await self.store.node(NodeName(account.bare, name))
            if state is not None:
                yield _described(host, state)
        yield f"</pubsub><pubsub xmlns='{NS}'>"
        for name in names:
            yield f"<items node='{escape(name)}'>"
            async for item in self._items(NodeName(account.bare, name)):
                yield events.item_element(item, publisher=True).decode()
            yield "</items>"
        yield "</pubsub>"

    async def _items(self, name: NodeName) -> AsyncIterator[NodeItem]:
        """All items of a node, the oldest first."""
        after = 0
        while page := await self.store.items.page(
            name, ITEMS_PER_PAGE, room_bytes=PAGE_BYTES, after=after, newest=False
        ):
            for item in page:
                # As it is written after a move, so that going on from there changes nothing.
                payload = write(read(item.payload)) if item.payload else b""
                yield msgspec.structs.replace(item, payload=payload)
            after = page[-1].position

    def _host(self, account: JID) -> Host:
        try:
            return self.nodes.host(account.bare)
        except StanzaError as error:
            raise Refused(f"{account} has no nodes", Condition.ITEM_NOT_FOUND) from error

    # -- reading ----------------------------------------------------------------------------------

    async def bring_in(self, context: CommandContext) -> Replies:
        """Add what a file has, and say how much that was."""
        account = context.arguments.jid("account")
        host, made, added = self._host(account), 0, 0
        try:
            for node, tree in read_nodes(Path(context.arguments.text("file"))):
                is_item = tree.tag == qname(NS, "item")
                done = await self.take(host, NodeName(account.bare, node), tree)
                made, added = made + (done and not is_item), added + (done and is_item)
        except (OSError, ValueError, QuotaExceeded) as error:
            said = f"nodes created: {made}, items added: {added}"
            raise Refused(f"{why_unread(error)}; {said}") from error
        finally:
            self.nodes.forget_host(account.to_bare())
        yield f"nodes created: {made}, items added: {added}"

    async def take(self, host: Host, name: NodeName, tree: Tree) -> bool:
        """Take something of a node; whether that made the node, or added an item.

        Raises:
            ValueError: It cannot be so.
            QuotaExceeded: There is no room.
        """
        if tree.tag == qname(NS, "item"):
            return await self._take_item(host, name, tree)
        if tree.tag == qname(OWNER, "configure"):
            return await self._take_node(host, name, tree)
        await self._take_people(name, tree)
        return False

    async def _take_node(self, host: Host, name: NodeName, tree: Tree) -> bool:
        config, form = host.defaults(name.node), tree.find(qname(DATA, "x"))
        try:
            if form is not None:
                config = host.form.filled(config, form)
            host.check_config(name.node, config)
        except StanzaError as error:
            raise ValueError(f"node {name.node} was refused: {error.text or error}") from error
        state = NodeState(name, config, self.nodes.now(), name.host)
        state.affiliations[name.host] = Affiliation.OWNER
        try:
            await self.store.create(state, None, max_nodes=host.max_nodes)
        except NodeExists:
            return False
        return True

    async def _take_people(self, name: NodeName, tree: Tree) -> None:
        """Take affiliations and subscriptions; words that nobody knows are none."""
        words = {each.value: each for each in Affiliation}
        roles = {}
        follows = []
        for each in tree:
            jid = JID.parse(each.get("jid") or "")
            if each.get("affiliation") in words:
                roles[jid.bare] = words[each.get("affiliation") or ""]
            elif each.get("subscription") == "subscribed":
                follows.append(Follow(jid.full))
        await self.store.affiliate(name, None, roles)
        await self.store.follow(name, None, follows)

    async def _take_item(self, host: Host, name: NodeName, tree: Tree) -> bool:
        state, id = await self.store.node(name), tree.get("id") or ""
        if state is None or not id or await self.store.items.heads_by_id(name, (id,)):
            return False
        payload = write(tree[0]) if len(tree) else b""
        item = NewItem(id, tree.get("publisher") or name.host, self.nodes.now(), payload)
        await self.store.items.publish(
            name,
            None,
            [item],
            most=kept(host, state.config),
            when_full=WhenFull.DISCARD_OLDEST,
            host_bytes=host.max_bytes,
        )
        return True


class NodeData(UserData):
    """What whoever moves has published.

    Args:
        exchange: Writes it, and takes it in.
    """

    tags = (qname(NS, "pubsub"), qname(OWNER, "pubsub"))

    def __init__(self, exchange: NodeExchange) -> None:
        self._exchange = exchange

    async def written(self, account: JID) -> AsyncIterator[bytes]:
        """All nodes, if accounts have any."""
        try:
            async for line in self._exchange.written(account):
                yield line.encode()
        except Refused:
            return
        yield b"\n"

    async def take(self, account: JID, tree: Tree) -> Collection[str]:
        """Make nodes, or add items to them; what cannot be so is left out."""
        exchange, left_out = self._exchange, []
        try:
            host = exchange.nodes.host(account.bare)
        except StanzaError as error:
            raise ValueError("accounts have no nodes here; load plugin pep") from error
        try:
            for node, each in _of_nodes(tree):
                name = NodeName(account.bare, node)
                try:
                    is_new = await exchange.take(host, name, each)
                except (ValueError, QuotaExceeded, StanzaError) as error:
                    left_out.append(f"{node}: {error}")
                    continue
                if not is_new and each.tag == qname(NS, "item"):
                    left_out.append(
                        f"skipped an item of {node}: no such node, or it has the item already"
                    )
        finally:
            exchange.nodes.forget_host(account.to_bare())
        return left_out


def _of_nodes(tree: Tree) -> Iterator[tuple[str, Tree]]:
    """What there is of nodes in an element, each with the name of its node."""
    for each in tree:
        if each.tag == qname(NS, "items"):
            for item in each:
                yield each.get("node") or "", item
        else:
            yield each.get("node") or "", each


def _described(host: Host, state: NodeState) -> str:
    """How a node is, and who has to do with it."""
    of = f"node='{escape(state.name.node)}'"
    form = dump(host.form.form(state.config)).decode()
    roles = "".join(
        f"<affiliation jid='{escape(jid)}' affiliation='{each.value}'/>"
        for jid, each in state.affiliations.items()
    )
    follows = "".join(
        f"<subscription jid='{escape(each.jid)}' subscription='{each.state.value}'/>"
        for each in state.follows.values()
    )
    return (
        f"<configure {of}>{form}</configure><affiliations {of}>{roles}</affiliations>"
        f"<subscriptions {of}>{follows}</subscriptions>"
    )


def read_nodes(path: Path) -> Iterator[tuple[str, Tree]]:
    """What a file says of nodes, in its order: each with the name of its node.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no XML.
    """
    inside = [qname(OWNER, each) for each in ("configure", "affiliations", "subscriptions")]
    for element, around in elements_of(path):
        if element.tag == qname(NS, "item") and around.tag == qname(NS, "items"):
            yield around.get("node") or "", element
            around.remove(element)
        elif element.tag in inside:
            yield element.get("node") or "", element
            around.remove(element)


__all__ = ["NodeData", "NodeExchange", "read_nodes"]
