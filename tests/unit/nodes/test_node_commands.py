"""Commands that concern several nodes."""

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import NOWHERE, Life
from xmppd.command.command import Command, Description
from xmppd.command.command_context import SHELL, CommandContext
from xmppd.command.exit_status import INCOMPLETE
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.commands import of_running
from xmppd.ctl.protocol import Line, line_of
from xmppd.events import OWNER
from xmppd.nodes.node_commands import MAX_COMMANDS, UNREAD_S
from xmppd.store.errors import StoreError
from xmppd.testing.client import done
from xmppd.testing.nodes import Nodes


class NumberRow(Row, frozen=True):
    number: int


class NodeCommandsTestCase(SynchronousTestCase):
    """Commands are given at nodes."""

    nodes: Nodes

    def give(self, name: str, at: str = "a", **given: object) -> tuple[list[Line], Refused | None]:
        """The replies of a command, and why it was refused, once all that waits has passed."""
        replies: list[Line] = []

        async def run() -> None:
            table, keep = self.nodes[at].server.commands, replies.append
            async for reply in table.replies(*table.asked(name, given, SHELL)):
                keep(line_of(reply))

        outcome: list[Failure | None] = []
        Deferred.fromCoroutine(run()).addBoth(outcome.append)
        for _ in range(20):
            self.nodes.settle()
            if outcome:
                break
            self.nodes.clock.advance(1)
        (ended,) = outcome
        if ended is None:
            return replies, None
        assert isinstance(ended.value, Refused), ended
        return replies, ended.value

    def rows(self, name: str, at: str = "a", **given: object) -> list[dict[str, object]]:
        """The rows of a command that is not refused."""
        replies, refused = self.give(name, at, **given)
        self.assertIsNone(refused)
        return [dict(each) for each in replies if not isinstance(each, str)]


