"""House: a whole server in memory with a clock you turn by hand, for our tests and every plugin's.

::

    house = House("montague.lit", romeo={"juliet": "both"}, juliet={"romeo": "both"})
    romeo, juliet = house.connect("romeo", "juliet")
    romeo.send("<presence/>")

Two houses that find each other::

    verona, mantua = House("verona.lit"), House("mantua.lit")
    federate(verona, mantua)
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from msgspec import convert
from msgspec.structs import replace
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from xmppd.cluster.cluster import Cluster, alone
from xmppd.config.config import Config, ListenSettings
from xmppd.ctl.commands import of_server
from xmppd.events import OWNER
from xmppd.host.clocks import Clocks, wall_clock
from xmppd.host.machine import Descriptors
from xmppd.net.login_queue import LARGEST_WINDOW
from xmppd.plugin.offers import Offer
from xmppd.plugin.plugin_manager import PluginManager
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza import JID, ns
from xmppd.store.memory import MemoryDatabase
from xmppd.store.rosters import RosterItem
from xmppd.store.store import Store
from xmppd.stream.stream_feature import Stream
from xmppd.testing.client import Client, ComponentClient, done
from xmppd.testing.network import MemoryConnector, MemoryTransport, Network
from xmppd.trace.trace import Trace

P = ParamSpec("P")
T = TypeVar("T")
SOME_AFTERNOON = 1_700_000_000.0
PASSWORD = "a rose by any other name"
"""A password for accounts of tests."""
USUAL_DOMAIN = "montague.lit"


def memory_store(now: Callable[[], float] = wall_clock) -> Store:
    """A store with nothing in it, in memory; nobody turns its clock.

    Args:
        now: Tells the time in seconds since 1970.
    """
    return Store(MemoryDatabase(), Clock(), now)


class House:
    """A server in memory.

    Args:
        domain: The domain it serves; give ``config`` to serve more. By default the first one of
            ``config``.
        config: Instead of the default configuration.
        plugins: The plugins that are loaded: the name of one that is installed, or the path of its
            file or package. Such paths are in one directory, where others are found by name.
        store: Instead of an empty store in memory.
        clock: The steady one, instead of one that begins now.
        wall_ahead_s: The seconds by which the wall clock is ahead of it: a test that changes them
            sets the time of day, which must not change any duration.
        people: For each account the subscriptions in its roster, as ``{"juliet": "both"}``.
    """

    secret = b"only for tests"

    def __init__(
        self,
        domain: str = "",
        *,
        config: Config | None = None,
        plugins: tuple[str | Path, ...] = (),
        store: Store | None = None,
        clock: Clock | None = None,
        wall_ahead_s: float = SOME_AFTERNOON,
        **people: Mapping[str, str],
    ) -> None:
        self._former: House | None = None
        config = config or house_config(domain or USUAL_DOMAIN)
        self.domain = domain or next((each.name for each in config.domain), USUAL_DOMAIN)
        self.clock = clock or Clock()
        self.wall_ahead_s = wall_ahead_s
        self.clocks = Clocks(self.clock.seconds, self.wall_clock, "tests", self.clock.seconds())
        self.descriptors = Descriptors(sys.maxsize)
        self.store = store or Store(MemoryDatabase(), self.clock, self.wall_clock)
        done(self.store.open())
        self.network = Network()
        self.address = "198.51.100.1"
        self.server = XMPPServer(
            _with_directory(config, plugins),
            self.store,
            self,
            make_connector=lambda attempts, directions: MemoryConnector(self),
            cluster=self.join(),
        )
        self.server.client_connections.login_queue.window.size = LARGEST_WINDOW
        self.plugins = PluginManager(self.server)
        self._stopped_with: tuple[str, ...] = ()
        self.traces = Trace(self.server, self.plugins.seams)
        self.plugins.offers.put(Offer(self.traces), OWNER)
        for command in of_server(self.server, self.traces):
            self.server.commands.put(command, OWNER)
        done(self.plugins.load(*(Path(plugin).stem for plugin in plugins)))
        self.begin(Deferred.fromCoroutine(self.server.start()))
        for name, contacts in people.items():
            self.add(name, contacts)

    def join(self) -> Cluster:
        """What it has of other houses of the same service: there are none."""
        return alone()

    def begin(self, starting: Deferred[None]) -> None:
        """See the server start."""
        self.network.settle()
        done(starting)

    def wall_clock(self) -> float:
        """Seconds since 1970."""
        return self.wall_ahead_s + self.clock.seconds()

    async def run_in_thread(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function at once: there are no threads here."""
        return function(*args, **kwargs)

    def reload(self, config: Config) -> None:
        """Take another configuration, as after SIGHUP."""
        self.plugins.use(config)
        self.server.reload(config)
        done(self.plugins.use_settings())

    def stop(self) -> Deferred[None]:
        """Shut the server down; done when the last client is gone."""
        self._stopped_with = tuple(self.plugins.loaded)
        return Deferred.fromCoroutine(self.server.stop(self.plugins.unload_all))

    def restarted(self) -> "House":
        """Shut the server down, and start another one on the same store."""
        self.stop_and_wait()
        return self.again()

    def stop_and_wait(self) -> None:
        """Shut the server down, for as long as its clients take to hang up."""
        stopping = self.stop()
        while self.server.client_connections.handlers:
            self.clock.advance(1)
        done(stopping)

    def again(self) -> "House":
        """Another server on the same store; this one was shut down, or killed."""
        clock = Clock()
        clock.advance(self.clock.seconds())
        house = House(
            self.domain,
            config=self.server.config,
            plugins=self._stopped_with or tuple(self.plugins.loaded),
            store=self.store,
            clock=clock,
            wall_ahead_s=self.wall_ahead_s,
        )
        house._former = self  # were it collected, what waits in it would go on, on the same store
        return house

    def jid(self, name: str) -> JID:
        """The account of this name."""
        return JID.parse(name if "@" in name else f"{name}@{self.domain}")

    def add(self, name: str, contacts: Mapping[str, str] | None = None) -> JID:
        """Add an account with a roster."""
        account = self.jid(name)
        done(self.store.accounts.create_account(account.bare, []))
        items = [
            RosterItem(self.jid(contact).bare, subscription=subscription)
            for contact, subscription in (contacts or {}).items()
        ]
        if items:
            done(self.store.rosters.save_roster_items(account.bare, items))
        return account

    def unauthenticated(self, address: str = "192.0.2.1", *, encrypted: bool = False) -> Client:
        """A client that has just connected; if encrypted, as by TLS without channel bindings."""
        handler = self.server.listeners.listener(
            ListenSettings(endpoint="", kind="client", tls="none")
        ).buildProtocol(IPv4Address("TCP", address, 1))
        transport = MemoryTransport(address, handler)
        handler.makeConnection(transport)  # type: ignore[no-untyped-call]
        client = Client(self, handler, transport)
        if encrypted:
            handler.encrypted = True
            client.stanza_handler.stream |= Stream.SECURE
        return client

    def service(self, domain: str = "", secret: str = "") -> ComponentClient:
        """A component that has connected; with a secret, one that is authenticated."""
        handler = self.server.listeners.listener(
            ListenSettings(endpoint="", kind="component", tls="none")
        ).buildProtocol(None)
        transport = MemoryTransport("127.0.0.1", handler)
        handler.makeConnection(transport)  # type: ignore[no-untyped-call]
        service = ComponentClient(self, handler, transport)
        if domain:
            service.open(domain)
        if secret:
            service.shake_hands(secret)
            service.raw()
        return service

    def logged_in(self, name: str) -> Client:
        """A client that has logged in, and has not bound a resource."""
        account = self.jid(name)
        client = self.unauthenticated()
        client.open(account.domain)
        client.stanza_handler.authenticated(account)
        client.handler.restart()
        client.open(account.domain)
        client.raw()
        return client

    def bind(self, name: str, resource: str = "1") -> Client:
        """A client with a resource that has not sent presence."""
        client = self.logged_in(name)
        client.send(
            f"<iq type='set' id='bind'><bind xmlns='{ns.BIND}'><resource>{resource}</resource>"
            "</bind></iq>"
        )
        client.jid = client.session.jid
        client.keep()
        return client

    def connect(self, *names: str) -> list[Client]:
        """Clients that are bound, have fetched their rosters, and are available; what came until
        then is in their :attr:`~xmppd.testing.client.Client.at_login`.

        A name may bring a resource: ``romeo/orchard``.
        """
        clients = []
        for name in names:
            account, _, resource = name.partition("/")
            client = self.bind(account, resource or "1")
            client.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq><presence/>")
            clients.append(client)
        for client in clients:
            client.keep()
        return clients


