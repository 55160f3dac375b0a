"""Nodes in processes of their own: they come and go, are killed, stopped and cut from Redis."""

import socket
import time

from tests.integration.nodes_case import LEASE_S, NodesCase
from tests.integration.processes import Peer

LONG_LEASE_S = 6.0


class RedisNodesTests(NodesCase):
    """Where all goes by Redis."""

    def test_come_and_go(self) -> None:
        """Nodes that start at once find each other; who leaves in order is not lost, and has
        written all by then (ST-11).
        """
        a, b, c = self.started("a", "b", "c")
        c.stop()
        self.wait_for(lambda: a.logged(r"node c\.1 has left") and b.logged(r"node c\.1 has left"))
        self.assertEqual(a.logged("is lost") + b.logged("is lost"), [])
        self.assertTrue(c.logged("unloaded plugin disco"))  # the last one
        self.assertEqual(c.logged("messages are missing from the archive"), [])

    def test_one_service(self) -> None:
        """People at three nodes write to each other, and see each other come and go; somebody who
        comes later is found.
        """
        a, b, c = self.started("a", "b", "c")
        for name in ("romeo", "juliet"):
            a.add_user(name, "a rose")
        a.tell("roster add", account="romeo@localhost", contact="juliet@localhost", mutual=True)
        romeo = self.client(a, "romeo")
        romeo.send(b"<message to='juliet@localhost' type='chat' id='m0'><body>0</body></message>")
        romeo.send(b"<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        romeo.until(b"id='p'")
        juliet = self.client(b, "juliet")
        romeo.until(b"<presence from='juliet@localhost/")
        juliet.until(b"id='m0'")
        romeo.send(b"<message to='juliet@localhost' type='chat' id='m1'><body>1</body></message>")
        juliet.until(b"id='m1'")
        juliet.send(b"<message to='romeo@localhost' type='chat' id='m2'><body>2</body></message>")
        romeo.until(b"id='m2'")
        at_c = self.client(c, "juliet")
        romeo.until(b"<presence from='juliet@localhost/")
        romeo.send(b"<message to='juliet@localhost' type='chat' id='m3'><body>3</body></message>")
        juliet.until(b"id='m3'")
        at_c.until(b"id='m3'")
        at_c.send(b"<presence type='unavailable'/>")
        romeo.until(b"type='unavailable'")
        juliet.close()
        romeo.until(b"type='unavailable'")

    def test_killed(self) -> None:
        """A killed node is lost everywhere within its lease and 1.5 s, and one declares it so."""
        a, b, c = self.started("a", "b", "c")
        c.kill()
        began = time.monotonic()
        self.wait_for(lambda: a.logged(r"node c\.1 is lost") and b.logged(r"node c\.1 is lost"))
        self.assertLess(time.monotonic() - began, LEASE_S + 1.5 + 0.5)
        fenced = a.logged(r"has fenced node c\.1") + b.logged(r"has fenced node c\.1")
        self.assertEqual(len(fenced), 1)

    def test_started_again(self) -> None:
        """A node that is killed and started again is its own successor: nobody waits for its lease
        to end.
        """
        a, b = self.started("a", "b")
        b.kill()
        b.start()
        self.wait_for_line(a, r"node b\.2 has joined")
        self.assertEqual(len(a.logged(r"node b\.1 is lost")), 1)

    def test_paused(self) -> None:
        """A node that stood still for less than its lease goes on, and its clients with it."""
        self.processes.cluster = {"lease_s": LONG_LEASE_S, "grace_s": 2 * LONG_LEASE_S}
        a, b = self.started("a", "b")
        a.add_user("romeo", "a rose")
        romeo = self.client(b, "romeo")
        b.pause()
        time.sleep(LONG_LEASE_S / 3)  # a third may be gone when it begins, and a third is for luck
        b.go_on()
        romeo.send(b"<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        romeo.until(b"id='p'")
        self.assertEqual(a.logged("is lost") + b.logged("starts again"), [])

    def test_paused_for_long(self) -> None:
        """A node that stood still for longer is lost; when it goes on it answers nothing that its
        clients have sent meanwhile, closes them, and begins anew.
        """
        a, b = self.started("a", "b")
        a.add_user("romeo", "a rose")
        romeo = self.client(b, "romeo")
        b.pause()
        romeo.send(b"<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.wait_for_line(a, r"node b\.1 is lost")
        b.go_on()
        said = romeo.until(b"</stream:error>")
        self.assertIn(b"<reset ", said)
        self.assertNotIn(b"id='p'", said)
        self.wait_for_line(b, "this node has started again")
        self.wait_for_line(a, r"node b\.2 has joined")
        port, direct = b.ports("client")
        self.assertGreater(port, 0)
        again = Peer(direct)
        self.addCleanup(again.close)
        again.log_in("romeo", "a rose")

    def test_redis_is_empty(self) -> None:
        """When Redis is restarted without what it knew, all nodes come back as they were."""
        a, b = self.started("a", "b")
        a.add_user("romeo", "a rose")
        romeo = self.client(a, "romeo")
        self.redis.restart_empty()
        for node in (a, b):
            self.wait_for_line(node, "Redis may have lost its data")
        romeo.send(b"<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        romeo.until(b"id='p'")
        self.assertEqual(a.logged("is lost|begins anew") + b.logged("is lost|begins anew"), [])

    def test_redis_is_away(self) -> None:
        """While Redis is away nobody is read; those who are connected wait unharmed, and go on when
        it is back.
        """
        a, _ = self.started("a", "b")
        a.add_user("romeo", "a rose")
        romeo = self.client(a, "romeo")
        self.redis.hang()
        time.sleep(LEASE_S)
        romeo.send(b"<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        romeo.socket.settimeout(0.5)
        self.assertRaises(socket.timeout, romeo.until, b"id='p'")
        self.redis.go_on()
        romeo.socket.settimeout(20.0)
        romeo.until(b"id='p'")

    def test_redis_is_away_for_long(self) -> None:
        """After the grace they are closed, so that they look for another node."""
        a, _ = self.started("a", "b")
        a.add_user("romeo", "a rose")
        romeo = self.client(a, "romeo")
        self.redis.hang()
        self.assertIn(b"<reset ", romeo.until(b"</stream:error>"))
        self.redis.go_on()
        self.wait_for_line(a, "Redis answers node a.1 again")


class LinkedNodesTests(RedisNodesTests):
    """Where nodes have connections of their own."""

    links = "direct"

    def test_redis_is_away(self) -> None:
        """While Redis is away those who are connected notice nothing, for as long as that lasts."""
        a, b = self.started("a", "b")
        a.add_user("romeo", "a rose")
        romeo = self.client(a, "romeo")
        self.redis.hang()
        for node in (a, b):
            self.wait_for_line(node, f"Redis does not answer node {node.name}")
        time.sleep(3 * LEASE_S)
        romeo.send(b"<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        romeo.until(b"id='p'")
        self.redis.go_on()
        for node in (a, b):
            self.wait_for_line(node, f"Redis answers node {node.name}.1 again")
        self.assertEqual(a.logged("is lost|no lease") + b.logged("is lost|no lease"), [])

    def test_redis_is_away_for_long(self) -> None:
        """They are closed only if the other node is out of reach as well: then nobody knows who is
        declared dead.
        """
        a, b = self.started("a", "b")
        a.add_user("romeo", "a rose")
        romeo = self.client(a, "romeo")
        self.redis.hang()
        b.pause()
        self.assertIn(b"<reset ", romeo.until(b"</stream:error>"))
        b.go_on()
        self.redis.go_on()
        self.wait_for_line(a, "Redis answers node a.1 again")
