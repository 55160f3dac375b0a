"""What can be asked of a node in ``<pubsub/>``, and how it is answered (:xep:`0060`)."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from xmppd.stanza import JID, Condition, Element, StanzaError, child, dump, element, escape, qname
from xmppd.stanza.form import DATA
from xmppd.stanza.phrases import counted
from xmppd.stanza.rsm import page_request, page_set

from . import events
from .access import Affiliation
from .engine import MAX_PER_PUBLISH, Engine, Submitted
from .following import Following
from .listing import MAX_LISTED
from .names import NS, OWNER, refused, unsupported
from .nodes import Host
from .reading import ItemPage
from .state import Follow, FollowState, NodeName

MAX_IDS = 1_000
"""Items that are asked for by their ids at once."""

USUAL_PAGE = 50
FORM, ITEM = qname(DATA, "x"), qname(NS, "item")


class Request(NamedTuple):
    """What is asked of a node.

    Attributes:
        name: Of the node.
        who: Asks.
        action: The element that says what.
        beside: The others, by their names.
    """

    name: NodeName
    who: JID
    action: Element
    beside: dict[str, Element]

    def form_in(self, name: str) -> Element | None:
        """The form in an element beside the action; None if there is none."""
        found = self.beside.get(name)
        return None if found is None else found.find(FORM)


T = TypeVar("T")
Answer = bytes | None
Do = Callable[["PubSubActions", Request], Awaitable[Answer]]


@dataclass(frozen=True)
class Ask:
    """Something that can be asked of a node.

    Attributes:
        do: Does it.
        beside: The names of elements that may stand beside it.
        needs_node: Whether it is about a node that has to be named.
    """

    do: Do
    beside: tuple[str, ...] = ()
    needs_node: bool = True


class PubSubActions:
    """Has requests done where their nodes are served, and writes the answers.

    Args:
        engine: Does what is about nodes.
        following: Does what is about subscriptions and affiliations.
    """

    def __init__(self, engine: Engine, following: Following) -> None:
        self.engine = engine
        self.following = following
        self.store = engine.store

    def _host(self, request: Request) -> Host:
        return self.engine.nodes.host(request.name.host)

    # -- nodes ------------------------------------------------------------------------------------

    async def create(self, request: Request) -> Answer:
        """Make a node."""
        await self.engine.create(request.name, request.who, request.form_in("configure"))
        made = element(NS, "pubsub")
        child(made, "create", node=request.name.node)
        return dump(made)

    async def configuration(self, request: Request) -> Answer:
        """The form to configure a node."""
        host, config = await self.engine.configuration(request.name, request.who)
        answer = element(OWNER, "pubsub")
        child(answer, "configure", node=request.name.node).append(host.form.form(config))
        return dump(answer)

    async def configure(self, request: Request) -> Answer:
        """Configure a node, unless that is cancelled."""
        filled = request.action.find(FORM)
        if filled is None:
            raise StanzaError(Condition.BAD_REQUEST, "the form is missing")
        if filled.get("type") != "cancel":
            await self.engine.configure(request.name, request.who, filled)
        return None

    async def default_configuration(self, request: Request) -> Answer:
        """The configuration of a new node."""
        host = self._host(request)
        answer = element(OWNER, "pubsub")
        child(answer, "default").append(host.form.form(host.defaults("")))
        return dump(answer)

    async def delete(self, request: Request) -> Answer:
        """Remove a node."""
        redirect = request.action.find(qname(OWNER, "redirect"))
        uri = "" if redirect is None else redirect.get("uri") or ""
        await self.engine.delete(request.name, request.who, uri)
        return None

    async def purge(self, request: Request) -> Answer:
        """Remove all items."""
        await self.engine.purge(request.name, request.who)
        return None

    # -- items ------------------------------------------------------------------------------------

    async def publish(self, request: Request) -> Answer:
        """Publish items; the answer has their ids."""
        items = [published(each) for each in items_in(request.action)]
        options = request.form_in("publish-options")
        ids = await self.engine.publish(request.name, request.who, items, options)
        told = [f"<item id='{escape(id)}'/>".encode() for id in ids]
        return listed(NS, "publish", request.name.node, told)

    async def retract(self, request: Request) -> Answer:
        """Remove items."""
        ids = [each.get("id") or "" for each in items_in(request.action)]
        if not ids or not all(ids):
            raise refused(Condition.BAD_REQUEST, "item-required")
        tell = request.action.get("notify") in ("1", "true")
        await self.engine.retract(request.name, request.who, ids, tell=tell)
        return None

    async def items(self, request: Request) -> Answer:
        """Items of a node."""
        asked = request.action
        ids = [each.get("id") or "" for each in items_in(asked, MAX_IDS)]
        newest = number(asked, "max_items")
        if ids and newest is not None:
            raise StanzaError(Condition.BAD_REQUEST, "ask for items either by number or by id")
        host = self._host(request)
        around = element(NS, "pubsub")
        around.extend(each for each in request.beside.values())
        page = page_request(around, usual=USUAL_PAGE, most=host.form.max_items)
        found = await self.engine.reading.items(
            request.name, request.who, ids=ids, newest=newest, page=page
        )
        return items_answer(request.name.node, found)

    # -- subscriptions ----------------------------------------------------------------------------

    async def subscribe(self, request: Request) -> Answer:
        """Subscribe somebody."""
        jid = jid_of(request.action)
        filled = request.form_in("options")
        follow = await self.following.subscribe(request.name, request.who, jid, filled)
        return events.subscription_changed(request.name.node, follow)

    async def unsubscribe(self, request: Request) -> Answer:
        """End a subscription."""
        await self.following.unsubscribe(request.name, request.who, jid_of(request.action))
        return None

    async def options(self, request: Request) -> Answer:
        """The form of a subscription's options."""
        jid = jid_of(request.action)
        follow = await self.following.options(request.name, request.who, jid)
        answer = element(NS, "pubsub")
        told = child(answer, "options", node=request.name.node, jid=jid.full)
        told.append(self._host(request).subscription_form.form(follow))
        return dump(answer)

    async def set_options(self, request: Request) -> Answer:
        """Give a subscription other options."""
        filled = request.action.find(FORM)
        if filled is None:
            raise StanzaError(Condition.BAD_REQUEST, "the form is missing")
        jid = jid_of(request.action)
        await self.following.set_options(request.name, request.who, jid, filled)
        return None

    async def default_options(self, request: Request) -> Answer:
        """The options of a new subscription."""
        answer = element(NS, "pubsub")
        shown = self._host(request).subscription_form.form(Follow(""))
        child(answer, "default").append(shown)
        return dump(answer)

    async def own_subscriptions(self, request: Request) -> Answer:
        """The subscriptions of who asks, to one node or to all."""
        host, only = JID.prepared(request.name.host), request.name.node
        found = await self.store.follows_of(host, request.who, MAX_LISTED)
        told = [events.subscription(node, follow) for node, follow in found if only in ("", node)]
        return listed(NS, "subscriptions", only, told)

    async def own_affiliations(self, request: Request) -> Answer:
        """What who asks is to nodes."""
        host, only = JID.prepared(request.name.host), request.name.node
        found = await self.store.affiliations_of(host, request.who, MAX_LISTED)
        told = [
            f"<affiliation node='{escape(node)}' affiliation='{each.value}'/>".encode()
            for node, each in found
            if only in ("", node)
        ]
        return listed(NS, "affiliations", only, told)

    # -- for owners -------------------------------------------------------------------------------

    async def subscriptions(self, request: Request) -> Answer:
        """All subscriptions to a node."""
        found = await self.following.subscriptions(request.name, request.who)
        told = [
            f"<subscription jid='{escape(each.jid)}' subscription='{each.state.value}'/>".encode()
            for each in found
        ]
        return listed(OWNER, "subscriptions", request.name.node, told)

    async def set_subscriptions(self, request: Request) -> Answer:
        """Change subscriptions."""
        states = {each.value: each for each in FollowState}
        changes = [
            (jid_of(each), word(each, "subscription", states))
            for each in request.action.iterfind(qname(OWNER, "subscription"))
        ]
        await self.following.set_subscriptions(request.name, request.who, changes)
        return None

    async def affiliations(self, request: Request) -> Answer:
        """All affiliations with a node."""
        found = await self.following.affiliations(request.name, request.who)
        told = [
            f"<affiliation jid='{escape(jid)}' affiliation='{each.value}'/>".encode()
            for jid, each in found.items()
        ]
        return listed(OWNER, "affiliations", request.name.node, told)

    async def set_affiliations(self, request: Request) -> Answer:
        """Change affiliations."""
        words = {each.value: each for each in Affiliation}
        changes = {
            jid_of(each).bare: word(each, "affiliation", words)
            for each in request.action.iterfind(qname(OWNER, "affiliation"))
        }
        await self.following.set_affiliations(request.name, request.who, changes)
        return None


