"""What subscribers and owners of a node are told, as the children of messages."""

from collections.abc import Iterable

from xmppd.stanza import dump, escape, ns, qname
from xmppd.stanza.date_time import date_time
from xmppd.stanza.form import Field, form
from xmppd.stanza.xml import read

from .config import PREFIX
from .names import EVENT, NS, SUBSCRIBE_AUTHORIZATION
from .state import Follow, NodeItem

MAX_WORDS_LENGTH = 1_000
"""Of one item in a body."""

_TITLES = [qname("http://www.w3.org/2005/Atom", each) for each in ("title", "summary", "content")]


def published(node: str, items: Iterable[NodeItem], *, payloads: bool, publisher: bool) -> bytes:
    """Items that were published.

    Args:
        node: Its name.
        items: In their order.
        payloads: Whether they are told with what is in them.
        publisher: Whether each names who has published it.
    """
    told = (item_element(item, payload=payloads, publisher=publisher) for item in items)
    return _items(node, b"".join(told))


def item_element(item: NodeItem, *, payload: bool = True, publisher: bool = False) -> bytes:
    """An item."""
    by = f" publisher='{escape(item.publisher)}'" if publisher else ""
    head = f"<item id='{escape(item.id)}'{by}".encode()
    return b"%b>%b</item>" % (head, item.payload) if payload and item.payload else head + b"/>"


def retracted(node: str, ids: Iterable[str]) -> bytes:
    """Items that are gone."""
    return _items(node, "".join(f"<retract id='{escape(id)}'/>" for id in ids).encode())


def _items(node: str, inside: bytes) -> bytes:
    return _event(b"<items node='%b'>%b</items>" % (escape(node).encode(), inside))


def purged(node: str) -> bytes:
    """All items are gone."""
    return _event(f"<purge node='{escape(node)}'/>".encode())


def deleted(node: str, redirect: str) -> bytes:
    """The node is gone.

    Args:
        node: Its name.
        redirect: A URI of another one; empty if there is none.
    """
    inside = f"<redirect uri='{escape(redirect)}'/>" if redirect else ""
    return _event(f"<delete node='{escape(node)}'>{inside}</delete>".encode())


def configured(node: str) -> bytes:
    """The node has another configuration."""
    return _event(f"<configuration node='{escape(node)}'/>".encode())


def _event(inside: bytes) -> bytes:
    return b"<event xmlns='%b'>%b</event>" % (EVENT.encode(), inside)


def body(items: Iterable[NodeItem]) -> bytes:
    """Items in words: the title of what has one, else its text; empty if there are no words."""
    words = "\n".join(filter(None, map(_words, items)))
    return f"<body>{escape(words)}</body>".encode() if words else b""


def _words(item: NodeItem) -> str:
    if not item.payload:
        return ""
    tree = read(item.payload)
    told = next((tree.findtext(each) for each in _TITLES if tree.findtext(each)), None)
    return " ".join((told or " ".join(tree.itertext())).split())[:MAX_WORDS_LENGTH]


def delayed(item: NodeItem) -> bytes:
    """When an item was published that is told later."""
    return f"<delay xmlns='{ns.DELAY}' stamp='{date_time(item.published)}'/>".encode()


def subscription(node: str, follow: Follow) -> bytes:
    """A subscription, as a child of ``<pubsub/>`` or ``<subscriptions/>``."""
    return (
        f"<subscription node='{escape(node)}' jid='{escape(follow.jid)}'"
        f" subscription='{follow.state.value}'/>"
    ).encode()


def subscription_changed(node: str, follow: Follow) -> bytes:
    """A subscription is another than before, for its subscriber or for owners."""
    return b"<pubsub xmlns='%b'>%b</pubsub>" % (NS.encode(), subscription(node, follow))


def affiliation_changed(node: str, jid: str, affiliation: str) -> bytes:
    """Somebody is something else to a node than before, for them."""
    return (
        f"<pubsub xmlns='{NS}'><affiliations node='{escape(node)}'>"
        f"<affiliation jid='{escape(jid)}' affiliation='{affiliation}'/></affiliations></pubsub>"
    ).encode()


def approval_wanted(node: str, jid: str) -> bytes:
    """Somebody wants to subscribe: a form for owners (§8.6)."""
    return dump(
        form(
            SUBSCRIBE_AUTHORIZATION,
            "A user wants to subscribe",
            "Approve or deny it.",
            Field(f"{PREFIX}node", "Node", values=(node,)),
            Field(f"{PREFIX}subscriber_jid", "Who", "jid-single", values=(jid,)),
            Field(f"{PREFIX}allow", "Allow it?", "boolean", values=("0",)),
        )
    )


__all__ = [
    "affiliation_changed",
    "approval_wanted",
    "body",
    "configured",
    "delayed",
    "deleted",
    "item_element",
    "published",
    "purged",
    "retracted",
    "subscription",
    "subscription_changed",
]
