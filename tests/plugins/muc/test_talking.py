"""Tests of messages in rooms."""

from tests.plugins.muc.halls import (
    MUC,
    ORCHARD,
    RoomsCase,
    RunningCase,
    bodies,
    condition,
    rooms_config,
)
from xmppd.config.config import Config
from xmppd.testing.client import Client
from xmppd_plugins.muc.slow_mode import SlowMode


class TalkingTests(RoomsCase):
    def test_all_hear(self) -> None:
        """What is said comes to all, the sender included, with its id (RM-40)."""
        romeo, juliet = self.opened("romeo", "juliet")
        romeo.send(
            f"<message type='groupchat' id='m1' to='{ORCHARD}'><body>But soft!</body></message>"
        )
        for client in (romeo, juliet):
            (heard,) = client.received()
            self.assertIn(f"from='{ORCHARD}/Romeo'", heard)
            self.assertIn("id='m1'", heard)
            self.assertIn(f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ORCHARD}'", heard)
            self.assertIn("<occupant-id xmlns='urn:xmpp:occupant-id:0'", heard)
            self.assertIn("<body>But soft!</body>", heard)

    def test_counted(self) -> None:
        """What is said is counted for who says it by how many hear it."""
        romeo, *_ = self.opened("romeo", "juliet", "nurse")
        before = romeo.handler.counts.so_far()
        self.say(romeo, "But soft!")
        grown = romeo.handler.counts.so_far()
        self.assertEqual(grown.stanzas - before.stanzas, 1)
        self.assertEqual(grown.deliveries - before.deliveries, 3)

    def test_forged(self) -> None:
        """What only the room may say is taken out (RM-41)."""
        romeo, juliet = self.opened("romeo", "juliet")
        romeo.send(
            f"<message type='groupchat' to='{ORCHARD}'><body>Hi</body>"
            f"<x xmlns='{MUC}#user'><status code='301'/></x>"
            f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ORCHARD}' id='forged'/>"
            "<stanza-id xmlns='urn:xmpp:sid:0' by='other.example' id='kept'/>"
            "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>"
            "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z'/></message>"
        )
        (heard,) = juliet.received()
        for word in ("forged", "301", "2002"):
            self.assertNotIn(word, heard)
        self.assertIn("kept", heard)

    def test_stranger(self) -> None:
        """Who is not in says nothing there (RM-40)."""
        (romeo,) = self.opened("romeo")
        juliet = self.client("juliet")
        self.say(juliet, "Wherefore?")
        self.assertEqual(condition(juliet.received()[0]), "not-acceptable")
        self.assertEqual(romeo.received(), [])

    def test_nowhere(self) -> None:
        """Nothing is said in a room that is not there."""
        juliet = self.client("juliet")
        self.say(juliet, "Wherefore?")
        self.assertEqual(condition(juliet.received()[0]), "item-not-found")

    def test_wrong_type(self) -> None:
        """What is for all is of type groupchat, and what is for one is not (RM-40, RM-50)."""
        romeo, _ = self.opened("romeo", "juliet")
        for to, type in ((ORCHARD, "chat"), (f"{ORCHARD}/Juliet", "groupchat")):
            romeo.send(f"<message type='{type}' to='{to}'><body>Hi</body></message>")
            self.assertEqual(condition(romeo.received()[0]), "bad-request")

    def test_all_sessions(self) -> None:
        """All sessions of a nick hear, and any of them may speak (RM-15)."""
        romeo, phone = self.opened("romeo", "juliet")
        desk = self.client("juliet/desk")
        self.enter(desk, "Juliet")
        romeo.raw(), phone.raw()
        self.say(desk, "Ay me!")
        for client in (romeo, phone, desk):
            self.assertEqual(bodies(client.received()), ["Ay me!"])


