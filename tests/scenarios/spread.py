"""A service of three nodes that is used as if it were one house: all come to the next in turn."""

from collections.abc import Iterator, Mapping
from itertools import cycle

from tests.support import SlowStore
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza import JID
from xmppd.testing.client import Client
from xmppd.testing.house import House
from xmppd.testing.nodes import Nodes, SharedMemoryDatabase

NAMES = ("a", "b", "c")


class SpreadStore(SlowStore):
    """A store that several nodes have, each by a view of its own, and that takes its time for all
    of them when it is told to.
    """

    def __init__(self) -> None:
        self.shared_database = SharedMemoryDatabase()
        super().__init__(self.shared_database)


class Spread:
    """Three houses that are one service.

    Args:
        domain: That they serve.
        store: Instead of a quick one.
        people: For each account the subscriptions in its roster.
    """

    def __init__(
        self, domain: str = "montague.lit", *, store: SpreadStore, **people: Mapping[str, str]
    ) -> None:
        self.store = store
        self.nodes = Nodes(
            *NAMES,
            domain=domain,
            late_directory=True,
            database=store.shared_database,
            make_store=lambda: SlowStore(store.shared_database, pace=store),
        )
        for name, contacts in people.items():
            self.nodes["a"].add(name, contacts)
        self._next: Iterator[House] = cycle(self.nodes.houses.values())

    @property
    def server(self) -> XMPPServer:
        """The server of one of them, for what it knows of accounts."""
        return self.nodes["a"].server

    def jid(self, name: str) -> JID:
        """The account of this name."""
        return self.nodes["a"].jid(name)

    def bind(self, name: str, resource: str = "1") -> Client:
        """A client with a resource, at the next house."""
        return next(self._next).bind(name, resource)

    def connect(self, *names: str) -> list[Client]:
        """Clients that are available, each at the next house."""
        clients = [client for name in names for client in next(self._next).connect(name)]
        for client in clients:
            client.raw()
        return clients
