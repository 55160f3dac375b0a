"""Whose rooms are whose own."""

from tests.plugins.room_unread.readers import ReaderCase, bookmark, forget_bookmark
from xmppd.stanza import JID
from xmppd.testing.client import done

NURSE = "nurse@montague.lit"


class FollowingTests(ReaderCase):
    def test_bookmarked(self) -> None:
        """Who has bookmarked a room that is open follows it from then on, and no more when the
        bookmark is gone (RM-80).
        """
        self.says("before")
        self.assertEqual(self.unread(), {})
        self.assertEqual(bookmark(self.nurse), "result")
        self.assertEqual(self.unread(), {"orchard": 0})
        self.says("since")
        self.assertEqual(self.unread(), {"orchard": 1})
        self.assertEqual(forget_bookmark(self.nurse), "result")
        self.assertEqual(self.unread(), {})

    def test_not_entered(self) -> None:
        """A bookmark of a room that is not to be entered follows nothing (RM-80)."""
        bookmark(self.nurse, autojoin=False)
        self.says("Ay me")
        self.assertEqual(self.unread(), {})

    def test_visited(self) -> None:
        """Who only visits a room does not follow it (RM-80)."""
        self.enter(self.nurse, "Nurse")
        self.says("Ay me")
        self.assertEqual(self.unread(), {})

    def test_lists(self) -> None:
        """Who is in a list of a room follows it, and no more when they are in none (RM-80)."""
        self.assert_done(self.affiliate(self.romeo, "nurse", "member"))
        self.says("Ay me")
        self.assertEqual(self.unread(), {"orchard": 1})
        self.assert_done(self.affiliate(self.romeo, "nurse", "none"))
        self.assertEqual(self.unread(), {})

    def test_creator(self) -> None:
        """Who has made a room follows it (RM-80)."""
        self.enter(self.nurse, "Nurse")
        self.says("Ay me", client=self.nurse)
        self.assertEqual(self.unread(self.romeo), {"orchard": 1})

    def test_before(self) -> None:
        """What was bookmarked while nobody looked counts from when its owner asks (RM-80)."""
        done(self.house.plugins.unload("room_unread"))
        bookmark(self.nurse)
        self.says("before")
        done(self.house.plugins.load("room_unread"))
        self.assertEqual(self.unread(), {"orchard": 0})
        self.says("since")
        self.assertEqual(self.unread(), {"orchard": 1})

    def test_entered(self) -> None:
        """Or from when they enter a room (RM-80)."""
        done(self.house.plugins.unload("room_unread"))
        bookmark(self.nurse)
        done(self.house.plugins.load("room_unread"))
        self.enter(self.nurse, "Nurse")
        self.says("since")
        self.assertEqual(self.unread(), {"orchard": 1})

    def test_closed(self) -> None:
        """A bookmark shows nothing of a room that is not for its owner: one for members only, with
        a password, or from which they are banned (RM-46, RM-80).
        """
        bookmark(self.nurse)
        self.says("Ay me")
        for closed, opened in (
            ({"membersonly": "1"}, {"membersonly": "0"}),
            (
                {"passwordprotectedroom": "1", "roomsecret": "s"},
                {"passwordprotectedroom": "0"},
            ),
            ({"mam": "0"}, {"mam": "1"}),
        ):
            with self.subTest(closed):
                self.assert_done(self.configure(self.romeo, **closed))
                self.assertEqual(self.unread(), {})
                self.assert_done(self.configure(self.romeo, **opened))
                self.assertEqual(self.unread(), {"orchard": 1})
        self.assert_done(self.affiliate(self.romeo, "nurse", "outcast"))
        self.assertEqual(self.unread(), {})

    def test_banned_server(self) -> None:
        """Nor if their whole server is banned (RM-80)."""
        bookmark(self.nurse)
        self.says("Ay me")
        item = "<item jid='montague.lit' affiliation='outcast'/>"
        self.assert_done(self.ask(self.romeo, item))
        self.assertEqual(self.unread(), {})

    def test_destroyed(self) -> None:
        """A room that is no more is in no inbox (RM-80)."""
        bookmark(self.nurse)
        self.says("Ay me")
        self.assert_done(self.ask(self.romeo, "<destroy/>", "owner"))
        self.assertEqual(self.unread(), {})
        (self.romeo,) = self.opened("romeo/2")
        self.assert_done(self.configure(self.romeo, persistentroom="1"))
        self.says("Anew")
        self.assertEqual(self.unread(), {"orchard": 1})

    def test_elsewhere(self) -> None:
        """A bookmark of a room of another server, or of none, is nobody's affair here (RM-80)."""
        for room in ("orchard@conference.capulet.lit", "conference.montague.lit", "no room"):
            bookmark(self.nurse, room=room)
        self.assertEqual(self.unread(), {})

    def test_account_gone(self) -> None:
        """With an account goes what it followed (RM-80)."""
        bookmark(self.nurse)
        self.assert_done(self.affiliate(self.romeo, "juliet", "member"))
        room = self.orchard()
        self.assertIn(NURSE, room.followers)
        done(self.house.server.accounts.remove(JID.parse(NURSE)))
        self.wait()
        self.assertNotIn(NURSE, room.followers)
        self.house.add("nurse")
        self.nurse = self.client("nurse")
        self.says("Ay me")
        self.assertEqual(self.unread(), {})
