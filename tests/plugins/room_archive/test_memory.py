"""Tests of what rooms keep."""

import re
from unittest.mock import patch

from tests.plugins.muc.halls import ORCHARD, bodies, condition, rooms_config
from tests.plugins.room_archive.orchards import OrchardCase, ids
from xmppd.command.command_context import SHELL, Actor
from xmppd.command.refused import Refused
from xmppd.config.config import Config
from xmppd.config.scopes import EVERYTHING
from xmppd.stanza import JID
from xmppd.testing.client import done


class KeepingTests(OrchardCase):
    def test_ids(self) -> None:
        """What is said is kept in the order in which all hear it; the id that they hear is that of
        the archive (RM-46).
        """
        romeo, juliet = self.kept("juliet")
        for client, word in ((romeo, "one"), (juliet, "two"), (romeo, "three")):
            self.say(client, word)
        heard = romeo.received()
        self.assertEqual(ids(heard), ids(juliet.received()))
        self.assertEqual(bodies(heard), ["one", "two", "three"])
        answer = self.query(juliet)
        self.assertEqual((answer.said, answer.ids), (["one", "two", "three"], ids(heard)))

    def test_not_kept(self) -> None:
        """What is not worth it has an id and is not kept, nor is what is said to one, or said in a
        room that has no archive, or that is not to stay (RM-46, RM-48).
        """
        romeo, juliet = self.kept("juliet")
        romeo.send(
            f"<message type='groupchat' to='{ORCHARD}'>"
            "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
        )
        self.assertEqual(len(ids(juliet.received())), 1)
        romeo.send(f"<message type='chat' to='{ORCHARD}/Juliet'><body>Psst</body></message>")
        for field in ("mam", "persistentroom"):
            self.assert_done(self.configure(romeo, **{field: "0"}))
            self.say(romeo, field)
            self.assert_done(self.configure(romeo, **{field: "1"}))
        self.assertEqual(self.in_archive(), [])
        self.assertEqual(self.query(juliet).said, [])

    def test_subject(self) -> None:
        """A change of the subject is kept, without a text, and is not shown as history
        (RM-48).
        """
        (romeo,) = self.kept()
        romeo.send(f"<message type='groupchat' to='{ORCHARD}'><subject>Love</subject></message>")
        (result, _) = self.results(romeo)
        self.assertIn("<subject>Love</subject>", result)

    def test_restarted(self) -> None:
        """Who enters behind a restart is shown what was said before, under the same ids
        (RM-45).
        """
        romeo, _ = self.kept("juliet")
        for word in ("one", "two"):
            self.say(romeo, word)
        romeo.send(f"<message type='groupchat' to='{ORCHARD}'><subject>Love</subject></message>")
        heard = romeo.received()
        self.house = self.house.restarted()
        received = self.enter(self.client("juliet"), "Juliet")
        *shown, subject = [each for each in received if each.startswith("<message")]
        self.assertEqual(bodies(shown), ["one", "two"])
        self.assertEqual(ids(shown), ids(heard)[:2])
        self.assertIn("Love", subject)
        for each in shown:
            self.assertIn(f"from='{ORCHARD}/Romeo'", each)
            self.assertIn("urn:xmpp:delay", each)
            self.assertNotIn("romeo@", each)

    def test_destroyed(self) -> None:
        """A new room of the name has nothing of what was said in the one before (RM-55)."""
        (romeo,) = self.kept()
        self.say(romeo, "gone")
        self.assert_done(self.ask(romeo, "<destroy/>", "owner"))
        (romeo,) = self.kept()
        self.assertEqual(self.query(romeo).said, [])
        self.say(romeo, "new")
        self.assertEqual(self.query(romeo).said, ["new"])

    def test_no_room(self) -> None:
        """Nothing is told that could not be kept: whoever says it is asked to wait (RM-46)."""
        romeo, juliet = self.kept("juliet")
        with patch.object(self.archive.tail, "max_messages", 0):
            self.say(romeo, "lost")
            self.assertEqual(juliet.received(), [])
            self.house.clock.advance(10)
        (answer,) = romeo.received()
        self.assertEqual(condition(answer), "resource-constraint")
        self.assertIn("type='wait'", answer)
        self.assertEqual(juliet.received(), [])
        self.say(romeo, "again")
        self.assertEqual(bodies(juliet.received()), ["again"])

    def test_acknowledged(self) -> None:
        """Whoever is told that their message was handled has it in the archive (OA-2)."""
        (romeo,) = self.kept()
        self.say(romeo, "safe")
        later = self.archive.secure("romeo@montague.lit")
        assert later is not None, "it is not written yet"
        done(later)
        self.assertIsNone(self.archive.secure("romeo@montague.lit"))


class KeptTests(OrchardCase):
    """What was said in rooms that are destroyed stays."""

    def config(self) -> Config:
        return rooms_config(keep_destroyed=True)

    def exported(self, room: str = ORCHARD, actor: Actor = SHELL) -> str:
        commands = self.house.server.commands
        command, context = commands.asked("room archive", {"room": room}, actor)

        async def give() -> str:
            return "".join([str(reply) async for reply in commands.replies(command, context)])

        return done(give())

    def test_begins_anew(self) -> None:
        """A new room of the name has nothing of it; an administrator has all (RM-46)."""
        (romeo,) = self.kept()
        self.say(romeo, "before")
        (old,) = re.findall("<stanza-id [^>]*id='([^']*)'", "".join(romeo.received()))
        self.assert_done(self.ask(romeo, "<destroy/>", "owner"))
        self.house.clock.advance(1)
        (romeo,) = self.kept()
        self.assertEqual(self.query(romeo).said, [])
        self.say(romeo, "after")
        self.assertEqual(self.query(romeo).said, ["after"])
        found = self.exported()
        self.assertIn("<body>before</body>", found)
        self.assertIn("<body>after</body>", found)
        metadata = "<metadata xmlns='urn:xmpp:mam:2'/>"
        romeo.send(f"<iq type='get' id='m' to='{ORCHARD}'>{metadata}</iq>")
        self.assertNotIn(old, "".join(romeo.received()))
        romeo.send(
            f"<iq type='set' id='m' to='{ORCHARD}'><moderate id='{old}' xmlns="
            "'urn:xmpp:message-moderate:1'><retract xmlns='urn:xmpp:message-retract:1'/>"
            "</moderate></iq>"
        )
        self.assertEqual(condition(romeo.received()[0]), "item-not-found")
        self.house = self.house.restarted()
        received = self.enter(self.client("juliet"), "Juliet")
        self.assertEqual(bodies(received), ["after"])

    def test_exported(self) -> None:
        """Only the server's own machine exports, and only archives of rooms (RM-46)."""
        (romeo,) = self.kept()
        self.say(romeo, "Ay me")
        self.assertIn("jid='romeo@montague.lit", self.exported())
        self.assertRaises(Refused, self.exported, "romeo@montague.lit")
        admin = Actor(JID.parse("romeo@montague.lit/1"), EVERYTHING)
        self.assertRaises(Refused, self.exported, ORCHARD, admin)


class WithoutArchiveTests(OrchardCase):
    plugins = ("disco", "muc")

    def test_works(self) -> None:
        """Rooms without an archive give ids as well (RM-48)."""
        romeo, juliet = self.kept("juliet")
        self.say(romeo, "Hi")
        self.assertEqual(len(ids(juliet.received())), 1)
        self.assertEqual(self.query(juliet).error, "service-unavailable")
