"""Guestbooks: each account has one, and whoever may see its presence can sign it.

An example with nearly all kinds of parts, in several files; copy it into the directory of
``[plugins]``. Clients sign and read a book by iq, by a message to the service and by commands, and
browsers on its page; who
watches a book is told of each entry, and of visitors. The owner erases, and so do administrators.
Where several nodes are one service, each book is written at one of them.
"""

from twisted.internet.interfaces import IReactorTime

from xmppd.components.service_domains import ServiceDomains
from xmppd.config.settings import Settings
from xmppd.disco.disco import Says
from xmppd.disco.info import DiscoInfo, DiscoQuestion
from xmppd.events import On
from xmppd.host.clocks import Clocks
from xmppd.host.metrics import Metric, Reading
from xmppd.message.follower import Followers
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import AtLoad, Part
from xmppd.plugin.repeatedly import repeatedly
from xmppd.presence.presence_manager import PresenceManager
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.session_manager import SessionClosed
from xmppd.stanza import Tree, qname
from xmppd.stanza.form import Field, result
from xmppd.store.accounts import AccountStore
from xmppd.store.sql import Database, Tables
from xmppd.stream.inline_feature import InlineFeature, bind_feature
from xmppd.stream.stream_feature import Negotiation, after_login

from .book import NS, RESULT, Guestbook, Sign, Signed
from .commands import SIGN_FORM, commands
from .entries import Entries, metadata
from .forgeries import NoForgedNotices
from .iq import IQGuestbookHandler, IQSignHandler, IQWatchHandler
from .page import GuestbookPage
from .service import GuestbookService
from .settings import GuestbookSettings
from .watchers import Watchers

FADING_S = 3_600.0


def limits(guestbook: Guestbook) -> Says:
    """The limits of books, as a form of the server's disco."""

    def answer(question: DiscoQuestion) -> DiscoInfo:
        now = guestbook.settings
        entries = Field("max_entries", values=(str(now.max_entries),))
        size = Field("max_entry_bytes", values=(str(now.max_entry_bytes),))
        return DiscoInfo(forms=(result(f"{NS}#limits", entries, size),))

    return Says(DiscoInfo(features=(NS,)), answer=answer)


def metrics(guestbook: Guestbook, watchers: Watchers) -> list[Metric]:
    """The metrics of books."""

    def signatures() -> Reading:
        return {(value,): count for value, count in guestbook.results.items()}

    return [
        Metric(
            "guestbook_signatures",
            "Entries that were signed, or could not be.",
            "counter",
            signatures,
            labels=(RESULT,),
        ),
        Metric(
            "guestbook_entry", "Sizes of entries.", "histogram", lambda: guestbook.sizes, "bytes"
        ),
        Metric("guestbook_watchers", "Sessions that watch a book.", "gauge", watchers.count),
    ]


def watching(watchers: Watchers) -> InlineFeature:
    """Watching from the moment at which a resource is bound."""

    def watch(negotiation: Negotiation, asked: Tree) -> bytes:
        watchers.watch(negotiation.session)
        return b""

    return bind_feature(NS, (qname(NS, "watch"), watch))


def plug(
    database: Database,
    accounts: AccountStore,
    presences: PresenceManager,
    messages: PluginMessages,
    followers: Followers,
    routing_table: RoutingTable,
    services: ServiceDomains,
    clocks: Clocks,
    clock: IReactorTime,
    settings: GuestbookSettings,
) -> list[Part]:
    """The parts of this plugin."""
    entries, wall_clock = Entries(database), clocks.wall_clock
    guestbook = Guestbook(entries, accounts, presences, messages, wall_clock, settings)
    watchers = Watchers(followers, routing_table)
    domains = sorted(routing_table.domains)
    return [
        repeatedly(guestbook.fade, FADING_S, clock),
        Tables(metadata),
        AtLoad(guestbook.fade),
        guestbook,
        Tell(Sign, guestbook.write),
        Tell(Signed, watchers.tell),
        Settings(GuestbookSettings, guestbook.use),
        Offer(guestbook),
        IQGuestbookHandler(guestbook, watchers),
        IQSignHandler(guestbook),
        IQWatchHandler(watchers),
        *commands(guestbook),
        SIGN_FORM,
        GuestbookPage(guestbook).path(),
        *(GuestbookService(services, domain, guestbook, watchers) for domain in domains),
        watchers,
        On(SessionClosed, watchers.closed),
        watchers.state(),
        watching(watchers),
        after_login(f"<guestbook xmlns='{NS}'/>"),
        NoForgedNotices(),
        limits(guestbook),
        *metrics(guestbook, watchers),
    ]
