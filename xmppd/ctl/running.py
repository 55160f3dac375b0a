"""Running: what only a server that runs can do."""

from collections.abc import Sequence
from typing import Protocol

from xmppd.net.listen_endpoint import ListenEndpoint
from xmppd.plugin.plugin_manager import PluginManager


class Running(Protocol):
    """What only a server that runs can do."""

    @property
    def endpoints(self) -> Sequence[ListenEndpoint]:
        """Where clients come in."""

    @property
    def plugins(self) -> PluginManager:
        """Its plugins."""

    async def reload(self) -> tuple[list[str], list[str]]:
        """Read the configuration again.

        Returns:
            The keys that have changed and hold from now on; those that need a restart.

        Raises:
            ConfigError: It cannot be used; nothing has changed.
        """

    def stop(self) -> None:
        """Begin to stop."""
