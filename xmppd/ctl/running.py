"""Running: the server, for commands that need one that runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from xmppd.acme.renewals import Renewals
from xmppd.host.failures import Failures
from xmppd.host.recent_log import RecentLog
from xmppd.net.listen_endpoint import ListenEndpoint
from xmppd.plugin.plugin_manager import PluginManager


class Running(Protocol):
    """The server, as commands on a running one use it."""

    @property
    def endpoints(self) -> Sequence[ListenEndpoint]:
        """Its endpoints."""

    @property
    def plugins(self) -> PluginManager:
        """Its plugins."""

    @property
    def failures(self) -> Failures:
        """Of the program, in the last hour."""

    @property
    def recent(self) -> RecentLog:
        """The last warnings and errors of the log."""

    def unread(self) -> Sequence[Path]:
        """The configuration and certificates that have changed on disk since they were read."""

    @property
    def renewals(self) -> Renewals | None:
        """What has certificates signed; None if no domain wants that."""

    async def reload(self) -> tuple[list[str], list[str]]:
        """Read the configuration again.

        Returns:
            The changed keys that apply now; those that need a restart.

        Raises:
            ConfigError: It cannot be used; nothing has changed.
        """

    def plan(self, text: str) -> tuple[list[str], list[str]]:
        """What a reload would change if this was in the configuration file; nothing is done.

        Returns:
            The changed keys that would apply at once; those that would need a restart.

        Raises:
            ConfigError: It could not be used.
        """

    def stop(self) -> None:
        """Begin to stop."""
