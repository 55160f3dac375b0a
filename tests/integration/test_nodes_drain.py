"""Nodes in processes of their own that are drained, or stopped, while others are there."""

import asyncio
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from shutil import copy

from tests.faults.field import CutNodes
from tests.integration.managed import Managed
from tests.integration.node_processes import CLIENT_ADDRESS, NodeProcess, start_at_once
from tests.integration.nodes_case import PASSWORD, PATIENCE_S, NodesCase
from tests.integration.people import PASSWORD as PEOPLES_PASSWORD
from tests.integration.people import Person, people
from tests.integration.processes import Peer
from tests.redis_server import RedisProcess
from xmppd.command.refused import Refused

OTHER_HOST = re.compile(rb"<see-other-host [^>]*>localhost:(\d+)</see-other-host>")


class DrainedNodesTests(NodesCase):
    """Where all goes by Redis. Juliet is at b; Romeo at a, and comes back elsewhere."""

    def setUp(self) -> None:
        super().setUp()
        self.nodes = [self.node(name, client_address=CLIENT_ADDRESS) for name in "abc"]
        start_at_once(self.nodes)
        self.until_they_know(*self.nodes)
        self.a, self.b, self.c = self.nodes
        for name in ("romeo", "juliet"):
            self.a.add_user(name, PASSWORD)
        self.a.tell(
            "roster add", account="romeo@localhost", contact="juliet@localhost", mutual=True
        )
        self.romeo = self.managed(self.a.client_port)
        self.romeo.log_in("romeo", PASSWORD)
        self.romeo.enable()
        self.juliet = self.client(self.b, "juliet")
        self.juliet.until(b"<presence from='romeo@localhost/")
        self.romeo.until(b"<presence from='juliet@localhost/")
        self.romeo.handled = 1

    def managed(self, port: int) -> Managed:
        """A connection that does not outlive the test."""
        peer = Managed(port)
        self.addCleanup(peer.close)
        return peer

    def say(self, number: int) -> None:
        """Have Juliet write to Romeo."""
        self.juliet.send(b"<message to='romeo@localhost' type='chat' id='m%d'/>" % number)

    def comes_back(self, said: bytes) -> Managed:
        """Where Romeo is sent he finds his session, with what was said meanwhile, once and in
        order; she has not seen that he was away.
        """
        (port,) = map(int, OTHER_HOST.findall(said))
        self.assertIn(port, (self.b.client_port, self.c.client_port))
        for number in range(3):
            self.say(number)
        again = self.managed(port)
        again.resume(self.romeo, "romeo", PASSWORD)
        self.say(3)
        heard = again.until(b"id='m3'")
        self.assertEqual(re.findall(rb" id='(m\d)'", heard), [b"m0", b"m1", b"m2", b"m3"])
        again.send(b"<message to='juliet@localhost' id='back'/>")
        seen = self.juliet.until(b"id='back'")
        self.assertNotIn(b"<presence", seen)
        return again

    def test_drain(self) -> None:
        """A node is drained from any other: its clients are sent to where their sessions are; it
        takes nobody, until that is cancelled.
        """
        *_, last = self.c.tell("cluster drain", node="a")
        self.assertEqual(
            last, "a is drained: clients disconnected: 1, sessions moved to other nodes: 1"
        )
        again = self.comes_back(self.romeo.until(b"</stream:error>"))
        self.assertRaises(ConnectionRefusedError, socket.create_connection,
                          ("127.0.0.1", self.a.client_port))  # fmt: skip
        rows = self.a.tell("cluster status")
        self.assertEqual({row["node"]: row["draining"] for row in rows if isinstance(row, dict)},
                         {"a": True, "b": False, "c": False})  # fmt: skip
        self.b.tell("cluster drain", node="a", cancel=True)
        peer = Peer(self.a.client_port)
        self.addCleanup(peer.close)
        peer.log_in("juliet", PASSWORD)
        again.until(b"<presence from='juliet@localhost/")
        self.assertRaises(Refused, self.b.tell, "cluster drain", node="a", cancel=True)

    def test_stop(self) -> None:
        """A node that is stopped does the same, and has systemd wait for that; nothing of it is
        saved.
        """
        with self.systemd() as told:
            self.a.stop()
            self.assertEqual(told.recv(100), b"STOPPING=1")
            self.assertEqual(told.recv(100), b"EXTEND_TIMEOUT_USEC=48000000")
        self.assertEqual(self.a.logged("saved sessions: \\d+|is not drained"), [])
        self.assertEqual(len(self.a.logged(r"is drained: clients closed: 1, sessions moved: 1")), 1)
        self.comes_back(self.romeo.until(b"</stream:error>"))

    @contextmanager
    def systemd(self) -> Iterator[socket.socket]:
        """What node a tells systemd."""
        path = self.a.directory / "notified"
        path.unlink()  # it is told to others until now
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.settimeout(10)
            told.bind(str(path))
            yield told
        path.unlink()

    def test_rolling_restart(self) -> None:
        """All three are restarted, one after the other: the session goes with its client."""
        at, romeo = self.a, self.romeo
        for _ in range(3):
            at.stop()
            (port,) = map(int, OTHER_HOST.findall(romeo.until(b"</stream:error>")))
            again = self.managed(port)
            again.resume(romeo, "romeo", PASSWORD)
            at.start()
            at, romeo = next(node for node in self.nodes if node.client_port == port), again

    def test_all_stop(self) -> None:
        """The last one saves what it has, and the first one that is started has it again."""
        self.c.stop()
        self.b.stop()
        self.a.stop()
        self.assertIn(b"<system-shutdown ", self.romeo.until(b"</stream:error>"))
        self.b.start()
        again = self.managed(self.b.client_port)
        again.resume(self.romeo, "romeo", PASSWORD)


