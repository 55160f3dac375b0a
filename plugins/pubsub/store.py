"""Nodes with their affiliations and subscriptions, and the statements on their tables."""

from collections.abc import Mapping, Sequence

from msgspec import DecodeError, json

from xmppd.stanza import JID
from xmppd.stanza.phrases import counted
from xmppd.store.errors import QuotaExceeded
from xmppd.store.sql import (
    Connection,
    Database,
    Select,
    bindparam,
    delete,
    digest,
    func,
    insert,
    lock_owner,
    select,
    tuple_,
    update,
    upsert,
)

from .access import Affiliation
from .config import NodeConfig
from .items import PublishedItems
from .state import Follow, FollowOptions, FollowState, NodeName, NodeState
from .tables import (
    NodeExists,
    NodeWriter,
    follows,
    items,
    node_columns,
    node_key,
    nodes,
    of_node,
    read_config,
    roles,
    written,
)

_NODE: Select[str, float, str] = select(nodes.c.config, nodes.c.created, nodes.c.creator).where(
    *of_node(nodes)
)
_ROLES: Select[str, str] = select(roles.c.jid, roles.c.affiliation).where(*of_node(roles))
_FOLLOWS: Select[str, str, str, float | None] = select(
    follows.c.jid, follows.c.state, follows.c.options, follows.c.expires
).where(*of_node(follows))
_OF_HOST: Select[str, str] = (
    select(nodes.c.name, nodes.c.config)
    .where(nodes.c.owner == bindparam("host_"))
    .limit(bindparam("limit"))
)
_NODES = {
    (False, False): _OF_HOST.order_by(nodes.c.name),
    (False, True): _OF_HOST.where(nodes.c.name > bindparam("at")).order_by(nodes.c.name),
    (True, False): _OF_HOST.order_by(nodes.c.name.desc()),
    (True, True): _OF_HOST.where(nodes.c.name < bindparam("at")).order_by(nodes.c.name.desc()),
}
"""By whether they are read backwards, and from some name on."""

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
_BY_NAME = (nodes.c.host, nodes.c.name)
_FROM_THERE = tuple_(*_BY_NAME) > tuple_(bindparam("after_host"), bindparam("after_node"))
_FOLLOWED_BY: Select[str, str] = (
    select(*_BY_NAME)
    .join(follows, (nodes.c.owner == follows.c.owner) & (nodes.c.node == follows.c.node))
    .where(follows.c.account == bindparam("who_"), _FROM_THERE)
    .distinct()
    .order_by(*_BY_NAME)
    .limit(bindparam("limit"))
)
_CLOSED_TO: Select[str, str] = (
    select(*_BY_NAME)
    .join(roles, (nodes.c.owner == roles.c.owner) & (nodes.c.node == roles.c.node))
    .where(
        roles.c.who == bindparam("who_"),
        (roles.c.affiliation == Affiliation.OUTCAST.value)
        | (roles.c.affiliation == Affiliation.PUBLISH_ONLY.value),
    )
)
_KNOWN_TO: Select[str, str] = (
    select(*_BY_NAME)
    .join(roles, (nodes.c.owner == roles.c.owner) & (nodes.c.node == roles.c.node))
    .where(roles.c.who == bindparam("who_"), _FROM_THERE)
    .order_by(*_BY_NAME)
    .limit(bindparam("limit"))
)
_PENDING: Select[str] = (
    select(nodes.c.name)
    .join(follows, (nodes.c.owner == follows.c.owner) & (nodes.c.node == follows.c.node))
    .where(follows.c.owner == bindparam("host_"), follows.c.state == FollowState.PENDING.value)
    .distinct()
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

_ADD_NODE = insert(nodes)
_SET_CONFIG = update(nodes).where(*of_node(nodes)).values(config=bindparam("config_"))
_DROP_ALL = tuple(delete(table).where(*of_node(table)) for table in (items, roles, follows, nodes))
_SET_ROLE, _SET_FOLLOW = upsert(roles), upsert(follows)
_DROP_ROLE = delete(roles).where(*of_node(roles), roles.c.who == bindparam("who_"))
_DROP_FOLLOW = delete(follows).where(*of_node(follows), follows.c.follower == bindparam("who_"))


class PubSubStore:
    """Nodes with their items, affiliations and subscriptions.

    Args:
        database: Keeps them, in tables that the plugin has brought.

    Attributes:
        items: What was published at them.
        writer: Writes them.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.writer = NodeWriter(database)
        self.items = PublishedItems(database, self.writer)

    # -- reading ----------------------------------------------------------------------------------

    async def node(self, name: NodeName) -> NodeState | None:
        """A node with its affiliations and subscriptions; None if there is none."""
        key = node_key(name)
        found = await self.database.read(_NODE, key)
        if not found:
            return None
        config, created, creator = found[0]
        state = NodeState(name, read_config(config), created, creator)
        for jid, affiliation in await self.database.read(_ROLES, key):
            state.affiliations[jid] = _affiliation(affiliation)
        for jid, follow_state, options, expires in await self.database.read(_FOLLOWS, key):
            state.follows[jid] = _follow(jid, follow_state, options, expires)
        return state

    async def nodes(
        self, host: JID, limit: int, at: str = "", *, backwards: bool = False
    ) -> list[tuple[str, NodeConfig]]:
        """Some nodes of a host by their names.

        Args:
            host: Has them.
            limit: How many at most.
            at: Those behind this name; all without one.
            backwards: Those before it, the last one first.
        """
        wanted: dict[str, object] = {"host_": digest(host.full), "limit": limit}
        if at:
            wanted["at"] = at
        rows = await self.database.read(_NODES[backwards, bool(at)], wanted)
        return [(name, read_config(config)) for name, config in rows]

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

    async def followed_by(self, who: JID, limit: int, after: NodeName) -> list[NodeName]:
        """Some nodes to which an account has subscriptions, behind one of them."""
        return await self._of(_FOLLOWED_BY, who, limit, after)

    async def known_to(self, who: JID, limit: int, after: NodeName) -> list[NodeName]:
        """Some nodes to which an account is something, behind one of them."""
        return await self._of(_KNOWN_TO, who, limit, after)

    async def closed_to(self, who: JID) -> set[NodeName]:
        """The nodes that somebody may not read by what they are to them."""
        rows = await self.database.read(_CLOSED_TO, {"who_": digest(who.bare)})
        return {NodeName(host, node) for host, node in rows}

    async def _of(
        self, query: Select[str, str], who: JID, limit: int, after: NodeName
    ) -> list[NodeName]:
        wanted = {
            "who_": digest(who.bare),
            "limit": limit,
            "after_host": after.host,
            "after_node": after.node,
        }
        return [NodeName(host, node) for host, node in await self.database.read(query, wanted)]

    async def pending(self, host: JID, limit: int) -> list[str]:
        """The names of some nodes of a host whose owners have yet to approve subscriptions."""
        wanted = {"host_": digest(host.full), "limit": limit}
        return [name for (name,) in await self.database.read(_PENDING, wanted)]

    async def overdue(self, now: float, limit: int) -> list[NodeName]:
        """Some nodes that have items or subscriptions whose time is over."""
        wanted = {"now": now, "limit": limit}
        rows = [
            *await self.database.read(_EXPIRED, wanted),
            *await self.database.read(_ENDED, wanted),
        ]
        return [NodeName(host, node) for host, node in dict.fromkeys(rows)]

    # -- writing ----------------------------------------------------------------------------------

    async def create(self, state: NodeState, token: int | None, *, max_nodes: int) -> None:
        """Make a node.

        Raises:
            NodeExists: There is one of this name.
            QuotaExceeded: The host has as many as it may.
        """
        name = state.name

        def change(connection: Connection) -> None:
            key = node_key(name)
            lock_owner(connection, name.host)
            if connection.execute(_NODE, key).first() is not None:
                raise NodeExists(name.node)
            if connection.execute(_COUNT_NODES, {"host_": key["host_"]}).scalar_one() >= max_nodes:
                raise QuotaExceeded(f"the limit of {counted(max_nodes, 'node')} is reached")
            row = {
                **node_columns(name),
                "host": name.host,
                "name": name.node,
                "config": written(state.config),
                "last_position": 0,
                "item_count": 0,
                "item_bytes": 0,
                "created": state.created,
                "creator": state.creator,
            }
            connection.execute(_ADD_NODE, row)
            for jid, affiliation in state.affiliations.items():
                connection.execute(_SET_ROLE.on(connection), _role_row(name, jid, affiliation))

        await self.writer.write(name, token, change)

    async def configure(self, name: NodeName, token: int | None, config: NodeConfig) -> None:
        """Give a node another configuration."""
        row = {**node_key(name), "config_": written(config)}
        await self.writer.write(
            name, token, lambda connection: connection.execute(_SET_CONFIG, row)
        )

    async def delete(self, name: NodeName, token: int | None) -> None:
        """Remove a node with all that belongs to it."""

        def change(connection: Connection) -> None:
            for statement in _DROP_ALL:
                connection.execute(statement, node_key(name))

        await self.writer.write(name, token, change)

    async def affiliate(
        self, name: NodeName, token: int | None, changes: Mapping[str, Affiliation]
    ) -> None:
        """Change affiliations, by bare JID; NONE removes one."""

        def change(connection: Connection) -> None:
            for jid, affiliation in changes.items():
                if affiliation is Affiliation.NONE:
                    connection.execute(_DROP_ROLE, {**node_key(name), "who_": digest(jid)})
                else:
                    connection.execute(_SET_ROLE.on(connection), _role_row(name, jid, affiliation))

        await self.writer.write(name, token, change)

    async def follow(self, name: NodeName, token: int | None, changed: Sequence[Follow]) -> None:
        """Change subscriptions; those of the state NONE are removed."""

        def change(connection: Connection) -> None:
            for each in changed:
                if each.state is FollowState.NONE:
                    connection.execute(_DROP_FOLLOW, {**node_key(name), "who_": digest(each.jid)})
                    continue
                row = {
                    **node_columns(name),
                    "follower": digest(each.jid),
                    "account": digest(JID.prepared(each.jid).bare),
                    "jid": each.jid,
                    "state": each.state.value,
                    "options": _encoder.encode(each.options).decode(),
                    "expires": each.expires,
                }
                connection.execute(_SET_FOLLOW.on(connection), row)

        await self.writer.write(name, token, change)


def _role_row(name: NodeName, jid: str, affiliation: Affiliation) -> dict[str, object]:
    return {**node_columns(name), "who": digest(jid), "jid": jid, "affiliation": affiliation.value}


_AFFILIATIONS = {each.value: each for each in Affiliation}
_STATES = {each.value: each for each in FollowState}
_encoder, _options_decoder = json.Encoder(), json.Decoder(FollowOptions)


def _affiliation(text: str) -> Affiliation:
    """The affiliation as it was kept; none if it cannot be read."""
    return _AFFILIATIONS.get(text, Affiliation.NONE)


def _follow(jid: str, state: str, options: str, expires: float | None) -> Follow:
    """The subscription as it was kept; what cannot be read is as it is for a new one."""
    try:
        wanted = _options_decoder.decode(options)
    except DecodeError:
        wanted = FollowOptions()
    return Follow(jid, _STATES.get(state, FollowState.SUBSCRIBED), wanted, expires)


__all__ = ["PubSubStore"]
