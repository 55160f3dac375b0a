"""Requests of our own."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import IQ, JID, Stanza
from xmppd.testing.house import House

PING = b"<ping xmlns='urn:xmpp:ping'/>"


class Echo:
    """A component that answers before it is left."""

    def __init__(self, house: House, *, arrived: bool) -> None:
        self.house = house
        self.arrived = arrived

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Answer at once."""
        assert isinstance(stanza, IQ)
        self.house.server.requests.answered(stanza.result())
        return self.arrived


class RequestsTests(SynchronousTestCase):
    def test_answered_at_once(self) -> None:
        """An answer counts, also when it is there before the request is said to have arrived."""
        for arrived in (True, False):
            with self.subTest(arrived=arrived):
                house = House()
                usual = len(house.clock.getDelayedCalls())
                house.server.routing_table.components["echo.lit"] = Echo(house, arrived=arrived)
                asked, server = JID.parse("echo.lit"), JID.parse(house.domain)
                answer = house.server.requests.ask(asked, server, PING, timeout_s=9.0)
                found = self.successResultOf(answer)
                self.assertEqual(found and found.type, "result")
                self.assertEqual(len(house.clock.getDelayedCalls()), usual)
