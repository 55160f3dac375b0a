"""XEP-0363: HTTP File Upload. Clients upload files, and everybody with their URLs reads them.

A client asks ``service.py`` for a slot, which is a signed sentence (``slots.py``); with that it
uploads the file by HTTP (``web.py``). What is there, and how long, ``uploads.py`` knows by a table;
the bytes are in a directory (``folder.py``).
"""

from twisted.internet.interfaces import IReactorTime

from xmppd.account.accounts import AccountRemoved, Accounts
from xmppd.auth.base import RunInThread
from xmppd.command.command_table import CommandTable
from xmppd.components.service_domains import ServiceDomains
from xmppd.config.settings import Settings
from xmppd.events import On
from xmppd.host.clocks import Clocks
from xmppd.host.metrics import Metric
from xmppd.pages.page import Panel
from xmppd.plugin.place import AtLoad, Part
from xmppd.plugin.plugin_error import PluginError
from xmppd.plugin.repeatedly import repeatedly
from xmppd.store.sql import Database, Tables
from xmppd.web.http_doors import HTTPDoors

from .commands import commands_on
from .service import UploadService
from .settings import UploadSettings
from .tables import metadata
from .uploads import Uploads
from .web import UploadPath

SWEEP_S = 3_600.0


def metrics(uploads: Uploads) -> list[Metric]:
    """The metrics of uploads."""
    return [
        Metric("uploads", "Files that were uploaded.", "counter", lambda: uploads.stored),
        Metric(
            "upload",
            "Sizes of all files that were uploaded.",
            "counter",
            lambda: uploads.stored_bytes,
            "bytes",
        ),
        Metric(
            "upload_stored",
            "Sizes of all files that are there, added up every hour.",
            "gauge",
            lambda: uploads.kept_bytes,
            "bytes",
        ),
    ]


def plug(
    database: Database,
    services: ServiceDomains,
    doors: HTTPDoors,
    accounts: Accounts,
    commands: CommandTable,
    run_in_thread: RunInThread,
    clocks: Clocks,
    clock: IReactorTime,
    settings: UploadSettings,
) -> list[Part]:
    """The parts of this plugin."""
    if not doors.serves_web:
        return []  # without a listener for HTTP nobody could come
    if database.shared and not (settings.shared or settings.is_elsewhere):
        raise PluginError(
            "the nodes of a service need a shared directory for files: mount it at each node, "
            "name it in http_upload.directory, and set http_upload.shared = true; or do not load "
            "http_upload"
        )
    uploads = Uploads(database, run_in_thread, clocks, settings)

    async def removed(event: AccountRemoved) -> None:
        await uploads.end_all(event.account)

    return [
        Tables(metadata),
        AtLoad(uploads.open),
        Settings(UploadSettings, uploads.use),
        *(
            UploadService(services, domain, uploads, doors.base_url)
            for domain in sorted(commands.domains)
        ),
        UploadPath(uploads).path(),
        On(AccountRemoved, removed),
        *commands_on(uploads, accounts),
        Panel(
            page="user",
            title="Files",
            command="upload list",
            about="account",
            each=("upload delete",),
        ),
        Panel(page="data", title="Uploaded files", command="upload sizes"),
        *metrics(uploads),
        repeatedly(uploads.sweep, SWEEP_S, clock),
    ]
