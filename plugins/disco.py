"""XEP-0030: Service Discovery. What are you, what can you do, and what else is there?"""

from dataclasses import dataclass

from xmppd.disco.disco import Disco, EntitiesOf, Of, Says, Subject
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem, DiscoQuestion
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.plugin.place import Part
from xmppd.presence.presence_manager import PresenceManager
from xmppd.stanza import IQ, Condition, StanzaError, dump, escape, ns, qname
from xmppd.stanza.guests import is_guest
from xmppd.stanza.rsm import RSM, PageRequest, page_of, page_request

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"

SERVER = DiscoInfo(
    (DiscoIdentity("server", "im", "xmppd"),),
    (
        "iq",
        "presence",
        "msgoffline",  # XEP-0160
        ns.ROSTER,
        ns.ROSTER_VERSIONING,
        ns.PRE_APPROVAL,
        ns.DELAY,
    ),
)
"""The server's identity, and its features without any plugin."""

MAX_PAGE_ITEMS = 1_000
"""Of one page, if pages are asked for."""

ACCOUNT = DiscoIdentity("account", "registered")
GUEST = DiscoIdentity("account", "anonymous")


@dataclass(frozen=True)
class Account:
    """The answers of service discovery for an account, to askers that may see it."""

    presences: PresenceManager

    def says(self, question: DiscoQuestion) -> DiscoInfo:
        """Its identity, and its available resources, as far as they show themselves."""
        bare = question.entity.bare
        sessions = self.presences.shown(bare, question.asker)
        items = tuple(DiscoItem(session.jid, "") for session in sessions)
        return DiscoInfo((GUEST if is_guest(bare) else ACCOUNT,), items=items)


@dataclass(frozen=True)
class IQDiscoInfoHandler(IQHandler):
    """Answer with the identities and features of the server, an account or a node (§3)."""

    disco: Disco

    query = qname(INFO, "query")
    # An asker that knows a guest's name has met the guest: all may ask (XEP-0175 §5).
    to = To.SERVER | To.SERVICES | To.ENTITIES | To.OWN_ACCOUNT | To.ACCOUNTS_SEEN | To.GUESTS
    features = (INFO,)

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        return info_query(await said(self.disco, iq, asked, wants_items=False), asked_node(iq))


@dataclass(frozen=True)
class IQDiscoItemsHandler(IQHandler):
    """Answer with the items of the server, an account or a node (§4), all of them or a page
    (:xep:`0059`).
    """

    disco: Disco

    query = qname(ITEMS, "query")
    to = To.SERVER | To.SERVICES | To.ENTITIES | To.OWN_ACCOUNT | To.ACCOUNTS_SEEN
    features = (ITEMS, RSM)

    def unseen(self, iq: IQ) -> bytes | None:
        """Nothing is listed, whether there is such an account or not (§8)."""
        return items_query((), asked_node(iq)) if iq.type == "get" else None

    async def on_get(self, iq: IQ, asked: Asked) -> bytes:
        request = page_request(iq.payload.tree[0], usual=MAX_PAGE_ITEMS, most=MAX_PAGE_ITEMS)
        found = await said(self.disco, iq, asked, request)
        items = found.items
        if found.page:
            return items_query(items, asked_node(iq), found.page)
        if request is None or not items:
            return items_query(items, asked_node(iq))
        page = page_of([f"{item.jid.full} {item.node}" for item in items], request)
        return items_query(items[page.start : page.end], asked_node(iq), page.given)


async def said(
    disco: Disco,
    iq: IQ,
    asked: Asked,
    page: PageRequest | None = None,
    *,
    wants_items: bool = True,
) -> DiscoInfo:
    """The answer for the entity that is asked.

    Raises:
        StanzaError: ITEM_NOT_FOUND: it has no such node, or a service no such entity.
    """
    question = DiscoQuestion(iq.sender, asked.address, asked_node(iq), page, wants_items)
    found = await disco.ask(subject(asked), question)
    if found is None:
        raise StanzaError(Condition.ITEM_NOT_FOUND)
    return found


def subject(asked: Asked) -> Subject:
    """The entity that is asked."""
    if not asked.service:
        return Of.SERVER if asked.server else Of.ACCOUNT
    domain = asked.address.domain
    return domain if asked.address.local is None else EntitiesOf(domain)


def asked_node(iq: IQ) -> str:
    """The node asked for; empty if none is."""
    return iq.payload.tree[0].get("node", "")


def info_query(info: DiscoInfo, node: str = "") -> bytes:
    """The answer to disco#info; the node that was asked for is repeated (§3.2)."""
    identities = "".join(
        f"<identity category='{escape(identity.category)}' type='{escape(identity.kind)}'"
        f"{_attribute('xml:lang', identity.lang)}{_attribute('name', identity.name)}/>"
        for identity in info.identities
    )
    features = "".join(f"<feature var='{escape(feature)}'/>" for feature in info.features)
    head = f"<query xmlns='{INFO}'{_attribute('node', node)}>{identities}{features}"
    return b"%b%b</query>" % (head.encode(), b"".join(dump(form) for form in info.forms))


def items_query(items: tuple[DiscoItem, ...], node: str = "", given: bytes = b"") -> bytes:
    """The answer to disco#items; ``given`` says which page it is, if it is one."""
    listed = "".join(
        f"<item jid='{escape(item.jid.full)}'{_attribute('node', item.node)}"
        f"{_attribute('name', item.name)}/>"
        for item in items
    )
    head = f"<query xmlns='{ITEMS}'{_attribute('node', node)}>"
    return b"%b%b%b</query>" % (head.encode(), listed.encode(), given)


def _attribute(name: str, value: str) -> str:
    """The attribute, if it is not empty."""
    return f" {name}='{escape(value)}'" if value else ""


def plug(disco: Disco, presences: PresenceManager) -> list[Part]:
    """The parts of this feature."""
    return [
        IQDiscoInfoHandler(disco),
        IQDiscoItemsHandler(disco),
        Says(SERVER),
        Says(of=Of.ACCOUNT, answer=Account(presences).says),
    ]
