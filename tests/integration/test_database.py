"""A server whose database falls silent, is locked, full, deleted, or somebody else's."""

import resource
import signal
import sqlite3
import subprocess
import time
from base64 import b64encode
from contextlib import closing
from itertools import count
from pathlib import Path
from threading import Event, Thread

from tests.integration.database_cable import DatabaseCable
from tests.integration.processes import HEADER, Peer, ProcessCase
from tests.unit.store.databases import drop_postgresql, execute, make_postgresql

PASSWORD = "a rose"
CALL_S = 13.0
"""By then whatever needs the database has an answer."""

HEALED_S = 30.0
STOPPED_S = 30.0
CANARY_P99_S = 0.1
WAIT = b"<error type='wait'><resource-constraint"


class Canary:
    """Two people who write to each other all the time, and need no database."""

    def __init__(self, port: int) -> None:
        self.took_s: list[float] = []
        self._over = Event()
        self._romeo, self._juliet = Peer(port), Peer(port)
        self._romeo.log_in("romeo", PASSWORD)
        self._juliet.log_in("juliet", PASSWORD)
        self._thread = Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        for number in count(1):  # one at least, however soon it is over
            began = time.perf_counter()
            self._romeo.send(b"<message to='juliet@localhost' id='c%d'/>" % number)
            self._juliet.until(b"id='c%d'" % number)
            self.took_s.append(time.perf_counter() - began)
            if self._over.wait(0.02):
                break

    def stop(self) -> float:
        """End it, once; what 99 of 100 messages took at most."""
        self._over.set()
        self._thread.join()
        self._romeo.close()
        self._juliet.close()
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)]


