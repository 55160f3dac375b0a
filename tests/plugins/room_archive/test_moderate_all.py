"""Moderators take back all that somebody has said in the last day."""

import re
from importlib import import_module

from tests.plugins.muc.halls import ORCHARD, condition
from tests.plugins.room_archive.orchards import OrchardCase
from xmppd.testing.client import Client

COMMANDS = "http://jabber.org/protocol/commands"
NODE = "xmppd#moderate-all"


class ModerateAllTests(OrchardCase):
    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet, self.nurse = self.kept("juliet", "nurse")

    def take_back(self, client: Client, **values: str) -> str:
        """Give the command, filled in; all that came with its answer is in ``told``."""
        fields = "".join(
            f"<field var='{var}'><value>{value}</value></field>" for var, value in values.items()
        )
        form = f"<x xmlns='jabber:x:data' type='submit'>{fields}</x>"
        client.raw()
        client.send(
            f"<iq type='set' id='m' to='{ORCHARD}'><command xmlns='{COMMANDS}' node='{NODE}'>"
            f"{form}</command></iq>"
        )
        self.told = client.received()
        (answer,) = [each for each in self.told if each.startswith("<iq")]
        return answer

    def count(self, answer: str) -> int:
        return int(re.findall(r"messages removed: (\d+)", answer)[0])

    def test_all(self) -> None:
        """All that somebody has said is taken back, under any nick, and nobody else's (RM-77)."""
        self.say(self.juliet, "One")
        self.juliet.send(f"<presence to='{ORCHARD}/Julia'/>")
        self.say(self.juliet, "Two")
        self.say(self.nurse, "Anon")
        answer = self.take_back(self.romeo, who="Julia", reason="Noise")
        self.assertEqual(self.count(answer), 2)
        told = [each for each in self.told if "message-moderate" in each and "<message" in each]
        self.assertEqual(len(told), 2)
        self.assertIn("<reason>Noise</reason>", told[0])
        kept = self.in_archive()
        self.assertIn("Anon", kept)
        self.assertNotIn("One", kept)
        self.assertNotIn("Two", kept)
        self.assertEqual(self.count(self.take_back(self.romeo, who="Julia")), 0)

    def test_gone(self) -> None:
        """Who has left is named by the nick that they had, or by their address (RM-77)."""
        self.say(self.juliet, "One")
        self.juliet.send(f"<presence type='unavailable' to='{ORCHARD}/Juliet'/>")
        self.assertEqual(self.count(self.take_back(self.romeo, who="Juliet")), 1)
        self.say(self.nurse, "Two")
        answer = self.take_back(self.romeo, who="nurse@montague.lit")
        self.assertEqual(self.count(answer), 1)
        self.assertEqual(condition(self.take_back(self.romeo, who="Nobody")), "item-not-found")

    def test_day(self) -> None:
        """What was said before the last day stays (RM-77)."""
        self.say(self.juliet, "Yesterday")
        self.house.clock.advance(86_401)
        self.say(self.juliet, "Today")
        self.assertEqual(self.count(self.take_back(self.romeo, who="Juliet")), 1)
        self.assertIn("Yesterday", self.in_archive())

    def test_ban(self) -> None:
        """They are banned as well, if that is wanted and the moderator may (RM-77)."""
        self.say(self.juliet, "One")
        self.say(self.romeo, "Mine")
        self.ask(self.romeo, "<item nick='Nurse' role='moderator'/>")
        refused = self.take_back(self.nurse, who="Juliet", ban="1")
        self.assertEqual(condition(refused), "forbidden")
        self.assertIn("One", self.in_archive(), "nothing is done by halves")
        self.assertEqual(self.count(self.take_back(self.nurse, who="Romeo")), 1)
        self.take_back(self.romeo, who="Juliet", ban="1", reason="Noise")
        self.assertIn("code='301'", "".join(self.juliet.received()))
        banned = self.ask(self.romeo, "<item affiliation='outcast'/>", type="get")
        self.assertIn("juliet@montague.lit", banned)
        self.assertNotIn("One", self.in_archive())

    def test_refused(self) -> None:
        """It is for moderators, of rooms with an archive, and is named in their list (RM-77)."""
        self.assertEqual(condition(self.take_back(self.juliet, who="Romeo")), "forbidden")
        long = self.take_back(self.romeo, who="Juliet", reason="x" * 5_000)
        self.assertEqual(condition(long), "not-acceptable")
        self.configure(self.romeo, enablearchiving="0")
        refused = self.take_back(self.romeo, who="Juliet")
        self.assertEqual(condition(refused), "item-not-found")

    def test_limit(self) -> None:
        """So many are taken back at once, and it is said that there are more (RM-77)."""
        module = import_module("xmppd_plugins.room_archive.moderate_all")
        self.patch(module, "MAX_TAKEN_BACK", 2)
        for word in ("One", "Two", "Three"):
            self.say(self.juliet, word)
        answer = self.take_back(self.romeo, who="Juliet")
        self.assertEqual(self.count(answer), 2)
        self.assertIn("run the command again", answer)
        self.assertEqual(self.count(self.take_back(self.romeo, who="Juliet")), 1)
