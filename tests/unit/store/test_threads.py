"""The store's own threads are few, and so are the calls that wait for them."""

from threading import Event

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.trial.unittest import TestCase

from xmppd.store.base import StoreError
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

    async def test_error(self) -> None:
        """What a call raises arrives where it was asked for."""
        threads = Threads(IReactorFromThreads(reactor), 1)
        with self.assertRaises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0)
        await threads.close()
