"""The tools that say what TLS and a login cost, and what two checkouts do."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench import in_turn, login, tls
from bench.ours import ROOT
from bench.where import LOGIN


class TLSTests(SynchronousTestCase):
    def test_handshakes(self) -> None:
        """Each kind of key has its row."""
        self.patch(tls, "HANDSHAKES", 1)
        self.patch(tls, "ROUNDS", 1)
        directory = Path(self.mktemp())
        directory.mkdir()
        rows = tls.handshakes(directory)
        self.assertEqual([row[0] for row in rows], list(tls.KEYS))
        self.assertTrue(all(float(row[1]) > 0 for row in rows))

    def test_records(self) -> None:
        """A record has its cost with each of the loads, in the clear and under TLS."""
        self.patch(tls, "TURNS", 1)
        self.patch(tls, "ROUNDS", 1)
        costs = tls.record_costs()
        self.assertEqual(len(costs), 2 * len(tls.LOADS))
        self.assertTrue(all(each_us > 0 for each_us in costs.values()))


class LoginTests(SynchronousTestCase):
    def test_steps(self) -> None:
        """Each step of a login over sockets has its cost, with and without TLS."""
        self.patch(login, "CLIENTS", 2)
        for starttls in (False, True):
            costs = login.SocketLogins(starttls=starttls).costs(runs=1)
            self.assertEqual(len(costs), len(LOGIN) + 2 + 2 * starttls)
            self.assertTrue(all(each_us > 0 for each_us in costs.values()))


class InTurnTests(SynchronousTestCase):
    def test_least(self) -> None:
        """Each checkout is measured in each round, and its least figure is told."""
        found = {ROOT: iter([3.0, 2.0]), Path("/parent"): iter([4.0, 5.0])}
        self.patch(in_turn, "measured", lambda root, measure: {measure: next(found[root])})
        self.assertEqual(
            in_turn.in_turn((Path("/parent"), ROOT), "login", 2), [{"login": 4.0}, {"login": 2.0}]
        )
