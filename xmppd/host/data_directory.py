"""The data directory: one server at a time, this installation's secret, and what a node is."""

import errno
import fcntl
import os
import secrets
from pathlib import Path

from xmppd.config.permissions import Writable, check_unwritable
from xmppd.stanza.phrases import counted

SECRET_BYTES = 32
INSTANCE_BYTES = 16


class DataDirectoryError(Exception):
    """The directory cannot be used; the text is one sentence that names it."""


class InUse(DataDirectoryError):
    """The directory is in use by a server, or by xmppctl."""


class DataDirectory:
    """The directory of a server's files.

    Attributes:
        path: The directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = -1

    @property
    def socket(self) -> Path:
        """The socket on which a running server listens for xmppctl."""
        return self.path / "xmppctl.sock"

    @property
    def owner(self) -> int:
        """The user it belongs to; this process's if there is none yet."""
        try:
            return self.path.stat().st_uid
        except OSError:
            return os.geteuid()

    @property
    def secret_file(self) -> Path:
        """The file of this installation's secret."""
        return self.path / "secret"

    def lock(self) -> None:
        """Make the directory if there is none, and lock it.

        The kernel lifts the lock when the process ends, however it ends.

        Raises:
            InUse: Another process has locked it.
            DataDirectoryError: It cannot be made or written, or others may write it.
        """
        try:
            _refuse_unwritable(self.path)
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_unwritable(self.path)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            lock = os.open(self.path / "lock", flags, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        except Writable as error:
            raise DataDirectoryError(str(error)) from error
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise InUse(
                f"the data directory {self.path} is in use by another xmppd or xmppctl; "
                "stop that one, or choose another data directory"
            ) from error
        self._lock = lock

    def is_free(self) -> bool:
        """Whether a server could begin to work in it now; nothing is made.

        Raises:
            DataDirectoryError: It could not be made or written, or others may write it.
        """
        try:
            _refuse_unwritable(self.path)
            if self.path.exists():
                check_unwritable(self.path)
            if not (self.path / "lock").exists():
                return True
        except OSError as error:
            raise self._unusable(error) from error
        except Writable as error:
            raise DataDirectoryError(str(error)) from error
        try:
            self.lock()
        except InUse:
            return False
        self.release()
        return True

    def release(self) -> None:
        """Unlock it."""
        os.close(self._lock)

    @property
    def is_new(self) -> bool:
        """Whether no server has worked in it before: then there is no secret yet."""
        return not self.secret_file.exists()

    def secret(self) -> bytes:
        """The secret of this installation, made once.

        Raises:
            DataDirectoryError: They cannot be read or written, or others may write them.
        """
        path = self.secret_file
        try:
            if not path.exists():
                write_private(path, secrets.token_bytes(SECRET_BYTES))
            check_unwritable(path)
            secret = path.read_bytes()
        except OSError as error:
            raise self._unusable(error) from error
        except Writable as error:
            raise DataDirectoryError(str(error)) from error
        if len(secret) != SECRET_BYTES:
            raise DataDirectoryError(
                f"{path} has {counted(len(secret), 'byte')} instead of {SECRET_BYTES}; restore "
                "it from a backup, or remove it, and the server generates a new one"
            )
        return secret

    def instance(self) -> tuple[str, int]:
        """What tells the lives of a node in this directory from those of others that are called so,
        made once; and the number of the last one.

        Raises:
            DataDirectoryError: That cannot be read or written.
        """
        path = self.path / "node"
        try:
            if not path.exists():
                self.note_life(secrets.token_hex(INSTANCE_BYTES), 0)
            instance, _, generation = path.read_text(encoding="ascii").strip().partition(" ")
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable_node(path) from error
        if not (instance.isalnum() and generation.isdigit()):
            raise self._unreadable_node(path)
        return instance, int(generation)

    def note_life(self, instance: str, generation: int) -> None:
        """Remember the number of a node's life, which only rises.

        Raises:
            DataDirectoryError: It cannot be written.
        """
        try:
            write_private(self.path / "node", f"{instance} {generation}\n".encode())
        except OSError as error:
            raise self._unusable(error) from error

    @staticmethod
    def _unreadable_node(path: Path) -> DataDirectoryError:
        return DataDirectoryError(
            f"{path} does not say which node this is; remove it if no server uses this directory"
        )

    def _unusable(self, error: OSError) -> DataDirectoryError:
        return DataDirectoryError(
            f"the data directory {self.path} cannot be used ({error.strerror}); "
            "make it a directory that xmppd's user may write to"
        )


def _refuse_unwritable(path: Path) -> None:
    """Refuse a directory, or a parent of a new one, that others may write."""
    place = next(place for place in (path, *path.parents) if place.exists())
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_private(path: Path, content: bytes) -> None:
    """Write the whole file or none, for our eyes only.

    A file or link that a crash, or another user, has left in the place of the draft is removed and
    not followed.
    """
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


__all__ = ["DataDirectory", "DataDirectoryError", "InUse", "write_private"]
