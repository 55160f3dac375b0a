"""Three nodes and a prosody: for another server they are one, which has one stream to it."""

import asyncio
from collections.abc import Iterable
from typing import Any

from tests.integration.federation import FederationCase, World
from tests.integration.node_processes import NodeProcess, NodeProcesses, start_at_once
from tests.integration.people import PASSWORD, Person, people
from tests.ports import HOST, free_port

MONTAGUE, CAPULET = "montague.lit", "capulet.lit"
NAMES = ("a", "b", "c")
SAID = 20


class FederatedNodes(NodeProcesses):
    """Nodes that other servers find at the first of them.

    Args:
        world: Where they are.
    """

    def __init__(self, world: World) -> None:
        super().__init__("direct", MONTAGUE)
        dns = world.names.address
        self.tables["s2s"] = {
            "authorities": str(world.authority.file),
            "dns_servers": [f"{dns[0]}:{dns[1]}"],
            "allow_private": True,
            "retry_first_s": 0.1,
        }
        world.authority.issue(MONTAGUE, directory=self.home("a"))
        for name in NAMES:
            port = free_port()
            door = {"endpoint": f"epoll:{port}:interface={HOST}", "kind": "server"}
            self.tables["listen"] = [{**door, "tls": "starttls"}]
            self.node(name)
            if name == "a":
                world.names.service(f"_xmpp-server._tcp.{MONTAGUE}", f"xmpp.{MONTAGUE}", port)
                world.names.host(f"xmpp.{MONTAGUE}", HOST)
        start_at_once(list(self.nodes.values()))
        self.until_they_know(*self.nodes.values())

    def streams(self) -> Iterable[dict[str, Any]]:
        """The streams of all nodes with the other server."""
        rows = self.nodes["a"].tell("s2s list")
        return [row for row in rows if isinstance(row, dict) and row["remote"] == CAPULET]


class ProsodyAndNodesTests(FederationCase):
    def setUp(self) -> None:
        super().setUp()
        self.nodes = FederatedNodes(self.world)
        self.addCleanup(self.nodes.take_away)

    @classmethod
    def populate(cls, world: World) -> None:
        world.prosody(CAPULET)

    async def person(self, node: NodeProcess, name: str) -> Person:
        """Somebody at a node."""
        node.add_user(name, PASSWORD)
        person = Person(node, f"{name}@{MONTAGUE}/{name}")
        person.ca_certs = self.world.authority.file
        self.present.append(person)
        return await person.arrive()

    @people
    async def test_one_stream(self) -> None:
        """People at all nodes write to somebody there, and are answered; what each says comes in
        order, by one stream.
        """
        juliet = await self.arrive("juliet", self.world.servers[CAPULET])
        nodes = self.nodes.nodes
        some = [await self.person(nodes[name], f"one-at-{name}") for name in NAMES]
        for number in range(SAID):
            for person in some:
                person.say(juliet.boundjid.bare, str(number))
        for person in some:
            for number in range(SAID):
                message = await juliet.expect("message", sender=person.boundjid)
                self.assertEqual(message["body"], str(number))
            juliet.say(person.boundjid.full, "I hear")
            await person.expect("message", body="I hear", sender=juliet.boundjid)
        streams = await asyncio.to_thread(self.nodes.streams)
        outgoing = [stream for stream in streams if stream["direction"] in ("out", "both")]
        self.assertEqual(len(outgoing), 1, streams)
        log = self.world.servers[CAPULET].log.read_text()
        self.assertEqual(log.count(f"Incoming s2s connection {MONTAGUE}->{CAPULET} complete"), 1)
