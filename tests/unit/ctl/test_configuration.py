"""The configuration as commands: what holds, what a change would do, and to apply it."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from xmppd.command.refused import Refused
from xmppd.config.table import ConfigError
from xmppd.ctl.command_line import WantedCommand
from xmppd.ctl.protocol import Answer, ControlRequest
from xmppd.ctl.reading import read
from xmppd.testing.house import House


class ConfigurationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir()
        self.path /= "xmppd.toml"
        self.path.write_text("[log]\nlevel = 'info'\n", encoding="utf-8")
        self.path.chmod(0o640)
        self.office = Office(House("montague.lit"), self.path)

    def known(self) -> str:
        """What the file is known by."""
        (row,) = self.office.rows("config file")
        return str(row["known"])

    def test_plan(self) -> None:
        """A plan says what would change, and changes nothing."""
        rows = self.office.rows("config plan", text="[log]\nlevel = 'debug'\n")
        self.assertEqual(
            [(row["key"], row["effect"]) for row in rows],
            [("log.level", "would take effect at once"), ("data", "would need a restart")],
        )
        self.assertIn("info", self.path.read_text())
        with self.assertRaises(Refused) as caught:
            self.office.rows("config plan", text="nonsense")
        self.assertIn("line 1 is not TOML", str(caught.exception))

    def test_apply(self) -> None:
        """It is written whole, with the rights that the file had; the one before is kept."""
        text = "[log]\nlevel = 'debug'\n"
        rows = self.office.rows("config apply", text=text, known=self.known())
        self.assertEqual(rows[0]["effect"], "takes effect now")
        self.assertEqual(self.path.read_text(), text)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)
        before = self.path.with_name("xmppd.toml.before")
        self.assertIn("info", before.read_text())
        self.assertEqual(before.stat().st_mode & 0o777, 0o640)
        self.assertEqual(len(list(self.path.parent.iterdir())), 2)

    def test_two(self) -> None:
        """The second of two administrators is told that there was a first."""
        known = self.known()
        self.office.rows("config apply", text="a = 1", known=known)
        with self.assertRaises(Refused) as caught:
            self.office.rows("config apply", text="b = 1", known=known)
        self.assertIn("because someone has changed it", str(caught.exception))
        self.assertEqual(self.path.read_text(), "a = 1")

    def test_mistake(self) -> None:
        """With a mistake nothing is written; if it is noticed late, the file before is back."""
        before = self.path.read_text()
        with self.assertRaises(Refused):
            self.office.rows("config apply", text="nonsense")
        self.assertEqual(self.path.read_text(), before)

        async def reload() -> tuple[list[str], list[str]]:
            raise ConfigError("plugins.load: plugin dance does not exist.")

        self.patch(self.office.life, "reload", reload)
        with self.assertRaises(Refused) as caught:
            self.office.rows("config apply", text="a = 1")
        self.assertIn("nothing was changed: plugins.load", str(caught.exception))
        self.assertEqual(self.path.read_text(), before)

    def test_in_a_shell(self) -> None:
        """Of whoever names a file, the text is wanted: the server need not see that file."""
        about = self.office.table.commands["config plan"].about
        request = ControlRequest(words=["config", "plan", "new.toml"])
        asked = read(request, {about.name: about})
        assert isinstance(asked, Answer)
        self.assertEqual(asked.document, "new.toml")
        request.document = "[log]"
        wanted = read(request, {about.name: about})
        assert isinstance(wanted, WantedCommand)
        self.assertEqual(wanted.given, {"text": "[log]"})
