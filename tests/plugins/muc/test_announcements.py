"""Administrators speak to all rooms."""

from tests.plugins.muc.halls import ORCHARD, SERVICE, bodies, condition
from tests.plugins.muc.test_commands import CommandCase
from xmppd.testing.client import Client

COVEN = f"coven@{SERVICE}"


class AnnouncementTests(CommandCase):
    def setUp(self) -> None:
        super().setUp()
        self.opened_by(self.juliet, COVEN)
        self.prince = self.client("prince")
        self.romeo.raw(), self.juliet.raw()

    def announce(self, client: Client, inner: str) -> str:
        """Say something to the service; returns what the client is answered."""
        client.raw()
        client.send(f"<message type='groupchat' id='a' to='{SERVICE}'>{inner}</message>")
        return "".join(client.received())

    def test_by_message(self) -> None:
        """What an administrator says to the service is said by each room (RM-78)."""
        self.assertEqual(self.announce(self.prince, "<body>Peace!</body>"), "")
        (told,) = self.romeo.received()
        self.assertTrue(told.startswith(f"<message from='{ORCHARD}' "), told)
        self.assertIn("stanza-id", told)
        self.assertEqual(bodies([told]), ["Peace!"])
        self.assertEqual(len(self.juliet.received()), 2, "in each room where she is")
        nurse = self.client("romeo/2")
        self.assertIn("Peace!", bodies(self.enter(nurse, "Two", room=COVEN)))

    def test_by_command(self) -> None:
        """The same is done from the shell, for one service or all (RM-78)."""
        said = self.shown("room announce", text="Peace & <quiet>")
        self.assertEqual(said, [f"sent to all rooms of {SERVICE} that are not empty"])
        self.assertEqual(bodies(self.romeo.received()), ["Peace &amp; &lt;quiet&gt;"])
        self.shown("room announce", text="Again", service=SERVICE)
        self.assertEqual(bodies(self.romeo.received()), ["Again"])
        self.assertIn(SERVICE, self.refused("room announce", text="x", service="montague.lit"))
        self.assertIn("text", self.refused("room announce", text=""))

    def test_refused(self) -> None:
        """Nobody else speaks to all, and an announcement has a text that is not too long."""
        refused = self.announce(self.juliet, "<body>Fire!</body>")
        self.assertEqual(condition(refused), "forbidden")
        refused = self.announce(self.prince, "<subject>Peace</subject>")
        self.assertEqual(condition(refused), "not-acceptable")
        refused = self.announce(self.prince, f"<body>{'x' * 65_536}</body>")
        self.assertEqual(condition(refused), "policy-violation")
        self.prince.send(f"<message id='a' to='{SERVICE}'><body>Private</body></message>")
        self.assertEqual(condition(self.prince.received()[0]), "service-unavailable")
        self.assertEqual(self.romeo.received(), [])

    def test_forged(self) -> None:
        """What only a room may say is taken out of it (RM-41)."""
        forged = "<x xmlns='http://jabber.org/protocol/muc#user'><status code='307'/></x>"
        self.announce(self.prince, f"<body>Peace</body>{forged}")
        self.assertNotIn("307", "".join(self.romeo.received()))
