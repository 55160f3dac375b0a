"""Locks: those that change the same thing do so one after the other."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.locks import Locks


class LockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.locks = Locks()
        self.order: list[str] = []

    def hold(self, name: str, who: str) -> Deferred[None]:
        """Hold a lock until what is returned is fired."""
        done: Deferred[None] = Deferred()

        async def hold() -> None:
            async with self.locks.held(name):
                self.order.append(who)
                await done

        Deferred.fromCoroutine(hold()).addErrback(lambda failure: failure.trap(ValueError))
        return done

    def test_order(self) -> None:
        """Who asked first has it first, whatever came of those before; another name is free."""
        first, second = self.hold("romeo", "first"), self.hold("romeo", "second")
        self.hold("romeo", "third")
        self.hold("juliet", "other")
        self.assertEqual(self.order, ["first", "other"])
        first.errback(ValueError())
        second.callback(None)
        self.assertEqual(self.order, ["first", "other", "second", "third"])

    def test_nothing_is_left(self) -> None:
        """A lock that nobody holds is forgotten."""
        for done in [self.hold("romeo", "first"), self.hold("romeo", "second")]:
            self.assertEqual(len(self.locks), 1)
            done.callback(None)
        self.assertEqual(len(self.locks), 0)
