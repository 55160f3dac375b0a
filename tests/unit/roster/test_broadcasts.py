"""Broadcasts that take more than one turn: nobody is stalled, and order holds all the same."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.roster import broadcasts
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

DOMAIN = "montague.lit"
FRIENDS = ("a", "b", "c", "d", "e")
AWAY = "<presence><show>away</show></presence>"
GONE = "<presence type='unavailable'/>"


class SlicesTests(SynchronousTestCase):
    """Two contacts in a turn; Romeo has five, who see nobody but him."""

    def setUp(self) -> None:
        self.house = House(DOMAIN, romeo=dict.fromkeys(FRIENDS, "from"))
        for name in FRIENDS:
            self.house.add(name, {"romeo": "to"})
        self.friends = self.house.connect(*FRIENDS)
        self.broadcasts = self.house.server.broadcasts
        self.broadcasts.contacts_per_slice = 2
        self.broadcasts.next_turn = self.next_turn
        self.turns: list[Deferred[None]] = []

    def romeo(self, resource: str = "1") -> Client:
        return self.house.bind("romeo", resource)

    def next_turn(self) -> Deferred[None]:
        self.turns.append(Deferred())
        return self.turns[-1]

    def turn(self) -> None:
        turns, self.turns = self.turns, []
        for turn in turns:
            turn.callback(None)

    def settle(self) -> None:
        """Let everybody have as many turns as they need."""
        while self.turns:
            self.turn()

    def heard(self) -> list[list[str]]:
        """What each friend has heard since somebody looked: ``1:here``, ``1:away``, ``1:gone``."""
        return [[said(stanza) for stanza in friend.received()] for friend in self.friends]

    def test_slices(self) -> None:
        """Contacts are told two at a time, in order, and the sender's own client last."""
        romeo = self.romeo()
        romeo.send("<presence/>")
        self.assertEqual(self.heard(), [["1:here"]] * 2 + [[]] * 3)
        self.turn()
        self.assertEqual(self.heard(), [[], [], ["1:here"], ["1:here"], []])
        self.assertEqual(romeo.received(), [])
        self.turn()
        self.assertEqual(self.heard(), [[]] * 4 + [["1:here"]])
        self.assertEqual([said(stanza) for stanza in romeo.received()], ["1:here"])
        self.assertFalse(self.broadcasts.under_way(f"romeo@{DOMAIN}"))

    def test_others_are_not_stalled(self) -> None:
        """While Romeo's contacts are told, others talk; what he says himself waits its turn."""
        romeo = self.romeo()
        romeo.send(f"<presence/><message to='a@{DOMAIN}'><body>1</body></message>")
        self.friends[4].send(f"<message to='a@{DOMAIN}'><body>2</body></message>")
        self.assertEqual(self.heard()[0], ["1:here", "2"])
        self.turn()
        self.turn()
        self.assertEqual(self.heard()[0], ["1"])

    def test_lost_in_between(self) -> None:
        """Of a session that is lost everybody hears that it came, and then that it is gone."""
        romeo = self.romeo()
        romeo.send("<presence/>")
        romeo.abort()
        self.settle()
        self.assertEqual(self.heard(), [["1:here", "1:gone"]] * 5)

    def test_next_login(self) -> None:
        """Who comes back under the same address is seen after the old session's goodbye."""
        first = self.romeo()
        first.send("<presence/>")
        first.abort()
        self.romeo().send(AWAY)
        self.assertEqual(self.house.server.routing_table.available(f"romeo@{DOMAIN}"), ())
        self.settle()
        self.assertEqual(self.heard(), [["1:here", "1:gone", "1:away"]] * 5)

    def test_comes_back_and_is_lost_again(self) -> None:
        """A login that is lost while it waits its turn has never been seen."""
        first = self.romeo()
        first.send("<presence/>")
        first.abort()
        second = self.romeo()
        second.send(AWAY)
        second.abort()
        self.settle()
        self.assertEqual(self.heard(), [["1:here", "1:gone"]] * 5)

    def test_other_resources(self) -> None:
        """What two resources say at once is told one after the other."""
        one, two = self.romeo("1"), self.romeo("2")
        one.send("<presence/>")
        two.send("<presence/>")
        self.settle()
        self.assertEqual(self.heard(), [["1:here", "2:here"]] * 5)
        one.send(AWAY)
        two.send(GONE)
        self.settle()
        self.assertEqual(self.heard(), [["1:away", "2:gone"]] * 5)

    def test_contact_that_goes(self) -> None:
        """Who ceases to be a contact in between hears the goodbye and nothing after it."""
        one, two = self.romeo("1"), self.romeo("2")
        two.send("<presence><priority>-1</priority></presence>")
        self.settle()
        self.heard()
        one.send("<presence/>")
        two.send(f"<presence to='d@{DOMAIN}' type='unsubscribed'/>")
        self.settle()
        heard = self.heard()
        self.assertEqual(heard[2], ["1:here"])
        self.assertNotIn("1:here", heard[3])

    def test_stop(self) -> None:
        """The server stops when everybody has been told."""
        self.romeo().send("<presence/>")
        stopped = self.house.stop()
        for client in self.house.server.client_connections.handlers.copy():
            client.transport.abortConnection()
        self.settle()
        self.successResultOf(stopped)

    def test_shared_group(self) -> None:
        """Those whom a group lets see somebody are counted and told likewise."""
        group = SharedGroup("all", "All", (f"nurse@{DOMAIN}",), visible_to="everybody")
        done(self.house.server.shared_group_changes.save(group))
        self.house.add("nurse")
        (nurse,) = self.house.connect("nurse")
        self.settle()
        self.heard()
        nurse.received()
        nurse.send(AWAY)
        self.assertEqual(sum(heard == ["1:away"] for heard in self.heard()), 2)
        self.settle()
        self.assertEqual(sum(heard == ["1:away"] for heard in self.heard()), 3)
        self.assertEqual([said(stanza) for stanza in nurse.received()], ["1:away"])

    def test_too_many_wait(self) -> None:
        """An account whose presences pile up is told to wait; it is what its contacts saw last."""
        self.patch(broadcasts, "MAX_WAITING", 2)
        clients = [self.romeo(str(number)) for number in range(4)]
        for client in clients:
            client.send("<presence/>")
        (refusal,) = clients[3].received()
        self.assertIn("<resource-constraint ", refusal)
        self.settle()
        self.assertEqual(self.heard(), [["0:here", "1:here", "2:here"]] * 5)


def said(stanza: str) -> str:
    """A stanza in a word."""
    if "<body>" in stanza:
        return stanza.partition("<body>")[2].partition("<")[0]
    sender = stanza.partition("from='")[2].partition("'")[0].partition("/")[2]
    kind = "gone" if "unavailable" in stanza else "away" if "away" in stanza else "here"
    return f"{sender}:{kind}"
