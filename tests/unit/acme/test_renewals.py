"""Certificates that are renewed in time, with an authority in memory and a clock of the test's."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from xmppd.acme.authority_thread import AuthorityThread
from xmppd.acme.not_issued import NotIssued, Stopped, Suggestion
from xmppd.acme.renewals import (
    PRESSING_S,
    RETRY_FIRST_S,
    RETRY_MAX_S,
    Renewals,
    Upkeep,
    renewal_at,
)
from xmppd.config.config import DomainSettings
from xmppd.host.clocks import Clocks
from xmppd.host.machine import Workers
from xmppd.net.certificate import load_identity, xmpp_addresses

DAY_S = 86_400.0
LIFE = timedelta(days=90)
DOMAIN = "montague.lit"


class Signer:
    """An authority that has what a test gives it."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.refuses: dict[str, str] = {}
        self.trouble = ""
        self.suggests: float | None = None
        self.starts: datetime = datetime.now(UTC)
        self.serial = 1

    def issue(self, names: Sequence[str]) -> bytes:
        self.asked.append(list(names))
        if self.trouble:
            raise NotIssued(self.trouble)
        refused = {name: why for name, why in self.refuses.items() if name in names}
        if refused:
            raise NotIssued("refused", refused)
        self.serial += 1
        return signed(names, self.starts, serial=self.serial)

    def suggestion(self, pem: bytes) -> Suggestion:
        return Suggestion(self.suggests, self.starts.timestamp() + 6 * 3_600)


class Here:
    """Does at once what threads would do."""

    async def run(self, function: object, *args: object) -> object:
        assert callable(function)
        return function(*args)

    def stop_soon(self) -> None:
        """There is nothing to stop."""


