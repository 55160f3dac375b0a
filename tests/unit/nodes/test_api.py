"""Keys, roles and the audit are the same at each node of a service."""

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.api.api_client import Program, body_of
from xmppd.store.audit import AuditEntry
from xmppd.testing.client import done
from xmppd.testing.nodes import Nodes


class EverywhereTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", romeo={}, juliet={})
        self.at_a = Program(self.nodes["a"])
        self.at_b = Program(self.nodes["b"], name="other")
        self.at_b.key = self.at_a.key

    def entries(self, at: str) -> list[AuditEntry]:
        """The audit, as a node has it."""
        return done(self.nodes[at].store.audit.entries(before=10**9, limit=10))

    def test_keys(self) -> None:
        """A key is known at each node, and at none from the moment on that it is revoked."""
        for program in (self.at_a, self.at_b):
            self.assertEqual(program.get("user list").status, 200)
        self.assertEqual(self.at_b.post("key revoke", {"name": "tests"}).status, 200)
        for program in (self.at_a, self.at_b):
            self.assertEqual(program.get("user list").status, 401)

    def test_audit(self) -> None:
        """What is done at all nodes is one entry, which says at which it was asked for."""
        self.nodes["a"].connect("romeo/garden")
        self.nodes["b"].connect("romeo/orchard")
        client = self.at_b.client()
        body = b'{"jid": ["romeo@montague.lit"]}'
        headers = self.at_b.headers(Content_Type="application/json")
        client.ask("POST", "/api/v1/session/end", body, headers)
        for _ in range(9):
            self.nodes.settle()
            self.nodes.clock.advance(1)
        notes = body_of(client.answer())["notes"]
        self.assertEqual(sorted(note.partition(":")[0] for note in notes), ["a", "b"])
        for node in ("a", "b"):
            (entry,) = self.entries(node)
            self.assertEqual(
                (entry.node, entry.command, entry.outcome), ("b", "session end", "done")
            )

    def test_asked_twice(self) -> None:
        """A request with a name is done once, at whichever node it is repeated."""
        given = {"account": "paris@montague.lit", "password": "x"}
        self.assertEqual(self.at_a.post("user add", given, Idempotency_Key="1").status, 200)
        answer = self.at_b.post("user add", given, Idempotency_Key="1")
        self.assertEqual(answer.status, 409)
        self.assertIn("): done.", body_of(answer)["detail"])

    def test_rows(self) -> None:
        """Rows say which node has them, as the description says."""
        self.nodes["a"].connect("romeo/garden")
        self.nodes["b"].connect("juliet/balcony")
        client = self.at_a.client()
        client.ask("GET", "/api/v1/session/list", headers=self.at_a.headers())
        for _ in range(9):
            self.nodes.settle()
            self.nodes.clock.advance(1)
        rows = body_of(client.answer())["rows"]
        found = {(row["node"], row["jid"].partition("@")[0]) for row in rows}
        self.assertEqual(found, {("a", "romeo"), ("b", "juliet")})
