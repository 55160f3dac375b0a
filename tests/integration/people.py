"""People with a client that others have written, slixmpp, at a server in a process of its own."""

import asyncio
import atexit
import logging
import os
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, ClassVar, Protocol, TypeVar

from slixmpp import JID, ClientXMPP
from slixmpp.xmlstream import StanzaBase
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.spread_server import SpreadServer
from xmppd.testing.process import ServerProcess

PATIENCE_S = 60.0
PASSWORD = "a rose by any other name"
PLUGINS = ("xep_0030", "xep_0049", "xep_0050", "xep_0054", "xep_0077", "xep_0092", "xep_0115",
           "xep_0199", "xep_0203")  # fmt: skip

Case = TypeVar("Case", bound="Gathering")

# Without a handler, Python writes what slixmpp has to say between the lines of trial.
logging.getLogger().addHandler(logging.NullHandler())


class Refused(Exception):
    """The server did not let somebody in."""


class Home(Protocol):
    """A server that people may connect to."""

    host: str
    port: int
    direct_tls_port: int

    def certificate_of(self, domain: str) -> Path:
        """What they have to trust."""


class Gathering(Protocol):
    """A test with people; they are sent home when it ends."""

    present: "list[Person]"


class Person(ClientXMPP):
    """Somebody with a client that keeps what comes until it is looked at.

    Args:
        server: Where they go.
        address: Their JID; with a resource, if they ask for one.
        password: What they say it is.
        mechanism: The only one they log in by.
        direct_tls: Whether TLS begins with the first byte.

    Attributes:
        inbox: Stanzas that came and were not expected yet.
    """

    def __init__(
        self,
        server: Home,
        address: str,
        password: str = PASSWORD,
        *,
        mechanism: str | None = None,
        direct_tls: bool = False,
        plugins: tuple[str, ...] = PLUGINS,
    ) -> None:
        super().__init__(address, password, sasl_mech=mechanism)
        self.process = server
        self.ca_certs = server.certificate_of(self.boundjid.domain)
        self.enable_direct_tls, self.enable_starttls = direct_tls, not direct_tls
        for plugin in plugins:
            self.register_plugin(plugin)
        self.roster.auto_authorize = None  # type: ignore[assignment]  # ask
        self.roster.auto_subscribe = False
        self.end_session_on_disconnect = True
        self.inbox: list[StanzaBase] = []
        self._came = asyncio.Event()
        self.add_filter("in", self._keep)

    def _keep(self, stanza: StanzaBase) -> StanzaBase:
        self.inbox.append(stanza)
        self._came.set()
        return stanza

    # -- coming and going -----------------------------------------------------------------------

    async def log_in(self) -> "Person":
        """Connect, log in, bind a resource.

        Raises:
            Refused: We were not let in.
        """
        outcome: asyncio.Future[str] = self.loop.create_future()

        def hear(event: str) -> Callable[[object], None]:
            return lambda _: None if outcome.done() else outcome.set_result(event)

        for event in ("session_start", "failed_all_auth", "disconnected"):
            self.add_event_handler(event, hear(event), disposable=True)
        port = self.process.direct_tls_port if self.enable_direct_tls else self.process.port
        self.connect(self.process.host, port)
        if await asyncio.wait_for(outcome, PATIENCE_S) != "session_start":
            raise Refused(str(self.inbox[-1]) if self.inbox else "without a word")
        return self

    async def arrive(self) -> "Person":
        """Log in, fetch the roster, and be available."""
        await self.log_in()
        await self.get_roster()
        self.send_presence()
        await self.catch_up()
        return self

    async def leave(self) -> None:
        """Go offline, and be gone on return."""
        gone = asyncio.ensure_future(self.wait_until("disconnected", PATIENCE_S))
        await asyncio.sleep(0)
        await self.disconnect()
        await gone

    async def lose(self) -> None:
        """Have the connection break."""
        gone = asyncio.ensure_future(self.wait_until("disconnected", PATIENCE_S))
        await asyncio.sleep(0)
        self.abort()
        await gone

    def say(self, to: str | JID, body: str) -> None:
        """Send a message."""
        self.send_message(JID(to), body, mtype="chat")

    # -- seeing ---------------------------------------------------------------------------------

    async def expect(self, name: str, **parts: object) -> Any:
        """Take the first stanza of this name, such as ``message``, with parts that are like that.

        Args:
            name: The element's.
            parts: As slixmpp names them; ``sender`` is ``from``.
        """
        if "sender" in parts:
            parts["from"] = str(parts.pop("sender"))
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (found := self._find(name, parts)) is None:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            came = "\n".join(map(str, self.inbox))
            raise AssertionError(f"{self.boundjid} saw no {name} {parts}, but:\n{came}") from None
        self.inbox.remove(found)
        return found

    def _find(self, name: str, parts: dict[str, object]) -> StanzaBase | None:
        for stanza in self.inbox:
            if stanza.name == name and all(
                str(stanza[part]) == str(value) for part, value in parts.items()
            ):
                return stanza
        return None

    async def catch_up(self) -> None:
        """See everything that the server had for us when we asked."""
        await self._ping()
        if isinstance(self.process, SpreadServer):
            await asyncio.to_thread(self.process.settle)
            await self._ping()

    async def _ping(self) -> None:
        ping = self.make_iq_get(ito=self.boundjid.domain)
        ping.enable("ping")
        await ping.send(timeout=PATIENCE_S)

    async def saw_nothing(self, name: str) -> None:
        """Fail if something of this name has come, or was on its way."""
        await self.catch_up()
        came = [str(stanza) for stanza in self.inbox if stanza.name == name]
        if came:
            raise AssertionError(f"{self.boundjid} saw {came}")


