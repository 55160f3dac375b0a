"""XEP-0357: Push Notifications. Who does not look is told of messages by their client's service.

``registrations`` keeps the services, ``triggers`` decides who is told of what and when, ``notice``
writes that, ``publisher`` sends it and takes the answers.
"""

from xmppd.account.accounts import AccountRemoved, Accounts
from xmppd.config.settings import Settings
from xmppd.disco.disco import Of, Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import On
from xmppd.handler.presence_subscribe_handler import SubscriptionAsked
from xmppd.host.clocks import Clocks
from xmppd.host.metrics import Metric, Reading
from xmppd.message.follower import Followers
from xmppd.message.muting import Muting
from xmppd.message.unread_counts import UnreadCounts
from xmppd.nodes.plugin_messages import PluginMessages, Tell
from xmppd.pages.page import Panel
from xmppd.plugin.offers import Offer
from xmppd.plugin.place import AtLoad, AtUnload, Part
from xmppd.roster.roster_manager import RosterManager
from xmppd.routing.requests import Requests
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.resumable_sessions import SessionDetached, StanzaWaits
from xmppd.session.session_manager import SessionBound, SessionClosed
from xmppd.store.sql import Database, Tables

from .commands import list_command
from .iq import IQPushDisableHandler, IQPushEnableHandler
from .notice import NS
from .publisher import FAILURE, Publisher
from .registrations import Registrations, metadata
from .settings import PushSettings
from .triggers import Announced, PushTriggers, RegistrationsChanged, SeenElsewhere


def metrics(publisher: Publisher) -> list[Metric]:
    """The counts of notifications."""

    def failed() -> Reading:
        return {(reason,): count for reason, count in publisher.failed.items()}

    return [
        Metric(
            "push_sent",
            "Notifications that push services accepted.",
            "counter",
            lambda: publisher.sent,
        ),
        Metric(
            "push_failed",
            "Notifications that push services did not accept.",
            "counter",
            failed,
            labels=(FAILURE,),
        ),
    ]


def plug(
    database: Database,
    followers: Followers,
    routing_table: RoutingTable,
    messages: PluginMessages,
    requests: Requests,
    rosters: RosterManager,
    accounts: Accounts,
    clocks: Clocks,
    unread: UnreadCounts,
    muting: Muting,
    settings: PushSettings,
) -> list[Part]:
    """The parts of this feature."""
    registrations = Registrations(database)
    publisher = Publisher(registrations, requests, clocks, unread, settings)
    triggers = PushTriggers(publisher, followers, routing_table, messages, muting)
    publisher.changed = triggers.changed

    def counts(account: str) -> dict[str, int]:
        roster = rosters.loaded(account)
        requests = 0 if roster is None else sum(1 for _ in roster.requests)
        return {"pending-subscription-count": requests} if requests else {}

    def stop() -> None:
        unread.readers.remove(triggers.see)
        triggers.stop()

    publisher.counts = counts
    unread.readers.append(triggers.see)
    return [
        AtUnload(stop),
        Tables(metadata),
        Tell(RegistrationsChanged, triggers.take_change),
        Tell(Announced, triggers.take),
        Tell(SeenElsewhere, triggers.take_seen),
        AtLoad(triggers.load),
        triggers,
        Offer(triggers),
        triggers.state(),
        On(SessionBound, triggers.bound),
        On(SessionDetached, triggers.detached),
        On(SessionClosed, triggers.closed),
        On(StanzaWaits, triggers.waits),
        On(SubscriptionAsked, triggers.asked),
        On(AccountRemoved, triggers.removed),
        Settings(PushSettings, publisher.use),
        IQPushEnableHandler(triggers, clocks),
        IQPushDisableHandler(triggers),
        Says(DiscoInfo(features=(NS,)), Of.ACCOUNT),
        list_command(registrations, accounts),
        Panel(page="user", title="Push services", command="push list", about="account"),
        *metrics(publisher),
    ]
