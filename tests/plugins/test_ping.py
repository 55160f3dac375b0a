"""XEP-0199 from the wire."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing.client import Client
from xmppd.testing.house import House


def ping(client: Client, to: str = "") -> str:
    """The answer to a ping."""
    address = f" to='{to}'" if to else ""
    client.send(f"<iq type='get' id='p'{address}><ping xmlns='urn:xmpp:ping'/></iq>")
    (answer,) = client.received()
    return answer


class PingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            plugins=("ping",), romeo={"juliet": "from"}, juliet={"romeo": "to"}, tybalt={}
        )
        self.romeo, self.juliet, self.tybalt = self.house.connect("romeo", "juliet", "tybalt")
        self.juliet.raw()

    def test_server(self) -> None:
        """The server answers."""
        self.assertEqual(
            ping(self.romeo, "montague.lit"),
            "<iq from='montague.lit' to='romeo@montague.lit/1' type='result' id='p'/>",
        )

    def test_own_account(self) -> None:
        """It answers for my account, whether I name it or nobody (§4.2)."""
        for to in ("", "romeo@montague.lit"):
            self.assertEqual(
                ping(self.romeo, to),
                "<iq from='romeo@montague.lit' to='romeo@montague.lit/1' type='result' id='p'/>",
            )

    def test_contact(self) -> None:
        """It answers for an account to those who may see its presence."""
        self.assertIn("type='result'", ping(self.juliet, "romeo@montague.lit"))
        self.assertIn("<service-unavailable", ping(self.romeo, "juliet@montague.lit"))

    def test_stranger(self) -> None:
        """Nobody finds out by pinging who has an account here."""
        there = ping(self.tybalt, "romeo@montague.lit")
        nowhere = ping(self.tybalt, "nobody@montague.lit")
        self.assertIn("<service-unavailable", there)
        self.assertEqual(there.replace("romeo@", "nobody@"), nowhere)

    def test_client(self) -> None:
        """A ping for a resource goes to that client (§4.4)."""
        self.juliet.send(
            "<iq type='get' id='p' to='romeo@montague.lit/1'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
        self.assertEqual(len(self.romeo.received()), 1)

    def test_client_not_there(self) -> None:
        """A ping for a resource that is not there is answered in its name (§7)."""
        answer = ping(self.juliet, "romeo@montague.lit/gone")
        self.assertIn("<service-unavailable", answer)
        self.assertIn("from='romeo@montague.lit/gone'", answer)

    def test_set(self) -> None:
        """A ping is a question, not an order."""
        self.romeo.send("<iq type='set' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        (answer,) = self.romeo.received()
        self.assertIn("<feature-not-implemented", answer)
