"""Rooms in the inboxes of those who follow them."""

import sys
from collections.abc import Awaitable, Callable

from tests.plugins.archive.archives import chat
from tests.plugins.muc.halls import ORCHARD
from tests.plugins.room_unread.readers import DISPLAYED, ReaderCase, bookmark, display
from xmppd.store.sql import Connection
from xmppd.testing.client import Client, done
from xmppd_plugins.inbox.unread import MAX_COUNTED
from xmppd_plugins.room_unread.table import FollowerTable

NURSE = "nurse@montague.lit"


class CountedTests(ReaderCase):
    """What is unread."""

    def setUp(self) -> None:
        super().setUp()
        self.assert_done(self.affiliate(self.romeo, "nurse", "member"))

    def test_shown(self) -> None:
        """A room is a conversation: what was said since one follows it is unread, and the last of
        it is shown as the room has it (RM-81).
        """
        self.assertEqual(self.inbox().conversations, [])
        *_, last = self.says("Ay me", "O")
        found = self.inbox()
        (shown,) = found.conversations
        self.assertEqual((shown.jid, shown.unread, shown.body), (ORCHARD, 2, "O"))
        self.assertEqual(shown.id, last)
        self.assertEqual(found.totals, (1, 1, 2))

    def test_who_said_it(self) -> None:
        """What is shown of it does not say who is behind a nick (RM-47)."""
        self.says("Ay me")
        self.nurse.raw()
        self.nurse.send("<iq type='get' id='i'><inbox xmlns='urn:xmpp:inbox:1'/></iq>")
        shown = "".join(self.nurse.received())
        self.assertIn(f"from='{ORCHARD}/Romeo'", shown)
        self.assertNotIn("romeo@", shown)

    def test_worth(self) -> None:
        """Only what says something counts: no state, subject, correction or reaction, and nothing
        that was taken back (RM-81).
        """
        (first,) = self.says("Ay me")
        replace = "<replace xmlns='urn:xmpp:message-correct:0' id='m'/>"
        for inner in (
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            "<subject>Love</subject>",
            f"<body>soft</body>{replace}",
            "<reactions xmlns='urn:xmpp:reactions:0' id='m'><reaction>x</reaction></reactions>",
        ):
            self.romeo.send(f"<message type='groupchat' to='{ORCHARD}'>{inner}</message>")
        self.wait()
        self.assertEqual(self.unread(), {"orchard": 1})
        moderate = f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{first}'>"
        retract = "<retract xmlns='urn:xmpp:message-retract:1'/></moderate>"
        self.romeo.send(f"<iq type='set' id='m' to='{ORCHARD}'>{moderate}{retract}</iq>")
        self.wait()
        self.assertEqual(self.unread(), {"orchard": 0})

    def test_own(self) -> None:
        """What somebody says there has read what was before it, and is not unread (RM-81)."""
        self.says("Ay me")
        self.enter(self.nurse, "Nurse")
        self.assertEqual(self.unread(), {"orchard": 1})
        self.says("My lord", client=self.nurse)
        self.assertEqual(self.unread(), {"orchard": 0})
        self.says("O")
        self.assertEqual(self.unread(), {"orchard": 1})

    def test_being_in(self) -> None:
        """To be in a room is not to read it: a client may be in a pocket (RM-81)."""
        self.enter(self.nurse, "Nurse")
        self.says("Ay me")
        self.assertEqual(self.unread(), {"orchard": 1})

    def test_marker(self) -> None:
        """A marker reads up to the message that it names by the room's id, never back; one that
        names none of the room's reads all (RM-81).
        """
        first, second, third = self.says("1", "2", "3")
        self.enter(self.nurse, "Nurse")
        for id, left in ((second, 1), (first, 1), (third, 0)):
            self.marks(self.nurse, id)
            self.assertEqual(self.unread(), {"orchard": left})
        self.says("4")
        self.marks(self.nurse, "of-the-client")
        self.assertEqual(self.unread(), {"orchard": 0})

    def test_published(self) -> None:
        """What a client publishes as displayed reads up to that (RM-81)."""
        first, second, third = self.says("1", "2", "3")
        for id, left in ((second, 1), (first, 1), (third, 0)):
            self.assertEqual(display(self.nurse, id), "result")
            self.assertEqual(self.unread(), {"orchard": left})

    def test_published_with_a_message(self) -> None:
        """So does what stands beside something that is said to the room (UN-6, RM-81)."""
        _, second, _ = self.says("1", "2", "3")
        self.enter(self.nurse, "Nurse")
        id = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{ORCHARD}' id='{second}'/>"
        self.nurse.send(
            f"<message type='groupchat' to='{ORCHARD}'><displayed xmlns='{DISPLAYED}'>{id}"
            "</displayed></message>"
        )
        self.wait()
        self.assertEqual(self.unread(), {"orchard": 1})

    def test_of_another_room(self) -> None:
        """An id that another room has given, or nobody, reads nothing (RM-81)."""
        self.opened_by(self.romeo, "balcony@conference.montague.lit")
        self.romeo.raw()
        self.say(self.romeo, "elsewhere", room="balcony@conference.montague.lit")
        self.says("1")
        for id in ("0" * 32, "f" * 32, "x"):
            display(self.nurse, id)
        self.assertEqual(self.unread(), {"orchard": 1})

    def test_most(self) -> None:
        """A thousand are counted (UN-3)."""
        self.assertEqual(MAX_COUNTED, 1_000)
        loaded = sys.modules["xmppd_plugins.room_unread.conversations"]
        self.patch(loaded, "MAX_COUNTED", 3)
        self.says("1", "2", "3", "4")
        self.assertEqual(self.unread(), {"orchard": 3})

    def test_restart(self) -> None:
        """A restart of the server changes none of it (RM-81)."""
        first, _, _ = self.says("1", "2", "3")
        display(self.nurse, first)
        self.house = self.house.restarted()
        self.nurse = self.client("nurse")
        self.assertEqual(self.unread(), {"orchard": 2})
        (self.romeo,) = self.opened("romeo")
        self.says("4")
        self.assertEqual(self.unread(), {"orchard": 3})

    def test_nothing_is_written(self) -> None:
        """When something is said in a room the archive writes it, and nobody writes anything for
        those who follow the room (RM-81).
        """
        self.unread()
        written: list[str] = []
        database = self.house.store.database
        write = database.write

        def watched(change: Callable[[Connection], None]) -> Awaitable[None]:
            written.append(change.__module__)
            return write(change)

        self.patch(database, "write", watched)
        juliet = self.client("juliet")
        self.enter(juliet, "Juliet")
        self.wait()
        written.clear()
        for number in range(10):
            self.say(juliet, f"{number}")
        self.wait()
        self.assertEqual(set(written), {"xmppd_plugins.archive.tail_writer"})
        self.assertEqual(self.unread(), {"orchard": 10})


