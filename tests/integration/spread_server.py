"""Three nodes that tests use as if they were one server: whoever comes, comes to the next."""

import time
from collections.abc import Iterator, Mapping
from itertools import cycle
from pathlib import Path

from tests.integration.node_processes import NodeProcess, NodeProcesses, start_at_once
from tests.ports import free_port

CALM_S = 0.6
LEASE_S = 30.0
"""Nobody waits for its end here, and so a busy machine is no reason to lose it."""


class SpreadServer(NodeProcess):
    """A node, and two others of its service, which start and end with it.

    Args:
        directory: For the files of all of them.
        domains: The domains they serve.
        settings: As of one server.
    """

    def __init__(
        self, directory: Path, *domains: str, **settings: Mapping[str, object] | object
    ) -> None:
        storage = settings.pop("storage", {})
        assert isinstance(storage, Mapping)
        service = self.service = NodeProcesses(
            "direct", *domains, directory=directory, database=str(storage.get("url", ""))
        )
        service.tables = {"s2s": {"enabled": False}, **settings}
        service.cluster = {"lease_s": LEASE_S, "grace_s": 2 * LEASE_S}
        port = free_port()
        super().__init__(service.home("a"), *service.domains, **service.settings("a", port))
        service.add(self, "a", port)
        self.others = [service.node(name) for name in "bc"]
        self._turns: Iterator[NodeProcess] = cycle([*self.others, self])

    @property
    def port(self) -> int:
        """For STARTTLS, at the next node."""
        return next(self._turns).starttls_port if self.pid else 0

    @port.setter
    def port(self, port: int) -> None:
        """It has been chosen before."""

    @property
    def direct_tls_port(self) -> int:
        """For TLS from the first byte, at the next node."""
        return next(self._turns).client_port if self.pid else 0

    @direct_tls_port.setter
    def direct_tls_port(self, port: int) -> None:
        """It has been chosen before."""

    def start(self) -> None:
        """Start all of them."""
        for node in self.service.nodes.values():
            node.log.unlink(missing_ok=True)
        start_at_once(list(self.service.nodes.values()))
        self.service.until_they_know(*self.service.nodes.values())

    def stop(self) -> None:
        """Stop all of them, one after the other."""
        for node in self.others:
            node.stop()
        super().stop()

    def kill(self) -> None:
        """Kill all of them."""
        for node in self.others:
            node.kill()
        super().kill()

    def settle(self) -> None:
        """Have the nodes handle what they have told each other: a question to all of them comes
        behind that, and behind what that has caused, when it is asked again.
        """
        until = time.monotonic() + CALM_S
        while time.monotonic() < until:  # what waits for the database answers no question
            for node in self.service.nodes.values():
                node.tell("session list")

    def take_away(self) -> None:
        """Nothing is left of them but the directory."""
        self.service.take_away()
