"""Asking several nodes at once."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.bus import ask_all
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.stanzas import Routed
from xmppd.cluster.node import NodeId
from xmppd.stanza import IQ, JID
from xmppd.testing.client import done
from xmppd.testing.nodes import Nodes

ROMEO = JID.parse("romeo@montague.lit")
QUESTION = Routed.of(IQ.make(ROMEO, ROMEO, b"<x/>", id="1", type="get"), ROMEO, way=0)


class AskAllTests(SynchronousTestCase):
    def test_some_answer(self) -> None:
        """Who answers in time is named with the answer; who does not, or is not there, is not."""
        nodes = Nodes("a", "b", "c")
        nodes["b"].server.cluster.bus.take = lambda sender, entry: entry
        nodes["c"].server.cluster.bus.take = lambda sender, entry: Deferred[BusEntry | None]()
        asked = [nodes["b"].id, nodes["c"].id, NodeId("d", 1)]
        asking = Deferred.fromCoroutine(
            ask_all(nodes["a"].server.cluster.bus, asked, QUESTION, within_s=2.0)
        )
        nodes.settle()
        self.assertNoResult(asking)
        nodes.clock.advance(2)
        self.assertEqual(done(asking), {nodes["b"].id: QUESTION})
