"""A node that cannot be one says in one sentence what to change, and ends."""

import os
import subprocess

from tests.integration.nodes_case import NodesCase
from tests.integration.processes import XMPPCTL, environment
from tests.redis_server import RedisProcess
from tests.unit.store.databases import drop_postgresql, make_postgresql
from xmppd.testing.signing_authority import SigningAuthority


class RedisRefusalTests(NodesCase):
    """Redis is not what a node needs."""

    def redis_refusal(self, url: str, **settings: object) -> str:
        return self.refusal(self.node("a", redis=[url], **settings))

    def test_sentences(self) -> None:
        """It is out of reach, does not know us, or does not let us."""
        with_users = RedisProcess(
            users=("alice on >secret ~xmppd:* &xmppd:* +@all -xread",)
        ).start()
        self.addCleanup(with_users.stop)
        for url, sentence in (
            ("redis://127.0.0.1:1", "cluster.redis: Redis at redis://127.0.0.1:1 cannot be reach"),
            (with_users.url.replace("//", "//alice:wrong@"), "refuses user alice with the pass"),
            (with_users.url.replace("//", "//alice:secret@"), "run XREAD: grant +xread"),
        ):
            with self.subTest(sentence):
                self.assertIn(sentence, self.redis_refusal(url))

    def test_certificate(self) -> None:
        """Its certificate is signed by nobody whom we trust."""
        authority = SigningAuthority(self.directory)
        redis = RedisProcess(authority=authority).start()
        self.addCleanup(redis.stop)
        self.assertIn(
            "name the authority that signed its certificate", self.redis_refusal(redis.url)
        )

    def test_hiredis(self) -> None:
        """What reads its answers is not installed."""
        hidden = self.directory / "hidden"
        hidden.mkdir()
        (hidden / "hiredis.py").write_text("raise ImportError('hidden')\n")
        self.patch(os, "environ", {**os.environ, "PYTHONPATH": str(hidden)})
        sentence = self.refusal(self.node("a"))
        self.assertIn("a cluster needs hiredis: install xmppd[cluster]", sentence)


class DatabaseRefusalTests(NodesCase):
    """The database is not what all nodes have in common."""

    def test_sqlite(self) -> None:
        """A file is nobody else's; the sentence says how to leave it."""
        self.processes.database = "sqlite:///xmppd.sqlite"
        sentence = self.refusal(self.node("a"))
        self.assertIn("storage.url does not name a database that xmppd can use: ", sentence)
        self.assertIn("xmppctl db copy", sentence)

    def test_alone(self) -> None:
        """A server that is alone and nodes keep each other out of a database."""
        (a,) = self.started("a")
        alone = self.node(
            "b", redis=[], secret_file="", node="", lease_s=5.0, grace_s=30.0, drain_s=30.0
        )
        self.assertIn("is in use by", self.refusal(alone))
        a.stop()
        self.addCleanup(alone.kill)
        alone.start()
        self.assertIn("is in use by", self.refusal(self.node("c")))


class LinkRefusalTests(NodesCase):
    links = "direct"

    def test_address(self) -> None:
        """The others do not find it at its address: it says who has tried."""
        (a,) = self.started("a")
        node = self.node("b", address="127.0.0.1:1")
        sentence = self.refusal(node)
        self.assertIn('cluster.address "127.0.0.1:1" does not lead to this node, as ', sentence)
        self.assertIn('node "a" (', sentence)
        self.wait_for_line(a, r"node b\.1 has left")


class OfflineTests(NodesCase):
    """xmppctl where no server runs, while there are nodes elsewhere."""

    def test_nodes_live(self) -> None:
        """It does not change the store behind their backs, and says whom to ask."""
        (a,) = self.started("a")
        node = self.node("b")
        command = [*XMPPCTL, "--config", str(node.directory / "xmppd.toml"), "user", "list"]
        ended = subprocess.run(
            command, capture_output=True, text=True, env=environment(), check=False
        )
        self.assertEqual(ended.returncode, 1)
        self.assertIn("nodes of this service are running", ended.stderr)
        self.assertIn("of one of them: a.", ended.stderr)
        a.stop()
        ended = subprocess.run(
            command, capture_output=True, text=True, env=environment(), check=False
        )
        self.assertEqual((ended.returncode, ended.stdout), (0, ""))


class FitTests(NodesCase):
    """The node does not fit the others."""

    def test_sentences(self) -> None:
        """It has another secret, other domains, another database, another way to the others, or the
        name of one of them.
        """
        (a,) = self.started("a")
        other_secret = self.directory / "other"
        other_secret.write_text("another one that is as long as the first\n", encoding="utf-8")
        other_secret.chmod(0o600)
        node = self.node("b", secret_file=str(other_secret))
        self.assertIn('cluster.secret_file differs from that of node "a"', self.refusal(node))
        self.processes.domains = ("localhost", "montague.lit")
        self.assertIn('[[domain]] differs from node "a"', self.refusal(self.node("c")))
        self.processes.domains = ("localhost",)
        node = self.node("d", node="a")
        self.assertIn('cluster.node "a" is the name of another running', self.refusal(node))
        self.processes.links = "direct"
        node = self.node("e")
        self.assertIn('cluster.links is "direct" here, but "redis" at node "a"', self.refusal(node))
        self.processes.links = "redis"
        self.processes.database = make_postgresql()
        self.addCleanup(drop_postgresql, self.database)
        sentence = self.refusal(self.node("f"))
        self.assertIn('storage.url differs from node "a"', sentence)
        self.assertEqual(a.logged("has joined$"), [])
