"""xmppctl in a process, with a server that runs and without."""

import json
import os
import pwd
import re
import signal
import subprocess
from unittest import SkipTest
from xml.etree import ElementTree

from tests.integration.processes import PATIENCE_S, XMPPCTL, Peer, ProcessCase, environment
from tests.unit.store.databases import drop_postgresql, execute, make_postgresql
from xmppd.host.data_directory import DataDirectory
from xmppd.stanza.xml import escape


class OfflineTests(ProcessCase):
    def test_works(self) -> None:
        """Accounts, rosters and the database can be worked on while the server is down."""
        self.assertIn("was added", self.ctl("user", "add", "romeo", "--stdin", input="rose\n"))
        self.ctl("roster", "add", "romeo", "juliet@elsewhere.lit")
        (item,) = self.rows("roster", "show", "romeo")
        self.assertEqual((item["contact"], item["subscription"]), ("juliet@elsewhere.lit", "none"))
        self.assertIn("already", self.ctl("db", "upgrade"))

    def test_status(self) -> None:
        """What is refused, not understood, not there, or lacks a server has a status each, and a
        word for programs.
        """
        self.ctl("user", "add", "romeo", "--stdin", input="rose\n")
        for words, status, says, code in (
            (("user", "add", "romeo", "--stdin"), 1, "already", "conflict"),
            (("user", "add", "juliet"), 2, "--stdin", "bad-request"),
            (("user", "add", "@x"), 2, "@x", "bad-request"),
            (("user", "add", "juliet@elsewhere.lit"), 4, "elsewhere.lit", "item-not-found"),
            (("user", "dance"), 2, "is not a command", "bad-request"),
            (("user", "enable", "juliet"), 4, "juliet", "item-not-found"),
            (("status",), 5, "no server is running", "no-server"),
        ):
            with self.subTest(words):
                said = self.ctl(*words, input="rose\n", status=status)
                self.assertIn(says, said)
                error = json.loads(self.ctl("--json", *words, input="rose\n", status=status))
                self.assertEqual(error["code"], code)

    def test_nobody_reads_on(self) -> None:
        """Who has read enough of a long list gets no trace for it."""
        for number in range(3):
            self.ctl("user", "add", f"romeo{number}", "--stdin", input="rose\n")
        command = [*XMPPCTL, "--config", str(self.config), "--json", "user", "list"]
        ended = subprocess.run(
            ["sh", "-c", '"$@" | true', "sh", *command],
            cwd=self.directory, env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.assertEqual(ended.stderr, "")

    def test_check_leaves_nothing(self) -> None:
        """Root may check a configuration before the server's first start: no directory is made."""
        text = self.config.read_text("utf-8").replace('data = "data"', 'data = "not/yet"')
        text = text.replace('load = ["ping"]', 'load = ["http_upload"]')
        text += (
            '[[listen]]\nendpoint = "epoll:0:interface=127.0.0.1"\nkind = "http"\ntls = "none"\n'
        )
        self.config.write_text(text, encoding="utf-8")
        self.ctl("config", "check")
        self.assertFalse((self.directory / "not").exists())

    def test_quarantine(self) -> None:
        """A record that cannot be read is listed, shown and deleted while the server is down."""
        self.ctl("user", "add", "romeo", "--stdin", input="rose\n")
        self.ctl("roster", "add", "romeo", "juliet@elsewhere.lit")
        execute(
            f"sqlite:///{self.directory}/data/xmppd.sqlite", "UPDATE roster_items SET jid = '@'"
        )
        self.assertEqual(self.rows("roster", "show", "romeo"), [])
        (entry,) = self.rows("db", "quarantine", "list")
        self.assertEqual((entry["kind"], entry["account"]), ("contact", "romeo@localhost"))
        number = str(entry["number"])
        shown = {
            row["field"]: row["value"] for row in self.rows("db", "quarantine", "show", number)
        }
        self.assertEqual(shown["record.jid"], "@")
        self.assertIn("deleted 1 record", self.ctl("db", "quarantine", "delete", number))
        self.assertIn("no record", self.ctl("db", "quarantine", "show", number, status=4))

    def test_another_database(self) -> None:
        """Everything is copied to PostgreSQL, and a server that is told so goes on there: the same
        password opens the account.
        """
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        self.ctl("user", "add", "romeo", "--stdin", input="rose\n")
        self.ctl("roster", "add", "romeo", "juliet@elsewhere.lit")
        process = self.start()
        self.assertIn("stop the server before you copy", self.ctl("db", "copy", url, status=1))
        self.end(process)
        told = self.ctl("db", "copy", url)
        self.assertIn("rows of accounts: 1.\n", told)
        self.assertIn("now set storage.url", told)
        self.assertIn("not empty", self.ctl("db", "copy", url, status=1))
        self.configure(f'[storage]\nurl = "{url}"\n')
        (item,) = self.rows("roster", "show", "romeo")
        self.assertEqual(item["contact"], "juliet@elsewhere.lit")
        self.start()
        peer = Peer(self.ports()[1])
        self.addCleanup(peer.close)
        peer.log_in("romeo", "rose")

    def test_copy_to_a_file(self) -> None:
        """The URL of a copy is what the configuration may have, and means the same file there."""
        self.ctl("user", "add", "romeo", "--stdin", input="rose\n")
        told = self.ctl("db", "copy", "sqlite:///other.sqlite")
        url = re.search(r"now set storage.url to (\S+)\.\n", told)
        assert url is not None, told
        self.assertEqual(url[1], f"sqlite:///{self.directory}/data/other.sqlite")
        self.assertEqual([path.name for path in self.directory.glob("other*")], [])
        for named in (url[1], "sqlite:///other.sqlite"):
            self.configure(f'[storage]\nurl = "{named}"\n')
            self.assertEqual(len(self.rows("user", "list")), 1)
        self.assertIn("is not valid; write it as", self.ctl("db", "copy", "other", status=1))

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
        note, status = self.rows("status")
        self.assertEqual((note, status["pid"]), ({"note": "all is well"}, process.pid))
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
        self.assertIn("the server is stopping", self.ctl("stop"))
        self.assertEqual(process.wait(1), 0)

    def test_backup(self) -> None:
        """A backup of a server that runs is a server of its own when it is put in its place."""
        process, data = self.start(), self.directory / "data"
        self.ctl("user", "add", "romeo", "--stdin", input="rose\n")
        told = self.ctl("backup", "kept")
        kept, secret = self.directory / "kept", self.directory / "kept.secret"
        self.assertIn("wrote everything to", told)
        self.assertEqual([p.stat().st_mode & 0o777 for p in (kept, secret)], [0o600, 0o600])
        self.assertEqual(secret.read_bytes(), (data / "secret").read_bytes())
        self.assertIn("already exists", self.ctl("backup", "kept", status=1))
        self.ctl("user", "password", "romeo", "--stdin", input="moon\n")
        self.end(process)
        for path in data.glob("xmppd.sqlite*"):
            path.unlink()
        kept.rename(data / "xmppd.sqlite")
        self.start()
        peer = Peer(self.ports()[1])
        self.addCleanup(peer.close)
        peer.log_in("romeo", "rose")

    def test_file(self) -> None:
        """A file that a command names is the one that whoever gives it sees."""
        self.start()
        elsewhere = self.directory / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "new.toml").write_text("nonsense = 1", encoding="utf-8")
        ended = subprocess.run(
            [*XMPPCTL, "--config", str(self.config), "config", "plan", "new.toml"],
            cwd=elsewhere, env=environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.assertIn("nonsense is not an option", ended.stderr)

    def test_not_read(self) -> None:
        """A configuration that was changed and not read is named first of all, and status ends with
        1; when it is read, all is well.
        """
        self.start()
        self.assertTrue(self.ctl("status").startswith("all is well.\nstate "))
        self.config.write_text(self.config.read_text() + "\n# changed\n")
        ended = self.run_command([*XMPPCTL, "--config", str(self.config), "status"])
        self.assertEqual(ended.returncode, 1)
        self.assertTrue(ended.stdout.startswith(f"{self.config} changed on disk"), ended.stdout)
        self.ctl("reload")
        self.assertIn("all is well", self.ctl("status"))

    def test_why(self) -> None:
        """Why somebody is seen or not, what becomes of a message, and who causes most."""
        self.start()
        for name in ("romeo", "juliet"):
            self.ctl("user", "add", name, "--stdin", input="rose\n")
        self.ctl("roster", "add", "romeo", "juliet@localhost", "--mutual")
        names = ("romeo@localhost", "juliet@localhost")
        self.assertIn("sees_unavailable", str(self.rows("explain", "presence", *names)))
        says = self.ctl("explain", "message", *names)
        self.assertEqual(
            says.splitlines()[:2],
            [
                "the message is stored until juliet@localhost comes online (OM-2).",
                "juliet@localhost is not connected (RT-18).",
            ],
        )
        romeo = Peer(self.ports()[1])
        self.addCleanup(romeo.close)
        romeo.log_in("romeo", "rose")
        romeo.until(b"<presence")
        (row, *_) = self.rows("top", "presence", "--by", "account")
        self.assertEqual((row["account"], row["copies"]), ("romeo@localhost", 1))

    def test_commands_of_plugins(self) -> None:
        """What a plugin brings is understood while the server runs that has it."""
        change = ("greeting", "change", "Good morrow")
        for words, name, plugin in (
            (change, "greeting change", "example_greeter"),
            (("room", "list"), "room list", "muc"),
            (("user", "reset", "romeo"), "user reset", "account"),
            (("invite", "--help"), "invite", "invites"),
            (("fault", "login", "romeo"), "fault", "faults"),
            (("explain", "room", "a@b", "c@d"), "explain room", "muc"),
        ):
            with self.subTest(name):
                told = self.ctl(*words, status=5)
                self.assertIn("no server is running (the data directory ", told)
                self.assertIn(
                    f"{name}, a command of the plugin {plugin}, needs a running server.", told
                )
        self.start()
        self.assertIn("is not a command", self.ctl(*change, status=2))
        self.ctl("plugin", "load", "example_greeter")
        self.assertIn("localhost now get this greeting", self.ctl(*change, "--domain", "localhost"))
        self.assertIn("does not serve x.lit", self.ctl(*change, "--domain", "x.lit", status=4))
        self.assertIn("change the greeting", self.ctl("greeting", "--help"))
        self.assertIn("is not a command", self.ctl("greeting", "dance", status=2))

    def test_documents(self) -> None:
        """What is exported is a document as it stands, which the same command line takes back."""
        self.config.write_text(
            self.config.read_text().replace(
                'load = ["ping"]',
                'load = ["disco", "ping", "pubsub", "pep", "caps", "archive", "muc", '
                '"room_archive"]\n[archive]\ndefault = "always"',
            )
        )
        self.start()
        words = "Ay me! " * 500 + "\nand <no> full stop"
        for name in ("romeo", "juliet"):
            self.ctl("user", "add", name, "--stdin", input="rose\n")
        self.ctl("room", "create", "orchard@conference.localhost", "romeo@localhost")
        romeo = Peer(self.ports()[1])
        self.addCleanup(romeo.close)
        romeo.log_in("romeo", "rose")
        text = escape(words)
        room = "orchard@conference.localhost"
        romeo.send(
            f"<message to='juliet@localhost' type='chat'><body>{text}</body></message>"
            f"<presence to='{room}/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
            f"<message to='{room}' type='groupchat'><body>{text}</body></message>"
            "<iq type='set' id='p'><pubsub xmlns='http://jabber.org/protocol/pubsub'>"
            f"<publish node='urn:x'><item id='1'><x xmlns='urn:x'>{text}</x></item></publish>"
            "</pubsub></iq>".encode()
        )
        romeo.until(b"type='groupchat'")
        romeo.until(b"id='p'")
        self.ctl("archive", "delete", "juliet")
        for export, bring_in in (
            (("archive", "export", "romeo"), ("archive", "import", "juliet")),
            (("pubsub", "export", "romeo"), ("pubsub", "import", "juliet")),
            (("room", "archive", room), None),
        ):
            with self.subTest(export):
                command = [*XMPPCTL, "--config", str(self.config), *export]
                told = self.run_command(command)
                self.assertEqual((told.returncode, told.stderr), (0, ""))
                tree = ElementTree.fromstring(told.stdout)
                self.assertIn(words, "".join(tree.itertext()))
                (self.directory / "kept").write_text(told.stdout, encoding="utf-8")
                if bring_in is not None:
                    self.assertRegex(self.ctl(*bring_in, "kept"), r"added[^:]*: 1\.\n$")
        (row,) = self.rows("archive", "show", "juliet")
        self.assertEqual(row["messages"], 1)
        rooms = self.ctl("room", "export")
        self.assertEqual([room in str(json.loads(line)) for line in rooms.splitlines()], [True])
        (self.directory / "kept").write_text(rooms, encoding="utf-8")
        self.ctl("room", "destroy", room)
        self.ctl("room", "import", "kept")
        self.assertEqual([row["room"] for row in self.rows("room", "list")], [room])
        self.assertIn(self.config.read_text(), self.ctl("config", "file"))

    def test_trace(self) -> None:
        """A trace is printed as it happens; Ctrl-C ends it here and in the server."""
        self.start()
        self.ctl("user", "add", "romeo", "--stdin", input="rose\n")
        romeo = Peer(self.ports()[1])
        self.addCleanup(romeo.close)
        romeo.log_in("romeo", "rose")
        trace = self.begin_ctl("trace", "romeo@localhost")
        assert trace.stdout is not None
        self.assertIn(b"tracing romeo@localhost", trace.stdout.readline())
        romeo.send(b"<message to='romeo@localhost' type='chat'><body>secret</body></message>")
        lines = [trace.stdout.readline().decode() for _ in range(4)]
        self.assertIn("<body>(6 characters)</body>", lines[0])
        self.assertRegex(lines[3], r"\d+ µs +LocalClientSession: to romeo@localhost/")
        trace.send_signal(signal.SIGINT)
        self.assertEqual(trace.wait(PATIENCE_S), 130)
        rows = self.begin_ctl("--json", "trace", "localhost", "--stanzas", "1", "--bodies")
        assert rows.stdout is not None
        rows.stdout.readline()
        romeo.send(b"<message to='romeo@localhost' type='chat'><body>moon</body></message>")
        self.assertIn(b"<body>moon</body>", rows.stdout.readline())
        rows.stdout.read()
        self.assertEqual(rows.wait(PATIENCE_S), 0)

    def begin_ctl(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """An xmppctl that goes on until it is told to end."""
        process = subprocess.Popen(
            [*XMPPCTL, "--wide", "--config", str(self.config), *arguments],
            cwd=self.directory,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        self.addCleanup(self.end, process)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        return process

    def test_after_a_crash(self) -> None:
        """A server that was killed leaves a socket behind, and hinders nobody."""
        process = self.start()
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.assertTrue((self.directory / "data" / "xmppctl.sock").exists())
        self.assertEqual(self.rows("user", "list"), [])


class OwnerTests(ProcessCase):
    """Root works as the user of the data directory."""

    def test_owner(self) -> None:
        """Nothing that root does without a server leaves a file that is root's."""
        if os.geteuid() != 0:
            raise SkipTest("only root can be another")
        nobody = pwd.getpwnam("nobody").pw_uid
        data = self.directory / "data"
        data.mkdir(mode=0o700)
        os.chown(data, nobody, -1)
        self.directory.chmod(0o755)
        self.ctl("user", "add", "romeo", "--stdin", input="rose\n")
        self.ctl("db", "upgrade")
        owners = {path.name: path.stat().st_uid for path in data.iterdir()}
        self.assertIn("xmppd.sqlite", owners)
        self.assertEqual(set(owners.values()), {nobody})
