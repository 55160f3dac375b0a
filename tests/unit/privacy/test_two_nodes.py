"""Two nodes change the lists of one account: neither loses what the other has changed (CL-42)."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.events import On
from xmppd.privacy.privacy_list import PrivacyList, Rule
from xmppd.privacy.privacy_list_manager import (
    BlocklistChanged,
    PrivacyListChanged,
    PrivacyListManager,
    PrivacyLists,
)
from xmppd.stanza import JID, Condition, ErrorType, StanzaError
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes

JULIET = JID.parse("juliet@montague.lit")
ROMEO = JID.parse("romeo@montague.lit")
PARIS = JID.parse("paris@verona.lit")
TYBALT = JID.parse("tybalt@verona.lit")
EVERYBODY = PrivacyList("everybody", [Rule(1, True)])


class TwoNodesTests(SynchronousTestCase):
    """Juliet is at both."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", plugins=("blocking", "privacy_lists"), juliet={}, romeo={})
        (self.phone,) = self.nodes["a"].connect("juliet/phone")
        (self.desk,) = self.nodes["b"].connect("juliet/desk")
        for client in (self.phone, self.desk):
            client.send("<iq type='get' id='l'><blocklist xmlns='urn:xmpp:blocking'/></iq>")
            client.received()

    def lists(self, node: str) -> PrivacyListManager:
        """The lists of a node."""
        return self.nodes[node].server.privacy_lists

    def known(self, node: str) -> PrivacyLists:
        """Juliet's lists at a node."""
        known = self.lists(node).loaded(JULIET.bare)
        assert known is not None, "she is there"
        return known

    def stored(self) -> dict[str, bytes]:
        """What is kept."""
        return done(self.nodes["a"].store.items.get_items(JULIET.bare, "jabber:iq:privacy"))

    def assert_known(self, node: str) -> None:
        """A node knows what is kept."""
        known = self.known(node)
        lists = {f"list {name}": each.wire() for name, each in known.lists.items()}
        default = {"default": known.default_name.encode()} if known.default_name else {}
        self.assertEqual({**lists, **default}, self.stored())

    def block(self, client: Client, jid: JID) -> str:
        """Have a client block somebody; returns what it is sent."""
        client.send(
            "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
            f"<item jid='{jid}'/></block></iq>"
        )
        return "".join(client.received())

    def test_blocked_at_both(self) -> None:
        """Whoever is blocked at one node or the other is blocked, and each client hears of both."""
        self.block(self.phone, PARIS)
        told = self.block(self.desk, TYBALT)
        self.assertEqual(set(self.known("b").blocked), {PARIS, TYBALT})
        self.assert_known("b")
        self.assertEqual(told.count(f"jid='{PARIS}'"), 1)
        self.assertEqual(told.count(f"jid='{TYBALT}'"), 1)
        self.assertIn("type='result'", told)

    def test_another_default(self) -> None:
        """A block stands in the list that is the default one now, not in that of before."""
        done(self.lists("a").save(JULIET, EVERYBODY))
        done(self.lists("a").set_default(JULIET, "everybody"))
        done(self.lists("b").reread(JULIET))
        done(self.lists("a").save(JULIET, PrivacyList("other", [Rule(1, True)])))
        done(self.lists("a").set_default(JULIET, "other"))
        self.block(self.desk, PARIS)
        self.assertEqual(self.known("b").default_name, "other")
        self.assertEqual(self.known("b").blocked, (PARIS,))
        self.assertEqual(self.stored()["list everybody"], EVERYBODY.wire())
        self.assert_known("b")

    def test_removed_elsewhere(self) -> None:
        """A list that another node has removed cannot be removed, nor be the default one."""
        done(self.lists("a").save(JULIET, EVERYBODY))
        done(self.lists("b").reread(JULIET))
        done(self.lists("a").remove(JULIET, "everybody"))
        with self.assertRaises(StanzaError) as refused:
            done(self.lists("b").remove(JULIET, "everybody"))
        self.assertIs(refused.exception.condition, Condition.ITEM_NOT_FOUND)
        self.assertEqual(self.known("b"), PrivacyLists())

    def test_reread(self) -> None:
        """What another node has stored is taken, and whoever listens is told the difference."""
        told: list[object] = []
        for kind in (PrivacyListChanged, BlocklistChanged):
            self.nodes["b"].server.events.put(On(kind, told.append), "tests")
        self.block(self.phone, ROMEO)
        done(self.lists("b").reread(JULIET))
        self.assertEqual(
            told, [PrivacyListChanged(JULIET, "blocked"), BlocklistChanged(JULIET, (ROMEO,), ())]
        )
        self.assertIn(f"jid='{ROMEO}'", "".join(self.desk.received()))
        self.assertTrue(done(self.lists("b").denies(JULIET, "message", ROMEO)))
        done(self.lists("b").reread(JULIET))
        done(self.lists("b").reread(PARIS))
        self.assertEqual(len(told), 2)

    def test_gives_up(self) -> None:
        """If the lists are others each time, the client is told to try again."""
        lists = self.lists("b")
        tried: list[str] = []

        async def has_account(account: str) -> bool:
            tried.append(account)
            other = PrivacyList(f"l{len(tried)}", [Rule(1, True)])
            await self.lists("a").save(JULIET, other)
            await self.lists("a").set_default(JULIET, other.name)
            return True

        self.patch(lists.rosters, "has_account", has_account)
        with self.assertRaises(StanzaError) as refused:
            done(lists.block(JULIET, [PARIS]))
        self.assertIs(refused.exception.condition, Condition.RESOURCE_CONSTRAINT)
        self.assertIs(refused.exception.type, ErrorType.WAIT)
        self.assertEqual(len(tried), 4)
        self.assert_known("b")

    def test_kept_in_another_way(self) -> None:
        """A list that was stored by other code than this can be changed all the same."""
        value = b"<list  name='everybody' ><item action='deny' order='1'/></list>"
        done(
            self.nodes["a"].store.items.set_item(
                JULIET.bare, "jabber:iq:privacy", "list everybody", value,
                max_items=9, max_bytes=9_999,
            )
        )  # fmt: skip
        self.lists("a").forget(JULIET.bare)
        done(self.lists("a").save(JULIET, EVERYBODY))
        self.assertEqual(self.stored()["list everybody"], EVERYBODY.wire())
