"""Nodes whose Redis is reached by TLS, with a user that has only the rights of the manual."""

import re
from pathlib import Path

from tests.integration.node_processes import start_at_once
from tests.integration.nodes_case import NodesCase
from tests.redis_server import RedisProcess
from xmppd.testing.signing_authority import SigningAuthority

MANUAL = Path(__file__).parents[2] / "docs" / "cluster.md"


class SecuredTests(NodesCase):
    def setUp(self) -> None:
        super().setUp()
        (line,) = re.findall(r"^user (xmppd on .*)$", MANUAL.read_text("utf-8"), re.MULTILINE)
        authority = SigningAuthority(self.directory)
        redis = RedisProcess(users=(line, "default off"), authority=authority).start()
        self.addCleanup(redis.stop)
        self.url = redis.url
        url = self.url.replace("rediss://", "rediss://xmppd:password@")
        self.settings = {"redis": [url], "authorities": str(authority.file)}

    def test_manual(self) -> None:
        """With the user of the manual nodes find each other, and people too."""
        nodes = [self.node(name, **self.settings) for name in "ab"]
        start_at_once(nodes)
        self.until_they_know(*nodes)
        a, b = nodes
        for name in ("romeo", "juliet"):
            a.add_user(name, "a rose")
        romeo, juliet = self.client(a, "romeo"), self.client(b, "juliet")
        romeo.send(b"<message to='juliet@localhost' type='chat'><body>hi</body></message>")
        juliet.until(b"<body>hi</body>")
        told = [line for node in nodes for line in node.logged("password")]
        self.assertEqual([line for line in told if '"password":"…"' not in line], [])

    def test_wrong_password(self) -> None:
        """A node that Redis refuses does not start, and its sentence has no password in it."""
        url = self.url.replace("rediss://", "rediss://xmppd:wrong@")
        said = self.refusal(self.node("a", **{**self.settings, "redis": [url]}))
        self.assertIn("cluster.redis", said)
        self.assertIn("refuses", said)
        self.assertNotIn("wrong@", said)
