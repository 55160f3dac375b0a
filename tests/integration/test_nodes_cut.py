"""Nodes whose link is cut while both live: nothing is lost, nothing is doubled, nobody is lost."""

import contextlib
import re
import socket
import ssl
import time
from functools import partial

from tests.integration.cut_proxy import CutProxy
from tests.integration.nodes_case import PASSWORD, PATIENCE_S, NodeProcess, NodesCase
from tests.integration.processes import Peer

SLOW_S = 1.0
"""What a busy machine may take longer."""

MESSAGE = b"<message to='%b@localhost' type='chat' id='%d'><body>x</body></message>"


class CutLinkTests(NodesCase):
    """Two nodes that reach each other by ways that the test cuts."""

    links = "direct"

    def setUp(self) -> None:
        super().setUp()
        self.ways: dict[str, CutProxy] = {}
        for name in ("a", "b"):
            way = self.ways[name] = CutProxy(partial(self.door, name))
            way.start()
            self.addCleanup(way.stop)
        self.a, self.b = self.started("a", "b")

    def node(self, name: str, **settings: object) -> NodeProcess:
        """A node that the other one reaches by a way that may be cut."""
        return super().node(name, address=f"127.0.0.1:{self.ways[name].port}", **settings)

    def door(self, name: str) -> int:
        """Where a node listens for others."""
        return self.processes.nodes[name].door

    def say(self, peer: Peer, to: str, first: int, last: int) -> None:
        """Send messages."""
        for id in range(first, last):
            peer.send(MESSAGE % (to.encode(), id))

    def heard(self, peer: Peer, last: int) -> list[int]:
        """The messages that came, up to this one, in their order."""
        said = peer.until(b"id='%d'" % last) + peer.until(b"</message>")
        return [int(id) for id in re.findall(rb"<message [^>]*id='(\d+)'", said)]

    def until_all_speak_by(self, way: str) -> None:
        """Wait until xmppctl shows that each node speaks to the other one in this way."""

        def ways() -> set[object]:
            return {row["way"] for row in self.a.tell("cluster links") if isinstance(row, dict)}

        self.processes.wait_for(lambda: ways() == {way})

    def test_cut(self) -> None:
        """People at both nodes write to each other while their link is cut, and when it is whole
        again: each message comes once, in order.
        """
        for name in ("romeo", "juliet"):
            self.a.add_user(name, PASSWORD)
        romeo, juliet = self.client(self.a, "romeo"), self.client(self.b, "juliet")
        self.say(romeo, "juliet", 0, 20)
        self.assertEqual(self.heard(juliet, 19), list(range(20)))
        for way in self.ways.values():
            way.cut()
        self.say(romeo, "juliet", 20, 40)
        self.say(juliet, "romeo", 0, 20)
        self.until_all_speak_by("detour")
        self.assertEqual(self.heard(juliet, 39), list(range(20, 40)))
        self.assertEqual(self.heard(romeo, 19), list(range(20)))
        self.say(romeo, "juliet", 40, 60)
        self.assertEqual(self.heard(juliet, 59), list(range(40, 60)))
        for way in self.ways.values():
            way.mend()
        self.until_all_speak_by("link")
        self.redis.hang()
        self.say(romeo, "juliet", 60, 80)
        self.say(juliet, "romeo", 20, 40)
        self.assertEqual(self.heard(juliet, 79), list(range(60, 80)))
        self.assertEqual(self.heard(romeo, 39), list(range(20, 40)))
        self.redis.go_on()
        lost = [
            line
            for node in self.processes.nodes.values()
            for line in node.logged(r"is lost|anew|no lease")
        ]
        self.assertEqual(lost, [])

    def test_strangers(self) -> None:
        """Whoever comes to the listener for nodes and is none is cut off within a second, in the
        clear or by TLS, and the nodes go on.
        """
        port, trouble = self.door("a"), "not connected to node b"
        before = self.a.logged(trouble)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for begin in (b"", b"GET / HTTP/1.1\r\n\r\n", b"<?xml version='1.0'?>", bytes(100)):
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as stranger:
                stranger.sendall(begin)
                with contextlib.suppress(ConnectionResetError):
                    while stranger.recv(1_000):
                        pass
            self.assertLess(time.monotonic() - began, 1.0 + SLOW_S)
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        with plain, contextlib.suppress(OSError), context.wrap_socket(plain) as stranger:
            stranger.sendall(b"\0\0\0\1x")
            self.assertEqual(stranger.recv(1_000), b"")
        self.assertEqual(len(self.a.logged("connections to the listener for nodes")), 1)
        self.assertEqual(self.a.logged(trouble), before)
