"""The bench of looks at stages."""

from signal import ITIMER_PROF, getitimer

from twisted.trial.unittest import SynchronousTestCase

from bench.sampling import broadcast, chat, login, slices
from xmppd.host.stage_samples import StageSamples
from xmppd.measures import STAGES


class SamplingTests(SynchronousTestCase):
    def test_ratios(self) -> None:
        """Half of the work is looked at, and the timer is stopped behind it."""
        timers = []

        def work() -> None:
            timers.append(getitimer(ITIMER_PROF)[1] > 0)
            sum(range(100_000))  # some time passes, by which the other is divided

        found = slices(work, StageSamples(STAGES), 4)
        self.assertEqual(timers[:2], [False, False])
        self.assertEqual(timers[2:], [False, True, True, False] * 2)
        for each in (found, found.blur):
            self.assertGreater(min(each.of_least, each.of_pairs), 0)
        self.assertEqual(getitimer(ITIMER_PROF), (0.0, 0.0))

    def test_work(self) -> None:
        """Each kind of work can be done again and again."""
        for make in (chat, broadcast, login):
            with self.subTest(make.__name__):
                work = make()
                work()
                work()
