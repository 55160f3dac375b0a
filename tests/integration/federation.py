"""Servers that find each other, for tests: an authority, a name server, xmppd and prosody."""

import asyncio
import atexit
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.people import PASSWORD, PATIENCE_S, Person
from tests.integration.prosody import Prosody
from tests.name_server import NameThread
from xmppd.testing.process import HOST, ServerProcess
from xmppd.testing.signing_authority import SigningAuthority

QUICK = {"scram_iterations": 64}


class FederatedServer(ServerProcess):
    """An xmppd with doors for other servers.

    Args:
        directory: Where it keeps its files.
        domain: What it serves.
        authority: Whose signatures it believes.
        signer: Who signed its certificate.
        days: How long that is valid yet.
        dns: The name server it asks.
        s2s: Where its table ``s2s`` differs.
        settings: Where its other tables differ.

    Attributes:
        s2s_port: For servers.
        s2s_direct_tls_port: For servers, with TLS from the first byte.
        trust: PEM: what clients have to trust.
    """

    s2s_port = 0
    s2s_direct_tls_port = 0

    def __init__(
        self,
        directory: Path,
        domain: str,
        *,
        authority: SigningAuthority,
        signer: SigningAuthority,
        days: float = 5,
        dns: tuple[str, int],
        s2s: Mapping[str, object],
        **settings: object,
    ) -> None:
        signer.issue(domain, days=days, directory=directory)
        self.trust = signer.file
        table = {
            "authorities": str(authority.file),
            "dns_servers": [f"{dns[0]}:{dns[1]}"],
            "allow_private": True,
            "retry_first_s": 0.1,
            **s2s,
        }
        super().__init__(directory, domain, **{"auth": QUICK, **settings, "s2s": table})

    def start(self) -> None:
        super().start()
        self.s2s_port, self.s2s_direct_tls_port = self.ports("server")

    def _configuration(self, settings: Any) -> str:
        doors = "".join(
            f'[[listen]]\nendpoint = "epoll:0:interface={HOST}"\nkind = "server"\ntls = "{tls}"\n'
            for tls in ("starttls", "direct")
        )
        return super()._configuration(settings) + doors

    def streams(self, remote: str) -> list[dict[str, Any]]:
        """What ``xmppctl s2s list`` says of a domain."""
        rows = [row for row in self.tell("s2s list") if isinstance(row, dict)]
        return [row for row in rows if row["remote"] == remote]

    def steps(self, remote: str) -> list[dict[str, Any]]:
        """What ``xmppctl s2s why`` says."""
        return [row for row in self.tell("s2s why", domain=remote) if isinstance(row, dict)]


Server = FederatedServer | Prosody
AnyServer = TypeVar("AnyServer", FederatedServer, Prosody)


