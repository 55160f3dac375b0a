"""Stanzas between nodes."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.node import Location
from xmppd.testing.nodes import Nodes


class StanzaEntryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", romeo={}, juliet={})
        (self.romeo,) = self.nodes["a"].connect("romeo")
        (self.juliet,) = self.nodes["b"].connect("juliet/o'clock")
        table = self.nodes["a"].server.routing_table
        table.elsewhere["juliet@montague.lit"] = (Location(self.nodes["b"].id, 1),)

    def test_full(self) -> None:
        """A message to a full JID on another node arrives as it was sent."""
        self.romeo.send(
            "<message to=\"juliet@montague.lit/o'clock\" id='1'><body>a &amp; b</body></message>"
        )
        (got,) = self.juliet.received()
        self.assertEqual(
            got,
            "<message from='romeo@montague.lit/1' to='juliet@montague.lit/o&apos;clock' id='1'>"
            "<body>a &amp; b</body></message>",
        )
