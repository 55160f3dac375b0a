"""Tests of how much is said in a room."""

import re

from tests.plugins.muc.halls import ORCHARD, RunningCase
from xmppd.testing.client import Client
from xmppd_plugins.room_activity import HOUR_S, NAME, HourlyCounts

DISCO = "http://jabber.org/protocol/disco#info"


class RoomActivityTests(RunningCase):
    plugins = ("disco", "muc", "room_activity")

    def rate(self, client: Client) -> str | None:
        """What the room says of that."""
        client.raw()
        client.send(f"<iq type='get' id='d' to='{ORCHARD}'><query xmlns='{DISCO}'/></iq>")
        (answer,) = client.received()
        self.assertEqual(answer.count("muc#roominfo</value>"), 1)
        found = re.search(f"{re.escape(NAME)}'[^>]*><value>(.*?)</value>", answer)
        return None if found is None else found[1]

    def test_told(self) -> None:
        """It is the number of texts in an hour, without corrections (RM-73)."""
        (romeo,) = self.opened("romeo")
        self.assert_done(self.configure(romeo, persistentroom="1"))
        self.assertIsNone(self.rate(romeo), "nothing is known yet")
        for word in ("one", "two", "three"):
            self.say(romeo, word)
        replace = "<replace xmlns='urn:xmpp:message-correct:0' id='m'/>"
        typing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        for inner in (f"<body>3</body>{replace}", typing):
            romeo.send(f"<message type='groupchat' to='{ORCHARD}'>{inner}</message>")
        self.house.clock.advance(HOUR_S)
        self.assertEqual(self.rate(romeo), "3.00")

    def test_not_for_all(self) -> None:
        """Of a room that is not found, or not entered, by everybody it is not told (RM-73)."""
        (romeo,) = self.opened("romeo")
        self.assert_done(self.configure(romeo, persistentroom="1"))
        self.assertIsNone(self.rate(romeo))
        self.house.clock.advance(HOUR_S)
        self.assertEqual(self.rate(romeo), "0.00")
        for name, value in (
            ("persistentroom", "0"),
            ("publicroom", "0"),
            ("membersonly", "1"),
            ("roomsecret", "s"),
        ):
            before = {"persistentroom": "1", "publicroom": "1", "membersonly": "0"}
            self.assert_done(self.configure(romeo, **{**before, name: value}))
            self.assertIsNone(self.rate(romeo), name)

    def test_day(self) -> None:
        """What is older than a day does not count, nor does the hour under way (RM-73)."""
        counts = HourlyCounts(0)
        counts.add(0)
        self.assertIsNone(counts.per_hour(0))
        self.assertEqual(counts.per_hour(2), 1 / 2)
        counts.add(2)
        self.assertEqual(counts.per_hour(2), 1 / 2)
        self.assertEqual(counts.per_hour(24), 2 / 24)
        self.assertEqual(counts.per_hour(25), 1 / 24)
        self.assertEqual(counts.per_hour(1_000), 0)
