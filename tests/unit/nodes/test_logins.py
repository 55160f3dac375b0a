"""Logins at several nodes: one session for each full JID, whatever overtakes what."""

from collections.abc import Callable, Iterator
from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.login.logins import BIND, HEADER, LAPTOP, agent, authenticate
from tests.unit.nodes.orders import Orders
from xmppd.cluster.directory import Entered
from xmppd.cluster.memory_directory import MemoryDirectory
from xmppd.cluster.node import Location
from xmppd.routing.locations import PATIENCE_S, Locations
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import REPLACED
from xmppd.stanza import JID, ns
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD, house_config
from xmppd.testing.late_directory import LateDirectory
from xmppd.testing.nodes import Nodes

DOMAIN = "montague.lit"
ROMEO = f"romeo@{DOMAIN}"


def ask(client: Client, resource: str, then: str = "") -> None:
    """Ask for a resource; nothing of it arrives anywhere yet."""
    client.handler.dataReceived(
        f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>{resource}</resource></bind></iq>"
        f"{then}".encode()
    )


def service(*names: str, **sessions: object) -> Nodes:
    """Nodes with this configuration of sessions, and a directory that takes its time."""
    config = house_config(DOMAIN, sessions=sessions)
    return Nodes(*names, config=config, late_directory=True, romeo={})


def bound(nodes: Nodes) -> dict[str, list[LocalClientSession]]:
    """The sessions of the whole service by full JID, each as its own node has it."""
    found: dict[str, list[LocalClientSession]] = {}
    for house in nodes.houses.values():
        for session in house.server.session_manager.sessions.values():
            if session.bound:
                found.setdefault(session.jid.full, []).append(session)
    return found


def faults(nodes: Nodes) -> Iterator[str]:
    """Whatever is not as it should be, when all is quiet."""
    sessions = bound(nodes)
    yield from (f"{jid} has two sessions" for jid, held in sessions.items() if len(held) > 1)
    serials = {jid: held[0].serial for jid, held in sessions.items()}
    places = {
        f"{bare}/{resource}": location.serial
        for bare in nodes.directory.accounts
        for resource, location in nodes.directory.sessions(bare).items()
    }
    if places != serials:
        yield f"the directory has {places}, and there are {serials}"
    for name, house in nodes.houses.items():
        table = house.server.routing_table
        here = {jid.partition("/")[0] for jid in sessions if table.sessions_here(_bare(jid))}
        known = {jid: held[0].presence is not None for jid, held in sessions.items()
                 if _bare(jid) in here}  # fmt: skip
        found = {jid: session.presence is not None for jid, session in table.bound.items()}
        if found != known:
            yield f"{name} knows {found} of {known}"
        siblings = table.siblings
        if siblings.arriving:
            yield f"{name} waits for {siblings.arriving}"
        if not known and siblings.nodes:
            yield f"{name} would tell {siblings.nodes}"


def _bare(jid: str) -> str:
    return jid.partition("/")[0]


Play = Callable[[Nodes, dict[str, Client]], None]


class OrderTests(SynchronousTestCase):
    """Everything that nodes and the directory say arrives in every order that there is."""

    config: dict[str, object] = {}
    names: tuple[str, ...] = ("a", "b")

    def played(self, play: Play, *, at_a: bool = False) -> Iterator[Nodes]:
        """The service at the end of a play, after every order.

        Args:
            play: Is given a client that has logged in at each node.
            at_a: Whether a session is at the first node before.
        """
        for order in Orders():
            nodes = service(*self.names, **self.config)
            if at_a:
                nodes["a"].connect("romeo/1")
            clients = {name: nodes[name].logged_in("romeo") for name in self.names}
            nodes.network.choose = order.choose
            play(nodes, clients)
            nodes.settle()
            yield nodes

    def first_fault(self, play: Play, *, at_a: bool = False) -> str:
        """The first thing that is wrong; empty if nothing is."""
        for nodes in self.played(play, at_a=at_a):
            for fault in faults(nodes):
                return fault
        return ""

    def both_log_in(self, nodes: Nodes, clients: dict[str, Client]) -> None:
        """Two with one resource, at the same moment."""
        for client in clients.values():
            ask(client, "1")


