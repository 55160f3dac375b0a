"""A directory that answers slowly slows down logins, and nothing else."""

from collections.abc import Mapping

from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.node import Location
from xmppd.net.login_queue import LARGEST_WINDOW, SMALLEST_WINDOW
from xmppd.testing.nodes import Nodes


class SlowDirectoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.nodes = Nodes("a", romeo={})
        self.house = self.nodes["a"]

    def slow_down(self, seconds: float) -> None:
        """Have the directory take its time."""

        async def answer(account: str) -> Mapping[str, Location]:
            await deferLater(self.nodes.clock, seconds)
            return {}

        self.patch(self.house.server.cluster.directory, "sessions_of", answer)

    def window_after_login(self) -> float:
        """How many clients may log in at once after somebody has begun to."""
        self.house.bind("romeo")
        self.nodes.clock.pump([0.05] * 20)
        return self.house.server.client_connections.login_queue.window.size

    def test_quick(self) -> None:
        """While it is quick there is no less room."""
        self.assertEqual(self.window_after_login(), LARGEST_WINDOW)

    def test_slow(self) -> None:
        """While it takes a quarter of a second fewer clients log in at once."""
        self.slow_down(0.25)
        self.assertEqual(self.window_after_login(), SMALLEST_WINDOW)