class PagesTests(ReaderCase):
    """Rooms and people are in one list."""

    def setUp(self) -> None:
        super().setUp()
        self.assert_done(self.affiliate(self.romeo, "nurse", "member"))
        (self.juliet,) = self.house.connect("juliet")

    def speaks(self, client: Client, text: str) -> None:
        """Somebody writes to the nurse."""
        client.send(chat(NURSE, text, id=text))
        self.wait()

    def test_one_list(self) -> None:
        """The newest is first, be it a room's or a person's, and pages go through both (RM-81)."""
        self.speaks(self.juliet, "1")
        self.says("2")
        self.speaks(self.romeo, "3")
        self.assertEqual(self.bodies(self.inbox()), ["3", "2", "1"])
        self.assertEqual(self.inbox().totals, (3, 3, 3))
        page, seen = self.inbox(page="<max>1</max>"), []
        while page.conversations:
            (shown,) = page.conversations
            seen.append(shown.body)
            page = self.inbox(page=f"<max>1</max><after>{shown.id}</after>")
        self.assertEqual(seen, ["3", "2", "1"])
        last = self.inbox(page="<max>2</max><before/>")
        self.assertEqual(self.bodies(last), ["2", "1"])
        before = self.inbox(page=f"<max>1</max><before>{last.conversations[0].id}</before>")
        self.assertEqual(self.bodies(before), ["3"])
        self.assertEqual(self.bodies(self.inbox(page="<max>1</max><index>1</index>")), ["2"])

    def test_unread_only(self) -> None:
        """Who asks for what is unread gets no room that was read (RM-81)."""
        self.speaks(self.juliet, "1")
        (id,) = self.says("2")
        wanted = "unread-only='true'"
        self.assertEqual(self.bodies(self.inbox(attributes=wanted)), ["2", "1"])
        display(self.nurse, id)
        found = self.inbox(attributes=wanted)
        self.assertEqual(self.bodies(found), ["1"])
        self.assertEqual(found.totals, (2, 1, 1))


class MentionedTests(ReaderCase):
    """What a room has sent to somebody of what was said there."""

    plugins = (*ReaderCase.plugins, "room_mentions")

    def setUp(self) -> None:
        super().setUp()
        self.assert_done(self.affiliate(self.romeo, "nurse", "member"))
        bookmark(self.nurse)

    def test_part_of_it(self) -> None:
        """It is a part of the room's conversation, counts once, and is read with it (RM-81)."""
        first, second, third = self.says("Nurse?", "Come, Nurse", "soft")
        found = self.inbox()
        (shown,) = found.conversations
        self.assertEqual((shown.jid, shown.unread, shown.body), (ORCHARD, 3, "soft"))
        self.assertEqual(found.totals, (1, 1, 3))
        self.assertEqual(self.sent(), 2)
        for id, left in ((first, 1), (second, 0), (third, 0)):
            display(self.nurse, id)
            self.assertEqual(self.sent(), left)

    def sent(self) -> int:
        """The unread messages that the room has sent to her."""
        table = FollowerTable(self.house.store.database)
        (found,) = done(table.shown(NURSE))
        return found.mentions or 0
