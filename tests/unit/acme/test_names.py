"""The names that the certificate of a domain should have."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.acme.names import names_of

DOMAINS = ("montague.lit", "ball.montague.lit", "Bücher.example")


class NameTests(SynchronousTestCase):
    """names_of."""

    def test_services(self) -> None:
        """A service goes with the nearest domain above it, and one below none with the first."""
        others = {"rooms.montague.lit", "rooms.ball.montague.lit", "chat.elsewhere.lit"}
        self.assertEqual(
            names_of("montague.lit", DOMAINS, others, ()),
            ["montague.lit", "chat.elsewhere.lit", "rooms.montague.lit"],
        )
        self.assertEqual(
            names_of("ball.montague.lit", DOMAINS, others, ()),
            ["ball.montague.lit", "rooms.ball.montague.lit"],
        )

    def test_spelling(self) -> None:
        """Names are spelled as in certificates, and a domain is named once."""
        others = {"räume.Bücher.example", "montague.lit"}
        self.assertEqual(
            names_of("Bücher.example", DOMAINS, others, ()),
            ["xn--bcher-kva.example", "xn--rume-loa.xn--bcher-kva.example"],
        )

    def test_left_out(self) -> None:
        """What needs no certificate is left out, but never the domain itself."""
        others = {"rooms.montague.lit"}
        left_out = ["ROOMS.montague.lit", "montague.lit"]
        self.assertEqual(names_of("montague.lit", DOMAINS, others, left_out), ["montague.lit"])
