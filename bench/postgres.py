"""A PostgreSQL of the bench's own, on a Unix socket in a directory that is removed with it."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp

from sqlalchemy import create_engine

from bench.server import ServerError
from xmppd.store.engine import parse_url

INSTALLED = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")
NOBODY = "nobody"
MAX_CONNECTIONS = 400


class PostgreSQL:
    """From :meth:`start` to :meth:`stop`; it does not wait for the disk."""

    def __init__(self) -> None:
        self.directory = Path(mkdtemp(prefix="xmppd-postgres-", dir="/tmp"))  # a short path
        self._programs = programs()
        self._databases = 0

    def start(self) -> "PostgreSQL":
        """Make it, and wait until it answers."""
        if os.getuid() == 0:  # it refuses to run as root
            self.directory.chmod(0o711)
            self._data.mkdir()
            shutil.chown(self._data, NOBODY)
            shutil.chown(self.directory, NOBODY)
        self._run("initdb", "--username=postgres", "--auth=trust", "--encoding=UTF8",
                  "--locale=C", "--no-sync", f"--pgdata={self._data}")  # fmt: skip
        self._run("pg_ctl", "start", "--wait", "--silent", f"--pgdata={self._data}",
                  f"--log={self.directory}/log",
                  f"--options=-F -h '' -k {self.directory} -c max_connections={MAX_CONNECTIONS}",
                  )  # fmt: skip
        return self

    def stop(self) -> None:
        """End it; nothing of it is left."""
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "--mode=immediate", "--silent", f"--pgdata={self._data}")
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of its first process, whose children the others are."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def make_database(self) -> str:
        """An empty database; returns its URL."""
        self._databases += 1
        name = f"bench{self._databases}"
        url = parse_url(self._url("postgres"))
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.directory}"

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _run(self, program: str, *arguments: str) -> None:
        command = [*unprivileged(), str(self._programs / program), *arguments]
        log = self.directory / f"{program}.log"
        with log.open("ab") as said:
            done = subprocess.run(command, cwd="/", check=False, stdout=said, stderr=said)
        if done.returncode:
            raise ServerError(f"{program} failed:\n{log.read_text(errors='replace')[-1000:]}")


def unprivileged() -> Sequence[str]:
    """What goes before a command that root does not run."""
    if os.getuid():
        return ()
    nobody = pwd.getpwnam(NOBODY)
    return (
        "setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--",
    )  # fmt: skip


def programs() -> Path:
    """Where the newest PostgreSQL is installed."""
    found = [path for place in INSTALLED for path in Path("/").glob(place[1:])]
    servers = sorted(path for path in found if (path / "initdb").exists())
    if not servers:
        raise ServerError("PostgreSQL is not installed: apt-get install postgresql")
    return servers[-1]


__all__ = ["PostgreSQL"]
