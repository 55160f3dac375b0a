"""XEP-0092 from the wire."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.version import version
from xmppd.testing.house import House
from xmppd_plugins.version import NS


class VersionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(plugins=("version",), romeo={})
        (self.romeo,) = self.house.connect("romeo")

    def test_server(self) -> None:
        """The server says its name and version, and nothing about the machine."""
        self.romeo.send(f"<iq type='get' id='v' to='montague.lit'><query xmlns='{NS}'/></iq>")
        (answer,) = self.romeo.received()
        said = f"<name>xmppd</name><version>{version()}</version>"
        self.assertIn(f"<query xmlns='{NS}'>{said}</query>", answer)

    def test_account(self) -> None:
        """An account is no software."""
        self.romeo.send(f"<iq type='get' id='v' to='romeo@montague.lit'><query xmlns='{NS}'/></iq>")
        (answer,) = self.romeo.received()
        self.assertIn("<service-unavailable", answer)
