"""Somebody sweeps behind a lost node."""

from collections.abc import Awaitable, Mapping

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.cluster.claims_contract import Shelf
from tests.unit.roster.test_subscription import Wire
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.membership import NodeLost
from xmppd.cluster.node import Location, Node, NodeId
from xmppd.nodes.directory_sweep import MAX_LOST_NODES, RETRY_S
from xmppd.stanza import JID
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import done
from xmppd.testing.nodes import NodeHouse, Nodes

JULIET = JID.parse("juliet@montague.lit/balcony")
ROMEO = JID.parse("romeo@montague.lit/orchard")
GRACE_S = 30.0


class SweepTests(SynchronousTestCase):
    """Juliet is at b, which is lost; contacts on other servers see her."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", "c", romeo={}, juliet={})
        items = [
            RosterItem("nurse@capulet.lit", subscription="from"),
            RosterItem("tybalt@capulet.lit", subscription="to"),
            RosterItem("romeo@montague.lit", subscription="both"),
        ]
        done(self.nodes["a"].store.rosters.save_roster_items(JULIET.bare, items))
        self.wires = {name: Wire() for name in "ac"}
        for name, wire in self.wires.items():
            self.nodes[name].server.routing_table.foreign = wire
        self.enter("b")
        self.lost = self.nodes["b"].id

    def enter(self, name: str, jid: JID = JULIET) -> None:
        """Have a session be in the directory."""
        directory = self.nodes[name].server.cluster.directory
        done(directory.enter(jid, conflict="kick", max_sessions=10))

    def settle(self, seconds: float = 0.0) -> None:
        self.nodes.clock.advance(seconds)
        self.nodes.settle()

    def told(self) -> list[str]:
        """What other servers were told, by all nodes."""
        return [each for wire in self.wires.values() for each in wire.sent]

    def places(self) -> Mapping[str, Location]:
        """All that is in the directory of Juliet, void or not."""
        return self.nodes.directory.accounts.get(JULIET.bare, {})

    def last_seen(self) -> object:
        found = done(self.nodes["a"].store.presences.last_presence([JULIET.bare]))
        return found.get(JULIET.bare)

    def test_swept(self) -> None:
        """After the grace who has not come back is gone: contacts on other servers hear it once,
        she was last here then, and nothing of her is in the directory.
        """
        self.nodes.lose("b")
        self.settle(GRACE_S - 1)
        self.assertEqual((self.told(), self.last_seen()), ([], None))
        self.assertIn("balcony", self.places())
        self.settle(1)
        self.assertEqual(
            self.told(),
            [f"<presence from='{JULIET.full}' to='nurse@capulet.lit' type='unavailable'/>"],
        )
        self.assertIsNotNone(self.last_seen())
        self.assertEqual(self.places(), {})

    def test_lost_together(self) -> None:
        """Who was to sweep behind a node is lost while that is arranged: both are swept behind."""
        self.enter("c", ROMEO)
        for wave in ("b", "c"):
            self.nodes.kill(wave)
            self.nodes.directory.fenced.add(self.nodes[wave].id)
        claims = self.nodes["a"].server.cluster.claims
        asked: list[str] = []

        def owner(kind: str, name: str) -> Deferred[None]:
            asked.append(name)
            return waiting if len(asked) == 1 else succeed(None)

        waiting = Deferred[None]()
        self.patch(claims, "owner", owner)
        self.nodes.lose("b")
        self.nodes.lose("c")
        waiting.callback(None)
        self.assertEqual(asked, ["b.1", "b.1", "c.1"])

    def test_is_back(self) -> None:
        """Who has come back under the same JID is not gone."""
        self.nodes.lose("b")
        self.enter("c")
        self.settle(GRACE_S)
        self.assertEqual((self.told(), self.last_seen()), ([], None))
        self.assertEqual(self.places()["balcony"].node, self.nodes["c"].id)

    def test_other_resource(self) -> None:
        """Who has another session is gone as that one, and here as the other."""
        self.enter("a", JULIET.with_resource("tomb"))
        self.nodes.lose("b")
        self.settle(GRACE_S)
        self.assertEqual(len(self.told()), 1)
        self.assertIsNone(self.last_seen())
        self.assertEqual(set(self.places()), {"tomb"})

    def test_one_node(self) -> None:
        """One node does it, whoever hears of the loss, and however often."""
        self.nodes.lose("b")
        for name in "ac":
            self.house(name).server.events.fire(NodeLost(Node(id=self.lost)))
        self.settle(GRACE_S)
        self.settle(GRACE_S)
        self.assertEqual(len(self.told()), 1)

    def house(self, name: str) -> NodeHouse:
        return self.nodes[name]

    def test_over(self) -> None:
        """When nothing of a lost node is left nobody is to sweep behind it, also when another one
        is lost; nor is anything of it among the things that live once.
        """
        self.house("b").server.cluster.claims.put(Shelf(), "plugin")
        lives_once = self.house("b").server.cluster.claims.owner("book", "hall")
        assert isinstance(lives_once, Awaitable)
        self.assertEqual(done(lives_once), self.lost)
        self.nodes.lose("b")
        self.settle(GRACE_S)
        self.settle()
        self.assertEqual(self.nodes.claims.claims, {})
        swept = list[NodeId]()

        async def note(node: NodeId, _: object) -> None:
            swept.append(node)

        self.patch(self.house("a").server.cluster.directory, "sweep", note)
        self.nodes.lose("c")
        self.settle(GRACE_S)
        self.assertEqual([node.name for node in swept], ["c"])

    def test_who_sweeps_is_lost(self) -> None:
        """If the one who sweeps is lost as well, another one does both."""
        self.enter("a", JULIET.with_resource("tomb"))
        self.enter("c", JULIET.with_resource("hall"))
        self.nodes.lose("b")
        claims = self.house("a").server.cluster.claims
        owner = claims.owner("sweep", str(self.lost))
        assert isinstance(owner, NodeId)
        self.nodes.lose(owner.name)
        self.settle(GRACE_S)
        self.settle(GRACE_S)
        self.assertEqual(len(self.told()), 2)
        self.assertEqual(len(self.places()), 1)

    def test_directory_is_away(self) -> None:
        """While the directory is away it is tried again, every ten seconds."""
        tries = list[str]()

        async def away(*_: object) -> None:
            tries.append("again")
            raise DirectoryAway("it is away")

        for name in "ac":
            self.patch(self.house(name).server.cluster.directory, "sweep", away)
        self.nodes.lose("b")
        self.settle(GRACE_S)
        self.settle(RETRY_S)
        self.assertEqual(tries, ["again"] * 2)

    def test_nobody_can_be_asked(self) -> None:
        """While it cannot be said who sweeps, that is tried again."""
        for name in "ac":
            self.house(name).server.cluster.claims._board.away = True  # type: ignore[attr-defined]
        self.nodes.lose("b")
        self.settle(GRACE_S)
        for name in "ac":
            self.house(name).server.cluster.claims._board.away = False  # type: ignore[attr-defined]
        self.settle(RETRY_S)
        self.settle(GRACE_S)
        self.assertEqual(len(self.told()), 1)

    def test_stops(self) -> None:
        """A node that stops leaves it to another one."""
        self.nodes.lose("b")
        claims = self.house("a").server.cluster.claims
        owner = claims.owner("sweep", str(self.lost))
        assert isinstance(owner, NodeId)
        self.house(owner.name).server.directory_sweep.stop()
        self.settle(GRACE_S)
        self.assertEqual(self.told(), [])

    def test_many(self) -> None:
        """A thousand lost nodes are remembered, and no more."""
        sweep = self.house("a").server.directory_sweep
        for number in range(MAX_LOST_NODES + 1):
            sweep.node_lost(NodeLost(Node(id=NodeId("x", number))))
        self.assertEqual(len(sweep._lost), MAX_LOST_NODES)
        sweep.stop()
