"""A turn of the hub: who is served, for how long, in which order, and what may go wrong in it."""

import os
import select
from collections.abc import Callable

from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support import next_turn
from xmppd.net import epoll_hub
from xmppd.net.epoll_hub import Hub


class Bell:
    """A descriptor that rings until it is answered; `answer` says what serving it does."""

    def __init__(self, hub: Hub, answer: Callable[["Bell"], None] = lambda bell: None) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK)
        self.mask = select.EPOLLIN
        self.goes_first = False
        self.queued_bytes = 0
        self.hub = hub
        self.answer = answer
        self.served = 0
        self.alive = True
        self.calls: list[str] = []
        hub.add(self)

    def ring(self) -> "Bell":
        os.eventfd_write(self.fd, 1)
        return self

    def silence(self) -> None:
        os.eventfd_read(self.fd)

    def serve(self, event: int) -> None:
        if self.alive:
            self.served += 1
            self.answer(self)

    def flush(self) -> None:
        self.calls.append("flush")

    def failed(self) -> None:
        self.calls.append("crash")
        self.close(Failure())

    def close(self, reason: Failure) -> None:
        if self.alive:
            self.alive = False
            self.hub.remove(self)

    def closed(self) -> None:
        self.calls.append("bury")
        os.close(self.fd)


def is_ready(hub: Hub) -> bool:
    """Whether a reactor would call it now."""
    return bool(select.select([hub.fileno()], [], [], 0)[0])


