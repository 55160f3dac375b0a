"""A real server in a real process: how it starts, refuses to start, reloads and stops."""

import os
import pwd
import signal
import socket
import ssl
from pathlib import Path
from unittest import SkipTest
from urllib.request import urlopen

from tests.integration.processes import (
    HEADER,
    PATIENCE_S,
    XMPPD,
    Peer,
    ProcessCase,
    heard_at_login,
    twistd,
)
from tests.integration.wheel_case import WheelCase
from tests.ports import free_port
from tests.unit.ctl.test_warned import rsa_identity
from xmppd.net.certificate import make_self_signed

TCP = "tcp:0:interface=127.0.0.1"

_CELLAR = """
from xmppd.plugin.place import AtLoad
from xmppd.store.sql import Column, Database, MetaData, Table, Tables, Text, select

metadata = MetaData()
cellar = Table("cellar", metadata, Column("wine", Text, primary_key=True))


def plug(database: Database):
    async def read():
        await database.read(select(cellar.c.wine).limit(1), {})

    return [Tables(metadata), AtLoad(read)]
"""


class StartTests(ProcessCase):
    def test_serves(self) -> None:
        """A server starts, tells systemd and people so, lets a client in, and stops in order."""
        self.ctl("user", "add", "romeo", "--stdin", input="a rose\n")
        path = self.directory / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(str(path))
            systemd.settimeout(20)
            process = self.start(NOTIFY_SOCKET=str(path))
            self.assertEqual(systemd.recv(100), b"READY=1")
            romeo = Peer(self.ports()[1])
            romeo.log_in("romeo", "a rose")
            process.send_signal(signal.SIGTERM)
            self.assertIn(b"<system-shutdown", romeo.until(b"</stream:stream>"))
            self.assertEqual(systemd.recv(100), b"STOPPING=1")
        romeo.close()
        self.assertEqual(process.wait(20), -signal.SIGTERM)  # as twistd ends
        for words in ("user add you@localhost", "the XML parser is expat", "open files allows"):
            self.assertIn(words, self.text())
        self.assertRegex(
            self.text(), r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} info +xmppd\.service: "
        )
        self.assertNotIn("Traceback", self.text())

    def test_what_others_may_read(self) -> None:
        """Files with secrets that others may read are named at the start; ours are not made so."""
        self.config.chmod(0o644)  # it holds no secret
        self.ctl("user", "add", "romeo", "--stdin", input="a rose\n")
        data = self.directory / "data"
        self.end(self.start())
        self.assertNotIn("others may", self.text())
        files = [data / "secret", data / "xmppd.sqlite", self.directory / "localhost.key"]
        for path in files:
            path.chmod(0o644)
        self.end(self.start())
        said = self.ctl("config", "check")
        for path in files:
            for text in (said, self.text()):
                self.assertIn(f"others may read {path}, which holds secrets; run: chmod", text)

    def test_what_costs(self) -> None:
        """A check says what an RSA certificate costs; a start has nothing to say of it."""
        both = rsa_identity("localhost")
        for name in ("localhost.crt", "localhost.key"):
            (self.directory / name).write_bytes(both)
        self.assertIn("localhost has the key RSA 2048: a TLS", self.ctl("config", "check"))
        self.end(self.start())
        self.assertNotIn("RSA", self.text())

    def test_what_others_may_write(self) -> None:
        """What others may write stops the start, and a check says so as well."""
        self.end(self.start())
        data = self.directory / "data"
        for path, mode in ((data, 0o700), (data / "secret", 0o600), (self.config, 0o644)):
            with self.subTest(path):
                path.chmod(mode | 0o006)
                self.assertIn(f"run: chmod o-w {path}", self.refused_start())
                path.chmod(mode)

    def test_tcp_works_too(self) -> None:
        """Any of Twisted's endpoints serves as well as ours, and logs as much as one wants."""
        self.configure(
            '[log]\nlevel = "info"\nlevels."xmppd.plugin.plugin_manager" = "error"\n', endpoint=TCP
        )
        process = self.start(*XMPPD, "run", "--config", str(self.config))
        self.assertNotIn("loaded plugin", self.text())
        romeo = Peer(self.ports()[1])
        romeo.send(HEADER)
        self.assertIn(b"<mechanisms", romeo.until(b"</stream:features>"))
        process.send_signal(signal.SIGINT)
        self.assertIn(b"<system-shutdown", romeo.until(b"</stream:stream>"))
        romeo.close()

    def test_daemon(self) -> None:
        """As a daemon it returns when it is up, writes pid and log, and stops on SIGTERM."""
        pid_file, log = self.directory / "pid", self.directory / "daemon.log"
        ended = self.run_command(
            twistd("--pidfile", pid_file, "--logfile", log, "xmppd", "--config", self.config)
        )
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn("xmppd is up", log.read_text())
        pid = int(pid_file.read_text())
        self.assertEqual(self.rows("status")[-1]["pid"], pid)
        os.kill(pid, signal.SIGTERM)
        self.wait_for(lambda: not pid_file.exists())

    def test_user_of_the_log(self) -> None:
        """Started by root for another user, the log is that user's, who can rotate it."""
        if os.getuid() != 0:
            raise SkipTest("only root becomes another user")
        nobody = pwd.getpwnam("nobody")
        self.directory.chmod(0o755)
        logs = self.directory / "logs"
        for path in (logs, self.directory / "data"):
            path.mkdir(mode=0o700)
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        for name in ("localhost.key", "localhost.crt"):
            os.chown(self.directory / name, nobody.pw_uid, nobody.pw_gid)
        log = logs / "twistd.log"
        arguments = ("--pidfile=", "--uid", "nobody", "--logfile", log)
        self.start(*twistd("-n", *arguments, "xmppd", "--config", self.config), log=log)
        found = log.stat()
        self.assertEqual(
            (found.st_uid, found.st_gid, found.st_mode & 0o777),
            (nobody.pw_uid, nobody.pw_gid, 0o640),
        )
        self.assertNotIn("rotated", log.read_text())

    def test_check_for_another_user(self) -> None:
        """Root is told what the server's user may not read."""
        if os.getuid() != 0:
            raise SkipTest("only root becomes another user")
        self.directory.chmod(0o755)
        data = self.directory / "data"
        data.mkdir(mode=0o700)
        nobody = pwd.getpwnam("nobody")
        os.chown(data, nobody.pw_uid, nobody.pw_gid)
        key = self.directory / "localhost.key"
        said = self.ctl("config", "check", status=1)
        self.assertIn(f"{key}", said)
        self.assertIn("Permission denied", said)
        os.chown(key, -1, nobody.pw_gid)
        key.chmod(0o640)
        self.assertIn("is valid", self.ctl("config", "check"))

    def test_administrators(self) -> None:
        """A check names administrators without an account, if they would have it here."""
        text = self.config.read_text()
        self.config.write_text(f'admins = ["Nobody@localhost", "nobody@elsewhere.lit"]\n{text}')
        said = self.ctl("config", "check")
        self.assertIn(
            "the option admins lists nobody@localhost, but there is no such account", said
        )
        self.assertNotIn("elsewhere", said)

    def test_daemon_that_cannot_start(self) -> None:
        """A daemon that cannot start says so where it was started, and in its log."""
        with taken_port() as port:
            self.configure(endpoint=f"tcp:{port}:interface=127.0.0.1")
            leave_to_one(self.config, f"tcp:{port}:")
            pid_file, log = self.directory / "pid", self.directory / "daemon.log"
            ended = self.run_command(
                twistd("--pidfile", pid_file, "--logfile", log, "xmppd", "--config", self.config)
            )
        self.assertEqual(ended.returncode, 1)
        self.assertIn("listen", ended.stderr)
        self.assertIn("cannot be opened", log.read_text())
        self.wait_for(lambda: not pid_file.exists())  # the daemon goes last

    def test_setup_and_run(self) -> None:
        """Two commands of ours lead to a server; the first one makes nothing twice."""
        first = self.run_command([*XMPPD, "setup", "--trial", "--directory", "run"])
        self.assertIn("made run/xmppd.toml", first.stdout)
        second = self.run_command([*XMPPD, "setup", "--trial", "--directory", "run"])
        self.assertEqual((second.returncode, second.stdout), (0, ""))
        made = self.directory / "run" / "xmppd.toml"
        made.write_text(made.read_text().replace("epoll:522", "epoll:0:backlog=522"))
        self.assertIn("is valid", self.ctl("--config", "run/xmppd.toml", "config", "check"))


