"""The card that an account publishes, by a request of its own (CV-9)."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from tests.plugins.pubsub.verona import NS as PUBSUB
from xmppd.stanza.xml import local_name
from xmppd.testing.house import House
from xmppd_plugins.vcard import NS as OLD
from xmppd_plugins.vcard4 import NODE, NS

ROMEO = "romeo@montague.lit"
CARD = f"<vcard xmlns='{NS}'><fn><text>Romeo</text></fn></vcard>"
GET = f"<vcard xmlns='{NS}'/>"


class VCard4Tests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            plugins=("disco", "vcard", "caps", "pubsub", "pep", "vcard4"),
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

    def test_older(self) -> None:
        """Clients that know only cards of before are shown the same, as far as those have it."""
        inside = (
            "<fn><text>Romeo</text></fn><n><surname>Montague</surname><given>Romeo</given></n>"
            "<email><text>romeo@montague.lit</text></email><tel><uri>tel:+39-045</uri></tel>"
            "<impp><uri>xmpp:romeo@montague.lit</uri></impp><kind><text>individual</text></kind>"
            "<adr><locality>Verona</locality><country>Italy</country></adr>"
        )
        ask(self.romeo, "set", f"<vcard xmlns='{NS}'>{inside}</vcard>")
        for client in (self.romeo, self.juliet, self.tybalt):
            answer = ask(client, "get", f"<vCard xmlns='{OLD}'/>", ROMEO)
            told = [(local_name(each.tag), each.text) for each in answer[0].iter() if each.text]
            self.assertEqual(
                told,
                [
                    ("FN", "Romeo"),
                    ("FAMILY", "Montague"),
                    ("GIVEN", "Romeo"),
                    ("LOCALITY", "Verona"),
                    ("CTRY", "Italy"),
                    ("NUMBER", "+39-045"),
                    ("USERID", ROMEO),
                    ("JABBERID", ROMEO),
                ],
            )

    def test_own_older(self) -> None:
        """A card of before that its owner has set is shown as it is."""
        ask(self.romeo, "set", CARD)
        ask(self.romeo, "set", f"<vCard xmlns='{OLD}'><FN>Mr Montague</FN></vCard>")
        answer = ask(self.juliet, "get", f"<vCard xmlns='{OLD}'/>", ROMEO)
        self.assertEqual("".join(answer.itertext()), "Mr Montague")

    def test_closed(self) -> None:
        """Who may not read the node is shown no card of it."""
        form = (
            "<x xmlns='jabber:x:data' type='submit'><field var='pubsub#access_model'>"
            "<value>whitelist</value></field></x>"
        )
        ask(self.romeo, "set", CARD)
        configure = f"<configure node='{NODE}'>{form}</configure>"
        answer = ask(self.romeo, "set", f"<pubsub xmlns='{PUBSUB}#owner'>{configure}</pubsub>")
        self.assertEqual(condition(answer), "result")
        answer = ask(self.juliet, "get", f"<vCard xmlns='{OLD}'/>", ROMEO)
        self.assertEqual(condition(answer), "service-unavailable")

    def test_somebody_else(self) -> None:
        """Nobody sets another's."""
        self.assertEqual(condition(ask(self.juliet, "set", CARD, ROMEO)), "forbidden")
