"""Who may log in when everybody comes at once, and how the server knows what it sustains."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.login.logins import BIND, HEADER, authenticate, plain, text_of
from tests.unit.login.test_fast import TokenCase, by_token
from xmppd.events import OWNER
from xmppd.net import login_queue as admission
from xmppd.net.login_queue import (
    FIRST_WINDOW,
    LARGEST_WINDOW,
    LATE_S,
    MAX_LET_IN_PER_TURN,
    MIN_RETRY_S,
    NEWCOMERS_PER_FULL_LOGIN,
    SLOT_S,
    SMALLEST_WINDOW,
    TICK_S,
    LoginQueue,
    StoreWatch,
    Window,
)
from xmppd.session.session_manager import wanted
from xmppd.stanza import StreamCondition, StreamError, Tree, ns
from xmppd.stream.inline_feature import InlineFeature, InlinePlace
from xmppd.stream.stream_feature import Negotiation
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config


class WindowTests(SynchronousTestCase):
    """How many at once."""

    def setUp(self) -> None:
        self.window = Window()

    def test_keeps_up(self) -> None:
        """While the server keeps up and more want to come, more may, up to a limit."""
        for _ in range(200):
            self.window.adapt(0.0, wanted=True)
        self.assertEqual(self.window.size, LARGEST_WINDOW)

    def test_late(self) -> None:
        """When the server is late, half as many may at each look, and never less than a few."""
        self.window.adapt(2 * LATE_S, wanted=True)
        self.assertEqual(self.window.size, FIRST_WINDOW / 2)
        for _ in range(20):
            self.window.adapt(2 * LATE_S, wanted=True)
        self.assertEqual(self.window.size, SMALLEST_WINDOW)

    def test_nobody_waits(self) -> None:
        """What nobody asks for is not granted."""
        self.window.adapt(0.0, wanted=False)
        self.assertEqual(self.window.size, FIRST_WINDOW)


class StoreWatchTests(SynchronousTestCase):
    """How long the store takes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[Deferred[None]] = []
        self.watch = StoreWatch(self.clock, self.ask)

    def ask(self) -> Deferred[None]:
        self.asked.append(Deferred())
        return self.asked[-1]

    def test_takes_long(self) -> None:
        """Its answer counts, and so does that it has not come; there is one question at a time."""
        self.assertEqual(self.watch.late_s(), 0.0)
        self.clock.advance(2)
        self.assertEqual(self.watch.late_s(), 2.0)
        self.assertEqual(len(self.asked), 1)
        self.clock.advance(1)
        self.asked.pop().callback(None)
        self.assertEqual(self.watch.late_s(), 3.0)
        self.asked.pop().callback(None)
        self.assertEqual(self.watch.late_s(), 0.0)

    def test_fails(self) -> None:
        """A store that fails has answered too; whoever needs it will tell."""
        self.watch.late_s()
        self.asked.pop().errback(RuntimeError("no store"))
        self.assertEqual(self.watch.late_s(), 0.0)


