"""Tests of what service discovery says of rooms."""

from tests.plugins.muc.halls import MUC, ORCHARD, SERVICE, RunningCase, condition
from xmppd.testing.client import Client

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


class DiscoveryTests(RunningCase):
    def discover(self, client: Client, to: str, space: str = INFO, inner: str = "") -> str:
        client.raw()
        client.send(f"<iq type='get' id='d' to='{to}'><query xmlns='{space}'{inner}</query></iq>")
        (answer,) = client.received()
        return answer

    def test_service(self) -> None:
        """The service is one of the server's, and says what it is (RM-58)."""
        romeo = self.client("romeo")
        self.assertIn(f"jid='{SERVICE}'", self.discover(romeo, "montague.lit", ITEMS, ">"))
        said = self.discover(romeo, SERVICE, inner=">")
        self.assertIn("category='conference' type='text'", said)
        for feature in (MUC, f"{MUC}#stable_id", "urn:xmpp:occupant-id:0", "urn:xmpp:ping"):
            self.assertIn(f"<feature var='{feature}'", said)

    def test_room(self) -> None:
        """A room says how it is configured, and how many are in (RM-58)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.configure(romeo, roomname="Orchard", whois="anyone", roomdesc="Stolen")
        romeo.send(f"<message type='groupchat' to='{ORCHARD}'><subject>Love</subject></message>")
        said = self.discover(juliet, ORCHARD, inner=">")
        self.assertIn("name='Orchard'", said)
        for feature in ("muc_nonanonymous", "muc_open", "muc_temporary", "muc_unsecured"):
            self.assertIn(f"var='{feature}'", said)
        for value in ("Stolen", "Love", "2"):
            self.assertIn(f"<value>{value}</value>", said)

    def test_no_room(self) -> None:
        """Of a room that is not there nothing is said (RM-58)."""
        said = self.discover(self.client("romeo"), ORCHARD, inner=">")
        self.assertEqual(condition(said), "item-not-found")

    def test_nodes(self) -> None:
        """A node that a room has not is not found; who has no nick there is told nothing."""
        (romeo,) = self.opened("romeo")
        said = self.discover(romeo, ORCHARD, inner=f" node='{MUC}#traffic'>")
        self.assertEqual(condition(said), "item-not-found")
        said = self.discover(romeo, ORCHARD, inner=" node='x-roomuser-item'>")
        self.assertNotIn("identity", said)

    def test_listed(self) -> None:
        """Rooms are listed by name; a hidden one for who has to do with it, and none that nobody
        has opened (RM-58).
        """
        romeo = self.client("romeo")
        for name in ("hall", "cell", "tomb"):
            if name == "tomb":
                self.enter(romeo, "Romeo", room=f"{name}@{SERVICE}")
            else:
                self.opened_by(romeo, f"{name}@{SERVICE}")
        self.configure(romeo, room=f"cell@{SERVICE}", publicroom="0", roomname="Cell")
        nurse = self.client("nurse")
        listed = self.discover(nurse, SERVICE, ITEMS, ">")
        self.assertIn(f"jid='hall@{SERVICE}'", listed)
        self.assertNotIn("cell", listed)
        self.assertNotIn("tomb", listed)
        listed = self.discover(romeo, SERVICE, ITEMS, ">")
        self.assertLess(listed.index("cell"), listed.index("hall"))
        self.assertEqual(listed.count("<item "), 3, "its own, by name")

    def test_pages(self) -> None:
        """Rooms are listed in pages (RM-58)."""
        romeo = self.client("romeo")
        for name in "abc":
            self.opened_by(romeo, f"{name}@{SERVICE}")
        page = "<set xmlns='http://jabber.org/protocol/rsm'><max>2</max>%s</set>"
        first = self.discover(romeo, SERVICE, ITEMS, ">" + page % "")
        self.assertEqual(first.count("<item "), 2)
        self.assertIn(f"<last>b@{SERVICE}</last>", first)
        rest = self.discover(romeo, SERVICE, ITEMS, ">" + page % f"<after>b@{SERVICE}</after>")
        self.assertEqual(rest.count("<item "), 1)

    def test_occupants(self) -> None:
        """Who is in a room is not listed (RM-58)."""
        romeo, _ = self.opened("romeo", "juliet")
        self.assertNotIn("<item", self.discover(romeo, ORCHARD, ITEMS, ">"))
