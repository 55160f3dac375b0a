"""XEP-0313: Message Archive Management. What was said stays said."""

from twisted.internet.interfaces import IReactorTime

from xmppd.account.accounts import AccountRemoved
from xmppd.config.settings import Settings
from xmppd.events import On
from xmppd.host.clocks import Clocks
from xmppd.host.turns import Turns
from xmppd.message.follower import Followers
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import AtLoad, AtUnload, Part
from xmppd.routing.routing_table import RoutingTable
from xmppd.store.offline import OfflineStore
from xmppd.store.sql import Database, Tables
from xmppd.stream.bound_extra import BoundExtra

from .archive import Archive
from .bound import BoundMetadata
from .query import ArchiveReader
from .requests import answers_of
from .settings import ArchiveSettings
from .tables import metadata
from .waiting import WaitingMessages


def plug(
    database: Database,
    routing_table: RoutingTable,
    clocks: Clocks,
    clock: IReactorTime,
    turns: Turns,
    followers: Followers,
    offline: OfflineStore,
    settings: ArchiveSettings,
) -> list[Part]:
    """The parts of this plugin."""
    membership = routing_table.membership
    archive = Archive(database, lambda: membership.node.number, clocks, clock, settings)
    waiting = WaitingMessages(archive, offline, turns.next)
    bound = BoundMetadata(archive, waiting, followers)
    return [
        Tables(metadata),
        AtLoad(archive.open),
        AtUnload(archive.close),
        archive,
        On(AccountRemoved, archive.removed),
        Settings(ArchiveSettings, archive.use),
        Offer(archive),
        *answers_of(ArchiveReader(archive, turns.next), waiting),
        bound,
        BoundExtra(bound.around),
    ]
