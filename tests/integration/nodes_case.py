"""One service of several nodes, each a process of its own, on a Redis and a database of its own."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import Peer
from tests.redis_server import RedisProcess, free_port
from tests.unit.store.databases import drop_postgresql, make_postgresql
from xmppd.testing.process import NotStarted, ServerProcess

LEASE_S = 2.0
PATIENCE_S = 20.0
PASSWORD = "a rose"


class NodeProcess(ServerProcess):
    """A node, of which what it has logged can be asked."""

    name: str

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


class NodesCase(SynchronousTestCase):
    """Nodes that do not outlive the test.

    Attributes:
        links: The way between the nodes: "redis", or "direct".
        domains: That they serve.
    """

    links = "redis"
    domains: tuple[str, ...] = ("localhost",)

    def setUp(self) -> None:
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        self.database = make_postgresql()
        self.addCleanup(drop_postgresql, self.database)
        self.redis = RedisProcess().start()
        self.addCleanup(self.redis.stop)
        self.secret = self.directory / "secret"
        self.secret.write_text("only for tests, and long enough for that\n", encoding="utf-8")
        self.secret.chmod(0o600)

    def node(self, name: str, **settings: object) -> NodeProcess:
        """A node that is not started yet, with other settings of ``[cluster]``."""
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        cluster: dict[str, object] = {
            "redis": [self.redis.url],
            "node": name,
            "secret_file": str(self.secret),
            "lease_s": LEASE_S,
            "grace_s": 2 * LEASE_S,
        }
        tables: dict[str, object] = {"storage": {"url": self.database}, "s2s": {"enabled": False}}
        if self.links == "direct":
            port = free_port()
            cluster["address"] = f"127.0.0.1:{port}"
            door = {"endpoint": f"epoll:{port}:interface=127.0.0.1", "kind": "node"}
            tables["listen"] = [{**door, "tls": "direct"}]
        node = NodeProcess(
            directory, *self.domains, **{**tables, "cluster": {**cluster, **settings}}
        )
        node.name = name
        return node

    def started(self, *names: str) -> list[NodeProcess]:
        """Nodes that are up, and know of each other."""
        nodes = [self.node(name) for name in names]
        for node in nodes:
            self.addCleanup(node.kill)
            node.start()
        self.until_they_know(*nodes)
        return nodes

    def until_they_know(self, *nodes: NodeProcess) -> None:
        """Wait until each knows of all others."""
        for node in nodes:
            for other in nodes:
                if other is not node:
                    self.wait_for_line(node, rf"node {other.name}\.\d+ is in")

    def wait_for_line(self, node: NodeProcess, pattern: str) -> None:
        """Wait until this is found in a line of its log."""
        self.wait_for(lambda: node.logged(pattern))

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Look again and again until it is so."""
        until = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > until:
                self.fail("it did not happen; the logs are:\n" + self._logs())
            time.sleep(0.02)

    def _logs(self) -> str:
        logs = sorted(self.directory.glob("*/log"))
        return "\n".join(f"--- {log}\n{log.read_text(errors='replace')}" for log in logs)

    def refusal(self, node: NodeProcess) -> str:
        """The sentence with which a node does not start."""
        self.addCleanup(node.kill)
        node.log.unlink(missing_ok=True)
        error = self.assertRaises(NotStarted, node.start)
        lines = str(error).splitlines()
        sentences = [line for line in lines if line.startswith(f"{node.directory}/xmppd.toml: ")]
        self.assertEqual(len(sentences), 1, str(error))
        self.assertNotIn("Traceback", str(error))
        return sentences[0].removeprefix(f"{node.directory}/xmppd.toml: ")

    def client(self, node: NodeProcess, name: str) -> Peer:
        """Somebody who has logged in at a node."""
        peer = Peer(node.direct_tls_port)
        self.addCleanup(peer.close)
        peer.log_in(name, PASSWORD)
        return peer
