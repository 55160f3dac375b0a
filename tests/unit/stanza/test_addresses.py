"""Many addresses at once."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import JID, jid
from xmppd.stanza.addresses import SLICE_US, parse_all
from xmppd.stanza.jid import effort


class ParseAllTests(SynchronousTestCase):
    """Addresses that somebody else has thought of."""

    def setUp(self) -> None:
        self.patch(jid, "_interned", jid._Interned())
        jid._label.cache_clear()
        self.turns: list[Deferred[None]] = []

    def next_turn(self) -> Deferred[None]:
        """Wait for a turn that the test gives."""
        self.turns.append(Deferred())
        return self.turns[-1]

    def test_in_slices(self) -> None:
        """No turn has much more preparing to do than a slice, and the result is as if at once."""
        texts = [".".join(chr(0x4E00 + 30 * n + i) for i in range(30)) for n in range(100)]
        work = Deferred.fromCoroutine(parse_all(texts, self.next_turn))
        spent_us = effort.spent_us
        while not work.called:
            self.turns[-1].callback(None)
            self.assertLess(effort.spent_us - spent_us, 2 * SLICE_US)
            spent_us = effort.spent_us
        self.assertGreater(len(self.turns), 20)
        self.assertEqual(self.successResultOf(work), [JID.parse(text) for text in texts])

    def test_known_labels(self) -> None:
        """Also of domains made of the same few letters again and again no turn has too many."""
        letters = [chr(0x4E00 + number) for number in range(26)]
        texts = [
            ".".join(letters[(n // 26 ** (i % 3) + i) % 26] for i in range(36))
            for n in range(1_500)
        ]
        work = Deferred.fromCoroutine(parse_all(texts, self.next_turn))
        while not work.called:
            self.turns[-1].callback(None)
        self.assertGreater(len(self.turns), 5)
        self.assertEqual(len(self.successResultOf(work)), 1_500)

    def test_plain_ones_do_not_wait(self) -> None:
        """What is written in plain ASCII takes next to nothing, however many there are."""
        texts = [f"romeo{n}@montague.lit/orchard" for n in range(2_000)]
        work = Deferred.fromCoroutine(parse_all(texts, self.next_turn))
        self.assertEqual(len(self.successResultOf(work)), 2_000)

    def test_one_is_none(self) -> None:
        """The first text that is no address ends it."""
        work = Deferred.fromCoroutine(parse_all(["montague.lit", "@", "@@"], self.next_turn))
        self.failureResultOf(work, ValueError)
