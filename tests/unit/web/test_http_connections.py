"""All connections of HTTP, when there are many."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support import next_turn
from xmppd.config.config import WebSettings
from xmppd.host.machine import Descriptors
from xmppd.web.http_connections import TURN_S, HTTPConnections


class Slow:
    """A connection whose end takes time."""

    peer, descriptor = "192.0.2.1", -1

    def __init__(self, clock: Clock, swept: list["Slow"]) -> None:
        self._clock = clock
        self._swept = swept

    def sweep(self, now: float) -> None:
        self._swept.append(self)
        self._clock.rightNow += TURN_S * 0.6

    def close(self) -> None:
        """Do nothing."""

    def abort(self) -> None:
        """Do nothing."""


class SweepTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.swept: list[Slow] = []
        self.connections = HTTPConnections(WebSettings(), self.clock, Descriptors(1_000))
        for _ in range(9):
            self.connections.opened(Slow(self.clock, self.swept))
        self.connections.also = (lambda: (Slow(self.clock, self.swept),),)

    def test_slices(self) -> None:
        """Where many end at once, others have their turns in between; each is looked at once."""
        self.connections.sweep()
        seen = [len(self.swept)]
        while self.clock.getDelayedCalls():
            self.connections.sweep()  # one that is not over is not begun anew
            next_turn(self.clock)
            seen.append(len(self.swept))
        self.assertEqual(seen, [2, 4, 6, 8, 10, 10])
        self.assertEqual(len(set(self.swept)), 10)

    def test_stop(self) -> None:
        """A stop ends it amid that."""
        self.connections.sweep()
        self.connections.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.swept), 2)
