"""Credentials of external_services, shown to Debian's coturn by a client of its own."""

import shutil
import socket
import subprocess
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from time import monotonic, time
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing.house import House, house_config

SECRET = "north"
PATIENCE_S = 30.0
NS = "urn:xmpp:extdisco:2"


class CoturnCase(SynchronousTestCase):
    """A TURN server in a process."""

    def setUp(self) -> None:
        for program in ("turnserver", "turnutils_uclient"):
            if shutil.which(program) is None:
                self.fail(f'{program} is not here: run "sh etc/dev.sh coturn"')
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        log = (self.directory / "log").open("wb")
        self.addCleanup(log.close)
        self.server = subprocess.Popen(
            [
                "turnserver", "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1",
                f"--listening-port={self.port}", "--use-auth-secret", "--realm=montague.lit",
                f"--static-auth-secret={SECRET}", "--no-tls", "--no-dtls", "--no-cli",
                "--allow-loopback-peers", "--log-file=stdout",
                f"--pidfile={self.directory}/pid", f"--userdb={self.directory}/users",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        self.wait()

    def wait(self) -> None:
        """Wait until it answers a question of STUN."""
        until = monotonic() + PATIENCE_S
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(0.2)
            while monotonic() < until:
                asker.sendto(b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12), ("127.0.0.1", self.port))
                try:
                    asker.recv(1_000)
                except OSError:
                    self.assertIsNone(self.server.poll(), "coturn did not start")
                else:
                    return
        self.fail("coturn does not answer")


class TurnTests(CoturnCase):
    """Credentials that the server has made."""

    def allocated(self, user: str, password: str) -> int:
        """How a client ends that wants its words relayed: 0 if they were."""
        return subprocess.run(
            [
                "turnutils_uclient", "-u", user, "-w", password, "-p", str(self.port),
                "-n", "1", "-m", "1", "-y", "-c", "127.0.0.1",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE_S, check=False,
        ).returncode  # fmt: skip

    def test_allocated(self) -> None:
        """Whoever has our credentials is let in by the TURN server, and nobody with others."""
        service = {"type": "turn", "host": "127.0.0.1", "port": self.port, "secret": SECRET}
        house = House(
            config=house_config("montague.lit", external_services={"service": [service]}),
            plugins=("external_services",),
            wall_ahead_s=time(),
            romeo={},
        )
        (romeo,) = house.connect("romeo")
        romeo.send(f"<iq type='get' id='t' to='montague.lit'><services xmlns='{NS}'/></iq>")
        (answer,) = romeo.received()
        found = ElementTree.fromstring(answer).find(f".//{{{NS}}}service")
        assert found is not None, answer
        user, password = found.get("username", ""), found.get("password", "")
        self.assertEqual(self.allocated(user, password), 0)
        self.assertNotEqual(self.allocated(user, "south"), 0)
