"""Tests with nodes, each a process of its own."""

import atexit
import re
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.node_processes import (
    LEASE_S,
    PATIENCE_S,
    NodeProcess,
    NodeProcesses,
    start_at_once,
)
from tests.integration.processes import Peer
from tests.redis_server import RedisProcess
from xmppd.testing.process import NotStarted

PASSWORD = "a rose"


class NodesCase(SynchronousTestCase):
    """Nodes that do not outlive the test.

    Attributes:
        links: The way between the nodes: "redis", or "direct".
        domains: That they serve.
        processes: They, with their Redis and their database.
    """

    links = "redis"
    domains: tuple[str, ...] = ("localhost",)

    def setUp(self) -> None:
        self.processes = NodeProcesses(self.links, *self.domains)
        self.addCleanup(self.processes.take_away)

    @property
    def directory(self) -> Path:
        """Of all their files."""
        return self.processes.directory

    @property
    def redis(self) -> RedisProcess:
        """That all of them use."""
        return self.processes.redis

    @property
    def secret(self) -> Path:
        """The file with what they have in common."""
        return self.processes.secret

    @property
    def database(self) -> str:
        """URL of the database that they share."""
        return self.processes.database

    def node(self, name: str, **settings: object) -> NodeProcess:
        """A node that is not started yet, with other settings of ``[cluster]``."""
        return self.processes.node(name, **settings)

    def started(self, *names: str) -> list[NodeProcess]:
        """Nodes that are up, and know of each other."""
        nodes = [self.node(name) for name in names]
        start_at_once(nodes)
        self.until_they_know(*nodes)
        return nodes

    def until_they_know(self, *nodes: NodeProcess) -> None:
        """Wait until each knows of all others."""
        self.processes.until_they_know(*nodes)

    def wait_for_line(self, node: NodeProcess, pattern: str) -> None:
        """Wait until this is found in a line of its log."""
        self.wait_for(lambda: node.logged(pattern))

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Look again and again until it is so."""
        self.processes.wait_for(condition)

    def refusal(self, node: NodeProcess) -> str:
        """The sentence with which a node does not start."""
        node.log.unlink(missing_ok=True)
        error = self.assertRaises(NotStarted, node.start)
        lines = str(error).splitlines()
        place = re.compile(rf"{node.directory}/xmppd\.toml:(\d+:)? ")
        sentences = [line for line in lines if place.match(line)]
        self.assertEqual(len(sentences), 1, str(error))
        self.assertNotIn("Traceback", str(error))
        return place.sub("", sentences[0])

    def client(self, node: NodeProcess, name: str) -> Peer:
        """Somebody who has logged in at a node."""
        peer = Peer(node.direct_tls_port)
        self.addCleanup(peer.close)
        peer.log_in(name, PASSWORD)
        return peer


class SharedNodes:
    """The nodes of the class of tests that runs just now; they end when the next one needs its own.

    Trial knows no fixtures of a class.
    """

    def __init__(self) -> None:
        self._owner: type[SharedNodesCase] | None = None
        self._processes: NodeProcesses | None = None
        atexit.register(self.end)

    def of(self, owner: "type[SharedNodesCase]") -> NodeProcesses:
        """The nodes of this class, which are up and know of each other."""
        if self._processes is None or self._owner is not owner:
            self.end()
            self._owner, self._processes = owner, NodeProcesses(owner.links, *owner.domains)
            self._processes.start(*owner.names)
        return self._processes

    def end(self) -> None:
        """Leave nothing behind."""
        processes, self._processes = self._processes, None
        if processes is not None:
            processes.take_away()


SHARED = SharedNodes()


class SharedNodesCase(NodesCase):
    """Tests that leave their nodes as they found them, and so share them.

    Attributes:
        names: Of the nodes.
    """

    names: tuple[str, ...] = ("a", "b")

    def setUp(self) -> None:
        self.processes = SHARED.of(type(self))
        self.addCleanup(self._forget_accounts)

    def started(self, *names: str) -> list[NodeProcess]:
        """Nodes that are up, and know of each other."""
        return [self.processes.nodes[name] for name in names]

    def _forget_accounts(self) -> None:
        node = next(iter(self.processes.nodes.values()))
        for row in node.tell("user list"):
            assert isinstance(row, dict)
            node.tell("user delete", account=str(row["account"]))


__all__ = ["LEASE_S", "PASSWORD", "PATIENCE_S", "NodeProcess", "NodesCase", "SharedNodesCase"]
