"""xmppctl in a process, with a server that runs and without."""

import signal

from tests.integration.processes import Peer, ProcessCase
from xmppd.data_directory import DataDirectory


class OfflineTests(ProcessCase):
    def test_works(self) -> None:
        """Accounts, rosters and the database can be worked on while the server is down."""
        self.assertIn("was added", self.ctl("user", "add", "romeo", "--stdin", input="rose\n"))
        self.ctl("roster", "add", "romeo", "juliet@elsewhere.lit")
        (item,) = self.rows("roster", "show", "romeo")
        self.assertEqual((item["contact"], item["subscription"]), ("juliet@elsewhere.lit", "none"))
        self.assertIn("already", self.ctl("db", "upgrade"))

    def test_status(self) -> None:
        """What is refused is status 1, what is not understood 2."""
        self.assertIn("no server runs", self.ctl("status", status=1))
        self.assertIn("--stdin", self.ctl("user", "add", "romeo", status=1))
        self.assertIn("usage", self.ctl("user", "dance", status=2))

    def test_directory_in_use(self) -> None:
        """While somebody else works in the data directory, nothing is touched."""
        directory = DataDirectory(self.directory / "data")
        directory.lock()
        self.addCleanup(directory.release)
        self.assertIn("in use", self.ctl("user", "list", status=1))


class OnlineTests(ProcessCase):
    def test_works(self) -> None:
        """A running server does what xmppctl asks, and its clients see it at once."""
        process = self.start()
        (status,) = self.rows("status")
        self.assertEqual(status["pid"], process.pid)
        self.ctl("user", "add", "romeo", "--stdin", input="rose\n")
        romeo = Peer(self.ports()[1])
        romeo.log_in("romeo", "rose")
        self.ctl("user", "password", "romeo", "--stdin", input="moon\n")
        self.assertIn(b"<reset", romeo.until(b"</stream:stream>"))
        romeo.close()
        again = Peer(self.ports()[1])
        again.log_in("romeo", "moon")
        self.assertIn("was deleted", self.ctl("--data", "data", "user", "delete", "romeo"))
        self.assertIn(b"<not-authorized", again.until(b"</stream:stream>"))
        again.close()
        self.assertIn("the server stops", self.ctl("stop"))
        self.assertEqual(process.wait(1), 0)

    def test_after_a_crash(self) -> None:
        """A server that was killed leaves a socket behind, and hinders nobody."""
        process = self.start()
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertTrue((self.directory / "data" / "xmppctl.sock").exists())
        self.assertEqual(self.rows("user", "list"), [])
