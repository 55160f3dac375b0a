"""Conversations go with what was said in them."""

from tests.plugins.inbox.inboxes import JULIET, NURSE, ROMEO, InboxCase, chat, done
from xmppd_plugins.archive import EXPIRE_S
from xmppd_plugins.archive.archive import SETTLED_S

DAY_S = 86_400.0


class ExpiryTests(InboxCase):
    """What Romeo and her nurse write to Juliet is kept for some time."""

    def setUp(self) -> None:
        super().setUp()
        self.house.wall_ahead_s = 1_700_000_000.0
        self.house.reload(self.config(max_age_days=10))

    def expire(self) -> None:
        """Let the hourly run have its time."""
        self.house.wall_ahead_s += SETTLED_S
        self.index()
        self.house.clock.advance(EXPIRE_S)
        for _ in range(10):  # turns
            self.house.clock.advance(0)

    def test_too_old(self) -> None:
        """A conversation of which nothing is in the archive any more is none (UN-1)."""
        self.write_to(self.romeo, "a")
        self.juliet.send(chat(ROMEO, "O Romeo"))
        self.house.wall_ahead_s += 6 * DAY_S
        self.write_to(self.nurse, "b")
        self.house.wall_ahead_s += 6 * DAY_S
        self.expire()
        answer = self.inbox()
        self.assertEqual([each.jid for each in answer.conversations], [NURSE])
        self.assertEqual(answer.totals, (1, 1, 1))
        self.assertEqual(done(self.follower.conversations.totals(ROMEO)), (0, 0, 0))

    def test_still_there(self) -> None:
        """One of which something is there stays as it is, also if that is not indexed yet."""
        self.write_to(self.romeo, "a")
        self.house.wall_ahead_s += 9 * DAY_S
        self.write_to(self.romeo, "b")
        self.house.wall_ahead_s += 2 * DAY_S
        self.expire()
        self.write_to(self.nurse, "c")
        self.assertEqual(self.unread(), {"nurse": 1, "romeo": 2})

    def test_unloaded(self) -> None:
        """Without the plugin the archive goes on by itself; with it again, so do conversations."""
        self.write_to(self.romeo, "a")
        done(self.house.plugins.unload("inbox"))
        self.house.wall_ahead_s += 11 * DAY_S
        self.expire()
        self.assertEqual(self.said(JULIET), [])
        done(self.house.plugins.load("inbox"))
        self.expire()
        (self.juliet,) = self.house.connect("juliet/2")
        self.assertEqual(self.unread(), {})
