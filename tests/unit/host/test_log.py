"""What a line of the log says, and which lines there are."""

import json
import os
import shlex
import sys
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.logger import LogEvent, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from xmppd.config import config
from xmppd.host.log import Log
from xmppd.host.log_lines import json_line, logfmt_line
from xmppd.host.log_lines import text_line as one_line


class LineCase(SynchronousTestCase):
    def event(self, text: str, **more: object) -> LogEvent:
        return {
            "log_format": text,
            "log_time": 0.0,
            "log_level": LogLevel.info,
            "log_namespace": "xmppd.net",
            **more,
        }


class LineTests(LineCase):
    def test_one_line(self) -> None:
        """Whatever somebody managed to have logged, it is one line."""
        line = one_line(self.event("one\n{two}", two="2\n3")) or ""
        self.assertEqual(line.count("\n"), 1)
        self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\S+ info +xmppd\.net: one 2 3\n$")

    def test_no_line_of_a_peer(self) -> None:
        """Nobody writes a line of the log, by any character that ends one, nor beside a bug."""
        for end in ("\n", "\r", "\x85", "\u2028"):
            for more in ({}, {"log_failure": Failure(ValueError("why"))}):
                line = one_line(self.event("{id} failed", id=f"1{end}2026 info: well", **more))
                self.assertIn(": 1 2026 info: well failed\n", line or "")

    def test_no_controls(self) -> None:
        """What a peer wrote moves no cursor of whoever reads the log, also where it failed."""
        text = "\x1b[2J\x9b31m\u202e"
        for event in (
            self.event("{it}", it=text),
            self.event("it failed", log_failure=Failure(ValueError(text))),
        ):
            line = one_line(event) or ""
            self.assertIn("\\x1b[2J\\x9b31m\\u202e", line)
            self.assertTrue(line.replace("\n", "").isprintable())

    def test_failure(self) -> None:
        """A bug of ours shows where it is."""
        line = one_line(self.event("it failed", log_failure=Failure(ValueError("why")))) or ""
        self.assertIn("ValueError: why", line)

    def test_nothing(self) -> None:
        """An event without words is no line."""
        self.assertIsNone(one_line(self.event("")))


class LogFileTests(SynchronousTestCase):
    """The log in a file, which names people's addresses."""

    def setUp(self) -> None:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "twistd.log"

    def written(self) -> str:
        """What the file holds when something was logged."""
        observer = Log().to_file(str(self.path), (os.getuid(), os.getgid()))
        Logger("xmppd", observer=observer).error("something")
        return self.path.read_text()

    def test_private(self) -> None:
        """Its owner may write it, its group may read it; also if it was there and open to all."""
        self.assertIn("something", self.written())
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)
        self.path.chmod(0o666)
        self.written()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)

    def test_link(self) -> None:
        """Root does not give away what somebody has put a link to."""
        victim = self.path.parent / "victim"
        victim.write_text("mine")
        self.path.symlink_to(victim)
        self.assertRaises(OSError, self.written)
        self.assertEqual(victim.read_text(), "mine")

    def test_device(self) -> None:
        """What is no file stays as it is."""
        mode = Path(os.devnull).stat().st_mode
        Log().to_file(os.devnull, (os.getuid(), os.getgid()))
        self.assertEqual(Path(os.devnull).stat().st_mode, mode)


class LevelTests(SynchronousTestCase):
    def test_levels(self) -> None:
        """The level holds for all, other levels for parts; both may change at any time."""
        stream = StringIO()
        self.patch(sys, "stdout", stream)
        log = Log()
        observer = log.to_stdout()
        router = Logger("xmppd.router", observer=observer)
        net = Logger("xmppd.net", observer=observer)
        log.use(config.LogSettings(level="warn", levels={"xmppd.router": "debug"}))
        net.info("quiet")
        router.debug("loud")
        log.use(config.LogSettings(level="info"))
        net.info("heard")
        router.debug("unheard")
        self.assertEqual(
            [line.rsplit(" ")[-1] for line in stream.getvalue().splitlines()], ["loud", "heard"]
        )


class ProgramTests(LineCase):
    """Lines for programs (ME-6)."""

    def test_json(self) -> None:
        """A line is an object: what has happened by its name, with all that belongs to it."""
        event = self.event(
            "{id} {jid} was resumed", id="a1", jid="romeo@montague.lit/1", late_s=0.5
        )
        line = json_line(event) or ""
        self.assertEqual(line.count("\n"), 1)
        said = json.loads(line)
        self.assertRegex(said.pop("time"), r"^\d{4}-\d\d-\d\dT")
        self.assertEqual(
            said,
            {
                "level": "info",
                "logger": "xmppd.net",
                "event": "was_resumed",
                "message": "a1 romeo@montague.lit/1 was resumed",
                "id": "a1",
                "jid": "romeo@montague.lit/1",
                "late_s": 0.5,
            },
        )

    def test_logfmt(self) -> None:
        """The same as pairs; what is no plain word is in quotes, and a peer adds no pair."""
        line = logfmt_line(self.event("{id} failed", id='x" level=critical\n', count=3)) or ""
        self.assertEqual(line.count("\n"), 1)
        pairs = shlex.split(line)
        self.assertEqual([pair for pair in pairs if pair.startswith("level=")], ["level=info"])
        self.assertIn("event=failed", pairs)
        self.assertIn("count=3", pairs)

    def test_bug(self) -> None:
        """A bug of ours shows where it is, in the same line."""
        event = self.event("it failed", log_failure=Failure(ValueError("why")))
        for line in (json_line(event) or "", logfmt_line(event) or ""):
            self.assertEqual(line.count("\n"), 1)
            self.assertIn("ValueError: why", line)

    def test_long(self) -> None:
        """What a peer wrote is cut, however long it is."""
        said = json.loads(json_line(self.event("{said}!", said="x" * 100_000)) or "")
        self.assertEqual((len(said["said"]), len(said["message"])), (2_000, 502))
        line = one_line(self.event("{who} is refused: {why}", who="x" * 3_000, why="\x1b[2J")) or ""
        self.assertIn(f"{'x' * 500}… is refused: \\x1b[2J", line)

    def test_nothing(self) -> None:
        """An event without words is no line."""
        self.assertIsNone(json_line(self.event("")))
        self.assertIsNone(logfmt_line(self.event("")))

    def test_chosen(self) -> None:
        """The configuration says which form, also while the log is in use; lines name the node."""
        out = StringIO()
        self.patch(sys, "stdout", out)
        log = Log()
        observe = log.to_stdout()
        for form in ("json", "text", "logfmt"):
            log.use(config.LogSettings(format=form), "a")
            observe(self.event("{node} is in", node="b"))
        first, second, third = out.getvalue().splitlines()
        fields = json.loads(first)
        self.assertEqual((fields["this_node"], fields["node"]), ("a", "b"))
        self.assertTrue(second.endswith("xmppd.net: b is in"))
        self.assertIn(" this_node=a", third)
