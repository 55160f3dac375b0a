"""A terminal: what programs print there, and who answers when they ask for a password."""

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
from collections.abc import Sequence

QUIET_S = 120.0
_ASKS = re.compile(rb"(password|again)[^\n]*: ?$", re.IGNORECASE)


class Failed(Exception):
    """A program has ended with an error, or was silent for too long; with what it printed."""


def run(command: Sequence[str], password: str) -> str:
    """Run a program on a terminal of its own, and show what it prints.

    Args:
        command: The program.
        password: What is answered whenever it asks for one.

    Returns:
        What it has printed.

    Raises:
        Failed: It has.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  # no threads
    )
    os.close(theirs)
    printed, answered = b"", 0
    while select.select([ours], [], [], QUIET_S)[0]:
        try:
            data = os.read(ours, 65_536)
        except OSError:  # so a terminal ends on Linux
            break
        printed += data
        sys.stdout.write(data.decode(errors="replace"))
        sys.stdout.flush()
        if _ASKS.search(printed, answered):
            answered = len(printed)
            os.write(ours, f"{password}\n".encode())
    else:
        process.kill()
    os.close(ours)
    if process.wait():
        raise Failed(f"{command[-1]}\n{printed.decode(errors='replace')}")
    return printed.decode(errors="replace").replace("\r\n", "\n")


__all__ = ["Failed", "run"]