def _with_directory(config: Config, plugins: Sequence[str | Path]) -> Config:
    """The configuration with the directory that plugins given by their path are in."""
    directories = {plugin.absolute().parent for plugin in plugins if isinstance(plugin, Path)}
    if not directories:
        return config
    if len(directories) > 1:
        raise ValueError(f"plugins are in one directory, not in {len(directories)}")
    settings = replace(config.plugins, directory=str(directories.pop()))
    return replace(config, plugins=settings)


def house_config(
    *domains: str, **tables: Mapping[str, object] | Sequence[Mapping[str, object]]
) -> Config:
    """A configuration for a house, without TLS and without limits on rates.

    Args:
        domains: The domains it serves.
        tables: As in the file: ``sessions={"conflict": "refuse"}``; an array of tables is a list,
            and a table that is not the server's is that of a plugin.
    """
    config: dict[str, Any] = {
        "tls": {"required": False},
        "stream": {"stanzas_per_s": 0.0, "bytes_per_s": 0.0},
        "s2s": {"require_tls": False, "require_valid_certificate": False},
        "auth": {"scram_iterations": 16},
        "plugins": {"load": ()},
    }
    for name, table in tables.items():
        usual = config.get(name, {})
        if isinstance(usual, Mapping) and isinstance(table, Mapping):
            config[name] = {**usual, **table}
        else:
            config[name] = table
    plugin_tables = {
        name: config.pop(name) for name in tables if name not in Config.__struct_fields__
    }
    domain = [{"name": domain} for domain in domains]
    return convert({"domain": domain, "plugin_tables": plugin_tables, **config}, Config)
