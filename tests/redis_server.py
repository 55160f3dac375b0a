"""Redis servers in processes of their own, as many as a test wants, and their Sentinels."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import hiredis

from tests.ports import HOST, free_port
from xmppd.testing.signing_authority import SigningAuthority

PATIENCE_S = 60.0
MASTER = "xmppd"
ADMIN = "admin on nopass ~* &* +@all"
_numbers = count(1)


class RedisProcess:
    """A Redis that others may talk to, from :meth:`start` to :meth:`stop`; by itself it
    saves nothing.

    Args:
        options: Of its command line, such as ``"--maxmemory", "1"``.
        users: Lines of its access list, such as ``"alice on >secret ~x:* &x:* +@all"``.
        authority: Signs its certificate for ``localhost``: it speaks TLS, on a port.
        tcp: Whether it listens on a port of the loopback, and not on a socket in its directory.

    Attributes:
        directory: Its own, with its log.
        port: Where it listens; 0 if that is a socket in its directory.
        path: Of that socket.
    """

    def __init__(
        self,
        *options: str,
        users: tuple[str, ...] = (),
        authority: SigningAuthority | None = None,
        tcp: bool = False,
    ) -> None:
        if shutil.which("redis-server") is None:
            raise AssertionError("redis-server is not installed: apt-get install redis-server")
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = Path(mkdtemp(prefix="xmppd-redis-", dir="/tmp"))
        self.path = self.directory / "socket"
        self.port = free_port() if tcp or authority is not None else 0
        self.tls = authority is not None
        self.process: subprocess.Popen[bytes] | None = None
        self._options = [*options, "--user", *ADMIN.split()]
        for user in users:
            self._options += ["--user", *user.split()]
        if authority is not None:
            self._options += ["--port", "0", "--tls-port", str(self.port)]
            self._options += [
                "--tls-auth-clients",
                "no",
                "--tls-ca-cert-file",
                str(authority.file.resolve()),
            ]
            self.certify(authority)
            certificate, key = self.directory / "localhost.crt", self.directory / "localhost.key"
            self._options += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        else:
            self._options += ["--port", str(self.port)]

    def certify(self, authority: SigningAuthority, *names: str, days: float = 5) -> None:
        """Write the certificate that it shows when it starts; for other names, or expired."""
        authority.issue("localhost", *names, days=days, directory=self.directory)

    @property
    def url(self) -> str:
        """Where it is, without user and password."""
        if not self.port:
            return f"unix://{self.path}"
        return f"rediss://localhost:{self.port}" if self.tls else f"redis://{HOST}:{self.port}"

    def start(self) -> "RedisProcess":
        """Start it, and wait until it answers."""
        self.launch()
        wait_for(lambda: answers(self), f"redis-server does not start: see {self.directory}/log")
        return self

    def launch(self) -> None:
        """Start it; it may have to load what it was told to save."""
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *("redis-server", "--save", "", "--dir", str(self.directory)),
                    *("--bind", HOST, "--unixsocket", str(self.path), "--protected-mode", "no"),
                    *("--enable-debug-command", "yes", *self._options),
                ],
                stdout=log,
                stderr=log,
            )

    def ask(self, *words: str | bytes) -> Any:
        """What it answers to a command of its administrator."""
        with connected(str(self.path)) as wire:
            ask(wire, "AUTH", "admin", "")
            return ask(wire, *words)

    def send(self, *words: str | bytes) -> None:
        """Give it a command whose answer nobody waits for, such as ``DEBUG SLEEP 1``."""
        with connected(str(self.path)) as wire:
            wire.sendall(packed(words))

    @property
    def busy(self) -> bool:
        """Whether it runs a script, and has noticed that this takes long."""
        try:
            self.ask("PING")
        except AssertionError as error:
            return "BUSY" in str(error)
        return False

    def kill(self) -> None:
        """End it without a warning; what it knew is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE_S)
            self.process = None

    def restart_empty(self) -> None:
        """Have it be killed and started again."""
        self.kill()
        self.start()

    def hang(self) -> None:
        """Stop its process: it takes connections and bytes, and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let its process run again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, and remove its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class Sentinels:
    """Three Sentinels that watch a Redis and its replica.

    Args:
        master: A Redis on a port.
        down_after_ms: How long it may say nothing until they think that it is down.

    Attributes:
        ports: Of the three.
        replica: Of the master.
    """

    def __init__(self, master: RedisProcess, *, down_after_ms: int = 500) -> None:
        self.master = master
        self.replica = RedisProcess("--replicaof", HOST, str(master.port), tcp=True)
        self.directory = Path(mkdtemp(prefix="xmppd-redis-", dir="/tmp"))
        self.ports = [free_port() for _ in range(3)]
        self.down_after_ms = down_after_ms
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def urls(self) -> tuple[str, ...]:
        """Where they are."""
        return tuple(f"redis://{HOST}:{port}" for port in self.ports)

    def start(self) -> "Sentinels":
        """Start the replica and the three, and wait until they know of each other."""
        self.replica.start()
        wait_for(lambda: "master_link_status:up" in info(self.replica), "the replica has no master")
        for number, port in enumerate(self.ports):
            file = self.directory / f"{number}.conf"
            file.write_text(
                f"port {port}\nbind {HOST}\nprotected-mode no\n"
                f"sentinel monitor {MASTER} {HOST} {self.master.port} 2\n"
                f"sentinel down-after-milliseconds {MASTER} {self.down_after_ms}\n"
                f"sentinel failover-timeout {MASTER} 3000\n"
            )
            with (self.directory / f"{number}.log").open("wb") as log:
                process = subprocess.Popen(
                    ["redis-server", str(file), "--sentinel", "--dir", str(self.directory)],
                    stdout=log,
                    stderr=log,
                )
            self._processes.append(process)
        wait_for(self._agree, f"the Sentinels do not find each other: see {self.directory}")
        return self

    def ask(self, number: int, *words: str) -> Any:
        """What one of the three answers."""
        with connected(self.ports[number]) as wire:
            return ask(wire, *words)

    def kill(self, number: int) -> None:
        """End one of them."""
        self._processes[number].kill()
        self._processes[number].wait(PATIENCE_S)

    def wait_for_failover(self) -> None:
        """Wait until all name the replica as the master."""
        there = str(self.replica.port).encode()
        wait_for(
            lambda: (
                all(
                    self.ask(number, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)[1] == there
                    for number in range(3)
                )
                and "role:master" in info(self.replica)
            ),
            f"there was no failover: see {self.directory}",
        )

    def _agree(self) -> bool:
        """Whether each knows the two others and the replica."""
        try:
            known = [
                dict(zip(*[iter(self.ask(number, "SENTINEL", "MASTER", MASTER))] * 2, strict=True))
                for number in range(3)
            ]
        except OSError:
            return False
        return all(
            (one[b"num-other-sentinels"], one[b"num-slaves"]) == (b"2", b"1") for one in known
        )

    def stop(self) -> None:
        """End the three and the replica."""
        for number in range(len(self._processes)):
            self.kill(number)
        self.replica.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


@cache
def shared_redis() -> RedisProcess:
    """One Redis for all tests of a process that neither stop it nor fill it: each uses a prefix of
    its own, :func:`own_prefix`.
    """
    server = RedisProcess().start()
    atexit.register(server.stop)
    return server


def own_prefix() -> str:
    """A name that no other test has."""
    return f"x{os.getpid()}-{next(_numbers)}"


def info(server: RedisProcess) -> str:
    """All that it says of itself."""
    text: bytes = server.ask("INFO")
    return text.decode()


def connected(to: str | int) -> socket.socket:
    """A connection with the server at a port, or at a path."""
    if isinstance(to, int):
        return socket.create_connection((HOST, to), PATIENCE_S)
    wire = socket.socket(socket.AF_UNIX)
    wire.settimeout(PATIENCE_S)
    try:
        wire.connect(to)
    except OSError:
        wire.close()
        raise
    return wire


def ask(wire: socket.socket, *words: str | bytes) -> Any:
    """The answer to a command."""
    wire.sendall(packed(words))
    reader = hiredis.Reader()
    while (answer := reader.gets()) is False:
        reader.feed(wire.recv(65536))
    if isinstance(answer, hiredis.ReplyError):
        raise AssertionError(f"{words[0]!r}: {answer}")
    return answer


def packed(words: tuple[str | bytes, ...]) -> bytes:
    """A command as it is sent."""
    command: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub is wrong
    return command


def answers(server: RedisProcess) -> bool:
    """Whether it is up; an error if it has ended."""
    if server.process is not None and server.process.poll() is not None:
        raise AssertionError((server.directory / "log").read_text())
    try:
        return bool(server.ask("PING") == b"PONG")
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], otherwise: str) -> None:
    """Look again and again until it is so."""
    until = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(otherwise)
        time.sleep(0.01)


__all__ = ["MASTER", "RedisProcess", "Sentinels", "own_prefix", "shared_redis"]