class World:
    """A name server, authorities, and the servers that find each other by them.

    Attributes:
        directory: Of all files.
        names: The name server.
        authority: Everybody believes it.
        stranger: An authority that nobody believes.
        servers: By what they serve.
    """

    def __init__(self) -> None:
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.names = NameThread()
        self.authority = SigningAuthority(self.directory, "authority")
        self.unauthenticated = SigningAuthority(self.directory, "stranger")
        self.servers: dict[str, Server] = {}

    def xmppd(
        self,
        domain: str,
        *,
        believed: bool = True,
        days: float = 5,
        settings: Mapping[str, object] | None = None,
        **s2s: object,
    ) -> FederatedServer:
        """An xmppd that runs and can be found.

        Args:
            domain: What it serves.
            believed: Whether everybody believes who signed its certificate.
            days: How long that is valid yet.
            settings: Where its other tables differ.
            s2s: Where its table ``s2s`` differs.
        """
        server = FederatedServer(
            self._room(domain),
            domain,
            authority=self.authority,
            signer=self.authority if believed else self.unauthenticated,
            days=days,
            dns=self.names.address,
            s2s=s2s,
            **(settings or {}),
        )
        return self._started(server)

    def prosody(
        self,
        domain: str,
        *,
        believed: bool = True,
        secure: bool = True,
        days: float = 5,
        named: str = "",
    ) -> Prosody:
        """A prosody that runs and can be found.

        Args:
            domain: What it serves.
            believed: Whether everybody believes who signed its certificate.
            secure: Whether it believes nobody without a valid certificate.
            days: How long its certificate is valid yet.
            named: Whom its certificate names instead.
        """
        server = Prosody(
            self._room(domain),
            domain,
            authority=self.authority,
            signer=self.authority if believed else self.unauthenticated,
            days=days,
            named=named,
            dns=self.names.address,
            secure=secure,
        )
        return self._started(server)

    def _room(self, domain: str) -> Path:
        room = self.directory / domain
        room.mkdir(exist_ok=True)
        return room

    def _started(self, server: AnyServer) -> AnyServer:
        self.servers[server.domain] = server
        server.start()
        self.publish(server)
        return server

    def publish(self, server: Server, port: int = 0, *, direct_tls: bool = False) -> None:
        """Have DNS say where a server is now.

        Args:
            server: Which.
            port: What DNS says instead of the truth.
            direct_tls: Whether DNS names its door for direct TLS, and no other.
        """
        plain, direct = (
            f"_{kind}._tcp.{server.domain}" for kind in ("xmpp-server", "xmpps-server")
        )
        host = f"xmpp.{server.domain}"
        for name in (plain, direct, host):
            self.names.forget(name)
        if direct_tls:
            self.names.service(direct, host, port or server.s2s_direct_tls_port)
        else:
            self.names.service(plain, host, port or server.s2s_port)
        self.names.host(host, HOST)

    def end(self) -> None:
        """Nothing of it is left."""
        for server in self.servers.values():
            server.stop()
        self.names.stop()
        rmtree(self.directory)


class Worlds:
    """The world of the class of tests that runs just now; it ends when the next one needs its own.

    Trial knows no fixtures of a class.
    """

    def __init__(self) -> None:
        self._owner: type[FederationCase] | None = None
        self._world: World | None = None
        atexit.register(self.end)

    def of(self, owner: "type[FederationCase]") -> World:
        """The world of this class."""
        if self._world is None or self._owner is not owner:
            self.end()
            self._owner, self._world = owner, World()
            try:
                owner.populate(self._world)
            except BaseException:
                self.end()
                raise
        return self._world

    def end(self) -> None:
        """Leave nothing behind."""
        world, self._world = self._world, None
        if world is not None:
            world.end()


WORLDS = Worlds()


class FederationCase(SynchronousTestCase):
    """Tests that share a world; each has accounts of its own.

    Attributes:
        world: It.
        present: Who is, or was, connected in this test.
    """

    world: World
    present: list[Person]

    @classmethod
    def populate(cls, world: World) -> None:
        """Start the servers that all tests of the class need."""

    def setUp(self) -> None:
        # slixmpp loads the machine's authorities for every client, which takes a while.
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            os.environ[name] = os.devnull
            self.addCleanup(os.environ.pop, name)
        self.world = WORLDS.of(type(self))
        self.suffix = self._testMethodName.removeprefix("test_").replace("_", "-")

    async def arrive(self, name: str, server: Server) -> Person:
        """Somebody with a new account at a server, available."""
        address = await asyncio.to_thread(server.add_user, f"{name}-{self.suffix}", PASSWORD)
        return await self._arrive(server, f"{address}/{name}")

    async def again(self, person: Person) -> Person:
        """The same account and resource, once more."""
        return await self._arrive(self.world.servers[person.boundjid.domain], person.boundjid.full)

    async def _arrive(self, server: Server, address: str) -> Person:
        person = Person(server, address)
        person.ca_certs = server.trust
        self.present.append(person)
        return await person.arrive()

    async def until(self, condition: Callable[[], object]) -> None:
        """Look again and again until it is so."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.05)
