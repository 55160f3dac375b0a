"""The tables of nodes, and the statements on them.

``owner`` is the digest of the host: an account, or the domain of a service. Whoever has a node
writes with the token of its claim, so that a later owner's changes are not undone (ST-10).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from msgspec import DecodeError, json

from xmppd.stanza import JID
from xmppd.store.claim_tokens import raise_token
from xmppd.store.errors import ChangeRefused, QuotaExceeded
from xmppd.store.many import QUERY_SIZES, chunks, one_of, owner_parameters
from xmppd.store.sql import (
    NAMES,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    Database,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    digest,
    digest_column,
    func,
    insert,
    lock_owner,
    select,
    update,
    upsert,
)

from .access import Affiliation
from .config import NodeConfig, WhenFull
from .state import Follow, FollowState, NewItem, NodeItem, NodeName, NodeState

KIND = "pubsub"
"""Of things that live once: each node does."""

LATER_THAN_ALL = 2**62
"""A position above those of all items."""

T = TypeVar("T")

metadata = MetaData(naming_convention=NAMES)
nodes = Table(
    "pubsub_nodes",
    metadata,
    digest_column("owner"),
    digest_column("node"),
    Column("host", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
    Column("creator", Text, nullable=False),
)
items = Table(
    "pubsub_items",
    metadata,
    digest_column("owner"),
    digest_column("node"),
    Column("position", BigInteger, primary_key=True),
    digest_column("item", primary_key=False),
    Column("id", Text, nullable=False),
    Column("publisher", Text, nullable=False),
    Column("published", Double, nullable=False),
    Column("expires", Double),
    Column("size", Integer, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    UniqueConstraint("owner", "node", "item"),
    Index(None, "expires"),
)
roles = Table(
    "pubsub_roles",
    metadata,
    digest_column("owner"),
    digest_column("node"),
    digest_column("who"),
    Column("jid", Text, nullable=False),
    Column("affiliation", Text, nullable=False),
    Index(None, "who"),
)
follows = Table(
    "pubsub_follows",
    metadata,
    digest_column("owner"),
    digest_column("node"),
    digest_column("follower"),
    digest_column("account", primary_key=False),
    Column("jid", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("expires", Double),
    Index(None, "account"),
    Index(None, "expires"),
)


def _of_node(table: Table) -> tuple[ColumnElement[bool], ...]:
    return (table.c.owner == bindparam("host_"), table.c.node == bindparam("node_"))


_NODE: Select[str, float, str] = select(nodes.c.config, nodes.c.created, nodes.c.creator).where(
    *_of_node(nodes)
)
_ROLES: Select[str, str] = select(roles.c.jid, roles.c.affiliation).where(*_of_node(roles))
_FOLLOWS: Select[str, str, str, float | None] = select(
    follows.c.jid, follows.c.state, follows.c.options, follows.c.expires
).where(*_of_node(follows))
_ITEM_COLUMNS = (
    items.c.position, items.c.id, items.c.publisher, items.c.published, items.c.payload,
)  # fmt: skip
_newest = items.alias("newest")
_ITEMS: Select[int, str, str, float, bytes] = select(*_ITEM_COLUMNS).where(*_of_node(items))
_BEFORE = (
    _ITEMS.where(items.c.position < bindparam("before"), items.c.position > bindparam("after"))
    .order_by(items.c.position.desc())
    .limit(bindparam("limit"))
)
_AFTER = (
    _ITEMS.where(items.c.position < bindparam("before"), items.c.position > bindparam("after"))
    .order_by(items.c.position)
    .limit(bindparam("limit"))
)
_BY_ID = {size: _ITEMS.where(one_of(items.c.item, size)) for size in QUERY_SIZES}
_COUNT: Select[int] = select(func.count()).select_from(items).where(*_of_node(items))
_NODES_OF_HOST: Select[str, str] = (
    select(nodes.c.name, nodes.c.config)
    .where(nodes.c.owner == bindparam("host_"), nodes.c.name > bindparam("after"))
    .order_by(nodes.c.name)
    .limit(bindparam("limit"))
)
_COUNT_NODES: Select[int] = (
    select(func.count()).select_from(nodes).where(nodes.c.owner == bindparam("host_"))
)
_ROLES_OF: Select[str, str] = (
    select(nodes.c.name, roles.c.affiliation)
    .join(nodes, (nodes.c.owner == roles.c.owner) & (nodes.c.node == roles.c.node))
    .where(roles.c.who == bindparam("who_"), roles.c.owner == bindparam("host_"))
    .order_by(nodes.c.name)
    .limit(bindparam("limit"))
)
_FOLLOWS_OF: Select[str, str, str, str, float | None] = (
    select(nodes.c.name, follows.c.jid, follows.c.state, follows.c.options, follows.c.expires)
    .join(nodes, (nodes.c.owner == follows.c.owner) & (nodes.c.node == follows.c.node))
    .where(follows.c.account == bindparam("who_"), follows.c.owner == bindparam("host_"))
    .order_by(nodes.c.name)
    .limit(bindparam("limit"))
)
_ENDED: Select[str, str] = (
    select(nodes.c.host, nodes.c.name)
    .join(follows, (nodes.c.owner == follows.c.owner) & (nodes.c.node == follows.c.node))
    .where(follows.c.expires < bindparam("now"))
    .distinct()
    .limit(bindparam("limit"))
)
_EXPIRED: Select[str, str] = (
    select(nodes.c.host, nodes.c.name)
    .join(items, (nodes.c.owner == items.c.owner) & (nodes.c.node == items.c.node))
    .where(items.c.expires < bindparam("now"))
    .distinct()
    .limit(bindparam("limit"))
)
_EXPIRED_ITEMS = (
    _ITEMS.where(items.c.expires < bindparam("now"))
    .order_by(items.c.position)
    .limit(bindparam("limit"))
)

_LAST_OF: dict[int, Select[str, str, str, int, str, str, float, bytes]] = {
    size: select(nodes.c.host, nodes.c.name, nodes.c.config, *_ITEM_COLUMNS)
    .join(items, (nodes.c.owner == items.c.owner) & (nodes.c.node == items.c.node))
    .where(
        one_of(nodes.c.owner, size),
        items.c.position
        == select(func.max(_newest.c.position))
        .where(_newest.c.owner == nodes.c.owner, _newest.c.node == nodes.c.node)
        .scalar_subquery(),
    )
    for size in QUERY_SIZES
}

_ADD_NODE = insert(nodes)
_SET_CONFIG = update(nodes).where(*_of_node(nodes)).values(config=bindparam("config_"))
_NEXT = (
    update(nodes)
    .where(*_of_node(nodes))
    .values(last_position=nodes.c.last_position + bindparam("count"))
    .returning(nodes.c.last_position)
)
_ADD_ITEM = insert(items)
_DROP_IDS = (
    delete(items)
    .where(*_of_node(items), items.c.item.in_(bindparam("ids", expanding=True)))
    .returning(items.c.id)
)
_DROP_ALL = tuple(delete(table).where(*_of_node(table)) for table in (items, roles, follows, nodes))
_OLDEST: Select[bytes, str] = (
    select(items.c.item, items.c.id)
    .where(*_of_node(items))
    .order_by(items.c.position)
    .limit(bindparam("limit"))
)
_SET_ROLE, _SET_FOLLOW = upsert(roles), upsert(follows)
_DROP_ROLE = delete(roles).where(*_of_node(roles), roles.c.who == bindparam("who_"))
_DROP_FOLLOW = delete(follows).where(*_of_node(follows), follows.c.follower == bindparam("who_"))


class NodeExists(ChangeRefused):
    """An error: there is a node of that name."""


class NodeFull(ChangeRefused):
    """An error: a node has as many items as it keeps, and none makes room."""


class Published(NamedTuple):
    """What publishing has done.

    Attributes:
        items: That were published, with their positions.
        gone: The ids of older ones that made room.
    """

    items: list[NodeItem]
    gone: list[str]


class PubSubStore:
    """Nodes with their items, affiliations and subscriptions.

    Args:
        database: Keeps them, in tables that the plugin has brought.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    # -- reading ----------------------------------------------------------------------------------

    async def node(self, name: NodeName) -> NodeState | None:
        """A node with its affiliations and subscriptions; None if there is none."""
        key = _key(name)
        found = await self.database.read(_NODE, key)
        if not found:
            return None
        config, created, creator = found[0]
        state = NodeState(name, _config(config), created, creator)
        for jid, affiliation in await self.database.read(_ROLES, key):
            state.affiliations[jid] = _affiliation(affiliation)
        for jid, follow_state, options, expires in await self.database.read(_FOLLOWS, key):
            state.follows[jid] = _follow(jid, follow_state, options, expires)
        return state

    async def page(
        self,
        name: NodeName,
        limit: int,
        *,
        after: int = 0,
        before: int = 2**62,
        newest: bool = True,
    ) -> list[NodeItem]:
        """Some items of a node between two positions, in their order.

        Args:
            name: Of the node.
            limit: How many at most.
            after: Those behind this position.
            before: Those before this one.
            newest: Whether the newest of them are wanted; else the oldest.
        """
        wanted = {**_key(name), "after": after, "before": before, "limit": limit}
        rows = await self.database.read(_BEFORE if newest else _AFTER, wanted)
        found = [NodeItem(*row) for row in rows]
        return found[::-1] if newest else found

    async def by_id(self, name: NodeName, ids: Collection[str]) -> dict[str, NodeItem]:
        """Those items of a node that have one of these ids."""
        found: dict[str, NodeItem] = {}
        for some in chunks(ids):
            wanted = owner_parameters(list(some))
            rows = await self.database.read(_BY_ID[len(wanted)], {**_key(name), **wanted})
            found.update((row[1], NodeItem(*row)) for row in rows)
        return found

    async def last_items(self, hosts: Iterable[str]) -> list[tuple[NodeName, NodeConfig, NodeItem]]:
        """The newest item of each node of some hosts."""
        found: list[tuple[NodeName, NodeConfig, NodeItem]] = []
        for some in chunks(hosts):
            wanted = owner_parameters(list(some))
            rows = await self.database.read(_LAST_OF[len(wanted)], wanted)
            found += [
                (NodeName(row[0], row[1]), _config(row[2]), NodeItem(*row[3:])) for row in rows
            ]
        return found

    async def count(self, name: NodeName) -> int:
        """How many items a node has."""
        ((count,),) = await self.database.read(_COUNT, _key(name))
        return count

    async def nodes(self, host: JID, limit: int, after: str = "") -> list[tuple[str, NodeConfig]]:
        """Some nodes of a host behind one of them, by name."""
        wanted = {"host_": digest(host.full), "after": after, "limit": limit}
        rows = await self.database.read(_NODES_OF_HOST, wanted)
        return [(name, _config(config)) for name, config in rows]

    async def affiliations_of(
        self, host: JID, who: JID, limit: int
    ) -> list[tuple[str, Affiliation]]:
        """What somebody is to the nodes of a host, by their names."""
        wanted = {"host_": digest(host.full), "who_": digest(who.bare), "limit": limit}
        rows = await self.database.read(_ROLES_OF, wanted)
        return [(name, _affiliation(affiliation)) for name, affiliation in rows]

    async def follows_of(self, host: JID, who: JID, limit: int) -> list[tuple[str, Follow]]:
        """The subscriptions of an account to nodes of a host, by their names."""
        wanted = {"host_": digest(host.full), "who_": digest(who.bare), "limit": limit}
        rows = await self.database.read(_FOLLOWS_OF, wanted)
        return [(name, _follow(*follow)) for name, follow in ((row[0], row[1:]) for row in rows)]

    async def overdue(self, now: float, limit: int) -> list[NodeName]:
        """Some nodes that have items or subscriptions whose time is over."""
        wanted = {"now": now, "limit": limit}
        rows = [
            *await self.database.read(_EXPIRED, wanted),
            *await self.database.read(_ENDED, wanted),
        ]
        return [NodeName(host, node) for host, node in dict.fromkeys(rows)]

    async def expired(self, name: NodeName, now: float, limit: int) -> list[NodeItem]:
        """The items of a node whose time is over."""
        wanted = {**_key(name), "now": now, "limit": limit}
        return [NodeItem(*row) for row in await self.database.read(_EXPIRED_ITEMS, wanted)]

    # -- writing ----------------------------------------------------------------------------------

    async def create(self, state: NodeState, token: int | None, *, max_nodes: int) -> None:
        """Make a node.

        Raises:
            NodeExists: There is one of this name.
            QuotaExceeded: The host has as many as it may.
        """
        name = state.name

        def change(connection: Connection) -> None:
            key = _key(name)
            lock_owner(connection, name.host)
            if connection.execute(_NODE, key).first() is not None:
                raise NodeExists(name.node)
            if connection.execute(_COUNT_NODES, {"host_": key["host_"]}).scalar_one() >= max_nodes:
                raise QuotaExceeded(f"there are {max_nodes} nodes already")
            row = {
                **_columns(name),
                "host": name.host,
                "name": name.node,
                "config": _written(state.config),
                "last_position": 0,
                "created": state.created,
                "creator": state.creator,
            }
            connection.execute(_ADD_NODE, row)
            for jid, affiliation in state.affiliations.items():
                connection.execute(_SET_ROLE.on(connection), _role_row(name, jid, affiliation))

        await self._write(name, token, change)

    async def configure(self, name: NodeName, token: int | None, config: NodeConfig) -> None:
        """Give a node another configuration."""
        row = {**_key(name), "config_": _written(config)}
        await self._write(name, token, lambda connection: connection.execute(_SET_CONFIG, row))

    async def publish(
        self,
        name: NodeName,
        token: int | None,
        publishing: Sequence[NewItem],
        *,
        most: int,
        when_full: WhenFull,
    ) -> Published:
        """Add items, or replace those of the same ids.

        Args:
            name: Of the node.
            token: Of its owner.
            publishing: In their order.
            most: How many the node keeps.
            when_full: What becomes of further ones.

        Raises:
            NodeFull: There is no room.
        """

        def change(connection: Connection) -> Published:
            key = _key(name)
            ids = [digest(each.id) for each in publishing]
            connection.execute(_DROP_IDS, {**key, "ids": ids}).all()
            spare = connection.execute(_COUNT, key).scalar_one() + len(publishing) - most
            gone: list[str] = []
            if spare > 0:
                if when_full is WhenFull.REJECT:
                    raise NodeFull(f"{name.node} has {most} items already")
                oldest = connection.execute(_OLDEST, {**key, "limit": spare}).all()
                gone = [id for _, id in oldest]
                connection.execute(_DROP_IDS, {**key, "ids": [item for item, _ in oldest]}).all()
            last: int = connection.execute(_NEXT, {**key, "count": len(publishing)}).scalar_one()
            first = last - len(publishing) + 1
            kept = [each.at(first + number) for number, each in enumerate(publishing)]
            rows = [
                {
                    **_columns(name),
                    "position": item.position,
                    "item": digest(item.id),
                    "id": item.id,
                    "publisher": item.publisher,
                    "published": item.published,
                    "expires": new.expires,
                    "size": len(item.payload),
                    "payload": item.payload,
                }
                for item, new in zip(kept, publishing, strict=True)
            ]
            connection.execute(_ADD_ITEM, rows)
            return Published(kept, gone)

        return await self._write(name, token, change)

    async def retract(self, name: NodeName, token: int | None, ids: Collection[str]) -> list[str]:
        """Remove items; returns the ids of those that there were."""
        wanted = {**_key(name), "ids": [digest(id) for id in ids]}

        def change(connection: Connection) -> list[str]:
            return [id for (id,) in connection.execute(_DROP_IDS, wanted)]

        return await self._write(name, token, change)

    async def trim(self, name: NodeName, token: int | None, most: int) -> list[str]:
        """Remove the oldest items beyond a number; returns their ids."""

        def change(connection: Connection) -> list[str]:
            key = _key(name)
            spare = connection.execute(_COUNT, key).scalar_one() - most
            if spare <= 0:
                return []
            oldest = connection.execute(_OLDEST, {**key, "limit": spare}).all()
            connection.execute(_DROP_IDS, {**key, "ids": [item for item, _ in oldest]}).all()
            return [id for _, id in oldest]

        return await self._write(name, token, change)

    async def purge(self, name: NodeName, token: int | None) -> None:
        """Remove all items."""
        await self._write(
            name, token, lambda connection: connection.execute(_DROP_ALL[0], _key(name))
        )

    async def delete(self, name: NodeName, token: int | None) -> None:
        """Remove a node with all that belongs to it."""

        def change(connection: Connection) -> None:
            for statement in _DROP_ALL:
                connection.execute(statement, _key(name))

        await self._write(name, token, change)

    async def affiliate(
        self, name: NodeName, token: int | None, changes: Mapping[str, Affiliation]
    ) -> None:
        """Change affiliations, by bare JID; NONE removes one."""

        def change(connection: Connection) -> None:
            for jid, affiliation in changes.items():
                if affiliation is Affiliation.NONE:
                    connection.execute(_DROP_ROLE, {**_key(name), "who_": digest(jid)})
                else:
                    connection.execute(_SET_ROLE.on(connection), _role_row(name, jid, affiliation))

        await self._write(name, token, change)

    async def follow(self, name: NodeName, token: int | None, changed: Sequence[Follow]) -> None:
        """Change subscriptions; those of the state NONE are removed."""

        def change(connection: Connection) -> None:
            for each in changed:
                if each.state is FollowState.NONE:
                    connection.execute(_DROP_FOLLOW, {**_key(name), "who_": digest(each.jid)})
                    continue
                row = {
                    **_columns(name),
                    "follower": digest(each.jid),
                    "account": digest(JID.prepared(each.jid).bare),
                    "jid": each.jid,
                    "state": each.state.value,
                    "options": "{}" if each.deliver else '{"deliver":false}',
                    "expires": each.expires,
                }
                connection.execute(_SET_FOLLOW.on(connection), row)

        await self._write(name, token, change)

    async def _write(
        self, name: NodeName, token: int | None, change: Callable[[Connection], T]
    ) -> T:
        def as_owner(connection: Connection) -> T:
            if token is None:
                lock_owner(connection, name.host)
            else:
                raise_token(connection, KIND, name.thing, token)
            return change(connection)

        return await self.database.write(as_owner)


