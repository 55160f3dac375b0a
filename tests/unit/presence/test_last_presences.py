"""What absent accounts left behind is asked for once."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.presence import last_presences
from xmppd.presence.last_presences import LastPresences
from xmppd.store.accounts import AccountStore
from xmppd.store.database import Database
from xmppd.store.last_presences import LastPresence, PresenceStore
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store
from xmppd.testing.client import done
from xmppd.testing.house import House

DOMAIN = "montague.lit"
ROMEO, JULIET = f"romeo@{DOMAIN}", f"juliet@{DOMAIN}"
GONE = LastPresence(1.0, "gone")


class CountingPresences(PresenceStore):
    """Remembers what it was asked."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, Clock())
        self.asked: list[list[str]] = []

    async def last_presence(self, accounts: Sequence[str]) -> dict[str, LastPresence]:
        self.asked.append(list(accounts))
        return await super().last_presence(accounts)


class CountingAccounts(AccountStore):
    """Remembers how often it was asked who there is."""

    existence = 0

    async def exists(self, account: str) -> bool:
        self.existence += 1
        return await super().exists(account)


class CountingStore(Store):
    """Counts what is asked of accounts and of their presences."""

    presences: CountingPresences
    accounts: CountingAccounts

    def __init__(self) -> None:
        super().__init__(MemoryDatabase(), Clock())
        self.presences = CountingPresences(self.database)
        self.accounts = CountingAccounts(self.database, self.presences, self.belongings)


class LastPresencesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = CountingStore()
        for account in (ROMEO, JULIET):
            done(self.store.accounts.create_account(account, []))
        self.last = LastPresences(self.store.presences)

    def find(self, *accounts: str) -> dict[str, LastPresence]:
        return done(self.last.find(accounts))

    def test_asked_once(self) -> None:
        """Whoever was asked for once is known, also if they were never here."""
        done(self.store.presences.save_last_presence(ROMEO, GONE))
        for _ in range(2):
            self.assertEqual(self.find(ROMEO, JULIET), {ROMEO: GONE})
        self.assertEqual(self.store.presences.asked, [[ROMEO, JULIET]])
        self.assertEqual((self.last.known(ROMEO), self.last.known(JULIET)), (GONE, None))
        self.assertTrue(self.last.knows(JULIET))

    def test_written(self) -> None:
        """What is written is known, without asking."""
        self.find(ROMEO)
        done(self.last.save(ROMEO, GONE))
        self.assertEqual(self.find(ROMEO), {ROMEO: GONE})
        self.assertEqual(self.store.presences.asked, [[ROMEO]])
        self.assertEqual(done(self.store.presences.last_presence([ROMEO])), {ROMEO: GONE})

    def test_forgotten(self) -> None:
        """An account that was removed is asked for anew."""
        done(self.last.save(ROMEO, GONE))
        self.last.forget(ROMEO)
        self.assertFalse(self.last.knows(ROMEO))
        self.find(ROMEO)
        self.assertEqual(self.store.presences.asked, [[ROMEO]])

    def test_long_status(self) -> None:
        """A long status is not kept in memory; it is asked for each time."""
        long = LastPresence(1.0, "x" * (last_presences.MAX_STATUS_LENGTH + 1))
        done(self.last.save(ROMEO, GONE))
        done(self.last.save(ROMEO, long))
        self.assertEqual(self.find(ROMEO), {ROMEO: long})
        self.assertEqual(self.store.presences.asked, [[ROMEO]])

    def test_bound(self) -> None:
        """So many are known and no more; the oldest is forgotten first."""
        self.patch(last_presences, "MAX_KNOWN", 2)
        self.find(ROMEO)
        self.find(JULIET)
        self.find(f"nurse@{DOMAIN}")
        self.assertFalse(self.last.knows(ROMEO))
        self.assertTrue(self.last.knows(JULIET))

    def test_late_answer(self) -> None:
        """An answer that is older than what was written meanwhile is not remembered."""
        slow = SlowStore()
        last = LastPresences(slow.presences)
        slow.slow = True
        answer = Deferred.fromCoroutine(last.find([ROMEO]))
        Deferred.fromCoroutine(last.save(ROMEO, GONE))
        slow.release_all()
        self.assertEqual(self.successResultOf(answer), {})
        self.assertIs(last.known(ROMEO), GONE)


class NoQueryTests(SynchronousTestCase):
    """Probes and logins, where the answer is known."""

    def setUp(self) -> None:
        self.store = CountingStore()
        self.house = House(
            DOMAIN, store=self.store, romeo={"juliet": "both"}, juliet={"romeo": "both"}
        )
        (romeo,) = self.house.connect("romeo")
        romeo.send("<presence type='unavailable'><status>bye</status></presence>")
        self.store.presences.asked.clear()

    def test_probe(self) -> None:
        """A probe for somebody who left since the start asks the store nothing."""
        (juliet,) = self.house.connect("juliet")
        self.store.accounts.existence = 0
        juliet.send(f"<presence type='probe' to='{ROMEO}'/>")
        self.assertIn("<status>bye</status>", "".join(juliet.received()))
        self.assertEqual((self.store.presences.asked, self.store.accounts.existence), ([], 0))

    def test_greeting(self) -> None:
        """Nor does a login whose absent contacts are all known."""
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        self.assertIn("<status>bye</status>", "".join(juliet.received()))
        juliet.abort()
        (romeo,) = self.house.connect("romeo")
        self.assertEqual(self.store.presences.asked, [])
        romeo.abort()

    def test_removed(self) -> None:
        """An account that is made anew under an old name was never here."""
        done(self.house.server.accounts.remove(self.house.jid("romeo")))
        self.house.add("romeo", {"juliet": "both"})
        (juliet,) = self.house.connect("juliet")
        juliet.send(f"<presence type='probe' to='{ROMEO}'/>")
        self.assertEqual(juliet.received(), [])
        self.assertIn([ROMEO], self.store.presences.asked)
