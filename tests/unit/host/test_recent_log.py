"""The last warnings and errors of the log."""

from typing import cast

from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.recent_log import LEVELS, MAX_RECENT, RecentLog


class RecentTests(SynchronousTestCase):
    """RecentLog."""

    def setUp(self) -> None:
        self.recent = RecentLog()
        self.voice = Logger("somebody", observer=cast(ILogObserver, self.recent.note))

    def says(self, least: str = "warn") -> list[tuple[str, str]]:
        """What is kept."""
        return [(line.level, line.text) for line in self.recent.newest(least)]

    def test_newest_first(self) -> None:
        """Warnings and worse are kept, the newest first; what is less is not."""
        for level in LogLevel.iterconstants():
            self.voice.emit(level, "it is {name}", name=level.name)
        self.assertEqual(
            self.says(),
            [("critical", "it is critical"), ("error", "it is error"), ("warn", "it is warn")],
        )
        self.assertEqual([level for level, _ in self.says("error")], ["critical", "error"])
        self.assertEqual([level for level, _ in self.says(LEVELS[-1])], ["critical"])

    def test_one_line(self) -> None:
        """A line is one, without what would move a terminal, and short; a failure is its sentence,
        and keeps nothing alive.
        """
        self.voice.warn("{nick} came", nick="a\nb\x1b[31m")
        self.voice.warn("{text}", text="x" * 10_000)
        self.voice.failure("it failed", Failure(ValueError("deep down")))
        failed, long, nick = (text for _, text in self.says())
        self.assertEqual(failed, "it failed")
        self.assertLess(len(long), 3_000)
        self.assertNotIn("\n", nick)
        self.assertNotIn("\x1b", nick)

    def test_bounded(self) -> None:
        """So many are kept; the oldest makes room."""
        for number in range(MAX_RECENT + 1):
            self.voice.warn("{number}", number=number)
        kept = self.says()
        self.assertEqual((len(kept), kept[0][1], kept[-1][1]), (MAX_RECENT, str(MAX_RECENT), "1"))


__all__ = ["RecentTests"]
