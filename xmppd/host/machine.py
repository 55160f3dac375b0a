"""The machine of a server: its time, threads, memory and limits, and the service manager."""

import gc
import os
import pyexpat
import resource
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFromThreads,
    IReactorTime,
    IReactorUNIX,
)
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.host.clocks import Clocks, wall_clock

SPARE_DESCRIPTORS = 256
"""For the database, the log, xmppctl, DNS, connections to other servers and files of plugins: a
quarter of all if there are few. The rest is for connections."""

MEMORY_RESERVE_BYTES = 16_777_216
"""For a stop when there is no memory left. It is never written: until then it is only addresses."""

YOUNG_COLLECTIONS_BEFORE_FULL = 100
"""A full collection walks every session; ten younger ones, Python's choice, come too soon."""

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SAFE_EXPAT = (2, 6, 4)

P = ParamSpec("P")
T = TypeVar("T")
_log = Logger()


class IReactor(IReactorCore, IReactorTime, IReactorFromThreads, IReactorUNIX):
    """The parts of Twisted's reactor that we use; all that run on a Unix provide them."""


class Descriptors:
    """The number of files that may be open; some of them are kept for other things than connections
    (CH-9).

    The kernel gives the lowest number that is free: so a connection's own number tells whether all
    below the reserve are taken.

    Attributes:
        limit: Their number.
        for_connections: The number that connections may have.
        turned_away: Connections that there was no room for.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.for_connections = limit - min(SPARE_DESCRIPTORS, limit // 4)
        self.turned_away = 0
        self._turned_away_before: int | None = None

    @classmethod
    def of_this_process(cls) -> "Descriptors":
        """Allow ourselves as many open files as the administrator allows us."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return cls(hard)

    @property
    def turns_away(self) -> bool:
        """Whether there was no room for the latest connection."""
        return self._turned_away_before is not None

    def have_room_for(self, descriptor: int) -> bool:
        """Whether a connection of this number may stay; the log has a line when that changes."""
        if descriptor < self.for_connections:
            if self._turned_away_before is not None:
                self._tell_that_it_is_over(self._turned_away_before)
            return True
        if self._turned_away_before is None:
            self._turned_away_before = self.turned_away
            _log.error(
                "the server rejects connections beyond {count}, because the limit of open files "
                "is {limit}; raise LimitNOFILE= of the unit, or ulimit -n",
                count=self.for_connections, limit=self.limit,
            )  # fmt: skip
        self.turned_away += 1
        return False

    def _tell_that_it_is_over(self, before: int) -> None:
        self._turned_away_before = None
        _log.warn(
            "connections are below the limit of open files again; the server refused {count}",
            count=self.turned_away - before,
        )


@implementer(ILogObserver)
class MemoryWatch:
    """Stops the server in order when there is no memory left (BOOT-5).

    Code that survives unforeseen errors logs them, and goes on. But a MemoryError may have left
    anything half done, and the next one is near: as soon as one is logged, the server stops, and
    saves what it can. For that some memory is kept until then.

    Args:
        stop: Called once, in whatever thread it happened.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._reserve: bytearray | None = bytearray(MEMORY_RESERVE_BYTES)

    def __call__(self, event: LogEvent) -> None:
        """Look at an event of the log."""
        failure: Failure | None = event.get("log_failure")
        if failure is None or self._reserve is None or failure.check(MemoryError) is None:
            return
        self._reserve = None
        self._stop()


class Machine:
    """The environment of an :class:`~xmppd.server.xmpp_server.XMPPServer`.

    As many threads as there are cores compute passwords. At most one call for each stream waits for
    them, and streams are limited.

    Attributes:
        clock: The reactor's time, which is steady.
        clocks: The same, and the time of day.
        secret: This installation's own.
        descriptors: How many files may be open.
    """

    def __init__(
        self, reactor: IReactor, secret: bytes, descriptors: Descriptors | None = None
    ) -> None:
        self.clock: IReactorTime = reactor
        self.clocks = Clocks(reactor.seconds, wall_clock, boot_id(), reactor.seconds())
        self.secret = secret
        self.descriptors = descriptors or Descriptors(sys.maxsize)
        self._threads = Workers(reactor, "xmppd-passwords", os.cpu_count() or 1)
        self.run_in_thread = self._threads.run

    def stop(self) -> None:
        """Stop the threads."""
        self._threads.stop()


class Workers:
    """Threads for what would hold up the reactor.

    Args:
        reactor: Is told what came of it.
        name: What they are called.
        number: How many calls are done at a time; others wait.
    """

    def __init__(self, reactor: IReactorFromThreads, name: str, number: int) -> None:
        self._reactor = reactor
        self._pool = ThreadPoolExecutor(number, name)

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a function, computed in a thread."""
        done = Deferred[T]()
        # Twisted's pool would do as well, but leaves a cycle behind for each call.
        future = self._pool.submit(function, *args, **kwargs)
        future.add_done_callback(lambda future: self._reactor.callFromThread(_tell, done, future))
        return await done

    def stop(self) -> None:
        """Stop them, when what they do is done."""
        self._pool.shutdown()

    def stop_soon(self) -> None:
        """Let them do nothing more; the process ends when what they do is done."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _tell(done: Deferred[T], future: Future[T]) -> None:
    """Give the result to the reactor's thread."""
    error = future.exception()
    if error is None:
        done.callback(future.result())
    else:
        done.errback(Failure(error))


def keep_steady_time(reactor: IReactor) -> None:
    """Have the reactor measure by the steady clock: timers then keep, also if the time of day is
    set.

    Twisted measures by the wall clock, and lets that be replaced for just this purpose. It must be
    done before the first timer is set.
    """
    reactor.seconds = time.monotonic  # type: ignore[method-assign]


def boot_id() -> str:
    """The id of this start of the machine; empty where the system has none."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def collect_nothing() -> None:
    """Have no garbage collected until :func:`keep_collections_rare`: to look again and again at all
    that a start makes is a sixth of its time.
    """
    gc.disable()


def keep_collections_rare() -> None:
    """Collect garbage from now on, but exempt all objects of the start, since they stay; the little
    garbage among them is not worth looking at them all.
    """
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, YOUNG_COLLECTIONS_BEFORE_FULL)
    gc.freeze()
    gc.enable()


def warn_of_expat() -> None:
    """Log the parser of everything that comes from the network, since its age matters."""
    _log.info("the XML parser is {expat}", expat=pyexpat.EXPAT_VERSION)
    if pyexpat.version_info < SAFE_EXPAT:
        _log.warn(
            "{expat} has known vulnerabilities, fixed in 2.6.4: upgrade Python's expat, unless "
            "your distribution has fixed them in this version",
            expat=pyexpat.EXPAT_VERSION,
        )


def notify(state: str) -> None:
    """Tell systemd, if it has started us, the state of the server: sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        if address.startswith("@"):
            address = "\0" + address[1:]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
                notification.sendto(state.encode(), address)
        except OSError as error:
            _log.warn(
                "systemd could not be notified that {state}: {error}", state=state, error=error
            )


__all__ = [
    "SPARE_DESCRIPTORS",
    "Descriptors",
    "IReactor",
    "Machine",
    "MemoryWatch",
    "boot_id",
    "collect_nothing",
    "keep_collections_rare",
    "keep_steady_time",
    "notify",
    "warn_of_expat",
]
