"""Plugins of several files, written into a directory."""

import sys
from pathlib import Path
from textwrap import dedent

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.disco.info import DiscoQuestion
from xmppd.plugin.library import LOCAL
from xmppd.plugin.plugin_error import PluginError
from xmppd.stanza import JID
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config

SAYS = "from xmppd.disco.disco import Says\nfrom xmppd.disco.info import DiscoInfo\n"


class DirectoryCase(SynchronousTestCase):
    """A house, and a directory of plugins."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        plugins = {"directory": str(self.directory)}
        self.house = House(config=house_config("montague.lit", plugins=plugins))
        self.plugins = self.house.plugins
        self.addCleanup(self.forget)

    def forget(self) -> None:
        """No other test finds what was imported here."""
        for name in [each for each in sys.modules if each.startswith(f"{LOCAL}.")]:
            del sys.modules[name]

    def write(self, path: str, text: str) -> None:
        """Write a file of a plugin."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))

    def refused(self, name: str) -> str:
        """Why a plugin is not loaded."""
        return self.why(self.plugins.load(name))

    def why(self, work: object) -> str:
        """Why something is refused."""
        failure = self.failureResultOf(Deferred.fromCoroutine(work), PluginError)  # type: ignore[arg-type]
        return str(failure.value)

    def features(self) -> list[str]:
        """What the server says that it can do, as far as tests have a say in it."""
        server = JID.parse("montague.lit")
        said = self.house.server.disco.server(DiscoQuestion(server, server))
        return [feature for feature in said.features if feature.startswith("urn:test")]


__all__ = ["SAYS", "DirectoryCase", "done"]
