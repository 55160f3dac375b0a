"""What is said last to rooms that nobody has is said again, within limits."""

from importlib import import_module

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import JID, Condition, StanzaError
from xmppd_plugins.muc.goodbyes import AGAIN_S, MAX_TRIES, Goodbyes

ROOM = "coven@conference.montague.lit"
ROMEO, JULIET = (JID.parse(f"{name}@montague.lit/1") for name in ("romeo", "juliet"))


class GoodbyesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.back: set[str] = set()
        self.is_owned = False
        self.tries = 0
        self.said: list[tuple[str, list[str]]] = []
        self.goodbyes = Goodbyes(self.is_in, self.say, self.clock)

    async def is_in(self, session: JID, room: JID) -> bool:
        return session.full in self.back

    async def say(self, room: str, sessions: list[str]) -> None:
        self.tries += 1
        if not self.is_owned:
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT)
        self.said.append((room, sorted(sessions)))

    def test_until_somebody_has_it(self) -> None:
        """It is said every five seconds until somebody has the room, once (RM-79)."""
        for session in (ROMEO, JULIET, ROMEO):
            self.goodbyes.unsaid(ROOM, session)
        self.clock.pump([AGAIN_S] * 3)
        self.assertEqual((self.tries, self.said), (3, []))
        self.is_owned = True
        self.clock.pump([AGAIN_S] * 3)
        self.assertEqual(self.said, [(ROOM, [JULIET.full, ROMEO.full])])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_back(self) -> None:
        """Who is in again is not said to be gone (RM-79)."""
        self.goodbyes.unsaid(ROOM, ROMEO)
        self.back.add(ROMEO.full)
        self.is_owned = True
        self.clock.pump([AGAIN_S] * 2)
        self.assertEqual((self.tries, self.said), (0, []))

    def test_given_up(self) -> None:
        """After ten minutes it is not said any more (RM-79)."""
        self.goodbyes.unsaid(ROOM, ROMEO)
        self.clock.pump([AGAIN_S] * (MAX_TRIES + 5))
        self.assertEqual(self.tries, MAX_TRIES)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_limit(self) -> None:
        """So many sessions are remembered at once (RM-79)."""
        self.patch(import_module("xmppd_plugins.muc.goodbyes"), "MAX_SESSIONS", 1)
        goodbyes = import_module("xmppd_plugins.muc.goodbyes").Goodbyes
        full = goodbyes(self.is_in, self.say, self.clock)
        for session in (ROMEO, JULIET):
            full.unsaid(ROOM, session)
        self.is_owned = True
        self.clock.advance(AGAIN_S)
        self.assertEqual(self.said, [(ROOM, [ROMEO.full])])
        full.unsaid(ROOM, JULIET)
        self.clock.advance(AGAIN_S)
        self.assertEqual(self.said[1:], [(ROOM, [JULIET.full])])

    def test_stopped(self) -> None:
        """Nothing is said any more when the rooms are gone."""
        self.goodbyes.unsaid(ROOM, ROMEO)
        self.goodbyes.stop()
        self.clock.advance(AGAIN_S)
        self.assertEqual(self.tries, 0)
