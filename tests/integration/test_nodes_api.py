"""Programs and clients by HTTP at three real nodes, of which any may be asked."""

import json
import re
from http.client import HTTPConnection

from tests.integration.node_processes import PATIENCE_S, NodeProcess
from tests.integration.nodes_case import NodesCase
from xmppd.api.jobs import ENDED_WITH_NODE

LISTEN = {
    "endpoint": "tcp:0:interface=127.0.0.1", "kind": "http", "tls": "none",
    "serve": ["web", "api"],
}  # fmt: skip
BODY = (
    "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:xmpp='urn:xmpp:xbosh' rid='{rid}'"
    " {said}>{content}</body>"
)
WRONG = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AHgAeA==</auth>"


class AnyNodeTests(NodesCase):
    def setUp(self) -> None:
        super().setUp()
        self.processes.tables |= {
            "listen": [LISTEN],
            "tls": {"required": False},
            "plugins": {"load": ["ping"]},
        }
        self.nodes = self.started("a", "b", "c")
        self.key = ""

    def ask(
        self, node: NodeProcess, method: str, path: str, body: str = "", **headers: str
    ) -> tuple[int, str]:
        """The status and body of an answer."""
        port = node.ports("http")[0]
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        self.addCleanup(connection.close)
        said = {"Host": "localhost", "Authorization": f"Bearer {self.key}", **headers}
        connection.request(method, path, body or None, said)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def post(self, node: NodeProcess, command: str, given: object, **headers: str) -> int:
        """The status of the answer to a command."""
        said = {"Content-Type": "application/json", **headers}
        return self.ask(node, "POST", f"/api/v1/{command}", json.dumps(given), **said)[0]

    def test_programs(self) -> None:
        """A key, a request with a name, and the audit are the same at each node."""
        a, b, c = self.nodes
        made = [each for each in a.tell("key add", name="t", role="admin") if "key" in each]
        self.key = str(dict(made[0])["key"])  # type: ignore[arg-type]  # a row
        for node in self.nodes:
            self.assertEqual(self.ask(node, "GET", "/api/v1/user/list")[0], 200)
        given, name = {"account": "romeo@localhost", "password": "x"}, {"Idempotency-Key": "1"}
        self.assertEqual(self.post(b, "user/add", given, **name), 200)
        self.assertEqual(self.post(c, "user/add", given, **name), 409)
        _, text = self.ask(a, "GET", "/api/v1/audit/list?words=user")
        (entry,) = json.loads(text)["rows"]
        self.assertEqual((entry["node"], entry["way"], entry["outcome"]), ("b", "rest", "done"))
        _, text = self.ask(c, "GET", "/api/v1/session/list")
        self.assertEqual(json.loads(text), {"rows": [], "notes": []})
        self.assertEqual(self.post(c, "key/revoke", {"name": "t"}), 200)
        for node in self.nodes:
            self.assertEqual(self.ask(node, "GET", "/api/v1/user/list")[0], 401)

    def test_jobs(self) -> None:
        """Whoever asks for a job learns what became of it, also when its node is killed."""
        a, b, c = self.nodes
        made = [each for each in a.tell("key add", name="t", role="admin") if "key" in each]
        self.key = str(dict(made[0])["key"])  # type: ignore[arg-type]  # a row
        later = {"Prefer": "respond-async", "Content-Type": "application/json"}

        def begin(command: str) -> str:
            status, text = self.ask(a, "POST", f"/api/v1/{command}", "{}", **later)
            self.assertEqual(status, 202, text)
            return str(json.loads(text)["job"])

        def state(node: NodeProcess, job: str) -> str:
            status, text = self.ask(node, "GET", f"/api/v1/job/show?job={job}")
            self.assertIn(status, (200, 503), text)
            if status == 503:
                return ""
            return str(json.loads(json.loads(text)["rows"][-1]["says"])["state"])

        over = begin("user/list")
        self.wait_for(lambda: state(b, over) == "done")
        c.pause()
        self.addCleanup(c.go_on)
        waits = begin("session/list")  # for the one that is paused
        self.assertEqual(state(b, waits), "runs")
        a.kill()
        self.wait_for(lambda: state(b, waits) != "")
        self.assertEqual((state(b, waits), state(b, over)), (ENDED_WITH_NODE, "done"))
        c.go_on()

    def test_bosh(self) -> None:
        """A session by BOSH goes on at whichever node its requests come to."""
        a, b, c = self.nodes
        created = self.bosh(a, 1, "to='localhost' wait='5' hold='1' xmpp:version='1.0'")
        found = re.search(r" sid='([0-9a-f]{32}\.a\.\d+)'", created)
        assert found is not None, created
        sid = f"sid='{found[1]}'"
        self.assertIn("<stream:features", created)
        failed = self.bosh(b, 2, sid, WRONG)
        self.assertIn("<failure", failed)
        self.assertEqual(self.bosh(c, 2, sid, WRONG), failed)  # not a second attempt
        ended = self.bosh(c, 3, f"{sid} type='terminate'")
        self.assertIn("type='terminate'", ended)
        a.kill()
        self.assertIn("item-not-found", self.bosh(b, 4, sid))

    def bosh(self, node: NodeProcess, rid: int, said: str, content: str = "") -> str:
        """The answer to a body."""
        body = BODY.format(rid=rid, said=said, content=content)
        status, text = self.ask(node, "POST", "/bosh", body)
        self.assertEqual(status, 200)
        return text
