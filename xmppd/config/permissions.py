"""Permissions: files of ours that other users of this machine may write, or read."""

import os
import stat
from pathlib import Path

PRIVATE = 0o077
"""The umask under which we make files: for our own user alone."""


class Writable(Exception):
    """Other users may write what the server relies on; the text is a sentence with the remedy."""


def check_unwritable(path: Path) -> None:
    """Refuse a file or directory that other users may write.

    A user that may write it could have the server do anything.

    Raises:
        Writable: All users may, or it belongs to another than root and this process's user.
        OSError: It cannot be looked at.
    """
    found = path.stat()
    if found.st_mode & stat.S_IWOTH:
        raise Writable(f"others may write {path}; run: chmod o-w {path}")
    if os.geteuid() not in (0, found.st_uid) and found.st_uid != 0:
        raise Writable(f"{path} belongs to another user; run: chown {os.geteuid()} {path}")


def readable_by_others(path: Path) -> bool:
    """Whether all users may read the file; False if there is none."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


__all__ = ["PRIVATE", "Writable", "check_unwritable", "readable_by_others"]
