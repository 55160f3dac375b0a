"""XEP-0030: Service Discovery. What are you, what can you do, and what else is there?"""

from collections.abc import Awaitable
from dataclasses import dataclass

from xmppd.handler.iq_handler import IQHandler
from xmppd.parts import DiscoIdentity, DiscoInfo, DiscoItem
from xmppd.server import XMPPServer
from xmppd.stanza import IQ, JID, Condition, StanzaError, dump, escape, ns, qname
from xmppd.stanza.guests import is_guest

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"

CORE_FEATURES = (
    "iq",
    "presence",
    "msgoffline",  # XEP-0160
    ns.ROSTER,
    ns.ROSTER_VERSIONING,
    ns.PRE_APPROVAL,
    ns.DELAY,
)
"""What the server does without any plugin, as the registrar of disco features calls it."""

SERVER = DiscoIdentity("server", "im", "xmppd")
ACCOUNT = DiscoIdentity("account", "registered")
GUEST = DiscoIdentity("account", "anonymous")


@dataclass(frozen=True)
class IQDiscoInfoHandler(IQHandler):
    """Say what the server, an account or a node is, and can do (§3)."""

    server: XMPPServer

    query = qname(INFO, "query")
    features = (INFO,)
    account_features = (INFO,)

    def on_get(self, iq: IQ) -> bytes | Awaitable[bytes]:
        node = asked_node(iq)
        if asked_account(iq) is not None:
            return self._account(iq, node)
        domain = asked_domain(iq)
        return info_query(self._node(iq, node) if node else server_info(self.server, domain), node)

    def _node(self, iq: IQ, node: str) -> DiscoInfo:
        for part in self.server.parts.nodes:
            if (info := part.info(iq, node)) is not None:
                return info
        raise StanzaError(Condition.ITEM_NOT_FOUND)

    async def _account(self, iq: IQ, node: str) -> bytes:
        account = asked_account(iq)
        # Whoever knows a guest's name has met them: all may know what they are (XEP-0175 §5).
        guest = account is not None and is_guest(account.bare)
        if not guest:
            await admit(self.server, iq)
        if node:
            raise StanzaError(Condition.ITEM_NOT_FOUND)
        return info_query(account_info(self.server, GUEST if guest else ACCOUNT), node)


@dataclass(frozen=True)
class IQDiscoItemsHandler(IQHandler):
    """Say what belongs to the server, an account or a node (§4)."""

    server: XMPPServer

    query = qname(ITEMS, "query")
    features = (ITEMS,)
    account_features = (ITEMS,)

    def on_get(self, iq: IQ) -> bytes | Awaitable[bytes]:
        node = asked_node(iq)
        if asked_account(iq) is not None:
            return self._account(iq, node)
        return items_query(self._node(iq, node) if node else tuple(self.server.parts.items), node)

    def _node(self, iq: IQ, node: str) -> tuple[DiscoItem, ...]:
        for part in self.server.parts.nodes:
            if (items := part.items(iq, node)) is not None:
                return items
        raise StanzaError(Condition.ITEM_NOT_FOUND)

    async def _account(self, iq: IQ, node: str) -> bytes:
        """The account's available resources, as far as they show themselves."""
        account = await admit(self.server, iq)
        if node:
            raise StanzaError(Condition.ITEM_NOT_FOUND)
        sessions = self.server.presence_manager.shown(account.bare, iq.sender)
        return items_query(tuple(DiscoItem(session.jid, "") for session in sessions), node)


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


async def admit(server: XMPPServer, iq: IQ) -> JID:
    """The account that is asked, if it is the sender's to know (§8).

    Raises:
        StanzaError: SERVICE_UNAVAILABLE, as if there were no such account.
    """
    account = asked_account(iq)
    if account is None or not await server.presence_manager.can_see(iq.sender, account):
        raise StanzaError(Condition.SERVICE_UNAVAILABLE)
    return account


def server_info(server: XMPPServer, domain: str) -> DiscoInfo:
    """What a domain of the server is, and what all that is loaded just now can do."""
    features = {feature.var for feature in server.parts.features if not feature.account}
    features.update(CORE_FEATURES)
    for handler in server.iq_router.handlers.values():
        features.update(handler.features)
    forms = (extension.form(domain) for extension in server.parts.extensions)
    return DiscoInfo(
        (SERVER,), tuple(sorted(features)), tuple(form for form in forms if form is not None)
    )


def account_info(server: XMPPServer, identity: DiscoIdentity = ACCOUNT) -> DiscoInfo:
    """What the server does on behalf of an account; a guest's is another identity."""
    features = {feature.var for feature in server.parts.features if feature.account}
    for handler in server.iq_router.handlers.values():
        features.update(handler.account_features)
    return DiscoInfo((identity,), tuple(sorted(features)))


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


def plug(server: XMPPServer) -> list[IQHandler]:
    """What this feature is made of."""
    return [IQDiscoInfoHandler(server), IQDiscoItemsHandler(server)]
