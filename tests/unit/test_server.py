"""The server as a whole: what a reload changes."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing import House, house_config


class ReloadTests(SynchronousTestCase):
    def test_limits(self) -> None:
        """New limits hold for new connections; those there were keep theirs."""
        house = House("montague.lit", romeo={})
        (before,) = house.connect("romeo/before")
        deep = "<message><body>" + "<b>" * 8 + "</b>" * 8 + "</body></message>"
        house.server.reload(house_config("montague.lit", stream={"max_depth": 5}))
        (after,) = house.connect("romeo/after")
        before.send(deep)
        after.send(deep)
        self.assertFalse(before.closed)
        self.assertTrue(after.closed)

    def test_offline_quota(self) -> None:
        """From now on no message is kept for those who are away."""
        house = House("montague.lit", romeo={}, juliet={})
        (romeo,) = house.connect("romeo")
        house.server.reload(house_config("montague.lit", offline={"max_messages": 0}))
        romeo.send("<message to='juliet@montague.lit' type='chat'><body>art thou</body></message>")
        self.assertIn("service-unavailable", romeo.received()[0])

    def test_doors(self) -> None:
        """From now on fewer may come from one address."""
        house = House("montague.lit")
        house.server.reload(house_config("montague.lit", stream={"max_streams_per_address": 1}))
        first, second = house.stranger(), house.stranger()
        first.open("montague.lit")
        second.open("montague.lit")
        self.assertEqual((first.closed, second.closed), (False, True))

    def test_asked_for(self) -> None:
        """What is looked up where it is needed is there."""
        house = House("montague.lit")
        house.server.reload(house_config("montague.lit", registration={"open": True}))
        self.assertTrue(house.server.config.registration.open)
