"""A node that is drained hands over its clients, and all that lives once."""

from collections.abc import Awaitable

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.cluster.claims_contract import Shelf
from xmppd.cluster.node import NodeId
from xmppd.command.command_context import SHELL, CommandContext
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply
from xmppd.net.listen_endpoint import ListenError
from xmppd.nodes.drain import MAX_AT_ONCE, RATE_PER_S, TRIES
from xmppd.session.local_client_session import LocalClientSession
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes

SEE = "<see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{}</see-other-host>"
PING = "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"


class Door:
    """A port of a node.

    Attributes:
        is_open: Whether others come in.
        is_taken: Whether somebody else has the port meanwhile.
    """

    is_open = True
    is_taken = False

    async def close(self) -> None:
        """Let nobody in."""
        self.is_open = False

    async def open_again(self) -> None:
        """Let everybody in again."""
        if self.is_taken:
            raise ListenError("the port is taken")
        self.is_open = True


class DrainCase(SynchronousTestCase):
    """Three nodes, of which one is drained; who moves is noted.

    Attributes:
        offered: The sessions that were to be handed over, by whom and to which node.
        takes: Whether the other node takes them; None while it does not say.
    """

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", "c", romeo={"juliet": "both"}, juliet={"romeo": "both"})
        self.drain = self.nodes["a"].server.drain
        self.drain.hand_over = self.take
        self.door = Door()
        self.drain.doors = [self.door]
        self.offered: list[tuple[str, str]] = []
        self.takes: bool | None = False
        self.waiting: list[Deferred[bool]] = []

    async def take(self, session: LocalClientSession, to: NodeId) -> bool:
        """Have a session be elsewhere, or not."""
        self.assertTrue(session.detached)
        self.offered.append((session.jid.full, to.name))
        is_there = self.takes
        if is_there is None:
            self.waiting.append(Deferred())
            is_there = await self.waiting[-1]
        if is_there:
            session.closed = True
            self.nodes["a"].server.session_manager.close(session)
        return is_there

    def say(self, *, takes: bool) -> None:
        """Have the other nodes say whether they take sessions."""
        self.takes = takes
        for answer in self.waiting:
            answer.callback(takes)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with all that is under way."""
        for _ in range(round(seconds * 10)):
            self.nodes.clock.advance(0.1)
            self.nodes.settle()

    def crowd(self, at: str, count: int) -> list[Client]:
        """So many people at a node."""
        for n in range(count):
            self.nodes[at].add(f"{at}{n}")
        return [self.nodes[at].connect(f"{at}{n}")[0] for n in range(count)]


class ClientTests(DrainCase):
    """What becomes of clients."""

    def test_reset(self) -> None:
        """A client that cannot come back to its session is told to come back, and seen to leave."""
        (romeo,) = self.nodes["a"].connect("romeo")
        (juliet,) = self.nodes["b"].connect("juliet")
        juliet.raw()
        self.drain.begin()
        self.pass_time(0.5)
        self.assertIn(b"<reset ", romeo.raw())
        self.assertIn(b"type='unavailable'", juliet.raw())
        self.assertEqual(self.offered, [])

    def test_rate(self) -> None:
        """So many clients are closed in a second, and not all at once."""
        crowd = self.crowd("a", 30)
        self.drain.begin(10)
        self.pass_time(1.0)
        closed = sum(client.closed for client in crowd)
        self.assertGreaterEqual(closed, 9)
        self.assertLessEqual(closed, 12)
        self.pass_time(1.0)
        self.assertLessEqual(sum(client.closed for client in crowd), 22)
        self.pass_time(3.5)
        self.assertTrue(all(client.closed for client in crowd))
        self.assertEqual(self.drain.progress.closed, 30)
        self.assertTrue(self.drain.is_over)

    def test_slow_rate(self) -> None:
        """A rate may be so low that not every turn has somebody."""
        crowd = self.crowd("a", 3)
        self.drain.begin(1)
        self.pass_time(1.9)
        self.assertEqual(sum(client.closed for client in crowd), 2)

    def test_resumable(self) -> None:
        """A session that can be resumed moves first: nothing that its client still says is taken
        until then, and nobody sees it leave.
        """
        (romeo,) = self.nodes["a"].connect("romeo")
        romeo.enable()
        (juliet,) = self.nodes["b"].connect("juliet")
        juliet.raw()
        self.takes = None
        self.drain.begin()
        self.pass_time(0.5)
        ((full, _),) = self.offered
        self.assertEqual(full, "romeo@montague.lit/1")
        romeo.send("<message to='juliet@montague.lit'><body>lost?</body></message>")
        self.pass_time(0.5)
        self.assertNotIn(b"<reset ", romeo.raw())
        self.assertEqual(juliet.received(), [])
        self.say(takes=True)
        self.pass_time(0.5)
        self.assertIn(b"<reset ", romeo.raw())
        self.assertEqual(juliet.received(), [])
        self.assertEqual(self.drain.progress.moved, 1)

    def test_wire_lost_meanwhile(self) -> None:
        """A client may go while its session is under way."""
        (romeo,) = self.nodes["a"].connect("romeo")
        romeo.enable()
        self.takes = None
        self.drain.begin()
        self.pass_time(0.5)
        romeo.abort()
        self.say(takes=True)
        self.pass_time(0.5)
        self.assertTrue(self.drain.is_over)

    def test_stanza_under_way(self) -> None:
        """A stanza that is being handled does not have the held connection be read on."""
        (romeo,) = self.nodes["a"].connect("romeo")
        waits = Deferred[None]()
        romeo.handler._wait_for(waits)
        romeo.handler.hold()
        romeo.send(PING)
        waits.callback(None)
        self.assertEqual(romeo.raw(), b"")

    def test_asleep(self) -> None:
        """Sessions without a connection move before anybody is closed; one that two nodes do not
        take stays, and is saved when the node stops.
        """
        romeo, juliet = self.nodes["a"].connect("romeo", "juliet")
        romeo.enable()
        romeo.abort()
        self.drain.begin(1)
        self.pass_time(0.5)
        self.assertEqual([full for full, _ in self.offered], ["romeo@montague.lit/1"])
        self.assertFalse(juliet.closed)
        self.pass_time(10)
        self.assertTrue(self.drain.is_over)
        self.assertEqual(len(self.offered), TRIES)
        self.assertEqual((self.drain.progress.asleep, self.drain.progress.moved), (1, 0))

    def test_at_once(self) -> None:
        """A limited number is handed over at the same time."""
        for client in self.crowd("a", MAX_AT_ONCE + 5):
            client.enable()
        self.takes = None
        self.drain.begin(10_000)
        self.pass_time(1)
        self.assertEqual(len(self.offered), MAX_AT_ONCE)
        self.say(takes=True)
        self.pass_time(3)
        self.assertEqual(len(self.offered), MAX_AT_ONCE + 5)
        self.assertEqual(self.drain.progress.moved, MAX_AT_ONCE + 5)

    def test_not_logged_in(self) -> None:
        """Whoever is about to log in is closed, too."""
        stranger = self.nodes["a"].unauthenticated()
        self.drain.begin()
        self.pass_time(0.5)
        self.assertIn(b"<reset ", stranger.raw())


class TargetTests(DrainCase):
    """To which node a client goes."""

    def describe(self, name: str, **fields: object) -> None:
        self.nodes[name].server.cluster.membership.describe(**fields)

    def test_see_other_host(self) -> None:
        """A client is sent to the address of the node that its session is at, where there is one
        (RFC 6120, section 4.9.3.19).
        """
        self.describe("b", client_address="b.montague.lit:5222")
        self.describe("c", draining=True)
        (romeo,) = self.nodes["a"].connect("romeo")
        romeo.enable()
        self.takes = True
        self.drain.begin()
        self.pass_time(0.5)
        self.assertEqual(self.offered, [("romeo@montague.lit/1", "b")])
        self.assertIn(SEE.format("b.montague.lit:5222").encode(), romeo.raw())

    def test_evenly(self) -> None:
        """Who has fewer sessions gets more; nodes that drain get none."""
        self.crowd("b", 60)
        for client in self.crowd("a", 60):
            client.enable()
        self.takes = True
        self.drain.begin(1_000)
        self.pass_time(1)
        to = [name for _, name in self.offered]
        self.assertEqual(len(to), 60)
        self.assertGreater(to.count("c"), 45)

    def test_two_at_once(self) -> None:
        """Of two nodes that drain at the same time one gives to the other, at most."""
        self.describe("c", draining=True)
        other = self.nodes["b"].server.drain
        self.drain.begin()
        other.begin()
        self.pass_time(5)
        self.assertFalse(self.drain.is_over and other.is_over)
        self.assertEqual(self.nodes.members["b"].draining, other.is_over)

    def test_nobody(self) -> None:
        """Where no other node answers nobody is closed."""
        for name in "bc":
            del self.nodes.ends[self.nodes[name].id]
        (romeo,) = self.nodes["a"].connect("romeo")
        self.drain.begin()
        self.pass_time(5)
        self.assertFalse(self.drain.is_over or self.drain.is_running or romeo.closed)
        self.assertTrue(self.door.is_open)

    def test_all_gone_meanwhile(self) -> None:
        """When the others are gone nobody more is closed, until one is back."""
        crowd = self.crowd("a", 20)
        self.drain.begin(10)
        self.pass_time(1)
        for name in "bc":
            self.nodes.lose(name)
        closed = sum(client.closed for client in crowd)
        self.pass_time(5)
        self.assertEqual(sum(client.closed for client in crowd), closed)
        self.nodes.start("b")
        self.pass_time(5)
        self.assertTrue(self.drain.is_over)


class CancelTests(DrainCase):
    def test_cancel(self) -> None:
        """A node that was drained, or is about to be, takes clients again."""
        self.crowd("a", 20)
        for seconds in (1.0, 10.0):
            self.drain.begin(10)
            self.pass_time(seconds)
            self.assertTrue(self.nodes.members["a"].draining)
            self.assertFalse(self.door.is_open)
            cancelled = Deferred.fromCoroutine(self.drain.cancel())
            self.pass_time(0.5)
            self.assertTrue(self.successResultOf(cancelled))
            self.assertFalse(self.nodes.members["a"].draining)
            self.assertTrue(self.door.is_open)
            left = self.drain.progress.left
            self.pass_time(5)
            self.assertEqual(self.drain.progress.left, left)
        self.assertFalse(self.successResultOf(Deferred.fromCoroutine(self.drain.cancel())))

    def test_door_is_taken(self) -> None:
        """If a port is another's by now that is said, and the node stays as it is."""
        self.drain.begin()
        self.pass_time(1)
        self.door.is_taken = True
        self.failureResultOf(Deferred.fromCoroutine(self.drain.cancel()), ListenError)
        self.assertTrue(self.nodes.members["a"].draining)

    def test_isolated(self) -> None:
        """A node that Redis does not answer drains by itself, until Redis is back; a drain that
        somebody wants goes on.
        """
        membership = self.nodes["a"].server.cluster.membership
        (romeo,) = self.nodes["a"].connect("romeo")
        membership.on_isolation(True)
        self.pass_time(2)
        self.assertTrue(romeo.closed and self.drain.is_over)
        membership.on_isolation(False)
        self.pass_time(1)
        self.assertFalse(self.nodes.members["a"].draining)
        self.drain.begin()
        self.pass_time(1)
        for is_so in (True, False):
            membership.on_isolation(is_so)
            self.pass_time(1)
        self.assertTrue(self.nodes.members["a"].draining)

    def test_isolated_and_drained(self) -> None:
        """Who drains a node that does so by itself has it give up what lives once as well, and it
        stays drained when Redis is back.
        """
        for house in self.nodes.houses.values():
            house.server.cluster.claims.put(Shelf(), "plugin")
        claims = self.nodes["a"].server.cluster.claims
        for n in range(20):
            owner = claims.owner("book", str(n))
            Deferred.fromCoroutine(_found(owner))
        self.pass_time(0.5)
        self.assertTrue(list(claims.all_mine()))
        membership = self.nodes["a"].server.cluster.membership
        membership.on_isolation(True)
        self.pass_time(1)
        self.assertTrue(self.drain.is_over and list(claims.all_mine()))
        self.drain.begin()
        membership.on_isolation(False)
        self.pass_time(1)
        self.assertEqual(list(claims.all_mine()), [])
        self.assertTrue(self.drain.is_over and self.nodes.members["a"].draining)

    def test_slow_to_give_up(self) -> None:
        """Clients do not wait for what takes its time to be given up."""
        waits = Deferred[None]()
        self.patch(self.nodes["a"].server.cluster.claims, "give_up_all", lambda: waits)
        crowd = self.crowd("a", 5)
        self.drain.begin()
        self.pass_time(2)
        self.assertTrue(all(client.closed for client in crowd))
        self.assertFalse(self.drain.is_over)
        cancelled = Deferred.fromCoroutine(self.drain.cancel())
        self.pass_time(1)
        self.successResultOf(cancelled)


