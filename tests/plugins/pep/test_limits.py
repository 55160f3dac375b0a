"""What an account publishes has a limit."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.pep.verona import NEWS, TUNE, Publisher, publishing
from xmppd.testing.house import House, house_config

ITEM = len("<entry xmlns='urn:verona'></entry>") + len("current") + 64
"""The bytes that an item takes beside its words."""


class QuotaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            config=house_config("montague.lit", pep={"max_bytes_per_account": 2 * ITEM + 1_000}),
            plugins=("disco", "caps", "pubsub", "pep"),
            romeo={},
            juliet={},
        )
        self.romeo, self.juliet = (
            Publisher(client, f"{name}@montague.lit")
            for name, client in zip(
                ("romeo", "juliet"), self.house.connect("romeo", "juliet"), strict=True
            )
        )

    def test_full(self) -> None:
        """All nodes of an account together keep so many bytes; what would be more is refused, with
        the limit in words, and changes nothing.
        """
        self.assertEqual(self.romeo.publish(NEWS, "a" * 600), "result")
        answer = self.romeo.ask("set", publishing(TUNE, "current", "b" * 401))
        text = "".join(answer.itertext())
        self.assertIn(f"at most {2 * ITEM + 1_000} bytes", text)
        self.assertIsNotNone(
            answer.find("error/{urn:ietf:params:xml:ns:xmpp-stanzas}resource-constraint")
        )
        self.assertEqual(self.romeo.items(TUNE), [])
        self.assertEqual(self.romeo.publish(TUNE, "b" * 400), "result")

    def test_replaced(self) -> None:
        """An item that takes another's place counts in place of that."""
        for words in ("a" * 900, "b" * 900, "c" * 1_000):
            self.assertEqual(self.romeo.publish(NEWS, words), "result")

    def test_others(self) -> None:
        """One account's items leave others their room."""
        self.romeo.publish(NEWS, "a" * 1_000)
        self.assertEqual(self.juliet.publish(NEWS, "a" * 1_000), "result")
