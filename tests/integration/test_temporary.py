"""Servers for tests of clients: from pytest, node, perl and any other program."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from shutil import copy, which
from textwrap import dedent

from slixmpp import JID
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.people import PASSWORD, Person
from tests.integration.test_server_process import DirectoryCase
from tests.integration.test_xmppjs import MODULES
from xmppd.command.refused import Refused
from xmppd.ctl.client import Failed, answers
from xmppd.testing import pytest_plugin
from xmppd.testing.process import ROOT
from xmppd.testing.temporary_server import TemporaryServer

PATIENCE_S = 240
XMPPD = [sys.executable, "-c", "from xmppd.app import main; main()"]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
EXAMPLES = ROOT / "docs" / "examples"
GONE_S = 2.0
MANY_S = 120.0
"""Twice as long as is promised, since others may keep the machine busy."""


def ended(command: Sequence[str | Path], directory: Path) -> subprocess.CompletedProcess[str]:
    """A program that has ended; it finds a program `xmppd`."""
    program = directory / "xmppd"
    program.write_text(f"#!{sys.executable}\nfrom xmppd.app import main\nmain()\n")
    program.chmod(0o755)
    return subprocess.run(
        command,
        cwd=directory,
        env={**ENVIRONMENT, "PATH": f"{directory}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


class ExampleTests(DirectoryCase):
    def test_node(self) -> None:
        """The example for node:test and @xmpp/client works as it stands."""
        if which("node") is None or not MODULES.is_dir():
            raise SkipTest("node and its clients are not there: sh etc/dev.sh clients")
        copy(EXAMPLES / "romeo.test.mjs", self.directory)
        (self.directory / "node_modules").symlink_to(MODULES)
        found = ended(["node", "--test", "romeo.test.mjs"], self.directory)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)
        self.assertIn("# pass 4", found.stdout)

    def test_perl(self) -> None:
        """The example for Net::XMPP works as it stands."""
        if subprocess.run(["perl", "-MNet::XMPP", "-e1"], check=False).returncode:
            raise SkipTest("Net::XMPP is not there: apt install libnet-xmpp-perl")
        copy(EXAMPLES / "romeo.t", self.directory)
        found = ended(["prove", "romeo.t"], self.directory)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)
        self.assertIn("Tests=9", found.stdout)


class PytestTests(DirectoryCase):
    def run_tests(self, text: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Run a file with tests."""
        (self.directory / "test_it.py").write_text(dedent(text))
        command = [sys.executable, "-m", "pytest", "-q", "-p", pytest_plugin.__name__, "-p",
                   "no:cacheprovider", *options, "test_it.py"]  # fmt: skip
        return ended(command, self.directory)

    def test_many(self) -> None:
        """200 tests on one server, each with a domain and accounts of its own, take no minute."""
        began = time.monotonic()
        found = self.run_tests(
            """
            import pytest

            domains = set()

            @pytest.mark.parametrize("number", range(200))
            def test_accounts(xmpp_domain, number):
                assert xmpp_domain.domain not in domains
                domains.add(xmpp_domain.domain)
                assert xmpp_domain.add_user("romeo", "pw") == f"romeo@{xmpp_domain.domain}"
                assert xmpp_domain.tell("fault list") == []
                xmpp_domain.fault("split", "romeo")
            """,
            "--xmppd-keep=kept",
        )
        self.assertIn("200 passed", found.stdout, found.stdout)
        self.assertLess(time.monotonic() - began, MANY_S)
        self.assertEqual(len(list((self.directory / "kept" / "main").iterdir())), 1)

    def test_ten_workers(self) -> None:
        """Ten workers of pytest-xdist have a server each."""
        if find_spec("xdist") is None:
            raise SkipTest("pytest-xdist is not there")
        found = self.run_tests(
            """
            import os
            import pytest

            @pytest.mark.parametrize("number", range(40))
            def test_accounts(xmpp_domain, number):
                xmpp_domain.add_user("romeo", "pw")
                assert os.environ["PYTEST_XDIST_WORKER"] in str(xmpp_domain.log)
            """,
            "-n10",
            "--xmppd-keep=kept",
        )
        self.assertIn("40 passed", found.stdout, found.stdout)
        workers = {path.name for path in (self.directory / "kept").iterdir()}
        self.assertEqual(workers, {f"gw{number}" for number in range(10)})

    def test_failure(self) -> None:
        """The report of a test that fails has what was on the wire, and the server's log; what was
        to be kept is there.
        """
        found = self.run_tests(
            """
            import socket

            def test_fails(xmpp_server):
                romeo = xmpp_server.add_user("romeo", "pw")
                with socket.create_connection((xmpp_server.host, xmpp_server.port)) as client:
                    client.sendall(b"<?xml version='1.0'?><stream:stream to='localhost' "
                        b"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
                        b"version='1.0'>")
                    xmpp_server.wait_for("localhost", "features")
                    xmpp_server.wait_for(romeo, "message", timeout_s=1)
            """,
            "--xmppd-keep=kept",
        )
        self.assertIn("1 failed", found.stdout)
        self.assertIn("romeo@localhost had no <message/> that it got within 1 s", found.stdout)
        elements, log = found.stdout.split("XMPP: the log of the server", 1)
        self.assertIn("<- <stream:features>", elements.split("XMPP: the last elements", 1)[1])
        self.assertIn("xmppd is up", log)
        self.assertTrue((self.directory / "kept" / "main" / "1" / "data").is_dir())

    def test_domain_of_a_mark(self) -> None:
        """A domain that a mark describes would be another than that of the test."""
        found = self.run_tests(
            """
            import pytest

            @pytest.mark.xmppd(domain=[{"name": "localhost", "auth": ["http"]}])
            def test_it(xmpp_domain):
                pass
            """
        )
        self.assertIn("use xmpp_server in this test", found.stdout)
        self.assertNotIn("1 passed", found.stdout)

    def test_nothing_is_left(self) -> None:
        """Servers and files go with pytest, also when it is killed."""
        (self.directory / "test_it.py").write_text(
            "import os, signal\n"
            "def test_killed(xmpp_domain):\n"
            "    open('where', 'w').write(str(xmpp_domain.log.parent))\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        ended(
            [sys.executable, "-m", "pytest", "-p", pytest_plugin.__name__, "test_it.py"],
            self.directory,
        )
        gone(self, Path((self.directory / "where").read_text()))


