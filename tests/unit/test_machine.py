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
from twisted.trial.unittest import SynchronousTestCase, TestCase

from xmppd import machine as machine_module
from xmppd.machine import (
    Machine,
    boot_id,
    keep_collections_rare,
    keep_steady_time,
    notify,
    raise_descriptor_limit,
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


class LimitTests(SynchronousTestCase):
    def test_descriptors(self) -> None:
        """As many files may be open as the administrator allows."""
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
        self.assertEqual(raise_descriptor_limit(), before[1])
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[0], before[1])


class CollectionTests(SynchronousTestCase):
    def test_rare(self) -> None:
        """What there is at start is never walked again, and all else less often."""
        threshold = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *threshold)
        self.addCleanup(gc.unfreeze)
        keep_collections_rare()
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
