"""A failure that repeats is told once with its traceback, and then counted."""

from io import StringIO

from twisted.logger import LogEvent, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.failures import COUNTED_EACH_S, FORGOTTEN_S, MAX_FAILURES, Failures
from xmppd.host.log_lines import json_line, text_line


def bug(words: str) -> Failure:
    """What a bug raises."""
    try:
        raise ValueError(words)
    except ValueError:
        return Failure()


def event(text: str = "{owner} failed", **more: object) -> LogEvent:
    """What is logged."""
    return {
        "log_format": text,
        "log_time": 0.0,
        "log_level": LogLevel.critical,
        "log_namespace": "xmppd.events",
        **more,
    }


class FailureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 1_000.0
        self.failures = Failures(lambda: self.now)
        self.log = StringIO()

    def tell(self, said: LogEvent) -> None:
        for each in self.failures.told(said):
            self.log.write(text_line(each) or "")

    def happens(self, owner: str = "greeter") -> None:
        self.tell(event(owner=owner, log_failure=bug("no such guest")))

    def test_one_traceback(self) -> None:
        """A thousand times the same is one traceback, and a line with the number a minute later,
        with whatever is logged next.
        """
        for _ in range(1_000):
            self.happens()
        self.assertEqual(self.log.getvalue().count("Traceback"), 1)
        self.assertEqual(self.log.getvalue().count("greeter failed"), 1)
        self.now += COUNTED_EACH_S
        self.tell(event("something else"))
        lines = self.log.getvalue().splitlines()[-2:]
        self.assertIn("greeter failed (999 times more, as before)", lines[0])
        self.assertIn("something else", lines[1])

    def test_told_apart(self) -> None:
        """Those of two plugins are two."""
        self.happens("greeter")
        self.happens("guestbook")
        self.assertEqual(self.log.getvalue().count("Traceback"), 2)
        self.assertEqual([each.owner for each in self.failures.recent()], ["greeter", "guestbook"])
        self.assertEqual(self.failures.recent()[0].error, "ValueError: no such guest")

    def test_again_after_an_hour(self) -> None:
        """One that has not been there for an hour is told in full again."""
        self.happens()
        self.now += FORGOTTEN_S
        self.assertEqual(self.failures.recent(), ())
        self.happens()
        self.assertEqual(self.log.getvalue().count("Traceback"), 2)

    def test_bounded(self) -> None:
        """However many there are, only so many are remembered."""
        for number in range(MAX_FAILURES + 5):
            self.happens(f"plugin{number}")
        self.assertEqual(len(self.failures.recent()), MAX_FAILURES)

    def test_for_programs(self) -> None:
        """A line with a count has the name of the first, and the number as a field."""
        self.happens()
        self.happens()
        self.now += COUNTED_EACH_S
        (count, _) = self.failures.told(event("something else"))
        line = json_line(count) or ""
        self.assertIn('"event": "failed"', line)
        self.assertIn('"repeated": 1', line)
        self.assertNotIn("Traceback", line)
