"""A server under measurement: everything it owns lies in one directory, and so does its pid."""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path
from random import SystemRandom
from typing import ClassVar

from bench.client import raise_descriptor_limit

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
PORTS_TO_TRY = 50  # fewer than from one kind of port of a server to the next
MAX_RESERVED = 12
"""Ports of servers that may be starting; others have theirs by then."""

COMPONENT_OFFSET = 125
COMPONENT = "echo.p.test"
COMPONENT_SECRET = "pw"
_reserved: dict[int, socket.socket] = {}


class ServerError(Exception):
    """A server is not installed or does not start; says what to do about it."""


class Server(ABC):
    """Start and stop one server on loopback; only the process it recorded is ever ended.

    Attributes:
        ready_s: How long its last start took, from its process to the first connection.
    """

    archives: bool
    """Whether it archives messages, from its next start on."""
    publishes: bool
    """Whether accounts publish (XEP-0163), from its next start on."""
    name: ClassVar[str]
    usual_port: ClassVar[int]
    domain = "p.test"
    """Passwords are kept as the server keeps them at its cheapest."""
    hashed_domain = "h.test"
    """Passwords are kept hashed (SCRAM)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve() / self.name
        self.certificate = self.directory / "certificate.pem"
        self.key = self.directory / "key.pem"
        self.pid_file = self.directory / "bench.pid"
        self.port = self.usual_port
        self.component_port = self.usual_port + COMPONENT_OFFSET
        self.archives = self.publishes = False
        self.ready_s = 0.0

    def serves(self, load: str) -> bool:
        """Whether it can be measured by this scenario of bench.load."""
        return True

    @property
    def keeps_accounts(self) -> bool:
        """Whether accounts and rosters have to be made there."""
        return True

    @abstractmethod
    def check_installed(self) -> None:
        """Raise ServerError if it is not, saying which package to install."""

    @abstractmethod
    def version(self) -> str:
        """Its name and version, for the report."""

    @abstractmethod
    def configure(self) -> None:
        """Write the configuration for the chosen port."""

    @abstractmethod
    def command(self) -> list[str]:
        """What to run; it stays in the foreground."""

    def environment(self) -> dict[str, str]:
        """What its environment needs beside ours."""
        return {}

    def start(self) -> int:
        """(Re)start it on the data it has, wait until it listens, and return its pid."""
        self.check_installed()
        self.stop()
        raise_descriptor_limit()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._make_certificate()
        self.port = free_port(self.usual_port)
        self.component_port = free_port(self.usual_port + COMPONENT_OFFSET)
        self.configure()
        began = time.monotonic()
        with self.output.open("ab") as output:
            process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | self.environment(),
                cwd=self.directory,
                start_new_session=True,
            )
        self.pid_file.write_text(identity(process.pid) or f"{process.pid} ended")
        self._wait_for_port(process)
        self.ready_s = time.monotonic() - began
        return process.pid

    def stop(self) -> None:
        """End the process recorded here, if it still runs."""
        if not self.pid_file.exists():
            return
        recorded = self.pid_file.read_text()
        pid = int(recorded.split()[0])
        if identity(pid) == recorded:
            os.kill(pid, signal.SIGTERM)
        end = time.monotonic() + STOP_TIMEOUT_S
        while identity(pid) == recorded:
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
        self.pid_file.unlink()

    @property
    def output(self) -> Path:
        """Where its standard output goes."""
        return self.directory / "output.log"

    def _make_certificate(self) -> None:
        if self.certificate.exists():
            return
        names = "subjectAltName=DNS:p.test,DNS:h.test,DNS:conference.p.test"
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650"
        files = ["-keyout", str(self.key), "-out", str(self.certificate)]
        subprocess.run(
            [*command.split(), "-subj", "/CN=p.test", "-addext", names, *files],
            check=True,
            capture_output=True,
        )

    def _wait_for_port(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < end:
            if process.poll() is not None:
                break
            try:
                socket.create_connection((HOST, self.port), 1.0).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        tail = self.output.read_text(errors="replace")[-2000:]
        self.stop()
        raise ServerError(f"{self.name} does not listen on port {self.port}; it said:\n{tail}")


def identity(pid: int) -> str:
    """The pid and when the process started, since pids are used again; "" if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    state, started_ticks = fields[0], fields[19]
    return "" if state == "Z" else f"{pid} {started_ticks}"


def free_port(first: int) -> int:
    """A free port from here on, and none that was given lately to a server which may be starting,
    by this bench or another one: else the clients of both would come to the server that is quicker.

    Not one chosen by the kernel: those are also given to the clients' connections.
    """
    ports = SystemRandom().sample(range(first, first + PORTS_TO_TRY), PORTS_TO_TRY)
    for port in ports:
        with socket.socket() as attempt:
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                attempt.bind((HOST, port))
            except OSError:
                continue
        if _reserve(port):
            return port
    raise ServerError(f"no free port from {first} on")


def _reserve(port: int) -> bool:
    """Reserve a port, for as long as this process lives or some more are; False if it is reserved
    already.
    """
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0xmppd-bench-port-{port}")
    except OSError:
        mark.close()
        return False
    _reserved[port] = mark
    if len(_reserved) > MAX_RESERVED:
        _reserved.pop(next(iter(_reserved))).close()
    return True


def debian_version(package: str) -> str:
    """The version of an installed Debian package."""
    query = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", package],
        check=False,
        capture_output=True,
        text=True,
    )
    return query.stdout or "version unknown"


def main(description: str, servers: tuple[type[Server], ...]) -> int:
    """Start or stop a server by hand; start prints pid and port."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("command", choices=["start", "stop"])
    names = [server.name for server in servers]
    parser.add_argument("server", choices=names, nargs="?" if len(names) == 1 else None)
    parser.add_argument("--directory", type=Path, required=True, help="config, data and logs")
    parser.add_argument("--fresh", action="store_true", help="start on no data")
    options = parser.parse_args()
    kind = servers[names.index(options.server or names[0])]
    server = kind(options.directory)
    server.stop()
    if options.command == "stop":
        return 0
    if options.fresh:
        shutil.rmtree(server.directory, ignore_errors=True)
    try:
        print(server.start(), server.port)
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