class LimitTests(RoomsCase):
    def config(self) -> Config:
        return rooms_config(max_message_bytes=1_000, messages_per_s=1.0, burst_messages=2)

    def test_size(self) -> None:
        """A message that is too large is refused (RM-42)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.say(romeo, "x" * 1_000)
        self.assertEqual(condition(romeo.received()[0]), "policy-violation")
        self.assertEqual(juliet.received(), [])

    def test_rate(self) -> None:
        """Who says too much at once waits, and what was refused costs nothing (RM-42)."""
        romeo, juliet = self.opened("romeo", "juliet")
        for word in ("one", "two", "three", "four"):
            self.say(romeo, word)
        self.assertEqual(bodies(juliet.received()), ["one", "two"])
        refused = [each for each in romeo.received() if "type='error'" in each]
        self.assertEqual([condition(each) for each in refused], ["resource-constraint"] * 2)
        self.house.clock.advance(1)
        self.say(romeo, "five")
        self.assertEqual(bodies(juliet.received()), ["five"])


class SlowModeTests(RunningCase):
    def test_waits(self) -> None:
        """In slow mode nobody says one thing after the other, also by another nick (RM-42)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.configure(romeo, slow_mode_duration="10")
        juliet.raw(), romeo.raw()
        self.say(juliet, "one")
        self.house.clock.advance(4)
        juliet.send(f"<presence to='{ORCHARD}/Capulet'/>")
        juliet.raw(), romeo.raw()
        self.say(juliet, "two")
        (refused,) = juliet.received()
        self.assertEqual(condition(refused), "policy-violation")
        self.assertIn("wait 6 s", refused)
        self.assertEqual(romeo.received(), [])
        self.house.clock.advance(6)
        self.say(juliet, "three")
        self.assertEqual(bodies(romeo.received()), ["three"])

    def test_free(self) -> None:
        """Moderators do not wait, and nobody does who is only typing (RM-42)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.configure(romeo, slow_mode_duration="10")
        juliet.raw(), romeo.raw()
        for word in ("one", "two"):
            self.say(romeo, word)
        state = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        for _ in range(2):
            juliet.send(f"<message type='groupchat' to='{ORCHARD}'>{state}</message>")
        self.assertEqual(bodies(juliet.received()), ["one", "two"])
        self.assertEqual(len(romeo.received()), 4)

    def test_forgotten(self) -> None:
        """Who spoke long ago is not remembered (RM-42)."""
        slow = SlowMode()
        for number in range(100):
            self.assertEqual(slow.speak(f"{number}@montague.lit", number * 4.0, 10.0), 0)
        self.assertLessEqual(len(slow), 3)


class PrivateTests(RoomsCase):
    def test_one_hears(self) -> None:
        """A private message comes from the occupant, and says that it is of a room (RM-50)."""
        romeo, juliet, nurse = self.opened("romeo", "juliet", "nurse")
        romeo.send(f"<message type='chat' to='{ORCHARD}/Juliet'><body>Psst</body></message>")
        (heard,) = juliet.received()
        self.assertIn(f"from='{ORCHARD}/Romeo'", heard)
        self.assertIn(f"<x xmlns='{MUC}#user'", heard)
        self.assertEqual(romeo.received() + nurse.received(), [])

    def test_every_session(self) -> None:
        """It comes to all sessions of the nick, once to each (RM-50)."""
        romeo, phone = self.opened("romeo", "juliet")
        desk = self.client("juliet/desk")
        self.enter(desk, "Juliet")
        phone.raw()
        romeo.send(f"<message type='chat' to='{ORCHARD}/Juliet'><body>Psst</body></message>")
        self.assertEqual(bodies(phone.received()), ["Psst"])
        self.assertEqual(bodies(desk.received()), ["Psst"])

    def test_nobody(self) -> None:
        """One that is for nobody comes back (RM-50)."""
        (romeo,) = self.opened("romeo")
        romeo.send(f"<message type='chat' to='{ORCHARD}/Tybalt'><body>Psst</body></message>")
        self.assertEqual(condition(romeo.received()[0]), "item-not-found")


class SubjectTests(RoomsCase):
    def change(self, client: Client, subject: str) -> None:
        client.send(
            f"<message type='groupchat' to='{ORCHARD}'><subject>{subject}</subject></message>"
        )

    def test_all_hear(self) -> None:
        """A new subject is told to all, and to who enters later, with its time (RM-51)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.change(romeo, "Love")
        for client in (romeo, juliet):
            (heard,) = client.received()
            self.assertIn("<subject>Love</subject>", heard)
        *_, last = self.enter(self.client("nurse"), "Nurse")
        self.assertIn("<subject>Love</subject>", last)
        self.assertIn(f"from='{ORCHARD}/Romeo'", last)
        self.assertIn("urn:xmpp:delay", last)

    def test_not_everybody(self) -> None:
        """Participants may not change it unless the room says so (RM-51)."""
        romeo, juliet = self.opened("romeo", "juliet")
        self.change(juliet, "Names")
        self.assertEqual(condition(juliet.received()[0]), "forbidden")
        self.assertEqual(romeo.received(), [])

    def test_with_text(self) -> None:
        """A message with a subject and a text is said, and is not the subject (RM-51)."""
        romeo, juliet = self.opened("romeo", "juliet")
        juliet.send(
            f"<message type='groupchat' to='{ORCHARD}'><subject>S</subject><body>B</body></message>"
        )
        self.assertEqual(bodies(romeo.received()), ["B"])
        *_, last = self.enter(self.client("nurse"), "Nurse")
        self.assertNotIn("<subject>S", last)
