"""What the nodes of a service keep in their database, when they are stopped or killed."""

import re

from tests.integration.nodes_case import PASSWORD, NodeProcess, NodesCase
from tests.integration.processes import Peer

SM = b"xmlns='urn:xmpp:sm:3'"
JULIET = b"juliet@localhost"


def message(text: object, to: bytes = JULIET) -> bytes:
    """A message that says something."""
    return b"<message to='%b' type='chat'><body>%b</body></message>" % (to, str(text).encode())


def said(data: bytes) -> list[int]:
    """What the messages in it say."""
    return [int(text) for text in re.findall(rb"<body>(\d+)</body>", data)]


class KeptTests(NodesCase):
    """Romeo writes to Juliet, and the nodes that have to do with her come and go."""

    def setUp(self) -> None:
        super().setUp()
        self.a, self.b, self.c = self.started("a", "b", "c")
        for name in ("romeo", "juliet"):
            self.a.add_user(name, PASSWORD)
        self.romeo = self.client(self.a, "romeo")
        self.romeo.send(b"<enable %b/>" % SM)
        self.romeo.until(b"<enabled ")

    def write(self, *texts: int, to: bytes = JULIET) -> None:
        """Write to her, until that is safe."""
        self.romeo.send(b"".join(message(text, to) for text in texts) + b"<r %b/>" % SM)
        self.romeo.until(b"<a ")

    def enabled(self, node: NodeProcess) -> tuple[Peer, bytes, bytes]:
        """Juliet at a node, her full JID, and the id to come back by."""
        peer = self.client(node, "juliet")
        peer.send(b"<enable %b resume='true'/>" % SM)
        id = re.search(rb"id='([^']*)'", peer.until(b"max="))
        peer.send(b"<iq type='get' id='me'><ping xmlns='urn:xmpp:ping'/></iq>")
        full = re.search(rb"to='(juliet@localhost/[^']*)'", peer.until(b"id='me'"))
        assert id is not None and full is not None
        return peer, full[1], id[1]

    def resumed(self, node: NodeProcess, id: bytes) -> Peer:
        """Juliet, as she comes back to her session."""
        peer = Peer(node.direct_tls_port)
        self.addCleanup(peer.close)
        peer.prove("juliet", PASSWORD)
        peer.send(b"<resume %b previd='%b' h='0'/>" % (SM, id))
        return peer

    def test_taken_by_a_node_that_dies(self) -> None:
        """What one resource was given and has not answered comes to another when its node is
        killed, in order and once; before that the other gets nothing.
        """
        self.write(*range(20))
        first = self.client(self.b, "juliet")
        self.assertEqual(said(first.until(b"<body>19</body>")), list(range(20)))
        second = self.client(self.c, "juliet")
        self.b.kill()
        self.assertEqual(said(second.until(b"<body>19</body>")), list(range(20)))

    def test_saved_by_a_node_that_stopped(self) -> None:
        """A session that a node has saved goes on at any other."""
        juliet, full, id = self.enabled(self.b)
        juliet.close()
        self.write(1, 2, to=full)
        self.b.stop()
        again = self.resumed(self.c, id)
        heard = again.until(b"<body>2</body>")
        self.assertIn(b"<resumed ", heard)
        self.assertEqual(said(heard), [1, 2])
        self.write(3, to=full)
        self.assertEqual(said(again.until(b"<body>3</body>")), [3])

    def test_held_by_a_node_that_dies(self) -> None:
        """What was acknowledged to its sender comes to another resource when the node is killed
        that had it for a client which is away.
        """
        other = self.client(self.c, "juliet")
        juliet, full, _ = self.enabled(self.b)
        juliet.close()
        self.write(1, 2, to=full)
        self.b.kill()
        self.assertEqual(said(other.until(b"<body>2</body>")), [1, 2])
