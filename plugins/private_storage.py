"""XEP-0049: Private XML Storage. Clients keep their settings here, by name and namespace."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.plugin.place import Part
from xmppd.stanza import IQ, Condition, StanzaError, Tree, qname
from xmppd.stanza.xml import namespace_of, write
from xmppd.store.personal_items import PersonalItems

NS = "jabber:iq:private"
MAX_ELEMENTS = 32


@dataclass(frozen=True)
class IQPrivateHandler(IQHandler):
    """Show and keep elements for their owner only (§4)."""

    items: PersonalItems

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
        tags = dict.fromkeys(tree.tag for tree in wanted)
        found = b"".join(kept.get(tag) or write(Tree(tag)) for tag in tags)
        return b"<query xmlns='%b'>%b</query>" % (NS.encode(), found)

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Keep elements in the place of those of the same name; an empty one is forgotten."""
        values: dict[str, bytes] = {}
        for tree in elements(iq):
            values[tree.tag] = values.get(tree.tag, b"") + (b"" if is_empty(tree) else write(tree))
        if not values:
            raise StanzaError(Condition.NOT_ACCEPTABLE, "there is nothing to keep")
        for value in values.values():
            self.items.check(value)
        for tag, value in values.items():
            await self.items.keep(asked.address.bare, NS, tag, value or None)


def elements(iq: IQ) -> list[Tree]:
    """The elements that are asked for or brought.

    Raises:
        StanzaError: It is too much, or in a namespace that clients do not own.
    """
    asked = list(iq.payload.tree[0])
    if len(asked) > MAX_ELEMENTS:
        raise StanzaError(Condition.NOT_ACCEPTABLE, f"at most {MAX_ELEMENTS} elements at a time")
    for tree in asked:
        namespace = namespace_of(tree.tag)
        if not namespace or namespace.startswith("jabber:"):  # §2.3, §3
            raise StanzaError(
                Condition.NOT_ACCEPTABLE, "an element is kept in a namespace of its own"
            )
    return asked


def is_empty(tree: Tree) -> bool:
    """Whether the element is only a name."""
    return not len(tree) and not tree.attrib and not tree.text


def plug(items: PersonalItems) -> list[Part]:
    """The parts of this feature."""
    return [IQPrivateHandler(items)]
