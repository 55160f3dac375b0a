"""Preferences hold at all nodes of a service (AR-12)."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.archive.archives import archive_of, chat
from xmppd.testing.client import done
from xmppd.testing.nodes import Nodes
from xmppd_plugins.archive.entries import ALL

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"


class NodesTests(SynchronousTestCase):
    """Romeo is at a, Juliet at b."""

    def setUp(self) -> None:
        self.nodes = Nodes(
            "a", "b", plugins=("archive",), romeo={"juliet": "both"}, juliet={"romeo": "both"}
        )
        (self.romeo,) = self.nodes["a"].connect("romeo")
        (self.juliet,) = self.nodes["b"].connect("juliet")
        self.nodes.settle()

    def kept(self, account: str) -> int:
        """The number of messages in somebody's archive."""
        for name in "ab":
            archive = archive_of(self.nodes[name])
            done(archive.writer.flush())
        return done(archive_of(self.nodes["a"]).entries.count(account, ALL, _at_once))

    def test_everywhere(self) -> None:
        """What is said at one node is gone by at the node that delivers, and where one comes back
        later.
        """
        self.juliet.send(
            "<iq type='set' id='p'><prefs xmlns='urn:xmpp:mam:2' default='never'/></iq>"
        )
        self.nodes.settle()
        self.assertIn("default='never'", self.juliet.received()[-1])
        self.romeo.send(chat(JULIET, "at b"))
        self.nodes.settle()
        self.assertIn("at b", "".join(self.juliet.received()))
        (elsewhere,) = self.nodes["a"].connect("juliet/2")
        self.nodes.settle()
        elsewhere.raw()
        self.romeo.send(chat(f"{JULIET}/2", "at a"))
        self.nodes.settle()
        self.assertIn("at a", "".join(elsewhere.received()))
        self.assertEqual(self.kept(JULIET), 0)
        self.assertEqual(self.kept(ROMEO), 2)
        elsewhere.send("<iq type='get' id='p'><prefs xmlns='urn:xmpp:mam:2'/></iq>")
        self.nodes.settle()
        self.assertIn("default='never'", elsewhere.received()[-1])


async def _at_once() -> None:
    """The next turn is now."""