class LinkedDrainedNodesTests(DrainedNodesTests):
    """Where nodes have connections of their own."""

    links = "direct"


class IsolatedTests(NodesCase):
    """A node that only Redis does not answer."""

    links = "direct"

    def setUp(self) -> None:
        self.processes = self.cut = CutNodes(self.links, RedisProcess(tcp=True))
        self.addCleanup(self.processes.take_away)

    def test_isolated(self) -> None:
        """It drains itself when Redis has not answered it for long enough, and takes clients again
        when Redis does.
        """
        a, b = self.started("a", "b")
        a.add_user("romeo", PASSWORD)
        romeo = Managed(a.client_port)
        self.addCleanup(romeo.close)
        romeo.log_in("romeo", PASSWORD)
        romeo.enable()
        self.cut.to_redis["a"].cut()
        self.wait_for_line(a, "Redis answers other nodes, but not node a.1, which now drains")
        self.assertIn(b"<reset ", romeo.until(b"</stream:error>"))
        again = Managed(b.client_port)
        self.addCleanup(again.close)
        again.resume(romeo, "romeo", PASSWORD)
        self.cut.to_redis["a"].mend()
        self.wait_for_line(a, "node a.1 accepts clients again")
        self.client(a, "romeo")
        self.assertEqual(b.logged("is lost"), [])


class RealClientTests(NodesCase):
    """A client that others have written, and that knows ``see-other-host``."""

    present: list[Person]

    def setUp(self) -> None:
        super().setUp()
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            os.environ[name] = os.devnull
            self.addCleanup(os.environ.pop, name)
        self.a, self.b = self.nodes = [
            self.node(name, client_address=CLIENT_ADDRESS) for name in "ab"
        ]
        for name in ("localhost.crt", "localhost.key"):  # as with the certificate of a domain
            copy(self.a.directory / name, self.b.directory / name)
        start_at_once(self.nodes)
        self.until_they_know(*self.nodes)
        for name in ("romeo", "juliet"):
            self.a.add_user(name, PEOPLES_PASSWORD)

    def person(self, node: NodeProcess, name: str) -> Person:
        """Somebody with slixmpp."""
        person = Person(node, f"{name}@localhost/{name}", PEOPLES_PASSWORD, direct_tls=True)
        self.present.append(person)
        return person

    @people
    async def test_slixmpp(self) -> None:
        """Slixmpp reads where it is sent, and its session is there; it has to be reminded of the
        address when it connects again.
        """
        romeo = self.person(self.a, "romeo")
        romeo.register_plugin("xep_0198")
        romeo.end_session_on_disconnect = False
        resumed = asyncio.ensure_future(romeo.wait_until("session_resumed", PATIENCE_S))
        await romeo.arrive()
        romeo.add_event_handler("disconnected", lambda _: remind(romeo))
        await asyncio.to_thread(self.a.tell, "cluster drain", node="a")
        await resumed
        self.assertEqual(romeo.address, ("localhost", self.b.client_port))
        juliet = await self.person(self.b, "juliet").arrive()
        juliet.say(romeo.boundjid, "here?")
        await romeo.expect("message", body="here?")


def remind(person: Person) -> None:
    """Have somebody go where they were sent."""
    person.custom_address = person.address
