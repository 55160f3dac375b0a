"""The server in whose incidents people are drilled, and all that is around it."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from hashlib import sha1
from itertools import cycle, islice
from pathlib import Path
from random import Random

from tests.drill.client import PASSWORD, Client
from tests.integration.federation import FederatedServer, World
from tests.integration.processes import XMPPCTL, environment
from tests.integration.prosody import Prosody
from xmppd.config.config import AuthSettings, PluginSettings, StreamSettings
from xmppd.stanza import ns

OURS, PROSODY, XMPPD, GATEWAY = "example.org", "example.net", "example.com", "gateway.example.org"
SECRET = "wherefore art thou"
PEOPLE = ("romeo", "juliet", "nurse", "tybalt", "benvolio", "mercutio", "paris", "rosaline")
CLIENTS = 200
AT_ONCE = 20
PAUSE_S = (5.0, 15.0)
"""Between two messages of somebody in the crowd."""

DAYS = 80.0
"""Our certificate is good for so long, so that nothing is said about it."""

DISK_BYTES = 134_217_728
FAILING = '''\
"""A plugin that fails whenever somebody shouts."""

from xmppd.plugin.place import Part
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import JID, Message


class Whisper(PacketInterceptor):
    """Fails."""

    incoming_kinds = (Message,)

    def incoming(self, stanza: Message, session: JID) -> Message:
        if b"HO THERE" in stanza.wire():
            raise ValueError("somebody shouts")
        return stanza


def plug() -> list[Part]:
    return [Whisper()]
'''


class Component:
    """The gateway, or what is left of it.

    Args:
        port: For components.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    async def connect(self) -> None:
        """Be there on return."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.send(
            f"<stream:stream xmlns='{ns.COMPONENT}' to='{GATEWAY}' xmlns:stream='{ns.STREAM}'>"
        )
        header = (await self._reader.readuntil(b">")).decode()
        while " id=" not in header:
            header = (await self._reader.readuntil(b">")).decode()
        id = header.partition(" id=")[2].strip("'\"").partition(header.partition(" id=")[2][0])[0]
        key = sha1(f"{id}{SECRET}".encode(), usedforsecurity=False).hexdigest()
        self.send(f"<handshake>{key}</handshake>")
        await self._reader.readuntil(b"handshake")

    async def ignore(self) -> None:
        """Read and forget."""
        while await self._reader.read(65_536):
            pass

    def send(self, text: str) -> None:
        """Send."""
        self._writer.write(text.encode())

    async def say(self, to: str, body: str, times: int) -> None:
        """Send a message, and the same again."""
        for _ in range(times):
            self.send(
                f"<message from='news@{GATEWAY}' to='{to}' type='chat'>"
                f"<body>{body}</body></message>"
            )
            await self._writer.drain()

    def abort(self) -> None:
        """Be gone."""
        self._writer.transport.abort()


class Town:
    """A server with a crowd, two servers of others and a component, as they are when all is well.

    Attributes:
        world: The name server, authorities and servers.
        server: Ours.
        component: The gateway.
        disk: Of our server, if it may have one of its own.
    """

    server: FederatedServer
    component: Component

    def __init__(self) -> None:
        self.world = World()
        self.disk: Path | None = None
        self._random = Random(5)
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: list[Client] = []

    @property
    def prosody(self) -> Prosody:
        """Somebody else's server."""
        server = self.world.servers[PROSODY]
        assert isinstance(server, Prosody)
        return server

    @property
    def xmppd(self) -> FederatedServer:
        """The other xmppd."""
        server = self.world.servers[XMPPD]
        assert isinstance(server, FederatedServer)
        return server

    @property
    def config(self) -> Path:
        """The configuration of our server."""
        return self.server.directory / "xmppd.toml"

    # -- its beginning and end ------------------------------------------------------------------

    async def build(self, clients: int = CLIENTS) -> None:
        """Start everything; so many clients chat."""
        await asyncio.to_thread(self._start)
        self.component = Component(self.server.component_port)
        await self.component.connect()
        self.run(self.component.ignore())
        for name in PEOPLE:
            self.server.add_user(name, PASSWORD)
        names = [f"guest{number}" for number in range(clients)]
        for name in names:
            self.server.add_user(name, PASSWORD)
        turns = asyncio.Semaphore(AT_ONCE)

        async def arrival(name: str) -> Client:
            async with turns:
                return await self.arrive(f"{name}@{OURS}/crowd")

        crowd = await asyncio.gather(*map(arrival, names))
        for client, other in zip(crowd, islice(cycle(crowd), 1, None), strict=False):
            self.run(client.ignore())
            self.run(self._chat(client, other.address))

    def _start(self) -> None:
        directory = self.world.directory / "plugins"
        directory.mkdir()
        (directory / "whisper.py").write_text(FAILING, encoding="utf-8")
        if may_mount():
            self.disk = self.world.directory / OURS / "data"
            self.disk.mkdir(parents=True)
            options = f"size={DISK_BYTES},mode=700"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.disk], check=True)
        self.server = self.world.xmppd(
            OURS,
            days=DAYS,
            settings={
                "auth": defaults(AuthSettings(), "failures_before_delay", "failures_before_lockout")
                | {"scram_iterations": 64},
                "stream": defaults(StreamSettings(), "stanzas_per_s", "bytes_per_s"),
                "component": [{"name": GATEWAY, "secret": SECRET}],
                "plugins": {
                    "load": [*PluginSettings().load, "faults", "whisper"],
                    "directory": str(directory),
                },
            },
            connect_timeout_s=5.0,
        )
        publish_whole(self.world, self.server)
        self.world.xmppd(XMPPD)
        self.world.prosody(PROSODY)

    async def _chat(self, client: Client, to: str) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(*PAUSE_S))
            client.say(to, "how goes it?")

    def run(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Have something go on, until the end at most."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self) -> None:
        """Nothing is left."""
        for task in tuple(self._tasks):
            task.cancel()
        for client in self._clients:
            client.abort()
        for server in self.world.servers.values():
            await asyncio.to_thread(server.stop)
        if self.disk is not None:
            subprocess.run(["umount", self.disk], check=True)
        self.world.end()

    # -- what people do -------------------------------------------------------------------------

    async def arrive(self, address: str, *, reads: bool = True) -> Client:
        """Somebody with a client at our server, until the end."""
        client = await Client(self.server.direct_tls_port, address).log_in(reads=reads)
        self._clients.append(client)
        return client

    # -- what an administrator does -------------------------------------------------------------

    async def xmppctl(self, *arguments: str) -> tuple[str, str]:
        """Give a command; what it prints, and what it complains about."""
        process = await asyncio.create_subprocess_exec(
            *XMPPCTL,
            "--config",
            str(self.config),
            *arguments,
            cwd=self.server.directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, errors = await process.communicate()
        return out.decode(), errors.decode()

    @asynccontextmanager
    async def configured(self, more: str, *, read: bool = True) -> AsyncIterator[None]:
        """The configuration with a piece more, which is read, or is not."""
        before = self.config.read_text(encoding="utf-8")
        self.config.write_text(before + more, encoding="utf-8")
        try:
            if read:
                self.server.tell("reload")
            yield
        finally:
            self.config.write_text(before, encoding="utf-8")
            self.server.tell("reload")


def publish_whole(world: World, server: FederatedServer) -> None:
    """Have DNS lead clients and servers to one, in each way that it takes."""
    world.publish(server)
    names, host, domain = world.names, f"xmpp.{server.domain}", server.domain
    for service, port in (
        ("_xmpp-client", server.port),
        ("_xmpps-client", server.direct_tls_port),
        ("_xmpps-server", server.s2s_direct_tls_port),
    ):
        names.service(f"{service}._tcp.{domain}", host, port)


def defaults(settings: object, *names: str) -> dict[str, object]:
    """Some settings as they are if nobody says anything."""
    return {name: getattr(settings, name) for name in names}


def may_mount() -> bool:
    """Whether disks may be made: in a mount namespace of our own, where nothing is left of them."""
    return os.geteuid() == 0 and "XMPPD_DRILL_DISK" in os.environ


__all__ = ["GATEWAY", "OURS", "PROSODY", "XMPPD", "Town", "publish_whole"]
