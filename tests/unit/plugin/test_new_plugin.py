"""xmppd new-plugin: what an author begins with."""

import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from xmppd.plugin.new_plugin import write_plugin
from xmppd.plugin.plugin_error import PluginError


class NewPluginTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def made(self) -> set[str]:
        """The files below the directory."""
        return {
            path.relative_to(self.directory).as_posix()
            for path in self.directory.rglob("*")
            if path.is_file()
        }

    def test_written(self) -> None:
        """There is a package with an entry point, a test and a README, by the plugin's name."""
        made = write_plugin("word_counter", self.directory)
        self.assertEqual(made, self.directory / "xmppd-word-counter")
        self.assertEqual(
            self.made(),
            {
                f"xmppd-word-counter/{name}"
                for name in (
                    "README.md",
                    "pyproject.toml",
                    "tests/test_word_counter.py",
                    "xmppd_word_counter/__init__.py",
                    "xmppd_word_counter/plugin.py",
                )
            },
        )
        project = tomllib.loads((made / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        self.assertEqual(
            project["entry-points"]["xmppd.plugins"],
            {"word_counter": "xmppd_word_counter.plugin"},
        )
        self.assertIn(
            "class IQWordCounterHandler", (made / "xmppd_word_counter/plugin.py").read_text()
        )

    def test_refused(self) -> None:
        """A name that cannot be one, or is taken, is refused in a sentence, and nothing is made."""
        for name, why in (
            ("word-counter", "lowercase letters"),
            ("WordCounter", "lowercase letters"),
            ("../counter", "lowercase letters"),
            ("", "lowercase letters"),
            ("ping", "already installed"),
            ("stream", "the server itself"),
        ):
            with self.subTest(name), self.assertRaisesRegex(PluginError, why):
                write_plugin(name, self.directory)
        self.assertEqual(self.made(), set())

    def test_there_already(self) -> None:
        """What an author has written is never written over."""
        made = write_plugin("counter", self.directory)
        (made / "README.md").write_text("mine")
        self.assertRaisesRegex(
            PluginError, "already exists", write_plugin, "counter", self.directory
        )
        self.assertEqual((made / "README.md").read_text(), "mine")

    def test_nowhere(self) -> None:
        """Where nothing can be written, nothing is left."""
        self.assertRaises(OSError, write_plugin, "counter", self.directory / "nowhere")
        self.assertEqual(list(self.directory.iterdir()), [])