class OneResourceTests(OrderTests):
    def test_kick(self) -> None:
        """Two logins with one resource at two nodes at once: one of them has it, the other hears
        that it does not, and the directory knows where it is (BI-5).
        """
        for nodes in self.played(self.both_log_in):
            self.assertEqual(list(faults(nodes)), [])
            self.assertEqual(list(bound(nodes)), [f"{ROMEO}/1"])

    def test_unbind_overtakes(self) -> None:
        """A session that was replaced before its node knew that it has it is none (CL-21): if that
        were forgotten, there would be two.
        """
        self.patch(Locations, "_note_void", lambda *args: None)
        self.assertIn("two sessions", self.first_fault(self.both_log_in))

    def test_read_before_write(self) -> None:
        """Who has been there before is asked when the session is in the directory: if that were
        asked before, two could miss each other.
        """

        async def enter(
            directory: LateDirectory, jid: JID, *, conflict: str, max_sessions: int
        ) -> Entered:
            others = await directory.sessions_of(jid.bare)
            entering = directory.directory.enter(jid, conflict=conflict, max_sessions=max_sessions)
            return Entered((await directory._ask(lambda: entering)).serial, others)

        self.patch(LateDirectory, "enter", enter)
        self.assertIn("two sessions", self.first_fault(self.both_log_in))

    def replaced_as_it_leaves(self, nodes: Nodes, clients: dict[str, Client]) -> None:
        """A client leaves one node, while another takes its resource at the other."""
        (session,) = bound(nodes)[f"{ROMEO}/1"]
        session.connection.abort()
        ask(clients["b"], "1")

    def test_leaves_and_comes(self) -> None:
        """Who leaves one node and comes back at another at once is there, and nowhere else."""
        for nodes in self.played(self.replaced_as_it_leaves, at_a=True):
            self.assertEqual(list(faults(nodes)), [])
            self.assertEqual(len(nodes["b"].server.routing_table.bound), 1)

    def test_release_compares(self) -> None:
        """An old session's end does not take out the place of the new one (CL-22): if serials were
        not compared, nobody would find that.
        """

        async def leave(directory: MemoryDirectory, jid: JID, serial: int) -> None:
            directory.state.accounts.get(jid.bare, {}).pop(jid.resource or "", None)

        self.patch(MemoryDirectory, "leave", leave)
        self.assertIn("the directory has", self.first_fault(self.replaced_as_it_leaves, at_a=True))


class RefusedTests(OrderTests):
    config = {"conflict": "refuse"}

    def test_refuse(self) -> None:
        """Of two that come at once one is let in, and the other refused."""
        for nodes in self.played(self.both_log_in):
            self.assertEqual(list(faults(nodes)), [])
            self.assertEqual(list(bound(nodes)), [f"{ROMEO}/1"])


class RenamedTests(OrderTests):
    config = {"conflict": "rename"}

    def test_rename(self) -> None:
        """Of two that come at once one is given another resource; both know each other."""
        for nodes in self.played(self.both_log_in):
            self.assertEqual(list(faults(nodes)), [])
            one, other = sorted(bound(nodes), key=len)
            self.assertEqual(one, f"{ROMEO}/1")
            self.assertTrue(other.startswith(f"{ROMEO}/1-"), other)


class LimitTests(OrderTests):
    config = {"max_per_account": 1}

    def two_log_in(self, nodes: Nodes, clients: dict[str, Client]) -> None:
        for name, client in clients.items():
            ask(client, name)

    def test_limit(self) -> None:
        """An account has as many sessions as it may over all nodes; who comes at once with the last
        of them is refused.
        """
        for nodes in self.played(self.two_log_in):
            self.assertEqual(list(faults(nodes)), [])
            self.assertEqual(len(bound(nodes)), 1)


