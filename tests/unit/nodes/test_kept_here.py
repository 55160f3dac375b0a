"""What a node keeps in memory of an account whose rows other nodes may change (CL-44)."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.roster.test_versions import SlowDatabase
from xmppd.privacy.privacy_list import PrivacyList, Rule
from xmppd.roster.roster_manager import Change
from xmppd.stanza import JID
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.testing.nodes import Nodes

JULIET = JID.parse("juliet@montague.lit")
ROMEO = JID.parse("romeo@montague.lit")
NURSE = RosterItem("nurse@montague.lit", subscription="both")


class KeptHereTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = SlowDatabase()
        self.nodes = Nodes("a", "b", database=self.database, romeo={"juliet": "both"}, juliet={})
        self.rosters = self.nodes["b"].server.roster_manager
        self.lists = self.nodes["b"].server.privacy_lists

    def change(self) -> None:
        """Have node a change the roster and the lists of Romeo."""
        server = self.nodes["a"].server
        roster = done(server.roster_manager.roster(ROMEO))
        done(server.roster_manager.change(roster, NURSE.jid, lambda _: Change(NURSE)))
        rule = Rule(1, False, "jid", JULIET.full)
        done(server.privacy_lists.save(ROMEO, PrivacyList("l", [rule])))
        done(server.privacy_lists.set_default(ROMEO, "l"))

    def test_absent(self) -> None:
        """Of an account that is not here nothing is kept: what another node has changed is seen at
        once, without a word from it.
        """
        self.assertNotIn(NURSE.jid, done(self.rosters.roster(ROMEO)).items)
        self.assertFalse(done(self.lists.denies(ROMEO, "message", JULIET)))
        self.change()
        self.assertIn(NURSE.jid, done(self.rosters.roster(ROMEO)).items)
        self.assertTrue(done(self.lists.denies(ROMEO, "message", JULIET)))
        self.assertIsNone(self.rosters.loaded(ROMEO.bare))
        self.assertIsNone(self.lists.loaded(ROMEO.bare))

    def test_while_here(self) -> None:
        """Of one that is here it is kept, up to the end of its last session."""
        phone, desk = self.nodes["b"].connect("romeo/phone", "romeo/desk")
        kept = self.rosters.loaded(ROMEO.bare)
        self.assertIsNotNone(kept)
        phone.abort()
        self.nodes.settle()
        self.assertIs(self.rosters.loaded(ROMEO.bare), kept)
        self.assertIsNotNone(self.lists.loaded(ROMEO.bare))
        desk.abort()
        self.nodes.settle()
        self.assertIsNone(self.rosters.loaded(ROMEO.bare))
        self.assertIsNone(self.lists.loaded(ROMEO.bare))

    def test_read_before_it_came(self) -> None:
        """Who logs in gets what is in the store now, not what somebody has begun to read of it
        before.
        """
        self.database.slow = True
        look = Deferred.fromCoroutine(self.rosters.roster(ROMEO))
        self.database.slow = False
        self.change()
        self.nodes["b"].connect("romeo/desk")
        kept = self.rosters.loaded(ROMEO.bare)
        assert kept is not None, "he is there"
        self.assertIn(NURSE.jid, kept.items)
        self.database.waiting.pop().callback(None)
        self.successResultOf(look)
        self.assertIs(self.rosters.loaded(ROMEO.bare), kept)

    def test_changed_at_home(self) -> None:
        """A change that was begun while its owner was away is seen by whom has come meanwhile."""
        roster = done(self.rosters.roster(ROMEO))
        (desk,) = self.nodes["b"].connect("romeo/desk")
        desk.received()
        done(self.rosters.change(roster, NURSE.jid, lambda _: Change(NURSE)))
        kept = self.rosters.loaded(ROMEO.bare)
        assert kept is not None and kept is not roster, "he is there"
        self.assertIn(NURSE.jid, kept.items)
        self.assertIn(f"jid='{NURSE.jid}'", "".join(desk.received()))

    def test_alone(self) -> None:
        """Where nobody else changes them, those of absent accounts are kept."""
        server = House(romeo={"juliet": "both"}).server
        kept = done(server.roster_manager.roster(ROMEO)), done(server.privacy_lists.lists(ROMEO))
        self.assertIs(server.roster_manager.loaded(ROMEO.bare), kept[0])
        self.assertIs(server.privacy_lists.loaded(ROMEO.bare), kept[1])
