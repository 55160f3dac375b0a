"""The tool that says where the time goes."""

from twisted.trial.unittest import SynchronousTestCase

from bench.where import WALKS, people, walked
from xmppd.stream.stanza_handler import StanzaHandler


class WhereTests(SynchronousTestCase):
    def test_every_walk(self) -> None:
        """Each stage has its line, and is put back in its place."""
        handle, clients = StanzaHandler.handle, people()
        for walk in WALKS:
            rows = walked(walk, clients, stanzas=2)
            self.assertEqual([row[0] for row in rows][:-1], [stage.name for stage in walk.stages])
            self.assertTrue(all(float(row[1]) >= 0 for row in rows))
        self.assertIs(StanzaHandler.handle, handle)
