"""XEP-0163: Personal Eventing Protocol. Each account publishes, and whoever sees it is told.

An account's nodes are those of ``plugins/pubsub``, with the account as their host
(``accounts.py``). Who is told of an event is worked out when it happens (``audience.py``), by
rosters and by what clients want; nobody is subscribed for that.
"""

from xmppd.account.accounts import AccountRemoved
from xmppd.disco.disco import Of, Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import On
from xmppd.handler.presence_subscribe_handler import Subscribed
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import AtUnload, Part
from xmppd.presence.presence_manager import PresenceManager
from xmppd.router.packet_router import PacketRouter
from xmppd.stanza import JID
from xmppd.store.accounts import AccountStore
from xmppd_plugins.caps.clients import ClientCapabilities
from xmppd_plugins.pubsub.nodes import no_account
from xmppd_plugins.pubsub.requests import PubSubRequests

from .accounts import AccountHost
from .approvals import AccountApprovals
from .audience import EventAudience, EventTold
from .counts import EventCounts
from .explain import EventExplanations
from .faces import NodeFaces
from .last_events import LastEvents
from .last_items import LastItems
from .requests import FEATURES, IDENTITY, AccountDisco, IQPEPHandler, IQPEPOwnerHandler
from .settings import PEPSettings


def plug(
    requests: PubSubRequests,
    capabilities: ClientCapabilities,
    presences: PresenceManager,
    messages: PluginMessages,
    router: PacketRouter,
    accounts: AccountStore,
    settings: PEPSettings,
) -> list[Part]:
    """The parts of this plugin."""
    nodes = requests.engine.nodes
    counts = EventCounts()
    audience = EventAudience(presences, capabilities, messages, router, counts)
    last_events = LastEvents(nodes)
    last_items = LastItems(nodes, last_events, capabilities, presences, counts)
    disco, faces = AccountDisco(requests), NodeFaces()
    table = presences.routing_table

    def host(jid: JID) -> AccountHost | None:
        is_account = jid.local is not None and jid.is_bare and table.is_local(jid)
        return AccountHost(jid, presences, audience, faces, settings) if is_account else None

    async def told(event: EventTold) -> None:
        audience.told(event)
        if event.owner in event.people:
            await faces.told(JID.prepared(event.owner), event.node, here=False)

    def removed(event: AccountRemoved) -> None:
        nodes.forget_host(event.account)
        last_events.forget(event.account.bare)

    def stop() -> None:
        nodes.account = no_account
        last_events.stop()
        capabilities.changed.remove(last_items.wanted)
        capabilities.changed_elsewhere.remove(last_items.elsewhere)

    nodes.account = host
    capabilities.changed.append(last_items.wanted)
    capabilities.changed_elsewhere.append(last_items.elsewhere)
    return [
        AtUnload(stop),
        Offer(faces),
        Offer(audience),
        Tell(EventTold, told),
        IQPEPHandler(requests, presences, accounts, faces),
        IQPEPOwnerHandler(requests, presences, accounts, faces),
        Says(DiscoInfo((IDENTITY,), FEATURES), Of.ACCOUNT, disco.account),
        Says(of=Of.ACCOUNT, answer=disco.node, nodes=True),
        AccountApprovals(requests, presences, router),
        EventExplanations(nodes, audience).command(),
        On(Subscribed, last_items.subscribed),
        On(AccountRemoved, removed),
        *counts.metrics(),
    ]
