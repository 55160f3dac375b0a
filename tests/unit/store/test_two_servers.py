"""Two servers on one PostgreSQL, each with connections of its own."""

from collections import Counter
from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from tests.unit.store.databases import drop_postgresql, make_postgresql
from xmppd.store.held import HeldMessage
from xmppd.store.sessions import SavedSession
from xmppd.store.store import Store, make_store

T = TypeVar("T")
PEOPLE = [f"person{number}@montague.lit" for number in range(20)]


async def at_once(*works: Coroutine[Any, Any, T]) -> list[T]:
    """The results of works that are done at the same time."""
    return await gatherResults(list(map(Deferred.fromCoroutine, works)))


class TwoServersTests(TestCase):
    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        self.stores = {"a.1": await self.opened(url), "b.1": await self.opened(url)}

    async def opened(self, url: str) -> Store:
        store = make_store(url, reactor=reactor, shared=True)
        self.addCleanup(lambda: Deferred.fromCoroutine(store.close()))
        await store.open()
        return store

    async def keep(self, account: str, count: int) -> None:
        """Store so many messages for somebody."""
        for number in range(count):
            await self.stores["a.1"].offline.store_offline(
                account, b"<%d/>" % number, sender=f"{number}@x.lit", stored=1.0,
                max_messages=999, max_bytes=9_999,
            )  # fmt: skip

    async def test_taken_by_one(self) -> None:
        """Of two servers that ask at the same moment one gets all that waits for somebody, whoever
        it is; and when it gives that back, both are as before.
        """
        await at_once(*(self.keep(account, 5) for account in PEOPLE))
        for _ in range(3):
            taken = await at_once(
                *(
                    store.offline.take_offline(account, node)
                    for account in PEOPLE
                    for node, store in self.stores.items()
                )
            )
            self.assertEqual(Counter(map(len, taken)), {5: len(PEOPLE), 0: len(PEOPLE)})
            await at_once(
                *(
                    store.offline.give_back(account, node)
                    for account in PEOPLE
                    for node, store in self.stores.items()
                )
            )

    async def test_freed_beside_takes(self) -> None:
        """What a lost node had taken is freed while others take, and nothing is left over."""
        for account in PEOPLE:
            await self.stores["a.1"].accounts.create_account(account, [])
        await at_once(*(self.keep(account, 5) for account in PEOPLE))
        await at_once(*(self.stores["a.1"].offline.take_offline(a, "c.1") for a in PEOPLE))

        async def free(store: Store) -> set[str]:
            freed: set[str] = set()
            while (some := await store.offline.free_taken("c.1", limit=7)) is not None:
                freed |= some
            return freed

        async def take(node: str, store: Store) -> set[str]:
            await at_once(*(store.offline.take_offline(account, node) for account in PEOPLE))
            return set()

        found = await at_once(
            *(free(store) for store in self.stores.values()),
            *(take(node, store) for node, store in self.stores.items()),
        )
        self.assertEqual(set().union(*found), set(PEOPLE))
        again = await at_once(
            *(
                store.offline.take_offline(account, node)
                for account in PEOPLE
                for node, store in self.stores.items()
            )
        )
        self.assertEqual(sum(map(len, again)), 5 * len(PEOPLE))

    async def test_recovered_by_one(self) -> None:
        """What a lost node had held waits once, though both recover it."""
        held = [HeldMessage(b"k", 1, account, b"<m/>", 1.0) for account in PEOPLE for _ in "1234"]
        await self.stores["a.1"].sessions.hold_messages("c.1", held, arrived=())

        async def recover(store: Store) -> int:
            count = 0
            while page := await store.sessions.recover_messages("c.1", limit=7):
                count += len(page)
            return count

        counts = await at_once(*(recover(store) for store in self.stores.values()))
        self.assertEqual(sum(counts), len(held))
        waiting = [await self.stores["b.1"].offline.offline_messages(each) for each in PEOPLE]
        self.assertEqual([len(each) for each in waiting], [4] * len(PEOPLE))

    async def test_one_stops(self) -> None:
        """One stops and saves, the other saves and starts: nobody loses a session."""
        sessions = [SavedSession(account.encode(), account, b"data") for account in PEOPLE]
        await at_once(
            self.stores["a.1"].sessions.save_sessions("a.1", sessions[:10], theirs={}),
            self.stores["b.1"].sessions.save_sessions("b.1", sessions[10:], theirs={}),
        )
        await at_once(
            self.stores["b.1"].sessions.adopt_sessions("b.2", {"b.1"}),
            self.stores["a.1"].sessions.save_sessions("a.1", sessions[:10], theirs={}),
        )
        saved = self.stores["a.1"].sessions.saved_sessions
        self.assertEqual((len(await saved("a.1")), len(await saved("b.2"))), (10, 10))