ASKS: dict[tuple[str, str], Ask] = {
    ("set", qname(NS, "create")): Ask(PubSubActions.create, ("configure",)),
    ("set", qname(NS, "publish")): Ask(PubSubActions.publish, ("publish-options",)),
    ("set", qname(NS, "retract")): Ask(PubSubActions.retract),
    ("get", qname(NS, "items")): Ask(PubSubActions.items, ("set",)),
    ("set", qname(NS, "subscribe")): Ask(PubSubActions.subscribe, ("options",)),
    ("set", qname(NS, "unsubscribe")): Ask(PubSubActions.unsubscribe),
    ("get", qname(NS, "options")): Ask(PubSubActions.options),
    ("set", qname(NS, "options")): Ask(PubSubActions.set_options),
    ("get", qname(NS, "default")): Ask(PubSubActions.default_options, needs_node=False),
    ("get", qname(NS, "subscriptions")): Ask(PubSubActions.own_subscriptions, needs_node=False),
    ("get", qname(NS, "affiliations")): Ask(PubSubActions.own_affiliations, needs_node=False),
    ("get", qname(OWNER, "configure")): Ask(PubSubActions.configuration),
    ("set", qname(OWNER, "configure")): Ask(PubSubActions.configure),
    ("get", qname(OWNER, "default")): Ask(PubSubActions.default_configuration, needs_node=False),
    ("set", qname(OWNER, "delete")): Ask(PubSubActions.delete),
    ("set", qname(OWNER, "purge")): Ask(PubSubActions.purge),
    ("get", qname(OWNER, "subscriptions")): Ask(PubSubActions.subscriptions),
    ("set", qname(OWNER, "subscriptions")): Ask(PubSubActions.set_subscriptions),
    ("get", qname(OWNER, "affiliations")): Ask(PubSubActions.affiliations),
    ("set", qname(OWNER, "affiliations")): Ask(PubSubActions.set_affiliations),
}
"""What can be asked, by the type of the iq and the name of the element."""


