"""Who goes by which table of the file, and hears when it has changed."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import Config, OfflineSettings, PresenceSettings, StreamSettings
from xmppd.config.settings import Settings, SettingsTable, table_of

QUIET = PresenceSettings(suppress_repeated=True)


class SettingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.table = SettingsTable(Config())
        self.heard: list[object] = []

    def test_as_it_is(self) -> None:
        """A table is found by its struct, and the whole file by its own."""
        config = self.table.config
        self.assertEqual(table_of(config, StreamSettings), StreamSettings())
        self.assertIs(table_of(config, Config), config)

    def test_changed(self) -> None:
        """Only whoever goes by a table that has changed hears of it."""
        self.table.put(Settings(PresenceSettings, self.heard.append), "xmppd")
        self.table.put(Settings(OfflineSettings, self.heard.append), "xmppd")
        self.table.put(Settings(Config, self.heard.append), "xmppd")
        new = replace(Config(), presence=QUIET)
        self.table.reload(new)
        self.assertEqual(self.heard, [QUIET, new])
        self.assertIs(self.table.config, new)
        self.table.reload(replace(new))
        self.assertEqual(len(self.heard), 2)

    def test_taken_out(self) -> None:
        """Whoever was taken out hears of nothing."""
        take_out = self.table.put(Settings(PresenceSettings, self.heard.append), "a")
        self.table.put(Settings(PresenceSettings, self.heard.append), "b")
        take_out()
        self.table.reload(replace(Config(), presence=QUIET))
        self.assertEqual(self.heard, [QUIET])

    def test_failure(self) -> None:
        """One that cannot take its settings keeps nobody else from theirs."""

        def fail(settings: PresenceSettings) -> None:
            raise ValueError("out of ink")

        self.table.put(Settings(PresenceSettings, fail), "a")
        self.table.put(Settings(PresenceSettings, self.heard.append), "b")
        self.table.reload(replace(Config(), presence=QUIET))
        (failure,) = self.flushLoggedErrors(ValueError)
        self.assertEqual(self.heard, [QUIET])
        self.assertIn("out of ink", failure.getErrorMessage())
