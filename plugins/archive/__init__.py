"""XEP-0313: Message Archive Management. What was said stays said."""

from contextlib import suppress
from functools import partial

from twisted.internet.interfaces import IReactorTime

from xmppd.account.accounts import AccountRemoved, Accounts
from xmppd.cluster.membership import Membership
from xmppd.config.settings import Settings
from xmppd.disco.disco import Of, Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import On
from xmppd.host.clocks import Clocks
from xmppd.host.turns import Turns
from xmppd.message.follower import Followers
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.pages.page import Panel
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import AtLoad, AtUnload, Part
from xmppd.plugin.repeatedly import repeatedly
from xmppd.roster.roster_manager import RosterManager
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID
from xmppd.store.errors import StoreError
from xmppd.store.offline import OfflineStore
from xmppd.store.sql import Database, Tables
from xmppd.stream.bound_extra import BoundExtra

from .archive import Archive, Settle
from .bound import BoundMetadata
from .commands import ArchiveCommands, ArchiveData
from .expiry import Expiry
from .preference_data import PreferenceData
from .preference_requests import IQArchivePreferencesHandler
from .preferences import Preferences
from .query import ArchiveReader
from .requests import answers_of
from .retractions import RETRACT, TOMBSTONES, Retractions
from .search import ArchiveSearch
from .settings import ArchiveSettings
from .tables import metadata
from .waiting import WaitingMessages
from .word_index import WordIndex

LOOK_AT_DISK_S = 30.0
EXPIRE_S = 3_600.0
INDEX_WORDS_S = 60.0


def is_another_first(membership: Membership) -> bool:
    """Whether it is for another node to do what one of them does for all."""
    return membership.id.name > min(membership.nodes, default=membership.id.name)


async def expire(expiry: Expiry, membership: Membership) -> None:
    """Delete what is to go, at one of the nodes."""
    if not is_another_first(membership):
        with suppress(StoreError):  # which the store has logged; the next time it goes on
            await expiry.expire()


async def index_words(words: WordIndex, membership: Membership) -> None:
    """Index the words of what was written since the last time, at one of the nodes."""
    if words.is_wanted and not is_another_first(membership):
        with suppress(StoreError):  # which the store has logged; the next time it goes on
            await words.index()


def plug(
    database: Database,
    routing_table: RoutingTable,
    clocks: Clocks,
    clock: IReactorTime,
    turns: Turns,
    followers: Followers,
    offline: OfflineStore,
    rosters: RosterManager,
    accounts: Accounts,
    messages: PluginMessages,
    settings: ArchiveSettings,
) -> list[Part]:
    """The parts of this plugin."""
    membership = routing_table.membership
    archive = Archive(database, lambda: membership.node.number, clocks, clock, settings)
    words = WordIndex(archive, turns.next)
    waiting = WaitingMessages(archive, offline, turns.next)
    expiry = Expiry(database, clocks.wall_clock, lambda: archive.settled, turns.next, settings)
    commands = ArchiveCommands(archive, expiry, accounts.store.exists)
    archive.copied = followers.of

    async def ask_others(owner: JID, settle: Settle) -> bool:
        # What is said in a room is written by the node that has it, which is asked for it.
        return not routing_table.is_local(owner) or await messages.all_take(owner, settle)

    archive.ask_others = ask_others
    archive.joined.append(Retractions(archive, waiting, turns.next).note)
    bound = BoundMetadata(archive, waiting, followers)
    preferences = Preferences(archive, rosters, messages)
    reader = ArchiveReader(archive, words, turns.next)
    return [
        Tables(metadata),
        AtLoad(archive.open),
        AtUnload(archive.close),
        archive,
        On(AccountRemoved, archive.removed),
        Settings(ArchiveSettings, archive.use),
        Settings(ArchiveSettings, expiry.use),
        repeatedly(archive.look_at_disk, LOOK_AT_DISK_S, clock),
        repeatedly(partial(expire, expiry, membership), EXPIRE_S, clock),
        Panel(
            page="user",
            title="Archive",
            command="archive show",
            about="account",
            each=("archive delete",),
        ),
        *commands.commands(),
        ArchiveData(commands),
        Offer(archive),
        Offer(expiry),
        Tell(Settle, archive.settle),
        Says(DiscoInfo(features=(RETRACT, TOMBSTONES)), Of.ACCOUNT),
        AtLoad(words.open),
        repeatedly(partial(index_words, words, membership), INDEX_WORDS_S, clock),
        Offer(reader),
        *answers_of(reader, waiting),
        bound,
        BoundExtra(bound.around),
        AtLoad(preferences.load),
        preferences.tell(),
        On(AccountRemoved, preferences.removed),
        IQArchivePreferencesHandler(preferences),
        PreferenceData(preferences),
        ArchiveSearch(archive, routing_table, turns.next),
    ]