class MovedTests(SynchronousTestCase):
    """Sessions that really move."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", "c", romeo={"juliet": "both"}, juliet={"romeo": "both"})
        (self.romeo,) = self.nodes["a"].connect("romeo")
        self.previd = self.romeo.enable()
        (self.juliet,) = self.nodes["b"].connect("juliet")
        self.juliet.raw()

    def comes_back(self) -> None:
        """Romeo finds his session at b and at c, and Juliet has not seen that he was away."""
        self.juliet.send("<message to='romeo@montague.lit' type='chat' id='m'/>")
        for at in "cb":
            romeo = self.nodes[at].logged_in("romeo")
            romeo.send(f"<resume xmlns='urn:xmpp:sm:3' previd='{self.previd}' h='1'/>")
            for _ in range(5):
                self.nodes.clock.advance(0.1)
                self.nodes.settle()
            heard = romeo.raw()
            self.assertIn(b"<resumed ", heard)
            self.assertIn(b"id='m'", heard)
        self.assertEqual(self.juliet.received(), [])

    def test_drained(self) -> None:
        """When the node is drained."""
        drain = self.nodes["a"].server.drain
        drain.begin()
        for _ in range(30):
            self.nodes.clock.advance(0.1)
            self.nodes.settle()
        self.assertEqual((drain.progress.moved, drain.progress.asleep), (1, 0))
        self.assertTrue(drain.is_over)
        self.comes_back()

    def test_stopped(self) -> None:
        """When it is stopped; nothing is saved."""
        self.nodes.stop("a")
        saved = done(self.nodes["b"].store.sessions.nodes())
        self.assertNotIn("a.1", saved)
        self.comes_back()


async def _found(owner: NodeId | Awaitable[NodeId]) -> None:
    if isinstance(owner, Awaitable):
        await owner


class StopTests(DrainCase):
    """A node that is stopped drains."""

    def test_stop(self) -> None:
        """Its clients are told to come back elsewhere; the door is closed by whoever has it."""
        (romeo,) = self.nodes["a"].connect("romeo")
        self.nodes.stop("a")
        self.assertIn(b"<reset ", romeo.raw())

    def test_in_time(self) -> None:
        """However many there are, all are handed over in time."""
        crowd = self.crowd("a", 100)
        stopping = self.nodes["a"].stop()
        with_rate = Deferred.fromCoroutine(self.drain.watch(0.1))
        self.pass_time(2)
        self.assertTrue(all(client.closed for client in crowd))
        self.pass_time(20)
        self.successResultOf(stopping)
        self.successResultOf(with_rate)

    def test_late(self) -> None:
        """What could not be handed over in time is closed, told so, and saved."""
        (romeo,) = self.nodes["a"].connect("romeo")
        romeo.enable()
        self.takes = None
        stopping = self.nodes["a"].stop()
        self.pass_time(29)
        self.assertNoResult(stopping)
        self.assertEqual(romeo.raw().count(b"<stream:error>"), 0)
        self.pass_time(40)
        self.successResultOf(stopping)
        self.assertIn(b"<system-shutdown ", romeo.raw())

    def test_alone(self) -> None:
        """The last one drains to nobody: it closes and saves at once."""
        self.nodes.lose("b")
        self.nodes.lose("c")
        (romeo,) = self.nodes["a"].connect("romeo")
        self.nodes["a"].stop()
        self.assertIn(b"<system-shutdown ", romeo.raw())


class CommandTests(DrainCase):
    """xmppctl cluster drain."""

    def give(self, at: str, **given: object) -> tuple[list[Reply], "Deferred[None]"]:
        replies: list[Reply] = []
        table = self.nodes[at].server.commands
        command, context = table.asked("cluster drain", given, SHELL)
        self.context: CommandContext = context

        async def read() -> None:
            keep = replies.append
            async for reply in table.replies(command, context):
                keep(reply)

        return replies, Deferred.fromCoroutine(read())

    def test_from_anywhere(self) -> None:
        """Any node is drained from any; how far it has come is said until it ends."""
        self.crowd("a", 30)
        for at, given in (("a", {"rate": "1"}), ("b", {})):
            replies, reading = self.give(at, node="a", **given)
            self.pass_time(8)
            self.assertIn("a: clients disconnected: ", str(replies[0]))
            self.assertNoResult(reading)
        faster, reading = self.give("c", node="a", rate="100")
        self.pass_time(10)
        self.successResultOf(reading)
        self.assertEqual(
            faster[-1], "a is drained: clients disconnected: 30, sessions moved to other nodes: 0"
        )

    def test_cancel(self) -> None:
        """It is cancelled from anywhere, and who waits for it is told."""
        self.crowd("a", 30)
        _, reading = self.give("a", node="a", rate="1")
        self.pass_time(2)
        replies, cancelling = self.give("b", node="a", cancel=True)
        self.pass_time(3)
        self.successResultOf(cancelling)
        self.assertEqual(len(replies), 1)
        refused = self.failureResultOf(reading, Refused).value
        self.assertIn("draining was cancelled", str(refused))
        _, again = self.give("b", node="a", cancel=True)
        self.pass_time(3)
        self.assertEqual(str(self.failureResultOf(again, Refused).value), "a is not draining")

    def test_unknown(self) -> None:
        """A node that there is not is refused, with the names of those that there are."""
        _, reading = self.give("a", node="d")
        refused = self.failureResultOf(reading, Refused).value
        self.assertEqual(str(refused), "unknown node d; the nodes are a, b, c")

    def test_nobody_listens(self) -> None:
        """It goes on when nobody waits for it any more."""
        self.crowd("a", 30)
        _, reading = self.give("a", node="a", rate="2")
        self.pass_time(2)
        reading.addErrback(lambda failure: None)
        reading.cancel()
        self.pass_time(20)
        self.assertTrue(self.drain.is_over)

    def test_asleep(self) -> None:
        """What stays is said."""
        (romeo,) = self.nodes["a"].connect("romeo")
        romeo.enable()
        replies, reading = self.give("a", node="a", rate=str(RATE_PER_S))
        self.pass_time(5)
        self.successResultOf(reading)
        self.assertIn("sessions without a connection that stay at a: 1;", str(replies[-1]))

    def test_peers(self) -> None:
        """Servers and components come back elsewhere, when nobody else is left."""
        stranger = self.nodes["a"].service()
        replies, reading = self.give("a", node="a")
        self.pass_time(1)
        self.successResultOf(reading)
        self.assertIn(b"<reset ", stranger.raw())
        self.assertEqual(len(replies), 1)
