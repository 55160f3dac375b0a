"""XEP-0012 from the wire."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing.client import Client
from xmppd.testing.house import House
from xmppd_plugins.last_activity import NS


def ask(client: Client, to: str = "") -> str:
    """The answer to the question."""
    address = f" to='{to}'" if to else ""
    client.send(f"<iq type='get' id='l'{address}><query xmlns='{NS}'/></iq>")
    (answer,) = client.received()
    return answer


class LastActivityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            plugins=("last_activity",),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.juliet, self.tybalt = self.house.connect("juliet", "tybalt")

    def test_server(self) -> None:
        """The server says for how many seconds it has been up."""
        self.house.clock.advance(123.7)
        self.assertIn(f"<query xmlns='{NS}' seconds='123'/>", ask(self.juliet, "montague.lit"))

    def test_absent(self) -> None:
        """Who is away is said to have left so many seconds ago, with these words."""
        (romeo,) = self.house.connect("romeo")
        romeo.send("<presence type='unavailable'><status>Heading &lt; Home</status></presence>")
        romeo.abort()
        self.house.clock.advance(903)
        self.juliet.raw()
        self.assertIn(
            f"<query xmlns='{NS}' seconds='903'>Heading &lt; Home</query>",
            ask(self.juliet, "romeo@montague.lit"),
        )

    def test_online(self) -> None:
        """Who is available was last here just now."""
        self.house.connect("romeo")
        self.house.clock.advance(60)
        self.juliet.raw()
        self.assertIn(f"<query xmlns='{NS}' seconds='0'/>", ask(self.juliet, "romeo@montague.lit"))

    def test_own_account(self) -> None:
        """I may ask about myself, by name or by naming nobody."""
        for to in ("", "juliet@montague.lit"):
            self.assertIn("seconds='0'", ask(self.juliet, to))

    def test_never_here(self) -> None:
        """Of who was never here there is nothing to say."""
        self.assertIn("<item-not-found", ask(self.juliet, "romeo@montague.lit"))

    def test_stranger(self) -> None:
        """Strangers are not told, and neither does their question reach a client."""
        (romeo,) = self.house.connect("romeo/orchard")
        for to in ("romeo@montague.lit", "romeo@montague.lit/orchard"):
            self.assertIn("<forbidden", ask(self.tybalt, to))
        self.assertEqual(romeo.received(), [])

    def test_stranger_learns_nothing(self) -> None:
        """A stranger's question for a resource is answered alike whether it is there or not."""
        before = ask(self.tybalt, "romeo@montague.lit/orchard")
        self.house.connect("romeo/orchard")
        self.assertEqual(ask(self.tybalt, "romeo@montague.lit/orchard"), before)

    def test_resource(self) -> None:
        """A contact's question for a resource goes to that client, and its answer comes back."""
        (romeo,) = self.house.connect("romeo/orchard")
        self.juliet.raw()
        self.juliet.send(
            f"<iq type='get' id='l' to='romeo@montague.lit/orchard'><query xmlns='{NS}'/></iq>"
        )
        self.assertEqual(self.juliet.received(), [])
        self.assertEqual(len(romeo.received()), 1)
        romeo.send(
            f"<iq type='result' id='l' to='juliet@montague.lit/1'><query xmlns='{NS}' seconds='5'/>"
            "</iq>"
        )
        (answer,) = self.juliet.received()
        self.assertIn("seconds='5'", answer)

    def test_directed_presence(self) -> None:
        """Whoever was sent presence in person may ask too."""
        (romeo,) = self.house.connect("romeo/orchard")
        romeo.send("<presence to='tybalt@montague.lit'/>")
        self.tybalt.raw()
        self.tybalt.send(
            f"<iq type='get' id='l' to='romeo@montague.lit/orchard'><query xmlns='{NS}'/></iq>"
        )
        self.assertEqual(len(romeo.received()), 1)