class MistakeTests(ProcessCase):
    """Each mistake is one sentence that names the file, the key and what to do."""

    def refused(self, *parts: str) -> None:
        self.assertEqual(
            self.ctl("config", "check", status=1), f"xmppctl: {self.only_start(*parts)}\n"
        )

    def only_start(self, *parts: str) -> str:
        """A mistake that shows when everything is opened, and not before."""
        sentence = self.refused_start()
        for part in (str(self.config), *parts):
            self.assertIn(part, sentence)
        return sentence

    def test_no_file(self) -> None:
        """The file is not there."""
        self.config.unlink()
        self.refused("this file does not exist")

    def test_unknown_key(self) -> None:
        """A key is misspelled: the one that is meant is named."""
        self.configure("[tsl]\n")
        self.refused("tsl", 'did you mean "tls"?')

    def test_certificate(self) -> None:
        """The certificate cannot be read."""
        (self.directory / "localhost.crt").unlink()
        self.refused("domain.certificate", "localhost.crt", "cannot be read")

    def test_port_taken(self) -> None:
        """Somebody else has the port."""
        with taken_port() as port:
            self.configure(endpoint=f"epoll:{port}:interface=127.0.0.1")
            leave_to_one(self.config, f"epoll:{port}:")
            self.refused("listen.endpoint", str(port), "Address already in use")

    def test_data_directory(self) -> None:
        """The data directory cannot be made."""
        (self.directory / "data").write_text("in the way")
        self.refused("data", "make it a directory")

    def test_database(self) -> None:
        """The database is not there."""
        with taken_port() as port:
            self.configure(
                f'[storage]\nurl = "postgresql://romeo:montague@127.0.0.1:{port + 1}/x"\n'
            )
            sentence = self.refused_start()
        self.assertIn("storage.url", sentence)
        self.assertNotIn("montague", sentence)

    def test_no_database(self) -> None:
        """The database's file is no database."""
        (self.directory / "data").mkdir()
        (self.directory / "data" / "xmppd.sqlite").write_bytes(b"once upon a time" * 100)
        self.only_start("storage.url", "xmppd.sqlite")

    def test_database_of_another_kind(self) -> None:
        """The database is of a kind that we do not know."""
        self.configure('[storage]\nurl = "mysql://localhost/x"\n')
        self.refused("storage.url", "mysql")

    def test_plugin(self) -> None:
        """There is no plugin of that name."""
        self.config.write_text(self.config.read_text().replace('"ping"', '"pong"'))
        self.refused("plugins.load", "pong")

    def test_plugins_table(self) -> None:
        """The table of a plugin says what the plugin does not know."""
        text = self.config.read_text().replace('"ping"', '"example_greeter"')
        self.config.write_text(text + '[example_greeter]\ngreetin = "Ho!"\n')
        self.refused(
            "example_greeter.greetin is not an option", 'did you mean "example_greeter.greeting"?'
        )

    def test_tables_of_a_plugin(self) -> None:
        """A check makes no tables of plugins in the database, and no database for them."""
        plugins = self.directory / "plugins"
        plugins.mkdir()
        (plugins / "cellar.py").write_text(_CELLAR)
        text = self.config.read_text().replace('"ping"', '"cellar"')
        self.config.write_text(text.replace("[plugins]", f'[plugins]\ndirectory = "{plugins}"'))
        self.assertIn("is valid", self.ctl("config", "check"))
        self.assertFalse((self.directory / "data" / "xmppd.sqlite").exists())

    def test_second_server(self) -> None:
        """A second server in the same data directory is refused, and the first one lives."""
        self.start()
        self.only_start("data", "in use", "stop that one")
        self.assertIn("is valid", self.ctl("config", "check"))
        self.assertEqual(len(self.rows("status")), 2)


