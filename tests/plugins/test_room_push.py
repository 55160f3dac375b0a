"""Tests of push for those who are not in a room."""

from tests.plugins.muc.halls import ORCHARD, RunningCase
from tests.plugins.push.service import PushService, enable
from xmppd.testing.client import Client
from xmppd_plugins.room_push import AGAIN_S


class RoomPushTests(RunningCase):
    plugins = ("disco", "push", "muc", "room_push")

    def group(self, **config: str) -> tuple[Client, PushService]:
        """A group of Romeo, who is in, and Nurse, whose phone is away; her push service."""
        service = PushService(self.house)
        nurse = self.client("nurse")
        self.assertEqual(enable(nurse), "result")
        nurse.send("</stream:stream>")
        (romeo,) = self.opened("romeo")
        group = {"persistentroom": "1", "membersonly": "1", "whois": "anyone", **config}
        self.assert_done(self.configure(romeo, **group))
        self.assert_done(self.affiliate(romeo, "nurse", "member"))
        service.heard()
        return romeo, service

    def test_group(self) -> None:
        """Members of a group are told that something was said, and not what (RM-61)."""
        romeo, service = self.group()
        self.say(romeo, "But soft!")
        (told,) = service.heard()
        self.assertEqual(told.body, "New message")
        self.assertNotIn("soft", told.wire)

    def test_once(self) -> None:
        """They are told once in five minutes (RM-61)."""
        romeo, service = self.group()
        for word in ("one", "two"):
            self.say(romeo, word)
            self.house.clock.advance(10)
        self.assertEqual(len(service.heard()), 1)
        self.house.clock.advance(AGAIN_S)
        self.say(romeo, "three")
        self.assertEqual(len(service.heard()), 1)

    def test_seen(self) -> None:
        """Who has been in is told of what is said next (RM-61)."""
        romeo, service = self.group()
        self.say(romeo, "one")
        nurse = self.client("nurse")
        self.enter(nurse, "Nurse")
        nurse.send(f"<presence type='unavailable' to='{ORCHARD}/Nurse'/>")
        nurse.send("</stream:stream>")
        self.house.clock.advance(30)
        self.say(romeo, "two")
        self.assertEqual(len(service.heard()), 2)

    def test_not_worth_it(self) -> None:
        """They are not told of what says nothing new (RM-61)."""
        romeo, service = self.group()
        replace = "<replace xmlns='urn:xmpp:message-correct:0' id='m'/>"
        typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        for inner in (f"<body>soft</body>{replace}", typing):
            romeo.send(f"<message type='groupchat' to='{ORCHARD}'>{inner}</message>")
        self.assertEqual(service.heard(), [])

    def test_open(self) -> None:
        """Of a room that is open, or where not everybody is known, nothing is told (RM-61)."""
        for config in ({"membersonly": "0"}, {"whois": "moderators"}):
            with self.subTest(config):
                romeo, service = self.group(**config)
                self.say(romeo, "But soft!")
                self.assertEqual(service.heard(), [])
                self.setUp()

    def test_in(self) -> None:
        """Who is in hears it, and is not told (RM-61)."""
        romeo, service = self.group()
        self.enter(self.client("nurse/desk"), "Nurse")
        self.say(romeo, "But soft!")
        self.assertEqual(service.heard(), [])
