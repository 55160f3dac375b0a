"""XEP-0402: PEP Native Bookmarks. Older clients find the same where they look for it.

The bookmarks of an account are the items of its node ``urn:xmpp:bookmarks:1``. What clients keep as
one element, in private storage (:xep:`0049`) or in the node ``storage:bookmarks`` (:xep:`0048`), is
made of these, and changes these (CV-1).
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from xmppd.disco.disco import Of, Says
from xmppd.disco.info import DiscoInfo
from xmppd.host.clocks import Clocks
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import AtUnload, Part
from xmppd.stanza import (
    JID,
    Condition,
    Element,
    Message,
    StanzaError,
    Tree,
    dump,
    element,
    parse,
    qname,
)
from xmppd.stanza.xml import child, write
from xmppd.store.personal_items import PersonalItems
from xmppd_plugins.pep.audience import EventAudience
from xmppd_plugins.pep.defaults import defaults
from xmppd_plugins.pep.faces import NodeFaces
from xmppd_plugins.private_storage import NS as PRIVATE
from xmppd_plugins.private_storage import PrivateFaces
from xmppd_plugins.pubsub import events
from xmppd_plugins.pubsub.engine import MAX_PER_PUBLISH
from xmppd_plugins.pubsub.names import NS as PUBSUB
from xmppd_plugins.pubsub.names import new_name
from xmppd_plugins.pubsub.requests import PubSubRequests
from xmppd_plugins.pubsub.state import NodeItem, NodeName, NodeState

NODE = "urn:xmpp:bookmarks:1"
OLD = "storage:bookmarks"
STORAGE = qname(OLD, "storage")
CURRENT = "current"
"""The id of the one item of the old node."""

ASIDE = "something that is not a room bookmark"
"""The key under which private storage keeps what cannot be an item."""

MAX_BOOKMARKS = 1_000
MAX_BYTES = 1 << 20
"""Of all bookmarks together, as far as they are shown in one element."""

FEATURES = (f"{NODE}#compat", f"{NODE}#compat-pep", "urn:xmpp:bookmarks-conversion:0")
_YES = ("1", "true")


class Bookmark(NamedTuple):
    """A bookmark of a room.

    Attributes:
        name: For people.
        autojoin: Whether the room is entered at each login.
        nick: In the room; None if that is not said.
        password: Of the room; None if it has none.
        extensions: What clients keep beside that, as children of ``<extensions/>``.
    """

    name: str = ""
    autojoin: bool = False
    nick: str | None = None
    password: str | None = None
    extensions: tuple[bytes, ...] = ()

    def payload(self) -> bytes:
        """The bookmark as an item."""
        made = element(NODE, "conference", autojoin="true" if self.autojoin else "false")
        if self.name:
            made.set("name", self.name)
        self._add_to(made)
        if self.extensions:
            kept = child(made, "extensions")
            kept.extend(map(parse, self.extensions))
        return dump(made)

    def conference(self, room: str) -> bytes:
        """The bookmark as a part of the old element."""
        made = element(OLD, "conference", jid=room, autojoin="true" if self.autojoin else "false")
        if self.name:
            made.set("name", self.name)
        self._add_to(made)
        made.extend(map(parse, self.extensions))
        return dump(made)

    def _add_to(self, made: Element) -> None:
        for name, text in (("nick", self.nick), ("password", self.password)):
            if text is not None:
                child(made, name, text)

    @classmethod
    def of(cls, found: Tree | Element, namespace: str) -> "Bookmark":
        """The bookmark in an item, or in a part of the old element."""
        extensions = found.find(qname(namespace, "extensions"))
        return cls(
            found.get("name") or "",
            (found.get("autojoin") or "").strip() in _YES,
            found.findtext(qname(namespace, "nick")),
            found.findtext(qname(namespace, "password")),
            () if extensions is None else tuple(map(_bytes, extensions)),
        )


class Bookmarks:
    """The bookmarks of accounts, and their older faces.

    Args:
        requests: Lead to the node.
        items: Private storage.
        audience: Is told of the old node.
        clocks: Tell the time.

    Attributes:
        listeners: Each is called with an account whose bookmarks have changed.
    """

    def __init__(
        self,
        requests: PubSubRequests,
        items: PersonalItems,
        audience: EventAudience,
        clocks: Clocks,
    ) -> None:
        self.engine = requests.engine
        self.store = requests.store
        self.items = items
        self.audience = audience
        self.clocks = clocks
        self.listeners: list[Callable[[JID], Awaitable[None]]] = []
        self._writing: set[str] = set()

    # -- the node ---------------------------------------------------------------------------------

    async def all(self, account: JID) -> dict[str, Bookmark]:
        """The bookmarks of an account by their rooms.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: they are too large for one element.
        """
        name = NodeName(account.bare, NODE)
        await self._take_in(account)
        if not await self._fit(account):
            most = f"bookmarks of more than {MAX_BYTES} bytes can only be read from {NODE}"
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, most)
        found: dict[str, Bookmark] = {}
        for item in await self.store.items.page(name, MAX_BOOKMARKS):
            if item.payload:
                found[item.id] = Bookmark.of(parse(item.payload), NODE)
        return found

    async def _fit(self, account: JID) -> bool:
        """Whether the bookmarks of an account are shown in one element."""
        return (await self.store.items.totals(NodeName(account.bare, NODE))).bytes <= MAX_BYTES

    async def _take_in(self, account: JID) -> None:
        """Take in, once, what clients have kept before there was the node (CV-2)."""
        if await self.engine.nodes.find(NodeName(account.bare, NODE)) is not None:
            return
        kept = (await self.items.elements(account.bare, PRIVATE)).get(STORAGE)
        if kept is not None:
            await self._write(account, account, *self._read(parse(kept)))
            await self.items.keep(account.bare, PRIVATE, STORAGE, None)

    def _read(self, storage: Tree | Element) -> tuple[dict[str, Bookmark], list[bytes]]:
        """The bookmarks in the old element, and what is none that could be an item.

        Raises:
            StanzaError: NOT_ACCEPTABLE: there are too many.
        """
        found: dict[str, Bookmark] = {}
        aside = []
        for each in storage:
            try:
                if each.tag != qname(OLD, "conference"):
                    raise ValueError("not a room")
                found[JID.parse(each.get("jid") or "").bare] = Bookmark.of(each, OLD)
            except ValueError:
                aside.append(_bytes(each))
        if len(found) > MAX_BOOKMARKS:
            most = f"at most {MAX_BOOKMARKS} bookmarks are allowed"
            raise StanzaError(Condition.NOT_ACCEPTABLE, most)
        return found, aside

    async def _write(
        self, account: JID, who: JID, wanted: Mapping[str, Bookmark], aside: Iterable[bytes]
    ) -> None:
        """Publish what is new or different, retract what is missing, and touch nothing else; what
        cannot be an item is kept aside.
        """
        name = NodeName(account.bare, NODE)
        is_there = await self.store.node(name) is not None
        before = await self.all(account) if is_there else {}
        changed = []
        for room, bookmark in wanted.items():
            known = before.get(room)
            if known is not None and not bookmark.extensions:
                bookmark = bookmark._replace(extensions=known.extensions)  # noqa: PLW2901
            if bookmark != known:
                changed.append((room, bookmark.payload()))
        gone = [room for room in before if room not in wanted]
        self._writing.add(account.bare)
        try:
            for start in range(0, len(changed), MAX_PER_PUBLISH):
                some = changed[start : start + MAX_PER_PUBLISH]
                await self.engine.publish(name, who, some, None)
            if gone:
                await self.engine.retract(name, who, gone, tell=True)
        finally:
            self._writing.discard(account.bare)
        rest = b"".join(aside)
        self.items.check(rest)
        await self.items.keep(account.bare, OLD, ASIDE, rest or None)
        if changed or gone:
            await self.changed(account)

    # -- the old element --------------------------------------------------------------------------

    async def shown(self, account: JID) -> bytes:
        """The old element (CV-1)."""
        rooms = await self.all(account)
        kept = await self.items.store.get_item(account.bare, OLD, ASIDE)
        inside = b"".join(bookmark.conference(room) for room, bookmark in rooms.items())
        return b"<storage xmlns='%b'>%b%b</storage>" % (OLD.encode(), inside, kept or b"")

    async def taken(self, who: JID, tree: Tree) -> None:
        """Take another old element from its owner.

        Raises:
            StanzaError: There are too many bookmarks.
        """
        account = who.to_bare()
        await self.all(account)  # those of before are there, to be compared with
        await self._write(account, who, *self._read(tree))

    # -- the old node -----------------------------------------------------------------------------

    async def ask(self, account: JID, who: JID, kind: str, query: Element) -> bytes | None:
        """Answer for the old node, and for the node while it is not there; else requests go on."""
        action = query[0]
        reads = kind == "get" and action.tag == qname(PUBSUB, "items")
        if action.get("node") != OLD:
            await self._take_in(account)
            # COMPAT Dino: it adds no first bookmark to a list that it could not read.
            is_there = await self.engine.nodes.find(NodeName(account.bare, NODE)) is not None
            return None if is_there or not reads else _items(NODE, b"")
        if reads:
            return _items(OLD, events.item_element(await self._item(account)))
        if kind == "set" and action.tag == qname(PUBSUB, "publish"):
            storage = action.find(f"{qname(PUBSUB, 'item')}/{STORAGE}")
            if storage is None:
                raise StanzaError(Condition.BAD_REQUEST, "put the bookmarks into one <storage/>")
            await self.all(account)
            await self._write(account, who, *self._read(storage))
            done = f"<publish node='{OLD}'><item id='{CURRENT}'/></publish>"
            return f"<pubsub xmlns='{PUBSUB}'>{done}</pubsub>".encode()
        raise StanzaError(
            Condition.NOT_ALLOWED,
            f"this node accepts only <publish/>; make other changes at the node {NODE}",
        )

    async def _item(self, account: JID) -> NodeItem:
        now = self.clocks.wall_clock()
        return NodeItem(1, CURRENT, account.bare, now, await self.shown(account))

    async def changed(self, account: JID) -> None:
        """Tell the old node to clients that want it, and listeners, once for each change."""
        if account.bare in self._writing or not await self._fit(account):
            return
        state = NodeState(NodeName(account.bare, OLD), replace(defaults(OLD)), 0.0, account.bare)
        item = await self._item(account)

        def message() -> Message:
            event = events.published(OLD, (item,), payloads=True, publisher=False)
            return Message.make(None, account, event, id=new_name(), type="headline")

        await self.audience.tell(account, state, message, ())
        for listener in self.listeners:
            await listener(account)


def _items(node: str, items: bytes) -> bytes:
    """The answer to somebody who reads a node."""
    return f"<pubsub xmlns='{PUBSUB}'><items node='{node}'>".encode() + items + b"</items></pubsub>"


def _bytes(found: Tree | Element) -> bytes:
    return dump(found) if isinstance(found, Element) else write(found)


def plug(
    requests: PubSubRequests,
    faces: NodeFaces,
    private: PrivateFaces,
    audience: EventAudience,
    items: PersonalItems,
    clocks: Clocks,
) -> list[Part]:
    """The parts of this plugin."""
    bookmarks = Bookmarks(requests, items, audience, clocks)

    def stop() -> None:
        del faces.by_node[NODE], faces.by_node[OLD], faces.changed[NODE]
        del private.by_tag[STORAGE]

    faces.by_node[NODE] = faces.by_node[OLD] = bookmarks
    faces.changed[NODE] = bookmarks.changed
    private.by_tag[STORAGE] = bookmarks
    return [AtUnload(stop), Offer(bookmarks), Says(DiscoInfo(features=FEATURES), Of.ACCOUNT)]
