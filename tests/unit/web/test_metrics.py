"""All metrics of a whole server: the manual and the dashboard know the same ones."""

import json
import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families as read_text
from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import PluginSettings
from xmppd.host.metrics import Metric
from xmppd.testing.house import House, house_config
from xmppd.testing.web import WebClient

ROOT = Path(__file__).parents[3]
LISTEN = [{"endpoint": "epoll:5443", "kind": "http", "tls": "none"}]


def whole() -> House:
    """A house with all that is loaded by default."""
    load = tuple(name for name in PluginSettings().load)
    config = house_config("montague.lit", listen=LISTEN, plugins={"load": load})
    return House(config=config, plugins=load, romeo={}, juliet={"romeo": "both"})


def name_of(metric: Metric) -> str:
    """As the page says it."""
    return f"xmppd_{metric.full_name}{'_total' * (metric.kind == 'counter')}"


def row(metric: Metric) -> str:
    """A row of the manual's table."""
    labels = ", ".join(f"`{label.name}`" for label in metric.labels)
    return f"| `{name_of(metric)}` | {metric.kind} | {labels} | {metric.help} |"


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = whole()
        self.metrics = list(self.house.server.metrics)

    def page(self) -> str:
        """What a program that watches reads."""
        return WebClient(self.house, serve=("metrics",)).get("/metrics").text

    def test_manual(self) -> None:
        """The manual has a row for each metric, and for nothing else."""
        text = (ROOT / "docs" / "metrics.md").read_text()
        rows = re.findall(r"^\| `xmppd_.*$", text, re.MULTILINE)
        certificate = [each for each in rows if "certificate_expires" in each]
        self.assertEqual(len(certificate), 1)  # without TLS there is none here
        self.assertEqual(
            sorted(set(rows) - {*certificate}), sorted(map(row, self.metrics)), "docs/metrics.md"
        )

    def test_dashboard(self) -> None:
        """The dashboard asks for nothing that is not there."""
        text = (ROOT / "etc" / "grafana.json").read_text()
        expressions = [
            target["expr"]
            for panel in json.loads(text)["panels"]
            for target in panel.get("targets", ())
        ]
        there = {name_of(metric): metric for metric in self.metrics}
        there["xmppd_certificate_expires_seconds"] = there["xmppd_build_info"]
        for metric in self.metrics:
            if metric.kind == "histogram":
                for suffix in ("bucket", "sum", "count"):
                    there[f"xmppd_{metric.full_name}_{suffix}"] = metric
        for expression in expressions:
            for name in re.findall(r"xmppd_\w+", expression):
                self.assertIn(name, there, expression)
            for found in re.findall(r"by \(([\w, ]+)\)", expression):
                name = re.findall(r"xmppd_\w+", expression)[0]
                labels = {label.name for label in there[name].labels} | {"le", "instance", "domain"}
                self.assertLessEqual(set(found.split(", ")), labels, expression)
        self.assertGreater(len(expressions), 20)

    def test_help(self) -> None:
        """Each says what it is, in a sentence, and which unit it has (ME-4)."""
        for metric in self.metrics:
            self.assertRegex(metric.help, r"^\S.*\.$|; always 1\.$", metric.name)
            if metric.kind == "histogram":
                self.assertTrue(metric.unit, metric.name)

    def test_counted(self) -> None:
        """What people do is counted: their logins, stanzas, presences and errors."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        romeo.send("<message to='juliet@montague.lit' type='chat'><body>hi</body></message>")
        juliet.received()
        romeo.send("<message to='nobody@montague.lit' type='chat'><body>hi</body></message>")
        romeo.send("<iq type='get' id='1' to='montague.lit'><query xmlns='odd'/></iq>")
        self.house.unauthenticated().open("nowhere.lit")
        found = {
            (sample.name.removeprefix("xmppd_"), *sample.labels.values()): sample.value
            for family in read_text(self.page())
            for sample in family.samples
        }
        self.assertEqual(found["stanzas_total", "client", "message", "in"], 2)
        self.assertEqual(found["stanzas_total", "client", "message", "out"], 2)  # one, and an error
        self.assertEqual(found["presence_broadcasts_total",], 2)
        self.assertGreaterEqual(found["presence_copies_total",], 1)
        self.assertEqual(found["stanza_errors_total", "service-unavailable"], 2)
        self.assertEqual(found["stream_errors_total", "host-unknown"], 1)
        self.assertEqual(found["accounts", "montague.lit"], 2)
        self.assertEqual(found["offline_messages",], 0)
        self.assertEqual(found["plugin_loaded", "http_upload"], 1)
        self.assertEqual(found["sessions", "available"], 2)
        juliet.stanza_handler.session.wire_is_full()
        romeo.send("<message to='juliet@montague.lit' type='chat'><body>wait</body></message>")
        page = self.page()
        self.assertIn("xmppd_slow_readers 1\n", page)
        self.assertIn("xmppd_backlog_stanzas 1\n", page)
        self.assertGreater(found["traffic_bytes_total", "client", "in"], 0)
        self.assertGreater(found["traffic_bytes_total", "client", "out"], 0)
        self.assertGreater(found["process_resident_memory_bytes",], 1_000_000)


__all__ = ["row", "whole"]
