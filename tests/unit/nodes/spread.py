"""Tests of one server, played with its clients spread over three nodes."""

from collections.abc import Iterator, Mapping
from itertools import cycle

from xmppd.config.config import Config
from xmppd.server.xmpp_server import XMPPServer
from xmppd.store.store import Store
from xmppd.testing.client import Client
from xmppd.testing.nodes import NodeHouse, Nodes


class SpreadHouse(Nodes):
    """Three nodes that pass for one house: each client connects to the next of them.

    What a test asks of the server itself, it asks of the first.
    """

    def __init__(
        self,
        domain: str = "montague.lit",
        *,
        config: Config | None = None,
        plugins: tuple[str, ...] = (),
        **people: Mapping[str, str],
    ) -> None:
        super().__init__("a", "b", "c", domain=domain, config=config, plugins=plugins)
        for name, contacts in people.items():
            self.add(name, contacts)
        self._next: Iterator[NodeHouse] = cycle(self.houses.values())

    @property
    def server(self) -> XMPPServer:
        """That of the first node."""
        return self["a"].server

    @property
    def store(self) -> Store:
        """Of all of them."""
        return self["a"].store

    def add(self, name: str, contacts: Mapping[str, str] | None = None) -> None:
        """Add an account with a roster."""
        self["a"].add(name, contacts)

    def bind(self, name: str, resource: str = "1") -> Client:
        """A client with a resource that has not sent presence."""
        return next(self._next).bind(name, resource)

    def connect(self, *names: str) -> list[Client]:
        """Clients that are bound, have fetched their rosters, and are available."""
        clients = [next(self._next).connect(name)[0] for name in names]
        for client in clients:
            client.raw()
        return clients
