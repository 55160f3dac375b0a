"""Two ejabberd that are one service: Erlang nodes on loopback, with a name server of their own."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from bench.peers import Ejabberd
from bench.server import HOST, ServerError, free_port

EPMD_PORT = 24_369
JOIN_S = 60.0
COOKIE = "bench"


class EjabberdNode(Ejabberd):
    """One of them.

    Args:
        directory: For those of all.
        name: Of its own.
        epmd_port: Where Erlang nodes find each other.
    """

    def __init__(self, directory: Path, name: str, epmd_port: int) -> None:
        self.name = name  # type: ignore[misc]  # each has its own
        self.epmd_port = epmd_port
        super().__init__(directory)

    @property
    def node(self) -> str:
        """Its name among Erlang nodes."""
        return f"{self.name}@{HOST}"

    def command(self) -> list[str]:
        """As one that is alone, with a name."""
        loopback = "{" + HOST.replace(".", ",") + "}"
        return [
            *super().command(),
            *("-name", self.node, "-setcookie", COOKIE, "-start_epmd", "false"),
            *("-kernel", "inet_dist_use_interface", loopback),
        ]

    def environment(self) -> dict[str, str]:
        """As one that is alone, with the name server."""
        return super().environment() | {
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": HOST,
        }

    def control(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Have it do what a command of ejabberdctl says."""
        controller = f"control{os.getpid()}@{HOST}"
        command = ["erl", "-hidden", "-noinput", "-name", controller, "-setcookie", COOKIE]
        command += ["-start_epmd", "false", "-s", "ejabberd_ctl", "-extra", self.node, *words]
        return subprocess.run(
            command,
            env=os.environ | self.environment(),
            check=False,
            capture_output=True,
            text=True,
            timeout=JOIN_S,
        )


class EjabberdNodes:
    """Two of them, each with data of its own, of which one has joined the other."""

    def __init__(self, directory: Path) -> None:
        self.epmd: subprocess.Popen[bytes] | None = None
        self.epmd_port = free_port(EPMD_PORT)
        self.nodes = [EjabberdNode(directory, f"e{number}", self.epmd_port) for number in range(2)]
        self._joined = False

    def check_installed(self) -> None:
        """Look for ejabberd, Erlang and its name server."""
        self.nodes[0].check_installed()
        if shutil.which("epmd") is None:
            raise ServerError("epmd is not installed: apt-get install erlang-base")

    def start(self) -> None:
        """(Re)start both, and join them if they are not."""
        self.stop()
        command = ["epmd", "-port", str(self.epmd_port), "-address", HOST]
        self.epmd = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        for node in self.nodes:
            node.start()
        first, second = self.nodes
        if not self._joined:
            joined = second.control("join_cluster", first.node)
            if joined.returncode:
                raise ServerError(f"ejabberd does not join: {joined.stdout} {joined.stderr}")
            self._joined = True
        until = time.monotonic() + JOIN_S
        while second.node not in first.control("list_cluster").stdout:
            if time.monotonic() > until:
                raise ServerError("the two ejabberd do not find each other")
            time.sleep(0.2)

    @property
    def pids(self) -> list[int]:
        """Of both."""
        return [int(node.pid_file.read_text().split()[0]) for node in self.nodes]

    @property
    def ports(self) -> list[int]:
        """Where clients connect, in turn."""
        return [node.port for node in self.nodes]

    def stop(self) -> None:
        """Stop both."""
        for node in reversed(self.nodes):
            node.stop()
        if self.epmd is not None:
            self.epmd.terminate()
            self.epmd.wait()
            self.epmd = None


__all__ = ["EjabberdNodes"]
