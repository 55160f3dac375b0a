"""The log: one line for each event, with time and level, as much as is configured."""

import sys
from typing import TextIO, cast

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    formatEvent,
    formatTime,
)
from twisted.python.logfile import LogFile
from zope.interface import provider

from xmppd import config

MAX_FILE_BYTES = 10_000_000
MAX_ROTATED_FILES = 10


class Log:
    """How much is told, and how it is written; levels may change while it is in use."""

    def __init__(self) -> None:
        self._wanted = LogLevelFilterPredicate()

    def use(self, settings: config.Log) -> None:
        """Tell as much as these settings say, from now on."""
        wanted = LogLevelFilterPredicate(LogLevel.lookupByName(settings.level))
        # Twisted's older parts say each socket of each question to DNS.
        wanted.setLogLevelForNamespace("log_legacy", LogLevel.warn)
        for namespace, level in settings.levels.items():
            wanted.setLogLevelForNamespace(namespace, LogLevel.lookupByName(level))
        self._wanted = wanted

    def to_file(self, path: str) -> ILogObserver:
        """An observer that writes to a file, and starts a new one when it is large."""
        file = LogFile.fromFullPath(
            path, rotateLength=MAX_FILE_BYTES, maxRotatedFiles=MAX_ROTATED_FILES
        )
        return self._filtered(cast(TextIO, file))

    def to_stdout(self) -> ILogObserver:
        """An observer for somebody who looks on."""
        return self._filtered(sys.stdout)

    def _filtered(self, file: TextIO) -> ILogObserver:
        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            if self._wanted(event) is not PredicateResult.no:
                write(event)

        write = FileLogObserver(file, one_line)
        return cast(ILogObserver, observe)


def one_line(event: LogEvent) -> str | None:
    """``2026-10-31T12:00:00+0100 info  xmppd.service: …``; only a failure takes more lines."""
    text = " ".join(formatEvent(event).splitlines())  # what a peer wrote does not begin a line
    if not text:
        return None
    text = printable(text)
    if "log_failure" in event:
        lines = event["log_failure"].getTraceback().rstrip().splitlines()
        text = "\n".join((text, *map(printable, lines)))
    time, level = formatTime(event["log_time"]), event["log_level"].name
    return f"{time} {level:<8} {event['log_namespace']}: {text}\n"


def printable(text: str) -> str:
    """A text with everything spelled out that could move a terminal's cursor or hide what is said.

    Line feeds are spelled out as well.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


__all__ = ["Log", "one_line", "printable"]