class AdmissionTests(SynchronousTestCase):
    """Who comes in when."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.late_s = 0.0
        self.over: list[int] = []
        self.login_queue = LoginQueue[int](self.clock, (lambda: self.late_s,), self.over.append)
        self.let_in: list[int] = []

    def came(self, _: None, who: int) -> None:
        self.let_in.append(who)

    def come(self, *people: int) -> None:
        """They want to log in, in this order."""
        for who in people:
            turn = self.login_queue.begin(who)
            if turn is None:
                self.let_in.append(who)
            else:
                turn.addCallback(self.came, who)

    def test_few(self) -> None:
        """While there is room, nobody waits, and when all are here no timer runs."""
        self.come(*range(5))
        self.assertEqual(self.let_in, [0, 1, 2, 3, 4])
        for who in range(5):
            self.login_queue.end(who)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_herd(self) -> None:
        """Beyond the window people wait, and come in one after the other in their order."""
        self.come(*range(FIRST_WINDOW + 3))
        self.assertEqual(len(self.let_in), FIRST_WINDOW)
        self.login_queue.end(5)
        self.login_queue.end(7)
        self.come(1_000)
        self.assertEqual(len(self.let_in), FIRST_WINDOW)  # not before those who were here first
        self.clock.advance(0)
        self.assertEqual(self.let_in[FIRST_WINDOW:], [FIRST_WINDOW, FIRST_WINDOW + 1])
        self.assertEqual(self.login_queue.waiting, 2)
        self.assertEqual(self.login_queue.counts.waiting_peak, 4)
        self.assertEqual(self.login_queue.counts.let_in, FIRST_WINDOW + 2)

    def test_late(self) -> None:
        """A server that is late lets nobody in until fewer are logging in."""
        self.come(*range(FIRST_WINDOW + 1))
        self.late_s = 2 * LATE_S
        self.clock.advance(TICK_S)
        self.assertEqual(self.login_queue.late_s, 2 * LATE_S)
        for who in range(FIRST_WINDOW // 2):
            self.login_queue.end(who)
        self.clock.advance(0)
        self.assertEqual(self.login_queue.waiting, 1)
        self.login_queue.end(FIRST_WINDOW - 1)
        self.clock.advance(0)
        self.assertEqual(self.login_queue.waiting, 0)

    def test_late_timer(self) -> None:
        """It is late when its own timer is."""
        self.come(1)
        self.clock.advance(TICK_S + 1.0)
        self.assertAlmostEqual(self.login_queue.late_s, 1.0)

    def test_recovers(self) -> None:
        """When it keeps up again, more come in by themselves."""
        self.come(*range(FIRST_WINDOW + 1))
        self.clock.advance(TICK_S)
        self.clock.advance(0)
        self.assertEqual(self.login_queue.waiting, 0)

    def test_few_in_a_turn(self) -> None:
        """When many places are free at once, they are given away turn by turn."""
        self.come(*range(2 * FIRST_WINDOW))
        for who in range(FIRST_WINDOW):
            self.login_queue.end(who)
        self.assertEqual(len(self.let_in), FIRST_WINDOW)
        between: list[int] = []
        self.clock.callLater(0, lambda: between.append(len(self.let_in)))
        self.clock.advance(0)
        self.assertEqual(between, [FIRST_WINDOW + MAX_LET_IN_PER_TURN])
        self.assertEqual(len(self.let_in), 2 * FIRST_WINDOW)

    def test_slow_client(self) -> None:
        """Who takes long keeps nobody out for longer than a while."""
        self.come(*range(FIRST_WINDOW + 1))
        self.patch(admission, "LATE_S", 1e9)
        self.patch(admission, "LARGEST_WINDOW", FIRST_WINDOW)
        self.clock.pump([SLOT_S / 100] * 99)
        self.assertEqual(self.login_queue.waiting, 1)
        self.clock.pump([TICK_S] * 3)
        self.assertEqual(self.login_queue.waiting, 0)
        self.assertEqual(self.over, list(range(FIRST_WINDOW)))
        self.assertFalse(self.login_queue.is_in_progress(0))
        self.assertTrue(self.login_queue.is_in_progress(FIRST_WINDOW))

    def test_gone(self) -> None:
        """Who leaves while waiting takes nobody's place."""
        self.come(*range(FIRST_WINDOW + 2))
        self.login_queue.end(FIRST_WINDOW)
        self.login_queue.end(0)
        self.clock.advance(0)
        self.assertEqual(self.let_in[-1], FIRST_WINDOW + 1)

    def test_too_long(self) -> None:
        """Who has waited too long is told when to come again."""
        self.come(*range(FIRST_WINDOW))
        self.assertFalse(self.login_queue.refuse(0))
        turn = self.login_queue.begin(-1)
        assert turn is not None
        self.assertTrue(self.login_queue.refuse(-1))
        error = self.failureResultOf(turn, StreamError).value
        self.assertEqual(error.condition, StreamCondition.RESOURCE_CONSTRAINT)
        self.assertEqual(self.login_queue.counts.refused, 1)

    def test_hint(self) -> None:
        """Those who are refused are not told to come back all at the same time."""
        texts = {self.login_queue.refusal().text for _ in range(100)}
        hints = sorted(int(text.split()[-2]) for text in texts if text)
        self.assertGreater(len(hints), 3)
        self.assertGreaterEqual(hints[0], MIN_RETRY_S)
        self.assertLessEqual(hints[-1], 2 * MIN_RETRY_S)

    def step_back(self, *people: int) -> None:
        """Their logins turn out to be full ones."""
        for who in people:
            turn = self.login_queue.step_back(who)
            if turn is None:
                self.let_in.append(who)
            else:
                turn.addCallback(self.came, who)

    def test_nobody_to_step_back_for(self) -> None:
        """While nobody waits, a full login goes on."""
        self.come(1, 2)
        self.assertIsNone(self.login_queue.step_back(1))
        self.assertTrue(self.login_queue.is_in_progress(1))

    def test_step_back(self) -> None:
        """A full login makes room for those who have just come, and is let in after some of them;
        those who step back keep their order.
        """
        self.patch(admission, "LARGEST_WINDOW", FIRST_WINDOW)
        self.come(*range(FIRST_WINDOW), *range(1_000, 1_010))
        del self.let_in[:]
        self.step_back(0, 1, 2, 3)
        self.assertEqual(self.login_queue.in_progress, FIRST_WINDOW - 4)
        for who in range(4, 20):
            self.login_queue.end(who)
            self.clock.advance(0)
        newcomers = iter(range(1_000, 1_010))
        expected = [next(newcomers) for _ in range(NEWCOMERS_PER_FULL_LOGIN)] + [0]
        expected += [next(newcomers) for _ in range(NEWCOMERS_PER_FULL_LOGIN)] + [1]
        self.assertEqual(self.let_in, [*expected, *newcomers, 2, 3])
        self.assertEqual(self.login_queue.waiting, 0)
        self.assertEqual(self.login_queue.counts.let_in, FIRST_WINDOW + 10)

    def test_stepped_back_and_gone(self) -> None:
        """Who has stepped back may leave, or have waited too long, as others may."""
        self.come(*range(FIRST_WINDOW + 2))
        one, other = self.login_queue.step_back(0), self.login_queue.step_back(1)
        assert one is not None
        assert other is not None
        self.login_queue.end(0)
        self.assertNoResult(one)
        self.assertTrue(self.login_queue.refuse(1))
        self.failureResultOf(other, StreamError)
        self.clock.advance(0)
        self.assertEqual(self.login_queue.waiting, 0)

    def test_stop(self) -> None:
        """A server that stops lets nobody in any more."""
        self.come(*range(FIRST_WINDOW + 1))
        self.login_queue.end(0)
        self.login_queue.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class GateTests(SynchronousTestCase):
    """The same at the door."""

    def setUp(self) -> None:
        self.house = House(
            config=house_config(
                "montague.lit",
                stream={"negotiation_timeout_s": 60.0, "max_unauthenticated": 3},
            ),
            romeo={},
            juliet={},
        )
        self.house.server.client_connections.login_queue.window.size = 1.0
        self.patch(admission, "SMALLEST_WINDOW", 1)
        self.patch(admission, "LARGEST_WINDOW", 1)

    def statistic(self, name: str) -> float:
        return dict(self.house.server.metrics.numbers())[name]

    def test_turn(self) -> None:
        """Who waits is not answered, until whoever logs in has become available."""
        romeo = self.house.bind("romeo")
        juliet = self.house.unauthenticated()
        juliet.open("montague.lit")
        self.assertEqual(juliet.raw(), b"")
        self.assertEqual(self.statistic("logins_waiting"), 1)
        romeo.send("<presence/>")
        self.house.clock.advance(0)
        self.assertIn(b"<stream:features>", juliet.raw())
        self.assertEqual(self.statistic("logins_waiting"), 0)

    def test_lost(self) -> None:
        """Whoever is lost while logging in makes room; whoever is lost while waiting needs none."""
        romeo, juliet, nurse = (self.house.unauthenticated() for _ in range(3))
        for client in (romeo, juliet, nurse):
            client.open("montague.lit")
        juliet.abort()
        romeo.abort()
        self.house.clock.advance(0)
        self.assertIn(b"<stream:features>", nurse.raw())

    def test_waiting_is_not_logging_in(self) -> None:
        """The time in which a client waited is not taken from that in which it must log in."""
        romeo, juliet = self.house.bind("romeo"), self.house.unauthenticated()
        juliet.open("montague.lit")
        self.patch(admission, "SLOT_S", 1e9)
        self.house.clock.pump([1.0] * 55)
        romeo.send("<presence/>")
        self.house.clock.pump([1.0] * 50)
        self.assertFalse(juliet.closed)
        self.assertIn(b"<stream:features>", juliet.raw())
        self.house.clock.pump([1.0] * 30)
        self.assertIn(b"<connection-timeout", juliet.raw())

    def test_waiting_ends(self) -> None:
        """Nobody waits for ever: they are told when to try again."""
        self.patch(admission, "SLOT_S", 1e9)
        self.house.bind("romeo")
        juliet = self.house.unauthenticated()
        juliet.open("montague.lit")
        self.house.clock.pump([1.0] * 80)
        self.assertRegex(juliet.raw(), b"<resource-constraint.*try again in [0-9]+ seconds")
        self.assertEqual(self.statistic("logins_refused"), 1)

    def test_queue_is_bounded(self) -> None:
        """Beyond those who may wait, people are told when to try again."""
        connections = []
        for number in range(4):
            connections.append(self.house.unauthenticated(f"192.0.2.{number}"))
            connections[-1].open("montague.lit")
        self.assertRegex(connections[3].raw(), b"<resource-constraint.*try again in [0-9]+ seconds")
        self.assertTrue(connections[3].transport.lost)
        self.assertEqual(self.statistic("logins_waiting"), 2)

    def test_stop(self) -> None:
        """Who waits when the server stops is told so."""
        self.house.bind("romeo")
        juliet = self.house.unauthenticated()
        juliet.open("montague.lit")
        stopped = self.house.stop()
        self.assertIn(b"<system-shutdown", juliet.raw())
        self.house.clock.advance(10)
        self.successResultOf(stopped)


