"""The graphs of the nodes: a line for each, also for one that is gone."""

import json
import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.console.console_case import ADMIN, PASSWORD
from tests.unit.ctl.offices import NOWHERE, Life
from tests.unit.pages.browser import Browser, seen
from xmppd.cluster.entries.readings import ReadingsGiven, ReadingsWanted
from xmppd.console.graphs import GRAPHS, NODES, NodeLines
from xmppd.console.node_readings import ASK_S, GOOD_FOR_S
from xmppd.ctl.commands import of_running
from xmppd.events import OWNER
from xmppd.store.errors import StoreError
from xmppd.testing.client import done
from xmppd.testing.house import house_config
from xmppd.testing.nodes import Nodes
from xmppd.testing.web import WebAnswer


class NodesCase(SynchronousTestCase):
    """Three nodes, of which b has two sessions."""

    def setUp(self) -> None:
        config = replace(house_config("montague.lit"), admins=(ADMIN,))
        self.nodes = Nodes("a", "b", "c", config=config, capulet={}, romeo={}, juliet={})
        done(self.nodes["a"].server.passwords.set_password(ADMIN, PASSWORD))
        self.people = self.nodes["b"].connect("romeo/garden", "juliet/balcony")

    def look(self, steps: int, nodes: str = "abc") -> None:
        """Let so many steps of the graphs go by."""
        for _ in range(steps):
            self.nodes.clock.advance(10.0)
            for person in self.people if "b" in nodes else ():
                person.send(" ")
            for name in nodes:
                server = self.nodes[name].server
                server.live.look(server.clock.seconds())
            self.nodes.settle()

    def lines(self, at: str = "a", over: str = "hour") -> Mapping[str, NodeLines]:
        """What a node knows of each."""
        live = self.nodes[at].server.live
        asking = Deferred.fromCoroutine(live.nodes.lines(over))
        self.nodes.settle()
        if not asking.called:
            self.nodes.clock.advance(ASK_S)
            self.nodes.settle()
        found: Sequence[NodeLines] = done(asking)
        return {each.node: each for each in found}

    def sessions(self, lines: Mapping[str, NodeLines]) -> dict[str, float | None]:
        return {name: each.graphs["node-sessions"][0][-1] for name, each in lines.items()}


class NodeReadingTests(NodesCase):
    def test_each(self) -> None:
        """Each node has its own line, which is the same whichever node is asked."""
        self.look(5)
        for at in "abc":
            found = self.lines(at)
            self.assertEqual(list(found), ["a", "b", "c"])
            self.assertEqual(self.sessions(found), {"a": 0, "b": 2, "c": 0})
            for lines in found.values():
                self.assertEqual(set(lines.graphs), {kind.key for kind in GRAPHS[NODES]})
                self.assertEqual(len(lines.at), 4)
                self.assertEqual(lines.at[-1], round(self.nodes["a"].wall_clock(), 1))
                self.assertFalse(lines.is_gone)

    def test_clocks(self) -> None:
        """A node whose time of day is wrong has its line where the others have theirs."""
        self.nodes["b"].wall_ahead_s += 86_400.0
        self.look(3)
        at = [lines.at[-1] for lines in self.lines().values()]
        self.assertEqual(len(set(at)), 1)

    def test_lost(self) -> None:
        """The line of a node that is lost ends where it last wrote, and it is said to be gone."""
        self.look(61)
        self.nodes.lose("b")
        self.look(30, "ac")
        for over in ("hour", "day", "week"):
            found = self.lines("a", over)
            self.assertEqual([name for name, each in found.items() if each.is_gone], ["b"])
            self.assertEqual(found["b"].graphs["node-sessions"][0][-1], 2, over)
            self.assertGreaterEqual(found["a"].at[-1] - found["b"].at[-1], 300.0)
        self.nodes.start("b")
        self.look(3)
        found = self.lines("c")
        self.assertFalse(found["b"].is_gone)
        line = found["b"].graphs["node-sessions"][0]
        self.assertEqual([line[0], line.count(None), line[-1]], [2, 1, 0])

    def test_lost_soon(self) -> None:
        """Of a node that was lost before it has written something is shown what it has told who
        looked, for as long as that is not too long ago.
        """
        self.look(5)
        self.lines()
        self.nodes.lose("b")
        self.look(1, "ac")
        found = self.lines()
        self.assertTrue(found["b"].is_gone)
        self.assertEqual(self.sessions(found), {"a": 0, "b": 2, "c": 0})
        self.assertEqual(list(self.lines("c")), ["a", "c"])
        self.look(357, "ac")
        self.assertEqual(len(self.lines()["b"].at), 2)
        self.look(10, "ac")
        self.assertEqual(list(self.lines()), ["a", "c"])

    def test_silent(self) -> None:
        """Of a node that does not answer is shown what it has written; it is not gone for that."""
        self.look(61)
        self.nodes.kill("b")
        self.look(1, "ac")
        found = self.lines()
        self.assertEqual(self.sessions(found), {"a": 0, "b": 2, "c": 0})
        self.assertFalse(found["b"].is_gone)

    def test_store_away(self) -> None:
        """Without the store those are shown that answer."""
        self.look(61)
        self.nodes.lose("b")

        async def away(*given: object) -> object:
            raise StoreError("The database is away.")

        self.patch(self.nodes["a"].server.store.database, "read", away)
        self.look(1, "ac")
        self.assertEqual(list(self.lines()), ["a", "c"])

    def test_other_version(self) -> None:
        """What a node of another version says is left out, and an unknown question answered."""
        self.look(3)
        live = self.nodes["b"].server.live
        self.assertEqual(live.nodes.wanted(self.nodes["a"].id, ReadingsWanted("year")).ago_s, [])
        live.nodes.wanted = lambda sender, entry: ReadingsGiven([1.0], {"other": [1.0]})  # type: ignore[method-assign]
        self.nodes["b"].server.entry_handler._handle[ReadingsWanted] = live.nodes.wanted
        self.assertEqual(list(self.lines()), ["a", "c"])

    def test_asked_once(self) -> None:
        """However many look, the others are asked once in a while."""
        self.look(3)
        asked = []
        ask = self.nodes["a"].server.cluster.bus.ask
        self.patch(
            self.nodes["a"].server.cluster.bus,
            "ask",
            lambda node, entry, within: asked.append(node) or ask(node, entry, within),
        )
        for _ in range(3):
            self.lines()
        self.assertEqual(len(asked), 2)
        self.nodes.clock.advance(GOOD_FOR_S)
        self.lines()
        self.assertEqual(len(asked), 4)


