"""What the overview remembers: an hour in short steps, a week in long ones; and drawings of it."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from xmppd.console.graphs import OVERVIEW, SERVER, Drawing, drawn, values
from xmppd.console.history import LONG_STEP_S, SPANS, STEP_S, LookBack, ReadingHistory
from xmppd.console.readings import Readings

NOTHING = Readings()
DAY_S = 86_400.0


class HistoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.history = ReadingHistory()

    def keep(self, seconds: float) -> None:
        """Let time go by; each second a message comes, and one session more is there."""
        at = 0.0
        while at <= seconds:
            self.assertTrue(self.history.is_time(at))
            self.history.keep(replace(NOTHING, at=at, messages=at, sessions=at))
            self.assertFalse(self.history.is_time(at + STEP_S - 1))
            at += STEP_S

    def test_bounded(self) -> None:
        """What is older than an hour, or than a week, is forgotten."""
        self.keep(8 * DAY_S)
        for name, steps, span_s in (
            ("hour", 360, 3_600.0), ("day", 288, DAY_S), ("week", 288, 7 * DAY_S),
        ):  # fmt: skip
            found = self.history.over(SPANS[name])
            self.assertEqual(found[-1].at, 8 * DAY_S, name)
            self.assertEqual(len(found) - 1, steps, name)
            self.assertAlmostEqual(found[-1].at - found[0].at, span_s, delta=0.05 * span_s)

    def test_newest(self) -> None:
        """Long steps go up to the newest readings as well."""
        self.keep(LONG_STEP_S + 2 * STEP_S)
        found = self.history.over(SPANS["day"])
        self.assertEqual([each.at for each in found], [0.0, LONG_STEP_S, LONG_STEP_S + 20.0])

    def test_nothing(self) -> None:
        """Before the first one there is nothing, and nothing to draw."""
        for span in SPANS.values():
            self.assertEqual(self.history.over(span), [])
        self.assertEqual(values(OVERVIEW, [])["sessions"], [[], []])

    def test_values(self) -> None:
        """Rates are those of the whole step, whatever its length."""
        self.keep(DAY_S)
        for span in SPANS.values():
            rates, _ = values(OVERVIEW, self.history.over(span))["stanzas"]
            self.assertEqual(set(rates), {1.0})

    def test_rates(self) -> None:
        """What took long is divided by what it took so long for; nothing by nothing is nothing."""
        slow = replace(NOTHING, at=10.0, late=(10, 0.05), sessions=3, detached=1)
        found = values(OVERVIEW, [NOTHING, slow, replace(slow, at=20.0)])
        self.assertEqual(found["late"], [[5.0, 0.0]])
        self.assertEqual(found["sessions"], [[2.0, 2.0], [1.0, 1.0]])

    def test_units(self) -> None:
        """Graphs of the process say percent, MiB and KiB."""
        now = replace(NOTHING, at=10.0, processor_s=2.5, memory_bytes=2**20, in_bytes=20_480)
        found = values(SERVER, [NOTHING, now])
        self.assertEqual(found["processor"], [[25.0]])
        self.assertEqual(found["memory"], [[1.0]])
        self.assertEqual(found["traffic"], [[2.0], [0.0]])


class LivesTests(SynchronousTestCase):
    """What is known of the server before it was started last."""

    def setUp(self) -> None:
        self.history = ReadingHistory()
        self.history.restore(
            [
                replace(NOTHING, at=300.0 * step, life="old", messages=step)
                for step in range(-30, -2)
            ]
        )
        for step in range(30):
            self.history.keep(replace(NOTHING, at=10.0 * step, life="new", messages=step))

    def test_gap(self) -> None:
        """Between two lives is a gap: what was counted in one is not compared with the other."""
        found = self.history.over(SPANS["day"])
        rates, _ = values(OVERVIEW, found)["stanzas"]
        self.assertEqual([rate for rate in rates if rate is not None], [0.0] * 27 + [0.1])
        self.assertEqual(rates.index(None), 27)
        self.assertEqual(found[28].life, "new")

    def test_hour(self) -> None:
        """The last hour has long steps before the start, and short ones after it."""
        found = self.history.over(SPANS["hour"])
        self.assertEqual([each.life for each in found], ["old"] * 9 + ["new"] * 30)
        self.assertEqual(self.history.first, found[9])
        self.assertEqual(self.history.step, found[-2:])

    def test_week(self) -> None:
        """However long its steps are, each life begins and ends where it did."""
        found = self.history.over(SPANS["week"])
        old = [each.at for each in found if each.life == "old"]
        self.assertEqual(old, [-9_000.0, -7_200.0, -5_100.0, -3_000.0, -900.0])

    def test_bounded(self) -> None:
        """Of the restored ones the oldest are left out, if they are too many."""
        earlier = [replace(NOTHING, at=step - 1e9) for step in range(3_000)]
        self.history.restore(earlier)
        self.assertEqual(len(self.history.over(LookBack("all", True, 1e12))), 2_017 + 1)


class DrawingTests(SynchronousTestCase):
    def drawn(self, *line: float | None, most: float = 0.0, width: int = 100) -> Drawing:
        return drawn(range(len(line)), line, most, width=width, height=24)

    def test_line(self) -> None:
        """A line goes from edge to edge, with its highest value at the upper one."""
        self.assertEqual(self.drawn(0, 2, 1).line, "M0.0 23.0 L50.0 3.0 L100.0 13.0")
        self.assertEqual(self.drawn(1, 1, most=2).line, "M0.0 13.0 L100.0 13.0")
        self.assertEqual(self.drawn(0, 0).line, "M0.0 23.0 L100.0 23.0")
        self.assertEqual(self.drawn(1), Drawing("", ""))
        self.assertEqual(self.drawn(0, 2).area, "M0.0 23.0 L100.0 3.0 L100.0 24 L0.0 24 Z")

    def test_gap(self) -> None:
        """Where there is no value there is no line, and nothing below it."""
        found = self.drawn(None, 1, 1, None, None, 1, 0)
        self.assertEqual(found.line, "M16.7 3.0 L33.3 3.0 M83.3 3.0 L100.0 23.0")
        self.assertEqual(
            found.area,
            "M16.7 3.0 L33.3 3.0 L33.3 24 L16.7 24 Z M83.3 3.0 L100.0 23.0 L100.0 24 L83.3 24 Z",
        )

    def test_times(self) -> None:
        """A value is where its time is."""
        found = drawn([0.0, 10.0, 100.0], [1, 1, 1], width=100, height=24)
        self.assertEqual(found.line, "M0.0 3.0 L10.0 3.0 L100.0 3.0")

    def test_peak(self) -> None:
        """Of many values no peak is lost."""
        line = [0.0] * 1_000
        line[123] = 7.0
        path = self.drawn(*line, width=140).line
        self.assertLessEqual(path.count("L"), 20)
        self.assertEqual(path.count(" 3.0"), 1)
        self.assertTrue(path.startswith("M0.0 ") and " L140.0 " in path)