def signed(names: Sequence[str], starts: datetime, *, serial: int = 1) -> bytes:
    """PEM: a certificate of 90 days, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(starts)
        .not_valid_after(starts + LIFE)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True
        )
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class RenewalTests(SynchronousTestCase):
    """Renewals."""

    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.data.mkdir()
        self.clock = Clock()
        self.begun = datetime.now(UTC).timestamp()
        self.signer = Signer()
        self.shown: list[int] = []
        self.names = [DOMAIN, "rooms.montague.lit"]
        self.renewals = self.made()

    def made(self) -> Renewals:
        """As they are when the server starts."""
        self.file = self.data / "acme" / f"{DOMAIN}.pem"
        return Renewals(
            [DomainSettings(name=DOMAIN, certificate=str(self.file), acme=True)],
            lambda domain: self.names,
            AuthorityThread(self.signer, cast(Workers, Here()), Event()),
            lambda domain: self.shown.append(self.certificate.serial_number),
            Clocks(self.clock.seconds, lambda: self.begun + self.clock.seconds()),
        )

    @property
    def upkeep(self) -> Upkeep:
        return self.renewals.upkeeps[DOMAIN]

    @property
    def certificate(self) -> x509.Certificate:
        return load_identity(self.file, self.file).certificate

    def look(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.renewals.look()))

    def test_missing(self) -> None:
        """What is missing is had at once, for all names, kept for nobody else, and shown."""
        self.look()
        self.assertEqual(self.signer.asked, [self.names])
        self.assertEqual(self.shown, [self.certificate.serial_number])
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.look()
        self.assertEqual(len(self.signer.asked), 1)

    def test_after_restart(self) -> None:
        """A certificate of before is used, and nobody is asked for another."""
        self.look()
        self.renewals = self.made()
        self.look()
        self.assertEqual(len(self.signer.asked), 1)

    def test_third(self) -> None:
        """It is renewed when a third of its life is left, and not before a tenth part of that."""
        self.look()
        self.clock.advance(56.9 * DAY_S)
        self.look()
        self.assertEqual(len(self.signer.asked), 1)
        self.clock.advance(3.2 * DAY_S)
        self.look()
        self.assertEqual(len(self.signer.asked), 2)

    def test_another_name(self) -> None:
        """A service that is new gets its name in the next look."""
        self.look()
        self.names = [*self.names, "files.montague.lit"]
        self.look()
        self.assertEqual(self.signer.asked[-1], self.names)

    def test_suggestion(self) -> None:
        """An authority that wants it renewed earlier is listened to: it may revoke it."""
        self.look()
        self.signer.suggests = self.begun
        self.clock.advance(RETRY_FIRST_S)
        self.look()
        self.assertEqual(len(self.signer.asked), 2)

    def test_late_suggestion(self) -> None:
        """One that wants it renewed too late is not."""
        certificate = x509.load_pem_x509_certificate(signed([DOMAIN], self.signer.starts))
        end = certificate.not_valid_after_utc.timestamp()
        self.assertEqual(renewal_at(certificate, end + DAY_S), end - LIFE.total_seconds() / 6)

    def test_jitter(self) -> None:
        """Certificates of one age are not all renewed at once."""
        made = [
            x509.load_pem_x509_certificate(signed([DOMAIN], self.signer.starts, serial=serial))
            for serial in range(1, 6)
        ]
        self.assertEqual(len({renewal_at(each, None) for each in made}), 5)

    def test_refused_service(self) -> None:
        """A service that the authority does not find costs the domain nothing; it is tried again
        a day later.
        """
        self.signer.refuses = {"rooms.montague.lit": "no such name"}
        self.look()
        self.assertEqual(self.signer.asked, [self.names, [DOMAIN]])
        self.assertEqual(xmpp_addresses(self.certificate).dns_names, (DOMAIN,))
        self.assertEqual(self.upkeep.refused, {"rooms.montague.lit"})
        self.clock.advance(RETRY_MAX_S - 1)
        self.look()
        self.assertEqual(len(self.signer.asked), 2)
        self.signer.refuses = {}
        self.clock.advance(1)
        self.look()
        self.assertEqual(xmpp_addresses(self.certificate).dns_names, tuple(self.names))

    def test_failures(self) -> None:
        """What fails is tried again after 10 minutes, 20, 40 and so on, a day at most."""
        self.signer.trouble = "the authority is away"
        waited = 0.0
        for wait_s in (600, 1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 76_800, 86_400, 86_400):
            self.look()
            tried = len(self.signer.asked)
            self.clock.advance(wait_s - 1)
            self.look()
            self.assertEqual(len(self.signer.asked), tried, f"after {waited} s")
            self.clock.advance(1)
            waited += wait_s
        self.assertEqual(self.upkeep.trouble, "the authority is away")
        self.signer.trouble = ""
        self.look()
        self.assertEqual((self.upkeep.trouble, self.upkeep.failures), ("", 0))

    def test_pressing(self) -> None:
        """Until three days before the end a failure is a warning, then an error."""
        self.look()
        self.signer.trouble = "the authority is away"
        self.clock.advance(LIFE.total_seconds() - PRESSING_S - DAY_S)
        with capturedLogs() as said:
            self.look()
            self.clock.advance(2 * DAY_S)
            self.look()
        self.assertEqual([event["log_level"].name for event in said], ["warn", "error"])

    def test_useless(self) -> None:
        """A certificate that cannot be used takes no one's place."""
        self.look()
        before = self.certificate
        self.signer.starts = datetime.now(UTC) - 2 * LIFE
        self.assertFalse(self.successResultOf(Deferred.fromCoroutine(self.renewals.renew(DOMAIN))))
        self.assertIn("expired", self.upkeep.trouble)
        self.assertEqual(self.certificate, before)

    def test_stop(self) -> None:
        """What a stop ends is no failure."""

        def stopped(names: Sequence[str]) -> bytes:
            raise Stopped

        self.signer.issue = stopped  # type: ignore[method-assign]  # nothing else differs
        self.look()
        self.assertEqual(self.upkeep.failures, 0)
