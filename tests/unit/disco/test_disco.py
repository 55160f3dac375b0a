"""Disco: what is said of whom, put together from what several say."""

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from xmppd.disco.disco import Disco, EntitiesOf, Of, Says, Subject
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem, DiscoQuestion
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.testing.client import done

ROMEO = JID.parse("romeo@montague.lit/1")
SERVER = JID.parse("montague.lit")
ONE, TWO = DiscoInfo(features=("urn:b", "urn:a")), DiscoInfo(features=("urn:a", "urn:c"))


class DiscoTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.disco = Disco()

    def put(self, *parts: Says) -> None:
        """Have these said."""
        for part in parts:
            self.disco.put(part, "lark")

    def ask(self, of: Subject = Of.SERVER, node: str = "") -> DiscoInfo | None:
        """What Romeo is told."""
        return done(self.disco.ask(of, DiscoQuestion(ROMEO, SERVER, node)))

    def test_joined(self) -> None:
        """What several say is put together: features in one order, each once; all else as said."""
        first, second = (DiscoIdentity("server", "im", name) for name in "ab")
        item = DiscoItem(SERVER, "News")
        self.put(Says(ONE), Says(DiscoInfo((second,), items=(item,))), Says(TWO),
                 Says(DiscoInfo((first,))))  # fmt: skip
        self.assertEqual(
            self.ask(),
            DiscoInfo((second, first), ("urn:a", "urn:b", "urn:c"), items=(item,)),
        )

    def test_subjects(self) -> None:
        """What is said of one is not said of others."""
        rooms = "rooms.montague.lit"
        subjects: tuple[Subject, ...] = (Of.SERVER, Of.ACCOUNT, rooms, EntitiesOf(rooms))
        for number, of in enumerate(subjects):
            self.put(Says(DiscoInfo(features=(f"urn:{number}",)), of))
        for number, of in enumerate(subjects):
            self.assertEqual(self.ask(of), DiscoInfo(features=(f"urn:{number}",)))

    def test_unknown(self) -> None:
        """Nobody knows what nobody says anything of."""
        self.put(Says(ONE), Says(answer=lambda question: None, nodes=True))
        self.assertIsNone(self.ask("rooms.montague.lit"))
        self.assertIsNone(self.ask(node="n"))

    def test_nodes(self) -> None:
        """Who answers for nodes is not asked of the entity itself, and the other way round."""
        self.put(Says(ONE, answer=lambda question: ONE), Says(answer=lambda q: TWO, nodes=True))
        self.assertEqual(self.ask(), DiscoInfo(features=("urn:a", "urn:b")))
        self.assertEqual(self.ask(node="n"), TWO)

    def test_waits(self) -> None:
        """An answer may wait, but what the server is cannot: that is logged, and left out."""
        gate: Deferred[None] = Deferred()

        async def later(question: DiscoQuestion) -> DiscoInfo:
            await gate
            return TWO

        self.put(Says(answer=later))
        asked = Deferred.fromCoroutine(self.disco.ask(Of.SERVER, DiscoQuestion(ROMEO, SERVER)))
        self.assertNoResult(asked)
        gate.callback(None)
        self.assertEqual(self.successResultOf(asked), TWO)
        with capturedLogs() as logged:
            self.assertEqual(self.disco.server(DiscoQuestion(SERVER, SERVER)), DiscoInfo())
        self.assertIn(
            "lark delayed the server's answer to a service discovery request",
            formatEvent(logged[0]),
        )

    def test_failing(self) -> None:
        """Who fails, at once or later, says nothing; who refuses is heard."""

        def fail(question: DiscoQuestion) -> DiscoInfo:
            raise LookupError

        async def fail_later(question: DiscoQuestion) -> DiscoInfo:
            raise LookupError

        self.put(Says(answer=fail), Says(answer=fail_later), Says(ONE))
        self.assertEqual(self.ask(), DiscoInfo(features=("urn:a", "urn:b")))
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 2)

        def refuse(question: DiscoQuestion) -> DiscoInfo:
            raise StanzaError(Condition.FORBIDDEN)

        self.disco = Disco()
        self.put(Says(answer=refuse))
        self.assertRaises(StanzaError, self.ask)

    def test_taken_out(self) -> None:
        """What is taken out is said no more; the same said by somebody else is."""
        part = Says(ONE)
        undo = self.disco.put(part, "lark")
        self.put(part)
        undo()
        self.assertIsNotNone(self.ask())
