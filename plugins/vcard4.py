"""XEP-0292: vCard4 over XMPP. The card that an account publishes, also by a request of its own."""

import re
from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.plugin.place import AtUnload, Part
from xmppd.presence.presence_manager import PresenceManager
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, child, dump, element, qname
from xmppd.stanza.xml import read
from xmppd_plugins.pep.faces import NodeFaces
from xmppd_plugins.pubsub.requests import PubSubRequests
from xmppd_plugins.pubsub.state import NodeName
from xmppd_plugins.vcard import NS as VCARD
from xmppd_plugins.vcard import Cards

NS = "urn:ietf:params:xml:ns:vcard-4.0"
NODE = "urn:xmpp:vcard4"
CURRENT = "current"
"""The id of the one item."""


OLDER = {
    "FN": ("fn/text",),
    "N/FAMILY": ("n/surname",),
    "N/GIVEN": ("n/given",),
    "N/MIDDLE": ("n/additional",),
    "N/PREFIX": ("n/prefix",),
    "N/SUFFIX": ("n/suffix",),
    "NICKNAME": ("nickname/text",),
    "BDAY": ("bday/date", "bday/text"),
    "ADR/POBOX": ("adr/pobox",),
    "ADR/EXTADD": ("adr/ext",),
    "ADR/STREET": ("adr/street",),
    "ADR/LOCALITY": ("adr/locality",),
    "ADR/REGION": ("adr/region",),
    "ADR/PCODE": ("adr/code",),
    "ADR/CTRY": ("adr/country",),
    "TEL/NUMBER": ("tel/uri", "tel/text"),
    "EMAIL/USERID": ("email/text",),
    "JABBERID": ("impp/uri",),
    "TZ": ("tz/text",),
    "TITLE": ("title/text",),
    "ROLE": ("role/text",),
    "ORG/ORGNAME": ("org/text",),
    "DESC": ("note/text",),
    "UID": ("uid/uri", "uid/text"),
    "URL": ("url/uri",),
}
"""Where a part of a card of :xep:`0054` stands in one of today: the first that is there counts."""

_SCHEME = re.compile(r"\A(?:tel|xmpp):")


def older(card: bytes) -> bytes:
    """A card of today as one of :xep:`0054`, as far as that has the same; empty if it has nothing
    (CV-9).
    """
    found, made = read(card), element(VCARD, "vCard")
    for path, places in OLDER.items():
        texts = (found.findtext("/".join(qname(NS, step) for step in each.split("/")))
                 for each in places)  # fmt: skip
        text = next(filter(None, texts), None)
        if text is None:
            continue
        inside = made
        *groups, name = path.split("/")
        for group in groups:
            known = inside.find(qname(VCARD, group))
            inside = child(inside, group) if known is None else known
        child(inside, name, _SCHEME.sub("", text))
    return dump(made) if len(made) else b""


@dataclass(frozen=True)
class OlderCards:
    """Makes cards of :xep:`0054` of those that accounts publish."""

    requests: PubSubRequests

    async def card(self, account: JID, asker: JID) -> bytes:
        """The card in the node, for who may read that."""
        name = NodeName(account.bare, NODE)
        try:
            page = await self.requests.engine.reading.items(name, asker, newest=1)
        except StanzaError:
            return b""
        return next((older(item.payload) for item in page.items if item.payload), b"")


@dataclass(frozen=True)
class IQvCard4Handler(IQHandler):
    """Show and take the card in the node (CV-9)."""

    requests: PubSubRequests
    presences: PresenceManager

    query = qname(NS, "vcard")
    to = To.OWN_ACCOUNT | To.ACCOUNTS
    features = (NS,)

    async def on_get(self, iq: IQ, asked: Asked) -> bytes | Element:
        """The card, for who may read the node; the owner without one is given an empty one."""
        engine, account = self.requests.engine, asked.address.to_bare()
        try:
            page = await engine.reading.items(NodeName(account.bare, NODE), iq.sender, newest=1)
        except StanzaError as error:
            if asked.own and error.condition is Condition.ITEM_NOT_FOUND:
                return element(NS, "vcard")
            if asked.own or await self.presences.can_see(iq.sender, account):
                raise
            raise StanzaError(Condition.SERVICE_UNAVAILABLE) from error
        for item in page.items:
            if item.payload:
                return item.payload
        return element(NS, "vcard")

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Publish the owner's card."""
        if not asked.own:
            raise StanzaError(Condition.FORBIDDEN, "this vCard belongs to someone else")
        name = NodeName(asked.address.bare, NODE)
        await self.requests.engine.publish(name, iq.sender, [(CURRENT, dump(iq.query))], None)


def plug(
    requests: PubSubRequests, presences: PresenceManager, faces: NodeFaces, cards: Cards
) -> list[Part]:
    """The parts of this plugin; by ``faces`` it needs accounts to have nodes."""

    def stop() -> None:
        cards.maker = None

    cards.maker = OlderCards(requests)
    return [AtUnload(stop), IQvCard4Handler(requests, presences)]
