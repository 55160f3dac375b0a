"""What follows for sessions and contacts when an account changes or goes."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.account.accounts import AccountRemoved
from xmppd.events import OWNER, On
from xmppd.roster.subscription import farewells
from xmppd.stanza import Presence
from xmppd.store.accounts import NoSuchAccount
from xmppd.store.last_presences import LastPresence
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import Client, done
from xmppd.testing.house import House


def presences(client: Client) -> list[tuple[str | None, str]]:
    """Type and sender of each presence that came."""
    found = []
    for stanza in client.received():
        if stanza.startswith("<presence"):
            presence = Presence.from_bytes(stanza.encode())
            found.append((presence.type, presence.sender.full))
    return found


class RemoveTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            romeo={"juliet": "both", "nurse": "to", "tybalt": "from"},
            juliet={"romeo": "both"},
            nurse={"romeo": "from"},
            tybalt={"romeo": "to"},
            paris={},
        )

    def remove(self, name: str = "romeo") -> None:
        """Remove an account."""
        done(self.house.server.accounts.remove(self.house.jid(name)))

    def subscription(self, name: str) -> tuple[str, bool]:
        """What stands between somebody and Romeo, in their own roster."""
        data = done(self.house.store.rosters.roster(self.house.jid(name).bare))
        (item,) = data.items
        return item.subscription, item.ask

    def test_contacts_are_told(self) -> None:
        """Contacts see the account leave, and neither see nor are seen by it any more."""
        romeo, juliet, nurse, tybalt = self.house.connect("romeo", "juliet", "nurse", "tybalt")
        for client in (juliet, nurse, tybalt):
            client.raw()
        self.remove()
        self.assertTrue(romeo.closed)
        gone = ("unavailable", "romeo@montague.lit/1")
        unsubscribe = ("unsubscribe", "romeo@montague.lit")
        unsubscribed = ("unsubscribed", "romeo@montague.lit")
        self.assertEqual(presences(juliet), [gone, unsubscribe, unsubscribed])
        self.assertEqual(presences(nurse), [unsubscribe])
        self.assertEqual(presences(tybalt), [gone, unsubscribed])

    def test_no_ghosts(self) -> None:
        """Also in the rosters of those who are away no subscription is left."""
        self.remove()
        for name in ("juliet", "nurse", "tybalt"):
            with self.subTest(name=name):
                self.assertEqual(self.subscription(name), ("none", False))

    def test_requests_are_withdrawn(self) -> None:
        """Who waits for an answer gets one; who was asked is asked no more."""
        (paris, juliet) = self.house.connect("paris", "juliet")
        paris.send("<presence to='juliet@montague.lit' type='subscribe'/>")
        juliet.raw()
        self.remove("paris")
        self.assertEqual(presences(juliet), [("unsubscribe", "paris@montague.lit")])
        roster = done(self.house.server.roster_manager.roster(self.house.jid("juliet")))
        item = roster.items.get("paris@montague.lit")
        self.assertTrue(item is None or item.pending_in is None)

    def test_nothing_is_left(self) -> None:
        """A new account of the same name finds nothing of the old one."""
        store, bare = self.house.store, "romeo@montague.lit"
        self.house.connect("romeo")
        done(store.presences.save_last_presence(bare, LastPresence(1.0, "out")))
        done(store.items.set_item(bare, "urn:x", "k", b"v", max_items=9, max_bytes=99))
        self.remove()
        self.assertFalse(done(store.accounts.exists(bare)))
        self.house.add("romeo")
        self.assertEqual(done(store.rosters.roster(bare)).items, ())
        self.assertEqual(done(store.items.get_items(bare, "urn:x")), {})
        self.assertEqual(done(store.presences.last_presence([bare])), {})
        roster = done(self.house.server.roster_manager.roster(self.house.jid("romeo")))
        self.assertEqual(dict(roster.items), {})

    def test_event(self) -> None:
        """Plugins hear of it, once it is done."""
        heard: list[AccountRemoved] = []
        self.house.server.events.put(On(AccountRemoved, heard.append), OWNER)
        self.remove()
        self.assertEqual(heard, [AccountRemoved(self.house.jid("romeo"))])

    def test_unknown(self) -> None:
        """An account that does not exist is not removed."""
        with self.assertRaises(NoSuchAccount):
            self.remove("nobody")

    def test_again_after_a_failure(self) -> None:
        """When the store fails halfway, nobody comes in, and it can be begun again."""
        store = self.house.store
        works = store.accounts.delete_account

        async def fails(account: str) -> None:
            raise OSError("the disk is full")

        store.accounts.delete_account = fails  # type: ignore[method-assign]
        with self.assertRaises(OSError):
            self.remove()
        credentials = done(store.accounts.credentials("romeo@montague.lit"))
        self.assertTrue(credentials is not None and credentials.disabled)
        store.accounts.delete_account = works  # type: ignore[method-assign]
        self.remove()
        self.assertFalse(done(store.accounts.exists("romeo@montague.lit")))


class ChangeTests(SynchronousTestCase):
    def test_disable_and_enable(self) -> None:
        """A disabled account is thrown out and stays out, with all it has, until it is enabled."""
        house = House(romeo={"juliet": "both"}, juliet={"romeo": "both"})
        romeo, juliet = house.connect("romeo", "juliet")
        romeo.raw()
        account = house.jid("romeo")
        done(house.server.accounts.disable(account))
        self.assertTrue(romeo.closed)
        self.assertIn(b"<not-authorized", romeo.raw())
        self.assertFalse(juliet.closed)
        credentials = done(house.store.accounts.credentials(account.bare))
        self.assertTrue(credentials is not None and credentials.disabled)
        self.assertEqual(len(done(house.store.rosters.roster(account.bare)).items), 1)
        done(house.server.accounts.enable(account))
        self.assertTrue(done(house.server.auth_provider.may_log_in(account.bare)))

    def test_farewells(self) -> None:
        """What has to be said for nothing to be left between two."""
        cases = [
            (RosterItem("a@b"), ()),
            (RosterItem("a@b", ask=True), ("unsubscribe",)),
            (RosterItem("a@b", pending_in=b"<presence/>"), ("unsubscribed",)),
            (RosterItem("a@b", subscription="to"), ("unsubscribe",)),
            (RosterItem("a@b", subscription="from"), ("unsubscribed",)),
            (RosterItem("a@b", subscription="both"), ("unsubscribe", "unsubscribed")),
        ]
        for item, expected in cases:
            with self.subTest(item=item):
                self.assertEqual(farewells(item), expected)
