"""The card that an account publishes, by a request of its own (CV-9)."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from tests.plugins.pubsub.verona import NS as PUBSUB
from xmppd.testing.house import House
from xmppd_plugins.vcard4 import NODE, NS

ROMEO = "romeo@montague.lit"
CARD = f"<vcard xmlns='{NS}'><fn><text>Romeo</text></fn></vcard>"
GET = f"<vcard xmlns='{NS}'/>"


class VCard4Tests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            plugins=("disco", "caps", "pubsub", "pep", "vcard4"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.romeo, self.juliet, self.tybalt = self.house.connect("romeo", "juliet", "tybalt")

    def test_set(self) -> None:
        """What the owner sets is what is published, and anybody reads it."""
        self.assertEqual(condition(ask(self.romeo, "set", CARD)), "result")
        for client in (self.romeo, self.juliet, self.tybalt):
            self.assertIn("Romeo", "".join(ask(client, "get", GET, ROMEO).itertext()))
        items = f"<pubsub xmlns='{PUBSUB}'><items node='{NODE}'/></pubsub>"
        self.assertIn("Romeo", "".join(ask(self.juliet, "get", items, ROMEO).itertext()))

    def test_none(self) -> None:
        """An owner without a card is given an empty one; others learn what they may know."""
        answer = ask(self.romeo, "get", GET)
        self.assertEqual((answer.get("type"), len(answer[0])), ("result", 0))
        self.assertEqual(condition(ask(self.juliet, "get", GET, ROMEO)), "item-not-found")
        self.assertEqual(condition(ask(self.tybalt, "get", GET, ROMEO)), "service-unavailable")

    def test_somebody_else(self) -> None:
        """Nobody sets another's."""
        self.assertEqual(condition(ask(self.juliet, "set", CARD, ROMEO)), "forbidden")
