"""What waits for another server."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.s2s.outbox import Outbox, OutboxLimits
from xmppd.session.backlog import OVERHEAD_BYTES
from xmppd.stanza import JID, Message

ROMEO, JULIET = JID.parse("romeo@a.lit"), JID.parse("juliet@b.lit")


def message(number: int) -> Message:
    """One of several."""
    return Message.make(JULIET, ROMEO, id=str(number))


class OutboxTests(SynchronousTestCase):
    def fill(self, outbox: Outbox, count: int, size_bytes: int = 10) -> list[bool]:
        return [outbox.add(message(n), b"x" * size_bytes, float(n)) for n in range(count)]

    def test_stanzas(self) -> None:
        """So many stanzas wait, in order."""
        outbox = Outbox(OutboxLimits(3, 1_000_000, 60.0))
        self.assertEqual(self.fill(outbox, 4), [True, True, True, False])
        self.assertEqual([stanza.id for stanza in outbox.take_all()], ["0", "1", "2"])
        self.assertEqual((len(outbox), outbox.size_bytes), (0, 0))

    def test_bytes(self) -> None:
        """So many bytes wait, what they cost beside included; room is free when they have left."""
        each = OVERHEAD_BYTES + 100 + len(message(0).payload.raw)
        outbox = Outbox(OutboxLimits(1_000, 2 * each, 60.0))
        self.assertEqual(self.fill(outbox, 3, 100), [True, True, False])
        outbox.take()
        self.assertTrue(outbox.add(message(9), b"x" * 100, 9.0))

    def test_age(self) -> None:
        """Nothing waits longer than so many seconds."""
        outbox = Outbox(OutboxLimits(10, 1_000_000, 2.0))
        self.fill(outbox, 5)
        self.assertEqual([stanza.id for stanza in outbox.take_expired(4.0)], ["0", "1"])
        self.assertEqual(len(outbox), 3)
