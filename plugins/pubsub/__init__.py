"""XEP-0060: Publish-Subscribe. A service at ``pubsub.`` and each domain.

Things are published at nodes, kept there, and told to whoever has subscribed. A request goes by
``requests.py`` to the server that has the node (``nodes.py``); there ``actions.py`` has
``engine.py`` and ``following.py`` do it, store it (``store.py``, ``items.py``), and have
subscribers told.
"""

from twisted.internet.interfaces import IReactorTime

from xmppd.account.accounts import AccountRemoved, Accounts
from xmppd.command.command_table import CommandTable
from xmppd.components.service_domains import ServiceDomains
from xmppd.config.settings import Settings
from xmppd.events import On
from xmppd.host.clocks import Clocks
from xmppd.host.metrics import Metric
from xmppd.host.turns import Turns
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import Part
from xmppd.plugin.repeatedly import repeatedly
from xmppd.store.sql import Database, Tables

from .commands import PubSubCommands
from .engine import Engine
from .exchange import NodeData, NodeExchange
from .following import Following
from .messages import Approval, AskNode, AskPending, Departed, Overdue
from .nodes import ServedNodes
from .requests import PubSubRequests
from .service import PubSubService
from .settings import PubSubSettings
from .store import PubSubStore
from .tables import metadata

SWEEP_S = 3_600.0


def plug(
    database: Database,
    messages: PluginMessages,
    services: ServiceDomains,
    commands: CommandTable,
    accounts: Accounts,
    turns: Turns,
    clocks: Clocks,
    clock: IReactorTime,
    settings: PubSubSettings,
) -> list[Part]:
    """The parts of this plugin."""
    nodes = ServedNodes(PubSubStore(database), clocks.wall_clock)
    engine = Engine(nodes)
    requests = PubSubRequests(engine, Following(engine), messages)
    exchange = NodeExchange(engine)
    domains = sorted(commands.domains)
    hosts = [
        PubSubService(services, domain, requests, commands, turns, settings) for domain in domains
    ]
    nodes.hosts.update((host.jid.full, host) for host in hosts)

    async def removed(event: AccountRemoved) -> None:
        await requests.forget_everywhere(event.account)

    told = Metric(
        "pubsub_told",
        "Notifications that PubSub services have sent to subscribers and owners.",
        "counter",
        lambda: sum(host.told for host in hosts),
    )
    return [
        Tables(metadata),
        told,
        nodes,
        Offer(requests),
        Tell(AskNode, requests.take),
        Tell(Approval, requests.take_approval),
        Tell(AskPending, requests.take_pending),
        Tell(Departed, requests.take_departed),
        Tell(Overdue, requests.take_overdue),
        *(Settings(PubSubSettings, host.use) for host in hosts),
        *hosts,
        On(AccountRemoved, removed),
        *PubSubCommands(requests, accounts.store.exists).commands(),
        *exchange.commands(),
        NodeData(exchange),
        repeatedly(requests.end_overdue, SWEEP_S, clock),
    ]
