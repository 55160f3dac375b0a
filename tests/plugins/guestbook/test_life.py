"""The life of the guestbook: loaded, reloaded and unloaded while the server runs."""

import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree, ignore_patterns
from xml.etree import ElementTree

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

import xmppd_plugins.guestbook
from tests.plugins.asking import ask, condition
from tests.plugins.guestbook.books import BOOK, JULIET, ROMEO, book, entries, sign, watch
from xmppd.config.config import Config
from xmppd.plugin.library import LOCAL
from xmppd.plugin.plugin_error import PluginError, PluginTableError
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config

SOURCE = Path(xmppd_plugins.guestbook.__file__).parent
PLUGINS = ("disco", "adhoc_commands")
NS = "urn:xmppd:guestbook"
DISCO = "http://jabber.org/protocol/disco"
COMMANDS = "http://jabber.org/protocol/commands"


def copy_to(directory: Path) -> None:
    """Copy the plugin into the directory of an administrator."""
    copytree(SOURCE, directory / "guestbook", ignore=ignore_patterns("__pycache__"))


def change(directory: Path, module: str, old: str, new: str) -> None:
    """Change a file of the copy."""
    file = directory / "guestbook" / f"{module}.py"
    text = file.read_text(encoding="utf-8")
    assert old in text, f"{module} has no {old}"
    file.write_text(text.replace(old, new), encoding="utf-8")


class LifeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        copy_to(self.directory)
        self.house = House(
            config=self.config(),
            plugins=PLUGINS,
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
        self.plugins = self.house.plugins
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.romeo.raw()
        self.addCleanup(self.forget)

    def config(self, **tables: Mapping[str, object]) -> Config:
        """The configuration, with the directory of the copy."""
        return house_config("montague.lit", plugins={"directory": str(self.directory)}, **tables)

    def forget(self) -> None:
        """No other test finds what was imported here."""
        for name in [each for each in sys.modules if each.startswith(f"{LOCAL}.")]:
            del sys.modules[name]

    def seen(self, client: Client) -> list[str]:
        """All that a client sees: disco of the server and of an account, forms, and what a stream
        has to offer.
        """
        questions = [
            (f"<query xmlns='{DISCO}#{kind}'/>", to)
            for kind in ("info", "items")
            for to in ("montague.lit", ROMEO, "guestbook.montague.lit", BOOK)
        ]
        questions += [
            (f"<query xmlns='{DISCO}#items' node='{COMMANDS}'/>", "montague.lit"),
            (f"<query xmlns='{DISCO}#info' node='{NS}#sign'/>", "montague.lit"),
            (f"<guestbook xmlns='{NS}'/>", ROMEO),
        ]
        answers = [ElementTree.tostring(ask(client, "get", *each)) for each in questions]
        return [*map(bytes.decode, answers), self.features()]

    def features(self) -> str:
        """What a stream offers, before login and after it."""
        client = self.house.unauthenticated(encrypted=True)
        client.open("montague.lit")
        offered = client.raw()
        client.stanza_handler.authenticated(self.house.jid("romeo"))
        client.handler.restart()
        client.open("montague.lit")
        offered += client.raw()
        client.abort()
        return offered.partition(b"<stream:features>")[2].decode().partition("<?xml")[0] + (
            offered.rpartition(b"<stream:features>")[2].decode()
        )

    def kept(self) -> dict[str, object]:
        """All that the places hold."""
        server = self.house.server
        return {
            "commands": list(server.commands.commands),
            "forms": list(server.command_forms.brought),
            "stats": [name for name, _ in server.metrics.numbers()],
            "settings": list(server.settings._parts),
            "handlers": dict(server.iq_router.handlers),
            "domains": dict(server.routing_table.components),
            "followers": server.followers.all(),
            "followed": dict(server.followers.of),
            "incoming": dict(server.interceptors.incoming),
            "outgoing": dict(server.interceptors.outgoing),
            "listeners": dict(server.events._listeners),
            "features": server.stream_features.rows,
            "disco": dict(server.disco._rows),
            "plugins": list(self.plugins.loaded),
            "offers": dict(self.plugins.offers.by_class),
            "modules": [name for name in sys.modules if name.startswith(f"{LOCAL}.")],
            "calls": len(self.house.clock.getDelayedCalls()),
        }

    def test_unloaded(self) -> None:
        """When it is unloaded, everything is exactly as it was before."""
        seen, kept = self.seen(self.juliet), self.kept()
        for _ in range(2):
            done(self.plugins.load("guestbook"))
            watch(self.romeo)
            sign(self.juliet)
            self.assertNotEqual(self.seen(self.juliet), seen)
            self.assertNotEqual(self.kept(), kept)
            self.romeo.raw()
            done(self.plugins.unload("guestbook"))
            self.assertEqual(self.seen(self.juliet), seen)
            self.assertEqual(self.kept(), kept)

    def test_kept(self) -> None:
        """What was written is there when it is loaded again."""
        done(self.plugins.load("guestbook"))
        sign(self.juliet)
        done(self.plugins.unload("guestbook"))
        self.assertEqual(condition(book(self.juliet)), "service-unavailable")
        done(self.plugins.load("guestbook"))
        self.assertEqual(entries(book(self.juliet)), [(JULIET, "Ay me!")])

    def test_reloaded(self) -> None:
        """A file of it that has changed is read anew, and nothing written is lost."""
        done(self.plugins.load("guestbook"))
        sign(self.juliet)
        change(self.directory, "book", "words.strip()", "words.strip().upper()")
        sign(self.juliet)
        done(self.plugins.reload("guestbook"))
        sign(self.juliet)
        words = [words for _, words in entries(book(self.juliet))]
        self.assertEqual(words, ["AY ME!", "Ay me!", "Ay me!"])

    def test_broken(self) -> None:
        """A file that is broken leaves the plugin as it was."""
        done(self.plugins.load("guestbook"))
        kept = self.kept()
        change(self.directory, "commands", "def commands(", "def commands(:")
        reloading = Deferred.fromCoroutine(self.plugins.reload("guestbook"))
        self.assertIn("invalid syntax", str(self.failureResultOf(reloading, PluginError).value))
        self.flushLoggedErrors()
        self.assertEqual(self.kept(), kept)
        self.assertEqual(condition(sign(self.juliet)), "result")

    def test_table_changes(self) -> None:
        """A reload takes the step to tables of a later version, with what is in them."""
        done(self.plugins.load("guestbook"))
        sign(self.juliet)
        change(
            self.directory,
            "entries",
            '    Index(None, "signed"),\n',
            '    Column("mood", Text),\n    Index(None, "signed"),\n',
        )
        reloading = Deferred.fromCoroutine(self.plugins.reload("guestbook"))
        self.assertIn(
            "an upgrade step is missing", str(self.failureResultOf(reloading, PluginError).value)
        )
        self.assertEqual(entries(book(self.juliet)), [(JULIET, "Ay me!")])
        change(
            self.directory,
            "__init__",
            "Tables(metadata)",
            'Tables(metadata, (lambda do: do.add_column("guestbook", Column("mood", Text)),))',
        )
        change(self.directory, "__init__", "import Database,", "import Column, Database, Text,")
        done(self.plugins.reload("guestbook"))
        sign(self.juliet)
        self.assertEqual(len(entries(book(self.juliet))), 2)

    def test_settings(self) -> None:
        """A limit is changed while it runs, and those who watch go on watching."""
        done(self.plugins.load("guestbook"))
        watch(self.romeo)
        self.house.reload(self.config(guestbook={"max_entry_bytes": 2}))
        self.assertEqual(condition(sign(self.juliet)), "not-acceptable")
        self.assertEqual(condition(sign(self.juliet, "Ay")), "result")
        self.assertEqual(len(self.romeo.received()), 1)
        for wrong in ({"max_entries": 0}, {"max_entry": 5}, {"max_entries": 10_001}):
            config = self.config(guestbook=wrong)
            self.assertRaises(PluginTableError, self.house.reload, config)
        self.assertEqual(condition(sign(self.juliet, "Ay")), "result")