class HerdTests(TokenCase):
    """Those who come back go first, however they got into the queue."""

    def setUp(self) -> None:
        super().setUp()
        self.token_of_romeo = self.token()
        for handler in tuple(self.house.server.client_connections.handlers):
            handler.transport.abortConnection()
        self.house.server.client_connections.login_queue.window.size = 1.0
        self.patch(admission, "SMALLEST_WINDOW", 1)
        self.patch(admission, "LARGEST_WINDOW", 1)
        self.patch(admission, "SLOT_S", 1e9)

    def arrive(self, *words: str) -> Client:
        """Somebody under TLS who says this behind the header."""
        client = self.house.unauthenticated(encrypted=True)
        client.send(HEADER + "".join(words))
        return client

    def full_login(self) -> Client:
        """Juliet, with her password, when somebody else has come meanwhile."""
        juliet = self.arrive()
        juliet.raw()
        return juliet

    def test_by_token(self) -> None:
        """A login by a token goes on where one by a password steps back."""
        juliet = self.full_login()
        romeo = self.arrive(by_token(self.token_of_romeo, BIND))
        self.assertEqual(romeo.raw(), b"")
        juliet.send(authenticate(plain("juliet"), BIND))
        self.house.clock.advance(0)
        self.assertIn(b"<bound ", romeo.raw())
        self.assertEqual(juliet.raw(), b"")
        romeo.send("<presence/>")
        self.house.clock.advance(0)
        self.assertIn(b"<bound ", juliet.raw())

    def test_resuming(self) -> None:
        """Who has its session back needs no binding, and so does not step back."""

        def resume(negotiation: Negotiation, tree: Tree) -> bytes:
            session = negotiation.session
            self.house.server.session_manager.bind(session, wanted(session, "orchard"))
            return b"<resumed xmlns='urn:test'/>"

        offer = InlineFeature(
            InlinePlace.AUTHENTICATE, lambda negotiation: b"", (("{urn:test}resume", resume),)
        )
        self.house.server.inline_features.put(offer, OWNER)
        juliet = self.full_login()
        romeo = self.arrive(authenticate(None, BIND, "<resume xmlns='urn:test'/>"))
        juliet.send(authenticate(plain("juliet"), BIND))
        self.house.clock.advance(0)
        self.assertIn(b"<resumed ", romeo.raw())
        self.assertEqual(juliet.raw(), b"")

    def test_binding_as_of_old(self) -> None:
        """Without SASL2 it is binding that steps back: who resumes does not come so far."""
        juliet = self.full_login()
        message = text_of(plain("juliet"))
        juliet.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{message}</auth>")
        juliet.send(HEADER)
        juliet.raw()
        romeo = self.arrive(by_token(self.token_of_romeo, BIND))
        juliet.send(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>")
        self.house.clock.advance(0)
        self.assertIn(b"<bound ", romeo.raw())
        self.assertEqual(juliet.raw(), b"")
        romeo.send("<presence/>")
        self.house.clock.advance(0)
        self.assertIn(b"<jid>juliet@montague.lit/", juliet.raw())

    def test_waiting_ends(self) -> None:
        """Who has stepped back does not wait for ever either."""
        for words in (
            authenticate(plain("juliet"), BIND),
            authenticate(plain("juliet")) + f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>",
        ):
            juliet = self.full_login()
            romeo = self.arrive(by_token(self.token_of_romeo))
            juliet.send(words)
            self.house.clock.advance(0)
            juliet.raw()
            self.house.clock.pump([1.0] * 80)
            self.assertRegex(juliet.raw(), b"<resource-constraint.*try again in [0-9]+ seconds")
            self.assertTrue(juliet.closed)
            romeo.abort()
            juliet.abort()
        self.assertEqual(self.house.server.client_connections.login_queue.waiting, 0)

    def test_lost(self) -> None:
        """Who is lost after stepping back is bound to nothing."""
        juliet = self.full_login()
        romeo = self.arrive(by_token(self.token_of_romeo))
        juliet.send(authenticate(plain("juliet"), BIND))
        juliet.abort()
        romeo.abort()
        self.house.clock.advance(0)
        self.assertEqual(self.house.server.session_manager.sessions, {})
        self.assertEqual(self.house.server.client_connections.login_queue.waiting, 0)