def read_request(kind: str, query: Element) -> tuple[Element, Ask]:
    """The action of a request (NO-1).

    Raises:
        StanzaError: There is not exactly one, or it is none that is known.
    """
    found = [(each, ask) for each in query if (ask := ASKS.get((kind, str(each.tag)))) is not None]
    if len(found) > 1:  # ``<options/>`` is an action alone, and stands beside ``<subscribe/>``
        beside = {name for _, ask in found for name in ask.beside}
        found = [(each, ask) for each, ask in found if local(each) not in beside]
    if len(query) == 1 and not found:
        raise unsupported(local(query[0]))
    if len(found) != 1:
        raise StanzaError(Condition.BAD_REQUEST, "a request must contain exactly one action")
    ((action, ask),) = found
    for each in query:
        if each is not action and local(each) not in ask.beside:
            raise StanzaError(
                Condition.BAD_REQUEST, f"{local(each)} is not allowed together with {local(action)}"
            )
    return action, ask


def request_of(name: NodeName, who: JID, query: Element, action: Element) -> Request:
    """What is asked, by the action of a request."""
    beside = {local(each): each for each in query if each is not action}
    return Request(name, who, action, beside)


def local(found: Element) -> str:
    """The name of an element without its namespace."""
    return str(found.tag).rpartition("}")[2]


def items_in(action: Element, most: int = MAX_PER_PUBLISH) -> list[Element]:
    """The items in an element.

    Raises:
        StanzaError: NOT_ACCEPTABLE: there are too many.
    """
    found = [each for each in action if each.tag == ITEM]
    if len(found) > most:
        raise refused(
            Condition.NOT_ALLOWED,
            "max-items-exceeded",
            f"ask for at most {counted(most, 'item')} at once",
        )
    return found


def published(item: Element) -> Submitted:
    """An item as somebody publishes it.

    Raises:
        StanzaError: BAD_REQUEST: it has more than one payload.
    """
    if len(item) > 1:
        raise refused(
            Condition.BAD_REQUEST, "invalid-payload", "an item must have exactly one payload"
        )
    return item.get("id"), dump(item[0]) if len(item) else None


def items_answer(node: str, page: ItemPage) -> bytes:
    """The answer that has these items."""
    inside = b"".join(map(events.item_element, page.items))
    parts = [b"<items node='%b'>%b</items>" % (escape(node).encode(), inside)]
    if page.is_page:
        ends = (page.items[0].id, page.items[-1].id) if page.items else (None, None)
        parts.append(page_set(*ends, count=page.count))
    return b"<pubsub xmlns='%b'>%b</pubsub>" % (NS.encode(), b"".join(parts))


def listed(namespace: str, name: str, node: str, told: Iterable[bytes]) -> bytes:
    """A list, of one node if that has a name."""
    of = f" node='{escape(node)}'" if node else ""
    head, inside = f"<pubsub xmlns='{namespace}'><{name}{of}>", b"".join(told)
    return head.encode() + inside + f"</{name}></pubsub>".encode()


def number(found: Element, name: str) -> int | None:
    """The value of an attribute that is a number; None if it is not there.

    Raises:
        StanzaError: BAD_REQUEST: it is no number.
    """
    text = found.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(2**31))):
        raise StanzaError(Condition.BAD_REQUEST, f"{name} must be a number")
    return int(text)


def jid_of(found: Element) -> JID:
    """The address in an element.

    Raises:
        StanzaError: BAD_REQUEST: it is none.
    """
    try:
        return JID.parse(found.get("jid") or "")
    except ValueError as error:
        raise refused(Condition.BAD_REQUEST, "jid-required", str(error)) from error


def word(found: Element, name: str, words: dict[str, T]) -> T:
    """The value of an attribute that is one of some words.

    Raises:
        StanzaError: BAD_REQUEST: it is none of them.
    """
    value = words.get(found.get(name) or "")
    if value is None:
        raise StanzaError(Condition.BAD_REQUEST, f"{name} must be one of {', '.join(words)}")
    return value


__all__ = ["Answer", "PubSubActions", "Request", "read_request", "request_of"]
