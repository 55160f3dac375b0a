"""One inbox on several nodes."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.inbox.inboxes import JULIET, ROMEO, ask_inbox, chat, marker
from xmppd.store.gathered import GATHER_S
from xmppd.testing.client import Client
from xmppd.testing.nodes import Nodes


class NodesTests(SynchronousTestCase):
    """Romeo is at a; Juliet at b and at c."""

    def setUp(self) -> None:
        self.nodes = Nodes(
            "a", "b", "c", plugins=("archive", "inbox"),
            romeo={"juliet": "both"}, juliet={"romeo": "both"},
        )  # fmt: skip
        (self.romeo,) = self.nodes["a"].connect("romeo")
        self.juliets = [self.nodes[name].connect(f"juliet/{name}")[0] for name in "bc"]
        self.wait()

    def wait(self) -> None:
        """Let all be written that was noted anywhere."""
        for _ in range(3):
            self.nodes.settle()
            self.nodes.clock.advance(GATHER_S)
        self.nodes.settle()

    def send(self, client: Client, stanza: str) -> None:
        """Somebody sends something, and it arrives."""
        client.send(stanza)
        self.wait()

    def unread(self) -> list[dict[str, int]]:
        """What Juliet is told at each of her nodes."""
        found = [ask_inbox(client).unread for client in self.juliets]
        self.nodes.settle()
        return found

    def test_counted(self) -> None:
        """Each message counts once, whichever node asks, and however many of them she is at."""
        for id in ("1", "2"):
            self.send(self.romeo, chat(JULIET, "hi", id=id))
        self.assertEqual(self.unread(), [{"romeo": 2}] * 2)

    def test_read(self) -> None:
        """What she reads at one node is read."""
        for id in ("1", "2", "3"):
            self.send(self.romeo, chat(JULIET, "hi", id=id))
        self.send(self.juliets[1], marker(ROMEO, "2"))
        self.assertEqual(self.unread(), [{"romeo": 1}] * 2)
        self.send(self.juliets[0], chat(ROMEO, "hi"))
        self.assertEqual(self.unread(), [{"romeo": 0}] * 2)
        self.send(self.romeo, chat(JULIET, "hi", id="4"))
        self.assertEqual(self.unread(), [{"romeo": 1}] * 2)

    def test_away(self) -> None:
        """What comes while she is away, by several nodes, counts as well."""
        for client in self.juliets:
            client.send("</stream:stream>")
        self.wait()
        for name in "abc":
            (romeo,) = self.nodes[name].connect(f"romeo/{name}")
            self.send(romeo, chat(JULIET, "hi", id=name))
        self.juliets = self.nodes["a"].connect("juliet/a")
        self.wait()
        self.assertEqual(self.unread(), [{"romeo": 3}])
