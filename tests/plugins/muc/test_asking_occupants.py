"""Tests of requests to those who are in a room."""

from tests.plugins.muc.halls import ORCHARD, RoomsCase, condition
from xmppd.testing.client import Client

PING = "<ping xmlns='urn:xmpp:ping'/>"
CARD = "<vCard xmlns='vcard-temp'/>"


class AskingTests(RoomsCase):
    plugins = ("disco", "ping", "vcard", "muc")

    def ask(self, client: Client, nick: str, inner: str) -> list[str]:
        client.send(f"<iq type='get' id='q' to='{ORCHARD}/{nick}'>{inner}</iq>")
        return client.received()

    def test_self_ping(self) -> None:
        """Who asks for themselves is told at once that they are in (RM-34)."""
        romeo, _ = self.opened("romeo", "juliet")
        (answer,) = self.ask(romeo, "Romeo", PING)
        self.assertIn("type='result'", answer)
        self.assertIn(f"from='{ORCHARD}/Romeo'", answer)

    def test_not_in(self) -> None:
        """Who asks and is not in is told so, in a room or without one (RM-34)."""
        nurse = self.client("nurse")
        (answer,) = self.ask(nurse, "Nurse", PING)
        self.assertEqual(condition(answer), "not-acceptable")
        self.opened("romeo")
        (answer,) = self.ask(nurse, "Romeo", PING)
        self.assertEqual(condition(answer), "not-acceptable")
        self.assertIn(f"by='{ORCHARD}'", answer)

    def test_discovered_from_outside(self) -> None:
        """Who is not in discovers nothing of occupants: :xep:`0045` has an error of its own for
        that (RM-34).
        """
        self.opened("romeo")
        for kind in ("info", "items"):
            query = f"<query xmlns='http://jabber.org/protocol/disco#{kind}'/>"
            (answer,) = self.ask(self.client("nurse"), "Romeo", query)
            self.assertEqual(condition(answer), "bad-request")

    def test_another_session(self) -> None:
        """A session that is not in is told so, also if another one of its account is (RM-34)."""
        self.opened("romeo", "juliet")
        (answer,) = self.ask(self.client("juliet/desk"), "Juliet", PING)
        self.assertEqual(condition(answer), "not-acceptable")

    def test_other(self) -> None:
        """A request to another occupant is answered by their client, who sees no JID (RM-53)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.assertEqual(self.ask(romeo, "Juliet", PING), [])
        (asked,) = juliet.received()
        self.assertIn(f"from='{ORCHARD}/Romeo'", asked)
        self.assertNotIn("romeo@", asked)
        id = asked.partition(" id='")[2].partition("'")[0]
        juliet.send(f"<iq type='result' id='{id}' to='{ORCHARD}/Romeo'/>")
        (answer,) = romeo.received()
        self.assertIn(f"from='{ORCHARD}/Juliet'", answer)
        self.assertIn("id='q'", answer)

    def test_nobody(self) -> None:
        """A request to nobody comes back (RM-53)."""
        (romeo,) = self.opened("romeo")
        self.assertEqual(condition(self.ask(romeo, "Tybalt", PING)[0]), "item-not-found")

    def test_card(self) -> None:
        """Cards are answered by the account, in the name of the occupant (RM-53)."""
        romeo, juliet = self.opened("romeo", "juliet")
        juliet.send("<iq type='set' id='c'><vCard xmlns='vcard-temp'><FN>Juliet</FN></vCard></iq>")
        juliet.raw()
        (answer,) = self.ask(romeo, "Juliet", CARD)
        self.assertIn("<FN>Juliet</FN>", answer)
        self.assertIn(f"from='{ORCHARD}/Juliet'", answer)
        self.assertEqual(juliet.received(), [])