class LoginTests(SynchronousTestCase):
    def test_ends_give_back(self) -> None:
        """However a session ends, its place is free (CL-22)."""
        ends: dict[str, Callable[[Nodes, Client], object]] = {
            "cut off": lambda nodes, client: client.abort(),
            "stream closed": lambda nodes, client: client.send("</stream:stream>"),
            "replaced": lambda nodes, client: nodes["a"].bind("romeo").abort(),
            "replaced elsewhere": lambda nodes, client: nodes["b"].bind("romeo").abort(),
            "ended by an administrator": lambda nodes, client: nodes[
                "a"
            ].server.session_manager.close_all(ROMEO, REPLACED),
        }
        for name, end in ends.items():
            with self.subTest(name):
                nodes = service("a", "b")
                end(nodes, nodes["a"].bind("romeo"))
                nodes.settle()
                self.assertEqual(nodes.directory.accounts, {})
                self.assertEqual(list(faults(nodes)), [])

    def test_told_why(self) -> None:
        """Whoever has the resource on another node hears why it ends, before its place is
        another's.
        """
        nodes = service("a", "b")
        old, new = nodes["a"].bind("romeo"), nodes["b"].bind("romeo")
        self.assertIn(b"<conflict ", old.raw())
        self.assertFalse(new.closed)

    def test_refused(self) -> None:
        """With the policy to refuse, it keeps it, and the newcomer may take another."""
        nodes = service("a", "b", conflict="refuse")
        old = nodes["a"].bind("romeo")
        new = nodes["b"].logged_in("romeo")
        for resource, answer in (("1", "<conflict "), ("2", f"<jid>{ROMEO}/2</jid>")):
            ask(new, resource)
            (got,) = new.received()
            self.assertIn(answer, got)
        self.assertFalse(old.closed)

    def test_too_many(self) -> None:
        """Who is refused since the account has too many sessions is told so; one that ends on any
        node makes room.
        """
        nodes = service("a", "b", max_per_account=2)
        old, _ = nodes["a"].bind("romeo", "1"), nodes["b"].bind("romeo", "2")
        new = nodes["b"].logged_in("romeo")
        ask(new, "3")
        self.assertIn("<resource-constraint ", new.received()[0])
        old.abort()
        ask(new, "3")
        self.assertIn(f"<jid>{ROMEO}/3</jid>", new.received()[0])

    def test_detached_makes_room(self) -> None:
        """When the account may not have one more, the session that has been detached longest makes
        room, on whichever node it is (RS-8).
        """
        for at in ("a", "b"):
            with self.subTest(at=at):
                nodes = service("a", "b", max_per_account=2)
                for number, name in enumerate(sorted("ab", key=lambda name: name != at)):
                    client = nodes[name].bind("romeo", f"{number}")
                    client.enable()
                    client.abort()
                    nodes.clock.advance(1)
                new = nodes["b"].bind("romeo", "new")
                self.assertFalse(new.closed)
                self.assertEqual(set(bound(nodes)), {f"{ROMEO}/1", f"{ROMEO}/new"})
                self.assertEqual(list(faults(nodes)), [])

    def test_directory_away(self) -> None:
        """A login waits for a directory that does not answer, and goes on when it does."""
        nodes = service("a", "b")
        nodes.directories["a"].away = True
        client = nodes["a"].logged_in("romeo")
        ask(client, "1")
        self.assertEqual(client.received(), [])
        nodes.directories["a"].away = False
        nodes.clock.advance(1)
        self.assertIn(f"<jid>{ROMEO}/1</jid>", client.received()[0])
        self.assertEqual(list(faults(nodes)), [])

    def test_directory_stays_away(self) -> None:
        """After ten seconds it is told to come again later."""
        nodes = service("a", "b")
        nodes.directories["a"].away = True
        client = nodes["a"].logged_in("romeo")
        ask(client, "1")
        for _ in range(int(PATIENCE_S)):
            self.assertEqual(client.received(), [])
            nodes.clock.advance(1)
        (answer,) = client.received()
        self.assertIn("<error type='wait'><resource-constraint ", answer)
        self.assertEqual(nodes["a"].server.routing_table.siblings.arriving, {})

    def test_lost_while_it_waits(self) -> None:
        """Whose connection breaks while the directory decides has no place there."""
        nodes = service("a", "b")
        client = nodes["a"].logged_in("romeo")
        ask(client, "1")
        client.abort()
        nodes.settle()
        self.assertEqual(nodes.directory.accounts, {})
        self.assertEqual(list(faults(nodes)), [])

    def test_place_given_back_later(self) -> None:
        """A session that ends while the directory does not answer gives its place back later."""
        nodes = service("a", "b")
        client = nodes["a"].bind("romeo")
        nodes.directories["a"].away = True
        client.abort()
        self.assertEqual(len(nodes.directory.accounts), 1)
        nodes.directories["a"].away = False
        nodes.clock.pump([1] * 20)
        nodes.settle()
        self.assertEqual(nodes.directory.accounts, {})

    def test_answer_is_lost(self) -> None:
        """A login of which the directory has noted the first attempt, and whose answer was lost, is
        not refused because of itself.
        """
        nodes = service("a", "b", conflict="refuse")
        directory, attempts = nodes.directories["a"], count()
        enter = directory.enter

        async def lose_first(jid: JID, *, conflict: str, max_sessions: int) -> Entered:
            first = next(attempts) == 0
            entered = await enter(jid, conflict=conflict, max_sessions=max_sessions)
            directory.away = first
            if first:
                await directory.leave(jid, 0)
            return entered

        self.patch(directory, "enter", lose_first)
        client = nodes["a"].logged_in("romeo")
        ask(client, "1")
        nodes.settle()
        directory.away = False
        nodes.clock.advance(1)
        self.assertIn(f"<jid>{ROMEO}/1</jid>", client.received()[0])
        self.assertEqual(list(faults(nodes)), [])

    def test_overtaken(self) -> None:
        """A login that another one of its resource has overtaken, of which the directory could not
        say that it replaces it, comes to nothing: the later one has the place there (CL-21).
        """
        nodes = service("a", "b")
        nodes["b"].bind("romeo", "2")
        early, late = nodes["a"].logged_in("romeo"), nodes["a"].logged_in("romeo")
        nodes["b"].server.cluster.bus.take = lambda sender, entry: None
        network = nodes.network
        network.held = True
        ask(early, "1")
        while not nodes["a"].server.locations._entered:
            network.arrive(1)
        nodes.directory.accounts.clear()  # Redis is emptied
        ask(late, "1")
        network.held = False
        nodes.settle()
        nodes.clock.advance(2)
        nodes.settle()
        self.assertIn("another session took this resource", early.raw().decode())
        self.assertEqual(bound(nodes)[f"{ROMEO}/1"], [late.session])
        place = nodes.directory.accounts[ROMEO]["1"]
        self.assertEqual(place, Location(nodes["a"].id, late.session.serial))

    def test_node_is_silent(self) -> None:
        """A login waits two seconds for the node of the session that it replaces, and no longer."""
        nodes = service("a", "b")
        nodes["a"].bind("romeo")
        nodes["a"].server.cluster.bus.take = lambda sender, entry: None
        self.assertFalse(nodes["b"].bind("romeo").closed)


