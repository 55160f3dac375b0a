"""Sessions that change their node: resumed elsewhere, or handed over."""

import re

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.memory_bus import MemoryBus
from xmppd.cluster.node import Location
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import ns
from xmppd.testing.client import Client
from xmppd.testing.nodes import Nodes

ROMEO = "romeo@montague.lit"
SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"
CHAT = "<message to='{to}' type='chat'><body>{text}</body></message>"


def said(stanzas: list[str] | bytes) -> list[str]:
    """What the messages among these say."""
    text = stanzas.decode() if isinstance(stanzas, bytes) else "".join(stanzas)
    return re.findall("<body>(.*?)</body>", text)


def presences(stanzas: list[str]) -> list[str]:
    """The presences among these."""
    return [each for each in stanzas if each.startswith("<presence")]


class Verona:
    """Romeo is at node b, and Juliet at each of the three.

    Args:
        late_directory: Whether the directory's answers are under way for a while.
    """

    def __init__(self, *, late_directory: bool = True, plugins: tuple[str, ...] = ()) -> None:
        both = {"juliet": "both", "nurse": "both", "tybalt": "both"}
        self.nodes = Nodes(
            "a", "b", "c", late_directory=late_directory, plugins=plugins,
            romeo=both, juliet={"romeo": "both"}, nurse={"romeo": "both"}, tybalt={"romeo": "both"},
        )  # fmt: skip
        (self.at_a,) = self.nodes["a"].connect("juliet")
        (self.at_b,) = self.nodes["b"].connect("nurse")
        (self.at_c,) = self.nodes["c"].connect("tybalt")
        self.contacts = (self.at_a, self.at_b, self.at_c)
        (self.romeo,) = self.nodes["b"].connect("romeo")
        self.id = self.romeo.enable()
        self.settle()
        self.hear()

    def settle(self) -> None:
        """Let everything arrive."""
        self.nodes.settle()

    def pass_time(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.nodes.clock.advance(1)
            self.settle()

    def hear(self) -> list[list[str]]:
        """What each contact has heard since the last time."""
        self.settle()
        return [client.received() for client in self.contacts]

    def write(self, client: Client, text: str) -> None:
        """Somebody writes to Romeo, and it is under way."""
        client.handler.dataReceived(CHAT.format(to=ROMEO, text=text).encode())

    def resume(self, node: str, h: int = 0, name: str = "romeo") -> tuple[Client, list[str]]:
        """Romeo comes back to his session at a node; what he is sent then."""
        client = self.nodes[node].logged_in(name)
        return client, client.resume(self.id, h)

    def session(self, node: str) -> LocalClientSession:
        """His only session at a node."""
        (session,) = self.nodes[node].server.session_manager.local_sessions(ROMEO)
        return session

    def at(self) -> list[str]:
        """The nodes at which he has a session."""
        return [
            name
            for name, house in self.nodes.houses.items()
            if house.server.session_manager.local_sessions(ROMEO)
        ]

    def bus(self, node: str) -> MemoryBus:
        """What a node says to others."""
        bus = self.nodes[node].server.cluster.bus
        assert isinstance(bus, MemoryBus)
        return bus

    def hand_over(self, node: str) -> "Deferred[bool]":
        """Node b hands his session over to another one."""
        session = self.session("b")
        server = self.nodes["b"].server
        if not session.detached:
            server.resumable_sessions.detach(session)
        moving = server.moves.hand_over(session, self.nodes[node].id)
        return Deferred.fromCoroutine(moving)


class ResumedElsewhereTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.verona = Verona()

    def test_asleep(self) -> None:
        """A session that sleeps on another node is resumed, with all that came for it."""
        verona = self.verona
        verona.romeo.abort()
        verona.write(verona.at_a, "one")
        verona.settle()
        client, stanzas = verona.resume("a")
        self.assertIn("<resumed", stanzas[0])
        self.assertEqual(said(stanzas), ["one"])
        self.assertEqual(verona.at(), ["a"])
        self.assertEqual([presences(heard) for heard in verona.hear()], [[], [], []])
        place = verona.nodes.directory.accounts[ROMEO]["1"]
        self.assertEqual(place, Location(verona.nodes["a"].id, client.session.serial))
