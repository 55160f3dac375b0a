"""Account pages: people manage their account in a browser, at ``/account/``.

They change the password, end devices, files and invitations, take their data along, and end the
account itself, which takes a week (``page.py``, ``export.py``, ``endings.py``). Who has forgotten
the password is sent a link by those who run the server (``reset_page.py``). Where that is allowed,
people also make their account there (``register_page.py``).
"""

from functools import partial

from twisted.internet.interfaces import IReactorTime

from xmppd.account.accounts import Accounts
from xmppd.command.command_table import CommandTable
from xmppd.config.settings import Settings
from xmppd.host.clocks import Clocks
from xmppd.migration.exporter import Exporter
from xmppd.pages.visitors import Visitors
from xmppd.plugin.place import Part
from xmppd.plugin.repeatedly import repeatedly
from xmppd.store.sql import Database, Tables
from xmppd.web.http_doors import HTTPDoors
from xmppd_plugins.register.registration import HourlyLimit, SelfRegistration
from xmppd_plugins.web_client.client import address_of

from .commands import AccountPageCommands
from .endings import AccountEndings
from .export import AccountExport
from .page import AccountPage
from .puzzles import Puzzles
from .register_page import RegisterPage
from .reset_page import ResetPage
from .resets import PasswordResets
from .settings import AccountPageSettings
from .tables import metadata

SWEEP_S = 3_600.0


def plug(
    database: Database,
    accounts: Accounts,
    registration: SelfRegistration,
    commands: CommandTable,
    visitors: Visitors,
    exporter: Exporter,
    doors: HTTPDoors,
    clocks: Clocks,
    clock: IReactorTime,
    settings: AccountPageSettings,
) -> list[Part]:
    """The parts of this feature."""
    if not doors.serves_web:
        return []  # without a listener for HTTP nobody could come
    endings = AccountEndings(database, accounts, settings, clocks.wall_clock)
    resets = PasswordResets(database, clocks.wall_clock)
    export = AccountExport(exporter, accounts.store)
    page = AccountPage(visitors, commands, registration, endings, export)
    wrong = HourlyLimit(clocks.seconds)
    reset = ResetPage(page.site, resets, accounts, registration, doors.base_url, wrong)
    register = RegisterPage(
        page.site,
        registration,
        endings,
        Puzzles(clocks.seconds),
        commands.domains,
        partial(address_of, doors.paths),
    )
    page.site.frame = lambda click: {"registers": register.is_open}
    own = AccountPageCommands(
        resets, endings, accounts.store.exists, registration.passwords, reset.url
    )

    async def sweep() -> None:
        await endings.sweep()
        await resets.sweep()

    return [
        Tables(metadata),
        Settings(AccountPageSettings, endings.use),
        *page.paths(),
        *reset.paths(),
        *register.paths(),
        *own.commands(),
        repeatedly(sweep, SWEEP_S, clock),
    ]
