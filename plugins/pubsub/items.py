"""The items of nodes, in the order in which they were published."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from xmppd.stanza.phrases import counted
from xmppd.store.errors import QuotaExceeded
from xmppd.store.many import QUERY_SIZES, chunks, one_of, owner_parameters
from xmppd.store.sql import (
    BigInteger,
    Connection,
    Database,
    Prepared,
    Select,
    bindparam,
    delete,
    digest,
    func,
    insert,
    select,
    update,
)

from .config import NodeConfig, WhenFull
from .state import ItemHead, NewItem, NodeItem, NodeName
from .tables import (
    NodeFull,
    NodeWriter,
    items,
    node_key,
    nodes,
    of_node,
    read_config,
)

LATER_THAN_ALL = 2**62
"""A position above those of all items."""

_ROW = (items.c.position, items.c.id, items.c.publisher, items.c.published, items.c.payload)
_HEAD = (items.c.position, items.c.id, items.c.publisher, items.c.published, items.c.size)
_NEW = ("position", "publisher", "published", "expires", "size", "payload")
"""The columns of an item that are others in one that takes its place."""

_BETWEEN = (items.c.position < bindparam("before"), items.c.position > bindparam("after"))
_ITEMS: Select[int, str, str, float, bytes] = select(*_ROW).where(*of_node(items))
_HEADS: Select[int, str, str, float, int] = select(*_HEAD).where(*of_node(items))


def _page(*, newest: bool) -> Select[int, str, str, float, bytes]:
    """The statement that reads items from one end."""
    order = items.c.position.desc() if newest else items.c.position
    return _ITEMS.where(*_BETWEEN).order_by(order).limit(bindparam("limit"))


def _fitting_page(*, newest: bool) -> Select[int, str, str, float, bytes]:
    """The same for no more payloads than there is room for: sizes are added up first, so that what
    is left out is not read.
    """
    position = items.c.position
    some = (
        select(position, items.c.size)
        .where(*of_node(items), *_BETWEEN)
        .order_by(position.desc() if newest else position)
        .limit(bindparam("limit"))
        .subquery()
    )
    order = some.c.position.desc() if newest else some.c.position
    total = func.sum(some.c.size).over(order_by=order)
    summed = select(some.c.position, some.c.size, total.label("total")).subquery()
    fits = (summed.c.total <= bindparam("room", type_=BigInteger)) | (
        summed.c.total == summed.c.size
    )
    end = func.min(summed.c.position) if newest else func.max(summed.c.position)
    last = select(end).where(fits).scalar_subquery()
    within = position >= last if newest else position <= last
    return _ITEMS.where(*_BETWEEN, within).order_by(position.desc() if newest else position)


_PAGE = {newest: _page(newest=newest) for newest in (True, False)}
_FITTING_PAGE = {newest: _fitting_page(newest=newest) for newest in (True, False)}
_HEAD_PAGE = {
    newest: _HEADS.where(*_BETWEEN)
    .order_by(items.c.position.desc() if newest else items.c.position)
    .limit(bindparam("limit"))
    for newest in (True, False)
}
_BY_ID = {size: _ITEMS.where(one_of(items.c.item, size)) for size in QUERY_SIZES}
_HEADS_BY_ID = {size: _HEADS.where(one_of(items.c.item, size)) for size in QUERY_SIZES}
_TOTALS: Select[int, int] = select(nodes.c.item_count, nodes.c.item_bytes).where(*of_node(nodes))
_EXPIRED: Select[str] = (
    select(items.c.id)
    .where(*of_node(items), items.c.expires < bindparam("now"))
    .order_by(items.c.position)
    .limit(bindparam("limit"))
)
_newest = items.alias("newest")
_LAST_OF: dict[tuple[int, int], Select[str, str, str, int, str, str, float, bytes]] = {
    (hosts, names): select(nodes.c.host, nodes.c.name, nodes.c.config, *_ROW)
    .join(items, (nodes.c.owner == items.c.owner) & (nodes.c.node == items.c.node))
    .where(
        one_of(nodes.c.owner, hosts),
        one_of(nodes.c.node, names, "node"),
        items.c.position
        == select(func.max(_newest.c.position))
        .where(_newest.c.owner == nodes.c.owner, _newest.c.node == nodes.c.node)
        .scalar_subquery(),
    )
    for hosts in QUERY_SIZES
    for names in QUERY_SIZES
}

_COUNT_ON: Prepared[int, int] = Prepared(
    update(nodes)
    .where(*of_node(nodes))
    .values(
        last_position=nodes.c.last_position + bindparam("new"),
        item_count=nodes.c.item_count + bindparam("more"),
        item_bytes=nodes.c.item_bytes + bindparam("more_bytes"),
    )
    .returning(nodes.c.last_position, nodes.c.item_count)
)
_HOST_BYTES: Prepared[int] = Prepared(
    select(func.sum(nodes.c.item_bytes)).where(nodes.c.owner == bindparam("host_"))
)
_SIZES = select(items.c.item, items.c.size).where(*of_node(items))
_SIZE_OF_ONE: Prepared[bytes, int] = Prepared(_SIZES.where(items.c.item == bindparam("item_")))
_SIZES_OF_SOME = _SIZES.where(items.c.item.in_(bindparam("ids", expanding=True)))
_ADD: Prepared[()] = Prepared(
    insert(items).values(
        owner=bindparam("host_"),
        node=bindparam("node_"),
        item=bindparam("item_"),
        id=bindparam("id_"),
        **{name: bindparam(name) for name in _NEW},
    )
)
_REPLACE: Prepared[()] = Prepared(
    update(items)
    .where(*of_node(items), items.c.item == bindparam("item_"))
    .values({name: bindparam(name) for name in _NEW})
)
_DROP = delete(items).where(*of_node(items)).returning(items.c.id, items.c.size)
_DROP_ONE: Prepared[str, int] = Prepared(_DROP.where(items.c.item == bindparam("item_")))
_DROP_SOME = _DROP.where(items.c.item.in_(bindparam("ids", expanding=True)))
_DROP_ALL = delete(items).where(*of_node(items))
_NOTHING_LEFT = update(nodes).where(*of_node(nodes)).values(item_count=0, item_bytes=0)
_OLDEST: Prepared[bytes, str] = Prepared(
    select(items.c.item, items.c.id)
    .where(*of_node(items))
    .order_by(items.c.position)
    .limit(bindparam("limit"))
)


class NodeTotals(NamedTuple):
    """What a node has.

    Attributes:
        items: How many.
        bytes: How large they are together (:attr:`~.state.NewItem.size`).
    """

    items: int
    bytes: int


class Published(NamedTuple):
    """What publishing has done.

    Attributes:
        items: That were published, with their positions.
        gone: The ids of older ones that made room.
    """

    items: list[NodeItem]
    gone: list[str]


@dataclass(frozen=True)
class PublishedItems:
    """The items of all nodes.

    Attributes:
        database: Keeps them.
        writer: Writes them.
    """

    database: Database
    writer: NodeWriter

    # -- reading ----------------------------------------------------------------------------------

    async def page(
        self,
        name: NodeName,
        limit: int,
        *,
        room_bytes: int | None = None,
        after: int = 0,
        before: int = LATER_THAN_ALL,
        newest: bool = True,
    ) -> list[NodeItem]:
        """Some items of a node between two positions, in their order.

        Args:
            name: Of the node.
            limit: How many at most.
            room_bytes: How large they may be together; the first one is there whatever its size.
                None: they may be as large as they are.
            after: Those behind this position.
            before: Those before this one.
            newest: Whether the newest of them are wanted; else the oldest.
        """
        wanted = {**node_key(name), "after": after, "before": before, "limit": limit}
        statement = _PAGE[newest]
        if room_bytes is not None:
            statement = _FITTING_PAGE[newest]
            wanted["room"] = room_bytes
        found = [NodeItem(*row) for row in await self.database.read(statement, wanted)]
        return found[::-1] if newest else found

    async def heads(
        self,
        name: NodeName,
        limit: int,
        *,
        after: int = 0,
        before: int = LATER_THAN_ALL,
        newest: bool = True,
    ) -> list[ItemHead]:
        """The same as :meth:`page`, without what is in the items."""
        wanted = {**node_key(name), "after": after, "before": before, "limit": limit}
        found = [ItemHead(*row) for row in await self.database.read(_HEAD_PAGE[newest], wanted)]
        return found[::-1] if newest else found

    async def by_id(self, name: NodeName, ids: Collection[str]) -> dict[str, NodeItem]:
        """Those items of a node that have one of these ids."""
        found: dict[str, NodeItem] = {}
        for some in chunks(ids):
            wanted = owner_parameters(list(some))
            rows = await self.database.read(_BY_ID[len(wanted)], {**node_key(name), **wanted})
            found.update((row[1], NodeItem(*row)) for row in rows)
        return found

    async def heads_by_id(self, name: NodeName, ids: Collection[str]) -> dict[str, ItemHead]:
        """Those items of a node that have one of these ids, without what is in them."""
        found: dict[str, ItemHead] = {}
        for some in chunks(ids):
            wanted = owner_parameters(list(some))
            rows = await self.database.read(_HEADS_BY_ID[len(wanted)], {**node_key(name), **wanted})
            found.update((row[1], ItemHead(*row)) for row in rows)
        return found

    async def last_of(
        self, hosts: Collection[str], names: Collection[str]
    ) -> list[tuple[NodeName, NodeConfig, NodeItem]]:
        """The newest item of each node of some hosts that has one of these names."""
        found: list[tuple[NodeName, NodeConfig, NodeItem]] = []
        for some, named in product(chunks(hosts), chunks(names)):
            owners = owner_parameters(list(some))
            which = owner_parameters(list(named), "node")
            query = _LAST_OF[len(owners), len(which)]
            found += [
                (NodeName(row[0], row[1]), read_config(row[2]), NodeItem(*row[3:]))
                for row in await self.database.read(query, {**owners, **which})
            ]
        return found

    async def totals(self, name: NodeName) -> NodeTotals:
        """What a node has."""
        rows = await self.database.read(_TOTALS, node_key(name))
        return NodeTotals(*rows[0]) if rows else NodeTotals(0, 0)

    async def expired(self, name: NodeName, now: float, limit: int) -> list[str]:
        """The ids of items of a node whose time is over."""
        wanted = {**node_key(name), "now": now, "limit": limit}
        return [id for (id,) in await self.database.read(_EXPIRED, wanted)]

    # -- writing ----------------------------------------------------------------------------------

    async def publish(
        self,
        name: NodeName,
        token: int | None,
        publishing: Sequence[NewItem],
        *,
        most: int,
        when_full: WhenFull,
        host_bytes: int | None = None,
    ) -> Published:
        """Add items, or replace those of the same ids.

        Args:
            name: Of the node.
            token: Of its owner.
            publishing: In their order.
            most: How many the node keeps.
            when_full: What becomes of further ones.
            host_bytes: How large the items of all nodes of the host may be together; None: there is
                no limit.

        Raises:
            NodeFull: There is no room.
            QuotaExceeded: The host has no room.
        """
        key = node_key(name)

        def change(connection: Connection) -> Published:
            ids = [digest(each.id) for each in publishing]
            replaced = _sizes(connection, key, ids)
            sizes = [each.size for each in publishing]
            more_bytes = sum(sizes) - sum(replaced.values())
            new = {
                "new": len(publishing),
                "more": len(publishing) - len(replaced),
                "more_bytes": more_bytes,
            }
            ((last, count),) = _COUNT_ON.on(connection, {**key, **new})
            if count > most and when_full is WhenFull.REJECT:
                raise NodeFull(f"{name.node} already has {counted(most, 'item')}")
            first = last - len(publishing) + 1
            kept = [each.at(first + number) for number, each in enumerate(publishing)]
            added = []
            for id, size, item, each in zip(ids, sizes, kept, publishing, strict=True):
                row = {
                    **key,
                    "position": item.position,
                    "item_": id,
                    "id_": item.id,
                    "publisher": item.publisher,
                    "published": item.published,
                    "expires": each.expires,
                    "size": size,
                    "payload": item.payload,
                }
                if id in replaced:  # its row stays, and so do most of its indexes
                    _REPLACE.on(connection, row)
                else:
                    added.append(row)
            # The oldest go before the new ones come, of which there are no more than it keeps.
            gone = _drop_oldest(connection, key, count - most)
            if host_bytes is not None and more_bytes > 0:
                _check_bytes(connection, name, key, host_bytes)
            for row in added:
                _ADD.on(connection, row)
            return Published(kept, gone)

        return await self.writer.write(name, token, change)

    async def retract(self, name: NodeName, token: int | None, ids: Collection[str]) -> list[str]:
        """Remove items; returns the ids of those that there were."""
        wanted = [digest(id) for id in ids]

        def change(connection: Connection) -> list[str]:
            return _take_out(connection, node_key(name), wanted)

        return await self.writer.write(name, token, change)

    async def trim(self, name: NodeName, token: int | None, most: int) -> list[str]:
        """Remove the oldest items beyond a number; returns their ids."""

        def change(connection: Connection) -> list[str]:
            key = node_key(name)
            count, _ = connection.execute(_TOTALS, key).one()
            return _drop_oldest(connection, key, count - most)

        return await self.writer.write(name, token, change)

    async def purge(self, name: NodeName, token: int | None) -> None:
        """Remove all items."""

        def change(connection: Connection) -> None:
            connection.execute(_DROP_ALL, node_key(name))
            connection.execute(_NOTHING_LEFT, node_key(name))

        await self.writer.write(name, token, change)


def _sizes(
    connection: Connection, key: Mapping[str, object], ids: Sequence[bytes]
) -> dict[bytes, int]:
    """How large those items of a node are that have one of these ids, by id."""
    if len(ids) == 1:  # as nearly always
        return dict(_SIZE_OF_ONE.on(connection, {**key, "item_": ids[0]}))
    return dict(connection.execute(_SIZES_OF_SOME, {**key, "ids": ids}).tuples().all())


def _drop(
    connection: Connection, key: Mapping[str, object], ids: Sequence[bytes]
) -> tuple[list[str], int]:
    """Remove items of a node; returns the ids of those that there were, and how large they were."""
    if len(ids) == 1:  # as nearly always
        gone = _DROP_ONE.on(connection, {**key, "item_": ids[0]})
    else:
        gone = connection.execute(_DROP_SOME, {**key, "ids": ids}).tuples().all()
    return [id for id, _ in gone], sum(size for _, size in gone)


def _take_out(connection: Connection, key: Mapping[str, object], ids: Sequence[bytes]) -> list[str]:
    """Remove items, and count them off; returns the ids of those that there were."""
    gone, freed = _drop(connection, key, ids)
    if gone:
        off = {"new": 0, "more": -len(gone), "more_bytes": -freed}
        _COUNT_ON.on(connection, {**key, **off})
    return gone


def _drop_oldest(connection: Connection, key: Mapping[str, object], spare: int) -> list[str]:
    """Remove so many of the oldest items; returns their ids."""
    if spare <= 0:
        return []
    oldest = _OLDEST.on(connection, {**key, "limit": spare})
    _take_out(connection, key, [item for item, _ in oldest])
    return [id for _, id in oldest]


def _check_bytes(
    connection: Connection, name: NodeName, key: Mapping[str, object], most: int
) -> None:
    ((taken,),) = _HOST_BYTES.on(connection, key)
    if taken > most:
        raise QuotaExceeded(
            f"the items of all nodes of {name.host} may have at most {most} bytes together: "
            "retract some, or delete a node"
        )


__all__ = ["LATER_THAN_ALL", "NodeTotals", "Published", "PublishedItems"]