class DatabaseCase(ProcessCase):
    """Romeo, Juliet and a nurse have accounts; the nurse never comes."""

    process: "subprocess.Popen[bytes]"

    def populate(self) -> None:
        """Make the accounts."""
        for name in ("romeo", "juliet", "nurse"):
            self.ctl("user", "add", name, "--stdin", input=f"{PASSWORD}\n")

    def up(self) -> Peer:
        """Start a server with a canary; somebody who writes to the nurse."""
        self.populate()
        self.process = self.start()
        self.canary = Canary(self.ports()[1])
        self.addCleanup(self.canary.stop)
        writer = Peer(self.ports()[1])
        self.addCleanup(writer.close)
        writer.log_in("romeo", PASSWORD)
        return writer

    def write(self, writer: Peer) -> tuple[bytes, float]:
        """What came back of a message to the nurse, and how long that took."""
        began = time.monotonic()
        writer.send(
            b"<message to='nurse@localhost' type='chat' id='m'><body>hi</body></message>"
            b"<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
        came = writer.until(b"id='ping'")
        return came, time.monotonic() - began

    def log_in(self) -> bytes:
        """What becomes of a login."""
        peer = Peer(self.ports()[1])
        peer.send(HEADER)
        peer.until(b"</stream:features>")
        token = b64encode(f"\0nurse\0{PASSWORD}".encode())
        peer.send(
            b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%b</auth>" % token
        )
        answer = peer.until(b">") + peer.until(b">")
        peer.close()
        return answer

    def stop(self) -> float:
        """How long a stop takes."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOPPED_S * 2)
        return time.monotonic() - began

    def assert_said_once(self, *sentences: str) -> None:
        """The log has each of these once, and no trace of anything."""
        for sentence in sentences:
            self.assertEqual(self.text().count(sentence), 1, self.text())
        self.assertNotIn("Traceback", self.text())


class SilenceTests(DatabaseCase):
    """PostgreSQL says nothing any more, and its connections stay."""

    def setUp(self) -> None:
        super().setUp()
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        self.cable = DatabaseCable(url)
        self.addCleanup(self.cable.take_away)
        self.configure(f'[storage]\nurl = "{self.cable.url}"\n')

    def test_silent(self) -> None:
        """What needs it is answered in time, nobody else notices, and it heals by itself; a stop
        ends all the same, and says what it could not save.
        """
        writer = self.up()
        writer.send(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
        writer.until(b"<enabled")
        self.cable.cut()
        for _ in range(3):
            came, took_s = self.write(writer)
            self.assertIn(WAIT, came)
            self.assertLess(took_s, CALL_S)
        self.assertIn(b"<temporary-auth-failure", self.log_in())
        self.cable.mend()
        began = time.monotonic()
        while b"<success" not in self.log_in():
            self.assertLess(time.monotonic() - began, HEALED_S)
        self.assertNotIn(WAIT, self.write(writer)[0])
        self.wait_for(lambda: "the database can be read again" in self.text())
        self.assertLess(self.canary.stop(), CANARY_P99_S)
        self.assert_said_once("the database cannot be read", "the database can be read again")
        self.cable.cut()
        self.assertLess(self.stop(), STOPPED_S)
        self.assert_said_once("sessions that were not saved: 1,")


class LockedTests(DatabaseCase):
    def test_locked(self) -> None:
        """Another process locks SQLite's file: messages come back in time, nobody else waits, and
        a stop ends all the same.
        """
        writer = self.up()
        path = self.directory / "data" / "xmppd.sqlite"
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            came, took_s = self.write(writer)
            self.assertIn(WAIT, came)
            self.assertLess(took_s, CALL_S)
            self.assertIn(b"<success", self.log_in())
            other.execute("ROLLBACK")
            self.assertNotIn(WAIT, self.write(writer)[0])
            self.wait_for(lambda: "the database can be written again" in self.text())
            self.assertLess(self.canary.stop(), CANARY_P99_S)
            self.assert_said_once("the database cannot be written")
            other.execute("BEGIN EXCLUSIVE")
            self.assertLess(self.stop(), STOPPED_S)


class FullTests(DatabaseCase):
    def test_full(self) -> None:
        """No file can grow any more: what would have to be kept comes back, all else goes on."""
        writer = self.up()
        grown = max(path.stat().st_size for path in (self.directory / "data").iterdir())
        before = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (grown, -1))
        body = b"x" * 8_000
        for _ in range(2 + grown // len(body)):
            writer.send(
                b"<message to='nurse@localhost' type='chat'><body>%b</body></message>"
                b"<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>" % body
            )
            if WAIT in writer.until(b"id='ping'"):
                break
        else:
            self.fail("there was room")
        self.assertIn(b"<success", self.log_in())
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, before)
        self.assertNotIn(WAIT, self.write(writer)[0])
        self.wait_for(lambda: "the database can be written again" in self.text())
        self.assert_said_once("the database cannot be written")


class GoneTests(DatabaseCase):
    """The database's file is not there any more, or is another one."""

    @property
    def files(self) -> list[Path]:
        """It, and what SQLite keeps beside it."""
        return sorted((self.directory / "data").glob("xmppd.sqlite*"))

    def test_deleted(self) -> None:
        """A message is not said to be kept in a file that is gone; that is logged at once."""
        writer = self.up()
        for path in self.files:
            path.unlink()
        self.assertIn(WAIT, self.write(writer)[0])
        self.wait_for(lambda: "was deleted while the server was running" in self.text())
        self.canary.stop()
        self.assertLess(self.stop(), STOPPED_S)
        for word in (self.refused_start(), self.ctl("user", "list", status=1)):
            self.assertIn("xmppd.sqlite is not there", word)
            self.assertIn("xmppctl db upgrade", word)
        self.assertEqual(self.files, [])
        self.assertIn("was missing", self.ctl("db", "upgrade"))
        self.start()
        self.assertEqual(self.ctl("--json", "user", "list"), "")

    def test_replaced(self) -> None:
        """Nor in another file of that name."""
        writer = self.up()
        copy = self.directory / "copy"
        copy.write_bytes(self.files[0].read_bytes())
        copy.replace(self.files[0])
        self.assertIn(WAIT, self.write(writer)[0])
        self.wait_for(lambda: "was replaced while the server was running" in self.text())


class TwoServersTests(DatabaseCase):
    """Two servers with data directories of their own, and one database."""

    def another(self) -> None:
        """From now on the configuration is that of the second one."""
        self.config.write_text(self.config.read_text().replace('data = "data"', 'data = "other"'))

    def refuse_second(self, url: str) -> None:
        self.configure(f'[storage]\nurl = "{url}"\n')
        self.populate()
        first = self.start()
        self.another()
        for word in (self.refused_start(), self.ctl("user", "list", status=1)):
            self.assertIn("in use by another xmppd", word)
        first.send_signal(signal.SIGTERM)  # the second one comes while the first one leaves
        self.start()

    def test_sqlite(self) -> None:
        """The second one is refused on SQLite."""
        self.refuse_second(f"sqlite:///{self.directory}/shared.sqlite")

    def test_postgresql(self) -> None:
        """And on PostgreSQL."""
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        self.refuse_second(url)

    def test_taken_over(self) -> None:
        """One that lost its lock to another, while it was suspended, stops and touches nothing."""
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        self.configure(f'[storage]\nurl = "{url}"\n')
        self.populate()
        first = self.start()
        first.send_signal(signal.SIGSTOP)
        execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        self.another()
        log, self.log = self.log, self.directory / "other.log"
        self.start()
        first.send_signal(signal.SIGCONT)
        first.wait(STOPPED_S)
        self.assertIn("is in use by another xmppd", log.read_text())
        self.assertIn("The server is stopping.", log.read_text())
        self.assertNotIn("Traceback", log.read_text())
        self.assertEqual(len(self.rows("user", "list")), 3)
