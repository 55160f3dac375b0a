"""A component inside the house."""

import re

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.components import internal_component
from xmppd.components.internal_component import (
    MAX_PER_TURN,
    MAX_WAITING,
    InternalComponent,
)
from xmppd.stanza import IQ, JID, Condition, Message, Presence, Stanza, StanzaError
from xmppd.testing.house import House

DOMAIN = "jokes.montague.lit"


class Jokes(InternalComponent):
    """Keeps what it hears, and does what a message says."""

    def __init__(self, house: House, domain: str = DOMAIN) -> None:
        super().__init__(house.server.packet_router, house.clock, domain, "Jokes")
        self.heard: list[Stanza] = []

    def stanza_received(self, stanza: Stanza) -> None:
        self.heard.append(stanza)
        match stanza.payload.tree.findtext("body"):
            case "fail":
                raise ZeroDivisionError
            case "refuse":
                raise StanzaError(Condition.NOT_ALLOWED)
            case "repeat" if stanza.to is not None and len(self.heard) < 10 * MAX_PER_TURN:
                self.send(stanza.addressed(stanza.sender, stanza.to))


class Confused(InternalComponent):
    """Waits with each stanza, and fails to say in which line it stands."""

    def __init__(self, house: House) -> None:
        super().__init__(house.server.packet_router, house.clock, "hall.montague.lit", "Hall")
        self.begun: list[Deferred[None]] = []

    def line(self, stanza: Stanza) -> str:
        raise ZeroDivisionError

    async def stanza_received(self, stanza: Stanza) -> None:
        answer = Deferred[None]()
        self.begun.append(answer)
        await answer


class Slow(Confused):
    """Waits with each stanza, in one line for all."""

    def line(self, stanza: Stanza) -> str:
        return "all"


class LineTests(SynchronousTestCase):
    """What is done in a line beside its stanzas."""

    def setUp(self) -> None:
        self.house = House(romeo={})
        self.slow = Slow(self.house)
        self.house.server.service_domains.put(self.slow, "slow")
        (self.romeo,) = self.house.connect("romeo")
        self.done: list[Deferred[None]] = []

    def begin(self) -> Deferred[None]:
        def work() -> Deferred[None]:
            self.done.append(Deferred())
            return self.done[-1]

        return Deferred.fromCoroutine(self.slow.in_line("all", work))

    def say(self) -> None:
        self.romeo.send("<message to='hall.montague.lit'><body>Hi</body></message>")

    def test_alone(self) -> None:
        """A stanza waits while something is done in its line."""
        over = self.begin()
        self.say()
        self.assertEqual(self.slow.begun, [])
        self.done[0].callback(None)
        self.successResultOf(over)
        self.assertEqual(len(self.slow.begun), 1)

    def test_behind(self) -> None:
        """What is to be done waits for the stanza that is being handled, and comes before those
        behind that.
        """
        self.say()
        self.say()
        over = self.begin()
        self.assertEqual(self.done, [])
        self.slow.begun[0].callback(None)
        self.assertEqual((len(self.done), len(self.slow.begun)), (1, 1))
        self.done[0].errback(ZeroDivisionError())
        self.failureResultOf(over, ZeroDivisionError)
        self.assertEqual(len(self.slow.begun), 2)


