"""All commands of the server: their descriptions, and the classes that do them."""

from pathlib import Path
from typing import Any

from xmppd.command.command import Command, Description
from xmppd.ctl import (
    announcing,
    audits,
    blocks,
    certificates,
    checkup,
    cluster,
    components,
    configuration,
    devices,
    explain,
    files,
    groups,
    jobs,
    keys,
    life,
    links,
    logged,
    moving,
    people,
    plugins,
    quarantine,
    reports,
    rosters,
    servers,
    sessions,
    settings,
    stored,
    top,
    trace,
    users,
    waiting,
)
from xmppd.ctl.declared import Declared
from xmppd.ctl.running import Running
from xmppd.explain.troubles import Surroundings, Troubles
from xmppd.server.xmpp_server import XMPPServer
from xmppd.trace.trace import Trace

DECLARED: dict[str, Declared[Any]] = {
    declared.about.name: declared
    for module in (
        users.COMMANDS,
        people.COMMANDS,
        sessions.COMMANDS,
        devices.COMMANDS,
        rosters.COMMANDS,
        groups.COMMANDS,
        blocks.COMMANDS,
        announcing.COMMANDS,
        servers.COMMANDS,
        cluster.COMMANDS,
        keys.COMMANDS,
        links.COMMANDS,
        components.COMMANDS,
        logged.COMMANDS,
        audits.COMMANDS,
        jobs.COMMANDS,
        reports.COMMANDS,
        explain.COMMANDS,
        trace.COMMANDS,
        top.COMMANDS,
        certificates.COMMANDS,
        moving.COMMANDS,
        life.COMMANDS,
        configuration.COMMANDS,
        plugins.COMMANDS,
        files.COMMANDS,
        checkup.COMMANDS,
        settings.COMMANDS,
        quarantine.COMMANDS,
        stored.COMMANDS,
        waiting.COMMANDS,
    )
    for declared in module
}
"""All of them by name."""

DESCRIPTIONS: dict[str, Description] = {name: each.about for name, each in DECLARED.items()}
"""Their descriptions, from which xmppctl's command line is made."""


WITHOUT_SERVER = tuple(about for about in DESCRIPTIONS.values() if about.needs == "file")
"""The descriptions of commands that no server does."""


def of_server(server: XMPPServer, traces: Trace) -> list[Command]:
    """The commands on a server; without listeners, those on its store."""
    return [
        *_of_accounts(server),
        *announcing.AnnouncingCommands(server.routing_table, server.turns.next).commands(),
        *servers.ServerCommands(server.foreign_routes, server.clocks).commands(),
        *components.ComponentCommands(server.routing_table).commands(),
        *cluster.ClusterCommands(
            server.cluster, server.locations, server.drain, server.check()
        ).commands(),
        *keys.KeyCommands(server.api_keys).commands(),
        *links.LinkCommands(
            server.visitors, server.commands, server.http_doors, server.store.accounts.exists
        ).commands(),
        *audits.AuditCommands(server.store.audit).commands(),
        *jobs.JobCommands(server.jobs).commands(),
        *reports.ReportCommands(server.reports).commands(),
        *explain.ExplainCommands(server).commands(),
        *trace.TraceCommands(traces, server.clock).commands(),
        *top.TopCommands(
            server.broadcast_counts,
            server.traffic_history,
            server.rates,
            server.stage_samples,
        ).commands(),
        *moving.MovingCommands(server).commands(),
        *quarantine.QuarantineCommands(server.store.quarantine).commands(),
        *stored.StoredCommands(server.stored_sizes).commands(),
        *waiting.WaitingCommands(server.store.accounts, server.store.offline).commands(),
    ]


def _of_accounts(server: XMPPServer) -> list[Command]:
    store, here, routes = server.store, server.session_manager, server.routing_table
    contacts = server.roster_manager
    subscriptions = server.presence_subscribe_handler
    return [
        *users.UserCommands(
            server.accounts,
            server.passwords,
            server.attempts,
            here,
            server.domains,
            server.wall_clock,
        ).commands(),
        *people.PeopleCommands(
            store.accounts, store.presences, store.devices, routes, contacts, server.commands.roles
        ).commands(),
        *sessions.SessionCommands(here, server.tokens).commands(),
        *devices.DeviceCommands(server.devices, here, store.accounts.exists).commands(),
        *rosters.RosterCommands(store.accounts, contacts, subscriptions).commands(),
        *groups.GroupCommands(store.accounts, server.shared_group_changes).commands(),
        *blocks.BlockCommands(store.accounts, server.privacy_changes).commands(),
    ]


def of_running(server: XMPPServer, running: Running, path: Path) -> list[Command]:
    """The further commands on a server that runs."""
    around = Surroundings(running.plugins, running.failures, running.unread, running.renewals)
    return [
        *certificates.CertificateCommands(server, running).commands(),
        *life.LifeCommands(server, running, path, Troubles(server, around)).commands(),
        *configuration.ConfigurationCommands(running, path).commands(),
        *plugins.PluginCommands(running.plugins, server).commands(),
        *settings.SettingsCommands(lambda: server.config).commands(),
        *logged.LogCommands(running.recent).commands(),
    ]
