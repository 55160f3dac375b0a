"""Where a message is that was sent."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.explain.whereabouts import locate_message
from xmppd.stanza import JID
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

DOMAIN = "montague.lit"
ROMEO, JULIET = f"romeo@{DOMAIN}", f"juliet@{DOMAIN}"


class WhereTests(SynchronousTestCase):
    """Romeo has written to Juliet."""

    def setUp(self) -> None:
        self.house = House(
            DOMAIN, plugins=("carbons",), romeo={"juliet": "both"}, juliet={"romeo": "both"}
        )
        (self.romeo,) = self.house.connect("romeo/orchard")

    def juliet(self, resource: str = "balcony") -> Client:
        """She is there, and acknowledges what she is asked to."""
        (client,) = self.house.connect(f"juliet/{resource}")
        client.enable()
        return client

    def send(self, id: str = "a") -> None:
        """He writes."""
        self.romeo.send(f"<message to='{JULIET}' type='chat' id='{id}'><body>hi</body></message>")

    def codes(self, id: str = "a", sender: str = ROMEO, to: str = JULIET) -> list[str]:
        """What is known of it."""
        found = done(locate_message(self.house.server, JID.parse(sender), JID.parse(to), id))
        self.assertEqual([each.decides for each in found], [True] + [False] * (len(found) - 1))
        return [each.code for each in found]

    def test_unknown(self) -> None:
        """What nobody knows has arrived, or was never sent; so has what another has sent."""
        self.send()
        for id, sender in (("b", ROMEO), ("a", f"nurse@{DOMAIN}"), ("a", f"{ROMEO}/hall")):
            self.assertEqual(self.codes(id, sender), ["unknown"])

    def test_kept(self) -> None:
        """It waits for somebody to come."""
        self.send()
        for sender in (ROMEO, f"{ROMEO}/orchard"):
            self.assertEqual(self.codes(sender=sender, to=f"{JULIET}/balcony"), ["kept"])
        self.juliet()
        self.assertEqual(self.codes("b"), ["unknown"])

    def test_unacknowledged(self) -> None:
        """Her client has been sent it, and has not said that it got it; then it has."""
        juliet = self.juliet()
        self.send()
        self.assertEqual(self.codes(), ["unacknowledged"])
        management = juliet.session.management
        assert management is not None
        juliet.send(f"<a xmlns='urn:xmpp:sm:3' h='{management.sent}'/>")
        self.assertEqual(self.codes(), ["unknown"])

    def test_sleeps(self) -> None:
        """It waits until her client is back."""
        juliet = self.juliet()
        self.send()
        juliet.abort()
        self.assertEqual(self.codes(), ["sleeps"])

    def test_waits(self) -> None:
        """It waits for a connection that is full."""
        juliet = self.juliet()
        juliet.stop_reading()
        self.send()
        self.assertEqual(self.codes(), ["waits"])

    def test_copies(self) -> None:
        """A copy of it counts, and several sessions may have it."""
        self.juliet()
        tomb = self.juliet("tomb")
        tomb.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        tomb.send("<presence><priority>-1</priority></presence>")
        self.send()
        self.assertEqual(self.codes(), ["unacknowledged"] * 2)

    def test_nothing_happens(self) -> None:
        """Whoever asks changes nothing."""
        self.send()
        for _ in range(2):
            self.assertEqual(self.codes(), ["kept"])
        (juliet,) = self.house.connect("juliet/balcony")
        self.house.network.settle()
        self.assertEqual(len(done(self.house.store.offline.offline_messages(JULIET))), 1)
        self.assertFalse(juliet.closed)
