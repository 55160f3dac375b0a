"""Folder: uploaded files on the disk. Its functions are slow, and run in threads."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

PARTS = "parts"
"""The directory of what is not complete."""


class Folder:
    """The files, by their ids; names that people gave them are no paths (HU-8).

    Args:
        path: The directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self) -> None:
        """Make the directory, if there is none.

        Raises:
            OSError: It cannot be made, or nothing can be written there.
        """
        parts = self.path / PARTS
        parts.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = parts / f"probe-{token_hex(8)}"
        probe.touch(mode=0o600)
        probe.unlink()

    def file(self, id: bytes) -> Path:
        """Where a file is, or would be."""
        name = id.hex()
        return self.path / name[:2] / name[2:]

    def free_bytes(self) -> int:
        """What the disk has left."""
        return shutil.disk_usage(self.path).free

    def begin(self, id: bytes) -> "Part":
        """Begin to write a file beside the others.

        Raises:
            OSError: That is not possible.
        """
        path = self.path / PARTS / f"{id.hex()}-{token_hex(8)}"
        return Part(path, self.file(id), path.open("xb"))

    def remove(self, id: bytes) -> None:
        """Remove a file, whole or not.

        Raises:
            OSError: It is there, and cannot be removed.
        """
        self.file(id).unlink(missing_ok=True)
        for part in (self.path / PARTS).glob(f"{id.hex()}-*"):
            part.unlink(missing_ok=True)


class Part:
    """A file that is being written.

    Args:
        path: Where it is now.
        target: Where it goes when it is complete.
        file: Open for writing.
    """

    def __init__(self, path: Path, target: Path, file: BinaryIO) -> None:
        self.path = path
        self.target = target
        self.file = file

    def write(self, data: bytes) -> None:
        """Write some more."""
        self.file.write(data)

    def finish(self) -> None:
        """Have it be in its place, on the disk.

        Raises:
            FileExistsError: There is one already.
            OSError: The disk is full, or fails.
        """
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        self.target.parent.mkdir(mode=0o700, exist_ok=True)
        self.target.hardlink_to(self.path)
        self.path.unlink()
        for directory in (self.target.parent, self.target.parent.parent):
            _sync(directory)

    def drop(self) -> None:
        """Leave nothing of it."""
        with suppress(OSError):
            self.file.close()
        self.path.unlink(missing_ok=True)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["PARTS", "Folder", "Part"]
