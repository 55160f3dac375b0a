"""Elements of :xep:`0227` as readers of other formats make them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import NamedTuple, TypeVar
from xml.etree.ElementTree import ParseError, fromstring

from xmppd.migration import pie
from xmppd.migration.person import Person, Remarks
from xmppd.stanza import Tree, ns, qname
from xmppd.stanza.copies import FORWARD
from xmppd.stanza.date_time import exact_date_time
from xmppd.stanza.form import DATA
from xmppd.stanza.result import MAM

PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = f"{PUBSUB}#owner"
BLOCKING = "urn:xmpp:blocking"
PRIVATE = "jabber:iq:private"
PRIVACY = "jabber:iq:privacy"

MAX_SECONDS = 253_402_300_800
"""After 1970: the end of the year 9999."""

AT_ONCE = 50
"""Messages, or items, in one part of a person."""

T = TypeVar("T")
V = TypeVar("V")

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


def made(namespace: str, name: str, inside: Iterable[Tree] = (), /, **attributes: str) -> Tree:
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
        raise ValueError(f"a malformed element: {error}") from error
    put_into_content(tree)
    return tree


def put_into_content(tree: Tree) -> None:
    """Spell names in no namespace as those of the content namespace."""
    if not tree.tag.startswith("{"):
        tree.tag = qname(ns.CLIENT, tree.tag)
        for inner in tree:
            put_into_content(inner)


def kept(message: Tree, microseconds: int) -> KeptMessage:
    """A message in an archive.

    Raises:
        ValueError: There is no such moment.
    """
    if not 0 <= microseconds < MAX_SECONDS * 1_000_000:
        raise ValueError(f"not a valid time: {microseconds} \N{MICRO SIGN}s after 1970")
    return KeptMessage(message, microseconds)


def stamp(message: Tree, domain: str, seconds: float) -> None:
    """Stamp a message that has waited, unless it is stamped.

    Raises:
        ValueError: There is no such moment.
    """
    if not 0 <= seconds < MAX_SECONDS:
        raise ValueError(f"not a valid time: {seconds} s after 1970")
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


class KeptRule(NamedTuple):
    """An item of a privacy list.

    Attributes:
        type: ``jid``, ``group`` or ``subscription``; empty if it fits everybody.
        value: Of that.
        action: ``allow`` or ``deny``.
        order: Its place.
        kinds: Of stanzas that it is about; all if there are none.
    """

    type: str
    value: str
    action: str
    order: int
    kinds: Sequence[str]


def privacy(default: str | None, lists: Mapping[str, Iterable[KeptRule]]) -> Tree:
    """Privacy lists, and the name of the default one."""
    query = made(PRIVACY, "query")
    if default is not None:
        query.append(made(PRIVACY, "default", name=default))
    for name, rules in lists.items():
        inside = []
        for rule in rules:
            of = {"type": rule.type, "value": rule.value} if rule.type else {}
            kinds = (made(PRIVACY, kind) for kind in rule.kinds)
            inside.append(
                made(PRIVACY, "item", kinds, action=rule.action, order=str(rule.order), **of)
            )
        query.append(made(PRIVACY, "list", inside, name=name))
    return query


def preferences(default: str, always: Iterable[str], never: Iterable[str]) -> Tree:
    """Whose messages are archived."""
    lists = [made(MAM, "always"), made(MAM, "never")]
    for each, jids in zip(lists, (always, never), strict=True):
        each.extend(_text(qname(MAM, "jid"), jid) for jid in jids)
    return made(MAM, "prefs", lists, default=default)


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


def in_parts(
    person: Person, more: Iterable[Tree], messages: Iterable[Tree] = ()
) -> Iterator[Person]:
    """A person in parts: first all that is known of them, then what is long.

    Args:
        person: The first part. What is noted in its list of what was left out while the rest is
            read goes with the part that is read then.
        more: Elements, each as long as may be in memory.
        messages: Those that wait.
    """
    notes = person.left_out
    name, domain = person.name, person.domain
    waiting = (Person(name, domain, messages=some) for some in in_batches(messages))
    part, begins = person, True
    for following in chain(waiting, (Person(name, domain, data=[tree]) for tree in more)):
        yield replace(part, left_out=notes.taken(), begins=begins, ends=False)
        part, begins = following, False
    yield replace(part, left_out=notes.taken(), begins=begins)


def sound(notes: Remarks, what: str, values: Iterable[V], convert: Callable[[V], T]) -> Iterator[T]:
    """What comes of each of some records; one of which nothing can come is noted.

    Args:
        notes: Gets a few words of it.
        what: One of them.
        values: The records.
        convert: Makes something of one, or says why not by an error; a number may be too large.
    """
    for value in values:
        try:
            yield convert(value)
        except (OverflowError, ValueError) as error:
            notes.append(f"{what}: {error}")


def in_batches(things: Iterable[T]) -> Iterator[list[T]]:
    """The same, some at a time."""
    left = iter(things)
    while some := list(islice(left, AT_ONCE)):
        yield some


def _text(tag: str, text: str) -> Tree:
    tree = Tree(tag)
    tree.text = text
    return tree
