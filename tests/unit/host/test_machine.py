"""What a server asks of its machine, and tells it."""

import gc
import os
import resource
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet import reactor
from twisted.internet.base import ReactorBase
from twisted.logger import ILogObserver, LogEvent, Logger, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from xmppd.host import machine as machine_module
from xmppd.host.machine import (
    Descriptors,
    Machine,
    MemoryWatch,
    boot_id,
    collect_nothing,
    keep_collections_rare,
    keep_steady_time,
    notify,
)


class ThreadTests(TestCase):
    async def test_result(self) -> None:
        """What takes long is done beside the reactor, and what it comes to arrives."""
        machine = Machine(reactor, b"secret")  # type: ignore[arg-type]
        self.addCleanup(machine.stop)
        self.assertEqual(await machine.run_in_thread(pow, 2, exp=5), 32)
        self.assertGreater(machine.clocks.wall_clock(), 1.7e9)


class Timers(ReactorBase):
    """A reactor that has no more than timers."""

    def installWaker(self) -> None:
        """Nobody wakes it."""


class SteadyTimeTests(SynchronousTestCase):
    def test_timers(self) -> None:
        """Timers keep, whoever sets the time of day."""
        clock = Timers()
        keep_steady_time(clock)  # type: ignore[arg-type]
        timer = clock.callLater(60, lambda: None)
        self.assertLess(abs(timer.getTime() - time.monotonic() - 60), 5)
        left_s = clock.timeout()
        assert left_s is not None
        self.assertLess(abs(left_s - 60), 5)

    def test_start_of_the_machine(self) -> None:
        """Each start of the machine has a name of its own, on systems that give it one."""
        self.assertEqual(boot_id(), boot_id())
        self.patch(machine_module, "BOOT_ID", Path("/nowhere"))
        self.assertEqual(boot_id(), "")


class DescriptorTests(SynchronousTestCase):
    def test_limit(self) -> None:
        """As many files may be open as the administrator allows."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
        self.assertEqual(Descriptors.of_this_process().limit, before[1])
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[0], before[1])

    def test_reserve(self) -> None:
        """Some are kept for what is no connection, however few there are."""
        for limit, for_connections in ((65_536, 65_280), (1_024, 768), (256, 192), (20, 15)):
            with self.subTest(limit):
                descriptors = Descriptors(limit)
                self.assertEqual(descriptors.for_connections, for_connections)
                self.assertTrue(descriptors.have_room_for(for_connections - 1))
                self.assertFalse(descriptors.have_room_for(for_connections))

    def test_told(self) -> None:
        """The log says when there is no room any more, and when there is again: each time once."""
        told: list[str] = []

        @implementer(ILogObserver)
        def observer(event: LogEvent) -> None:
            told.append(formatEvent(event))

        self.patch(machine_module, "_log", Logger(observer=observer))
        descriptors = Descriptors(100)
        for number in (10, 80, 81, 82, 10, 11, 90, 9):
            descriptors.have_room_for(number)
        first, over, second, over_again = told
        self.assertIn(
            "rejects connections beyond 75, because the limit of open files is 100", first
        )
        self.assertIn("the server refused 3", over)
        self.assertEqual(first, second)
        self.assertIn("the server refused 1", over_again)
        self.assertEqual(descriptors.turned_away, 4)


class MemoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stops = 0
        self.watch = MemoryWatch(self.stop)
        self.log = Logger(observer=self.watch)

    def stop(self) -> None:
        self.stops += 1

    def test_no_memory_left(self) -> None:
        """The first time that somebody survives a want of memory the server stops, once."""
        self.log.failure("a door", Failure(ValueError()))
        self.log.info("nothing is wrong")
        self.assertEqual(self.stops, 0)
        for _ in range(3):
            self.log.failure("a door", Failure(MemoryError()))
        self.assertEqual(self.stops, 1)

    def test_while_handled(self) -> None:
        """So it is when the log is told of what is just being handled."""
        try:
            raise MemoryError
        except MemoryError:
            self.log.failure("a door")
        self.assertEqual(self.stops, 1)


class CollectionTests(SynchronousTestCase):
    def test_rare(self) -> None:
        """What there is at start is never walked, and all else less often."""
        threshold = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *threshold)
        self.addCleanup(gc.unfreeze)
        self.addCleanup(gc.enable)
        collect_nothing()
        self.assertFalse(gc.isenabled())
        keep_collections_rare()
        self.assertTrue(gc.isenabled())
        self.assertGreater(gc.get_freeze_count(), 1_000)
        self.assertGreater(gc.get_threshold()[2], 10)


class NotifyTests(SynchronousTestCase):
    def test_nobody(self) -> None:
        """Who was not started by systemd tells nobody."""
        self.patch(os, "environ", {})
        notify("READY=1")

    def test_told(self) -> None:
        """Systemd is told, by a socket with a path or an abstract one."""
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        path = str(Path(directory.name) / "notify")
        for address, name in ((path, path), ("\0xmppd-test", "@xmppd-test")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
                listener.bind(address)
                listener.settimeout(5)
                self.patch(os, "environ", {"NOTIFY_SOCKET": name})
                notify("READY=1")
                self.assertEqual(listener.recv(100), b"READY=1")

    def test_deaf(self) -> None:
        """A socket that is not there is no reason not to run."""
        self.patch(os, "environ", {"NOTIFY_SOCKET": "/nowhere/notify"})
        notify("READY=1")
