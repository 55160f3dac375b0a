"""The scenarios once more: a real server, real sockets, real TLS, and a database in a file."""

import re
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from OpenSSL import SSL

from tests.integration.people import PASSWORD, PATIENCE_S, ServerCase
from tests.integration.raw_client import RawClient
from tests.integration.spread_server import SpreadServer
from tests.scenarios.script import Actor, Play, title
from tests.scenarios.test_scenarios import PLUGINS, SCENARIOS
from xmppd.stanza import ns
from xmppd.testing.client import done
from xmppd.testing.process import ServerProcess

_ROOM = re.compile(r" to='([^'/]+@conference\.[^'/]+)")
OPENING = f"<s xmlns:stream='{ns.STREAM}'>".encode()


class SocketActor:
    """A client at the other end of a socket; it blocks, and so nothing here waits for long."""

    def __init__(self, stage: "SocketStage", name: str, resource: str) -> None:
        self.stage, self.name, self.resource = stage, name, resource
        self.open = False
        self._closing = False
        self._fences = count(1)
        self._stanzas: list[str] = []

    async def bind(self) -> None:
        self._client = RawClient(self.stage.server)
        self._client.log_in(self.name, PASSWORD, self.resource)
        self._parser: Any = ElementTree.XMLPullParser(("start", "end"))
        self._parser.feed(OPENING)
        self._depth = 0
        self._stanzas.clear()
        self.open, self._closing = True, False
        self.stage.settle()

    async def send(self, text: str) -> None:
        self._closing = text.endswith("</stream:stream>")
        self.stage.rooms |= set(_ROOM.findall(text))
        self._client.send(text.encode())

    async def received(self) -> list[str]:
        self.stage.settle()
        self.fence()
        stanzas = self._stanzas[:]
        self._stanzas.clear()
        return stanzas

    async def abort(self) -> None:
        self.fence()
        self._gone()

    async def disconnected(self) -> bool:
        self.stage.settle()
        return not self.open

    def fence(self) -> None:
        """Read all that the server had for us, and see it do what we have asked."""
        if not self.open:
            return
        if self._closing:
            self._read_until("")
            return
        for address in (self.stage.server.domain, *self.stage.rooms):
            if self.open:
                self._fence(address)

    def _fence(self, address: str) -> None:
        """Wait for an answer, result or error: what was sent there before is done then."""
        fence = f"fence-{next(self._fences)}"
        try:
            self._client.send(
                f"<iq type='get' id='{fence}' to='{address}'>"
                "<ping xmlns='urn:xmpp:ping'/></iq>".encode()
            )
        except (SSL.Error, OSError):
            fence = ""  # what came before the end is still to be read
        self._read_until(fence)

    def _read_until(self, fence: str) -> None:
        while data := self._client.receive():
            inside, end, _ = data.partition(b"</stream:stream>")
            self._parser.feed(inside)
            if self._note(fence):
                return
            if end:
                break
        self._gone()

    def _note(self, fence: str) -> bool:
        """Keep the stanzas that are whole; whether the answer to our ping was among them."""
        found = False
        for event, element in self._parser.read_events():
            self._depth += 1 if event == "start" else -1
            if event == "end" and self._depth == 1:
                if fence and element.get("id") == fence:
                    found = True
                else:
                    self._stanzas.append(ElementTree.tostring(element, encoding="unicode"))
        return found

    def _gone(self) -> None:
        self._client.close()
        self.open = False


class SocketStage:
    """A server in a process of its own, and sockets to it."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.actors: list[SocketActor] = []
        self.rooms: set[str] = set()  # that somebody has sent something to
        self._friends: dict[str, set[str]] = {}

    @property
    def is_ordered(self) -> bool:
        return not isinstance(self.server, SpreadServer)

    async def account(self, name: str, contacts: dict[str, str]) -> None:
        assert set(contacts.values()) <= {"both"}, contacts
        self.server.add_user(name, PASSWORD)
        self._friends[name] = set(contacts)
        for friend in self._friends[name] & self._friends.keys():
            self.server.tell(
                "roster add",
                account=self._address(name),
                contact=self._address(friend),
                mutual=True,
            )

    def actor(self, name: str, resource: str) -> Actor:
        actor = SocketActor(self, name, resource)
        self.actors.append(actor)
        return actor

    async def wait(self, seconds: float) -> None:
        raise AssertionError("here time passes by itself")

    def settle(self) -> None:
        """Wait until the server has done what everybody asked, and has missed who is gone."""
        for actor in self.actors:
            actor.fence()
        if isinstance(self.server, SpreadServer):
            self.server.settle()
            for actor in self.actors:
                actor.fence()
        until = time.monotonic() + PATIENCE_S
        here = sum(actor.open for actor in self.actors)
        while len(self.server.tell("session list")) != here:
            if time.monotonic() > until:
                raise AssertionError(f"the server has other sessions than these {here}")

    def end(self) -> None:
        """Leave nobody, and nothing of theirs."""
        for actor in self.actors:
            if actor.open:
                actor._gone()
        for name in self._friends:
            self.server.tell("user delete", account=self._address(name))

    def _address(self, name: str) -> str:
        return f"{name}@{self.server.domain}"


class ScenarioTests(ServerCase):
    """One test for each file in which no time has to pass."""

    domains = ("montague.lit",)
    settings = {"plugins": {"load": list(PLUGINS)}}


def _test_of(path: Path) -> Callable[[ScenarioTests], None]:
    def test(self: ScenarioTests) -> None:
        stage = SocketStage(self.server)
        self.addCleanup(stage.end)
        done(Play(stage).run(path.read_text(encoding="utf-8")))

    test.__doc__ = title(path)
    return test


for _path in SCENARIOS:
    if "seconds pass" not in _path.read_text(encoding="utf-8"):
        setattr(ScenarioTests, f"test_{_path.stem}", _test_of(_path))
