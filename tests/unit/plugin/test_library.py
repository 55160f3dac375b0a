"""A plugin may be a package: its files are found, checked and read anew."""

import sys

from tests.unit.plugin.plugging import SAYS, DirectoryCase
from xmppd.plugin import library
from xmppd.testing.client import done


class PackageTests(DirectoryCase):
    """A plugin of several files in the configured directory."""

    def setUp(self) -> None:
        super().setUp()
        self.write("guests/__init__.py", "from .book import plug")
        self.write("guests/book.py", f"{SAYS}from .words import VAR\nfrom .deep.end import MORE\n"
                   "def plug():\n    return [Says(DiscoInfo(features=(VAR, MORE)))]")  # fmt: skip
        self.write("guests/words.py", "VAR = 'urn:test:1'")
        self.write("guests/deep/__init__.py", "")
        self.write("guests/deep/end.py", "MORE = 'urn:test:a'")

    def test_loaded(self) -> None:
        """Its modules import each other, and it comes and goes like any other."""
        done(self.plugins.load("guests"))
        self.assertEqual(self.features(), ["urn:test:1", "urn:test:a"])
        self.assertIn("xmppd_local.guests.words", sys.modules)
        done(self.plugins.unload("guests"))
        self.assertEqual(self.features(), [])
        self.assertFalse([name for name in sys.modules if name.startswith("xmppd_local.guests")])

    def test_reloaded(self) -> None:
        """When it is reloaded, each of its modules is read anew, however little has changed."""
        done(self.plugins.load("guests"))
        for number in "23":
            self.write("guests/words.py", f"VAR = 'urn:test:{number}'")
            self.write("guests/deep/end.py", f"MORE = 'urn:test:a{number}'")
            done(self.plugins.reload("guests"))
            self.assertEqual(self.features(), [f"urn:test:{number}", f"urn:test:a{number}"])
        self.assertFalse(list(self.directory.rglob("__pycache__")))

    def test_broken_module(self) -> None:
        """A module that is broken now leaves the old plugin in place, all of it."""
        done(self.plugins.load("guests"))
        before = sys.modules["xmppd_local.guests.words"]
        self.write("guests/book.py", "this is no Python")
        self.assertIn("SyntaxError", self.why(self.plugins.reload("guests")))
        self.flushLoggedErrors(SyntaxError)
        self.assertEqual(self.features(), ["urn:test:1", "urn:test:a"])
        self.assertIs(sys.modules["xmppd_local.guests.words"], before)

    def test_others_may_write(self) -> None:
        """Not one of its files, nor a directory that holds them, may be written by others."""
        (self.directory / "guests" / "deep" / "text").write_text("hello")
        for path in ("", "guests", "guests/words.py", "guests/deep", "guests/deep/text"):
            with self.subTest(path):
                found = self.directory / path
                mode = found.stat().st_mode
                found.chmod(mode | 0o002)
                self.assertIn("chmod o-w", self.refused("guests"))
                found.chmod(mode)
        done(self.plugins.load("guests"))

    def test_before_ours(self) -> None:
        """A package comes before a plugin of ours of its name, as a file does."""
        self.write("ping/__init__.py", f"{SAYS}def plug():\n    return []")
        done(self.plugins.load("ping"))
        self.assertNotIn("{urn:xmpp:ping}ping", self.house.server.iq_router.handlers)

    def test_no_plugin(self) -> None:
        """A directory without a module is none."""
        (self.directory / "nothing").mkdir()
        self.assertIn("plugin nothing does not exist; ", self.refused("nothing"))

    def test_imported_early(self) -> None:
        """A plugin that was imported before another one was read anew is read anew as well."""
        self.write("shelf.py", "class Shelf:\n    pass\n\ndef plug():\n    return []")
        self.write("reader.py", f"{SAYS}from xmppd_local.shelf import Shelf\n"
                   "def plug():\n    return []")  # fmt: skip
        early = library.read("reader", self.directory)
        self.addCleanup(library.forget, "reader")
        self.addCleanup(library.forget, "shelf")
        self.assertIs(library.read("reader", self.directory), early)
        library.forget("shelf")
        again = library.read("reader", self.directory)
        self.assertIs(again.Shelf, sys.modules["xmppd_local.shelf"].Shelf)
