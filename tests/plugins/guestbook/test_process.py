"""The guestbook in a server that runs, from a directory of plugins, on each database."""

import json
import signal
import subprocess

from tests.integration.processes import BASE, Peer, ProcessCase
from tests.plugins.guestbook.test_life import change, copy_to
from tests.unit.store.databases import drop_postgresql, make_postgresql

NS = "urn:xmppd:guestbook"
DISCO = "http://jabber.org/protocol/disco"
WITHOUT = ("disco", "adhoc_commands")
WITH = (*WITHOUT, "guestbook")


class SQLiteTests(ProcessCase):
    """In a file."""

    process: "subprocess.Popen[bytes]"

    def setUp(self) -> None:
        super().setUp()
        self.url = self.make_database()
        self.plugins = self.directory / "plugins"
        self.plugins.mkdir()
        copy_to(self.plugins)
        self.write(*WITHOUT)
        self.process = self.start()

    def make_database(self) -> str:
        """The URL of an empty database."""
        return "sqlite:///xmppd.sqlite"

    def write(self, *plugins: str, limits: str = "") -> None:
        """Write the configuration."""
        load = f'load = {json.dumps(plugins)}\ndirectory = "plugins"'
        text = BASE.format(endpoint="epoll:0:interface=127.0.0.1")
        storage = f'[storage]\nurl = "{self.url}"\n'
        self.config.write_text(
            text.replace('load = ["ping"]', load) + storage + limits, encoding="utf-8"
        )

    def hang_up(self, *plugins: str, limits: str = "") -> None:
        """Write the configuration, and have the server read it again."""
        said = "reloaded the configuration"
        before = self.text().count(said)
        self.write(*plugins, limits=limits)
        self.process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: self.text().count(said) > before, self.process)

    def seen(self, peer: Peer) -> tuple[list[bytes], list[object]]:
        """What a client and an administrator see: disco, and numbers by name."""
        answers = []
        for kind in ("info", "items"):
            for to in ("localhost", "guestbook.localhost", "romeo@localhost"):
                peer.send(
                    f"<iq type='get' id='d' to='{to}'><query xmlns='{DISCO}#{kind}'/></iq>".encode()
                )
                answers.append(peer.until(b"</iq>").rpartition(b"<iq")[2])
        names = [row["statistic"] for row in self.rows("stats")]
        return answers, names

    def words(self) -> list[object]:
        """What is written in Romeo's book."""
        return [row["words"] for row in self.rows("guestbook", "list", "romeo")]

    def test_life(self) -> None:
        """It is loaded, configured, reloaded with another file and unloaded while a client is there
        and signs; then all is as before, and an account takes its book along.
        """
        for name in ("romeo", "juliet"):
            self.ctl("user", "add", name, "--stdin", input="rose\n")
        self.ctl("roster", "add", "romeo", "juliet@localhost", "--mutual")
        juliet = Peer(self.ports()[1])
        self.addCleanup(juliet.close)
        juliet.log_in("juliet", "rose")
        before = self.seen(juliet)
        self.hang_up(*WITH, limits="[guestbook]\nmax_entries = 3\nmax_entry_bytes = 4\n")
        self.assertNotEqual(self.seen(juliet), before)
        self.ctl("guestbook", "sign", "romeo", "Aye")
        self.assertIn("1 to 4 bytes", self.ctl("guestbook", "sign", "romeo", "Ay me!", status=1))
        self.hang_up(*WITH, limits="[guestbook]\nmax_entries = 2\n")
        sign = f"<iq type='set' id='s' to='romeo@localhost'><sign xmlns='{NS}'>Ay me!</sign></iq>"
        juliet.send(sign.encode())
        self.assertIn(b"type='result'", juliet.until(b"</iq>"))
        juliet.send(sign.encode())
        self.assertIn(b"<resource-constraint", juliet.until(b"</iq>"))
        self.assertEqual(self.words(), ["Ay me!", "Aye"])
        change(self.plugins, "book", "words.strip()", "words.strip().upper()")
        self.assertIn("was reloaded", self.ctl("plugin", "reload", "guestbook"))
        self.ctl("guestbook", "erase", "romeo", "--number", "1")
        juliet.send(sign.encode())
        self.assertIn(b"AY ME!</signed>", juliet.until(b"</iq>"))
        self.assertEqual(self.words(), ["AY ME!", "Ay me!"])

        self.hang_up(*WITHOUT)
        self.assertIn("is not a command", self.ctl("guestbook", "list", "romeo", status=2))
        self.assertEqual(self.seen(juliet), before)
        self.ctl("user", "delete", "romeo")
        self.ctl("user", "add", "romeo", "--stdin", input="rose\n")
        self.ctl("plugin", "load", "guestbook")
        self.assertEqual(self.words(), [])
        self.assertNotIn("Traceback", self.text())


class PostgreSQLTests(SQLiteTests):
    """On a server."""

    def make_database(self) -> str:
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        return url
