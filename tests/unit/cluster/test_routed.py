"""Stanzas as they cross between nodes."""

from msgspec.msgpack import Decoder, Encoder
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.entries.stanzas import Routed
from xmppd.stanza import JID, Message, Payload, Stanza
from xmppd.stanza.delay import Stamped

ROMEO, JULIET = JID.parse("romeo@montague.lit/orchard"), JID.parse("juliet@montague.lit")


def crossed(stanza: Stanza, to: JID) -> Stanza:
    """The stanza as the other node makes it again."""
    packed = Encoder().encode(Routed.of(stanza, to, 0))
    return Decoder(Routed).decode(packed).stanza()


class RoutedTests(SynchronousTestCase):
    """A stanza means at the other node what it means here, byte by byte."""

    def test_address_of_the_client(self) -> None:
        """The address that its sender has written stays where it is."""
        raw = b"<message to='Juliet@montague.lit' type='chat'><body>hi</body></message>"
        message = Message(JULIET, ROMEO, None, "chat", Payload(raw, JULIET))
        there = crossed(message, JULIET)
        self.assertEqual(there.wire(), message.wire())
        self.assertIs(there.payload.to, JULIET)
        self.assertEqual(there.addressed(ROMEO).wire(), message.addressed(ROMEO).wire())

    def test_another_address(self) -> None:
        """One that was written for somebody else is taken out."""
        raw = b"<message to='mercutio@montague.lit'><body>hi</body></message>"
        payload = Payload(raw, JID.parse("mercutio@montague.lit"))
        there = crossed(Message(JULIET, ROMEO, "1", None, payload), JULIET)
        self.assertIsNone(there.payload.to)
        self.assertEqual(there.wire().count(b" to="), 1)
        self.assertIn(b" to='juliet@montague.lit'", there.wire())

    def test_no_address(self) -> None:
        """One without an address in its bytes has none there."""
        message = Message(
            JULIET, ROMEO, "1", "chat", Stamped(b"<message><body>hi</body></message>")
        )
        there = crossed(message, JULIET)
        self.assertIsNone(there.payload.to)
        self.assertIsInstance(there.payload, Stamped)
        self.assertEqual(there.wire(), message.wire())
