"""The server that others test their clients with, and the pytest fixture that gives it to them."""

import re
import socket
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from pkgutil import resolve_name
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from xmppd.command.refused import Refused
from xmppd.testing import pytest_plugin
from xmppd.testing.process import ROOT, NotStarted, ServerProcess

PYTEST_TIMEOUT_S = 240


class DirectoryCase(SynchronousTestCase):
    def setUp(self) -> None:
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)


class ServerProcessTests(DirectoryCase):
    def test_life(self) -> None:
        """It is there between start and stop, and what it keeps outlives it."""
        server = ServerProcess(self.directory, "verona.lit")
        self.addCleanup(server.stop)
        self.assertEqual(server.pid, 0)
        ports = (server.port, server.direct_tls_port, server.https_port)
        self.assertEqual(len({*ports}), 3)
        server.start()
        for port in (server.port, server.direct_tls_port):
            socket.create_connection((server.host, port)).close()
        self.assertEqual(server.add_user("romeo", "a rose"), "romeo@verona.lit")
        server.kill()
        self.assertRaises(
            ConnectionRefusedError, socket.create_connection, (server.host, server.port)
        )
        with socket.socket() as other, self.assertRaises(OSError):
            other.bind((server.host, server.port))  # nobody gets it meanwhile
        server.start()
        self.assertEqual((server.port, server.direct_tls_port, server.https_port), ports)
        socket.create_connection((server.host, server.port)).close()
        with self.assertRaisesRegex(Refused, "already exists"):
            server.add_user("romeo", "a rose")
        server.stop()
        server.stop()
        self.assertEqual((server.pid, server.port), (0, ports[0]))

    def test_settings(self) -> None:
        """It is configured as it is told, in tables and outside them."""
        server = ServerProcess(
            self.directory,
            "verona.lit",
            "capulet.lit",
            admins=["escalus@verona.lit"],
            plugins={"load": ["ping"]},
        )
        with server:
            _, status = server.tell("status")
            assert isinstance(status, dict)
            self.assertEqual(status["plugins"], ["ping"])
            self.assertEqual(status["domains"], ["verona.lit", "capulet.lit"])
            self.assertNotEqual(
                server.certificate.read_bytes(),
                server.certificate_of("capulet.lit").read_bytes(),
            )

    def test_mistake(self) -> None:
        """A mistake in its settings is told, by the server's own sentence."""
        server = ServerProcess(self.directory, sessions={"conflict": "duel"})
        with self.assertRaisesRegex(NotStarted, "ended:\n(?s:.)*sessions.conflict"):
            server.start()
        self.assertEqual(server.pid, 0)

    def test_slow(self) -> None:
        """One that does not come up in time is ended."""
        server = ServerProcess(self.directory)
        server.start_timeout_s = 0.0
        with self.assertRaisesRegex(NotStarted, "is not up after 0 s"):
            server.start()
        self.assertEqual(server.pid, 0)


class PytestTests(DirectoryCase):
    def test_documentation(self) -> None:
        """The examples in the documentation work as they stand there."""
        text = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
        *examples, houses = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        shared = (
            "def test_shared(verona):\n"
            "    assert verona.add_user('nurse', 'at your service') == 'nurse@verona.lit'\n"
        )
        examples[-1] += f"\n\n{shared}"
        for number, example in enumerate(examples):
            (self.directory / f"test_example_{number}.py").write_text(example)
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", pytest_plugin.__name__, "-p",
             "no:cacheprovider", "--basetemp", self.directory / "tmp", self.directory],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PYTEST_TIMEOUT_S,
            check=False,
        )  # fmt: skip
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertIn(f"{len(examples)} passed", ended.stdout)
        exec(houses, {})  # it is ours

    def test_entry_point(self) -> None:
        """Pytest finds the plugin by itself where xmppd is installed."""
        setup = ConfigParser()
        setup.read(ROOT / "setup.cfg", encoding="utf-8")
        name, _, module = setup["options.entry_points"]["pytest11"].strip().partition(" = ")
        self.assertEqual(name, module)  # so that naming it with -p loads it once
        self.assertIs(resolve_name(module), pytest_plugin)
