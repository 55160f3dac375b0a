"""Sessions of one account on several nodes: each knows the others."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.nodes.orders import Orders, shuffled
from tests.unit.nodes.test_logins import ask, bound, faults, service
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.cluster.memory_directory import MemoryDirectory
from xmppd.cluster.memory_membership import MemoryMembership
from xmppd.cluster.node import Location, NodeId
from xmppd.roster.roster import Roster
from xmppd.routing.siblings import MEET_S
from xmppd.session.remote_session import RemoteSession
from xmppd.stanza import JID, ns
from xmppd.stanza.copies import CARBONS
from xmppd.testing.client import Client, done
from xmppd.testing.late_directory import LateDirectory
from xmppd.testing.nodes import Nodes, saving_config

DOMAIN = "montague.lit"
SHUFFLED = 60
ROMEO = JID.parse(f"romeo@{DOMAIN}")


def senders(client: Client) -> list[str]:
    """Who sent the presences that came, each with the type that it has."""
    found = []
    for stanza in client.received():
        if stanza.startswith("<presence"):
            sender = stanza.partition("from='")[2].partition("'")[0].partition("/")[2]
            found.append(sender + (" gone" if "type='unavailable'" in stanza else ""))
    return found


class SiblingTests(SynchronousTestCase):
    def setUp(self) -> None:
        plugins = ("carbons", "invisible", "privacy_lists")
        self.nodes = Nodes("a", "b", "c", plugins=plugins, late_directory=True, romeo={})
        (self.here,) = self.nodes["a"].connect("romeo/here")
        self.there = self.nodes["b"].bind("romeo", "there")
        self.nodes.settle()

    def known(self, at: str = "a", resource: str = "there") -> RemoteSession:
        """What a node knows of a session on another one."""
        session = self.nodes[at].server.routing_table.bound[f"{ROMEO}/{resource}"]
        assert isinstance(session, RemoteSession)
        return session

    def test_bound(self) -> None:
        """A session is known from its binding on, at every node with another one of the account,
        and at no other.
        """
        self.assertEqual(self.known().location.node, self.nodes["b"].id)
        self.assertIsNone(self.known().presence)
        self.assertEqual(self.known("b", "here").priority, 0)
        self.assertEqual(self.nodes["c"].server.routing_table.bound, {})
        self.assertEqual(list(faults(self.nodes)), [])

    def test_presence(self) -> None:
        """They hear each other's presence as on one node, state first; the newcomer is told who is
        there before.
        """
        self.assertEqual(senders(self.here), [])
        self.there.send("<presence><priority>5</priority></presence>")
        self.assertEqual(senders(self.here), ["there"])
        self.assertEqual(senders(self.there), ["there", "here"])
        self.assertEqual(self.known().priority, 5)
        self.here.send("<presence type='unavailable'/>")
        self.assertEqual(senders(self.there), ["here gone"])
        self.assertIsNone(self.known("b", "here").presence)
        self.there.abort()
        self.assertNotIn(f"{ROMEO}/there", self.nodes["a"].server.routing_table.bound)

    def test_lost(self) -> None:
        """Who loses the connection is seen to leave, and is not known any more."""
        self.there.send("<presence/>")
        senders(self.here)
        self.there.abort()
        self.assertEqual(senders(self.here), ["there gone"])
        self.assertEqual(self.nodes["a"].server.routing_table.siblings.nodes, {})
        self.assertEqual(list(faults(self.nodes)), [])

    def test_state_first(self) -> None:
        """Who answers at once when it hears of a session finds it."""
        seen: list[bool] = []
        write = self.here.transport.write

        def listen(data: bytes) -> None:
            seen.append(self.known().presence is not None)
            write(data)

        self.here.transport.write = listen  # type: ignore[method-assign]
        self.there.send("<presence/>")
        self.assertEqual(seen, [True])

    def test_roster(self) -> None:
        """That it has asked for the roster is known."""
        self.assertFalse(self.known().interested)
        self.there.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>")
        self.assertTrue(self.known().interested)

    def test_carbons(self) -> None:
        """That it wants carbons is known, until it does not any more."""
        for name, wants in (("enable", frozenset((CARBONS,))), ("disable", frozenset())):
            self.there.send(f"<iq type='set' id='c'><{name} xmlns='{CARBONS}'/></iq>")
            self.assertEqual(self.known().wants, wants)

    def test_invisible(self) -> None:
        """That it is invisible is known, and that it is not any more."""
        self.there.send("<presence/>")
        for name, is_invisible in (("invisible", True), ("visible", False)):
            self.there.send(f"<iq type='set' id='i'><{name} xmlns='urn:xmpp:invisible:1'/></iq>")
            privacy = self.known().privacy
            self.assertEqual(privacy is not None and privacy.invisible, is_invisible)

    def test_last_visible(self) -> None:
        """Who leaves while another node has the account's last visible session is not gone."""
        self.there.send("<presence/>")
        self.here.abort()
        last = self.nodes["a"].store.presences.last_presence([ROMEO.bare])
        self.assertEqual(done(last), {})
        self.there.abort()
        self.nodes.clock.advance(1)
        last = self.nodes["a"].store.presences.last_presence([ROMEO.bare])
        self.assertIn(ROMEO.bare, done(last))

    def test_active_list(self) -> None:
        """The name of its active list is known: nobody removes it under its hands."""
        listed = "<list name='shy'><item action='deny' order='1'/></list>"
        self.ask_for_list(self.here, listed)
        shy = self.nodes["c"].bind("romeo", "shy")
        self.ask_for_list(shy, "<active name='shy'/>")
        privacy = self.known(resource="shy").privacy
        assert privacy is not None
        self.assertEqual(privacy.active, "shy")
        self.here.raw()
        self.ask_for_list(self.here, "<list name='shy'/>")
        self.assertIn(b"<conflict ", self.here.raw())

    def ask_for_list(self, client: Client, what: str) -> None:
        client.send(f"<iq type='set' id='l'><query xmlns='jabber:iq:privacy'>{what}</query></iq>")

    def test_replaced(self) -> None:
        """A session that takes the resource of another node's is known in its place."""
        (new,) = self.nodes["c"].connect("romeo/there")
        self.assertTrue(self.there.closed)
        self.assertEqual(self.known().location.node, self.nodes["c"].id)
        self.assertFalse(new.closed)
        self.assertEqual(list(faults(self.nodes)), [])

    def test_taken_from_another(self) -> None:
        """Who takes the resource of a session that is known here has its place."""
        known = self.known()
        (new,) = self.nodes["a"].connect("romeo/there")
        table = self.nodes["a"].server.routing_table
        self.assertIs(table.bound[f"{ROMEO}/there"], new.session)
        self.assertTrue(known.closed)
        self.assertEqual(len(table.available(ROMEO.bare)), 2)
        self.assertEqual(list(faults(self.nodes)), [])

    def test_node_lost(self) -> None:
        """The sessions of a lost node are forgotten; those of others stay."""
        self.nodes["c"].connect("romeo/elsewhere")
        known = self.known()
        self.nodes.lose("b")
        table = self.nodes["a"].server.routing_table
        self.assertEqual(set(table.bound), {f"{ROMEO}/here", f"{ROMEO}/elsewhere"})
        self.assertEqual(table.siblings.nodes, {ROMEO.bare: (self.nodes["c"].id,)})
        self.assertTrue(known.closed)

    def test_directory_is_not_complete(self) -> None:
        """While the directory may lack sessions, all nodes are asked for those of an account."""
        self.nodes.directory.accounts.clear()
        self.patch(MemoryMembership, "complete", False)
        self.nodes["c"].bind("romeo", "new")
        table = self.nodes["c"].server.routing_table
        self.assertEqual(set(table.bound), {f"{ROMEO}/{name}" for name in ("here", "there", "new")})
        self.assertEqual(self.known(resource="new").location.node, self.nodes["c"].id)

    def test_late(self) -> None:
        """Who is at a node that did not answer in time is known when it does."""
        self.there.send("<presence/>")
        bus = self.nodes["b"].server.cluster.bus
        late: list[tuple[NodeId, BusEntry]] = []

        def take_later(sender: NodeId, entry: BusEntry) -> Deferred[BusEntry | None]:
            late.append((sender, entry))
            return Deferred()

        take, bus.take = bus.take, take_later
        (new,) = self.nodes["c"].connect("romeo/new")
        self.nodes.clock.advance(MEET_S)
        self.assertFalse(new.closed)
        for sender, entry in late:
            take(sender, entry)
        bus.take = take
        self.nodes.settle()
        self.assertIsNotNone(self.known("c").presence)
        self.assertEqual(list(faults(self.nodes)), [])

    def test_absent(self) -> None:
        """When an account has nothing here any more, whoever keeps something of it is told."""
        absent: list[str] = []
        self.nodes["b"].server.routing_table.siblings.absent.append(absent.append)
        self.nodes["b"].bind("romeo", "more").abort()
        self.assertEqual(absent, [])
        self.there.abort()
        self.assertEqual(absent, [ROMEO.bare])