class TurnTests(SynchronousTestCase):
    """Hub.doRead."""

    def setUp(self) -> None:
        self.patch(epoll_hub, "TURN_S", 60.0)  # However busy this machine is.
        self.clock = MemoryReactorClock()
        self.hub = Hub.of(self.clock)
        self.keeper = Bell(self.hub)
        self.addCleanup(lambda: self.hub.connectionLost(Failure(Exception("the test is over"))))

    def bells(self, count: int, answer: Callable[[Bell], None]) -> list[Bell]:
        return [Bell(self.hub, answer).ring() for _ in range(count)]

    def test_one_turn_serves_all(self) -> None:
        """All sockets that are ready are served in one turn."""
        bells = self.bells(20, lambda bell: None)
        self.hub.doRead()
        self.assertEqual([bell.served for bell in bells], [1] * 20)

    def test_time_is_up(self) -> None:
        """When the time of a turn is up, those left come first in the next, in their order."""
        self.patch(epoll_hub, "TURN_S", -1.0)
        order: list[Bell] = []
        bells = self.bells(3, order.append)
        for _ in range(3):
            self.hub.doRead()
        self.assertEqual(set(order), set(bells))
        served_first = order[:]
        for _ in range(3):
            self.hub.doRead()
        self.assertEqual(order[3:], served_first)

    def test_who_is_left_wakes_the_hub(self) -> None:
        """Those left when the time is up do not need another event to be served."""
        self.patch(epoll_hub, "TURN_S", -1.0)
        bells = self.bells(3, lambda bell: bell.silence())
        self.hub.doRead()
        self.clock.advance(0)
        self.assertEqual([bell.served for bell in bells], [1, 1, 1])

    def test_nobody_starves(self) -> None:
        """More sockets than one turn asks the kernel for, always ready: all are served soon."""
        self.patch(epoll_hub, "MAX_EVENTS", 256)
        bells = self.bells(600, lambda bell: None)
        for _ in range(4):
            self.hub.doRead()
        self.assertTrue(all(bell.served for bell in bells))

    def test_who_goes_first(self) -> None:
        """Who is online is served before the others, but for a few of them now and then."""
        self.patch(epoll_hub, "OTHERS_IN_BETWEEN", 2)
        order: list[Bell] = []
        others = self.bells(4, order.append)
        online = self.bells(3, order.append)
        for bell in online:
            bell.goes_first = True
        self.hub.doRead()
        self.assertEqual(order, [*others[:2], *online, *others[2:]])
        order.clear()
        self.hub.doRead()
        self.assertEqual(set(order[:3]), set(online))

    def test_others_have_their_share(self) -> None:
        """However long each takes, and however many go first, all are served."""
        self.patch(epoll_hub, "TURN_S", -1.0)
        bells = self.bells(6, lambda bell: None)
        for bell in bells[3:]:
            bell.goes_first = True
        for _ in range(12):
            self.hub.doRead()
        self.assertEqual([bell.served for bell in bells], [2] * 6)

    def test_late(self) -> None:
        """It is late while somebody waits for another turn, and not when one turn serves all."""
        self.assertEqual(Hub.late_s(self.clock), 0.0)
        self.assertEqual(Hub.late_s(MemoryReactorClock()), 0.0)
        now = [0.0]
        self.patch(epoll_hub, "monotonic", lambda: now[0])
        self.patch(epoll_hub, "TURN_S", -1.0)
        self.bells(3, lambda bell: bell.silence())
        self.hub.doRead()
        now[0] = 2.0
        self.assertEqual(Hub.late_s(self.clock), 2.0)
        self.hub.doRead()
        self.hub.doRead()
        self.hub.doRead()
        self.assertEqual(Hub.late_s(self.clock), 0.0)

    def test_work_the_kernel_does_not_know_of(self) -> None:
        """Who asks to be served later is, in a turn of its own, and once however often it asks."""
        bell = Bell(self.hub)
        for _ in range(3):
            self.hub.serve_later(bell, select.EPOLLIN)
        self.clock.advance(0)
        self.assertEqual(bell.served, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_turns_do_not_nest(self) -> None:
        """A handler that iterates the reactor does not serve others from inside its own call."""
        bells = self.bells(2, lambda bell: self.hub.doRead())
        self.hub.doRead()
        self.assertEqual([bell.served for bell in bells], [1, 1])

    def test_closed_in_the_same_turn(self) -> None:
        """A socket closed earlier in a turn is not served, and its number not reused in it."""
        fresh: list[int] = []

        def kill_others(killer: Bell) -> None:
            for bell in bells:
                if bell is not killer:
                    bell.close(Failure(Exception()))
            fresh.append(os.eventfd(0))

        bells = self.bells(2, kill_others)
        self.hub.doRead()
        self.assertEqual(sorted(bell.served for bell in bells), [0, 1])
        self.assertNotIn(fresh[0], [bell.fd for bell in bells])
        os.close(fresh[0])

    def test_buried_after_the_turn(self) -> None:
        """Outside of a turn nobody is buried at once, but in a turn made for it."""
        bell = Bell(self.hub)
        bell.close(Failure(Exception()))
        self.assertEqual(bell.calls, [])
        self.clock.advance(0)
        self.assertEqual(bell.calls, ["bury"])

    def test_many_dead(self) -> None:
        """Who ends when a turn is over is buried in the next one; at the reactor's end all are."""
        self.patch(epoll_hub, "TURN_S", 0.0)
        bells = self.bells(4, lambda bell: bell.close(Failure(Exception())))
        for bell in bells:
            bell.close(Failure(Exception()))
        for buried in (0, 1, 2):
            self.assertEqual([bell.calls for bell in bells].count(["bury"]), buried)
            next_turn(self.clock)
        self.hub.connectionLost(Failure(Exception()))
        self.assertEqual([bell.calls for bell in bells], [["bury"]] * 4)

    def test_crash(self) -> None:
        """Whatever a handler raises ends that one; the others are served, the hub lives."""
        for error in (ValueError("a bug"), SystemExit("a worse bug"), KeyboardInterrupt()):

            def fail(bell: Bell, error: BaseException = error) -> None:
                raise error

            with self.subTest(error=error):
                bad, good = Bell(self.hub, fail).ring(), Bell(self.hub).ring()
                self.hub.doRead()
                self.assertEqual(bad.calls, ["crash", "bury"])
                self.assertEqual(good.served, 1)
                good.close(Failure(Exception()))

    def test_crash_in_flush_and_bury(self) -> None:
        """The end of a turn survives what its callbacks raise."""

        class Fragile(Bell):
            def flush(self) -> None:
                raise ValueError("flush")

            def closed(self) -> None:
                super().closed()
                raise ValueError("bury")

        bell = Fragile(self.hub)
        self.hub.flush_later(bell)
        self.clock.advance(0)
        self.assertEqual(bell.calls, ["crash", "bury"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.keeper.calls, [])

    def test_event_of_a_stranger(self) -> None:
        """An event for a number the hub does not know, perhaps a forked child's, does no harm."""
        stranger = os.eventfd(1)
        self.hub._epoll.register(stranger, select.EPOLLIN)
        bell = Bell(self.hub).ring()
        self.hub.doRead()
        self.assertEqual(bell.served, 1)
        os.close(stranger)

    def test_parked(self) -> None:
        """A parked descriptor makes no noise until it is watched again."""
        bell = Bell(self.hub).ring()
        self.hub.park(bell)
        self.hub.park(bell)
        self.assertFalse(is_ready(self.hub))
        self.hub.watch(bell, select.EPOLLIN)
        self.assertTrue(is_ready(self.hub))
        self.hub.park(bell)
        bell.close(Failure(Exception()))


class LifeTests(SynchronousTestCase):
    """When there is a hub."""

    def test_comes_and_goes(self) -> None:
        """The hub is there from the first socket to the last; then the reactor has nothing left."""
        clock = MemoryReactorClock()
        self.assertEqual(list(clock.readers), [])
        hub = Hub.of(clock)
        self.assertEqual(list(clock.readers), [hub])
        bell = Bell(hub)
        bell.close(Failure(Exception()))
        clock.advance(0)
        self.assertEqual((list(clock.readers), clock.getDelayedCalls()), ([], []))

    def test_one_for_each_reactor(self) -> None:
        """All endpoints of a reactor share its hub."""
        clock = MemoryReactorClock()
        hub = Hub.of(clock)
        self.assertIs(Hub.of(clock), hub)
        hub.connectionLost(Failure(Exception()))

    def test_not_shared_with_a_child(self) -> None:
        """A forked child has a hub of its own: its sockets must not wake the parent."""
        clock = MemoryReactorClock()
        hub = Hub.of(clock)
        child = os.fork()
        if child == 0:
            os._exit(Hub.of(clock) is hub)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        hub.connectionLost(Failure(Exception()))

    def test_not_inherited_by_programs(self) -> None:
        """A program that we start does not get the epoll."""
        clock = MemoryReactorClock()
        hub = Hub.of(clock)
        self.assertFalse(os.get_inheritable(hub.fileno()))
        hub.connectionLost(Failure(Exception()))

    def test_reactor_stops(self) -> None:
        """When the reactor stops everybody is buried and the epoll closed."""
        clock = MemoryReactorClock()
        hub = Hub.of(clock)
        bells = [Bell(hub), Bell(hub)]
        hub.flush_later(bells[0])
        hub.connectionLost(Failure(Exception()))
        self.assertEqual([bell.calls for bell in bells], [["flush", "bury"], ["bury"]])
        self.assertEqual(list(clock.readers), [])
