"""SQLiteFile: the file of a database, locked, and still the one that was opened."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from xmppd.store.errors import StoreError

_SUFFIXES = ("", "-wal", "-shm")

Identity = tuple[int, int]
"""Device and number of a file, which change when another takes its place."""


class SQLiteFile:
    """Keeps other servers out of a file, and notices when it is not there any more.

    SQLite itself does not notice that its file was deleted or replaced: it goes on with the old
    one, which is gone when it is closed.

    Args:
        path: The file; it is there.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._paths = tuple(Path(path + suffix) for suffix in _SUFFIXES)  # asked at each commit
        self._opened: dict[Path, Identity] = {}
        self._descriptor = -1

    def lock(self) -> bool:
        """Keep other servers out, whatever their data directory is (ST-4); False if one is in.

        This lock (flock) has nothing to do with those that SQLite itself takes, so that backups
        can be made. The kernel lifts it when the process ends.

        Raises:
            StoreError: The file cannot be opened.
        """
        try:
            # SQLite loses its locks when any descriptor of the file is closed: so this one is
            # opened before SQLite comes, and closed when it has left.
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise StoreError(
                f"The database {self.path} cannot be opened: {error.strerror}."
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            pass  # a file system that knows no such locks: the data directory's must do
        self._descriptor = descriptor
        return True

    def remember(self) -> None:
        """Remember the file, and those that SQLite keeps beside it."""
        self._opened = dict(self._present())

    def trouble(self) -> str | None:
        """The trouble with the file, in one sentence for an administrator (ST-5); None without
        any.
        """
        present = dict(self._present())
        for path, opened in self._opened.items():
            if path not in present:
                return f"The database's file {path} was deleted while the server was running."
            if present[path] != opened:
                return f"The database's file {path} was replaced while the server was running."
        return None

    def release(self) -> None:
        """Unlock the file, once SQLite has closed it."""
        self._opened = {}
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _present(self) -> Iterator[tuple[Path, Identity]]:
        for path in self._paths:
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            except OSError:
                if path in self._opened:  # it cannot be told
                    yield path, self._opened[path]
                continue
            yield path, (found.st_dev, found.st_ino)


__all__ = ["SQLiteFile"]