class InternalTests(SynchronousTestCase):
    """What is sent to it, and what it sends (CO-11)."""

    def setUp(self) -> None:
        self.house = House(plugins=("disco",), romeo={})
        self.jokes = Jokes(self.house)
        self.undo = self.house.server.service_domains.put(self.jokes, "jokes")
        (self.romeo,) = self.house.connect("romeo")

    def say(self, body: str, to: str = f"yorick@{DOMAIN}") -> str:
        self.romeo.send(f"<message to='{to}'><body>{body}</body></message>")
        return "".join(self.romeo.received())

    def test_hears(self) -> None:
        """It hears what is for anybody at its domain."""
        self.romeo.send(
            f"<presence to='{DOMAIN}'/><iq to='a@{DOMAIN}/b' type='get' id='1'><x/></iq>"
        )
        self.say("alas")
        self.assertEqual([stanza.__class__ for stanza in self.jokes.heard], [Presence, IQ, Message])

    def test_speaks(self) -> None:
        """What it says comes from whoever it is at its domain."""
        self.assertIn(f"from='yorick@{DOMAIN}'", self.say("repeat"))

    def test_for_nobody_else(self) -> None:
        """It cannot speak for others, nor to nobody."""
        romeo, juliet = JID.parse("romeo@montague.lit"), JID.parse("juliet@montague.lit")
        self.assertRaises(ValueError, self.jokes.send, Message.make(romeo, juliet))
        self.assertRaises(ValueError, self.jokes.send, Message.make(None, JID.parse(DOMAIN)))
        self.assertEqual(self.romeo.received(), [])

    def test_refuses(self) -> None:
        """What it refuses comes back with its reason, unless it is an answer."""
        self.assertIn("<not-allowed ", self.say("refuse"))
        self.romeo.send(f"<message to='{DOMAIN}' type='error'><body>refuse</body></message>")
        self.assertEqual(self.romeo.received(), [])

    def test_line_fails(self) -> None:
        """A stanza whose line cannot be told waits behind its sender's, and holds up no other."""
        hall = Confused(self.house)
        self.house.server.service_domains.put(hall, "hall")
        for _ in range(3):
            self.say("alas", "hall.montague.lit")
        for number in (1, 2, 3):
            self.house.clock.advance(0)
            self.assertEqual(len(hall.begun), number)
            hall.begun[-1].callback(None)
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))

    def test_fails(self) -> None:
        """A bug in it is logged, the sender is told, and it goes on."""
        self.assertIn("<internal-server-error ", self.say("fail"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("repeat", self.say("repeat"))

    def test_talks_to_itself(self) -> None:
        """Two that answer each other for long leave the others their turn."""
        other = Jokes(self.house, "more.montague.lit")
        self.house.server.service_domains.put(other, "more")
        self.jokes.send(Message.make(other.jid, self.jokes.jid, b"<body>repeat</body>"))
        self.assertLess(len(other.heard), 3 * MAX_PER_TURN)
        heard = self.say("repeat")
        self.house.clock.advance(0)
        self.assertIn("repeat", heard + "".join(self.romeo.received()))

    def test_too_many(self) -> None:
        """When too many wait, the sender is told."""
        self.jokes._busy = True
        message = f"<message to='{DOMAIN}'/>"
        self.romeo.send(message * MAX_WAITING)
        self.assertEqual(self.romeo.received(), [])
        self.romeo.send(message)
        self.assertIn("<service-unavailable ", self.romeo.received()[0])

    def test_too_much(self) -> None:
        """So it is with bytes; and what waits keeps no trees."""
        self.patch(internal_component, "MAX_WAITING_BYTES", 2_000_000)
        self.jokes._busy = True
        message = f"<message to='{DOMAIN}'><x xmlns='urn:x'>{'<a/>' * 50_000}</x></message>"
        sent = 0
        while not self.romeo.received():
            self.romeo.send(message)
            sent += 1
        self.assertEqual(sent, 2_000_000 // (2 * len(message)) + 1)
        for stanza, _ in self.jokes._waiting:
            self.assertIsNone(stanza.payload._tree)
        self.jokes._work()
        self.assertEqual((len(self.jokes.heard), self.jokes._held_bytes), (sent - 1, 0))

    def test_broadcast(self) -> None:
        """A presence that many get has its address when it comes here."""
        presence = Presence.make(None, JID.parse("romeo@montague.lit/1"))
        self.jokes.deliver(presence, presence.addressed(self.jokes.jid).wire())
        self.assertEqual(self.jokes.heard[-1].to, self.jokes.jid)

    def test_listed(self) -> None:
        """It is an item of the server while it is there."""
        ask = (
            "<iq to='montague.lit' type='get' id='i'>"
            "<query xmlns='http://jabber.org/protocol/disco#items'/></iq>"
        )
        self.romeo.send(ask)
        (items,) = self.romeo.received()
        self.assertEqual(re.findall("name='([^']*)'", items), ["Jokes"])
        self.undo()
        self.romeo.send(ask)
        self.assertNotIn("Jokes", self.romeo.received()[0])
