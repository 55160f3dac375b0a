"""Lines: who has the turn, and who goes before whom."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.message.lines import Lines

ROMEO = "romeo@montague.lit"


class LinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines = Lines(Clock().seconds)
        self.served: list[str] = []

    def join(self, who: str, *, passes: bool = False, ahead: bool = False) -> None:
        """Somebody joins, is served in its turn, and leaves at once."""
        turn = self.lines.join(ROMEO, passes=passes, ahead=ahead)
        if turn is None:
            self.serve(None, who)
        else:
            turn.addCallback(self.serve, who)

    def serve(self, _: None, who: str) -> None:
        self.served.append(who)
        self.lines.leave(ROMEO, self.lines.open[ROMEO].holder)

    def hold(self) -> object:
        """Somebody has the turn."""
        self.assertIsNone(self.lines.join(ROMEO))
        return self.lines.open[ROMEO].holder

    def test_order(self) -> None:
        """Each has its turn behind all that have come before, and the line is gone then."""
        holder = self.hold()
        for who in "abc":
            self.join(who, passes=who == "b")
        self.assertEqual(self.served, [])
        self.lines.leave(ROMEO, holder)
        self.assertEqual(self.served, ["a", "b", "c"])
        self.assertEqual(self.lines.open, {})

    def test_ahead(self) -> None:
        """Those that go ahead do so in the order in which they have come."""
        holder = self.hold()
        for who in "abcd":
            self.join(who, ahead=who in "bd")
        self.lines.leave(ROMEO, holder)
        self.assertEqual(self.served, ["b", "d", "a", "c"])

    def test_aside(self) -> None:
        """While one has stepped aside only those that pass have their turn, waiting or new; then it
        has its own before all others.
        """
        holder = self.hold()
        for who in "abcd":
            self.join(who, passes=who in "bd")
        self.lines.step_aside(ROMEO, holder)
        self.join("e")
        self.join("f", passes=True)
        self.assertEqual(self.served, ["b", "d", "f"])
        self.assertIn(ROMEO, self.lines.open)
        self.assertIsNone(self.lines.come_back(ROMEO, holder))
        self.join("g", passes=True)
        self.lines.leave(ROMEO, holder)
        self.assertEqual(self.served, ["b", "d", "f", "a", "c", "e", "g"])
        self.assertEqual(self.lines.open, {})

    def test_back_behind_one_that_passes(self) -> None:
        """Who comes back waits for one that has the turn just then, and for those that go ahead."""
        holder = self.hold()
        self.lines.step_aside(ROMEO, holder)
        self.assertIsNone(self.lines.join(ROMEO, passes=True))
        passing = self.lines.open[ROMEO].holder
        self.join("a")
        back = self.lines.come_back(ROMEO, holder)
        assert back is not None
        self.join("b", ahead=True)
        back.addCallback(self.serve, "back")
        self.lines.leave(ROMEO, passing)
        self.assertEqual(self.served, ["b", "back", "a"])
        self.assertEqual(self.lines.open, {})

    def test_nobody_comes(self) -> None:
        """A line in which somebody has stepped aside stays open, whoever leaves."""
        holder = self.hold()
        self.lines.step_aside(ROMEO, holder)
        self.lines.nobody_comes(ROMEO)
        self.assertIsNone(self.lines.come_back(ROMEO, holder))
        self.lines.leave(ROMEO, holder)
        self.assertEqual(self.lines.open, {})
