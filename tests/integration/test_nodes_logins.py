"""Logins at nodes in processes of their own: one session for each full JID, and its end."""

from tests.integration.nodes_case import PASSWORD, NodeProcess, SharedNodesCase
from tests.integration.processes import Peer

BIND = (
    b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    b"<resource>orchard</resource></bind></iq>"
)


class LoginsAtNodesTests(SharedNodesCase):
    def proved(self, node: NodeProcess) -> Peer:
        """Romeo, who has proved who he is, and has no resource yet."""
        peer = Peer(node.direct_tls_port)
        self.addCleanup(peer.close)
        peer.prove("romeo", PASSWORD)
        return peer

    def test_one_resource(self) -> None:
        """Of two that ask for one resource at two nodes at once, again and again, one has it, and
        the other hears that it has not.
        """
        a, b = self.started("a", "b")
        a.add_user("romeo", PASSWORD)
        for _ in range(5):
            peers = [self.proved(node) for node in (a, b)]
            for peer in peers:
                peer.send(BIND)
            heard = [peer.until(b">") for peer in peers]
            ends = [self.has_ended(peer, said) for peer, said in zip(peers, heard, strict=True)]
            self.assertEqual(sorted(ends), [False, True])
            for peer in peers:
                peer.close()
            self.wait_for(lambda: self.is_gone(a, b))

    def has_ended(self, peer: Peer, heard: bytes) -> bool:
        """Whether somebody hears that another has the resource, before the answer to a ping."""
        peer.send(b"<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        while b"id='p'" not in heard and b"<conflict " not in heard:
            heard += peer.until(b">")
        return b"<conflict " in heard

    def is_gone(self, *nodes: NodeProcess) -> bool:
        """Whether no node has a session."""
        return not any(node.tell("session list") for node in nodes)

    def test_see_each_other(self) -> None:
        """Two clients of one account at two nodes see each other, and see each other leave."""
        a, b = self.started("a", "b")
        a.add_user("romeo", PASSWORD)
        here, there = self.client(a, "romeo"), self.client(b, "romeo")
        here.until(b"<presence ")  # its own
        here.until(b"<presence ")
        there.close()
        here.until(b"type='unavailable'")

    def test_password(self) -> None:
        """With another password the streams at all nodes end; who knows it comes back at once."""
        a, b = self.started("a", "b")
        a.add_user("romeo", PASSWORD)
        peers = [self.client(node, "romeo") for node in (a, b)]
        said = a.tell("user password", account="romeo@localhost", password="another rose")
        self.assertIn("closed 2 streams", str(said))
        for peer in peers:
            self.assertIn(b"<reset ", peer.until(b"</stream:error>"))
        again = Peer(b.direct_tls_port)
        self.addCleanup(again.close)
        again.log_in("romeo", "another rose")


class LoginsAtLinkedNodesTests(LoginsAtNodesTests):
    """Where nodes have connections of their own."""

    links = "direct"
