"""House and its clients: what authors of plugins test with."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing.client import Elements
from xmppd.testing.house import House, house_config

MOTD = '''
"""Greets everybody who has a resource."""

from xmppd.config.section import Section
from xmppd.events import On
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.session_manager import SessionBound
from xmppd.stanza import JID, Message


class MotdSettings(Section, frozen=True):
    """The greeting."""

    greeting: str = "Welcome!"


def plug(routing_table: RoutingTable, settings: MotdSettings):
    def welcome(event):
        to = event.session.jid
        body = f"<body>{settings.greeting}</body>".encode()
        routing_table.route(Message.make(to, JID.parse(to.domain), body))

    return [On(SessionBound, welcome)]
'''


class HouseTests(SynchronousTestCase):
    def test_domain(self) -> None:
        """A house is at the first domain of its configuration, if nothing else is said."""
        house = House(config=house_config("verona.lit", "mantua.lit"), romeo={})
        (romeo,) = house.connect("romeo")
        self.assertEqual(str(romeo.jid), "romeo@verona.lit/1")

    def test_plugin_by_path(self) -> None:
        """A plugin that is not installed is loaded by its path, beside those that are."""
        path = Path(self.mktemp()) / "motd.py"
        path.parent.mkdir()
        path.write_text(MOTD)
        config = house_config("verona.lit", motd={"greeting": "Ho!"})
        house = House(config=config, plugins=("ping", path), romeo={})
        self.assertEqual(list(house.plugins.loaded), ["ping", "motd"])
        (romeo,) = house.connect("romeo")
        self.assertEqual(romeo.at_login.find("message/body").text, "Ho!")
        self.assertEqual(romeo.received(), [])
        again = house.restarted()
        self.assertEqual(list(again.plugins.loaded), ["ping", "motd"])

    def test_two_directories(self) -> None:
        """Plugins by path are in one directory, as those of a server are."""
        with self.assertRaisesRegex(ValueError, "one directory"):
            House(plugins=(Path("here/motd.py"), Path("there/day.py")))


class ClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(romeo={"juliet": "both"}, juliet={"romeo": "both"})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def test_at_login(self) -> None:
        """What came while a client logged in is kept: its roster, and the presence of contacts."""
        item = self.juliet.at_login.find("iq/{jabber:iq:roster}query/{jabber:iq:roster}item")
        self.assertEqual(item.get("jid"), "romeo@montague.lit")
        presences = self.juliet.at_login.find_all("presence")
        self.assertEqual(
            {presence.get("from") for presence in presences},
            {"romeo@montague.lit/1", "juliet@montague.lit/1"},
        )
        self.assertEqual(self.juliet.received(), [])

    def test_elements(self) -> None:
        """Elements that came since the last look are found by a path."""
        for text in ("Soft!", "What light?"):
            self.romeo.send(f"<message to='juliet@montague.lit'><body>{text}</body></message>")
        came = self.juliet.look()
        bodies = [body.text for body in came.find_all("message/body")]
        self.assertEqual(bodies, ["Soft!", "What light?"])
        self.assertEqual(came[0].get("from"), "romeo@montague.lit/1")
        self.assertEqual(self.juliet.look(), [])

    def test_not_found(self) -> None:
        """Where there is none, or more than one, the test fails with what came."""
        for text in ("Soft!", "What light?"):
            self.romeo.send(f"<message to='juliet@montague.lit'><body>{text}</body></message>")
        came = self.juliet.look()
        for path, why in (("message/subject", "none"), ("message/body", "2")):
            with self.assertRaisesRegex(AssertionError, rf"{why} at '{path}'.*\n.*\n?.*Soft!"):
                came.find(path)

    def test_headers(self) -> None:
        """Headers and ends of streams do not matter."""
        client = self.house.unauthenticated()
        client.open("montague.lit")
        client.send("</stream:stream>")
        (features,) = client.look()
        self.assertEqual(features.tag, "{http://etherx.jabber.org/streams}features")
        self.assertEqual(Elements.read(b""), [])
