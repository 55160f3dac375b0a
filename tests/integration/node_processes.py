"""Nodes of one service, each a process of its own, on a Redis and a database of their own."""

import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from shutil import copy, rmtree
from tempfile import mkdtemp

from tests.ports import free_port
from tests.redis_server import RedisProcess
from tests.unit.store.databases import drop_postgresql, make_postgresql
from xmppd.command.refused import Refused
from xmppd.ctl.asking import NoServer
from xmppd.testing.process import DIRECT_TLS, STARTTLS, ServerProcess

LEASE_S = 2.0
DRAIN_S = 5.0
PATIENCE_S = 60.0

CLIENT_ADDRESS = "localhost:0"
"""As a setting this is where clients reach the node, with TLS from the first byte."""


class NodeProcess(ServerProcess):
    """A node, of which what it has logged can be asked.

    Its ports stay the same when it is started again, or begins anew.

    Attributes:
        name: Its own.
        starttls_port: For clients.
        client_port: The same with TLS from the first byte.
        door: For other nodes; 0 if it has none.
    """

    start_timeout_s = 120.0  # several start at once
    name: str
    door = 0

    def __init__(self, directory: Path, *domains: str, **settings: object) -> None:
        super().__init__(directory, *domains, **settings)
        text = self._config.read_text(encoding="utf-8")
        self.starttls_port, self.client_port = self._ports[STARTTLS], self._ports[DIRECT_TLS]
        text = text.replace(CLIENT_ADDRESS, f"localhost:{self.client_port}")
        self._config.write_text(text, encoding="utf-8")

    def ports(self, kind: str) -> list[int]:
        """The ports at which it listens; it may begin anew just now."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                return super().ports(kind)
            except (NoServer, Refused):  # it has begun anew before it has answered
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def logged(self, pattern: str) -> list[str]:
        """The lines of its log in which this is found."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return [line for line in text.splitlines() if re.search(pattern, line)]

    def pause(self) -> None:
        """Stop its process: it does nothing, and does not know it."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let its process run again."""
        os.kill(self.pid, signal.SIGCONT)


class NodeProcesses:
    """Nodes that know of each other, until they are taken away.

    Args:
        links: The way between the nodes: "redis", or "direct".
        domains: That they serve.
        redis: Instead of one on a socket.
        database: URL, instead of one made for them.
        directory: For their files, instead of one made for them.

    Attributes:
        nodes: By name, started or not.
        tables: Other settings of all of them.
        cluster: The same of ``[cluster]``.
    """

    def __init__(
        self,
        links: str,
        *domains: str,
        redis: RedisProcess | None = None,
        database: str = "",
        directory: Path | None = None,
    ) -> None:
        self.links = links
        self.domains = domains or ("localhost",)
        self.nodes: dict[str, NodeProcess] = {}
        self.tables: dict[str, object] = {"s2s": {"enabled": False}}
        self.cluster: dict[str, object] = {}
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = directory or Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self._is_own_directory = directory is None
        self._made = "" if database else make_postgresql()
        self.database = database or self._made
        self.redis = redis or RedisProcess()
        self.redis.start()
        self.secret = self.directory / "secret"
        self.secret.write_text("only for tests, and long enough for that\n", encoding="utf-8")
        self.secret.chmod(0o600)

    def take_away(self) -> None:
        """Nothing is left of them."""
        for node in self.nodes.values():
            node.kill()
        self.redis.stop()
        if self._made:
            drop_postgresql(self._made)
        if self._is_own_directory:
            rmtree(self.directory)

    def node(self, name: str, **settings: object) -> NodeProcess:
        """A node that is not started yet, with other settings of ``[cluster]``."""
        port = free_port() if self.links == "direct" else 0
        tables = self.settings(name, port, **settings)
        node = NodeProcess(self.home(name), *self.domains, **tables)
        self.add(node, name, port)
        return node

    def add(self, node: NodeProcess, name: str, port: int) -> None:
        """Take a node that was made of these settings."""
        node.name, node.door = name, port
        self.nodes[name] = node

    def home(self, name: str) -> Path:
        """The directory of a node; all have the same certificates."""
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        for other in self.nodes.values():
            if other.directory == directory:
                continue
            for file in (*other.directory.glob("*.crt"), *other.directory.glob("*.key")):
                copy(file, directory)
        return directory

    def settings(self, name: str, port: int, **settings: object) -> dict[str, object]:
        """All settings of a node, with another one's door at a port."""
        cluster: dict[str, object] = {
            "redis": [self.redis.url],
            "node": name,
            "secret_file": str(self.secret),
            "lease_s": LEASE_S,
            "grace_s": 2 * LEASE_S,
            "drain_s": DRAIN_S,
        }
        tables: dict[str, object] = {"storage": {"url": self.database}, **self.tables}
        # Without this table all plugins are loaded that are on by default, this one among them.
        if "plugins" not in tables:
            uploads = {"shared": True, "directory": str(self.directory / "uploads")}
            tables["http_upload"] = uploads
        if port:
            cluster["address"] = f"127.0.0.1:{port}"
            door = {"endpoint": f"epoll:{port}:interface=127.0.0.1", "kind": "node"}
            listen = tables.get("listen", [])
            assert isinstance(listen, list)
            tables["listen"] = [*listen, {**door, "tls": "direct"}]
        return {**tables, "cluster": {**cluster, **self.cluster, **settings}}

    def start(self, *names: str) -> list[NodeProcess]:
        """Nodes that are started at once, are up, and know of each other."""
        nodes = [self.node(name) for name in names]
        start_at_once(nodes)
        self.until_they_know(*nodes)
        return nodes

    def until_they_know(self, *nodes: NodeProcess) -> None:
        """Wait until each knows of all others."""
        for node in nodes:
            for other in nodes:
                if other is not node:
                    self.wait_for(partial(node.logged, rf"node {other.name}\.\d+ has joined"))

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Look again and again until it is so.

        Raises:
            AssertionError: It did not happen; with what they have logged.
        """
        until = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > until:
                raise AssertionError("it did not happen; the logs are:\n" + self._logs())
            time.sleep(0.02)

    def _logs(self) -> str:
        logs = sorted(self.directory.glob("*/log"))
        return "\n".join(f"--- {log}\n{log.read_text(errors='replace')}" for log in logs)


def start_at_once(nodes: Sequence[NodeProcess]) -> None:
    """Start all of them at the same moment, and wait until all are up."""
    with ThreadPoolExecutor() as threads:
        list(threads.map(ServerProcess.start, nodes))
