"""The load tool: what it counts and computes."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from bench.client import Client, Connections, scram_final
from bench.load import MESSAGE_END, Total, count, mutual_contacts, parse, random_friendships


class CountTests(SynchronousTestCase):
    """Stanzas are counted without parsing."""

    def counting(self) -> tuple[Callable[[bytes], None], Total]:
        """A client's hook, and what it counts."""
        connections = Connections("127.0.0.1", 0, "p.test", "pw")
        self.addCleanup(connections.epoll.close)
        client, total = Client(connections, "u0", 0), Total()
        count(client, MESSAGE_END, total.add)
        return client.on_data, total

    def test_torn_at_any_byte(self) -> None:
        """A message counts once, wherever the network cut it."""
        stream = b"<message><body>hi</body></message>" * 2
        for cut in range(len(stream)):
            with self.subTest(cut=cut):
                on_data, total = self.counting()
                on_data(stream[:cut])
                on_data(stream[cut:])
                self.assertEqual(total.stanzas, 2)

    def test_byte_by_byte(self) -> None:
        """A message counts once even if it comes in single bytes."""
        on_data, total = self.counting()
        for byte in b"<message/></message><message></message>":
            on_data(bytes([byte]))
        self.assertEqual(total.stanzas, 2)


class ScramTests(SynchronousTestCase):
    """The tool's own SCRAM."""

    def test_rfc_example(self) -> None:
        """The proof is the one of the example in RFC 5802 §5."""
        nonce = b"fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
        final = scram_final(
            "SCRAM-SHA-1",
            "user",
            "pencil",
            b"n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            b"r=%b,s=QSXCR+Q6sek8bf92,i=4096" % nonce,
        )
        self.assertEqual(final, b"c=biws,r=%b,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=" % nonce)


class RosterTests(SynchronousTestCase):
    """Who is friends with whom."""

    def test_mutual_contacts(self) -> None:
        """Only subscription "both" counts, whatever the quotes and the order of attributes."""
        roster = (
            b"<iq><query><item jid='a@p.test' subscription='both'/>"
            b'<item subscription="both" jid="b@p.test"><group>x</group></item>'
            b"<item jid='c@p.test' subscription='from' ask='subscribe'/></query></iq>"
        )
        numbers = {b"a@p.test": 1, b"b@p.test": 2, b"c@p.test": 3}
        self.assertEqual(mutual_contacts(roster, numbers), {1, 2})

    def test_random_friendships(self) -> None:
        """The graph is the same each time, and nobody has more contacts than asked for."""
        pairs = random_friendships(60, 10)
        self.assertEqual(pairs, random_friendships(60, 10))
        degrees = [sum(user in pair for pair in pairs) for user in range(60)]
        self.assertEqual(max(degrees), 10)
        self.assertGreater(sum(degrees), 0.9 * 600)

    def test_users_of_carbons(self) -> None:
        """However many resources they have, it is two people for each pair."""
        carbons = parse(["carbons", "--pairs", "1", "--resources", "3", "--server-pid", "1"])
        self.assertEqual(carbons.users(), ["u0", "u1"])

    def test_users_of_a_scenario(self) -> None:
        """Scenarios with rosters have users of their own, so that others log in to empty ones."""
        presence = parse(["presence", "--contacts", "2", "--server-pid", "1"])
        self.assertEqual(presence.users(), ["uhub2x0", "uhub2x1", "uhub2x2"])
        self.assertEqual(presence.friendships(), [(0, 1), (0, 2)])
        chat = parse(["chat", "--pairs", "2", "--server-pid", "1"])
        self.assertEqual(chat.users(), ["u0", "u1", "u2", "u3"])
        self.assertEqual(chat.friendships(), [])
