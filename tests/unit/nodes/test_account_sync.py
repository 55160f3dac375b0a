"""What is changed at one node is seen at the others: rosters, lists, subscriptions, groups."""

from collections.abc import Coroutine, Mapping
from itertools import permutations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.roster.subscription import State, state_of
from xmppd.stanza import JID, ns
from xmppd.store.rosters import RosterItem
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes

JULIET, ROMEO = "juliet@montague.lit", "romeo@montague.lit"


class AccountSyncCase(SynchronousTestCase):
    nodes: Nodes

    def people(self, romeo: Mapping[str, str], juliet: Mapping[str, str]) -> None:
        """Have a service of three nodes."""
        plugins = ("blocking", "privacy_lists")
        self.nodes = Nodes("a", "b", "c", plugins=plugins, romeo=romeo, juliet=juliet)

    def at(self, node: str, *names: str) -> list[Client]:
        """Have clients connect to a node, and read what they are greeted with."""
        clients = self.nodes[node].connect(*names)
        self.hush(*clients)
        return clients

    def hush(self, *clients: Client) -> None:
        """Read what has come."""
        self.nodes.settle()
        for client in clients:
            client.received()

    def told(self, client: Client) -> str:
        """What a client has got by now."""
        self.nodes.settle()
        return "".join(client.received())

    def state(self, owner: str, contact: str) -> State:
        """How a contact stands in the owner's roster, as the store has it."""
        stored = done(self.nodes["a"].store.rosters.roster(owner))
        return state_of(next((each for each in stored.items if each.jid == contact), None))

    def assert_same(self, *names: str) -> None:
        """Each node has in memory what is in the store (S7)."""
        for name in names:
            bare = f"{name}@montague.lit"
            stored = done(self.nodes["a"].store.rosters.roster(bare))
            for node, house in self.nodes.houses.items():
                roster = house.server.roster_manager.loaded(bare)
                if roster is not None:
                    expected = {item.jid: item for item in stored.items}
                    self.assertEqual(roster.items, expected, (node, name))
                    self.assertEqual(roster.version, stored.version, (node, name))


class RosterTests(AccountSyncCase):
    def setUp(self) -> None:
        self.people(romeo={}, juliet={})
        (self.phone,), (self.desk,) = self.at("a", "romeo/phone"), self.at("b", "romeo/desk")
        self.hush(self.phone)

    def change(self, item: str) -> None:
        """Change the roster at the phone's node."""
        self.phone.send(f"<iq type='set' id='s'><query xmlns='{ns.ROSTER}'>{item}</query></iq>")

    def test_pushed(self) -> None:
        """A contact that is added, changed or removed at one node is pushed at the other, with the
        version that the roster has everywhere.
        """
        for item in (
            f"<item jid='{JULIET}'/>", f"<item jid='{JULIET}' name='Sun'/>",
            f"<item jid='{JULIET}' subscription='remove'/>",
        ):  # fmt: skip
            self.change(item)
            mine, theirs = self.told(self.phone), self.told(self.desk)
            self.assertIn(f"jid='{JULIET}'", theirs)
            version = theirs.partition("ver='")[2].partition("'")[0]
            self.assertIn(f"ver='{version}'", mine)
            self.assert_same("romeo")

    def test_by_an_administrator(self) -> None:
        """What is changed at a node where the owner is not is pushed where the owner is."""
        rosters = self.nodes["c"].server.roster_manager
        roster = done(rosters.roster(JID.parse(ROMEO)))
        from_c = done(rosters.save(roster, RosterItem(JULIET)))
        self.assertIsNone(from_c)
        for client in (self.phone, self.desk):
            self.assertIn(f"jid='{JULIET}'", self.told(client))
        self.assert_same("romeo")

    def test_lists(self) -> None:
        """Whom one client blocks is blocked for all of them, when the answer comes."""
        self.nodes["c"].add("paris", {"romeo": "both"})
        (paris,) = self.at("c", "paris")
        for client in (self.phone, self.desk):
            client.send("<iq type='get' id='l'><blocklist xmlns='urn:xmpp:blocking'/></iq>")
        self.hush(self.phone, self.desk)
        self.phone.send(
            "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
            "<item jid='paris@montague.lit'/></block></iq>"
        )
        self.assertIn("id='b'", self.told(self.phone))
        self.assertIn("<block xmlns='urn:xmpp:blocking'>", self.told(self.desk))
        paris.send(f"<message to='{ROMEO}/desk' type='chat' id='m'><body>x</body></message>")
        self.assertIn("service-unavailable", self.told(paris))
        self.assertEqual(self.told(self.desk), "")

    def test_lists_where_nobody_is_any_more(self) -> None:
        """A block that is stored when its client has left that node, since another one has taken
        its resource elsewhere, is in force there (CL-46).
        """
        self.nodes["c"].add("paris", {"romeo": "both"})
        (paris,) = self.at("c", "paris")
        changes = self.nodes["c"].server.privacy_changes
        blocking = Deferred.fromCoroutine(
            changes.block(self.nodes["c"].jid("romeo"), [self.nodes["c"].jid("paris")])
        )
        self.nodes.settle()
        self.assertTrue(blocking.called)
        for client in (self.phone, self.desk):
            paris.send(f"<message to='{client.jid}' type='chat' id='m'><body>x</body></message>")
            self.assertIn("service-unavailable", self.told(paris))
            self.assertNotIn("<message", self.told(client))


