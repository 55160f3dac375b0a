"""The report, and the care with which servers are stopped."""

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.compare import Results, Scenario, cpu_table, failures, latency_table, memory_table
from bench.meter import Meter, Reading, Result, measured, percentiles
from bench.ours import Xmppd
from bench.peers import Prosody
from bench.server import identity
from xmppd.config.config_file import load


class MeterTests(SynchronousTestCase):
    """Readings become figures."""

    def test_measured(self) -> None:
        """CPU is per operation; what neither server nor tool did is other load."""
        result = measured(Reading(10, 1, 5, 100), Reading(12, 2, 5.5, 102.5), 1_000)
        self.assertEqual(result["cpu_us_per_op"], 1_000)
        self.assertEqual(result["client_cpu_us_per_op"], 500)
        self.assertEqual(result["ops_per_s"], 500)
        self.assertEqual(result["other_load"], 0.5)

    def test_percentiles(self) -> None:
        """Latencies in seconds become percentiles in milliseconds."""
        latencies_s = [number / 1_000 for number in range(100)]
        self.assertEqual(percentiles(latencies_s), {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99})

    def test_own_process(self) -> None:
        """The clocks of a process that works go on, and it has memory."""
        meter = Meter([os.getpid()])
        before = meter.server_cpu_s()
        sum(range(100_000))
        self.assertGreater(meter.server_cpu_s(), before)
        self.assertGreater(meter.rss_kb(), 1_000)


class ReportTests(SynchronousTestCase):
    """The tables."""

    scenarios = [Scenario("chat-w1", "chat", "message", 16, 2.4)]
    names = ["xmppd", "prosody", "ejabberd"]

    def results(self) -> Results:
        """Three servers, of which ejabberd failed."""
        ours: list[Result] = [{"cpu_us_per_op": cost, "kb_per_session": 8} for cost in (9, 10, 12)]
        prosody: list[Result] = [
            {"cpu_us_per_op": cost, "p50_ms": 1, "p95_ms": 2, "p99_ms": 3} for cost in (31, 30)
        ]
        return {"chat-w1": {"xmppd": ours, "prosody": prosody, "ejabberd": [{"error": "timeout"}]}}

    def test_cpu(self) -> None:
        """The ratio is that of our median to the best median among the peers."""
        self.assertEqual(
            cpu_table(self.scenarios, self.results(), self.names).splitlines()[-1],
            "| chat-w1 | message | 9 / **10** / 12 | 30 / **30.5** / 31 | – | 3× | 16 µs, 2.4× |",
        )

    def test_others(self) -> None:
        """The floor and another revision are no peers: they have columns of their own."""
        results = self.results()
        results["chat-w1"]["floor"] = [{"cpu_us_per_op": cost} for cost in (3, 4, 5)]
        self.assertEqual(
            cpu_table(self.scenarios, results, ["xmppd", "prosody", "floor"]).splitlines()[-1],
            "| chat-w1 | message | 9 / **10** / 12 | 30 / **30.5** / 31 | 3 / **4** / 5 "
            "| 3.00 / 2.50 | 3× | 16 µs, 2.4× |",
        )

    def test_missing_figures(self) -> None:
        """What a server did not show is a dash, not a nought."""
        latency = latency_table(self.scenarios, self.results(), self.names)
        self.assertIn("| – / – / – | 1 / 2 / 3 | – / – / – | – |", latency)
        logins = [Scenario("login-plain", "login", "login")]
        memory = memory_table(logins, {"login-plain": self.results()["chat-w1"]}, self.names)
        self.assertIn("| login-plain | 8 | – | – | – | 8 KB, 4× |", memory)

    def test_failures(self) -> None:
        """A failure is told in the tool's words."""
        self.assertEqual(failures(self.results()), "- chat-w1, ejabberd: timeout")


class ServerTests(SynchronousTestCase):
    """Servers under measurement."""

    def test_only_the_recorded_process_is_ended(self) -> None:
        """A process that got the pid of a server long gone is left alone; the server is not."""
        sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.addCleanup(sleeper.communicate)
        self.addCleanup(sleeper.kill)
        server = Prosody(Path(self.mktemp()))
        server.directory.mkdir(parents=True)
        server.pid_file.write_text(f"{sleeper.pid} 1")
        server.stop()
        self.assertTrue(identity(sleeper.pid))
        server.pid_file.write_text(identity(sleeper.pid))
        server.stop()
        self.assertEqual(identity(sleeper.pid), "")

    def test_our_configuration_is_valid(self) -> None:
        """The configuration xmppd is measured with is one that it accepts."""
        server = Xmppd(Path(self.mktemp()))
        server.directory.mkdir(parents=True)
        server.configure()
        config = load(server.directory / "xmppd.toml")
        self.assertEqual(config.listen[0].endpoint, f"epoll:{server.port}:interface=127.0.0.1")
