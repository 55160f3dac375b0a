"""What programs that watch the server are told."""

from types import SimpleNamespace

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_text
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.web.test_well_known import at
from xmppd.host.metrics import Histogram, Label, Metric
from xmppd.store.errors import StoreError
from xmppd.testing.house import House, house_config
from xmppd.testing.web import WebClient

OPEN = {"Accept": "application/openmetrics-text; version=1.0.0"}


class HealthCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(config=house_config("montague.lit"), romeo={})
        self.client = WebClient(self.house, serve=("metrics",), host="10.0.0.7:9100")


class MetricsTests(HealthCase):
    def put(self) -> None:
        """One metric of each kind."""
        sizes = Histogram(1, 10)
        for size in (0.5, 5, 50):
            sizes.observe(size)
        label = Label("result", ("good", "bad"))
        for metric in (
            Metric("tests", "Told \\ apart.", "counter", lambda: {("good",): 3}, labels=(label,)),
            Metric("test_sizes", "Sizes.", "histogram", lambda: sizes, "bytes"),
            Metric("test_age", "Age.", "gauge", lambda: 1.5, "seconds"),
        ):
            self.house.server.metrics.put(metric, "tests")

    def test_both_formats(self) -> None:
        """The numbers are those that were counted, whichever format is asked for (ME-1)."""
        self.put()
        self.house.connect("romeo")
        for read, headers in ((read_text, {}), (read_open, OPEN)):
            answer = self.client.get("/metrics", headers)
            kind = answer.headers["Content-Type"]
            self.assertIn("openmetrics" if headers else "version=0.0.4", kind)
            families = list(read(answer.text))
            for family in families:
                self.assertTrue(family.documentation, family.name)
                self.assertTrue(family.name.startswith("xmppd_"), family.name)
            numbers = {
                (sample.name, tuple(sample.labels.values())): sample.value
                for family in families
                for sample in family.samples
            }
            for name, labels, value in (
                ("xmppd_tests_total", ("good",), 3),
                ("xmppd_test_age_seconds", (), 1.5),
                ("xmppd_test_sizes_bytes_count", (), 3),
                ("xmppd_test_sizes_bytes_sum", (), 55.5),
                ("xmppd_test_sizes_bytes_bucket", ("10.0",), 2),
                ("xmppd_test_sizes_bytes_bucket", ("+Inf",), 3),
                ("xmppd_sessions", ("available",), 1),
                ("xmppd_connections", ("client", "established"), 1),
                ("xmppd_connections", ("http", "busy"), 1),
            ):
                self.assertEqual(numbers[name, labels], value, name)

    def test_answers(self) -> None:
        """Answers are counted by their path and status; all paths that are none are one."""
        self.client.get("/metrics")
        self.client.get("/nothing")
        self.client.get("/more/of/nothing")
        text = self.client.get("/metrics").text
        self.assertIn('xmppd_http_requests_total{route="/metrics",status="200"} 1\n', text)
        self.assertIn('xmppd_http_requests_total{route="-",status="421"} 2\n', text)

    def test_series(self) -> None:
        """There are as many series whatever peers call themselves (ME-3)."""
        WebClient(self.house).get("/odd")
        self.client.get("/metrics")
        before = self.client.get("/metrics").text.count("\n")
        for number in range(50):
            self.house.unauthenticated(f"192.0.2.{number}").open(f"odd{number}.lit")
            WebClient(self.house, f"192.0.2.{number}").get(f"/odd{number}")
        self.assertEqual(self.client.get("/metrics").text.count("\n"), before)

    def test_not_on_the_web(self) -> None:
        """They are where the configuration says so, and nowhere else."""
        for path in ("/metrics", "/healthz", "/readyz"):
            self.assertEqual(WebClient(self.house).get(path).status, 404)


class ReadyTests(HealthCase):
    def ready(self) -> tuple[int, str]:
        """What the node says of itself."""
        answer = self.client.get("/readyz")
        return answer.status, answer.text

    def test_alive(self) -> None:
        """A server that answers is alive (ME-5)."""
        self.assertEqual(self.client.get("/healthz").status, 200)

    def test_ready(self) -> None:
        """One whose listeners are open and whose database answers is ready."""
        self.house.server.http_doors.endpoints = (at("0.0.0.0:5222", kind="client"),)
        self.assertEqual(self.ready(), (200, "This server is ready.\n"))

    def test_closed(self) -> None:
        """A listener that is closed is told."""
        self.house.server.http_doors.endpoints = (at("", kind="client"),)
        self.assertEqual(self.ready(), (503, "Closed listeners: 1.\n"))

    def test_draining(self) -> None:
        """So is a node that hands its clients to others."""
        self.patch(self.house.server.cluster.membership, "node", SimpleNamespace(draining=True))
        self.assertEqual(self.ready(), (503, "This node is draining.\n"))

    def test_database(self) -> None:
        """A database that fails, or is slower than a second, is told."""

        async def fails(account: str) -> bool:
            raise StoreError("gone")

        accounts = self.house.server.store.accounts
        self.patch(accounts, "exists", fails)
        self.assertEqual(self.ready(), (503, "The database does not answer.\n"))
        self.patch(accounts, "exists", lambda account: Deferred())
        self.client.ask("GET", "/readyz")
        self.house.clock.advance(1)
        self.assertEqual(self.client.answer().status, 503)


class LogTests(SynchronousTestCase):
    def test_each_request(self) -> None:
        """Requests are told one by one where the log is as detailed as that (HT-15)."""
        for log, told in (
            ({}, False),
            ({"level": "debug"}, True),
            ({"levels": {"xmppd.web": "debug"}}, True),
            ({"levels": {"xmppd.web.http_channel": "debug"}}, True),
            ({"levels": {"xmppd.webs": "debug"}}, False),
            ({"level": "debug", "levels": {"xmppd.web": "info"}}, False),
        ):
            with self.subTest(log=str(log)), capturedLogs() as captured:
                house = House(config=house_config("montague.lit", log=log))
                WebClient(house).get("/.well-known/host-meta")
                said = [formatEvent(event) for event in captured]
                line = "192.0.2.1 GET /.well-known/host-meta: 200"
                self.assertEqual(line in said, told)
