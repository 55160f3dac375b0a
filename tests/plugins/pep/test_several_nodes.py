"""People on three servers that are one service publish, and are told."""

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.plugins.pep.verona import NEWS, TUNE, Publisher, options
from tests.plugins.pubsub.verona import NS
from xmppd.testing.client import Client
from xmppd.testing.nodes import Nodes

ROMEO = "romeo@montague.lit"


class Citizen(Publisher):
    """Somebody at one of several servers."""

    def __init__(self, client: Client, bare: str, nodes: Nodes) -> None:
        super().__init__(client, bare)
        self.nodes = nodes

    @override
    def read(self) -> None:
        for _ in range(2):
            self.nodes.settle()
            super().read()
        self.nodes.settle()
        super().read()


class SeveralNodesTests(SynchronousTestCase):
    """Romeo is at a, Juliet at b, with a second client at c; Tybalt, at c, sees nobody."""

    def setUp(self) -> None:
        self.nodes = Nodes(
            "a",
            "b",
            "c",
            plugins=("disco", "caps", "pubsub", "pep"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.romeo = self.citizen("romeo", "a")
        self.juliet = self.citizen("juliet", "b")
        self.other = self.citizen("juliet", "c", "2")
        self.tybalt = self.citizen("tybalt", "c")
        self.all = (self.romeo, self.juliet, self.other, self.tybalt)
        for somebody in self.all:
            somebody.arrive()
        for somebody in self.all:
            somebody.forget()

    def citizen(self, name: str, at: str, resource: str = "1") -> Citizen:
        """Somebody who has not sent presence."""
        client = self.nodes[at].bind(name, resource)
        return Citizen(client, f"{name}@montague.lit", self.nodes)

    def test_told(self) -> None:
        """Everybody is told once, wherever they are; strangers are not."""
        self.assertEqual(self.romeo.publish(NEWS, "hi"), "result")
        told = [somebody.told() for somebody in self.all]
        self.assertEqual(told, [[(ROMEO, "hi")]] * 3 + [[]])

    def test_counted(self) -> None:
        """What is told counts for who has published, at each server for those there."""
        tables = [self.nodes[name].server.routing_table for name in "abc"]
        for table in tables:
            table.take_fan_out()
        before = self.romeo.client.handler.counts.fan_out
        self.romeo.publish(NEWS, "hi")
        self.assertEqual(self.romeo.client.handler.counts.fan_out - before, 1)  # himself
        caused = [table.take_fan_out() for table in tables]
        self.assertEqual(caused, [{}, {f"{ROMEO}/1": 1}, {f"{ROMEO}/1": 1}])

    def test_not_available(self) -> None:
        """Whoever publishes need not be available (PE-13)."""
        again = self.citizen("romeo", "c", "2")
        self.assertEqual(again.publish(NEWS, "hi"), "result")
        told = [somebody.told() for somebody in self.all]
        self.assertEqual(told, [[(ROMEO, "hi")]] * 3 + [[]])

    def test_own(self) -> None:
        """The own clients at other servers are told of private nodes too."""
        self.juliet.publish(NEWS, "mine", beside=options(access_model="whitelist"))
        told = [somebody.told() for somebody in self.all]
        mine = [("juliet@montague.lit", "mine")]
        self.assertEqual(told, [[], mine, mine, []])

    def test_last_items(self) -> None:
        """Whoever comes, at whatever server, is sent what was published at another."""
        self.romeo.publish(NEWS, "hi")
        again = self.citizen("juliet", "a", "3")
        again.arrive()
        self.assertEqual(again.told(), [(ROMEO, "hi")])

    def test_both_write(self) -> None:
        """Two clients of an account at two servers write the same node."""
        wanted = options(access_model="whitelist", max_items="max")
        self.juliet.publish("urn:xmpp:bookmarks:1", "a", "1", beside=wanted)
        self.other.publish("urn:xmpp:bookmarks:1", "b", "2", beside=wanted)
        self.juliet.publish("urn:xmpp:bookmarks:1", "c", "3", beside=wanted)
        for somebody in (self.juliet, self.other):
            self.assertEqual(somebody.items("urn:xmpp:bookmarks:1"), ["a", "b", "c"])

    def test_subscribed(self) -> None:
        """A subscriber at another server is told, once."""
        self.romeo.publish(TUNE, "la", beside=options(access_model="open"))
        for somebody in (self.tybalt, self.juliet):
            inside = f"<subscribe node='{TUNE}' jid='{somebody.bare}'/>"
            somebody.ask("set", f"<pubsub xmlns='{NS}'>{inside}</pubsub>", ROMEO)
        for somebody in self.all:
            somebody.forget()
        self.romeo.publish(TUNE, "di")
        told = [somebody.told() for somebody in (self.juliet, self.other, self.tybalt)]
        self.assertEqual(told, [[(ROMEO, "di")]] * 3)
