"""A plugin's own table of the file: read when it is plugged, and again when the file is."""

import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import Config
from xmppd.plugin.plugin_error import PluginError, PluginTableError
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config

NAME = "montague"

PLUGIN = """
    from typing import Annotated, Literal

    from xmppd.config.config import ContactSettings
    from xmppd.config.section import Mark, Section
    from xmppd.config.settings import Settings

    plugged = []
    handed = []

    class MontagueSettings(Section, frozen=True):
        friends: int = 3
        patience_s: Annotated[float, Mark.MAY_BE_ZERO] = 1.5
        mood: Literal["sad", "merry"] = "sad"

        def __post_init__(self):
            if self.mood == "merry" and self.friends < 2:
                raise ValueError("nobody is merry with less than two friends")

    def plug(settings: MontagueSettings, contacts: ContactSettings):
        plugged.append((settings.friends, contacts.admin))
        return [{part}]
"""
HANDED = "Settings(MontagueSettings, lambda settings: handed.append(settings.friends))"


class PluginSettingsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.addCleanup(sys.modules.pop, f"xmppd_local.{NAME}", None)
        self.write(PLUGIN.format(part=""))

    def write(self, code: str) -> None:
        (self.directory / f"{NAME}.py").write_text(dedent(code))

    def config(self, table: dict[str, object] | None = None, **tables: Any) -> Config:
        """A configuration with the plugin's directory, and with its table if there is to be one."""
        if table is not None:
            tables[NAME] = table
        plugins = {"directory": str(self.directory)}
        return house_config("montague.lit", plugins=plugins, **tables)

    def open(self, table: dict[str, object] | None = None) -> None:
        """A house with the plugin."""
        self.house = House(config=self.config(table), plugins=(NAME,))
        self.module: Any = sys.modules[f"xmppd_local.{NAME}"]

    def refusal(self, table: dict[str, object]) -> str:
        """Why the plugin is not loaded with this table."""
        house = House(config=self.config(table))
        loading = Deferred.fromCoroutine(house.plugins.load(NAME))
        error = self.failureResultOf(loading, PluginTableError).value
        self.assertEqual(house.plugins.loaded, {})
        return str(error)

    def test_default(self) -> None:
        """Without a table there are the defaults."""
        self.open()
        self.assertEqual(self.module.plugged, [(3, ())])

    def test_from_the_file(self) -> None:
        """What the file says comes with the plugin's first breath."""
        self.open({"friends": 7, "patience_s": 0.0})
        self.assertEqual(self.module.plugged, [(7, ())])

    def test_mistakes(self) -> None:
        """A mistake in it is told in the same words as one in a table of the server's."""
        listed: tuple[tuple[dict[str, object], str], ...] = (
            ({"frends": 1}, 'montague.frends is not an option (did you mean "montague.friends"?)'),
            ({"zzz": 1}, "montague.zzz is not an option; remove it, or use one of friends, "),
            ({"friends": "all"}, "montague.friends is a string; it must be an integer."),
            ({"friends": 0}, "montague.friends is 0; it must be greater than zero."),
            ({"mood": "angry"}, 'montague.mood cannot be \'angry\'; use one of "sad", "merry".'),
            (
                {"mood": "merry", "friends": 1},
                "montague: nobody is merry with less than two friends.",
            ),
        )
        for table, sentence in listed:
            with self.subTest(sentence):
                self.assertIn(sentence, self.refusal(table))

    def test_no_settings(self) -> None:
        """A plugin that has no settings has no table either."""
        self.write("def plug(): return []")
        self.assertEqual(
            self.refusal({"friends": 1}),
            "montague is not an option, because the plugin has no settings; remove the table.",
        )

    def test_plugged_anew(self) -> None:
        """A change has the plugin plugged anew; so has one of another table that it was given."""
        self.open()
        self.house.reload(self.config({"friends": 4}))
        self.house.reload(self.config({"friends": 4}, contact={"admin": ("xmpp:a@b.c",)}))
        self.house.reload(self.config({"friends": 4}, contact={"admin": ("xmpp:a@b.c",)}))
        self.assertEqual(
            self.module.plugged, [(3, ()), (4, ()), (4, ("xmpp:a@b.c",))]
        )  # fmt: skip

    def test_one_fails(self) -> None:
        """A plugin that cannot go by a changed table does not keep another from it."""
        checked = "plugged.append((settings.friends, contacts.admin))"
        self.write(
            PLUGIN.replace(checked, f"assert settings.friends != 4; {checked}").format(part="")
        )
        (self.directory / "capulet.py").write_text(
            dedent(PLUGIN.replace("Montague", "Capulet").format(part=""))
        )
        self.addCleanup(sys.modules.pop, "xmppd_local.capulet", None)
        self.open()
        done(self.house.plugins.load("capulet"))
        changed = self.config({"friends": 4}, capulet={"friends": 4})
        self.assertRaisesRegex(PluginError, NAME, self.house.reload, changed)
        self.flushLoggedErrors(AssertionError)
        self.assertEqual([*self.house.plugins.loaded], ["capulet"])
        self.assertEqual(sys.modules["xmppd_local.capulet"].plugged, [(3, ()), (4, ())])

    def test_said_and_not_changed(self) -> None:
        """A table that says what was so anyway changes nothing."""
        self.open()
        self.house.reload(self.config({"friends": 3}))
        self.assertEqual(self.module.plugged, [(3, ())])

    def test_handed(self) -> None:
        """A part that asks for the table is handed it, and the plugin stays as it is."""
        self.write(PLUGIN.format(part=HANDED))
        self.open()
        self.house.reload(self.config({"friends": 4}))
        self.house.reload(self.config({"friends": 5}))
        self.house.reload(self.config())
        self.assertEqual(self.module.handed, [4, 5, 3])
        self.assertEqual(self.module.plugged, [(3, ())])

    def test_taken_out(self) -> None:
        """A plugin that was taken out is handed nothing."""
        self.write(PLUGIN.format(part=HANDED))
        self.open()
        done(self.house.plugins.unload(NAME))
        self.house.reload(self.config({"friends": 4}))
        self.assertEqual(self.module.handed, [])

    def test_mistake_while_it_runs(self) -> None:
        """A mistake in the table of a plugin that is there changes nothing."""
        self.open({"friends": 4})
        before = self.house.server.config
        self.assertRaises(PluginTableError, self.house.reload, self.config({"frends": 5}))
        self.assertIs(self.house.server.config, before)
        self.assertIs(self.house.plugins.config, before)

    def test_read_again(self) -> None:
        """A plugin whose file is read again has the table by the struct that it has now."""
        self.open({"friends": 4})
        self.write(
            PLUGIN.format(part="").replace("friends: int = 3", "friends: int = 3; foes: int = 2")
        )
        done(self.house.plugins.reload(NAME))
        self.house.reload(self.config({"friends": 4, "foes": 9}))
        self.assertEqual(sys.modules[f"xmppd_local.{NAME}"].plugged, [(4, ()), (4, ())])

    def test_name_of_ours(self) -> None:
        """A plugin cannot have a table that is the server's."""
        (self.directory / f"{NAME}.py").rename(self.directory / "roster.py")
        self.addCleanup(sys.modules.pop, "xmppd_local.roster", None)
        house = House(config=self.config())
        loading = Deferred.fromCoroutine(house.plugins.load("roster"))
        error = self.failureResultOf(loading, PluginError).value
        self.assertIn("the server itself uses it", str(error))

    def test_configuration_is_a_value(self) -> None:
        """Two files that say the same of plugins are the same."""
        config = self.config({"friends": 4})
        self.assertEqual(config, self.config({"friends": 4}))
        self.assertNotEqual(config, replace(config, plugin_tables={}))
