"""Somebody's node is looked up, and remembered for a while."""

import re
from collections.abc import Collection, Mapping

from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.node import Location, NodeId
from xmppd.routing.hints import HINT_S, MAX_HINTS, Hints
from xmppd.stanza import ns
from xmppd.testing.client import Client
from xmppd.testing.nodes import NodeHouse, Nodes

JULIET = "juliet@montague.lit"


class NodesTestCase(SynchronousTestCase):
    """Romeo is at a, Juliet at b."""

    plugins: tuple[str, ...] = ()
    subscription = "none"

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", "c", plugins=self.plugins)
        for name, contact in (("romeo", "juliet"), ("juliet", "romeo")):
            self.nodes["a"].add(name, {contact: self.subscription})
        self.a, self.b, self.c = (self.nodes[name] for name in "abc")
        self.asked: list[str] = []
        for house in self.nodes.houses.values():
            self.watch(house)
        (self.romeo,) = self.a.connect("romeo")
        (self.juliet,) = self.b.connect("juliet")
        self.asked.clear()

    def watch(self, house: NodeHouse) -> None:
        """Note what the directory is asked at this node."""
        directory = house.server.cluster.directory
        nodes_of = directory.nodes_of

        async def ask(accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
            self.asked += accounts
            return await nodes_of(accounts)

        self.patch(directory, "nodes_of", ask)

    def bodies(self, client: Client) -> list[str]:
        """The texts of the messages that a client has got."""
        return re.findall("<body>(.*?)</body>", " ".join(client.received()))


class LocateTests(NodesTestCase):
    def test_account(self) -> None:
        """A message to a bare JID finds the account; the next one needs no look-up."""
        for number in range(3):
            self.romeo.send(f"<message to='{JULIET}'><body>{number}</body></message>")
        self.assertEqual(self.bodies(self.juliet), ["0", "1", "2"])
        self.assertEqual(self.asked, [JULIET])

    def test_resource(self) -> None:
        """So does one to a full JID."""
        self.romeo.send(f"<message to='{JULIET}/1'><body>hi</body></message>")
        self.assertEqual(self.bodies(self.juliet), ["hi"])

    def test_hint_ends(self) -> None:
        """What was looked up is looked up again after a while."""
        self.romeo.send(f"<message to='{JULIET}'><body>1</body></message>")
        self.nodes.clock.advance(HINT_S)
        self.romeo.send(f"<message to='{JULIET}'><body>2</body></message>")
        self.assertEqual(self.bodies(self.juliet), ["1", "2"])
        self.assertEqual(self.asked, [JULIET, JULIET])

    def test_answer(self) -> None:
        """Whoever gets a message knows where its sender is."""
        self.romeo.send(f"<message to='{JULIET}'><body>1</body></message>")
        self.juliet.received()
        self.asked.clear()
        self.juliet.send("<message to='romeo@montague.lit'><body>2</body></message>")
        self.assertEqual(self.bodies(self.romeo), ["2"])
        self.assertEqual(self.asked, [])

    def test_request(self) -> None:
        """A request to a full JID is answered by its client."""
        self.romeo.send(f"<iq to='{JULIET}/1' type='get' id='1'><ping xmlns='{ns.PING}'/></iq>")
        (asked,) = self.juliet.received()
        self.assertIn("from='romeo@montague.lit/1'", asked)
        self.juliet.send("<iq to='romeo@montague.lit/1' type='result' id='1'/>")
        self.assertEqual(
            self.romeo.received(),
            [f"<iq from='{JULIET}/1' to='romeo@montague.lit/1' type='result' id='1'/>"],
        )

    def test_request_to_nobody(self) -> None:
        """A request to a resource that is nowhere is refused, from whichever node."""
        for resource in ("1", "x"):
            if resource == "1":
                self.juliet.abort()
            self.romeo.send(
                f"<iq to='{JULIET}/{resource}' type='get' id='1'><ping xmlns='{ns.PING}'/></iq>"
            )
            self.assertIn("<service-unavailable", "".join(self.romeo.received()))

    def test_directed_presence(self) -> None:
        """Directed presence arrives."""
        presence = f"<presence from='romeo@montague.lit/1' to='{JULIET}/1'/>"
        self.romeo.send(presence)
        self.assertEqual(self.juliet.received(), [presence])

    def test_nobody(self) -> None:
        """That somebody is nowhere is not remembered."""
        self.juliet.abort()
        self.romeo.send(f"<message to='{JULIET}'><body>1</body></message>")
        (juliet,) = self.c.connect("juliet")
        self.romeo.send(f"<message to='{JULIET}'><body>2</body></message>")
        self.assertEqual(self.bodies(juliet)[-1], "2")

    def test_moved(self) -> None:
        """Who is not any more where a hint says is found where the directory says."""
        self.romeo.send(f"<message to='{JULIET}'><body>1</body></message>")
        self.juliet.abort()
        (juliet,) = self.c.connect("juliet")
        juliet.received()
        self.romeo.send(f"<message to='{JULIET}'><body>2</body></message>")
        self.assertEqual(self.bodies(juliet), ["2"])

    def test_passed_on_and_on(self) -> None:
        """A stanza is passed on twice at most: two nodes that believe each other to have an account
        do not play with it.
        """
        self.juliet.abort()
        for house in (self.b, self.c):
            house.server.routing_table.elsewhere[JULIET] = (Location(self.a.id, 1),)
        for kind in ("b", "c"):
            self.a.server.routing_table.hints.note(JULIET, (Location(self.nodes[kind].id, 1),))
            self.romeo.send(f"<message to='{JULIET}' id='{kind}' type='groupchat'/>")
            self.assertIn("<service-unavailable", "".join(self.romeo.received()))


class HintTests(SynchronousTestCase):
    def test_bound(self) -> None:
        """The oldest hints make way."""
        hints = Hints(lambda: 0.0)
        there = (Location(NodeId("b", 1), 1),)
        for number in range(MAX_HINTS + 1):
            hints.note(str(number), there)
        self.assertEqual((len(hints), hints.get("0"), hints.get("1")), (MAX_HINTS, (), there))

    def test_lost_node(self) -> None:
        """Of a lost node nothing is remembered."""
        hints = Hints(lambda: 0.0)
        lost, left = Location(NodeId("b", 1), 1), Location(NodeId("c", 1), 2)
        hints.note("juliet", (lost, left))
        hints.note("nurse", (lost,))
        hints.forget_node(lost.node)
        self.assertEqual((hints.get("juliet"), len(hints)), ((left,), 1))
