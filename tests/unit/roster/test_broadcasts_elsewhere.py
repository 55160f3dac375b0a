"""What is broadcast to other servers: one for each contact, and those of one server in a row."""

import re

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing.client import Client, Elsewhere
from xmppd.testing.house import House

ROMEO = "romeo@montague.lit"
THERE = ("juliet@capulet.lit", "friar@verona.lit", "nurse@capulet.lit", "prince@verona.lit")


class ElsewhereTests(SynchronousTestCase):
    """Romeo has contacts on two other servers, at a component, and here."""

    def setUp(self) -> None:
        contacts = dict.fromkeys(THERE, "both") | {"icq@gateway.montague.lit": "from"}
        self.house = House(
            "montague.lit",
            romeo={**contacts, "benvolio": "both", "tybalt@capulet.lit": "to"},
            benvolio={"romeo": "both", "juliet@capulet.lit": "both"},
        )
        self.elsewhere = Elsewhere(self.house)
        self.gateway = Elsewhere(self.house, "gateway.montague.lit")
        self.romeo, self.benvolio = self.house.connect("romeo", "benvolio")
        self.heard()

    def heard(self, kind: str = "") -> list[str]:
        """Who was told, in order; of a kind, or available."""
        told = []
        for stanza in (*self.elsewhere.heard(), *self.gateway.heard()):
            found = re.match(r"<presence from='([^']*)' to='([^']*)'(?: type='(\w+)')?", stanza)
            assert found is not None, stanza
            if (found[3] or "") == kind:
                told.append(f"{found[1].partition('@')[0]} > {found[2]}")
        return told

    TOLD = tuple(
        f"romeo > {contact}"
        for contact in (
            "juliet@capulet.lit", "nurse@capulet.lit", "friar@verona.lit", "prince@verona.lit",
            "icq@gateway.montague.lit",
        )
    )  # fmt: skip

    def test_change(self) -> None:
        """A change goes to each contact once, server after server (RO-16)."""
        self.romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(tuple(self.heard()), self.TOLD)

    def test_leaving(self) -> None:
        """A goodbye likewise, and to those who were told in person, once."""
        self.romeo.send("<presence to='paris@verona.lit/1'/><presence to='nurse@capulet.lit'/>")
        self.heard()
        self.romeo.abort()
        self.assertEqual(
            sorted(self.heard("unavailable")), sorted((*self.TOLD, "romeo > paris@verona.lit/1"))
        )

    def test_no_way(self) -> None:
        """Where no route leads nobody is told, and others are."""
        self.house.server.routing_table.foreign = None
        self.romeo.send("<presence/>")
        self.assertEqual(self.heard(), ["romeo > icq@gateway.montague.lit"])

    def test_slices(self) -> None:
        """Many contacts elsewhere are told in slices as well; the goodbye comes after (RO-15)."""
        self.house.server.broadcasts.contacts_per_slice = 2
        self.romeo.send("<presence><show>away</show></presence>")
        self.romeo.abort()
        self.assertEqual(self.elsewhere.heard(), [])
        self.settle()
        told = [stanza.count("away") for stanza in self.elsewhere.heard()]
        self.assertEqual(told, [1] * 4 + [0] * 4)

    def test_contact_that_goes(self) -> None:
        """Who ceases to be a contact while others are told hears a goodbye and nothing after it."""
        self.house.server.broadcasts.contacts_per_slice = 2
        second = self.house.bind("romeo", "2")
        self.romeo.send("<presence><show>away</show></presence>")
        second.send("<presence to='prince@verona.lit' type='unsubscribed'/>")
        self.settle()
        prince = [s for s in self.elsewhere.heard() if "prince@verona.lit" in s]
        self.assertEqual(
            prince,
            [
                f"<presence from='{ROMEO}/1' to='prince@verona.lit' type='unavailable'/>",
                f"<presence from='{ROMEO}' to='prince@verona.lit' type='unsubscribed'/>",
            ],
        )

    def test_stop(self) -> None:
        """When the server stops, others hear of each user once, and users nothing of each other
        (BOOT-4).
        """
        self.house.connect("romeo/2")
        self.heard()
        self.benvolio.raw()
        self.stop(self.romeo, self.benvolio)
        told = self.heard("unavailable")
        self.assertEqual(
            sorted(told), sorted((*self.TOLD, *self.TOLD, "benvolio > juliet@capulet.lit"))
        )
        self.assertNotIn(b"<presence", self.benvolio.raw())

    def test_stop_while_many_are_told(self) -> None:
        """It has stopped when everybody elsewhere has been told."""
        self.house.server.broadcasts.contacts_per_slice = 2
        self.romeo.send("<presence><show>away</show></presence>")
        self.stop(self.romeo, self.benvolio)
        self.assertEqual(len(self.heard("unavailable")), len(self.TOLD) + 1)

    def settle(self) -> None:
        """Everybody is told everything."""
        for _ in range(20):
            self.house.clock.advance(0)

    def stop(self, *clients: Client) -> None:
        """The server stops."""
        stopped = self.house.stop()
        for handler in self.house.server.client_connections.handlers.copy():
            handler.transport.abortConnection()
        self.settle()
        self.successResultOf(stopped)
