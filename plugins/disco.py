"""XEP-0030: Service Discovery. What are you, what can you do, and what else is there?"""

from dataclasses import dataclass

from xmppd.disco.disco import Disco, Of, Says
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem, DiscoQuestion
from xmppd.handler.iq_handler import IQHandler
from xmppd.plugin.place import Part
from xmppd.presence.presence_manager import PresenceManager
from xmppd.stanza import IQ, JID, Condition, StanzaError, dump, escape, ns, qname
from xmppd.stanza.guests import is_guest

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
"""What the server is, and does without any plugin, as the registrar of disco features calls it."""

ACCOUNT = DiscoIdentity("account", "registered")
GUEST = DiscoIdentity("account", "anonymous")


@dataclass(frozen=True)
class Answering:
    """Finds what is said of whoever is asked, for those who may know (§8)."""

    disco: Disco
    presences: PresenceManager

    async def info(self, iq: IQ) -> DiscoInfo:
        """For disco#info. Whoever knows a guest's name has met them: all may know what they are
        (:xep:`0175` §5).
        """
        return await self._ask(iq, guests=True)

    async def items(self, iq: IQ) -> tuple[DiscoItem, ...]:
        """For disco#items."""
        return (await self._ask(iq, guests=False)).items

    async def _ask(self, iq: IQ, *, guests: bool) -> DiscoInfo:
        """What is said.

        Raises:
            StanzaError: SERVICE_UNAVAILABLE: there is no such account, as far as the sender may
                know; ITEM_NOT_FOUND: it has no such node.
        """
        account = asked_account(iq)
        if account is not None and not (guests and is_guest(account.bare)):
            await self._admit(iq, account)
        entity = JID.parse(asked_domain(iq)) if account is None else account.to_bare()
        question = DiscoQuestion(iq.sender, entity, asked_node(iq))
        said = await self.disco.ask(Of.SERVER if account is None else Of.ACCOUNT, question)
        if said is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND)
        return said

    async def _admit(self, iq: IQ, account: JID) -> None:
        if not await self.presences.can_see(iq.sender, account):
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)

    def account(self, question: DiscoQuestion) -> DiscoInfo:
        """What an account is, and its available resources, as far as they show themselves."""
        bare = question.entity.bare
        sessions = self.presences.shown(bare, question.asker)
        items = tuple(DiscoItem(session.jid, "") for session in sessions)
        return DiscoInfo((GUEST if is_guest(bare) else ACCOUNT,), items=items)


@dataclass(frozen=True)
class IQDiscoInfoHandler(IQHandler):
    """Say what the server, an account or a node is, and can do (§3)."""

    answering: Answering

    query = qname(INFO, "query")
    features = (INFO,)
    account_features = (INFO,)

    async def on_get(self, iq: IQ) -> bytes:
        return info_query(await self.answering.info(iq), asked_node(iq))


@dataclass(frozen=True)
class IQDiscoItemsHandler(IQHandler):
    """Say what belongs to the server, an account or a node (§4)."""

    answering: Answering

    query = qname(ITEMS, "query")
    features = (ITEMS,)
    account_features = (ITEMS,)

    async def on_get(self, iq: IQ) -> bytes:
        return items_query(await self.answering.items(iq), asked_node(iq))


def asked_node(iq: IQ) -> str:
    """The node that is asked for; empty if none is."""
    return iq.payload.tree[0].get("node", "")


def asked_account(iq: IQ) -> JID | None:
    """The account that is asked, the sender's own if nobody is named; None if it is the server."""
    to = iq.sender.to_bare() if iq.to is None else iq.to
    return None if to.local is None else to


def asked_domain(iq: IQ) -> str:
    """The domain that is asked."""
    return iq.sender.domain if iq.to is None else iq.to.domain


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


def items_query(items: tuple[DiscoItem, ...], node: str = "") -> bytes:
    """The answer to disco#items."""
    listed = "".join(
        f"<item jid='{escape(item.jid.full)}'{_attribute('node', item.node)}"
        f"{_attribute('name', item.name)}/>"
        for item in items
    )
    return f"<query xmlns='{ITEMS}'{_attribute('node', node)}>{listed}</query>".encode()


def _attribute(name: str, value: str) -> str:
    """The attribute, if it says anything."""
    return f" {name}='{escape(value)}'" if value else ""


def plug(disco: Disco, presences: PresenceManager) -> list[Part]:
    """What this feature is made of."""
    answering = Answering(disco, presences)
    return [
        IQDiscoInfoHandler(answering),
        IQDiscoItemsHandler(answering),
        Says(SERVER),
        Says(of=Of.ACCOUNT, answer=answering.account),
    ]
