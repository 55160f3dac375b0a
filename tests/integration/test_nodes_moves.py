"""Nodes in processes of their own: a session is resumed at any of them, under traffic."""

import re

from tests.integration.managed import SM, Managed
from tests.integration.nodes_case import PASSWORD, NodeProcess, NodesCase

HOPS = 8
MESSAGES_PER_HOP = 10


class RedisMovesTests(NodesCase):
    """Where all goes by Redis. Juliet is at b, and writes to Romeo wherever he is."""

    def setUp(self) -> None:
        super().setUp()
        self.nodes = self.started("a", "b", "c")
        self.a, self.b, self.c = self.nodes
        for name in ("romeo", "juliet"):
            self.a.add_user(name, PASSWORD)
        self.a.tell(
            "roster add", account="romeo@localhost", contact="juliet@localhost", mutual=True
        )
        self.romeo = self.managed(self.a)
        self.romeo.log_in("romeo", PASSWORD)
        self.romeo.enable()
        self.juliet = self.client(self.b, "juliet")
        self.juliet.until(b"<presence from='romeo@localhost/")
        self.romeo.until(b"<presence from='juliet@localhost/")
        self.romeo.handled = 1
        self.said = 0

    def managed(self, node: NodeProcess) -> Managed:
        """A connection that does not outlive the test."""
        peer = Managed(node.direct_tls_port)
        self.addCleanup(peer.close)
        return peer

    def say(self, count: int) -> None:
        """Have Juliet write to Romeo."""
        for number in range(self.said, self.said + count):
            self.juliet.send(
                b"<message to='romeo@localhost' type='chat' id='m%d'><body>%d</body></message>"
                % (number, number)
            )
        self.said += count

    def hear(self, peer: Managed, heard: list[int]) -> None:
        """Have Romeo read all that she has said."""
        said = peer.until(b"id='m%d'" % (self.said - 1)) + peer.until(b"</message>")
        heard += map(int, re.findall(rb"<message [^>]*id='m(\d+)'", said))
        peer.handled += len(re.findall(rb"<(?:message|presence|iq) ", said))
        peer.send(b"<a %b h='%d'/>" % (SM, peer.handled))

    def test_hops(self) -> None:
        """He goes from node to node, at times without a word, at times before his connection is
        lost; each message comes once, in order, and she sees nothing of that.
        """
        heard: list[int] = []
        romeo = self.romeo
        for hop in range(HOPS):
            self.say(MESSAGES_PER_HOP)
            if hop % 2:
                romeo.close()
            again = self.managed(self.nodes[(hop + 1) % 3])
            self.say(MESSAGES_PER_HOP)
            again.resume(romeo, "romeo", PASSWORD)
            self.say(MESSAGES_PER_HOP)
            self.hear(again, heard)
            romeo = again
        self.assertEqual(heard, list(range(self.said)))
        romeo.send(b"<message to='juliet@localhost' id='back'/>")
        self.assertNotIn(b"<presence", self.juliet.until(b"id='back'"))
        romeo.send(b"<presence><show>away</show></presence>")
        self.juliet.until(b"<show>away</show>")
        romeo.send(b"</stream:stream>")
        self.juliet.until(b"type='unavailable'")
        rows = [str(row) for row in self.c.tell("session list")]
        self.assertEqual([row for row in rows if "romeo" in row], [])

    def test_former_node_killed(self) -> None:
        """That a node is killed which had it before concerns nobody."""
        self.say(1)
        again = self.managed(self.c)
        again.resume(self.romeo, "romeo", PASSWORD)
        heard: list[int] = []
        self.hear(again, heard)
        self.a.kill()
        self.wait_for_line(self.b, r"node a\.1 is lost")
        self.say(1)
        self.hear(again, heard)
        self.assertEqual(heard, [0, 1])
        self.say(1)
        at_b = self.managed(self.b)
        at_b.resume(again, "romeo", PASSWORD)
        self.hear(at_b, heard)
        self.assertEqual(heard, [0, 1, 2])

    def test_failed(self) -> None:
        """A session that has ended is not found, which is said within the time of an answer."""
        self.romeo.send(b"</stream:stream>")
        self.juliet.until(b"type='unavailable'")
        again = self.managed(self.c)
        again.prove("romeo", PASSWORD)
        again.send(b"<resume %b previd='%b' h='1'/>" % (SM, self.romeo.previd))
        self.assertIn(b"<item-not-found ", again.until(b"</failed>"))


class LinkedMovesTests(RedisMovesTests):
    """Where nodes have links."""

    links = "direct"
