"""What is wrong with a server, and how status says it."""

import shutil
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from tests.unit.net.test_certificate import certificate, pem_key
from tests.unit.s2s.peers import Elsewhere
from xmppd.config.config import DomainSettings, TLSSettings
from xmppd.explain.troubles import KEEPS_FAILING
from xmppd.host.clocks import Clocks, wall_clock
from xmppd.host.machine import Descriptors
from xmppd.net.certificate_ends import TOLD_EACH_S, CertificateEnds
from xmppd.net.tls import TLS
from xmppd.s2s.silence import ANSWER_S, SILENT_S
from xmppd.store.errors import StoreError
from xmppd.store.watched import CALM_S
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config


class TroubleCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.use(House("verona.lit", romeo={}))

    def use(self, house: House) -> None:
        self.house = house
        self.office = Office(house)

    def wrong(self) -> tuple[str, list[str], list[str]]:
        """The state, the codes of what is wrong, and the sentences."""
        *sentences, row = self.office.replies("status")
        assert isinstance(row, dict)
        codes = row["wrong"]
        assert isinstance(codes, list)
        return str(row["state"]), codes, [str(each) for each in sentences]


class TroubleTests(TroubleCase):
    def test_well(self) -> None:
        """Nothing wrong is one line."""
        self.assertEqual(self.wrong(), ("well", [], ["all is well"]))

    def test_store_fails(self) -> None:
        """A database that fails is trouble, until it works again."""
        episode = self.house.store.watched._writing
        episode.failed(StoreError("the disk is full."))
        state, codes, (sentence,) = self.wrong()
        self.assertEqual((state, codes), ("trouble", ["store-fails"]))
        self.assertIn("cannot be written (the disk is full)", sentence)
        episode.succeeded()
        self.house.clock.advance(2 * CALM_S)
        self.assertEqual(self.wrong()[0], "well")

    def test_store_slow(self) -> None:
        """A database that takes long for its calls is a warning."""
        watched = self.house.store.watched
        for _ in range(20):
            began = watched._begin()
            self.house.clock.advance(1.0)
            watched._end("read", began)
        state, codes, (sentence,) = self.wrong()
        self.assertEqual((state, codes), ("warnings", ["store-slow"]))
        self.assertIn("takes 0.88 s", sentence)
        self.house.clock.advance(60)
        self.assertEqual(self.wrong()[0], "well")

    def test_disk(self) -> None:
        """A disk without room is trouble, one with little room a warning."""
        for free, expected, says in (
            (10_000_000, "disk-full", "is full, 10 MB (0.1 %) left: writes fail as soon as"),
            (400_000_000, "disk-nearly-full", "is nearly full, 400 MB (4.0 %) left: make room"),
        ):
            space = type(shutil.disk_usage("/"))(10_000_000_000, 10_000_000_000 - free, free)
            with patch("shutil.disk_usage", return_value=space):
                _, codes, (sentence,) = self.wrong()
            self.assertEqual(codes, [expected])
            self.assertIn(says, sentence)
        self.house.store.watched._writing.failed(StoreError("the disk is full"))
        full = type(shutil.disk_usage("/"))(10_000_000_000, 10_000_000_000, 0)
        with patch("shutil.disk_usage", return_value=full):
            _, codes, sentences = self.wrong()
        said = dict(zip(codes, sentences, strict=True))
        self.assertIn("is full, 0 MB (0.0 %) left: writes fail now", said["disk-full"])

    def test_files(self) -> None:
        """Connections near the limit of files are a warning, those turned away trouble."""
        files = self.house.server.descriptors = Descriptors(8)
        for _ in range(5):
            self.house.unauthenticated()
        self.assertEqual(self.wrong()[1], ["files-nearly-all-open"])
        files.have_room_for(7)
        state, codes, (sentence,) = self.wrong()
        self.assertEqual((state, codes), ("trouble", ["files-all-open"]))
        self.assertIn("LimitNOFILE", sentence)

    def test_plugin_missing(self) -> None:
        """A plugin that should be there and is not is trouble."""
        self.house.plugins.use(house_config("verona.lit", plugins={"load": ("ping",)}))
        state, codes, (sentence,) = self.wrong()
        self.assertEqual((state, codes), ("trouble", ["plugin-not-loaded"]))
        self.assertIn("ping is in plugins.load, but not loaded: run xmppctl plugin load", sentence)

    def test_plugin_fails(self) -> None:
        """A plugin whose parts have failed is named, with how often and why."""
        done(self.house.plugins.load("ping"))
        for owner in ("ping", "ping", "xmppd"):
            event = {
                "log_format": "{owner} failed on {event}", "log_level": LogLevel.critical,
                "owner": owner, "log_failure": Failure(ValueError("no pong")),
            }  # fmt: skip
            list(self.office.life.failures.told(event))
        state, codes, sentences = self.wrong()
        self.assertEqual((state, codes), ("warnings", ["plugin-failed", "server-failed"]))
        self.assertIn(
            "plugin ping failed 2 times in the last hour, most recently with ValueError: no pong",
            sentences[0],
        )

    def test_server_not_reached(self) -> None:
        """A server to which streams keep failing is named, with the command that says why."""
        (romeo,) = self.house.connect("romeo")
        pair = None
        for count in range(KEEPS_FAILING):
            self.assertEqual(self.wrong()[0], "well", count)
            romeo.send("<message to='juliet@mantua.lit'><body>hear</body></message>")
            pair = self.house.server.foreign_routes.pairs["verona.lit", "mantua.lit"]
            self.house.clock.advance(pair.retry_in_s)
        state, codes, (sentence,) = self.wrong()
        self.assertEqual((state, codes), ("warnings", ["server-not-reached"]))
        self.assertIn("xmppctl s2s why mantua.lit", sentence)
        self.assertIn("3 times; there is no such house", sentence)

    def test_server_silent(self) -> None:
        """A server that accepts stanzas and does not answer is named, too."""
        elsewhere = Elsewhere(self.house)
        (romeo,) = self.house.connect("romeo")
        romeo.send("<message to='juliet@mantua.lit'><body>hear</body></message>")
        mantua = elsewhere.last("mantua.lit")
        mantua.open()
        mantua.send("<db:result from='mantua.lit' to='verona.lit' type='valid'/>")
        for _ in range(int(SILENT_S + ANSWER_S + 2)):
            self.house.clock.advance(1)
        state, codes, (sentence,) = self.wrong()
        self.assertEqual((state, codes), ("warnings", ["server-silent"]))
        self.assertIn("xmppctl s2s why mantua.lit", sentence)

    def test_component_away(self) -> None:
        """A component that is configured and not connected is named."""
        component = {"name": "echo.verona.lit", "secret": "echo"}
        self.use(House("verona.lit", config=house_config("verona.lit", component=[component])))
        self.assertEqual(self.wrong()[1], ["component-away"])
        self.house.service("echo.verona.lit", "echo")
        self.assertEqual(self.wrong()[1], [])

    def test_not_read(self) -> None:
        """A configuration that was changed on disk and not read is named."""
        self.office.life.changed = [Path("/etc/xmppd/xmppd.toml")]
        state, codes, (sentence,) = self.wrong()
        self.assertEqual((state, codes), ("warnings", ["not-read"]))
        self.assertIn("/etc/xmppd/xmppd.toml changed on disk and is not in effect yet", sentence)

    def test_severe_first(self) -> None:
        """Trouble comes before warnings, and makes the state."""
        self.office.life.changed = [Path("/etc/xmppd/xmppd.toml")]
        self.house.store.watched._reading.failed(StoreError("it is gone"))
        state, codes, _ = self.wrong()
        self.assertEqual((state, codes), ("trouble", ["store-fails", "not-read"]))


