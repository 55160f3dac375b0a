"""What those who follow rooms are told of by their phones."""

from tests.plugins.muc.halls import ORCHARD
from tests.plugins.push.service import GAP_S, PushService, enable
from tests.plugins.room_unread.readers import ReaderCase, bookmark, display
from xmppd_plugins.room_push import AGAIN_S

ALWAYS, MENTIONS, NEVER = "<always/>", "<on-mention/>", "<never/>"


class PushCase(ReaderCase):
    """The nurse's phone is away, and she is online elsewhere, with no stanza unacknowledged."""

    plugins = (*ReaderCase.plugins, "push", "room_mentions", "room_push")

    def setUp(self) -> None:
        super().setUp()
        self.service = PushService(self.house)
        phone = self.client("nurse/phone")
        self.assertEqual(enable(phone), "result")
        phone.send("</stream:stream>")
        self.service.heard()

    def pushed(self, *texts: str) -> list[int]:
        """How many messages are unread, as her service was told when these were said."""
        self.says(*texts)
        self.wait(GAP_S)
        return [each.count for each in self.service.heard() if each.body]


class OpenRoomTests(PushCase):
    """An open room that she has bookmarked."""

    def test_mentions(self) -> None:
        """Who only follows a room is told of mentions, by the nick in the bookmark (RM-61)."""
        bookmark(self.nurse, "Angelica")
        self.assertEqual(self.pushed("soft"), [])
        self.assertEqual(self.pushed("Angelica?"), [1])

    def test_nobody(self) -> None:
        """Who does not follow it is told of none (RM-61)."""
        bookmark(self.nurse, "Angelica", autojoin=False)
        self.assertEqual(self.pushed("Angelica?"), [])

    def test_closed(self) -> None:
        """Nor who may not enter it any more (RM-61)."""
        bookmark(self.nurse, "Angelica", setting=ALWAYS)
        self.assertEqual(self.pushed("soft"), [1])
        self.assert_done(self.configure(self.romeo, membersonly="1"))
        self.wait(AGAIN_S)
        self.assertEqual(self.pushed("Angelica?", "soft"), [])

    def test_all(self) -> None:
        """Who wants to be told of all that is said there is, once in five minutes, and all that is
        unread there counts (RM-61, PN-8).
        """
        bookmark(self.nurse, setting=ALWAYS)
        self.assertEqual(self.pushed("1"), [1])
        self.assertEqual(self.pushed("2", "3"), [])
        self.wait(AGAIN_S)
        self.assertEqual(self.pushed("4"), [4])

    def test_never(self) -> None:
        """Who has muted it is told of nothing (PN-8)."""
        bookmark(self.nurse, "Angelica", setting=NEVER)
        self.assertEqual(self.pushed("Angelica?"), [])


class GroupTests(PushCase):
    """A room for members only, in which everybody knows everybody."""

    def setUp(self) -> None:
        super().setUp()
        self.assert_done(self.configure(self.romeo, membersonly="1", whois="anyone"))
        self.assert_done(self.affiliate(self.romeo, "nurse", "member"))
        self.wait()

    def test_until_displayed(self) -> None:
        """Who has displayed what they were told of is told of the next message at once (RM-61)."""
        self.assertEqual(self.pushed("1"), [1])
        self.assertEqual(self.pushed("2"), [])
        (third,) = self.says("3")
        display(self.nurse, third)
        self.wait(GAP_S)
        cleared = self.service.heard()
        self.assertEqual([(each.count, each.body) for each in cleared], [(0, None)])
        self.assertEqual(self.pushed("4"), [1])

    def test_until_marked(self) -> None:
        """So is who has sent a marker to the room, from wherever (RM-61, RM-81)."""
        self.assertEqual(self.pushed("1"), [1])
        (second,) = self.says("2")
        self.enter(self.nurse, "Nurse")
        self.marks(self.nurse, second)
        self.nurse.send(f"<presence type='unavailable' to='{ORCHARD}/Nurse'/>")
        self.wait(GAP_S)
        self.assertEqual([each.count for each in self.service.heard()], [0])
        self.assertEqual(self.pushed("3"), [1])

    def test_mentions(self) -> None:
        """Who wants only mentions is told of these, and only they count (PN-8)."""
        bookmark(self.nurse, setting=MENTIONS)
        self.assertEqual(self.pushed("soft"), [])
        self.assertEqual(self.pushed("Nurse?"), [1])
