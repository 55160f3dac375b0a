"""RecentLog: the last warnings and errors of the log, for whoever has no other way to see it."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from twisted.logger import LogEvent, LogLevel

from xmppd.host.log_lines import sentence

MAX_RECENT = 1_000
"""Lines that are kept, each of :data:`~xmppd.host.log_lines.MAX_VALUE_LENGTH` at most."""

LEVELS = ("warn", "error", "critical")
_KEPT = frozenset((LogLevel.warn, LogLevel.error, LogLevel.critical))


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the log.

    Attributes:
        at: In seconds since 1970.
        level: One of :data:`LEVELS`.
        logger: Who has said it.
        text: What happened; a failure without its traceback.
    """

    at: float
    level: str
    logger: str
    text: str


class RecentLog:
    """The last lines that are at least warnings; others are not looked at further."""

    def __init__(self) -> None:
        self._lines: deque[LogLine] = deque(maxlen=MAX_RECENT)

    def note(self, event: LogEvent) -> None:
        """Keep a line that was logged."""
        level = event["log_level"]
        if level in _KEPT:
            text = sentence(event)
            self._lines.append(LogLine(event["log_time"], level.name, event["log_namespace"], text))

    def newest(self, least: str = "warn") -> Iterator[LogLine]:
        """Those that are at least so bad, the newest first."""
        wanted = LEVELS[LEVELS.index(least) :]
        return (line for line in reversed(tuple(self._lines)) if line.level in wanted)


__all__ = ["LEVELS", "MAX_RECENT", "LogLine", "RecentLog"]
