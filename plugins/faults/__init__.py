"""Faults and views for tests of clients: what goes wrong on request, and what clients got and sent.

It is loaded in temporary servers (``xmppd temporary``, :mod:`xmppd.testing`), and refuses to be
loaded where anybody could connect from another machine.
"""

from functools import partial

from twisted.internet.interfaces import IReactorTime

from xmppd.auth.base import AuthProvider
from xmppd.auth.providers import AuthProviders
from xmppd.auth.tokens import Tokens
from xmppd.config.config import Config
from xmppd.host.clocks import Clocks
from xmppd.message.offline_message_strategy import OfflineMessageStrategy
from xmppd.net.listener import Listeners
from xmppd.plugin.place import AtUnload, Part
from xmppd.plugin.plugin_error import PluginError
from xmppd.plugin.repeatedly import repeatedly
from xmppd.plugin.seams import Replace
from xmppd.s2s.foreign_routes import ForeignRoutes
from xmppd.store.sql import Database
from xmppd.store.watched import Watched

from .certificates import WrongCertificates
from .commands import FaultCommands
from .inside import (
    EndedTokens,
    IQFaults,
    RefusingProviders,
    SlowDatabase,
    full_offline_store,
    taken_in,
)
from .parent import LOOK_EVERY_S, Parent
from .record import SeenRecord
from .settings import FaultSettings
from .table import FaultTable
from .views import SeenCommands
from .wires import Wires, watched_connections

HERE = ("interface=127.", "interface=\\:\\:1", "unix:")
"""What stands in an endpoint at which only this machine connects."""


def check_is_here(config: Config) -> None:
    """Check that nobody connects from another machine.

    Raises:
        PluginError: Somebody may.
    """
    for listen in config.listen:
        if not any(word in listen.endpoint for word in HERE):
            raise PluginError(
                f"plugin faults is for tests, but other machines can reach {listen.endpoint}; "
                "add :interface=127.0.0.1, or do not load the plugin"
            )


def plug(
    config: Config,
    settings: FaultSettings,
    listeners: Listeners,
    servers: ForeignRoutes,
    providers: AuthProvider,
    tokens: Tokens,
    database: Database,
    clocks: Clocks,
    clock: IReactorTime,
) -> list[Part]:
    """The parts of this plugin."""
    check_is_here(config)
    assert isinstance(providers, AuthProviders), "it is that of all domains"
    assert isinstance(database, Watched), "it is that of the store"
    table, record = FaultTable(), SeenRecord(clock, clocks.wall_clock)
    wires = Wires(table, record, clock)
    certificates = WrongCertificates(listeners.tls)
    faults = FaultCommands(table, wires, clocks.wall_clock, certificates)
    return [
        *parents(settings, clock),
        AtUnload(wires.clear),
        *(AtUnload(undo) for undo in watched_connections(listeners, servers, wires)),
        AtUnload(taken_in(providers, RefusingProviders, table)),
        AtUnload(taken_in(tokens, EndedTokens, table)),
        AtUnload(database.behind(partial(SlowDatabase, faults=table, clock=clock))),
        AtUnload(certificates.show_right),
        Replace(OfflineMessageStrategy, full_offline_store(table)),
        IQFaults(table),
        *faults.commands(),
        *SeenCommands(record).commands(),
    ]


def parents(settings: FaultSettings, clock: IReactorTime) -> list[Part]:
    """What ends this server with the process that it is for, if there is one."""
    if not settings.parent:
        return []
    parent = Parent(settings.parent, settings.directory)
    return [AtUnload(parent.close), repeatedly(parent.look, LOOK_EVERY_S, clock)]
