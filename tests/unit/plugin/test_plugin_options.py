"""The options of plugins, read from their files."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

from msgspec.structs import fields
from twisted.trial.unittest import SynchronousTestCase

import xmppd_plugins
from tests.unit.ctl.offices import Office
from xmppd.config.reference import default_of, in_toml, kind_of
from xmppd.config.section import Mark, Section, is_marked, section_of, type_of
from xmppd.ctl.settings import settings
from xmppd.plugin.plugin_options import plugin_options
from xmppd.testing.house import House, house_config

OWN = '''
from xmppd.config.section import Mark, Section

class Friar(Section, frozen=True):
    """Of the cell."""
    name: str

class CellSettings(Section, frozen=True):
    """The table.

    Attributes:
        herbs: What grows there,
            in ``baskets``.
        friars: Who lives there.
    """

    herbs: tuple[str, ...] = ("rue",)
    friars: tuple[Friar, ...] = ()

raise RuntimeError("it is run")
'''


def tables() -> Iterator[tuple[str, type[Section]]]:
    """The tables of all plugins that come with xmppd, each with the plugin's name."""
    for module in walk_packages(xmppd_plugins.__path__, "xmppd_plugins."):
        for kind in vars(import_module(module.name)).values():
            if (
                isinstance(kind, type)
                and issubclass(kind, Section)
                and kind.__module__ == module.name
            ):
                yield module.name.split(".")[1], kind


class OptionsTests(SynchronousTestCase):
    def test_as_they_are(self) -> None:
        """They are those of the classes, for every plugin that comes with xmppd."""
        found = {option.name: option for option in plugin_options(None)}
        seen = 0
        for name, kind in tables():
            for field in fields(kind):
                option = found.get(f"{name}.{field.name}")  # None of a table inside another
                if option is not None and section_of(field) is None:
                    self.assertEqual(option.kind, kind_of(type_of(field)), option)
                    self.assertEqual(option.default, in_toml(default_of(field)), option)
                    self.assertEqual(option.restart, is_marked(field, Mark.RESTART), option)
                    seen += 1
        self.assertGreater(seen, 90)

    def test_own(self) -> None:
        """So are those of one's own plugins, none of which is run; what is no Python has none."""
        directory = Path(self.mktemp())
        (directory / "cell").mkdir(parents=True)
        (directory / "cell" / "__init__.py").write_text(OWN)
        (directory / "broken.py").write_text("class X(Section: this is none")
        found = {option.name: option for option in plugin_options(directory)}
        herbs = found["cell.herbs"]
        self.assertEqual((herbs.kind, herbs.default), ("array of string", '["rue"]'))
        self.assertEqual(herbs.help, "What grows there, in baskets.")
        self.assertIn("cell.friars.name", found)
        self.assertNotIn("cell.name", found)

    def test_installed(self) -> None:
        """So are those of installed packages, by the plugin's name, whether it is loaded or not."""
        site = Path(self.mktemp()).absolute()
        (site / "monks-1.dist-info").mkdir(parents=True)
        (site / "monks-1.dist-info" / "METADATA").write_text("Name: monks\nVersion: 1\n")
        (site / "monks-1.dist-info" / "entry_points.txt").write_text(
            "[xmppd.plugins]\ncell = monks.cell\nchapel = monks.chapel\ncrypt = monks_crypt\n"
        )
        (site / "monks" / "cell").mkdir(parents=True)
        (site / "monks" / "__init__.py").write_text('raise RuntimeError("it is run")')
        (site / "monks" / "cell" / "__init__.py").write_text(OWN)
        (site / "monks" / "chapel.py").write_text(OWN)
        (site / "monks_crypt.py").write_text(OWN)
        sys.path.insert(0, str(site))
        self.addCleanup(sys.path.remove, str(site))
        found = {option.name: option for option in plugin_options(None)}
        for name in ("cell", "chapel", "crypt"):
            self.assertEqual(found[f"{name}.herbs"].help, "What grows there, in baskets.")
        office = Office(House("verona.lit"))
        (row, *_) = office.rows("config options", name="crypt")
        self.assertEqual((row["option"], row["default"]), ("crypt.herbs", '["rue"]'))

    def test_commands(self) -> None:
        """They are listed with all options, and what holds of plugins that are loaded."""
        office = Office(House("verona.lit"))
        names = {row["option"] for row in office.rows("config options")}
        self.assertLessEqual({"stream.stanzas_per_s", "muc.create", "guestbook.max_entries"}, names)
        (row,) = office.rows("config options", name="muc.create")
        self.assertEqual(row["default"], '"local"')
        config = house_config("verona.lit", plugin_tables={"muc": {"instant": True, "x": 1}})
        rows = {row.option: row for row in settings(config, plugin_options(None))}
        held = [
            (name, rows[name].value, rows[name].differs) for name in ("muc.create", "muc.instant")
        ]
        self.assertEqual(held, [("muc.create", '"local"', False), ("muc.instant", "true", True)])
        self.assertEqual((rows["muc.x"].value, rows["muc.x"].default), ("1", ""))
