"""xmppctl cluster check finds what differs between nodes and what all know, and mends it."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.cluster.claims_contract import Shelf
from xmppd.cluster.claims import Ownership
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.node import Location, NodeId
from xmppd.command.command_context import SHELL
from xmppd.command.exit_status import INCOMPLETE
from xmppd.command.refused import Refused
from xmppd.ctl.protocol import line_of
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.testing.nodes import Nodes

SESSIONS = "sessions that are not in the directory"
PLACES = "places in the directory without a session"
THINGS = "things that one node owns"
GONE = "sessions at nodes that are gone"
GONE_THINGS = "things owned by nodes that are gone"
GRACE_S = 30.0


class CheckTests(SynchronousTestCase):
    """Romeo is at a, Juliet at b."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", "c", romeo={}, juliet={})
        (self.romeo,) = self.nodes["a"].connect("romeo/garden")
        (self.juliet,) = self.nodes["b"].connect("juliet/balcony")
        self.places = self.nodes.directory.accounts

    def give(self, at: str = "a", *, repair: bool = False) -> tuple[set[str], Refused | None]:
        """What differs: node, number, what; and why it was refused in the end."""
        found = set[str]()

        async def run() -> None:
            table, keep = self.nodes[at].server.commands, found.add
            given = {"repair": True} if repair else {}
            async for reply in table.replies(*table.asked("cluster check", given, SHELL)):
                row = line_of(reply)
                assert isinstance(row, dict)
                if row["differ"]:
                    keep(f"{row['node']}: {row['differ']} {row['compared']}")
                    self.assertEqual(row["repaired"], row["differ"] if repair else 0)

        outcome: list[Failure | None] = []
        Deferred.fromCoroutine(run()).addBoth(outcome.append)
        for _ in range(10):
            self.nodes.settle()
            if outcome:
                break
            self.nodes.clock.advance(1)
        (ended,) = outcome
        if ended is None:
            return found, None
        assert isinstance(ended.value, Refused), ended
        return found, ended.value

    def check(self, *differing: str) -> None:
        """Just this differs, whoever is asked; that is said, and once it is mended nothing does."""
        for at in "cb":
            found, refused = self.give(at)
            self.assertEqual(found, set(differing))
            self.assertEqual(refused is not None, bool(differing))
        if differing:
            self.assertIn("; xmppctl cluster check --repair", str(refused))
        found, refused = self.give("c", repair=True)
        self.assertEqual((found, refused), (set(differing), None))
        self.wait_for_sweep()
        self.assertEqual(self.give("a"), (set(), None))

    def wait_for_sweep(self) -> None:
        """Let people of a lost node have time to come back, and then let it be swept."""
        for _ in range(2):
            self.nodes.clock.advance(GRACE_S)
            self.nodes.settle()

    def test_nothing(self) -> None:
        """Usually nothing differs."""
        self.check()

    def test_missing(self) -> None:
        """A session that the directory has lost is entered again."""
        del self.places["romeo@montague.lit"]
        self.check(f"a: 1 {SESSIONS}")
        self.assertFalse(self.romeo.closed)
        self.assertEqual(self.nodes["a"].server.locations.disagreements, 1)

    def test_elsewhere(self) -> None:
        """A session whose place is a later one's ends, and that place, which no session has, is
        given back.
        """
        later = self.nodes.directory.next_serial()
        self.places["romeo@montague.lit"]["garden"] = Location(NodeId("b", 1), later)
        self.check(f"a: 1 {SESSIONS}", f"b: 1 {PLACES}")
        self.assertTrue(self.romeo.closed)

    def test_ghost(self) -> None:
        """A place that no session has is given back."""
        self.places["juliet@montague.lit"]["tomb"] = Location(NodeId("b", 1), 1)
        self.check(f"b: 1 {PLACES}")
        self.assertEqual(set(self.places["juliet@montague.lit"]), {"balcony"})

    def test_things(self) -> None:
        """What a node has and the board has not is said again."""
        for house in self.nodes.houses.values():
            house.server.cluster.claims.put(Shelf(), "plugin")
        owner = Deferred.fromCoroutine(self.find("hall"))
        self.nodes.settle()
        having = self.successResultOf(owner)
        self.nodes.claims.claims.clear()
        self.check(f"{having.name}: 1 {THINGS}")

    async def find(self, name: str) -> NodeId:
        owner = self.nodes["a"].server.cluster.claims.owner("book", name)
        return owner if isinstance(owner, NodeId) else await owner

    def test_gone(self) -> None:
        """What is left of a node that is gone is swept; not while somebody sweeps behind it, nor
        while it has saved sessions, which may still be resumed.
        """
        self.nodes.lose("b")
        self.nodes.claims.claims["book", "hall"] = self.claim_of("b")
        found, _ = self.give("a")
        self.assertEqual(found, {f"a: 1 {GONE_THINGS}"})
        self.wait_for_sweep()
        self.assertEqual(self.give("a"), (set(), None))
        self.places["juliet@montague.lit"] = {"balcony": Location(NodeId("b", 1), 1)}
        self.nodes.claims.claims["book", "hall"] = self.claim_of("b")
        store = self.nodes["a"].store.sessions
        self.patch(type(store), "nodes", _saved_at_b)
        self.assertEqual(self.give("c")[0], {f"c: 1 {GONE_THINGS}"})
        self.doCleanups()
        for at in "ac":
            self.assertEqual(self.give(at)[0], {f"{at}: 1 {GONE}", f"{at}: 1 {GONE_THINGS}"})
        self.assertEqual(len(self.give("c", repair=True)[0]), 2)
        self.wait_for_sweep()
        self.assertEqual(self.give("a"), (set(), None))
        self.assertEqual(self.places.keys(), {"romeo@montague.lit"})

    def claim_of(self, name: str) -> Ownership:
        return Ownership(NodeId(name, 1), 1)

    def test_away(self) -> None:
        """If the directory does not answer, that is said."""

        async def away(*_: object, **__: object) -> None:
            raise DirectoryAway("no answer")

        self.patch(self.nodes["a"].server.cluster.directory, "sessions_of", away)
        _, refused = self.give("a")
        self.assertEqual(str(refused), "Redis does not answer: no answer")

    def test_unanswered(self) -> None:
        """A node that does not answer is named."""
        del self.nodes.ends[self.nodes["b"].id]
        _, refused = self.give("a")
        assert refused is not None
        self.assertEqual(refused.status, INCOMPLETE)

    def test_alone(self) -> None:
        """A single server has nothing to compare."""
        table = House().server.commands
        replies = table.replies(*table.asked("cluster check", {}, SHELL))
        self.assertIn("not a node", str(self.assertRaises(Refused, done, anext(replies))))


async def _saved_at_b(_: object) -> set[str]:
    return {"b.1"}
