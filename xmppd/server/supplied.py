"""The stages that a plugin may ask for."""

from collections.abc import Mapping

from twisted.internet.interfaces import IReactorTime

from xmppd.auth.base import AuthProvider, RunInThread
from xmppd.host.clocks import Clocks
from xmppd.server.replaceable import class_of
from xmppd.server.wiring import Wiring


def stages_of(server: Wiring) -> Mapping[type, object]:
    """The stages that a plugin may ask for, each by its class, or by the protocol that it
    implements.
    """
    stages = (
        server.turns,
        server.events,
        server.cluster.claims,
        server.plugin_messages,
        server.disco,
        server.commands,
        server.command_forms,
        server.metrics,
        server.interceptors,
        server.routing_table,
        server.routing_table.siblings,
        server.requests,
        server.session_manager,
        server.shared_groups,
        server.roster_manager,
        server.privacy_lists,
        server.presence_manager,
        server.reports,
        server.privacy_changes,
        server.shared_group_changes,
        server.personal_items,
        server.offline_message_flood,
        server.presence_update_handler,
        server.presence_subscribe_handler,
        server.offline_message_strategy,
        server.followers,
        server.unread_counts,
        server.muting,
        server.message_router,
        server.presence_router,
        server.iq_router,
        server.binding,
        server.packet_router,
        server.resumable_sessions,
        server.held_messages,
        server.saved_sessions,
        server.passwords,
        server.names,
        server.attempts,
        server.accounts,
        server.tokens,
        server.sealing,
        server.devices,
        server.stream_features,
        server.inline_features,
        server.service_domains,
        server.foreign_routes,
        server.listeners,
        server.http_doors,
        server.visitors,
        server.exporter,
    )
    return {
        **{class_of(stage): stage for stage in stages},
        Clocks: server.clocks,
        IReactorTime: server.clock,
        **server.store.kept,
        AuthProvider: server.auth_provider,
        RunInThread: server.platform.run_in_thread,
    }
