"""The tool that says where the time goes."""

from twisted.trial.unittest import SynchronousTestCase

from bench.where import LOGIN, WALKS, Logins, Spread, people, walked
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

    def test_login(self) -> None:
        """Each step of a login has its cost, and nobody is left when they have gone."""
        logins = Logins(("ping",), clients=2)
        costs = logins.costs(runs=1)
        self.assertEqual(list(costs)[1:-1], [step for step, _ in LOGIN])
        self.assertTrue(all(each_us > 0 for each_us in costs.values()))
        self.assertEqual(logins.house.server.client_connections.handlers, set())

    def test_spread(self) -> None:
        """A presence reaches contacts at all nodes, and costs something for each."""
        spread = Spread(2, contacts=4)
        self.assertGreater(spread.cost_us(runs=1), 0)
        viewer = next(iter(spread.nodes["n1"].server.routing_table.users.values()))
        (session,) = viewer.available_here
        self.assertGreaterEqual(session.connection.counts.went[1], 6)
