"""PrivacyListManager: read once, changed in one place, within limits."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from tests.plugins.test_privacy_lists import denied, listed, put
from tests.support import SlowStore
from xmppd.privacy import privacy_list_manager
from xmppd.privacy.privacy_list import PrivacyList, Rule
from xmppd.privacy.privacy_list_manager import RULES_PER_SLICE, PrivacyListManager
from xmppd.stanza import JID
from xmppd.store.database import Database
from xmppd.store.items import ItemStore
from xmppd.testing.client import done
from xmppd.testing.house import House

JULIET = JID.parse("juliet@montague.lit")
ROMEO = JID.parse("romeo@montague.lit")


class Counting(ItemStore):
    """Items that count how often they are read."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.read: list[str] = []

    async def get_items(self, account: str, namespace: str) -> dict[str, bytes]:
        self.read.append(account)
        return await super().get_items(account, namespace)


class LongListsTests(SynchronousTestCase):
    """An account with two long lists."""

    def test_slices(self) -> None:
        """They are read in a turn each."""
        house = House(juliet={})
        lists = house.server.privacy_lists
        for name in "ab":
            rules = [Rule(n, False, "jid", f"u{n}@x.lit") for n in range(RULES_PER_SLICE)]
            done(lists.save(JULIET, PrivacyList(name, rules)))
        lists.forget(JULIET.bare)
        reading = Deferred.fromCoroutine(lists.lists(JULIET))
        self.assertFalse(reading.called)
        house.clock.advance(0)
        self.assertEqual(sorted(self.successResultOf(reading).lists), ["a", "b"])


class ManagerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = SlowStore(items=Counting)
        assert isinstance(self.store.items, Counting)
        self.read = self.store.items.read
        self.house = House(
            plugins=("blocking", "privacy_lists"),
            store=self.store,
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
        self.lists: PrivacyListManager = self.house.server.privacy_lists

    def test_read_once(self) -> None:
        """Lists are read with the first session, also if there are none; then never again."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        self.read.clear()
        for _ in range(3):
            juliet.send("<presence/>")
            romeo.send("<message to='juliet@montague.lit' type='chat'><body>x</body></message>")
            romeo.send("<presence type='probe' to='juliet@montague.lit'/>")
            romeo.send("<iq type='get' id='x' to='juliet@montague.lit'><x xmlns='u'/></iq>")
        self.house.connect("juliet/2")
        self.assertEqual(self.read, [])

    def test_away(self) -> None:
        """The lists of somebody who is away are read once, too, and forgotten when many are."""
        self.patch(privacy_list_manager, "MAX_UNPINNED", 10)
        (romeo,) = self.house.connect("romeo")
        for _ in range(3):
            romeo.send("<message to='juliet@montague.lit' type='chat'><body>x</body></message>")
        self.assertEqual(self.read.count(JULIET.bare), 1)
        for number in range(50):
            done(self.lists.lists(JID.parse(f"u{number}@montague.lit")))
        self.assertIsNone(self.lists.loaded(JULIET.bare))
        self.assertIsNotNone(self.lists.loaded(ROMEO.bare))
        kept = [n for n in range(50) if self.lists.loaded(f"u{n}@montague.lit") is not None]
        self.assertLessEqual(len(kept), 12)

    def test_store_fails(self) -> None:
        """A block that could not be kept is an error, and holds neither now nor later."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        romeo.raw()
        self.store.broken.add("set_item")
        block = "<block xmlns='urn:xmpp:blocking'><item jid='romeo@montague.lit'/></block>"
        self.assertEqual(condition(ask(juliet, "set", block)), "resource-constraint")
        self.store.broken.clear()
        self.assertEqual(romeo.received(), [])
        put(juliet, "<active/>")
        self.assertIsNotNone(self.lists.loaded(JULIET.bare))
        blocklist = "<blocklist xmlns='urn:xmpp:blocking'/>"
        self.assertEqual(len(ask(juliet, "get", blocklist)[0]), 0)
        romeo.send("<message to='juliet@montague.lit' type='chat'><body>x</body></message>")
        self.assertEqual(len(juliet.received()), 1)

    def test_meanwhile(self) -> None:
        """Two changes that come while the store is slow do not undo each other."""
        first, second = self.house.connect("juliet/1", "juliet/2")
        self.store.slow = True  # "exists" waits, before anything is kept
        for number, client in enumerate((first, second)):
            client.send(
                "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
                f"<item jid='u{number}@x.lit'/></block></iq>"
            )
        self.store.slow = False
        self.store.release_all()
        blocked = done(self.lists.lists(JULIET)).blocked
        self.assertEqual({str(jid) for jid in blocked}, {"u0@x.lit", "u1@x.lit"})
        self.lists.forget(JULIET.bare)
        self.assertEqual(done(self.lists.lists(JULIET)).blocked, blocked)

    def test_not_there(self) -> None:
        """A default that is not there, after a crash between two writes, is none."""
        done(self.lists.save(JULIET, PrivacyList("l", [Rule(1, False)])))
        done(self.lists.set_default(JULIET, "l"))
        done(
            self.store.items.set_item(
                JULIET.bare, "jabber:iq:privacy", "list l", None, max_items=10, max_bytes=10_000
            )
        )
        self.lists.forget(JULIET.bare)
        self.assertFalse(done(self.lists.denies(JULIET, "message", ROMEO)))

    def test_quota(self) -> None:
        """Lists are within what an account may keep altogether."""
        (juliet,) = self.house.connect("juliet")
        value = "x" * 1_000
        items = "".join(
            denied("", f"type='jid' value='d/{value[:1000]}{n}'", n) for n in range(150)
        )
        answers = {put(juliet, listed(f"l{number}", items)) for number in range(20)}
        self.assertEqual(answers, {"result", "resource-constraint"})
