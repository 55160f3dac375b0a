"""The log: one line for each event, with time and level, as much as is configured."""

import os
import sys
from pathlib import Path
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

from xmppd.config import config

MAX_FILE_BYTES = 10_000_000
MAX_ROTATED_FILES = 10
FILE_MODE = 0o640
"""Of the log, which names addresses: its owner may write it, its group may read it."""


class Log:
    """The level of the log, and its observer; levels may change while it is in use."""

    def __init__(self) -> None:
        self._directory: Path | None = None
        self._wanted = LogLevelFilterPredicate()

    def use(self, settings: config.LogSettings) -> None:
        """Take other levels."""
        wanted = LogLevelFilterPredicate(LogLevel.lookupByName(settings.level))
        # Twisted's older parts say each socket of each question to DNS.
        wanted.setLogLevelForNamespace("log_legacy", LogLevel.warn)
        for namespace, level in settings.levels.items():
            wanted.setLogLevelForNamespace(namespace, LogLevel.lookupByName(level))
        self._wanted = wanted

    def to_file(self, path: str, owner: tuple[int, int] | None = None) -> ILogObserver:
        """An observer that writes to a file, and starts a new one when it is large.

        Args:
            path: The file; if it has to be made, only its owner and group may read it.
            owner: User and group that it is given to, which will write it, and start new ones.

        Raises:
            OSError: It cannot be written, is a symbolic link to a file, or cannot be given away.
        """
        device = _is_device(Path(path))
        if not device:
            _hand_over(Path(path), owner)
        self._directory = Path(path).absolute().parent
        file = LogFile.fromFullPath(
            path,
            rotateLength=0 if device else MAX_FILE_BYTES,
            maxRotatedFiles=MAX_ROTATED_FILES,
            defaultMode=None if device else FILE_MODE,
        )
        return self._filtered(cast(TextIO, file))

    @property
    def rotates(self) -> bool:
        """Whether a new file can be started when the log's is large; true if it is no file."""
        return self._directory is None or os.access(self._directory, os.W_OK | os.X_OK)

    def to_stdout(self) -> ILogObserver:
        """An observer for a terminal."""
        return self._filtered(sys.stdout)

    def _filtered(self, file: TextIO) -> ILogObserver:
        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            if self._wanted(event) is not PredicateResult.no:
                write(event)

        write = FileLogObserver(file, one_line)
        return cast(ILogObserver, observe)


def _is_device(path: Path) -> bool:
    """Whether something other than a file has this name, such as ``/dev/stdout``."""
    return path.exists() and not path.is_file()


def _hand_over(path: Path, owner: tuple[int, int] | None) -> None:
    """Make the file if there is none, private to its owner; root follows no link for that."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, FILE_MODE)
    try:
        os.fchmod(descriptor, FILE_MODE)
        if owner is not None:
            os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)


def one_line(event: LogEvent) -> str | None:
    """``2026-10-31T12:00:00+0100 info  xmppd.service: …``; only a failure takes more lines."""
    text = " ".join(formatEvent(event).splitlines())  # a peer's text does not begin a line
    if not text:
        return None
    text = printable(text)
    if "log_failure" in event:
        lines = event["log_failure"].getTraceback().rstrip().splitlines()
        text = "\n".join((text, *map(printable, lines)))
    time, level = formatTime(event["log_time"]), event["log_level"].name
    return f"{time} {level:<8} {event['log_namespace']}: {text}\n"


def printable(text: str) -> str:
    """A text in which characters that could move a terminal's cursor or hide text are spelled out.

    Line feeds are spelled out as well.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


__all__ = ["Log", "one_line", "printable"]
