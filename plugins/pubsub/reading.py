"""Reading: the items of a node, by number, by id or page by page (NO-10)."""

from collections.abc import Sequence
from dataclasses import dataclass

from xmppd.stanza import JID, Condition, StanzaError
from xmppd.stanza.rsm import PageRequest

from .access import check_read
from .items import LATER_THAN_ALL
from .nodes import ServedNodes, kept
from .state import NodeItem, NodeName, NodeState

MAX_ANSWER_BYTES = 1 << 20
"""Of items in one answer (NO-10)."""


@dataclass(frozen=True)
class ItemPage:
    """Some items of a node.

    Attributes:
        items: In the order in which they are told.
        count: How many the node has; None if that was not asked for.
        is_page: Whether they are a page of the list of all.
    """

    items: Sequence[NodeItem]
    count: int | None = None
    is_page: bool = False


class Reading:
    """Reads the items of nodes, for who may.

    Args:
        nodes: Those that are served here.
    """

    def __init__(self, nodes: ServedNodes) -> None:
        self.nodes = nodes
        self.store = nodes.store

    async def items(
        self,
        name: NodeName,
        who: JID,
        *,
        ids: Sequence[str] = (),
        newest: int | None = None,
        page: PageRequest | None = None,
    ) -> ItemPage:
        """Items of a node.

        Args:
            name: Of the node.
            who: Wants them.
            ids: Of those that are wanted; all if there are none.
            newest: How many of the newest are wanted.
            page: Which page of them is wanted, of a list that begins with the newest.

        Raises:
            StanzaError: There is no such node, or page, or they may not.
        """
        async with self.nodes.alone(name) as host:
            state = await self.nodes.found(name)
            check_read(state.config.access_model, await self.nodes.standing(host, state, who))
            if ids:
                return ItemPage(await self._by_id(name, list(dict.fromkeys(ids))))
            if page is not None:
                return await self._page(name, page)
            most = kept(host, state.config) if newest is None else newest
            found = await self.store.items.page(name, most, room_bytes=MAX_ANSWER_BYTES)
            return ItemPage(found)

    async def _by_id(self, name: NodeName, ids: Sequence[str]) -> list[NodeItem]:
        """Those items that there are, as many of the first as fit into one answer (NO-10)."""
        if len(ids) > 1:
            heads, room = await self.store.items.heads_by_id(name, ids), MAX_ANSWER_BYTES
            fitting: list[str] = []
            for id in ids:
                if id in heads:
                    room -= heads[id].size
                    if room < 0 and fitting:
                        break
                    fitting.append(id)
            ids = fitting
        found = await self.store.items.by_id(name, ids)
        return [found[id] for id in ids if id in found]

    async def _page(self, name: NodeName, page: PageRequest) -> ItemPage:
        if page.skipped is not None:
            raise StanzaError(
                Condition.FEATURE_NOT_IMPLEMENTED, "paging by index is not supported here"
            )
        items, room = self.store.items, MAX_ANSWER_BYTES
        count = (await items.totals(name)).items
        after = page.after or page.before
        position = LATER_THAN_ALL
        if after:
            known = await items.heads_by_id(name, (after,))
            if after not in known:
                raise StanzaError(Condition.ITEM_NOT_FOUND, "the item does not exist")
            position = known[after].position
        if page.before is None:
            found = await items.page(name, page.most, room_bytes=room, before=position)
        else:
            bound = position if page.before else 0
            found = await items.page(name, page.most, room_bytes=room, after=bound, newest=False)
        return ItemPage(found[::-1], count, is_page=True)

    async def last_item(self, state: NodeState) -> NodeItem | None:
        """The newest item of a node."""
        found = await self.store.items.page(state.name, 1)
        return found[0] if found else None


__all__ = ["ItemPage", "Reading"]
