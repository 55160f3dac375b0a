"""The time of day is set while a real server runs, by seconds and by days: nobody notices."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.raw_client import QuickClient
from xmppd.testing.process import ServerProcess

STEPS_S = (-60, 60, 7_200, -7_200, 86_400, -86_400)
PASSWORD = "secret"  # of the tests
SM = "urn:xmpp:sm:3"


def libfaketime() -> Path:
    """What is loaded before the C library, and answers in its place what time it is."""
    for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"):
        return path
    raise FileNotFoundError("libfaketime is missing: apt-get install faketime")


class StepTests(SynchronousTestCase):
    """A server whose clock is set by what stands in a file."""

    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.clock = Path(directory.name) / "clock"
        self.ahead_s = 0
        self.step(0)
        environ = {
            **os.environ,
            "LD_PRELOAD": str(libfaketime()),
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.server = ServerProcess(
            Path(directory.name),
            stream={
                "stanzas_per_s": 10.0,
                "stanzas_burst": 20,
                "bytes_per_s": 1e9,
                "negotiation_timeout_s": 10.0,
            },
        )
        self.patch(os, "environ", environ)
        self.server.start()
        self.addCleanup(self.server.stop)
        romeo, juliet = (self.server.add_user(name, PASSWORD) for name in ("romeo", "juliet"))
        self.server.tell("roster add", account=romeo, contact=juliet, mutual=True)

    def step(self, by_s: int) -> None:
        """Set the clock forward or back, in one step."""
        self.ahead_s += by_s
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{self.ahead_s:+d}\n")
        fresh.replace(self.clock)

    def online(self, name: str) -> QuickClient:
        """Somebody who is available; who hears nothing for long finds that something is wrong."""
        client = QuickClient(self.server)
        self.addCleanup(client.close)
        client.open()
        client.log_in(name, PASSWORD, "1")
        client.send(b"<presence/>")
        client.until(b"<presence")
        return client

    def say(self, client: QuickClient, to: str, text: str) -> None:
        client.send(
            f"<message to='{to}@localhost/1' type='chat'><body>{text}</body></message>".encode()
        )

    def test_connected(self) -> None:
        """Messages arrive, somebody can log in, and who is too fast is read as fast as before."""
        romeo, juliet = self.online("romeo"), self.online("juliet")
        for step_s in STEPS_S:
            with self.subTest(step_s):
                self.say(romeo, "juliet", "before")
                juliet.until(b"<body>before</body>")
                for number in range(30):
                    self.say(romeo, "juliet", str(number))
                self.step(step_s)
                juliet.until(b"<body>29</body>")
                self.say(juliet, "romeo", "after")
                romeo.until(b"<body>after</body>")
                newcomer = QuickClient(self.server)
                newcomer.open()
                newcomer.log_in("juliet", PASSWORD, f"at{step_s}")
                newcomer.close()

    def detached(self, max_s: int) -> bytes:
        """Juliet's session sleeps; the id that resumes it."""
        juliet = self.online("juliet")
        juliet.send(f"<enable xmlns='{SM}' resume='true' max='{max_s}'/>".encode())
        enabled = juliet.until(b"max='%d'/>" % max_s)
        juliet.close()
        return enabled.partition(b"<enabled")[2].partition(b" id='")[2].partition(b"'")[0]

    def resume(self, id: bytes) -> bytes:
        """What the server says to whoever wants it back."""
        client = QuickClient(self.server)
        self.addCleanup(client.close)
        client.open()
        answer, _ = client.authenticate("PLAIN", f"\0juliet\0{PASSWORD}".encode())
        self.assertEqual(answer, "success")
        client.open()
        client.send(b"<resume xmlns='%b' previd='%b' h='0'/>" % (SM.encode(), id))
        answered = client.until(b">")
        client.send(b"</stream:stream>")
        return answered

    def test_asleep(self) -> None:
        """Sessions sleep as long as agreed on, over a restart as well."""
        for step_s in STEPS_S:
            with self.subTest(step_s):
                id = self.detached(60)
                self.step(step_s)
                romeo = self.online("romeo")  # who is not: a sweep would have given her up
                self.say(romeo, "juliet", "wherefore")
                romeo.close()
                self.assertIn(b"<resumed ", self.resume(id))
        id = self.detached(60)
        self.server.stop()
        self.step(86_400)
        self.server.start()
        self.assertIn(b"<resumed ", self.resume(id))

    def test_given_up(self) -> None:
        """Nor do they sleep for longer."""
        romeo = self.online("romeo")
        self.detached(2)
        self.step(-86_400)
        self.assertIn(b"unavailable", romeo.until(b"type='unavailable'"))