class NodeCommandTests(NodeCommandsTestCase):
    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", "c", romeo={}, juliet={}, paris={})
        self.nodes["a"].connect("romeo/garden")
        self.nodes["b"].connect("juliet/balcony")
        self.nodes["c"].connect("romeo/orchard")

    def put(self, command: Command, *nodes: str) -> None:
        for node in nodes:
            self.nodes[node].server.commands.put(command, OWNER)

    def test_incident(self) -> None:
        """What is wrong at one node is told at any: by its state and codes, with its name; so is
        who sends most, and why a session has ended.
        """
        for name in "abc":
            node = self.nodes[name]
            self.put_all(of_running(node.server, Life(node.plugins), NOWHERE), name)
        self.nodes["b"].server.store.watched._reading.failed(StoreError("it is gone"))
        states = {row["node"]: (row["state"], row["wrong"]) for row in self.rows("status")}
        self.assertEqual(
            states, {"a": ("well", []), "b": ("trouble", ["store-fails"]), "c": ("well", [])}
        )
        (romeo,) = self.nodes["c"].connect("romeo/tomb")
        romeo.send("<message to='paris@montague.lit'><body>Alas!</body></message>")
        self.nodes.clock.pump([1.0] * 15)
        sent = [row for row in self.rows("top senders") if row["messages"]]
        self.assertEqual(
            [(row["node"], row["who"]) for row in sent], [("c", "romeo@montague.lit/tomb")]
        )
        romeo.send("</stream:stream>")
        (told,) = self.rows("explain session", jid="romeo@montague.lit/tomb")
        self.assertEqual((told["node"], told["code"]), ("c", "ended"))

    def put_all(self, commands: list[Command], node: str) -> None:
        for command in commands:
            self.put(command, node)

    def test_cluster_status(self) -> None:
        """Each node says how it is."""
        rows = self.rows("cluster status", at="b")
        self.assertEqual(
            sorted((row["node"], row["sessions"], row["others"], row["acts"]) for row in rows),
            [("a", 1, 2, True), ("b", 1, 2, True), ("c", 1, 2, True)],
        )

    def test_cluster_links(self) -> None:
        """Each node says what is under way to each other one."""
        rows = self.rows("cluster links")
        self.assertEqual({(row["node"], row["way"], row["trouble"]) for row in rows},
                         {(name, "memory", "") for name in "abc"})  # fmt: skip
        pairs = sorted(f"{row['node']} {row['other']}" for row in rows)
        self.assertEqual(pairs, ["a b.1", "a c.1", "b a.1", "b c.1", "c a.1", "c b.1"])

    def test_session_list(self) -> None:
        """The sessions of all nodes are listed at any, each with its node."""
        expected = [
            ("a", "romeo@montague.lit/garden"),
            ("b", "juliet@montague.lit/balcony"),
            ("c", "romeo@montague.lit/orchard"),
        ]
        for at in "abc":
            rows = self.rows("session list", at)
            self.assertEqual(sorted((row["node"], row["jid"]) for row in rows), expected)

    def test_session_end(self) -> None:
        """A session is ended from any node; one that is nowhere is refused once."""
        replies, refused = self.give("session end", jid="juliet@montague.lit/balcony")
        self.assertIsNone(refused)
        self.assertEqual(replies, ["b: ended 1 session of juliet@montague.lit/balcony"])
        replies, refused = self.give("session end", jid="juliet@montague.lit/balcony")
        self.assertEqual(str(refused), "juliet@montague.lit/balcony has no session")
        self.assertEqual(replies, [])

    def test_people(self) -> None:
        """Accounts are counted once, with their sessions at all nodes."""
        rows = {row["account"]: row["sessions"] for row in self.rows("user online", "b")}
        self.assertEqual(rows, {"romeo@montague.lit": 2, "juliet@montague.lit": 1})
        (count,) = self.rows("user count", "b", state="online")
        self.assertEqual(count["accounts"], 2)
        listed = {row["account"]: row["sessions"] for row in self.rows("user list")}
        self.assertEqual(listed["romeo@montague.lit"], 2)
        self.assertEqual(listed["paris@montague.lit"], 0)
        (shown,) = self.rows("user show", "b", account="romeo@montague.lit")
        self.assertEqual(shown["resources"], ["garden", "orchard"])

    def test_user_unlock(self) -> None:
        """Failed logins are forgotten by all nodes."""
        attempts = {name: self.nodes[name].server.attempts for name in "ab"}
        for _ in range(9):
            done(attempts["a"].failed("romeo@montague.lit", "192.0.2.1"))
            done(attempts["b"].failed("romeo@montague.lit", "192.0.2.2"))
        replies, refused = self.give("user unlock", account=["romeo"])
        self.assertIsNone(refused)
        said = "the failed logins of romeo@montague.lit were cleared"
        self.assertEqual(replies, [f"{name}: {said}" for name in "abc"])
        turn = attempts["b"].turn("romeo@montague.lit", "192.0.2.3")
        self.assertIsNone(done(turn))  # it does not wait

    def test_missing(self) -> None:
        """An answer that lacks a node says which, and has a status of its own."""
        del self.nodes.ends[self.nodes["c"].id]
        replies, refused = self.give("session list")
        self.assertEqual(len(replies), 2)
        assert refused is not None
        self.assertEqual(refused.status, INCOMPLETE)
        self.assertIn("c did not answer", str(refused))

    def test_many(self) -> None:
        """However many replies there are, they wait at the node that makes them."""
        made: list[int] = []

        async def count(context: CommandContext) -> Replies:
            for number in range(1_000):
                made.append(number)
                yield NumberRow(number)

        self.put(Command(Description("count", "", asks="all"), count, (NumberRow,)), "a", "b", "c")
        rows = self.rows("count")
        self.assertEqual([row["number"] for row in rows if row["node"] == "b"], [*range(1_000)])

    def test_unread(self) -> None:
        """A command whose replies nobody reads any more is ended; one that changes is done."""
        ended: list[str] = []
        rooms = {"reads": Deferred[None](), "changes": Deferred[None]()}

        def command(effect: str) -> Command:
            async def wait(context: CommandContext) -> Replies:
                try:
                    yield "begun"
                    await rooms[effect]
                    yield "done"
                    ended.append(f"{effect} done")
                finally:
                    ended.append(f"{effect} over")

            about = Description(effect, "", asks="all", effect=effect)  # type: ignore[arg-type]
            return Command(about, wait)

        for effect in ("reads", "changes"):
            self.put(command(effect), "a", "b")
            others = self.nodes["a"].server.commands.others
            replies = others.replies("b", effect, {})
            first = Deferred.fromCoroutine(anext(replies))
            self.nodes.settle()
            self.assertEqual(self.successResultOf(first), "begun")
        self.nodes.clock.advance(UNREAD_S + 1)
        self.assertEqual(ended, ["reads over"])
        rooms["changes"].callback(None)
        self.assertEqual(ended[1:], ["changes done", "changes over"])

    def test_too_many(self) -> None:
        """Other nodes have a limited number of commands under way here."""

        async def wait(context: CommandContext) -> Replies:
            await Deferred[None]()
            yield "never"

        self.put(Command(Description("wait", ""), wait), "a", "b")
        others = self.nodes["a"].server.commands.others
        asked = [
            Deferred.fromCoroutine(anext(others.replies("b", "wait", {})))
            for _ in range(MAX_COMMANDS + 1)
        ]
        self.nodes.settle()
        self.failureResultOf(asked.pop(), Refused)
        for each in asked:
            self.assertNoResult(each)
            each.addErrback(lambda failure: None)
            each.cancel()
        self.nodes.settle()

    def test_trace(self) -> None:
        """A trace shows what happens at every node, as it happens."""
        table = self.nodes["a"].server.commands
        command, context = table.asked("trace", {"address": "juliet@montague.lit"}, SHELL)
        replies = table.replies(command, context)
        seen: list[Line] = []

        async def read() -> None:
            keep = seen.append
            async for reply in replies:
                keep(line_of(reply))

        reading = Deferred.fromCoroutine(read())
        self.nodes.settle()
        (juliet,) = self.nodes["b"].connect("juliet/hall")
        juliet.send("<message to='nobody@montague.lit'><body>o</body></message>")
        for _ in range(5):
            self.nodes.clock.advance(1)
            self.nodes.settle()
        nodes = {row["node"] for row in seen if not isinstance(row, str)}
        self.assertIn("b", nodes)
        context.listening = False
        reading.addErrback(lambda failure: None)
        reading.cancel()
        self.nodes.clock.advance(UNREAD_S)

    def test_plugin_everywhere(self) -> None:
        """A plugin is loaded at every node, or at none."""
        for house in self.nodes.houses.values():
            for command in of_running(house.server, Life(house.plugins), NOWHERE):
                house.server.commands.put(command, OWNER)
        loaded = [house.plugins.loaded for house in self.nodes.houses.values()]
        _, refused = self.give("plugin load", plugin="ping", everywhere=True)
        self.assertIsNone(refused)
        self.assertTrue(all("ping" in each for each in loaded))
        _, refused = self.give("plugin unload", plugin="ping", everywhere=True)
        self.assertIsNone(refused)
        self.assertFalse(any("ping" in each for each in loaded))
        done(self.nodes["c"].plugins.load("ping"))
        _, refused = self.give("plugin load", plugin="ping", everywhere=True)
        self.assertIn("c: ", str(refused))
        self.assertIn("is loaded nowhere", str(refused))
        self.assertEqual(["ping" in each for each in loaded], [False, False, True])
