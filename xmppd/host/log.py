"""The log: one line for each event, in the form and as much as is configured."""

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
)
from twisted.python.logfile import LogFile
from zope.interface import provider

from xmppd.config import config
from xmppd.host.failures import Failures
from xmppd.host.log_lines import LINES
from xmppd.host.recent_log import RecentLog

MAX_FILE_BYTES = 10_000_000
MAX_ROTATED_FILES = 10
FILE_MODE = 0o640
"""Of the log, which names addresses: its owner may write it, its group may read it."""


class Log:
    """The level and form of the log, and its observer; both may change while it is in use.

    Attributes:
        failures: Those of the program itself.
        recent: The last warnings and errors.
    """

    def __init__(self) -> None:
        self.failures = Failures()
        self.recent = RecentLog()
        self._directory: Path | None = None
        self._wanted = LogLevelFilterPredicate()
        self._line = LINES["text"]
        self._node = ""

    def use(self, settings: config.LogSettings, node: str = "") -> None:
        """Take other levels, and another form of the lines.

        Args:
            settings: Say which.
            node: The name of this node, which lines for programs have; empty for none.
        """
        self._line, self._node = LINES[settings.format], node
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
                for each in self.failures.told(event):
                    self.recent.note(each)
                    write(each)

        def line(event: LogEvent) -> str | None:
            return self._line({**event, "this_node": self._node} if self._node else event)

        write = FileLogObserver(file, line)
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


__all__ = ["Log"]
