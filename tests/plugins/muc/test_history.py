"""Tests of what who enters a room is shown of what was said before."""

import re

from tests.plugins.muc.halls import ORCHARD, RoomsCase, bodies
from xmppd.testing.client import Client


class HistoryTests(RoomsCase):
    def shown(self, wanted: str = "", client: Client | None = None) -> list[str]:
        """The messages that Nurse is shown when she enters, but for the subject."""
        nurse = client or self.client("nurse")
        received = self.enter(nurse, "Nurse", wanted)
        nurse.send(f"<presence to='{ORCHARD}/Nurse' type='unavailable'/>")
        return [each for each in received if each.startswith("<message")][:-1]

    def said(self, *words: str) -> Client:
        """A room in which Romeo has said something."""
        (romeo,) = self.opened("romeo")
        for word in words:
            self.say(romeo, word)
            self.house.clock.advance(1)
        return romeo

    def test_shown(self) -> None:
        """It is shown as it was said, with its ids, and with its time, by the room (RM-45)."""
        romeo = self.said()
        romeo.send(f"<message type='groupchat' id='m1' to='{ORCHARD}'><body>Soft!</body></message>")
        (heard,) = romeo.received()
        (shown,) = self.shown()
        ids = r"<stanza-id [^>]*>|<occupant-id [^>]*>"
        self.assertEqual(re.findall(ids, shown), re.findall(ids, heard))
        self.assertIn(f"from='{ORCHARD}/Romeo'", shown)
        self.assertIn("id='m1'", shown)
        self.assertIn(f"<delay xmlns='urn:xmpp:delay' from='{ORCHARD}' stamp='", shown)

    def test_last(self) -> None:
        """The last ones are shown, the oldest of them first, as many as the room shows (RM-45)."""
        self.said(*map(str, range(25)))
        self.assertEqual(bodies(self.shown()), [str(number) for number in range(5, 25)])

    def test_fewer(self) -> None:
        """Who wants fewer, or later ones, is shown no others; the smallest wins (RM-45)."""
        self.said("one", "two", "three")
        nurse = self.client("nurse")
        one = len(self.shown("<history maxstanzas='1'/>", nurse)[0])
        for wanted, found in (
            ("maxstanzas='2'", ["two", "three"]),
            ("maxstanzas='0'", []),
            ("maxchars='0'", []),
            (f"maxchars='{one}'", ["three"]),
            (f"maxchars='{one}' maxstanzas='3' seconds='100'", ["three"]),
            ("seconds='2'", ["two", "three"]),
            ("seconds='0'", []),
            ("since='2100-01-01T00:00:00Z'", []),
            ("since='1970-01-01T00:00:00Z'", ["one", "two", "three"]),
            ("maxstanzas='many' since='lately'", ["one", "two", "three"]),
        ):
            with self.subTest(wanted):
                self.assertEqual(bodies(self.shown(f"<history {wanted}/>", nurse)), found)

    def test_not_worth_it(self) -> None:
        """What is not worth keeping is not shown, nor are subjects; what is heard while somebody
        enters is heard once (RM-45, RM-48).
        """
        romeo = self.said()
        for inner in (
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/>",
            "<body>hush</body><no-store xmlns='urn:xmpp:hints'/>",
            "<subject>Love</subject>",
            "<body>kept</body>",
            "<displayed xmlns='urn:xmpp:chat-markers:0' id='m1'/><store xmlns='urn:xmpp:hints'/>",
        ):
            romeo.send(f"<message type='groupchat' to='{ORCHARD}'>{inner}</message>")
        heard = romeo.received()
        self.assertEqual(len([each for each in heard if "<stanza-id" in each]), 6)
        kept, marker = self.shown()
        self.assertEqual(bodies([kept]), ["kept"])
        self.assertIn("<displayed", marker)

    def test_meanwhile(self) -> None:
        """What is said while somebody enters is shown once, behind what was said before
        (RM-12).
        """
        romeo = self.said("before")
        nurse = self.client("nurse")
        nurse.stop_reading()
        join = "<x xmlns='http://jabber.org/protocol/muc'/>"
        nurse.send(f"<presence to='{ORCHARD}/Nurse'>{join}</presence>")
        self.say(romeo, "meanwhile")
        nurse.read_on()
        self.assertEqual(bodies(nurse.received()), ["before", "meanwhile"])
