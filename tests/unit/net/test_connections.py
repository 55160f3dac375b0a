"""Who makes room when there is none."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.machine import Descriptors
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.testing.client import Client
from xmppd.testing.house import House

DOMAIN = "montague.lit"


class DescriptorTests(SynchronousTestCase):
    """As many files are open as connections may have (CH-9)."""

    def setUp(self) -> None:
        self.house = House(DOMAIN, romeo={})
        self.next = 0
        self.patch(ConnectionHandler, "descriptor", property(lambda handler: self.next))
        self.house.server.client_connections.descriptors = Descriptors(100)

    def come(self, descriptor: int, *, silent: bool = False) -> Client:
        """Somebody connects, and gets this number."""
        self.next = descriptor
        client = self.house.unauthenticated()
        if not silent and not client.transport.lost:
            client.open(DOMAIN)
        return client

    def test_room(self) -> None:
        """Whoever gets a number below the reserve stays."""
        self.assertFalse(self.come(74).transport.lost)

    def test_no_room(self) -> None:
        """Whoever gets another one goes, and nobody else does."""
        friend = self.come(10)
        self.assertTrue(self.come(75).transport.lost)
        self.assertFalse(friend.transport.lost)
        self.assertEqual(len(self.house.server.client_connections.handlers), 1)

    def test_silence_gives_way(self) -> None:
        """Who has been silent longest goes instead."""
        first, second = self.come(10, silent=True), self.come(11, silent=True)
        third = self.come(75)
        self.assertTrue(first.transport.lost)
        self.assertFalse(second.transport.lost)
        self.assertFalse(third.transport.lost)
        self.assertNotEqual(third.raw(), b"")
