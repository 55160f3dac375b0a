"""Two houses, and what goes from one to the other."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing import House, federate


class MessageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.verona = House("verona.lit", romeo={})
        self.mantua = House("mantua.lit", juliet={})
        self.network = federate(self.verona, self.mantua)
        (self.romeo,) = self.verona.connect("romeo")
        (self.juliet,) = self.mantua.connect("juliet")

    def test_there_and_back(self) -> None:
        """A message reaches somebody at another server, and so does the answer."""
        self.romeo.send("<message to='juliet@mantua.lit' type='chat'><body>O</body></message>")
        (message,) = self.juliet.received()
        self.assertIn("from='romeo@verona.lit/1' to='juliet@mantua.lit' type='chat'", message)
        self.assertIn("<body>O</body>", message)
        self.juliet.send("<message to='romeo@verona.lit/1' type='chat'><body>Ay</body></message>")
        (answer,) = self.romeo.received()
        self.assertIn("Ay", answer)
