"""Moments and stamps."""

import inspect
import time
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.leases import LeasedMembership
from xmppd.host.clocks import Clocks, boot_clock, wall_clock

times = st.floats(0, 4e9)


class ClocksTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.steady, self.wall = 1_000.0, 1_700_000_000.0
        self.clocks = Clocks(lambda: self.steady, lambda: self.wall, "a start of the machine")

    @given(times)
    def test_there_and_back(self, ago_s: float) -> None:
        """A stamp leads back to its moment, as long as nobody sets the time of day."""
        moment = self.steady - ago_s
        self.assertAlmostEqual(self.clocks.moment(self.clocks.stamp(moment)), moment, places=3)

    def test_future(self) -> None:
        """What is stamped with the future was stamped by a clock that was wrong: it has been."""
        self.assertEqual(self.clocks.moment(self.wall + 5), self.steady)

    @given(times, times)
    def test_same_start(self, passed_s: float, set_to: float) -> None:
        """Between two processes time passes by the steady clock, whatever the other one shows."""
        note = self.clocks.note()
        self.steady, self.wall = 1_000.0 + passed_s, set_to
        self.assertEqual(self.clocks.since_s(note), self.steady - 1_000.0)
        self.steady = 1_000.0

    def test_another_start(self) -> None:
        """Where the machine was started between them, the wall clock says how long it was."""
        note = self.clocks.note()
        self.steady, self.wall = 3.0, self.wall + 60
        later = replace(self.clocks, boot="another start")
        self.assertEqual(later.since_s(note), 60)
        self.wall -= 3_600
        self.assertEqual(later.since_s(note), 0)

    def test_unknown_start(self) -> None:
        """So it is where the system does not tell one start from the next."""
        clocks = replace(self.clocks, boot="")
        note = clocks.note()
        self.steady, self.wall = 3.0, self.wall + 60
        self.assertEqual(clocks.since_s(note), 60)

    def test_wall_clock(self) -> None:
        """The time of day is a time of our days."""
        self.assertGreater(wall_clock(), 1.7e9)


class BootClockTests(SynchronousTestCase):
    def test_goes_on(self) -> None:
        """It goes on while the machine sleeps, and nobody sets it; leases are measured by it."""
        before = time.clock_gettime(time.CLOCK_BOOTTIME)
        read = boot_clock()
        self.assertTrue(before <= read <= time.clock_gettime(time.CLOCK_BOOTTIME))
        default = inspect.signature(LeasedMembership).parameters["boot_clock"].default
        self.assertIs(default, boot_clock)