class ReloadTests(ProcessCase):
    def test_certificate(self) -> None:
        """SIGHUP has new connections see the new certificate; those there were stay."""
        process = self.start()
        before = Peer(self.ports()[1])
        make_self_signed("localhost", self.directory / "new.crt", self.directory / "new.key")
        text = self.config.read_text().replace('"localhost.', '"new.')
        self.config.write_text(text)
        process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: "domain.certificate" in self.text(), process)
        after = Peer(self.ports()[1])
        self.assertNotEqual(after.certificate, before.certificate)
        for peer in (before, after):
            peer.send(b"<?xml version='1.0'?>")
            peer.close()

    def test_bad_file(self) -> None:
        """A mistake in the file is logged, and nothing changes."""
        process = self.start()
        good = self.config.read_text()
        self.config.write_text(good + "[nonsense]\n")
        process.send_signal(signal.SIGHUP)
        self.wait_for(lambda: "nothing was changed" in self.text(), process)
        self.assertIn("[nonsense] is neither a table", self.ctl("reload", status=1))
        self.config.write_text(good.replace('"ping"', '"ping", "pong"'))
        self.assertIn("plugin pong does not exist", self.ctl("reload", status=1))

    def test_plugins_table(self) -> None:
        """A plugin's table is read again, and a mistake in it changes nothing."""
        text = self.config.read_text().replace('"ping"', '"example_greeter"')
        self.config.write_text(text + '[example_greeter]\ngreeting = "Ho!"\n')
        self.start()
        self.config.write_text(text + '[example_greeter]\ngreetin = "Ha!"\n')
        self.assertIn("example_greeter.greetin is not an option", self.ctl("reload", status=1))
        self.config.write_text(text + '[example_greeter]\ngreeting = "Ha!"\n')
        (row, *_) = self.rows("reload")
        self.assertEqual(row, {"key": "example_greeter.greeting", "effect": "takes effect now"})

    def test_what_changes(self) -> None:
        """A reload tells what holds now, and what needs a restart."""
        self.start()
        text = self.config.read_text().replace('["ping"]', '["ping", "register"]')
        self.config.write_text(
            text.replace("scram_iterations = 16", "scram_iterations = 17")
            + '[log]\nlevel = "error"\n'
        )
        effects = {str(row["key"]): row["effect"] for row in self.rows("reload") if "key" in row}
        self.assertEqual(
            effects,
            {
                "plugins.load": "takes effect now",
                "log.level": "takes effect now",
                "auth.scram_iterations": "needs a restart",
            },
        )
        self.assertIn("register", self.ctl("plugin", "list"))
        self.assertIn("needs a restart", self.ctl("reload"))