class LeftBehindTests(SynchronousTestCase):
    """A client that has lost its connection to one node, and comes back at another (LI-5)."""

    def back(self, nodes: Nodes, tag: str = "Balcony") -> tuple[Client, Client]:
        """The client as it was left behind at one node, and as it has come back at another."""
        done(nodes["a"].server.passwords.create(ROMEO, PASSWORD))
        clients = []
        for name, own in (("a", "Balcony"), ("b", tag)):
            client = nodes[name].unauthenticated()
            client.send(HEADER + authenticate(None, BIND.replace("Balcony", own), agent=agent()))
            clients.append(client)
        nodes.settle()
        return clients[0], clients[1]

    def service(self, **sessions: object) -> Nodes:
        config = house_config(DOMAIN, sessions=sessions)
        return Nodes("a", "b", config=config, late_directory=True)

    def test_other_resource(self) -> None:
        """What it has left behind under another resource ends, and that of other clients stays."""
        nodes = self.service()
        old, new = self.back(nodes, tag="Orchard")
        self.assertIn(b"this client has logged in again", old.raw())
        self.assertFalse(new.closed)
        other = nodes["a"].unauthenticated()
        other.send(HEADER + authenticate(None, BIND, agent=agent(LAPTOP)))
        nodes.settle()
        self.assertFalse(new.closed)
        self.assertEqual(list(faults(nodes)), [])

    def test_whatever_the_policy(self) -> None:
        """It is not refused because of itself, nor renamed, nor kept out by a limit."""
        for sessions in ({"conflict": "refuse"}, {"conflict": "rename"}, {"max_per_account": 1}):
            with self.subTest(**sessions):
                nodes = self.service(**sessions)
                old, new = self.back(nodes)
                self.assertTrue(old.closed)
                self.assertIn(b"<bound ", new.raw())
                self.assertEqual(len(bound(nodes)), 1)
                self.assertIs(bound(nodes)[new.session.jid.full][0], new.session)
