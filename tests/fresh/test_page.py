"""What can be said of the set-up page without following it."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.fresh.page import Commands, File, steps
from xmppd.config.config_file import read_text


class PageTests(SynchronousTestCase):
    def test_order(self) -> None:
        """It installs, then has one file, the configuration, and then starts the server."""
        kinds = [type(step) for step in steps()]
        self.assertEqual(kinds, [Commands, Commands, File, Commands])

    def test_configuration(self) -> None:
        """The file is one that the server takes, apart from the certificate."""
        (file,) = [step for step in steps() if isinstance(step, File)]
        config = read_text(file.text, Path(file.path))
        self.assertEqual([domain.name for domain in config.domain], ["example.org"])

    def test_unit(self) -> None:
        """The unit that is started is that of the checkout."""
        *_, last = [step for step in steps() if isinstance(step, Commands)]
        self.assertIn("cp /opt/xmppd/share/xmppd/xmppd.service /etc/systemd/system/", last.text)