class SubscriptionTests(AccountSyncCase):
    def test_subscribed(self) -> None:
        """Two people at different nodes, each perhaps at two, agree to see each other: both are
        asked, pushed and shown what they are on one node.
        """
        self.people(romeo={}, juliet={})
        (romeo,), (desk,) = self.at("a", "romeo"), self.at("c", "romeo/desk")
        (juliet,) = self.at("b", "juliet")
        self.hush(romeo, desk)
        romeo.send(f"<presence to='{JULIET}' type='subscribe'/>")
        self.assertIn("type='subscribe'", self.told(juliet))
        self.assertIn("ask='subscribe'", self.told(desk))
        juliet.send(f"<presence to='{ROMEO}' type='subscribed'/>")
        for client in (romeo, desk):
            told = self.told(client)
            self.assertIn("subscription='to'", told)
            self.assertEqual(told.count(f"<presence from='{JULIET}/1'"), 1, told)
        self.assertIn("subscription='from'", self.told(juliet))
        self.assert_same("romeo", "juliet")
        juliet.send("<presence><show>away</show></presence>")
        self.assertIn("<show>away</show>", self.told(desk))

    def test_ended(self) -> None:
        """A subscription that ends, by either side, ends at both, and who is gone is seen to be."""
        for by, kind in (("romeo", "unsubscribe"), ("juliet", "unsubscribed")):
            self.people(romeo={"juliet": "to"}, juliet={"romeo": "from"})
            (romeo,), (juliet,) = self.at("a", "romeo"), self.at("b", "juliet")
            self.hush(romeo)
            who, whom = (romeo, JULIET) if by == "romeo" else (juliet, ROMEO)
            who.send(f"<presence to='{whom}' type='{kind}'/>")
            self.assertIn("type='unavailable'", self.told(romeo))
            self.assert_same("romeo", "juliet")
            for name, contact in (("romeo", JULIET), ("juliet", ROMEO)):
                self.assertIs(self.state(f"{name}@montague.lit", contact), State.NONE)

    def test_agreed_in_advance(self) -> None:
        """A request that was agreed to before it came is answered from the contact's node."""
        self.people(romeo={}, juliet={})
        (romeo,), (juliet,) = self.at("a", "romeo"), self.at("b", "juliet")
        juliet.send(f"<presence to='{ROMEO}' type='subscribed'/>")
        self.hush(juliet)
        romeo.send(f"<presence to='{JULIET}' type='subscribe'/>")
        told = self.told(romeo)
        self.assertIn("subscription='to'", told)
        self.assertIn(f"<presence from='{JULIET}/1'", told)
        self.assert_same("romeo", "juliet")

    def test_removed(self) -> None:
        """A contact that is removed sees both subscriptions end."""
        self.people(romeo={"juliet": "both"}, juliet={"romeo": "both"})
        (romeo,), (juliet,) = self.at("a", "romeo"), self.at("b", "juliet")
        self.hush(romeo)
        romeo.send(
            f"<iq type='set' id='s'><query xmlns='{ns.ROSTER}'>"
            f"<item jid='{JULIET}' subscription='remove'/></query></iq>"
        )
        told = self.told(juliet)
        self.assertIn("type='unavailable'", told)
        self.assertIn("subscription='none'", told)
        self.assertIn("type='unavailable'", self.told(romeo))
        self.assert_same("romeo", "juliet")

    def test_comes_nearer(self) -> None:
        """What somebody says of a contact does not overtake what was said before: not if the
        contact was at another node then, and has come to this one meanwhile (CL-143).
        """
        for answers in (True, False):
            with self.subTest(answers=answers):
                self.people(romeo={"juliet": "both"}, juliet={"romeo": "both"})
                (romeo,), (juliet,) = self.at("a", "romeo"), self.at("b", "juliet")
                self.hush(romeo)
                phone = self.nodes["a"].logged_in("juliet")
                network = self.nodes.network
                network.held = True
                romeo.handler.dataReceived(f"<presence to='{JULIET}' type='unsubscribe'/>".encode())
                phone.handler.dataReceived(
                    f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>2</resource></bind>"
                    "</iq><presence/>".encode()
                )
                self.nodes.clock.advance(2)  # for so long a login waits for other nodes
                romeo.handler.dataReceived(
                    f"<presence to='{JULIET}' type='subscribe' id='s'/>".encode()
                )
                if not answers:
                    self.nodes.clock.advance(5)
                network.held = False
                told = self.told(romeo)
                self.assertEqual("remote-server-timeout" in told, not answers, told)
                self.assertIn("type='unsubscribe'", self.told(juliet))
                states = self.state(ROMEO, JULIET), self.state(JULIET, ROMEO)
                asked, ended = (State.FROM_OUT, State.TO_IN), (State.FROM, State.TO)
                self.assertEqual(states, asked if answers else ended)
                self.assert_same("romeo", "juliet")

    def test_at_once(self) -> None:
        """Whatever both do at once, from whichever nodes, the two halves agree in the end."""
        kinds = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")
        for first, second in permutations(kinds, 2):
            with self.subTest(first=first, second=second):
                self.people(romeo={"juliet": "to"}, juliet={"romeo": "from"})
                (romeo,), (desk,) = self.at("a", "romeo"), self.at("c", "romeo/desk")
                (juliet,) = self.at("b", "juliet")
                romeo.handler.dataReceived(f"<presence to='{JULIET}' type='{first}'/>".encode())
                juliet.handler.dataReceived(f"<presence to='{ROMEO}' type='{second}'/>".encode())
                self.hush(romeo, desk, juliet)
                self.assert_same("romeo", "juliet")


class GroupTests(AccountSyncCase):
    def change(self, change: Coroutine[Deferred[object], object, None]) -> None:
        """Change groups, and wait for all nodes."""
        changing = Deferred.fromCoroutine(change)
        self.nodes.settle()
        self.successResultOf(changing)

    def test_groups(self) -> None:
        """People whom a group brings together see each other at once, at whichever nodes they are;
        when it is gone they see each other leave.
        """
        self.people(romeo={}, juliet={})
        (romeo,), (juliet,) = self.at("a", "romeo"), self.at("b", "juliet")
        changes = self.nodes["c"].server.shared_group_changes
        self.change(changes.save(SharedGroup("g", "Lovers", (ROMEO, JULIET), "members")))
        for client, other in ((romeo, JULIET), (juliet, ROMEO)):
            told = self.told(client)
            self.assertIn("<group>Lovers</group>", told)
            self.assertIn(f"<presence from='{other}/1'", told)
        self.change(changes.delete("g"))
        for client, other in ((romeo, JULIET), (juliet, ROMEO)):
            told = self.told(client)
            self.assertIn("subscription='remove'", told)
            self.assertIn(f"from='{other}/1'", told)
            self.assertIn("type='unavailable'", told)
