"""The store's own threads are few, and so are the calls that wait for them."""

from threading import Event

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from xmppd.store import threads
from xmppd.store.errors import StoreError
from xmppd.store.limits import left_s
from xmppd.store.threads import Threads


class ThreadsTests(TestCase):
    async def test_bounded(self) -> None:
        """With too many calls under way the next one is refused; later there is room again."""
        threads = Threads(IReactorFromThreads(reactor), 1, max_waiting_calls=2)
        go_on = Event()
        waiting = [Deferred.fromCoroutine(threads.run(go_on.wait)) for _ in range(2)]
        refused = Deferred.fromCoroutine(threads.run(go_on.wait))
        await self.assertFailure(refused, StoreError)
        go_on.set()
        for call in waiting:
            self.assertTrue(await call)
        self.assertTrue(await threads.run(go_on.wait))
        await threads.close()

    async def test_close(self) -> None:
        """Closing waits for what is under way, and refuses what comes after."""
        threads = Threads(IReactorFromThreads(reactor), 1)
        go_on = Event()
        call = Deferred.fromCoroutine(threads.run(go_on.wait))
        closing = Deferred.fromCoroutine(threads.close())
        self.assertNoResult(closing)
        refused = Deferred.fromCoroutine(threads.run(go_on.wait))
        await self.assertFailure(refused, StoreError)
        go_on.set()
        await closing
        self.assertTrue(await call)

    async def stuck(self, threads: Threads, limit_s: float) -> tuple[Event, Deferred[bool]]:
        """What ends a call that has begun, and what it comes to."""
        begun, go_on = Event(), Event()
        self.addCleanup(go_on.set)

        def wait() -> bool:
            begun.set()
            return go_on.wait()

        call = Deferred.fromCoroutine(threads.run(wait, limit_s))
        while not begun.is_set():
            await deferLater(reactor, 0.01, lambda: None)
        return go_on, call

    async def test_limit(self) -> None:
        """Nobody waits for a call that does not end; what waited behind it too long is not made."""
        self.patch(threads, "GRACE_S", 0.05)
        one = Threads(IReactorFromThreads(reactor), 1)
        made: list[int] = []
        go_on, stuck = await self.stuck(one, 0.5)
        late = Deferred.fromCoroutine(one.run(lambda: made.append(1), 0.05))
        await self.assertFailure(late, StoreError)
        error = await self.assertFailure(stuck, StoreError)
        self.assertIn("has not answered for 1 s", str(error))
        go_on.set()
        self.assertTrue(await one.run(go_on.wait))
        self.assertEqual(made, [])
        await one.close()

    async def test_close_with_a_stuck_thread(self) -> None:
        """Closing does not wait for a thread that does not come back."""
        self.patch(threads, "CALL_LIMIT_S", 0.05)
        self.patch(threads, "GRACE_S", 0.05)
        one = Threads(IReactorFromThreads(reactor), 1)
        go_on, stuck = await self.stuck(one, 60.0)
        await self.assertFailure(Deferred.fromCoroutine(one.close()), StoreError)
        go_on.set()
        self.assertTrue(await stuck)

    async def test_how_long(self) -> None:
        """A call knows how long its thread may still wait."""
        one = Threads(IReactorFromThreads(reactor), 1)
        self.assertLessEqual(await one.run(left_s, 5.0), 5.0)
        self.assertGreater(await one.run(left_s, 5.0), 1.0)
        self.assertEqual(left_s(), float("inf"))
        await one.close()

    async def test_error(self) -> None:
        """What a call raises arrives where it was asked for."""
        threads = Threads(IReactorFromThreads(reactor), 1)
        with self.assertRaises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0)
        await threads.close()
