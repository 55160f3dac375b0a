"""Parent: the process whose server this is, and with which it ends."""

import os
import select
import signal
from pathlib import Path
from shutil import rmtree

from twisted.logger import Logger

from xmppd.plugin.plugin_error import PluginError

LOOK_EVERY_S = 0.25

_log = Logger()


class Parent:
    """Ends this server, and removes its files, when a process is gone, however that has ended.

    Args:
        pid: Of the process.
        directory: What is removed; empty for nothing.

    Raises:
        PluginError: There is no such process.
    """

    def __init__(self, pid: int, directory: str) -> None:
        try:
            self._process = os.pidfd_open(pid)
        except OSError as error:
            raise PluginError(
                f"plugin faults: cannot watch the parent process {pid} ({error.strerror})"
            ) from error
        self._directory = directory
        self._poll = select.poll()
        self._poll.register(self._process, select.POLLIN)

    def look(self) -> None:
        """End, as by a power failure, if the process is gone."""
        if not self._poll.poll(0):
            return
        _log.info("the parent process has ended")
        if self._directory:
            rmtree(Path(self._directory), ignore_errors=True)
        os.kill(os.getpid(), signal.SIGKILL)

    def close(self) -> None:
        """Watch it no more."""
        os.close(self._process)
