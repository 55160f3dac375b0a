"""XEP-0049: Private XML Storage. Clients keep their settings here, by name and namespace."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from typing import Protocol

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.migration.user_data import UserData
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import Part
from xmppd.stanza import IQ, JID, Condition, StanzaError, Tree, qname
from xmppd.stanza.xml import namespace_of, write
from xmppd.store.personal_items import PersonalItems

NS = "jabber:iq:private"
MAX_ELEMENTS = 32


class PrivateFace(Protocol):
    """Shows something here that is kept elsewhere, and takes changes of it."""

    async def shown(self, account: JID) -> bytes:
        """The element of an account."""

    async def taken(self, who: JID, tree: Tree) -> None:
        """Take another one from its owner.

        Raises:
            StanzaError: It cannot be kept.
        """


class PrivateFaces:
    """What is kept elsewhere and shown here as well.

    Attributes:
        by_tag: By the names of their elements.
    """

    def __init__(self) -> None:
        self.by_tag: dict[str, PrivateFace] = {}


@dataclass(frozen=True)
class IQPrivateHandler(IQHandler):
    """Show and keep elements for their owner only (§4)."""

    items: PersonalItems
    faces: PrivateFaces

    query = qname(NS, "query")
    to = To.OWN_ACCOUNT
    refusal = Condition.FORBIDDEN
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        """The elements under the names that are asked for; one that is not kept comes back
        empty.
        """
        wanted = elements(iq)
        if not wanted:
            raise StanzaError(Condition.BAD_REQUEST, "name the element that you want")
        kept = await self.items.elements(asked.address.bare, NS)
        found = []
        for tag in dict.fromkeys(tree.tag for tree in wanted):
            face = self.faces.by_tag.get(tag)
            shown = kept.get(tag) if face is None else await face.shown(asked.address)
            found.append(shown or write(Tree(tag)))
        return b"<query xmlns='%b'>%b</query>" % (NS.encode(), b"".join(found))

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Keep elements in the place of those of the same name; an empty one is forgotten."""
        values: dict[str, bytes] = {}
        brought = elements(iq)
        for tree in brought:
            values[tree.tag] = values.get(tree.tag, b"") + (b"" if is_empty(tree) else write(tree))
        if not values:
            raise StanzaError(Condition.NOT_ACCEPTABLE, "nothing to store")
        for value in values.values():
            self.items.check(value)
        for tree in brought:
            face = self.faces.by_tag.get(tree.tag)
            if face is not None:
                await face.taken(iq.sender, tree)
                values.pop(tree.tag, None)
        for tag, value in values.items():
            await self.items.keep(asked.address.bare, NS, tag, value or None)


class PrivateData(UserData):
    """What clients of whoever moves have kept here.

    Args:
        items: Keep it.
    """

    tags = (qname(NS, "query"),)

    def __init__(self, items: PersonalItems) -> None:
        self._items = items

    async def written(self, account: JID) -> AsyncIterator[bytes]:
        """All elements, by their names."""
        kept = await self._items.elements(account.bare, NS)
        shown = [kept[tag] for tag in sorted(kept) if tag.startswith("{")]
        if shown:
            yield b"<query xmlns='%b'>%b</query>\n" % (NS.encode(), b"".join(shown))

    async def take(self, account: JID, tree: Tree) -> Collection[str]:
        """Keep all elements that have a namespace of their own."""
        values: dict[str, bytes] = {}
        left_out = []
        for each in tree:
            namespace = namespace_of(each.tag)
            if not namespace or namespace.startswith("jabber:"):
                left_out.append(f"{each.tag} needs its own namespace")
            elif not is_empty(each):
                each.tail = None
                values[each.tag] = values.get(each.tag, b"") + write(each)
        for tag, value in values.items():
            try:
                await self._items.keep(account.bare, NS, tag, value)
            except StanzaError as error:
                left_out.append(f"{tag}: {error.text}")
        return left_out


def elements(iq: IQ) -> list[Tree]:
    """The elements that are asked for or brought.

    Raises:
        StanzaError: It is too much, or in a namespace that clients do not own.
    """
    asked = list(iq.payload.tree[0])
    if len(asked) > MAX_ELEMENTS:
        raise StanzaError(
            Condition.NOT_ACCEPTABLE, f"send at most {MAX_ELEMENTS} elements at a time"
        )
    for tree in asked:
        namespace = namespace_of(tree.tag)
        if not namespace or namespace.startswith("jabber:"):  # §2.3, §3
            raise StanzaError(Condition.NOT_ACCEPTABLE, "an element needs its own namespace")
    return asked


def is_empty(tree: Tree) -> bool:
    """Whether the element is only a name."""
    return not len(tree) and not tree.attrib and not tree.text


def plug(items: PersonalItems) -> list[Part]:
    """The parts of this feature."""
    faces = PrivateFaces()
    return [IQPrivateHandler(items, faces), Offer(faces), PrivateData(items)]
