"""Lists of disco: the nodes of a service and the items of a node, page by page (NO-22)."""

from collections.abc import Callable

from xmppd.disco.info import DiscoInfo, DiscoItem
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.stanza.rsm import PageRequest, page_set

from .config import NodeConfig
from .items import LATER_THAN_ALL, PublishedItems
from .state import NodeName
from .store import PubSubStore

MAX_LISTED = 1_000
"""Nodes, items, subscriptions or affiliations in one answer."""


async def list_nodes(
    store: PubSubStore,
    host: JID,
    page: PageRequest | None,
    may_see: Callable[[str, NodeConfig], bool],
) -> DiscoInfo:
    """The nodes of a host that somebody may see, by their names; the first ones if no page is asked
    for. How many there are is not said, since others may be closed.

    Raises:
        StanzaError: FEATURE_NOT_IMPLEMENTED: the page is asked for by its index.
    """
    _check_page(page)
    backwards = page is not None and page.is_backwards
    most = MAX_LISTED if page is None else page.most
    at = "" if page is None else page.after or page.before or ""
    found: list[tuple[str, NodeConfig]] = []
    while len(found) < most:
        some = await store.nodes(host, MAX_LISTED, at, backwards=backwards)
        found += [(name, config) for name, config in some if may_see(name, config)]
        if len(some) < MAX_LISTED:
            break
        at = some[-1][0]
    found = found[:most][::-1] if backwards else found[:most]
    items = tuple(DiscoItem(host, config.title, name) for name, config in found)
    ids = [item.node for item in items]
    return DiscoInfo(items=items, page=b"" if page is None else _given(ids))


async def list_items(
    items: PublishedItems, entity: JID, name: NodeName, page: PageRequest | None
) -> DiscoInfo:
    """The ids of a node's items, the newest last; the newest ones if no page is asked for.

    Raises:
        StanzaError: ITEM_NOT_FOUND: there is no such page; or it is asked for by its index.
    """
    _check_page(page)
    if page is None:
        heads = await items.heads(name, MAX_LISTED)
        return DiscoInfo(items=tuple(DiscoItem(entity, head.id) for head in heads))
    at, position = page.after or page.before, None
    if at:
        known = await items.heads_by_id(name, (at,))
        if at not in known:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "the item does not exist")
        position = known[at].position
    if page.is_backwards:
        heads = await items.heads(name, page.most, before=position or LATER_THAN_ALL)
    else:
        heads = await items.heads(name, page.most, after=position or 0, newest=False)
    count = (await items.totals(name)).items
    listed = tuple(DiscoItem(entity, head.id) for head in heads)
    return DiscoInfo(items=listed, page=_given([head.id for head in heads], count))


def _check_page(page: PageRequest | None) -> None:
    if page is not None and page.skipped is not None:
        raise StanzaError(
            Condition.FEATURE_NOT_IMPLEMENTED, "paging by index is not supported here"
        )


def _given(ids: list[str], count: int | None = None) -> bytes:
    ends = (ids[0], ids[-1]) if ids else (None, None)
    return page_set(*ends, count=count)


__all__ = ["MAX_LISTED", "list_items", "list_nodes"]
