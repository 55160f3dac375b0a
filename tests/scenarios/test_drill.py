"""Incidents, and the two commands at most in which their cause is found, by its code."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage
from unittest.mock import patch

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from xmppd.net.traffic_history import PARTS
from xmppd.presence.broadcast_counts import BroadcastCounts
from xmppd.stanza import ns
from xmppd.store.errors import StoreError
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config
from xmppd.testing.network import federate
from xmppd.web.http_connections import SWEEP_S

ROMEO, JULIET = "romeo@verona.lit", "juliet@verona.lit"
MANY = 700
"""Stanzas: more than anybody else sends."""


class DrillTests(SynchronousTestCase):
    def setUp(self) -> None:
        limits = {"stanzas_per_s": 100.0, "stanzas_burst": 100, "max_queued_bytes": 20_000}
        config = house_config(
            "verona.lit",
            stream=limits,
            auth={"failures_before_delay": 50, "failures_before_lockout": 100},
            component=[{"name": "echo.verona.lit", "secret": "x"}],
            s2s={"domain": [{"name": "spam.lit", "block": True}]},
        )
        self.house = House(
            "verona.lit",
            config=config,
            plugins=("blocking", "invisible"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.mantua = House("mantua.lit", mercutio={})
        federate(self.house, self.mantua)
        self.service = self.house.service("echo.verona.lit", "x")
        self.office = Office(self.house)
        self.romeo, self.juliet = self.house.connect("romeo/orchard", "juliet/balcony")

    # -- what an operator reads -----------------------------------------------------------------

    def codes(self, command: str, **given: object) -> list[str]:
        """All codes that a command answers."""
        found: list[str] = []
        for row in self.office.rows(command, **given):
            for column in ("code", "wrong", "what"):
                value = row.get(column, [])
                found += value if isinstance(value, list) else [str(value)]
        return found

    def wait(self, seconds: float = (PARTS + 1) * SWEEP_S) -> None:
        self.house.clock.pump([0.01] * round(seconds * 100))

    def client(self, name: str, password: str, address: str) -> Iterator[Client]:
        """Clients that try to log in."""
        while True:
            client = self.house.unauthenticated(address, encrypted=True)
            client.open("verona.lit")
            proof = b64encode(f"\0{name}\0{password}".encode()).decode()
            client.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{proof}</auth>")
            yield client

    def cause(self, watcher: str) -> tuple[str, str]:
        """Why somebody does not see Romeo."""
        rows = self.office.rows("explain presence", owner="romeo", watcher=watcher)
        (cause,) = [row for row in rows if row["decides"]]
        return str(cause["code"]), str(cause["says"])

    # -- presence that is not seen --------------------------------------------------------------

    def test_not_in_the_roster(self) -> None:
        """Tybalt does not see Romeo, whom he has never asked."""
        self.assertEqual(self.cause("tybalt")[0], "strangers")

    def test_blocked(self) -> None:
        """Juliet does not see Romeo, since he has blocked her."""
        self.romeo.send(
            f"<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/>"
            "</block></iq>"
        )
        code, says = self.cause("juliet")
        self.assertEqual(code, "blocked")
        self.assertIn(f"has blocked {JULIET}", says)

    def test_invisible(self) -> None:
        """Juliet does not see Romeo, who is invisible."""
        self.romeo.send("<iq type='set' id='i'><invisible xmlns='urn:xmpp:invisible:1'/></iq>")
        self.romeo.send("<presence/>")
        self.assertEqual(
            self.cause("juliet"), ("invisible", f"{ROMEO}/orchard is invisible (PL-10).")
        )

    # -- messages that are lost ------------------------------------------------------------------

    def test_no_such_server(self) -> None:
        """Messages to a domain that DNS does not know."""
        self.romeo.send("<message to='x@nowhere.lit'><body>hear</body></message>")
        self.assertIn("no-such-server", self.codes("s2s why", domain="nowhere.lit"))

    def test_blocked_server(self) -> None:
        """Messages to a server that is blocked."""
        self.romeo.send("<message to='x@spam.lit'><body>hear</body></message>")
        self.assertIn("blocked", self.codes("s2s why", domain="spam.lit"))

    def test_component_gone(self) -> None:
        """A component that was there and is not."""
        self.service.handler.connectionLost()
        self.assertEqual(self.codes("status"), ["component-away"])
        found = self.codes("explain message", sender="romeo", to="x@echo.verona.lit")
        self.assertIn("component_away", found)

    # -- floods -----------------------------------------------------------------------------------

    def test_flood_of_messages(self) -> None:
        """One client sends all it can: status names it, top has what it sends."""
        self.romeo.send(f"<message to='{JULIET}' type='chat'><body>!</body></message>" * MANY)
        self.wait(30.0)
        self.assertEqual(self.codes("status"), ["one-sends-a-third"])
        first, *_ = self.office.rows("top senders")
        self.assertEqual((first["who"], first["messages"]), (f"{ROMEO}/orchard", MANY))
        self.assertGreater(int(str(first["slowed"])), MANY // 2)

    def test_flood_of_requests(self) -> None:
        """The same with requests."""
        self.romeo.send("<iq type='get' id='1'><query xmlns='odd'/></iq>" * MANY)
        self.wait(30.0)
        self.assertIn("of them requests", str(self.office.replies("status")[0]))
        first, *_ = self.office.rows("top senders", of="iqs", by="account")
        self.assertEqual((first["who"], first["errors"]), (ROMEO, MANY))

    def test_flood_of_logins(self) -> None:
        """Somebody tries passwords, of one account after the other."""
        done(Deferred.fromCoroutine(self.house.server.passwords.create("paris@verona.lit", "rose")))
        guesses = self.client("paris", "thorn", "203.0.113.7")
        for _ in range(30):
            next(guesses)
        self.wait()
        self.assertEqual(self.codes("status"), ["logins-fail"])
        (sentence, _) = self.office.replies("status")
        self.assertIn("30 of them from 203.0.113.7", str(sentence))
        first, *_ = self.office.rows("top senders", by="address", of="failed-logins")
        self.assertEqual((first["who"], first["failed_logins"]), ("203.0.113.7", 30))

    # -- one person's trouble --------------------------------------------------------------------

    def test_wrong_password(self) -> None:
        """One user cannot log in: the password is wrong."""
        done(Deferred.fromCoroutine(self.house.server.passwords.create("paris@verona.lit", "rose")))
        next(self.client("paris", "thorn", "203.0.113.9"))
        failed = [
            r for r in self.office.rows("explain login", account="paris") if r["code"] == "failed"
        ]
        self.assertIn("203.0.113.9", str(failed[0]["says"]))
        self.assertIn("wrong password", str(failed[0]["says"]))

    def test_client_does_not_read(self) -> None:
        """A client that was cut off, since it read nothing."""
        self.juliet.handler.pauseProducing()
        text = f"<message to='{JULIET}/balcony' type='chat'><body>{'x' * 500}</body></message>"
        self.romeo.send(text * 50)
        says = str(self.office.rows("explain session", jid="juliet"))
        self.assertIn("read too slowly", says)

    def test_conflict_loop(self) -> None:
        """Two clients with one resource take it from one another."""
        for _ in range(3):
            self.house.connect("romeo/orchard")
        found = self.office.rows("explain session", jid="romeo")
        codes = [row["code"] for row in found]
        self.assertEqual(codes, ["there", "conflicts", "ended", "ended", "ended"])
        self.assertIn("taken by another session 3 times", str(found[1]["says"]))
        self.assertIn("conflict", str(found[2]["says"]))

    # -- the machine -----------------------------------------------------------------------------

    def test_disk_full(self) -> None:
        """There is no room for the database."""
        space = type(disk_usage("/"))(10_000_000_000, 9_990_000_000, 10_000_000)
        with patch("shutil.disk_usage", return_value=space):
            self.assertEqual(self.codes("status"), ["disk-full"])

    def test_store_fails(self) -> None:
        """The database does not take what is written."""
        self.house.store.watched._writing.failed(StoreError("the disk is full"))
        self.assertEqual(self.codes("status"), ["store-fails"])

    def test_plugin_raises(self) -> None:
        """A part of the server raises, again and again."""
        raising = patch.object(BroadcastCounts, "count", side_effect=ValueError("no such guest"))
        with capturedLogs() as log, raising:
            for _ in range(3):
                self.romeo.send("<presence/>")
        for event in log:
            list(self.office.life.failures.told(event))
        self.flushLoggedErrors(ValueError)
        self.assertEqual(self.codes("status"), ["server-failed"])
        (sentence, _) = self.office.replies("status")
        self.assertIn("ValueError: no such guest", str(sentence))

    def test_configuration_not_read(self) -> None:
        """The configuration was edited, and nobody has said so to the server."""
        self.office.life.changed = [Path("/etc/xmppd/xmppd.toml")]
        self.assertEqual(self.codes("status"), ["not-read"])
