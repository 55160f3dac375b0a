"""Web client: a chat client that people use in their browser, at ``/client/``.

Any client that is built will do, by ``web_client.directory``; for converse.js there is a package,
which ``etc/web-client`` makes.
"""

from pathlib import Path

from xmppd.auth.base import RunInThread
from xmppd.command.command_table import CommandTable
from xmppd.plugin.place import Part
from xmppd.plugin.plugin_error import PluginError
from xmppd.web.http_doors import HTTPDoors

from .client import WebClientPage
from .files import installed
from .settings import WebClientSettings


def plug(
    commands: CommandTable,
    doors: HTTPDoors,
    run_in_thread: RunInThread,
    settings: WebClientSettings,
) -> list[Part]:
    """The parts of this feature."""
    directory = Path(settings.directory) if settings.directory else installed()
    if directory is None or not doors.serves_web:
        return []
    page = WebClientPage(directory, commands.domains, doors.base_url, run_in_thread)
    try:
        return list(page.paths())
    except (OSError, ValueError) as error:
        raise PluginError(f"there is no web client: {error}") from error