def leave_to_one(config: Path, endpoint: str) -> None:
    """Two listeners have a port each: the first one has any."""
    text = config.read_text().replace(endpoint, "tcp:0:", 1)
    config.write_text(text)


class taken_port:  # noqa: N801  # reads as a function
    """A port of this machine that somebody listens on."""

    def __enter__(self) -> int:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class WheelTests(WheelCase):
    def test_installed(self) -> None:
        """Installed from a wheel, twistd knows xmppd, and the scripts and plugins are there; the
        beginning of a plugin passes its test, and goes on as a wheel of its own.
        """
        self.install_ours()
        for words in (
            ["bin/xmppd", "--version"],
            ["bin/xmppd", "setup", "--trial", "--directory", "run"],
            ["bin/xmppctl", "--config", "run/xmppd.toml", "config", "check"],
            ["bin/python", "-m", "twisted", "xmppd", "--help"],
            ["bin/python", "-c", "import xmppd_plugins.ping"],
        ):
            self.good([str(self.home / words[0]), *words[1:]])
        self.good([str(self.home / "bin/xmppd"), "new-plugin", "counter"])
        made = self.directory / "xmppd-counter"
        self.install(made)
        ended = self.good(
            [str(self.home / "bin/python"), "-m", "unittest", "discover", str(made / "tests")]
        )
        self.assertIn("Ran 2 tests", ended.stderr)
        text = self.config.read_text().replace('"ping"', '"ping", "counter"')
        self.config.write_text(f'{text}[counter]\nanswer = "Come in!"\n')
        ctl = [str(self.home / "bin/xmppctl"), "--config", str(self.config)]
        self.good([*ctl, "config", "check"])

    def test_set_up(self) -> None:
        """With the wheel only, a set-up with answers leads to a server that a client logs in to
        over TLS, with full verification, and whose pages have their files.
        """
        self.install_ours()
        clients, web = free_port(), free_port()
        answers = self.directory / "answers.toml"
        answers.write_text(
            'domain = "localhost"\nadmin = "romeo"\npassword = "but soft"\n'
            f'certificate = "self-signed"\nlisteners = "clients-tls:{clients} web:{web}"\n',
            encoding="utf-8",
        )
        config, data = self.directory / "new" / "xmppd.toml", self.directory / "new" / "data"
        xmppd, places = str(self.home / "bin/xmppd"), ["--config", str(config), "--data", str(data)]
        self.good([xmppd, "setup", *places, "--answers", str(answers)])
        process = self.start(xmppd, "run", "--config", str(config), PYTHONPATH="")
        context = ssl.create_default_context(cafile=str(config.parent / "localhost.crt"))
        heard = heard_at_login(clients, context, "romeo@localhost", "but soft")
        self.assertIn(b"<success", heard)
        url = f"https://localhost:{web}"
        for path in ("/.well-known/host-meta", "/account/login", "/account/static/pages.css"):
            with urlopen(f"{url}{path}", context=context, timeout=PATIENCE_S) as answer:
                self.assertEqual(answer.status, 200, path)
        self.assertIn(str(self.home), Path(f"/proc/{process.pid}/cmdline").read_text())