def gone(case: SynchronousTestCase, directory: Path) -> None:
    """Check that a directory, and the server that had its files there, are gone in time."""
    until = time.monotonic() + GONE_S
    while directory.exists():
        case.assertLess(time.monotonic(), until, f"{directory} is there")
        time.sleep(0.02)


class Temporary:
    """``xmppd temporary``, whose parent is a process of its own.

    Args:
        options: Of it.
    """

    def __init__(self, *options: str) -> None:
        words = [*XMPPD, "temporary", *options]
        parent = (
            "import subprocess, sys\n"
            f"child = subprocess.Popen({words!r}, stdout=subprocess.PIPE)\n"
            "sys.stdout.buffer.write(child.stdout.readline())\n"
            "sys.stdout.flush()\n"
            "child.wait()\n"
        )
        self.parent = subprocess.Popen(
            [sys.executable, "-c", parent], env=ENVIRONMENT, stdout=subprocess.PIPE
        )
        assert self.parent.stdout is not None
        self.about = json.loads(self.parent.stdout.readline())

    def end(self) -> None:
        """Kill the parent."""
        self.parent.kill()
        self.parent.wait()
        assert self.parent.stdout is not None
        self.parent.stdout.close()

    def ask(self, command: str, **arguments: str) -> list[object]:
        """The rows and sentences of a command."""
        request = {"command": command, "arguments": arguments}
        lines = answers(self.about["control"], request, timeout_s=PATIENCE_S)
        return [each.get("row", each.get("note")) for each in lines if not each.get("done")]


