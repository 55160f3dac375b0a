"""FileStamps: whether files have changed since they were read."""

from collections.abc import Iterable
from pathlib import Path

Stamp = tuple[int, int, int]


class FileStamps:
    """The stamps of files that were read."""

    def __init__(self) -> None:
        self._stamps: dict[Path, Stamp | None] = {}

    def note(self, paths: Iterable[Path]) -> None:
        """Note the stamps of these files, which are about to be read."""
        self._stamps.update((path, _stamp(path)) for path in paths)

    def changed(self) -> list[Path]:
        """The files that have changed since, or are gone."""
        return [path for path, stamp in self._stamps.items() if _stamp(path) != stamp]


def _stamp(path: Path) -> Stamp | None:
    """When a file was written, and which one it is; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


__all__ = ["FileStamps"]
