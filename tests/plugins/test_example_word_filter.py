"""The example of an interceptor."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing.client import done
from xmppd.testing.house import House


class WordFilterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(plugins=("example_word_filter",), romeo={}, tybalt={})
        self.romeo, self.tybalt = self.house.connect("romeo", "tybalt")

    def say(self, words: str) -> None:
        """Tybalt speaks to Romeo."""
        self.tybalt.send(
            "<message type='chat' id='m' to='romeo@montague.lit'>"
            f"<body>{words}</body><thread>duel</thread></message>"
        )

    def test_harmless(self) -> None:
        """What is harmless passes as it was."""
        self.say("What, wouldst thou have me stay?")
        self.assertIn("<body>What, wouldst thou have me stay?</body>", self.romeo.received()[0])

    def test_masked(self) -> None:
        """A bad word is masked, and all the rest stays."""
        self.say("Zounds &amp; gadzookses, zounds!")
        (message,) = self.romeo.received()
        self.assertIn("<body>****** &amp; gadzookses, ******!</body>", message)
        self.assertIn("<thread>duel</thread>", message)
        self.assertIn("from='tybalt@montague.lit/1'", message)
        self.assertIn("id='m'", message)

    def test_refused(self) -> None:
        """A worse one is refused, its sender told, and nothing delivered."""
        self.say("Thou art a villain.")
        self.assertEqual(self.romeo.received(), [])
        (answer,) = self.tybalt.received()
        self.assertIn("<policy-violation", answer)

    def test_unload(self) -> None:
        """Without the plugin anything may be said."""
        done(self.house.plugins.unload("example_word_filter"))
        self.say("Thou art a villain.")
        self.assertIn("villain", self.romeo.received()[0])
