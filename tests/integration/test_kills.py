"""Nothing is lost, doubled or out of order when the server is killed or stopped: a few times."""

import re
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from bench import upload_kills
from bench.kills import SM, drill
from tests.integration.people import PASSWORD
from tests.integration.raw_client import RawClient
from tests.seeds import some_seed
from tests.unit.store.databases import drop_postgresql, make_postgresql
from xmppd.testing.process import ServerProcess


class KillTests(SynchronousTestCase):
    """A share of what ``python -m bench.kills`` does."""

    def ends(self, storage: str = "") -> None:
        seed = some_seed()
        # A short path: that of a Unix socket may have 107 characters.
        directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, directory)
        wrong, counts = drill(directory, kills=3, stops=1, seed=seed, storage=storage, archive=True)
        self.assertEqual(wrong, [], f"seed {seed}: {counts}")

    def test_sqlite(self) -> None:
        """On SQLite."""
        self.ends()

    def test_postgresql(self) -> None:
        """On PostgreSQL."""
        storage = make_postgresql()
        self.addCleanup(drop_postgresql, storage)
        self.ends(storage)


class UploadKillTests(SynchronousTestCase):
    """A share of what ``python -m bench.upload_kills`` does."""

    def test_uploads(self) -> None:
        """No file is lost, or there in part, and no room is taken by none (HU-3, HU-5)."""
        seed = some_seed()
        directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, directory)
        wrong, counts = upload_kills.drill(directory, uploads=40, kills=2, seed=seed)
        self.assertEqual(wrong, [], f"seed {seed}: {counts}")


class SlowReaderTests(SynchronousTestCase):
    """Somebody without stream management reads nothing, and the server ends."""

    def setUp(self) -> None:
        directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, directory)
        self.server = ServerProcess(
            directory,
            "verona.lit",
            auth={"scram_iterations": 64},
            stream={"close_timeout_s": 0.2},
            offline={"max_messages": 100_000, "max_bytes": 1 << 30},
        )
        self.server.start()
        self.addCleanup(self.server.stop)
        for name in ("romeo", "juliet"):
            self.server.add_user(name, PASSWORD)

    def online(self, name: str) -> RawClient:
        client = RawClient(self.server)
        client.log_in(name, PASSWORD, "1")
        client.send(b"<presence/>")
        client.until(b"<presence")
        return client

    def say(self, romeo: RawClient, count: int) -> None:
        """Say so much, and wait until all of it is acknowledged."""
        text = (
            "<message to='juliet@verona.lit' type='chat'><body>{}</body><x xmlns='u'>{}</x>"
            "</message>"
        )
        romeo.send("".join(text.format(n, "x" * 2_000) for n in range(count)).encode())
        romeo.send(f"<r {SM}/>".encode())
        romeo.until(b" h='%d'/>" % count)

    def heard(self, client: RawClient, until: bytes = b"") -> list[int]:
        """What is read until this has come, or the connection ends."""
        data = b""
        while not until or until not in data:
            more = client.receive()
            if not more:
                break
            data += more
        return [int(text) for text in re.findall(rb"<body>(\d+)</body>", data)]

    def ends(self, how: str) -> tuple[list[int], list[int]]:
        """What she reads of 800 messages before the end, and what after it."""
        juliet, romeo = self.online("juliet"), self.online("romeo")
        romeo.send(f"<enable {SM}/>".encode())
        romeo.until(b"<enabled")
        self.say(romeo, 800)
        getattr(self.server, how)()
        before = self.heard(juliet)
        self.server.start()
        return before, self.heard(self.online("juliet"), b"<body>799</body>")

    def test_killed(self) -> None:
        """What was acknowledged to its sender is there."""
        before, after = self.ends("kill")
        self.assertEqual(sorted({*before, *after}), list(range(800)))

    def test_stopped(self) -> None:
        """It is there once, but for what was just about to leave: the rest is taken back."""
        before, after = self.ends("stop")
        self.assertEqual(sorted({*before, *after}), list(range(800)))
        self.assertLess(len(before) + len(after), 800 + 20)
        for heard in (before, after):
            self.assertEqual(heard, sorted(heard))
