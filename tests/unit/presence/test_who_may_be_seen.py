"""Who has left word is shown to those that may see it: the store is asked for all at once."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.privacy.privacy_list import PrivacyList, Rule
from xmppd.stanza import JID
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import done
from xmppd.testing.house import House

CONTACTS = {
    "friend": "both",
    "one-sided": "to",
    "reader": "from",
    "stranger": "none",
    "hermit": "both",
    "grump": "both",
    "member": "none",
}


class LastWordsTests(SynchronousTestCase):
    """Romeo sees all these people, says his roster; they are away, and their own ones differ."""

    def setUp(self) -> None:
        self.house = House(romeo=dict.fromkeys(CONTACTS, "to"))
        for name, subscription in CONTACTS.items():
            self.house.add(name, {"romeo": subscription})
        group = SharedGroup("g", "Group", ("romeo@montague.lit", "member@montague.lit"), "members")
        done(self.house.server.shared_groups.save(group))
        done(self.house.server.shared_groups.load())
        self.deny("hermit", "")
        self.deny("grump", "romeo@montague.lit")
        for name in CONTACTS:
            (client,) = self.house.connect(name)
            client.send("<presence type='unavailable'><status>gone fishing</status></presence>")
            client.abort()
        self.server = self.house.again().server

    def deny(self, name: str, value: str) -> None:
        """Have somebody show no presence to somebody, or to nobody at all."""
        account, lists = self.house.jid(name), self.house.server.privacy_lists
        rule = Rule(1, False, "jid" if value else "", value, frozenset(["presence-out"]))
        done(lists.save(account, PrivacyList("shy", [rule])))
        done(lists.set_default(account, "shy"))

    def seen(self) -> set[str]:
        """Those that Romeo may see."""
        names = [f"{name}@montague.lit" for name in CONTACTS]
        romeo = JID.parse("romeo@montague.lit/1")
        seen = done(self.server.presence_manager.who_may_be_seen(romeo, names))
        return {bare.partition("@")[0] for bare in seen}

    def test_asked(self) -> None:
        """Whoever has subscribed him, or is in his group, and does not hide from him."""
        self.assertEqual(self.seen(), {"friend", "reader", "member"})

    def test_in_memory(self) -> None:
        """It makes no difference whether rosters and lists are in memory."""
        for name in CONTACTS:
            jid = self.house.jid(name)
            done(self.server.roster_manager.roster(jid))
            done(self.server.privacy_lists.lists(jid))
        self.assertEqual(self.seen(), {"friend", "reader", "member"})