class ArrivalTests(SynchronousTestCase):
    def test_both_come(self) -> None:
        """Two that come to two nodes at once know each other, whatever overtakes what (CL-23)."""
        for order in Orders():
            nodes = service("a", "b")
            clients = {name: nodes[name].logged_in("romeo") for name in "ab"}
            nodes.network.choose = order.choose
            for name, client in clients.items():
                ask(client, name)
            nodes.settle()
            self.assertEqual(list(faults(nodes)), [])

    def test_both_come_and_show_themselves(self) -> None:
        """The same, with presence behind it, in some of the many orders."""
        for seed in range(SHUFFLED):
            nodes = service("a", "b")
            clients = {name: nodes[name].logged_in("romeo") for name in "ab"}
            shuffled(nodes.network, seed)
            for name, client in clients.items():
                ask(client, name, "<presence/>")
            nodes.settle()
            self.assertEqual(list(faults(nodes)), [])
            for client in clients.values():
                self.assertEqual(sorted(senders(client)), ["a", "b"])


class RestartTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", late_directory=True, config=saving_config(), romeo={})
        (self.here,) = self.nodes["a"].connect("romeo/here")
        self.previd = self.here.enable()
        (self.there,) = self.nodes["b"].connect("romeo/there")
        self.nodes.stop("a")

    def test_restored(self) -> None:
        """A session that outlives a restart of its node is in the directory again, and its siblings
        know it.
        """
        known = self.nodes["b"].server.routing_table.bound
        self.assertNotIn(f"{ROMEO}/here", known)
        self.nodes.start("a")
        self.nodes.settle()
        self.assertEqual(list(faults(self.nodes)), [])
        self.assertIn(f"{ROMEO}/here", known)
        client = self.nodes["a"].logged_in("romeo")
        client.resume(self.previd, 0)
        self.assertEqual(client.jid, ROMEO.with_resource("here"))

    def test_directory_is_away(self) -> None:
        """If the directory does not answer when the node starts, the session is entered later."""
        self.patch(LateDirectory, "away", True)
        self.nodes.start("a")
        self.assertEqual(set(self.nodes.directory.sessions(ROMEO.bare)), {"there"})
        self.patch(LateDirectory, "away", False)
        self.nodes.clock.advance(15)
        self.nodes.settle()
        self.assertEqual(list(faults(self.nodes)), [])

    def test_taken_meanwhile(self) -> None:
        """One whose resource another node has given away meanwhile is gone."""
        new = self.nodes["b"].bind("romeo", "here")
        self.nodes.start("a")
        self.nodes.settle()
        self.assertEqual(list(faults(self.nodes)), [])
        self.assertFalse(new.closed)
        self.assertIn("<failed", self.nodes["a"].logged_in("romeo").resume(self.previd, 0)[0])


class ReassertionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.nodes = service("a", "b")
        (self.romeo,) = self.nodes["a"].connect("romeo/1")
        self.locations = self.nodes["a"].server.locations
        self.greeted: list[int] = []
        self.locations.on_reentered = lambda session: self.greeted.append(session.serial)

    def reassert(self, *, rebuild: bool = False) -> None:
        """Say again that the session is here."""
        work = Deferred.fromCoroutine(self.locations.reassert(self.romeo.session, rebuild=rebuild))
        self.nodes.settle()
        self.successResultOf(work)

    def test_as_it_was(self) -> None:
        """A session that is in the directory stays as it is."""
        before = self.romeo.session.serial
        self.reassert()
        self.assertEqual((self.romeo.session.serial, self.greeted), (before, []))

    def test_directory_was_empty(self) -> None:
        """A directory that was empty gets the session back, with its serial."""
        before = self.romeo.session.serial
        self.nodes.directory.accounts.clear()
        self.reassert(rebuild=True)
        self.assertEqual((self.romeo.session.serial, self.greeted), (before, []))
        self.assertEqual(list(faults(self.nodes)), [])

    def test_lost_place(self) -> None:
        """A session whose place is another's ends (CL-25): a node replaced it, and died before it
        could say so.
        """
        bus = self.nodes["b"].server.cluster.bus
        assert isinstance(bus, MemoryBus)
        bus.cut.add(self.nodes["a"].id)
        self.nodes["b"].bind("romeo")
        self.assertFalse(self.romeo.closed)
        self.reassert()
        self.assertIn(b"<conflict ", self.romeo.raw())

    def test_later_one_stays(self) -> None:
        """Of two sessions of one JID in a directory that was empty the later one stays, and ends
        the other, which came back first.
        """
        bus = self.nodes["b"].server.cluster.bus
        assert isinstance(bus, MemoryBus)
        bus.cut.add(self.nodes["a"].id)
        later = self.nodes["b"].bind("romeo")
        self.nodes.clock.advance(MEET_S)
        self.nodes.settle()
        self.nodes.directory.accounts.clear()
        self.reassert(rebuild=True)
        self.assertFalse(self.romeo.closed)
        bus.mend(self.nodes["a"].id)
        locations = self.nodes["b"].server.locations
        work = Deferred.fromCoroutine(locations.reassert(later.session, rebuild=True))
        self.nodes.settle()
        self.successResultOf(work)
        self.assertIn(b"<conflict ", self.romeo.raw())
        self.assertFalse(later.closed)
        self.assertEqual(list(faults(self.nodes)), [])

    def test_entered_anew(self) -> None:
        """One that was taken out of the directory is the later one from then on: it has another
        serial, its siblings know that, and it greets anew.
        """
        before = self.romeo.session.serial
        other = self.nodes["b"].bind("romeo", "2")
        del self.nodes.directory.accounts[ROMEO.bare]["1"]
        self.reassert()
        serial = self.romeo.session.serial
        self.assertGreater(serial, before)
        self.assertEqual(self.greeted, [serial])
        known = self.nodes["b"].server.routing_table.bound[f"{ROMEO}/1"]
        assert isinstance(known, RemoteSession)
        self.assertEqual(known.location.serial, serial)
        self.assertFalse(other.closed)
        self.assertEqual(list(faults(self.nodes)), [])

    def test_ends_meanwhile(self) -> None:
        """One that ends meanwhile has no place when it is over."""
        del self.nodes.directory.accounts[ROMEO.bare]["1"]
        work = Deferred.fromCoroutine(self.locations.reassert(self.romeo.session))
        self.romeo.abort()
        self.nodes.settle()
        self.successResultOf(work)
        self.assertEqual(list(faults(self.nodes)), [])

    def test_compared(self) -> None:
        """In the end each session is looked at: one that the directory has lost is entered, and one
        whose place is another's ends.
        """
        others = [self.nodes["a"].bind("romeo", f"{number}") for number in range(2, 5)]
        places = self.nodes.directory.accounts[ROMEO.bare]
        del places["2"]
        places["3"] = Location(self.nodes["b"].id, places["3"].serial + 1)
        for _ in range(8):
            self.nodes.clock.advance(15)
            self.nodes.settle()
        self.assertEqual([client.closed for client in others], [False, True, False])
        self.assertEqual(set(places), {"1", "2", "3", "4"})

    def test_void(self) -> None:
        """One that another replaces before the answer comes ends (CL-21)."""
        for order in Orders():
            self.setUp()
            del self.nodes.directory.accounts[ROMEO.bare]["1"]
            new = self.nodes["b"].logged_in("romeo")
            self.nodes.network.choose = order.choose
            Deferred.fromCoroutine(self.locations.reassert(self.romeo.session))
            ask(new, "1")
            self.nodes.settle()
            self.assertEqual(list(faults(self.nodes)), [])
            self.assertEqual(len(bound(self.nodes)), 1)

    def test_lost_answer(self) -> None:
        """If it is not heard where a session was entered anew, the session has that place all the
        same, as soon as the directory answers.
        """
        before = self.romeo.session.serial
        del self.nodes.directory.accounts[ROMEO.bare]["1"]
        later = done(MemoryDirectory(self.nodes["a"].id, self.nodes.directory)
                     .reassert(ROMEO.with_resource("1"), before, rebuild=False))  # fmt: skip
        self.reassert()
        self.assertFalse(self.romeo.closed)
        self.nodes.clock.advance(15)
        self.nodes.settle()
        self.assertFalse(self.romeo.closed)
        self.assertEqual((self.romeo.session.serial, self.greeted), (later.serial, [later.serial]))
        self.assertEqual(list(faults(self.nodes)), [])

    def test_lost_answer_and_session(self) -> None:
        """If that session ends before, the place is given back."""
        self.nodes.directories["a"].away = True
        work = Deferred.fromCoroutine(self.locations.reassert(self.romeo.session))
        self.nodes.settle()
        self.failureResultOf(work, DirectoryAway)
        self.romeo.abort()
        self.nodes.settle()
        place = Location(self.nodes["a"].id, 1_000)
        self.nodes.directory.accounts[ROMEO.bare] = {"1": place}
        self.nodes.directories["a"].away = False
        self.nodes.clock.advance(15)
        self.nodes.settle()
        self.assertEqual(self.nodes.directory.accounts.get(ROMEO.bare, {}), {})

    def test_while_it_logs_in(self) -> None:
        """A session whose login is under way when the directory loses everything is there again as
        soon as it is bound.
        """
        client = self.nodes["a"].logged_in("romeo")
        reading = Deferred[None]()
        read = self.nodes["a"].server.roster_manager.roster

        async def read_late(account: JID) -> Roster:
            await reading
            return await read(account)

        self.patch(self.nodes["a"].server.binding.rosters, "roster", read_late)
        ask(client, "2")
        self.nodes.settle()
        self.nodes.directory.accounts.clear()
        work = Deferred.fromCoroutine(self.nodes["a"].server._enter_all())
        self.nodes.settle()
        self.successResultOf(work)
        self.assertEqual(set(self.nodes.directory.sessions(ROMEO.bare)), {"1"})
        reading.callback(None)
        self.nodes.settle()
        self.assertEqual(set(self.nodes.directory.sessions(ROMEO.bare)), {"1", "2"})
        self.assertEqual(list(faults(self.nodes)), [])

    def test_away(self) -> None:
        """While the directory does not answer, the session stays."""
        self.nodes.directories["a"].away = True
        work = Deferred.fromCoroutine(self.locations.reassert(self.romeo.session))
        self.nodes.settle()
        self.failureResultOf(work, DirectoryAway)
        self.assertFalse(self.romeo.closed)
