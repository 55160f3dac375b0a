"""Messages between nodes in processes of their own, one of which is killed."""

from tests.integration.nodes_case import NodesCase

SM = b"urn:xmpp:sm:3"


class RedisNodeMessagesTests(NodesCase):
    """Where all goes by Redis."""

    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = self.started("a", "b")
        for name in ("romeo", "juliet"):
            self.a.add_user(name, "a rose")
        self.romeo, self.juliet = self.client(self.a, "romeo"), self.client(self.b, "juliet")

    def test_chat(self) -> None:
        """What is written at one node is read at the other, in order, and answered."""
        for number in range(50):
            self.romeo.send(
                b"<message to='juliet@localhost' id='%d'><body>m%d.</body></message>"
                % (number, number)
            )
        said = self.juliet.until(b"m49.")
        self.assertEqual(said.count(b"<body>"), 50)
        places = [said.index(b"m%d." % number) for number in range(50)]
        self.assertEqual(places, sorted(places))
        self.juliet.send(b"<message to='romeo@localhost' type='chat'><body>I hear</body></message>")
        self.romeo.until(b"I hear")

    def test_killed(self) -> None:
        """What was acknowledged waits for who comes back, though its node was killed with -9."""
        self.romeo.send(b"<enable xmlns='%b'/>" % SM)
        self.romeo.until(b"<enabled")
        self.juliet.send(b"<enable xmlns='%b' resume='true'/>" % SM)
        self.juliet.until(b"<enabled")
        for number in range(5):
            self.romeo.send(
                b"<message to='juliet@localhost' type='chat'><body>m%d.</body></message>" % number
            )
        self.romeo.send(b"<r xmlns='%b'/>" % SM)
        self.romeo.until(b"h='5'")
        self.b.kill()
        self.wait_for_line(self.a, r"node b\.1 is lost")
        juliet = self.client(self.a, "juliet")
        said = juliet.until(b"m4.")
        self.assertEqual(said.count(b"<body>"), 5)


class DirectNodeMessagesTests(RedisNodeMessagesTests):
    """Where the nodes have links."""

    links = "direct"
