"""What a client asks for and is sent as fast as it reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from twisted.trial.unittest import SynchronousTestCase

from xmppd.handler.iq_handler import Asked, IQHandler, Pulling, To
from xmppd.host.clocks import UNKNOWN
from xmppd.message.unread import owed
from xmppd.session.local_client_session import stanzas_in
from xmppd.session.pulls import MAX_PULLS
from xmppd.stanza import IQ, Condition, Message, Stanza, StanzaError, qname
from xmppd.stanza.pulled import Pulled
from xmppd.stanza.result import Results
from xmppd.testing.client import Client, Elsewhere
from xmppd.testing.house import House, house_config

NS = "urn:example:many"


@dataclass(frozen=True)
class Many(IQHandler):
    """Answers behind as many messages as are asked for."""

    before: dict[str, Callable[[], object]] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)

    query = qname(NS, "many")
    to = To.OWN_ACCOUNT | To.SERVER

    def on_get(self, iq: IQ, asked: Asked) -> Pulling:
        tree = iq.payload.tree[0]
        return Pulling(self.stanzas(iq, int(tree.get("of", "3"))), b"<done xmlns='urn:x'/>")

    def stanzas(self, iq: IQ, number: int) -> Iterator[Stanza]:
        """Numbered messages; what is registered for one is called before it is made."""
        for each in range(1, number + 1):
            name = f"{iq.id}-{each}"
            self.before.get(name, int)()
            self.made.append(name)
            raw = f"<message id='{name}'><many xmlns='{NS}'/></message>".encode()
            yield Message(iq.sender, iq.sender.to_bare(), name, None, Pulled(raw))


def fail(error: Exception) -> Callable[[], object]:
    """A function that raises."""

    def raises() -> None:
        raise error

    return raises


class Asking(SynchronousTestCase):
    """A house in which much can be asked for."""

    def setUp(self) -> None:
        self.house = House(romeo={}, juliet={})
        self.many = Many()
        self.house.server.iq_router.put(self.many, "many")
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def ask(self, id: str = "a", of: int = 3) -> None:
        """Ask for so many messages."""
        self.romeo.send(f"<iq type='get' id='{id}'><many xmlns='{NS}' of='{of}'/></iq>")

    def say(self, text: str) -> None:
        """Somebody else writes to him."""
        self.juliet.send(
            f"<message to='{self.romeo.jid}' id='{text}'><body>{text}</body></message>"
        )

    def came(self, client: Client | None = None) -> list[str]:
        """The ids of what came, with the condition of an error."""
        found = []
        for each in (client or self.romeo).received():
            id = each.partition(" id='")[2].partition("'")[0]
            kind = each.partition("<error ")[2].partition("><")[2].partition(" ")[0]
            found.append(f"{id} {kind}".strip())
        return found


class PullTests(Asking):
    """SE-13."""

    def test_in_order(self) -> None:
        """The answer comes behind all of them."""
        self.ask()
        self.assertEqual(self.came(), ["a-1", "a-2", "a-3", "a"])
        self.ask("b", 0)
        self.assertEqual(self.came(), ["b"])

    def test_slow_reader(self) -> None:
        """A client that reads slowly is sent them as it reads; none of them is made before, and
        what others send comes in between.
        """
        self.many.before["a-2"] = self.romeo.stop_reading
        self.ask()
        self.assertEqual(self.came(), ["a-1"])
        self.say("x")
        self.assertEqual(self.many.made, ["a-1", "a-2"])
        self.romeo.read_on()
        self.assertEqual(self.came(), ["a-2", "x", "a-3", "a"])

    def test_never_too_much(self) -> None:
        """However much a client asks for, no more of it waits in memory than one stanza."""
        self.many.before["a-1"] = self.romeo.stop_reading
        self.ask(of=100_000)
        backlog = self.romeo.session.backlog
        assert backlog is not None
        self.assertEqual(len(backlog), 1)
        self.assertEqual(backlog.load.bytes, 0)

    def test_read_on_meanwhile(self) -> None:
        """Meanwhile the client may say and ask other things."""
        self.many.before["a-2"] = self.romeo.stop_reading
        self.ask()
        self.romeo.send(f"<message to='{self.juliet.jid}' id='m'><body>Hi</body></message>")
        self.assertEqual(self.came(self.juliet), ["m"])

    def test_two_at_once(self) -> None:
        """QU-15: Of three requests the third is not even read, nor what is behind it, before the
        first is answered.
        """
        self.assertEqual(MAX_PULLS, 2)
        self.many.before["a-2"] = self.romeo.stop_reading
        for id in "abc":
            self.ask(id)
        self.romeo.send(f"<message to='{self.juliet.jid}' id='m'><body>Hi</body></message>")
        self.assertEqual(self.came(self.juliet), [])
        self.many.before["b-2"] = self.romeo.stop_reading
        self.romeo.read_on()
        self.assertEqual(self.came(), ["a-1", "a-2", "a-3", "a", "b-1"])
        self.assertEqual(self.came(self.juliet), [])
        self.romeo.read_on()
        self.assertEqual(self.came(), ["b-2", "b-3", "b", "c-1", "c-2", "c-3", "c"])
        self.assertEqual(self.came(self.juliet), ["m"])

    def test_fails(self) -> None:
        """Whoever cannot go on says so behind what was sent, and the next one is answered."""
        self.many.before["a-2"] = fail(StanzaError(Condition.ITEM_NOT_FOUND))
        self.many.before["b-3"] = fail(RuntimeError("a fault of ours"))
        for id in "abc":
            self.ask(id)
        self.assertEqual(
            self.came(),
            [
                "a-1",
                "a item-not-found",
                "b-1",
                "b-2",
                "b internal-server-error",
                "c-1",
                "c-2",
                "c-3",
                "c",
            ],
        )
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_to_nobody(self) -> None:
        """What is to nobody yet is addressed to who pulls it, with stream management as well."""
        session = self.romeo.session
        session.pull(self.many_to_nobody())
        came = self.romeo.received()
        self.romeo.enable("")
        session.pull(self.many_to_nobody())
        came += self.romeo.received()
        self.assertEqual([each.count(f" to='{session.jid}'") for each in came], [1] * 4)
        self.assertEqual([stanza.to for stanza, _, _ in session.unread()], [session.jid] * 2)

    def many_to_nobody(self) -> Iterator[Stanza]:
        """Two messages without an address."""
        for _ in range(2):
            raw = f"<message><many xmlns='{NS}'/></message>".encode()
            yield Message(None, self.house.jid("juliet"), None, None, Pulled(raw))

    def test_elsewhere(self) -> None:
        """Whoever asks from elsewhere is sent all of them at once."""
        mercutio = Elsewhere(self.house)
        mercutio.send(
            "<iq type='get' id='a' from='mercutio@verona.lit/1' to='montague.lit'>"
            f"<many xmlns='{NS}' of='2'/></iq>"
        )
        heard = mercutio.heard()
        self.assertEqual([each.count("<many") for each in heard], [1, 1, 0])
        self.assertIn("type='result'", heard[2])


class LossTests(Asking):
    """A connection that is lost meanwhile, without and with stream management."""

    def test_lost(self) -> None:
        """With the session goes what it had not pulled, and whoever waited for it."""
        self.many.before["a-2"] = self.romeo.stop_reading
        for id in "abc":
            self.ask(id)
        session = self.romeo.session
        self.romeo.abort()
        self.assertEqual(self.many.made, ["a-1", "a-2"])
        assert session.pulls is not None
        self.assertEqual(len(session.pulls), 0)

    def test_nobody_else_gets_it(self) -> None:
        """QU-13: What was pulled and not acknowledged is routed to nobody else."""
        (other,) = self.house.connect("romeo/other")
        self.romeo.raw()
        self.romeo.enable("")
        self.ask()
        self.say("x")
        self.romeo.abort()
        self.assertEqual(self.came(other)[1:], ["x"])  # behind the presence

    def test_nor_unread(self) -> None:
        """QU-13: Nor is a result that is only known as bytes the kernel has not taken."""
        result = Results(self.house.jid("romeo"), self.romeo.session.jid, None).result(
            b"<message from='juliet@montague.lit/1'><body>Hi</body></message>", b"0" * 32, 0
        )
        (read,) = stanzas_in(result.wire())
        jid = self.romeo.session.jid
        for stanza in (read, result):
            waiting = [(stanza, b"", UNKNOWN)]
            self.assertEqual(list(owed(waiting, jid, self.house.clocks, {})), [])

    def test_detached(self) -> None:
        """A client that comes back gets again what it has not acknowledged, and answers that say
        that this is not all.
        """
        id = self.romeo.enable()
        self.many.before["a-3"] = self.romeo.stop_reading
        self.ask(of=5)
        self.ask("b")
        self.romeo.abort()
        again = self.house.logged_in("romeo")
        came = again.resume(id, 1)
        self.assertEqual(
            [each.partition(" id='")[2].partition("'")[0] for each in came[1:]],
            ["a-2", "a-3", "a", "b"],
        )
        for each in came[-2:]:
            self.assertIn("<resource-constraint", each)
            self.assertIn("type='wait'", each)

    def test_asks_while_detached(self) -> None:
        """A request that was read before the connection was lost is answered in the same way."""
        id = self.romeo.enable()
        session = self.romeo.session
        self.romeo.abort()
        self.assertTrue(session.detached)
        over: list[bool] = []
        session.pull(iter(())).addCallback(over.append)
        self.assertEqual(over, [False])
        self.assertIn("<resumed", self.house.logged_in("romeo").resume(id, 0)[0])

    def test_not_held(self) -> None:
        """QU-13: What was pulled is not written to the store before a sender is told."""
        self.romeo.enable()
        self.ask()
        self.romeo.send("<r xmlns='urn:xmpp:sm:3'/>")
        management = self.romeo.session.management
        assert management is not None
        self.assertEqual(management.held, {})
        self.assertEqual(management.load.bytes, 0)
        self.assertGreater(management.load.own_bytes, 0)

    def test_bounded(self) -> None:
        """A client that acknowledges nothing, and asks again and again, is closed at last."""
        config = house_config("montague.lit", stream_management={"max_unacked_bytes": 10_000})
        house = House(config=config, romeo={})
        house.server.iq_router.put(Many(), "many")
        (romeo,) = house.connect("romeo")
        romeo.enable("")
        for _ in range(8):
            romeo.send(f"<iq type='get' id='a'><many xmlns='{NS}' of='10'/></iq>")
        self.assertIn(b"<resource-constraint", romeo.raw())
        self.assertTrue(romeo.closed)
