"""A MariaDB in a process of its own, from which people move."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

from tests.redis_server import wait_for

PATIENCE_S = 60.0


class MariaProcess:
    """A server with one empty database, from :meth:`start` to :meth:`stop`; it has a socket."""

    def __init__(self) -> None:
        if shutil.which("mariadb-install-db") is None:
            raise AssertionError("MariaDB is not installed: apt-get install mariadb-server")
        self._directory = Path(mkdtemp(prefix="xmppd-my-", dir="/tmp"))
        self._user = [f"--user={'root' if os.getuid() == 0 else os.environ.get('USER', '')}"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of its database."""
        return f"mysql://root@/people?unix_socket={self._directory}/s"

    def start(self) -> "MariaProcess":
        """Start it, and wait until it takes connections."""
        where = ["--no-defaults", f"--datadir={self._directory}/data", *self._user]
        with (self._directory / "log").open("ab") as log:
            subprocess.run(
                ["mariadb-install-db", *where, "--auth-root-authentication-method=normal",
                 "--skip-test-db"],
                check=True, stdout=log, stderr=log, timeout=PATIENCE_S,
            )  # fmt: skip
            self._process = subprocess.Popen(
                ["/usr/sbin/mariadbd", *where, f"--socket={self._directory}/s",
                 "--skip-networking", f"--pid-file={self._directory}/pid",
                 "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0"],
                stdout=log, stderr=log,
            )  # fmt: skip
        wait_for(self._is_ready, f"MariaDB does not start: see {self._directory}/log")
        return self

    def stop(self) -> None:
        """End it, and remove its directory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
        shutil.rmtree(self._directory, ignore_errors=True)

    def run(self, script: str, database: str = "people") -> None:
        """Do what a script says."""
        self._client(database, script).check_returncode()

    def _is_ready(self) -> bool:
        made = "CREATE DATABASE IF NOT EXISTS people CHARACTER SET utf8mb4"
        return self._client("", made).returncode == 0

    def _client(self, database: str, script: str) -> "subprocess.CompletedProcess[bytes]":
        command = ["mariadb", "--no-defaults", f"--socket={self._directory}/s", "--user=root"]
        return subprocess.run(
            [*command, *filter(None, [database])],
            input=script.encode(),
            capture_output=True,
            check=False,
            timeout=PATIENCE_S,
        )


__all__ = ["MariaProcess"]