class TemporaryTests(SynchronousTestCase):
    def test_life(self) -> None:
        """It says where it is, is stopped and started at its ports, and goes with its parent."""
        temporary = Temporary(
            "--accounts", "romeo:pw,juliet:pw", "--peer", "capulet.lit", "--component",
            "echo.localhost:secret", "--set", "sessions.conflict='refuse'",
        )  # fmt: skip
        self.addCleanup(temporary.end)
        about = temporary.about
        self.assertEqual(about["accounts"], ["romeo@localhost", "juliet@localhost"])
        self.assertEqual(about["peer"]["domain"], "capulet.lit")
        for port in (about["port"], about["component_port"], about["peer"]["port"]):
            socket.create_connection((about["host"], port)).close()
        (row,) = temporary.ask("fault login", address="romeo", condition="not-authorized")
        assert isinstance(row, dict)
        self.assertEqual(row["address"], "romeo@localhost")
        with self.assertRaisesRegex(Failed, "fault nap"):
            temporary.ask("fault nap", address="romeo")
        self.assertEqual(temporary.ask("server kill"), ["it was killed"])
        with self.assertRaisesRegex(Failed, "no server is running"):
            temporary.ask("fault list")
        self.assertEqual(temporary.ask("server start"), ["it is up"])
        socket.create_connection((about["host"], about["port"])).close()
        self.assertEqual(len(temporary.ask("user list")), 2)
        temporary.end()
        gone(self, Path(about["control"]).parent)

    def test_killed_itself(self) -> None:
        """When it is killed itself, the server and the files go all the same."""
        temporary = Temporary()
        self.addCleanup(temporary.end)
        os.kill(temporary.about["pid"], signal.SIGKILL)
        gone(self, Path(temporary.about["control"]).parent)

    def test_mistakes(self) -> None:
        """An option that is wrong is told in a sentence."""
        for options, says in (
            (["--accounts", "romeo"], '--accounts: "romeo" does not have the form NAME:PASSWORD'),
            (["--set", "sessions"], "--set sessions is not TOML"),
            (["--set", "sessions.conflict='duel'"], "sessions.conflict"),
        ):
            with self.subTest(options):
                found = subprocess.run(
                    [*XMPPD, "temporary", *options],
                    env=ENVIRONMENT, capture_output=True, text=True, check=False,
                )  # fmt: skip
                self.assertNotEqual(found.returncode, 0)
                self.assertIn(says, found.stderr)
                self.assertNotIn("Traceback", found.stderr)


class TemporaryServerTests(DirectoryCase):
    def test_all_is_well(self) -> None:
        """A server for tests has nothing to warn of."""
        with TemporaryServer(self.directory) as server:
            said = server.tell("status")
        self.assertIn("all is well", str(said))

    def test_certificate(self) -> None:
        """A certificate expires for clients that trust the authority, until that is taken back."""
        with TemporaryServer(self.directory) as server:
            self.assertIn("localhost", self.shown(server))
            server.fault("certificate", "localhost")
            with self.assertRaisesRegex(ssl.SSLCertVerificationError, "certificate has expired"):
                self.shown(server)
            server.clear()
            self.assertIn("localhost", self.shown(server))
            with self.assertRaisesRegex(Refused, 'there is no fault "nap"'):
                server.fault("nap", "romeo")

    def shown(self, server: TemporaryServer) -> str:
        """What the certificate says that a client is shown."""
        context = ssl.create_default_context(cafile=server.certificate)
        with (
            socket.create_connection((server.host, server.direct_tls_port)) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secured,
        ):
            return str(secured.getpeercert())


class TwoServersTests(DirectoryCase):
    def test_outage(self) -> None:
        """What is written to the other server arrives there; while it is away, that is told."""
        server = TemporaryServer(self.directory, "montague.lit", s2s={"retry_max_s": 0.2})
        peer = server.federated("capulet.lit")
        with server, peer:
            romeo = server.add_user("romeo", PASSWORD)
            juliet = peer.add_user("juliet", PASSWORD)
            asyncio.run(asyncio.wait_for(self.write(server, peer, romeo, juliet), PATIENCE_S))

    async def write(
        self, server: TemporaryServer, peer: TemporaryServer, romeo: str, juliet: str
    ) -> None:
        """Write to somebody there, before an outage, in it and after it."""
        writing, listening = Person(server, romeo), Person(peer, juliet)
        await writing.arrive()
        await listening.arrive()
        try:
            writing.send_message(JID(juliet), "before", mtype="chat")
            await asyncio.to_thread(peer.wait_for, juliet, "message", containing="before")
            await asyncio.to_thread(server.fault, "outage", "capulet.lit")
            writing.send_message(JID(juliet), "meanwhile", mtype="chat")
            refused = await asyncio.to_thread(
                server.wait_for, romeo, "message", containing="<remote-server-", timeout_s=50
            )
            self.assertEqual(refused.element.get("type"), "error")
            await asyncio.to_thread(server.clear)
            while not await asyncio.to_thread(peer.seen, juliet, "message", containing="after"):
                writing.send_message(JID(juliet), "after", mtype="chat")  # it tries again soon
                await asyncio.sleep(0.1)
        finally:
            await asyncio.gather(writing.disconnect(), listening.disconnect())
