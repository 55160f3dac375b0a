"""Requests about the nodes of accounts, and what disco says of them."""

from dataclasses import dataclass

from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem, DiscoQuestion
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.presence.presence_manager import PresenceManager
from xmppd.stanza import IQ, Condition, StanzaError, qname
from xmppd.store.accounts import AccountStore
from xmppd_plugins.pubsub.access import AccessModel, Affiliation, Standing, may_read
from xmppd_plugins.pubsub.config import meta_data
from xmppd_plugins.pubsub.listing import MAX_LISTED, list_items
from xmppd_plugins.pubsub.names import NS, OWNER
from xmppd_plugins.pubsub.requests import PubSubRequests
from xmppd_plugins.pubsub.state import FollowState, NodeName

from .accounts import MAX_NODES
from .faces import NodeFaces

IDENTITY = DiscoIdentity("pubsub", "pep")
FEATURES = (
    NS,
    *(
        f"{NS}#{name}"
        for name in (
            "access-authorize",
            "access-open",
            "access-presence",
            "access-roster",
            "access-whitelist",
            "auto-create",
            "auto-subscribe",
            "config-node",
            "config-node-max",
            "create-and-configure",
            "create-nodes",
            "delete-items",
            "delete-nodes",
            "filtered-notifications",
            "instant-nodes",
            "item-ids",
            "last-published",
            "meta-data",
            "modify-affiliations",
            "multi-items",
            "outcast-affiliation",
            "persistent-items",
            "presence-notifications",
            "presence-subscribe",
            "publish",
            "publish-only-affiliation",
            "publish-options",
            "publisher-affiliation",
            "purge-nodes",
            "retract-items",
            "retrieve-affiliations",
            "retrieve-default",
            "retrieve-items",
            "retrieve-subscriptions",
            "rsm",
            "subscribe",
            "subscription-options",
        )
    ),
)


@dataclass(frozen=True)
class IQPEPHandler(IQHandler):
    """Have requests about an account's nodes done, for its owner and for others.

    A stranger who may not know that there is such an account learns that there is one only from a
    node that is open (PE-1).
    """

    requests: PubSubRequests
    presences: PresenceManager
    accounts: AccountStore
    faces: NodeFaces

    query = qname(NS, "pubsub")
    to = To.OWN_ACCOUNT | To.ACCOUNTS

    async def on_get(self, iq: IQ, asked: Asked) -> bytes | None:
        return await self._ask("get", iq, asked)

    async def on_set(self, iq: IQ, asked: Asked) -> bytes | None:
        if asked.own and not await self.accounts.exists(asked.address.bare):
            raise StanzaError(Condition.NOT_ALLOWED, "guests cannot store anything")
        return await self._ask("set", iq, asked)

    async def _ask(self, kind: str, iq: IQ, asked: Asked) -> bytes | None:
        query = iq.query
        node = next((each.get("node") or "" for each in query), "")
        face = self.faces.by_node.get(node) if asked.own else None
        if face is not None:
            answer = await face.ask(asked.address.to_bare(), iq.sender, kind, query)
            if answer is not None:
                return answer
        try:
            return await self.requests.ask(asked.address, iq.sender, kind, query)
        except StanzaError as error:
            if asked.own or await self.presences.can_see(iq.sender, asked.address):
                raise
            raise StanzaError(Condition.SERVICE_UNAVAILABLE) from error


class IQPEPOwnerHandler(IQPEPHandler):
    """Have requests of owners done."""

    query = qname(OWNER, "pubsub")


@dataclass(frozen=True)
class AccountDisco:
    """What disco says of accounts: their nodes, and these."""

    requests: PubSubRequests

    async def account(self, question: DiscoQuestion) -> DiscoInfo | None:
        """The nodes that somebody may read."""
        if not question.wants_items:
            return None
        entity, asker = question.entity, question.asker
        nodes = self.requests.engine.nodes
        host, store, now = nodes.host(entity.bare), nodes.store, nodes.now()
        affiliations = dict(await store.affiliations_of(entity, asker, MAX_NODES))
        subscribed = {
            name
            for name, follow in await store.follows_of(entity, asker, MAX_LISTED)
            if follow.state is FollowState.SUBSCRIBED and not follow.is_over(now)
        }
        items = []
        for name, config in await store.nodes(entity, MAX_NODES):
            if not host.is_owner(asker):
                affiliation = affiliations.get(name, Affiliation.NONE)
                relation = (False, False)
                if config.access_model in (AccessModel.PRESENCE, AccessModel.ROSTER):
                    relation = await host.relation(asker, config)
                standing = Standing(affiliation, name in subscribed, *relation)
                if not may_read(config.access_model, standing):
                    continue
            items.append(DiscoItem(entity, config.title, name))
        return DiscoInfo(items=tuple(items))

    async def node(self, question: DiscoQuestion) -> DiscoInfo | None:
        """A node: what it is, and its items."""
        nodes, name = self.requests.engine.nodes, NodeName(question.entity.bare, question.node)
        state = await nodes.store.node(name)
        if state is None:
            return None
        standing = await nodes.standing(nodes.host(name.host), state, question.asker)
        if not may_read(state.config.access_model, standing):
            return None
        identity = DiscoIdentity("pubsub", "leaf", state.config.title)
        listed = DiscoInfo()
        if question.wants_items:
            listed = await list_items(nodes.store.items, question.entity, name, question.page)
        form = meta_data(state.config)
        return DiscoInfo((identity,), (NS,), (form,), listed.items, listed.page)


__all__ = ["FEATURES", "IDENTITY", "AccountDisco", "IQPEPHandler", "IQPEPOwnerHandler"]
