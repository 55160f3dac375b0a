"""QueueGuard: slow readers are given up, whatever the transport."""

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from xmppd.net.queue_guard import QueueGuard


class QueueGuardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.given_up: list[bool] = []
        self.transport = StringTransport()
        self.guard = QueueGuard(self.transport, 1_000, lambda: self.given_up.append(True))

    def test_quick_reader(self) -> None:
        """Who reads may be written to without end."""
        for _ in range(10):
            self.guard.wrote(1_000)
            self.guard.pauseProducing()
            self.guard.wrote(1_000)
            self.guard.resumeProducing()
        self.assertEqual(self.given_up, [])

    def test_slow_reader(self) -> None:
        """Who does not is given up when too much waits, and only once."""
        self.guard.pauseProducing()
        self.guard.wrote(1_000)
        self.assertEqual(self.given_up, [])
        self.guard.wrote(1)
        self.guard.wrote(1_001)
        self.assertEqual(self.given_up, [True])

    def test_connection_gone(self) -> None:
        """After the end nobody is given up any more."""
        self.guard.pauseProducing()
        self.guard.stopProducing()
        self.guard.wrote(5_000)
        self.assertEqual(self.given_up, [])

    def test_close(self) -> None:
        """A connection that is to close has no producer: TLS would wait for it for ever."""
        self.guard.pauseProducing()
        self.guard.leave()
        self.guard.wrote(5_000)
        self.assertEqual(self.given_up, [])
        self.assertIs(self.transport.producer, None)
