"""What nodes send to other servers leaves from one of them."""

from typing import cast

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.roster.test_subscription import Wire
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.memory_claim_board import MemoryClaimBoard
from xmppd.cluster.node import NodeId
from xmppd.events import On
from xmppd.nodes.foreign_owners import MAX_WAITING, ForeignOwners
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.stanza import JID, Message
from xmppd.testing.client import Client
from xmppd.testing.nodes import NodeHouse, Nodes

PAIR = "montague.lit capulet.lit"
THERE = "nurse@capulet.lit"


class Line(Wire):
    """The route to other servers.

    Attributes:
        let: The pairs that were let go.
    """

    def __init__(self) -> None:
        super().__init__()
        self.let: list[tuple[str, str]] = []

    async def let_go(self, local: str, remote: str) -> None:
        """Note it."""
        self.let.append((local, remote))


class ForeignTests(SynchronousTestCase):
    """Romeo is at a, b and c."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", "c", romeo={})
        self.wires = {name: Line() for name in "abc"}
        for name, wire in self.wires.items():
            self.owners(name)._foreign = wire
        self.romeo: dict[str, Client] = {
            name: self.nodes[name].connect(f"romeo/{name}")[0] for name in "abc"
        }

    def house(self, name: str) -> NodeHouse:
        return self.nodes[name]

    def owners(self, name: str) -> ForeignOwners:
        return cast(ForeignOwners, self.house(name).server.routing_table.foreign)

    def say(self, name: str, words: str) -> None:
        """Romeo writes to the nurse, from a node."""
        self.romeo[name].send(f"<message to='{THERE}'><body>{words}</body></message>")
        self.nodes.settle()

    def sent(self) -> dict[str, list[str]]:
        """What has left, from each node that something has left from."""
        return {
            name: [each.split("<body>")[1].split("</body>")[0] for each in wire.sent]
            for name, wire in self.wires.items()
            if wire.sent
        }

    def test_one_node(self) -> None:
        """All that is for another server leaves from one node, in order."""
        for number in range(6):
            self.say("abc"[number % 3], str(number))
        ((_, words),) = self.sent().items()
        self.assertEqual(words, ["0", "1", "2", "3", "4", "5"])

    def test_lost(self) -> None:
        """When that node is lost another one has the pair; what was under way leaves from there."""
        self.say("a", "0")
        ((before, _),) = self.sent().items()
        others = [name for name in "abc" if name != before]
        self.nodes.kill(before)
        self.say(others[0], "1")
        self.nodes.lose(before)
        self.say(others[1], "2")
        after = self.sent()
        del after[before]
        ((_, words),) = after.items()
        self.assertEqual(words, ["1", "2"])

    def test_moved(self) -> None:
        """Who does not know yet that a pair has moved finds it, by way of who had it."""
        self.say("a", "0")
        ((before, _),) = self.sent().items()
        after, third = (name for name in "abc" if name != before)
        self.say(third, "1")
        claims = self.house(before).server.cluster.claims
        given = Deferred.fromCoroutine(claims.give_up("s2s", PAIR, NodeId(after, 1)))
        self.nodes.settle()
        self.successResultOf(given)
        self.say(third, "2")
        self.assertEqual(self.sent(), {before: ["0", "1"], after: ["2"]})
        self.assertEqual(self.wires[before].let, [("montague.lit", "capulet.lit")])

    def test_nobody_knows(self) -> None:
        """While nobody can say who has a pair each node has a stream of its own."""
        for name in "abc":
            board = self.house(name).server.cluster.claims._board
            assert isinstance(board, MemoryClaimBoard)
            board.away = True
        for name in "abc":
            self.say(name, name)
        self.assertEqual(self.sent(), {name: [name] for name in "abc"})

    def test_waits(self) -> None:
        """What comes while that is looked up waits, in order, and not without end."""
        answer = Deferred[NodeId]()

        async def look(kind: str, name: str) -> NodeId:
            return await answer

        claims = self.house("a").server.cluster.claims
        self.patch(claims._board, "look", look)
        message = Message.make(JID.parse(THERE), JID.parse("romeo@montague.lit/a"))
        owners = self.owners("a")
        taken = [owners.deliver(message, b"<body>%d</body>" % n) for n in range(MAX_WAITING + 1)]
        self.assertEqual(taken, [True] * MAX_WAITING + [False])
        self.assertEqual(self.sent(), {})
        answer.errback(DirectoryAway("it is away"))
        self.assertEqual(self.sent(), {"a": [str(n) for n in range(MAX_WAITING)]})

    def test_server_lost(self) -> None:
        """That a server is lost is heard at all nodes, and once."""
        heard = list[str]()
        for name in "abc":
            self.listen(name, heard)
        self.house("a").server.events.fire(RemoteServerLost("montague.lit", "capulet.lit"))
        self.nodes.settle()
        self.assertEqual(heard, ["a", "b", "c"])

    def listen(self, name: str, heard: list[str]) -> None:
        """Note when a node hears that a server is lost."""

        def lost(_: RemoteServerLost) -> None:
            heard.append(name)

        self.house(name).server.events.put(On(RemoteServerLost, lost), "tests")
