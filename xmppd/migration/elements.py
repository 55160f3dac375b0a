"""Elements of :xep:`0227` as readers of other formats make them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar
from xml.etree.ElementTree import ParseError, fromstring

from xmppd.migration import pie
from xmppd.migration.person import Person
from xmppd.stanza import Tree, ns, qname
from xmppd.stanza.copies import FORWARD
from xmppd.stanza.date_time import exact_date_time
from xmppd.stanza.form import DATA
from xmppd.stanza.result import MAM

PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = f"{PUBSUB}#owner"
BLOCKING = "urn:xmpp:blocking"
PRIVATE = "jabber:iq:private"

AT_ONCE = 50
"""Messages, or items, in one part of a person."""

T = TypeVar("T")

_CONFIG = f"{PUBSUB}#node_config"


class KeptMessage(NamedTuple):
    """A message in an archive.

    Attributes:
        message: With all names spelled ``{namespace}name``.
        microseconds: Since 1970.
    """

    message: Tree
    microseconds: int


class KeptItem(NamedTuple):
    """An item of a node.

    Attributes:
        id: Its own.
        publisher: Who has published it; empty for the owner.
        payload: None if it has none.
    """

    id: str
    publisher: str
    payload: Tree | None


def made(namespace: str, name: str, inside: Iterable[Tree] = (), **attributes: str) -> Tree:
    """An element."""
    tree = Tree(qname(namespace, name), attributes)
    tree.extend(inside)
    return tree


def parsed(text: str) -> Tree:
    """The element of a text that a server has kept; what is in no namespace is content.

    Raises:
        ValueError: It is none, or has a document type.
    """
    if "<!DOCTYPE" in text:
        raise ValueError("an element with a document type")
    try:
        tree = fromstring(text)
    except ParseError as error:
        raise ValueError(f"an element that is none: {error}") from error
    put_into_content(tree)
    return tree


def put_into_content(tree: Tree) -> None:
    """Spell names in no namespace as those of the content namespace."""
    if not tree.tag.startswith("{"):
        tree.tag = qname(ns.CLIENT, tree.tag)
        for inner in tree:
            put_into_content(inner)


def stamp(message: Tree, domain: str, seconds: float) -> None:
    """Stamp a message that has waited, unless it is stamped."""
    if message.find(qname(ns.DELAY, "delay")) is None:
        at = exact_date_time(round(seconds * 1e6))
        message.append(Tree(qname(ns.DELAY, "delay"), {"from": domain, "stamp": at}))


def archive(messages: Iterable[KeptMessage]) -> Tree:
    """An archive, or a part of one."""
    results = []
    for message, microseconds in messages:
        delay = made(ns.DELAY, "delay", stamp=exact_date_time(microseconds))
        forwarded = made(FORWARD, "forwarded", (delay, message))
        results.append(made(MAM, "result", (forwarded,), id=str(microseconds)))
    return made(f"{pie.NS}#mam", "archive", results)


def archives(messages: Iterable[KeptMessage]) -> Iterator[Tree]:
    """An archive in parts."""
    return map(archive, in_batches(messages))


def blocklist(jids: Iterable[str]) -> Tree:
    """Who is blocked."""
    return made(BLOCKING, "blocklist", (made(BLOCKING, "item", jid=jid) for jid in jids))


def private(elements: Iterable[Tree]) -> Tree:
    """What clients have kept."""
    return made(PRIVATE, "query", elements)


def node(
    name: str,
    config: Mapping[str, Sequence[str]],
    affiliations: Mapping[str, str],
    subscriptions: Iterable[str],
) -> Tree:
    """How a node is.

    Args:
        name: Of the node.
        config: The fields of its configuration, without ``pubsub#``.
        affiliations: By JID.
        subscriptions: JIDs.
    """
    fields = {"FORM_TYPE": (_CONFIG,)} | {f"pubsub#{k}": tuple(v) for k, v in config.items()}
    form = Tree(qname(DATA, "x"), {"type": "submit"})
    for var, values in fields.items():
        field = Tree(qname(DATA, "field"), {"var": var})
        for value in values:
            field.append(_text(qname(DATA, "value"), value))
        form.append(field)
    roles = (made(OWNER, "affiliation", jid=k, affiliation=v) for k, v in affiliations.items())
    follows = (made(OWNER, "subscription", jid=j, subscription="subscribed") for j in subscriptions)
    return made(
        OWNER,
        "pubsub",
        (
            made(OWNER, "configure", (form,), node=name),
            made(OWNER, "affiliations", roles, node=name),
            made(OWNER, "subscriptions", follows, node=name),
        ),
    )


def items(name: str, published: Iterable[KeptItem]) -> Iterator[Tree]:
    """What is in a node, in parts."""
    for some in in_batches(published):
        found = []
        for id, publisher, payload in some:
            by = {"publisher": publisher} if publisher else {}
            found.append(made(PUBSUB, "item", () if payload is None else (payload,), id=id, **by))
        yield made(PUBSUB, "pubsub", (made(PUBSUB, "items", found, node=name),))


def in_parts(person: Person, more: Iterable[Tree]) -> Iterator[Person]:
    """A person in parts: first all that is known of them, then what is long.

    Args:
        person: The first part.
        more: Elements, each as long as may be in memory.
    """
    for tree in more:
        person.ends = False
        yield person
        person = Person(person.name, person.domain, begins=False, data=[tree])
    person.ends = True
    yield person


def in_batches(things: Iterable[T]) -> Iterator[list[T]]:
    """The same, some at a time."""
    left = iter(things)
    while some := list(islice(left, AT_ONCE)):
        yield some


def _text(tag: str, text: str) -> Tree:
    tree = Tree(tag)
    tree.text = text
    return tree
