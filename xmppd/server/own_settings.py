"""Which stage goes by which table of the file."""

from functools import partial
from typing import Any

from xmppd.config.config import (
    AuthSettings,
    Config,
    ContactSettings,
    LogSettings,
    OfflineSettings,
    PresenceSettings,
    RegistrationSettings,
    S2SSettings,
    StreamSettings,
    TokenSettings,
    WebSettings,
)
from xmppd.config.settings import Settings
from xmppd.server.wiring import Wiring, admins_of


def settings_of(server: Wiring) -> tuple[Settings[Any], ...]:
    """The stages that go by a table of the file, and are handed it when it has changed."""
    return (
        Settings(Config, partial(_use_streams, server)),
        Settings(Config, partial(_use_admins, server)),
        Settings(StreamSettings, server.client_connections.use),
        Settings(StreamSettings, server.offline_message_flood.use),
        Settings(StreamSettings, server.components.connections.use),
        Settings(S2SSettings, server.foreign_routes.use),
        Settings(WebSettings, server.http_connections.use),
        Settings(LogSettings, server.http_connections.use_log),
        Settings(WebSettings, server.web_sockets.use),
        Settings(WebSettings, server.bosh_sessions.use),
        Settings(StreamSettings, server.web_sockets.use_stream),
        Settings(AuthSettings, server.attempts.use),
        Settings(AuthSettings, server.authentication.use),
        Settings(AuthSettings, server.components.attempts.use),
        Settings(TokenSettings, server.tokens.use),
        Settings(RegistrationSettings, server.names.use),
        Settings(ContactSettings, server.names.use_contacts),
        Settings(ContactSettings, server.well_known.use),
        Settings(PresenceSettings, server.presence_update_handler.use),
        Settings(OfflineSettings, server.offline_message_strategy.use),
    )


def _use_streams(server: Wiring, config: Config) -> None:
    """Take other limits of new connections: those of ``[stream]``, or of a table in its
    place.
    """
    servers = config.streams("server")
    server.server_connections.use(servers)
    server.foreign_routes.use_streams(servers)
    server.listeners.use(config)


def _use_admins(server: Wiring, config: Config) -> None:
    """Take other administrators, and other roles."""
    server.admins = admins_of(config)
    server.commands.roles.use(server.admins, config.role)
    server.message_router.admins = server.admins
    server.names.use_admins(server.admins)