class NodePageTests(NodesCase):
    """The page of the nodes, and the overview of one of them."""

    def page(self, path: str) -> WebAnswer:
        browser = Browser(self.nodes["a"])
        browser.log_in("/console/", ADMIN, PASSWORD)
        return browser.get(f"/console/{path}")

    def test_page(self) -> None:
        """Each node has its colour and its newest number; of one that is gone it is said so."""
        self.look(61)
        page = self.page("nodes")
        self.assertEqual(page.text.count("<figure"), 4)
        keys = re.findall(r'class="key-(\d)" data-line="(\w)"(?: data-gone)?><bdi>', page.text)
        self.assertEqual(keys[:3], [("1", "a"), ("2", "b"), ("3", "c")])
        self.assertIn("Sessions, the last hour: at most 2, a now 0, b now 2, c now 0", page.text)
        self.assertNotIn("is not there", page.text)
        self.nodes.lose("b")
        self.look(1, "ac")
        page = self.page("nodes")
        self.assertIn("Node <bdi>b</bdi> is not there; what is known of it ends at", page.text)
        self.assertEqual(page.text.count(" data-gone><bdi>b</bdi>"), 4)
        told = json.loads(self.page("graphs?page=nodes").text)
        self.assertEqual([(each["node"], each["is_gone"]) for each in told],
                         [("a", False), ("b", True), ("c", False)])  # fmt: skip

    def test_overview(self) -> None:
        """The overview says whose numbers it has, what is wrong at any node, and who causes most
        presence at all of them together.
        """
        for name in "abc":
            node = self.nodes[name]
            for command in of_running(node.server, Life(node.plugins), NOWHERE):
                node.server.commands.put(command, OWNER)
        self.people += self.nodes["c"].connect("romeo/orchard")
        for person in self.people:
            person.send("<presence/>")
        self.look(1)
        page = seen(self.page(""))
        self.assertIn("· node a ·", page)
        self.assertIn("Nothing does.", page)
        self.assertEqual(re.findall(r"(\w+)@montague.lit (\d+) (\d+)", page)[0][0], "romeo")
        self.assertEqual(page.count("romeo@montague.lit"), 1)
        self.nodes["c"].server.store.watched._reading.failed(StoreError("it is gone"))
        page = seen(self.page(""))
        self.assertIn("c: the database cannot be read", page)
        self.assertNotIn("all is well", page)
        self.nodes["c"].server.store.watched._reading.over()
