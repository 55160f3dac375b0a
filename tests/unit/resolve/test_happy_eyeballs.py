"""Of several addresses, the one that answers first."""

from twisted.internet.defer import CancelledError, Deferred, FailureGroup
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.resolve.happy_eyeballs import ATTEMPT_DELAY_S, first_to_connect


class RaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.tried: dict[str, Deferred[IProtocol]] = {}
        self.called_back: list[str] = []
        self.winner = first_to_connect(["::1", "127.0.0.1", "::2"], self.connect, self.clock)

    def connect(self, address: str) -> Deferred[IProtocol]:
        attempt: Deferred[IProtocol] = Deferred(lambda _: self.called_back.append(address))
        self.tried[address] = attempt
        return attempt

    def assert_over(self) -> None:
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_first_is_quick(self) -> None:
        """The first address answers, and no other is bothered."""
        protocol = Protocol()
        self.tried["::1"].callback(protocol)
        self.assertIs(self.successResultOf(self.winner), protocol)
        self.assertEqual(list(self.tried), ["::1"])
        self.assert_over()

    def test_first_is_slow(self) -> None:
        """After a moment the next is tried beside it; when that is quicker, it wins."""
        self.clock.advance(ATTEMPT_DELAY_S)
        self.assertEqual(list(self.tried), ["::1", "127.0.0.1"])
        protocol = Protocol()
        self.tried["127.0.0.1"].callback(protocol)
        self.assertIs(self.successResultOf(self.winner), protocol)
        self.assertEqual(self.called_back, ["::1"])
        self.assertNotIn("::2", self.tried)
        self.assert_over()

    def test_slow_may_still_win(self) -> None:
        """An address that was waited for too long goes on, and may be the first in the end."""
        self.clock.advance(ATTEMPT_DELAY_S)
        protocol = Protocol()
        self.tried["::1"].callback(protocol)
        self.assertIs(self.successResultOf(self.winner), protocol)
        self.assertEqual(self.called_back, ["127.0.0.1"])

    def test_first_fails(self) -> None:
        """When an address fails, the next does not wait for its moment."""
        self.tried["::1"].errback(ConnectError())
        self.assertEqual(list(self.tried), ["::1", "127.0.0.1"])
        self.tried["127.0.0.1"].errback(ConnectError())
        protocol = Protocol()
        self.tried["::2"].callback(protocol)
        self.assertIs(self.successResultOf(self.winner), protocol)
        self.assert_over()

    def test_all_fail(self) -> None:
        """When all have failed it is over, with all their reasons."""
        for address in ("::1", "127.0.0.1", "::2"):
            self.tried[address].errback(ConnectError())
        group = self.failureResultOf(self.winner, FailureGroup).value
        assert isinstance(group, FailureGroup)
        self.assertEqual(len(group.failures), 3)
        self.assert_over()

    def test_called_back(self) -> None:
        """Whoever no longer wants a connection calls all back, and no other starts."""
        self.clock.advance(ATTEMPT_DELAY_S)
        self.winner.cancel()
        self.failureResultOf(self.winner, CancelledError)
        self.assertEqual(self.called_back, ["::1", "127.0.0.1"])
        self.assertNotIn("::2", self.tried)
        self.assert_over()
