"""Services of several xmppd that are measured: each node a process of its own."""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.ours import Xmppd
from bench.postgres import PostgreSQL
from bench.server import HOST, ServerError, free_port
from tests.integration.cut_proxy import CutProxy
from tests.redis_server import RedisProcess
from xmppd.command.refused import Refused
from xmppd.ctl.asking import NoServer, ask
from xmppd.ctl.protocol import Shown

DOOR_OFFSET = 250
SHARED_PORT = 14_022
MEET_S = 90.0
CONTROL = "xmppctl.sock"
SHARED_LISTENER = """
[[listen]]
endpoint = "epoll:{port}:interface={host}:reuseport=yes"
kind = "client"
tls = "starttls"
"""
DOOR = """
[[listen]]
endpoint = "epoll:{port}:interface={host}"
kind = "node"
tls = "direct"
"""
CLUSTER = """
[cluster]
redis = ["{redis}"]
name = "{name}"
node = "{node}"
secret_file = "{secret}"
links = "{links}"
address = "{address}"
"""
SECRET = "only for the bench, and long enough for that\n"


@dataclass(frozen=True)
class Beside:
    """What services have beside their nodes."""

    postgres: PostgreSQL
    redis: RedisProcess


class Node(Xmppd):
    """One xmppd on PostgreSQL, alone or of a service.

    Args:
        directory: For those of all nodes.
        name: Of its own, also in a service.
        database: Its URL.
        service: What it joins; None if it is alone.
    """

    def __init__(
        self, directory: Path, name: str, database: str, service: "Service | None" = None
    ) -> None:
        self.name = name  # type: ignore[misc]  # each has its own
        super().__init__(directory)
        self.url = database
        self.service = service
        self.shared_port = 0
        self.proxy: CutProxy | None = None
        self.door = 0

    @property
    def database(self) -> str:
        """That of all nodes of the service."""
        return self.url

    def more(self) -> str:
        """How it is a node."""
        tables = []
        if self.shared_port:
            tables.append(SHARED_LISTENER.format(port=self.shared_port, host=HOST))
        service = self.service
        if service is not None:
            tables.append(
                CLUSTER.format(
                    redis=service.beside.redis.url,
                    name=service.name,
                    node=self.name,
                    secret=service.secret,
                    links=service.links,
                    address=self._open_door(tables) if service.links == "direct" else "",
                )
            )
        return "".join(tables)

    def _open_door(self, tables: list[str]) -> str:
        """Listen for other nodes; returns where they find us."""
        self.door = free_port(self.usual_port + DOOR_OFFSET)
        tables.append(DOOR.format(port=self.door, host=HOST))
        return f"{HOST}:{self.door if self.proxy is None else self.proxy.port}"

    def ask(self, command: str) -> list[dict[str, Shown]]:
        """The rows that it answers to a command of an administrator."""
        rows = []
        with suppress(NoServer, Refused):
            rows = [row for row in ask(self.data / CONTROL, command, {}) if isinstance(row, dict)]
        return rows


class Service:
    """Some nodes that are one service, or one that is alone.

    Args:
        directory: Theirs.
        name: Of the service.
        beside: Its database is made there.
        size: The number of nodes.
        links: The way between them; empty for a server that is alone.
        root: The checkout that runs, if it is not this one.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        beside: Beside,
        size: int,
        links: str,
        root: Path | None = None,
    ) -> None:
        self.name = name
        self.links = links
        self.beside = beside
        self.directory = directory / name
        self.directory.mkdir(parents=True)
        self.database = beside.postgres.make_database()
        self.secret = self.directory / "secret"
        self.secret.write_text(SECRET)
        self.secret.chmod(0o600)
        joined = self if links else None
        self.nodes = [
            Node(self.directory, f"n{number}", self.database, joined) for number in range(size)
        ]
        if root is not None:
            for node in self.nodes:
                node.root = root

    def start(self) -> None:
        """(Re)start all nodes, and wait until each can tell each."""
        self.stop()
        for node in self.nodes:
            node.start()
        wait_for(self.is_whole, MEET_S, f"the nodes of {self.name} do not find each other")

    def is_whole(self) -> bool:
        """Whether each node has a way to all others."""
        wanted = "link" if self.links == "direct" else "redis"
        ways = [row["way"] for row in self.nodes[0].ask("cluster links")]
        size = len(self.nodes)
        return size == 1 or ways == [wanted] * (size * (size - 1))

    def stop(self) -> None:
        """Stop all nodes."""
        for node in self.nodes:
            node.stop()

    @property
    def pids(self) -> list[int]:
        """Of all nodes."""
        return [int(node.pid_file.read_text().split()[0]) for node in self.nodes]

    @property
    def ports(self) -> list[int]:
        """Where clients connect, in turn."""
        return [node.shared_port or node.port for node in self.nodes]

    def share_port(self) -> None:
        """Have all nodes listen on one port as well, at which clients connect."""
        port = free_port(SHARED_PORT + len(self.nodes))  # of services of other sizes another one
        for node in self.nodes:
            node.shared_port = port

    def detour(self) -> None:
        """Have links go by ways that can be cut."""
        for node in self.nodes:
            node.proxy = CutProxy(lambda node=node: node.door)  # type: ignore[misc]
            node.proxy.start()

    def cut(self) -> None:
        """Cut all links, and wait until there is another way."""
        for node in self.nodes:
            assert node.proxy is not None
            node.proxy.cut()
        wait_for(
            lambda: all(row["way"] == "detour" for row in self.nodes[0].ask("cluster links")),
            MEET_S, "nodes whose links are cut do not take the detour",
        )  # fmt: skip

    def remove(self) -> None:
        """Stop it, and remove all that it had."""
        self.stop()
        for node in self.nodes:
            if node.proxy is not None:
                node.proxy.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


def wait_for(condition: Callable[[], bool], within_s: float, otherwise: str) -> None:
    """Look again and again until it is so.

    Raises:
        ServerError: It is not, in time.
    """
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > until:
            raise ServerError(otherwise)
        time.sleep(0.02)


__all__ = ["Beside", "Node", "Service", "wait_for"]
