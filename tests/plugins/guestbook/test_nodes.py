"""One book on three nodes."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import condition
from tests.plugins.guestbook.books import JULIET, ROMEO, book, entries, sign, watch
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes
from xmppd_plugins.guestbook.book import NS
from xmppd_plugins.guestbook.entries import KIND


class NodesTests(SynchronousTestCase):
    """Romeo is at a, Juliet at b and at c."""

    def setUp(self) -> None:
        both = {"juliet": "both"}, {"romeo": "both"}
        self.nodes = Nodes("a", "b", "c", plugins=("guestbook",), romeo=both[0], juliet=both[1])
        (self.romeo,) = self.nodes["a"].connect("romeo")
        self.juliets = [self.nodes[name].connect(f"juliet/{name}")[0] for name in "bc"]
        self.all = dict(zip("abc", (self.romeo, *self.juliets), strict=True))
        self.nodes.settle()
        for client in self.all.values():
            client.received()

    def owner(self) -> str:
        """The node that has Romeo's book."""
        (name,) = (
            name
            for name, house in self.nodes.houses.items()
            if name in self.nodes.members
            and house.server.cluster.claims.mine(KIND, ROMEO) is not None
        )
        return name

    def notices(self, client: Client) -> int:
        """The entries that a client is told of."""
        return "".join(client.received()).count(f"<signed xmlns='{NS}'")

    def test_signed_anywhere(self) -> None:
        """Whoever signs at whatever node signs the same book."""
        for client in self.all.values():
            sign(client, "Ay me!", ROMEO)
        for client in self.all.values():
            self.assertEqual(len(entries(book(client, ROMEO))), 3)
        self.assertIn(self.owner(), "abc")

    def test_owner_is_killed(self) -> None:
        """When the node that has the book is lost another one has it, under a higher token."""
        sign(self.juliets[0], "1", ROMEO)
        lost = self.owner()
        tokens = self.nodes["a"].store.claim_tokens
        before = done(tokens.highest_token(KIND, ROMEO))
        self.nodes.lose(lost)
        (client, *_) = (each for name, each in self.all.items() if name != lost)
        sign(client, "2", ROMEO)
        self.assertEqual([words for _, words in entries(book(client, ROMEO))], ["2", "1"])
        self.assertNotEqual(self.owner(), lost)
        self.assertGreater(done(tokens.highest_token(KIND, ROMEO)), before)

    def test_deposed(self) -> None:
        """A node that was thought dead writes nothing more in the book."""
        sign(self.juliets[0], "1", ROMEO)
        owner = self.owner()
        done(self.nodes["a"].store.claim_tokens.raise_token(KIND, ROMEO, 1_000))
        self.assertEqual(condition(sign(self.all[owner], "2", ROMEO)), "resource-constraint")
        self.assertEqual(len(entries(book(self.romeo, ROMEO))), 1)

    def test_watched(self) -> None:
        """Whoever watches the book is told, at whatever node it was signed, and once."""
        for client in self.juliets:
            watch(client)
            client.received()
        sign(self.romeo, "Ay me!", JULIET)
        self.assertEqual([self.notices(client) for client in self.juliets], [1, 1])
