"""In which stage the processor is found."""

import os
import signal
import sys
import time

from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.stage_samples import EACH_S, OTHER, StageSamples

LONG_ENOUGH_S = 100 * EACH_S
"""Of the processor, in which it has looked many times."""


class Router:
    """A stage that calls another one, and works itself."""

    def route(self, samples: StageSamples, session: "Session") -> None:
        session.deliver(samples)
        looked_at(samples)

    @property
    def busy(self) -> bool:
        looked_at(SAMPLES)
        return True


class Session:
    """The last stage."""

    def deliver(self, samples: StageSamples) -> None:
        for _ in range(2):
            looked_at(samples)

    def work(self, samples: StageSamples) -> None:
        began = time.process_time()
        while not samples.seen["Session"] and time.process_time() - began < LONG_ENOUGH_S:
            pass


SAMPLES = StageSamples({"Router": [Router], "Session": [Session]})


def looked_at(samples: StageSamples) -> None:
    """Something that a stage calls, and that is none itself, is looked at."""
    samples.look(signal.SIGPROF, sys._getframe())


class SampleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.samples = StageSamples({"Router": [Router], "Session": [Session]})

    def test_who_works(self) -> None:
        """A look counts for the innermost stage, also for what it calls; all else is other."""
        Router().route(self.samples, Session())
        looked_at(self.samples)
        self.assertEqual(self.samples.seen, {"Router": 1, "Session": 2, OTHER: 1})
        self.assertEqual(self.samples.seconds()["Session"], 2 * EACH_S)

    def test_property(self) -> None:
        """What a stage computes when it is asked for is its own."""
        before = SAMPLES.seen["Router"]
        self.assertTrue(Router().busy)
        self.assertEqual(SAMPLES.seen["Router"], before + 1)

    def test_signals(self) -> None:
        """While it looks, a stage that works is found; a signal that comes late ends nothing."""
        before = signal.getsignal(signal.SIGPROF)
        self.addCleanup(signal.signal, signal.SIGPROF, before)
        self.samples.start()
        Session().work(self.samples)
        self.samples.stop()
        self.assertEqual(signal.getitimer(signal.ITIMER_PROF), (0.0, 0.0))
        seen = dict(self.samples.seen)
        self.assertGreater(seen["Session"], 0)
        os.kill(os.getpid(), signal.SIGPROF)
        self.assertEqual(self.samples.seen, seen)
