"""A PostgreSQL in processes of its own, for tests that stop it."""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from tempfile import mkdtemp

from tests.redis_server import wait_for

PATIENCE_S = 60.0
NOBODY = "nobody"


class PostgresProcess:
    """A server with one database, from :meth:`start` to :meth:`stop`; it listens on a socket in its
    directory.

    Attributes:
        directory: Its own, with its log.
    """

    def __init__(self) -> None:
        self._bin = _programs()
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = Path(mkdtemp(prefix="xmppd-pg-", dir="/tmp"))
        self._data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._user = NOBODY if os.getuid() == 0 else None  # it refuses to run as root
        if self._user is not None:
            shutil.chown(self.directory, self._user)
        self._run(
            "initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync"
        ).wait(PATIENCE_S)

    @property
    def url(self) -> str:
        """Of its database."""
        return f"postgresql://postgres@/postgres?host={self.directory}"

    def start(self) -> "PostgresProcess":
        """Start it, and wait until it takes connections."""
        self._process = self._run("postgres", "-F", "-h", "", "-k", str(self.directory))
        wait_for(self._is_ready, f"PostgreSQL does not start: see {self.directory}/log")
        return self

    def restart(self) -> None:
        """Have it end every connection, stop, and start again."""
        self._end(signal.SIGINT)
        self.start()

    def stop(self) -> None:
        """End it, and remove its directory."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(PATIENCE_S)

    def _is_ready(self) -> bool:
        asked = subprocess.run(
            [self._bin / "pg_isready", "--quiet", "--host", self.directory], check=False
        )
        return asked.returncode == 0

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._bin / program), "-D", str(self._data), *arguments],
                cwd="/",
                user=self._user,
                stdout=log,
                stderr=log,
            )


def _programs() -> Path:
    """Where its programs are: Debian has them outside the path."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    if found is None:
        raise AssertionError("PostgreSQL is not installed: apt-get install postgresql")
    return Path(found).parent


__all__ = ["PostgresProcess"]
