"""What would become of a message to somebody on another node."""

from tests.unit.nodes.test_locate import JULIET, NodesTestCase
from xmppd.explain.message import explain_message
from xmppd.stanza import JID
from xmppd.testing.client import done


class ExplainMessageTests(NodesTestCase):
    def explain(self, name: str) -> list[str]:
        """What a node says."""
        found = done(
            explain_message(
                self.nodes[name].server, JID.parse("romeo@montague.lit/1"), JID.parse(JULIET)
            )
        )
        return [finding.says for finding in found]

    def test_another_node(self) -> None:
        """A node without a session of hers names the one that decides."""
        said = self.explain("a")
        self.assertIn("it is handed on to node b", said)
        self.assertIn(f"sessions of {JULIET} are there: ask it", said)

    def test_there(self) -> None:
        """That one knows."""
        self.assertIn(f"it is delivered to {JULIET}/1", self.explain("b"))

    def test_nobody(self) -> None:
        """When she is nowhere, it is kept."""
        self.juliet.abort()
        self.assertIn(f"it is kept for {JULIET} until they come", self.explain("a"))