async def befriend(one: Person, other: Person) -> None:
    """Both ask, both accept, and both see each other."""
    for asking, asked in ((one, other), (other, one)):
        asking.send_presence_subscription(asked.boundjid.bare, ptype="subscribe")
        await asked.expect("presence", type="subscribe", sender=asking.boundjid.bare)
        asked.send_presence_subscription(asking.boundjid.bare, ptype="subscribed")
        await asking.expect("presence", type="subscribed", sender=asked.boundjid.bare)
        await asking.expect("presence", type="available", sender=asked.boundjid)


# --- tests -------------------------------------------------------------------------------------


def people(test: Callable[[Case], Awaitable[None]]) -> Callable[[Case], None]:
    """A test that waits for people, for a while; asyncio runs it, since slixmpp needs that."""

    async def bounded(case: Case) -> None:
        case.present = []
        try:
            async with asyncio.timeout(3 * PATIENCE_S):
                await test(case)
        finally:
            for person in case.present:
                person.abort()

    @wraps(test)
    def run(case: Case) -> None:
        asyncio.run(bounded(case))

    return run


class Servers:
    """The server of the class of tests that runs just now; it ends when the next one needs its own.

    Trial knows no fixtures of a class.
    """

    def __init__(self) -> None:
        self._owner: type[ServerCase] | None = None
        self._directory = Path()
        self._server: ServerProcess | None = None
        atexit.register(self.stop)

    def of(self, owner: "type[ServerCase]") -> ServerProcess:
        """The server of this class, which is up."""
        if self._server is None or self._owner is not owner or not self._server.port:
            self.stop()
            self._owner = owner
            # A short path: that of a Unix socket may have 107 characters.
            self._directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
            self._server = owner.make(self._directory)
            self._server.start()
        return self._server

    def stop(self) -> None:
        """End it, and leave nothing behind."""
        owner, server = self._owner, self._server
        self._owner = self._server = None
        if server is not None:
            server.stop()
        if isinstance(server, SpreadServer):
            server.take_away()
        if owner is not None:
            rmtree(self._directory)
            owner.clean_up()


SERVERS = Servers()


class ServerCase(SynchronousTestCase):
    """Tests that share a server; each has accounts of its own.

    Attributes:
        domains: The domains it serves.
        settings: Where its configuration differs.
        is_spread: Whether it is three nodes, to which people come in turn; for all tests if the
            environment has XMPPD_TEST_NODES.
        server: It.
        present: Who is, or was, connected in this test.
    """

    domains: ClassVar[tuple[str, ...]] = ("verona.lit",)
    settings: ClassVar[dict[str, object]] = {}
    is_spread: ClassVar[bool] = "XMPPD_TEST_NODES" in os.environ
    present: list[Person]

    @classmethod
    def make(cls, directory: Path) -> ServerProcess:
        """The server for these tests, not started."""
        quick = {"auth": {"scram_iterations": 64}}
        kind = SpreadServer if cls.is_spread else ServerProcess
        return kind(directory, *cls.domains, **{**quick, **cls.settings})

    @classmethod
    def clean_up(cls) -> None:
        """Take away what the server left outside its directory."""

    def setUp(self) -> None:
        # slixmpp loads the machine's authorities for every client, which takes a while.
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            os.environ[name] = os.devnull
            self.addCleanup(os.environ.pop, name)
        self.server = SERVERS.of(type(self))
        self.suffix = self._testMethodName.removeprefix("test_").replace("_", "-")

    def account(self, name: str) -> str:
        """A new account, whose address no other test has."""
        return self.server.add_user(f"{name}-{self.suffix}", PASSWORD)

    def person(self, address: str, password: str = PASSWORD, **how: Any) -> Person:
        """Somebody who is about to come."""
        person = Person(self.server, address, password, **how)
        self.present.append(person)
        return person

    async def arrivals(self, *names: str) -> list[Person]:
        """New accounts, and their owners available."""
        return [await self.person(f"{self.account(name)}/{name}").arrive() for name in names]
