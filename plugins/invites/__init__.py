"""XEP-0401, XEP-0445, XEP-0379: Invitations. People bring others here, and have them as contacts.

``invitations.py`` has the rules: an invitation is known by the digest of a token, holds for a week,
and is used once, unless it says otherwise. A client without an account shows its token and makes
one (``iq.py``), a client with an account sends it with its request (``requests.py``), and a browser
shows what it is about (``page.py``).
"""

from functools import partial

from twisted.internet.interfaces import IReactorTime

from xmppd.account.accounts import Accounts
from xmppd.auth.base import RunInThread
from xmppd.config.config import TLSSettings
from xmppd.config.settings import Settings
from xmppd.events import Events, On
from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler, does_not_agree
from xmppd.host.clocks import Clocks
from xmppd.pages.page import Page, Panel
from xmppd.pages.visitors import Visitors
from xmppd.plugin.place import AtLoad, AtUnload, Part
from xmppd.plugin.repeatedly import repeatedly
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.store.sql import Database, Tables
from xmppd.stream.stream_feature import Stream, StreamFeature
from xmppd.web.http_doors import HTTPDoors
from xmppd_plugins.register.registration import HourlyLimit, SelfRegistration
from xmppd_plugins.web_client.client import address_of

from .commands import InviteCommands
from .forms import CREATE_ACCOUNT, INVITE
from .invitations import Invitations
from .iq import FEATURE, IQPreauthHandler
from .page import InvitePage
from .requests import InvitationTaken, InvitedRequests
from .settings import InviteSettings
from .tables import metadata
from .welcome import GuestWelcome

SWEEP_S = 3_600.0


def _nowhere(domain: str, token: str) -> str:
    return ""


def plug(
    database: Database,
    accounts: Accounts,
    registration: SelfRegistration,
    subscriptions: PresenceSubscribeHandler,
    groups: SharedGroupChanges,
    tls: TLSSettings,
    events: Events,
    visitors: Visitors,
    doors: HTTPDoors,
    run_in_thread: RunInThread,
    clocks: Clocks,
    clock: IReactorTime,
    settings: InviteSettings,
) -> list[Part]:
    """The parts of this feature."""
    wrong = HourlyLimit(clocks.seconds)
    welcome = GuestWelcome(accounts.store.exists, subscriptions, groups)
    invitations = Invitations(database, accounts, welcome, settings, clocks.wall_clock, wrong)
    requests = InvitedRequests(invitations, subscriptions, events.fire)
    web_client = partial(address_of, doors.paths)
    page = InvitePage(
        visitors, invitations, registration, doors.base_url, run_in_thread, web_client
    )
    pages = tuple(page.paths()) if doors.serves_web else ()
    commands = InviteCommands(
        invitations,
        lambda name: name in groups.groups.groups,
        page.landing_url if pages else _nowhere,
    )

    def let_in() -> None:
        registration.gate, subscriptions.agrees = invitations, requests.agree

    def close() -> None:
        registration.gate, subscriptions.agrees = None, does_not_agree

    return [
        AtUnload(close),
        Tables(metadata),
        AtLoad(let_in),
        Settings(InviteSettings, invitations.use),
        StreamFeature(
            FEATURE,
            needs=Stream.SECURE if tls.required else Stream.NEW,
            unless=Stream.AUTHENTICATED,
        ),
        IQPreauthHandler(invitations, tls.required),
        On(InvitationTaken, requests.ask_back),
        *commands.commands(),
        INVITE,
        CREATE_ACCOUNT,
        *pages,
        Page(path="invitations", title="Invitations", place="People", acts=("invite create",)),
        Panel(
            page="invitations",
            title="Invitations",
            command="invite list",
            each=("invite show", "invite revoke"),
        ),
        repeatedly(invitations.sweep, SWEEP_S, clock),
    ]