class CertificateTests(TroubleCase):
    def tls(self, days: float) -> TLS:
        """A certificate for two names that ends in so many days."""
        folder = Path(self.mktemp())
        folder.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.DNSName("verona.lit"), x509.DNSName("*.verona.lit")
        shown = certificate(key, *names, end=timedelta(days=days))
        (folder / "c.pem").write_bytes(shown.public_bytes(Encoding.PEM) + pem_key(key))
        domain = DomainSettings(name="verona.lit", certificate=str(folder / "c.pem"))
        return TLS(TLSSettings(), [domain])

    def ends(self, days: float, ahead_s: float = 0.0) -> CertificateEnds:
        clocks = Clocks(self.house.clock.seconds, lambda: wall_clock() + ahead_s)
        return CertificateEnds(self.tls(days), ("verona.lit", "padua.lit"), clocks)

    def test_ends(self) -> None:
        """A certificate that ends soon is a warning, one that has ended trouble."""
        server = self.house.server
        server.certificate_ends = self.ends(22)
        self.assertEqual(self.wrong()[1], [])
        server.certificate_ends = self.ends(12.1)
        state, codes, (sentence,) = self.wrong()
        self.assertEqual((state, codes), ("warnings", ["certificate-ends"]))
        self.assertRegex(
            sentence,
            r"^the certificate of verona.lit \(for verona.lit, \*.verona.lit\) expires in 12 days, "
            r"on \d{4}-\d\d-\d\d: renew it",
        )
        server.certificate_ends = self.ends(1, ahead_s=2 * 86_400)
        state, codes, (sentence,) = self.wrong()
        self.assertEqual((state, codes), ("trouble", ["certificate-ended"]))
        self.assertIn("expired on", sentence)

    def test_a_line_a_day(self) -> None:
        """The log has a line a day for it, and none for one that is good."""
        good, bad = self.ends(22), self.ends(12)
        with capturedLogs() as log:
            for _ in range(3):
                good.look()
                bad.look()
                bad.look()
                self.house.clock.advance(TOLD_EACH_S)
        self.assertEqual([event["domain"] for event in log], ["verona.lit"] * 3)
