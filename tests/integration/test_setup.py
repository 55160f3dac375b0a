"""xmppd setup: from answers to a server with a certificate, to which a client logs in."""

import os
import pty
import socket
import ssl
import subprocess

from tests.integration.processes import (
    PATIENCE_S,
    XMPPD,
    ProcessCase,
    environment,
    heard_at_login,
    twistd,
)
from tests.pebble import Pebble
from tests.ports import free_port


class SetupTests(ProcessCase):
    """The set-up of a server in a directory of its own."""

    def setUp(self) -> None:
        super().setUp()
        self.config = self.directory / "etc" / "xmppd.toml"
        self.ports_given = {name: free_port() for name in ("clients-tls", "servers", "acme")}
        self.doors = " ".join(f"{name}:{port}" for name, port in self.ports_given.items())

    def set_up(self, *options: str, input: str = "") -> "subprocess.CompletedProcess[str]":
        """Run it, with nobody to ask."""
        places = ("--config", str(self.config), "--data", str(self.directory / "data"))
        return self.run_command([*XMPPD, "setup", *places, *options], input)

    def refused(self, *options: str) -> str:
        """What is said of a set-up that writes nothing."""
        ended = self.set_up(*options)
        self.assertEqual(ended.returncode, 1, ended.stdout + ended.stderr)
        self.assertFalse((self.directory / "data").exists())
        return ended.stderr

    def test_certified(self) -> None:
        """Answers lead to a server with a certificate of an authority, and to an account whose
        client verifies it.
        """
        pebble = Pebble(self.directory / "pebble", http_port=self.ports_given["acme"])
        self.addCleanup(pebble.stop)
        pebble.start()
        answers = self.directory / "answers.toml"
        answers.write_text(
            f'domain = "chat.example"\nadmin = "romeo"\npassword = "but soft"\nterms = "yes"\n'
            f'listeners = "{self.doors}"\nauthority = "{pebble.url}"\n'
            f'authorities = "{pebble.authority.file}"\n',
            encoding="utf-8",
        )
        ended = self.set_up("--answers", str(answers))
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertIn("connects to port 80 of chat.example", ended.stdout.partition("created")[0])
        self.assertIn("_xmpps-client._tcp.chat.example. 3600 IN SRV", ended.stdout)
        self.assertIn("created the account romeo@chat.example", ended.stdout)
        self.assertRegex(ended.stdout, "(?m)^dns +bad ")
        self.assertEqual(self.config.stat().st_mode & 0o777, 0o600)
        process = self.start(*twistd("-n", "--pidfile=", "xmppd", "--config", self.config))
        self.wait_for(lambda: "was renewed" in self.text(), process)
        context = ssl.create_default_context(cadata=pebble.root())
        port = self.ports_given["clients-tls"]
        heard = heard_at_login(port, context, "romeo@chat.example", "but soft")
        self.assertIn(b"<success", heard)

    def test_there_already(self) -> None:
        """A configuration is never written over."""
        self.config.parent.mkdir()
        self.config.write_text("# mine\n", encoding="utf-8")
        self.assertIn("already exists", self.refused("--domain", "chat.example"))
        self.assertEqual(self.config.read_text(encoding="utf-8"), "# mine\n")

    def test_port_taken(self) -> None:
        """A port that is taken is said before anything is written."""
        with socket.create_server(("0.0.0.0", 0)) as taken:  # as the server will
            port = taken.getsockname()[1]
            said = self.refused(
                "--domain", "chat.example", "--certificate", "self-signed", "--listeners",
                f"clients:{port}",
            )  # fmt: skip
        self.assertIn(f'"epoll:{port}" cannot be opened', said)
        self.assertFalse(self.config.exists())

    def test_no_authority(self) -> None:
        """An authority that does not answer, is not trusted, or is none, is said before anything is
        written.
        """
        options = ("--domain", "chat.example", "--terms", "yes", "--listeners", self.doors)
        gone = f"https://127.0.0.1:{free_port()}/dir"
        said = self.refused(*options, "--authority", gone)
        self.assertIn(f"{gone} does not answer (Connection refused); check --authority", said)
        pebble = Pebble(self.directory / "pebble", http_port=self.ports_given["acme"])
        self.addCleanup(pebble.stop)
        pebble.start()
        self.assertIn("is not trusted", self.refused(*options, "--authority", pebble.url))
        trusted = ("--authorities", str(pebble.authority.file))
        said = self.refused(*options, *trusted, "--authority", f"{pebble.url}ectory")
        self.assertIn("is not an ACME directory", said)
        self.assertFalse(self.config.exists())

    def test_password_made(self) -> None:
        """Without a password one is made, and shown once; the certificate is our own."""
        ended = self.set_up(
            "--domain", "chat.example", "--certificate", "self-signed", "--listeners",
            f"clients:{free_port()}", "--yes",
        )  # fmt: skip
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertRegex(ended.stdout, "its password is [-_A-Za-z0-9]{16}\n")
        self.assertTrue((self.config.parent / "chat.example.key").exists())
        self.assertEqual([path.name for path in self.config.parent.glob(".*")], [])
        self.assertFalse((self.directory / "data" / "setup.toml").exists())

    def test_terminal(self) -> None:
        """At a terminal it asks, shows the file, and writes nothing without a yes."""
        ours, theirs = pty.openpty()
        port = free_port()
        process = subprocess.Popen(
            [*XMPPD, "setup", "--config", str(self.config), "--data", str(self.directory / "d")],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment(),
            start_new_session=True,
        )
        self.addCleanup(self.end, process)
        os.close(theirs)
        said = ""
        for question, answer in (
            ("Which domain?", "chat.example"),
            ("Which account", ""),
            ("Which listeners?", f"clients:{port}"),
            ("Which certificate?", "self-signed"),
            ("Which database?", ""),
            ("Is this right?", "no"),
        ):
            while question not in said:
                said += os.read(ours, 4_096).decode()
                if "password? Leave empty" in said:
                    os.write(ours, b"\n")
                    said = said.replace("password? Leave empty", "")
            said = said.partition(question)[2]
            os.write(ours, f"{answer}\n".encode())
        process.wait(PATIENCE_S)
        os.close(ours)
        self.assertEqual(process.returncode, 1)
        self.assertFalse(self.config.exists())


__all__ = ["SetupTests"]
