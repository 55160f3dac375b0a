"""The tables of nodes.

``owner`` is the digest of the host: an account, or the domain of a service. Whoever has a node
writes with the token of its claim, so that a later owner's changes are not undone (ST-10).
"""

from collections.abc import Callable
from typing import TypeVar

from msgspec import DecodeError, json

from xmppd.store.claim_tokens import raise_token
from xmppd.store.errors import ChangeRefused
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
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    digest,
    digest_column,
    lock_owner,
    text,
)

from .config import NodeConfig
from .state import NodeName

KIND = "pubsub"
"""Of things that live once: each node does."""

T = TypeVar("T")

metadata = MetaData(naming_convention=NAMES)


def _expiry() -> Index:
    """An index of the rows that expire: few do, and to write the others is not to cost more."""
    some = text("expires IS NOT NULL")
    return Index(None, "expires", sqlite_where=some, postgresql_where=some)


nodes = Table(
    "pubsub_nodes",
    metadata,
    digest_column("owner"),
    digest_column("node"),
    Column("host", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("config", Text, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("item_count", BigInteger, nullable=False),
    Column("item_bytes", BigInteger, nullable=False),
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
    _expiry(),
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
    _expiry(),
    Index(None, "owner", "state"),
)


class NodeExists(ChangeRefused):
    """An error: there is a node of that name."""


class NodeFull(ChangeRefused):
    """An error: a node has as many items as it keeps, and none makes room."""


def of_node(table: Table) -> tuple[ColumnElement[bool], ...]:
    """Whether a row belongs to the node of :func:`node_key`."""
    return (table.c.owner == bindparam("host_"), table.c.node == bindparam("node_"))


def node_key(name: NodeName) -> dict[str, object]:
    """The parameters of :func:`of_node`."""
    return {"host_": digest(name.host), "node_": digest(name.node)}


def node_columns(name: NodeName) -> dict[str, object]:
    """The columns of a row that say which node it belongs to."""
    return {"owner": digest(name.host), "node": digest(name.node)}


_encoder, _decoder = json.Encoder(), json.Decoder(NodeConfig)


def written(config: NodeConfig) -> str:
    """A configuration as it is kept."""
    return _encoder.encode(config).decode()


def read_config(text: str) -> NodeConfig:
    """The configuration as it was kept; the default if it cannot be read, so that the node's items
    are not lost with it.
    """
    try:
        return _decoder.decode(text)
    except DecodeError:
        return NodeConfig(title="(its configuration was damaged)")


class NodeWriter:
    """Writes what changes in nodes.

    Args:
        database: Keeps them.

    Attributes:
        written: Called with the name of a node when something in it was written, or may have been.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.written: list[Callable[[NodeName], None]] = []

    async def write(
        self, name: NodeName, token: int | None, change: Callable[[Connection], T]
    ) -> T:
        """Change something in a node; returns what the change returns.

        Args:
            name: Of the node.
            token: Of its owner; None for a node that is served everywhere, whose host is locked.
            change: Is called in a thread.

        Raises:
            Deposed: Somebody else has it by now (ST-10).
        """

        def as_owner(connection: Connection) -> T:
            if token is None:
                lock_owner(connection, name.host)
            else:
                raise_token(connection, KIND, name.thing, token)
            return change(connection)

        try:
            return await self.database.write(as_owner)
        finally:
            for tell in self.written:
                tell(name)


__all__ = [
    "KIND",
    "NodeExists",
    "NodeFull",
    "NodeWriter",
    "follows",
    "items",
    "metadata",
    "node_columns",
    "node_key",
    "nodes",
    "of_node",
    "read_config",
    "roles",
    "written",
]
