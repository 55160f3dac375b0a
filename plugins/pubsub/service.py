"""PubSubService: nodes for everybody, at a domain of their own."""

from collections.abc import Callable, Sequence

from xmppd.command.command_table import CommandTable
from xmppd.components.service import Service
from xmppd.components.service_domains import ServiceDomains
from xmppd.disco.disco import DiscoAnswer
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem, DiscoQuestion
from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.host.turns import Turns
from xmppd.stanza import IQ, JID, Condition, Later, Message, StanzaError, qname
from xmppd.stanza.date_time import date_time
from xmppd.stanza.form import DATA, Field
from xmppd.stanza.names import local_name

from .access import AccessModel, Affiliation, may_read
from .config import PREFIX, NodeConfig, NodeForm, SendLast, meta_data
from .listing import MAX_LISTED, list_items, list_nodes
from .names import NS, OWNER, new_name
from .pending import COMMANDS, GET_PENDING, TITLE, IQPendingHandler
from .requests import PubSubRequests
from .settings import PubSubSettings
from .state import Follow, NodeName, NodeState
from .subscription_forms import SubscriptionForm, answer_in

SUBDOMAIN = "pubsub."
IDENTITY = DiscoIdentity("pubsub", "service", "Publish and subscribe")
TOLD_PER_TURN = 500
"""Of an event's recipients."""

FEATURES = (
    NS,
    *(
        f"{NS}#{name}"
        for name in (
            "access-authorize",
            "access-open",
            "access-whitelist",
            "auto-create",
            "config-node",
            "config-node-max",
            "create-and-configure",
            "create-nodes",
            "delete-items",
            "delete-nodes",
            "instant-nodes",
            "item-ids",
            "last-published",
            "leased-subscription",
            "manage-subscriptions",
            "member-affiliation",
            "meta-data",
            "modify-affiliations",
            "multi-items",
            "outcast-affiliation",
            "persistent-items",
            "publish",
            "publish-only-affiliation",
            "publish-options",
            "publisher-affiliation",
            "purge-nodes",
            "retract-items",
            "retrieve-affiliations",
            "retrieve-default",
            "retrieve-default-sub",
            "retrieve-items",
            "retrieve-subscriptions",
            "rsm",
            "subscribe",
            "subscription-notifications",
            "subscription-options",
        )
    ),
)


class IQPubSubHandler(IQHandler):
    """Have requests about nodes done."""

    query = qname(NS, "pubsub")
    features = FEATURES

    def __init__(self, requests: PubSubRequests) -> None:
        self.requests = requests

    async def on_get(self, iq: IQ, asked: Asked) -> bytes | None:
        return await self.requests.ask(asked.address, iq.sender, "get", iq.query)

    async def on_set(self, iq: IQ, asked: Asked) -> bytes | None:
        return await self.requests.ask(asked.address, iq.sender, "set", iq.query)


class IQPubSubOwnerHandler(IQPubSubHandler):
    """Have requests of owners done."""

    query = qname(OWNER, "pubsub")
    features = (OWNER,)