def _key(name: NodeName) -> dict[str, object]:
    return {"host_": digest(name.host), "node_": digest(name.node)}


def _columns(name: NodeName) -> dict[str, object]:
    return {"owner": digest(name.host), "node": digest(name.node)}


def _role_row(name: NodeName, jid: str, affiliation: Affiliation) -> dict[str, object]:
    return {**_columns(name), "who": digest(jid), "jid": jid, "affiliation": affiliation.value}


_AFFILIATIONS = {each.value: each for each in Affiliation}
_STATES = {each.value: each for each in FollowState}
_encoder, _decoder = json.Encoder(), json.Decoder(NodeConfig)
_options_decoder = json.Decoder(dict[str, bool])


def _written(config: NodeConfig) -> str:
    return _encoder.encode(config).decode()


def _config(text: str) -> NodeConfig:
    """The configuration as it was kept; the default if it cannot be read, so that the node's items
    are not lost with it.
    """
    try:
        return _decoder.decode(text)
    except DecodeError:
        return NodeConfig(title="(its configuration was damaged)")


def _affiliation(text: str) -> Affiliation:
    """The affiliation as it was kept; none if it cannot be read."""
    return _AFFILIATIONS.get(text, Affiliation.NONE)


def _follow(jid: str, state: str, options: str, expires: float | None) -> Follow:
    """The subscription as it was kept; what cannot be read is as it is for a new one."""
    try:
        deliver = _options_decoder.decode(options).get("deliver", True)
    except DecodeError:
        deliver = True
    return Follow(jid, _STATES.get(state, FollowState.SUBSCRIBED), deliver, expires)


__all__ = ["KIND", "NodeExists", "NodeFull", "PubSubStore", "Published", "metadata"]
