"""Rooms in which so many are that not everything is told to all."""

from tests.plugins.muc.halls import ORCHARD, RunningCase, bodies, codes, rooms_config
from xmppd.config.config import Config

STATE = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
MARKER = "<displayed xmlns='urn:xmpp:chat-markers:0' id='m'/>"
RECEIPT = "<received xmlns='urn:xmpp:receipts' id='m'/>"


class LargeRoomTests(RunningCase):
    """A room is large with more than two in it. Romeo owns it, Juliet is in; the nurse enters."""

    people = ("romeo", "juliet", "nurse", "tybalt")

    def config(self) -> Config:
        return rooms_config(large_room_occupants=2)

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.opened("romeo", "juliet")
        self.nurse = self.client("nurse")
        self.shown = self.enter(self.nurse, "Nurse")

    def test_unheard(self) -> None:
        """Who enters sees those who are seen, and is seen by moderators only (RM-22)."""
        nicks = [each.split("/", 1)[1].split("'", 1)[0] for each in self.shown[:3]]
        self.assertEqual(nicks, ["Romeo", "Juliet", "Nurse"])
        self.assertIn(110, codes(self.shown[2]))
        self.assertEqual(self.juliet.received(), [])
        self.assertIn("/Nurse'", self.romeo.received()[0])
        tybalt = self.enter(self.client("tybalt"), "Tybalt")
        self.assertFalse(any("/Nurse'" in each for each in tybalt))

    def test_says_something(self) -> None:
        """When they say something they are shown first, once, and are seen from then on (RM-22)."""
        self.say(self.nurse, "Peace!")
        shown, said = self.juliet.received()
        self.assertTrue(shown.startswith(f"<presence from='{ORCHARD}/Nurse'"), shown)
        self.assertEqual(bodies([said]), ["Peace!"])
        self.say(self.nurse, "I say")
        self.assertEqual(bodies(self.juliet.received()), ["I say"])
        tybalt = self.enter(self.client("tybalt"), "Tybalt")
        self.assertTrue(any("/Nurse'" in each for each in tybalt))
        self.nurse.send(f"<presence type='unavailable' to='{ORCHARD}/Nurse'/>")
        self.assertIn("type='unavailable'", self.juliet.received()[0])

    def test_says_nothing(self) -> None:
        """Who leaves without a word has not been there, but for moderators (RM-23)."""
        self.romeo.raw()
        self.nurse.send(f"<presence to='{ORCHARD}/Nurse'><show>away</show></presence>")
        self.nurse.send(f"<presence type='unavailable' to='{ORCHARD}/Nurse'/>")
        self.assertEqual(self.juliet.received(), [])
        self.assertEqual(len(self.romeo.received()), 2)

    def test_moderator(self) -> None:
        """A moderator is seen at once, and whoever becomes one from then on (RM-22)."""
        self.assert_done(self.affiliate(self.romeo, "tybalt", "admin"))
        self.juliet.raw()
        self.enter(self.client("tybalt"), "Tybalt")
        self.assertIn("/Tybalt'", self.juliet.received()[0])
        self.assert_done(self.affiliate(self.romeo, "nurse", "admin"))
        self.assertIn("/Nurse'", self.juliet.received()[0])

    def test_states(self) -> None:
        """That somebody writes is told to nobody; what says something is, and so are markers and
        receipts (RM-49).
        """
        self.juliet.raw()
        for inner, count in (
            (STATE, 0),
            (f"<thread>t</thread>{STATE}", 0),
            (f"<body>Ay me</body>{STATE}", 1),
            (MARKER, 1),
            (RECEIPT, 1),
        ):
            with self.subTest(inner):
                self.romeo.send(f"<message type='groupchat' to='{ORCHARD}'>{inner}</message>")
                came = [each for each in self.juliet.received() if each.startswith("<message")]
                self.assertEqual(len(came), count)
                self.assertTrue(all(inner in each for each in came))

    def test_states_in_a_small_one(self) -> None:
        """In a room that is not large they are told as they are (RM-49)."""
        self.nurse.send(f"<presence type='unavailable' to='{ORCHARD}/Nurse'/>")
        self.juliet.raw()
        self.romeo.send(f"<message type='groupchat' to='{ORCHARD}'>{STATE}</message>")
        self.assertIn(STATE, self.juliet.received()[0])