class PubSubService(Service):
    """A service of nodes at ``pubsub.`` and a domain of ours.

    Args:
        services: Its place.
        domain: That of the accounts.
        requests: Does what is asked of it.
        commands: Know the administrators, who own all its nodes.
        turns: For telling many.
        settings: The limits.

    Attributes:
        told: The number of messages that were sent to subscribers and owners.
    """

    # What needs presence is not in it: the service has none.
    subscription_form = SubscriptionForm(("include_body",))

    def __init__(
        self,
        services: ServiceDomains,
        domain: str,
        requests: PubSubRequests,
        commands: CommandTable,
        turns: Turns,
        settings: PubSubSettings,
    ) -> None:
        super().__init__(
            services,
            SUBDOMAIN + domain,
            IDENTITY,
            IQPubSubHandler(requests),
            IQPubSubOwnerHandler(requests),
            IQPendingHandler(requests),
        )
        self.domain = domain
        self.requests = requests
        self.commands = commands
        self.turns = turns
        self.table = services.packet_router.routing_table
        self.told = 0
        self.use(settings)

    def use(self, settings: PubSubSettings) -> None:
        """Take other settings."""
        self.settings = settings
        self.max_nodes = settings.max_nodes
        self.max_bytes = settings.max_bytes
        # The service has no presence and no roster: what needs them is not in its form.
        self.form = NodeForm(
            settings.max_items,
            settings.max_payload_bytes,
            (AccessModel.OPEN, AccessModel.AUTHORIZE, AccessModel.WHITELIST),
            (SendLast.NEVER, SendLast.ON_SUB),
            without=("presence_based_delivery", "roster_groups_allowed"),
        )

    # -- as a host of nodes -----------------------------------------------------------------------

    def defaults(self, node: str) -> NodeConfig:
        most = self.settings
        config = NodeConfig()
        return NodeConfig(
            max_items=min(config.max_items or most.max_items, most.max_items),
            max_payload_size=min(config.max_payload_size, most.max_payload_bytes),
        )

    def check_create(self, who: JID, *, by_publishing: bool = False) -> None:
        """Let administrators make nodes, and others if the settings say so."""
        who_may = self.settings.create
        if who_may == "all" or self.is_owner(who):
            return
        if who_may != "local" or who.domain not in self.commands.domains:
            if by_publishing:
                raise StanzaError(Condition.ITEM_NOT_FOUND, "the node does not exist")
            raise StanzaError(Condition.FORBIDDEN, "you may not create nodes here")

    def check_config(self, node: str, config: NodeConfig) -> None:
        """Do nothing: here any node may be as its owner wants."""

    async def relation(self, who: JID, config: NodeConfig) -> tuple[bool, bool]:
        return False, False

    def is_owner(self, who: JID) -> bool:
        return who == self.jid or self.commands.actor(who).admin

    async def tell(
        self,
        recipients: Sequence[str],
        *children: bytes,
        cause: JID | None,
        type: str | None = None,
    ) -> None:
        message = Message.make(None, self.jid, *children, id=new_name(), type=type)
        self.told += len(recipients)
        if cause is not None:
            self.table.note_fan_out(cause, len(recipients))
        for number, jid in enumerate(recipients, 1):
            self.send(message.addressed(JID.prepared(jid)))
            if number % TOLD_PER_TURN == 0:
                await self.turns.next()

    async def tell_event(
        self,
        state: NodeState,
        follows: Sequence[Follow],
        event: Callable[[], bytes],
        body: bytes = b"",
        *,
        cause: JID | None,
    ) -> None:
        if not follows:
            return
        told, type = event(), state.config.notification_type.value
        if not body:
            await self.tell([follow.jid for follow in follows], told, cause=cause, type=type)
            return
        for wants_words, children in ((False, (told,)), (True, (told, body))):
            some = [each.jid for each in follows if each.options.include_body is wants_words]
            await self.tell(some, *children, cause=cause, type=type)

    # -- messages ---------------------------------------------------------------------------------

    def message(self, message: Message) -> Later:
        """Take the answers of owners, and what comes back from who is gone."""
        if message.type == "error":
            return self._came_back(message)
        form = message.payload.tree.find(qname(DATA, "x"))
        if form is None or not message.answerable:
            return super().message(message)
        answer = answer_in(message.xml, self.jid, message.sender)
        # An owner who cancels has not answered: the form stays open (:xep:`0060`, §8.6).
        return None if answer is None else self.requests.approve(answer)

    def _came_back(self, message: Message) -> Later:
        """Forget the subscriptions of who is gone for good (NO-20)."""
        error = message.payload.tree.find("error")
        conditions = set() if error is None else {local_name(each.tag) for each in error}
        if "gone" in conditions:
            return self.requests.forget(self.jid, message.sender.to_bare())
        if message.sender.resource is not None and "item-not-found" in conditions:
            return self.requests.forget(self.jid, message.sender)
        return None

    # -- disco ------------------------------------------------------------------------------------

    def says(self, question: DiscoQuestion) -> DiscoAnswer:
        if question.entity.local is not None:
            return None
        if question.node == COMMANDS:
            return DiscoInfo(items=(DiscoItem(self.jid, TITLE, GET_PENDING),))
        if question.node == GET_PENDING:
            command = DiscoIdentity("automation", "command-node", TITLE)
            return DiscoInfo((command,), (COMMANDS, DATA))
        if question.node:
            return self._node(question)
        return self._nodes(question) if question.wants_items else None

    async def _nodes(self, question: DiscoQuestion) -> DiscoInfo:
        """The nodes that somebody may know of (NO-22)."""
        store = self.requests.store
        known = dict(await store.affiliations_of(self.jid, question.asker, MAX_LISTED))
        is_owner = self.is_owner(question.asker)

        def may_see(name: str, config: NodeConfig) -> bool:
            return config.access_model is not AccessModel.WHITELIST or name in known or is_owner

        return await list_nodes(store, self.jid, question.page, may_see)

    async def _node(self, question: DiscoQuestion) -> DiscoInfo | None:
        """A node: what it is, and its items for who may read them."""
        nodes, name = self.requests.engine.nodes, NodeName(self.jid.full, question.node)
        state = await nodes.store.node(name)
        if state is None:
            return None
        standing = await nodes.standing(self, state, question.asker)
        model = state.config.access_model
        if standing.affiliation is Affiliation.OUTCAST:
            return None
        if model is AccessModel.WHITELIST and not may_read(model, standing):
            return None
        listed = DiscoInfo()
        if question.wants_items and may_read(model, standing):
            listed = await list_items(nodes.store.items, self.jid, name, question.page)
        more = (
            Field(f"{PREFIX}creation_date", values=(date_time(state.created),)),
            Field(f"{PREFIX}creator", type="jid-single", values=(state.creator,)),
            Field(f"{PREFIX}owner", type="jid-multi", values=tuple(state.owners)),
            Field(f"{PREFIX}num_subscribers", values=(str(len(state.follows)),)),
        )
        identity = DiscoIdentity("pubsub", "leaf", state.config.title)
        form = meta_data(state.config, *more)
        return DiscoInfo((identity,), (NS,), (form,), listed.items, listed.page)


__all__ = ["FEATURES", "SUBDOMAIN", "PubSubService"]
