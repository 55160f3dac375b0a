"""Why somebody can log in, or cannot."""

from base64 import b64encode

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from xmppd.auth.login_failures import KEPT_EACH, MAX_ACCOUNTS, LoginFailure, LoginFailures
from xmppd.stanza import ns
from xmppd.store.errors import StoreError
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config

ROMEO = "romeo@verona.lit"


class LoginTests(SynchronousTestCase):
    def setUp(self) -> None:
        config = house_config(
            "verona.lit",
            auth={"failures_before_delay": 3, "failures_before_lockout": 5, "lockout_s": 900.0},
            sessions={"max_per_account": 2},
        )
        self.house = House("verona.lit", config=config)
        self.office = Office(self.house)
        done(Deferred.fromCoroutine(self.house.server.passwords.create(ROMEO, "rose")))

    def explained(self, account: str = ROMEO) -> dict[str, str]:
        """The sentences by their codes; the outcome is the first."""
        rows = self.office.rows("explain login", account=account)
        return {str(row["code"]): str(row["says"]) for row in reversed(rows)}

    def outcome(self, account: str = ROMEO) -> tuple[str, str]:
        """The outcome, and what it follows from."""
        rows = self.office.rows("explain login", account=account)
        (cause,) = [row["code"] for row in rows if row["decides"]]
        return str(rows[0]["code"]), str(cause)

    def log_in(self, password: str, address: str = "203.0.113.7", name: str = "romeo") -> bytes:
        client = self.house.unauthenticated(address, encrypted=True)
        client.open("verona.lit")
        client.raw()
        proof = b64encode(f"\0{name}\0{password}".encode()).decode()
        client.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{proof}</auth>")
        self.house.clock.pump([1.0] * 4)
        return client.raw()

    def test_may(self) -> None:
        """Nothing is in the way; and the mechanisms are told that its keys are for."""
        self.assertEqual(self.outcome(), ("may", "may"))
        self.assertIn("SCRAM-SHA-256", self.explained()["mechanisms"])

    def test_no_account(self) -> None:
        """Who does not exist, or is elsewhere, cannot log in here."""
        self.assertEqual(self.outcome("paris@verona.lit"), ("may_not", "no_account"))

    def test_disabled(self) -> None:
        """Of a disabled account is said how it is enabled."""
        self.office.says("user disable", account=[ROMEO])
        self.assertEqual(self.outcome(), ("may_not", "disabled"))
        self.assertIn("xmppctl user enable", self.explained()["disabled"])

    def test_disabled_until(self) -> None:
        """Of one that is disabled for a while is said until when, and afterwards that it was."""
        self.office.says("user disable", account=[ROMEO], **{"for": "10m"})
        self.assertRegex(
            self.explained()["disabled"],
            r"is disabled until 2023-11-14T22:23:20Z; xmppctl user enable enables it again now",
        )
        self.house.clock.advance(600)
        self.assertEqual(self.outcome(), ("may", "may"))
        self.assertIn("was disabled until 2023-11-14T22:23:20Z", self.explained()["was_disabled"])

    def test_no_key(self) -> None:
        """An account without a password can use none of the mechanisms."""
        self.house.add("juliet")
        self.assertEqual(self.outcome("juliet"), ("may_not", "no_mechanism"))

    def test_wrong_password(self) -> None:
        """The last failures are told with address, mechanism and reason; and the log names them."""
        with capturedLogs() as log:
            self.assertIn(b"not-authorized", self.log_in("thorn"))
        failed = self.explained()["failed"]
        self.assertRegex(
            failed, r"^a login from 203.0.113.7 with PLAIN failed at \S+Z: wrong password\.$"
        )
        (line,) = [event for event in log if event.get("address") == "203.0.113.7"]
        self.assertEqual((line["account"], line["condition"]), (ROMEO, "not-authorized"))

    def test_locked_out(self) -> None:
        """A network that has guessed too often is told, with the time that is left; who guesses at
        an account makes others wait there.
        """
        for _ in range(6):
            self.log_in("thorn")
        self.assertIn(b"temporary-auth-failure", self.log_in("rose"))
        found = self.explained()
        self.assertRegex(
            found["locked"], r"^logins from 203.0.113.7 are refused for another 8\d\d s"
        )
        self.assertIn("temporary-auth-failure", found["failed"])
        self.assertIn("xmppctl user unlock", found["guessed"])
        self.assertEqual(self.outcome()[0], "may")  # from elsewhere
        self.assertIn(b"<success", self.log_in("rose", "198.51.100.4"))

    def test_sessions(self) -> None:
        """An account with as many sessions as it may have gets no more."""
        self.house.connect("romeo/a", "romeo/b")
        self.assertEqual(self.outcome(), ("may_not", "too_many_sessions"))

    def test_store(self) -> None:
        """Nobody logs in while the database cannot be read."""
        self.house.store.watched._reading.failed(StoreError("it is gone"))
        self.assertEqual(self.outcome(), ("may_not", "store_fails"))


class FailureTests(SynchronousTestCase):
    def test_bounded(self) -> None:
        """Of each account the last few are kept, and of so many accounts."""
        failures = LoginFailures()
        for number in range(MAX_ACCOUNTS + 3):
            for _ in range(KEPT_EACH + 2):
                failures.note(f"a{number}", LoginFailure(0.0, "192.0.2.1", "PLAIN", "x"))
        self.assertEqual(len(failures.of(f"a{MAX_ACCOUNTS}")), KEPT_EACH)
        self.assertEqual(failures.of("a0"), ())
        self.assertEqual(len(failures._known), MAX_ACCOUNTS)
