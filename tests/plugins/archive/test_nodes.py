"""Archives where several nodes are one service: what was accepted at one is there at all."""

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.archive.archives import JULIET, archive_of, body_of, chat, ids_in
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.stanzas import Routed
from xmppd.cluster.node import NodeId
from xmppd.store.database import NewRows
from xmppd.store.errors import StoreError
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes
from xmppd_plugins.archive.entries import ALL, ArchiveEntry

QUERY = "<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>"


class NodesCase(SynchronousTestCase):
    """Romeo is at one node, Juliet at another, and there is a third."""

    def setUp(self) -> None:
        self.nodes = Nodes(
            "a",
            "b",
            "c",
            plugins=("archive", "carbons"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
        (self.romeo,) = self.nodes["a"].connect("romeo")
        (self.juliet,) = self.nodes["b"].connect("juliet")
        self.nodes.settle()

    def say(self, *bodies: str) -> None:
        """Have Romeo say something to Juliet."""
        for body in bodies:
            self.romeo.send(chat(JULIET, body))
        self.nodes.settle()

    def stored(self, owner: str) -> list[ArchiveEntry]:
        """What is in the database by now."""
        for house in self.nodes.houses.values():
            house.clock.advance(1)
        self.nodes.settle()
        return done(archive_of(self.nodes["c"]).entries.page(owner, ALL, 100))

    def asked(self, client: Client) -> tuple[list[bytes], bytes]:
        """The messages that a client is given when it asks its archive, and all that it got."""
        client.raw()
        client.send(QUERY)
        self.nodes.settle()
        got = client.raw()
        self.assertIn(b"<fin", got)
        return [part.partition(b"</body>")[0] for part in got.split(b"<body>")[1:]], got


class SettledTests(NodesCase):
    def test_at_once(self) -> None:
        """A query at any node has what was accepted at another a moment ago (OA-10)."""
        (phone,) = self.nodes["c"].connect("romeo/phone")
        (tablet,) = self.nodes["a"].connect("juliet/tablet")
        self.nodes.settle()
        self.say("Ay", "me")
        for client in (phone, self.romeo, tablet, self.juliet):
            self.assertEqual(self.asked(client)[0], [b"Ay", b"me"])

    def test_one_id(self) -> None:
        """A message has one id in an archive, in all copies on all nodes and in results (AR-22)."""
        (phone,) = self.nodes["c"].connect("juliet/phone")
        phone.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
        self.nodes.settle()
        phone.raw(), self.juliet.raw()
        self.romeo.send(chat(f"{JULIET}/1", "Ay me!"))
        self.nodes.settle()
        ids = ids_in(self.juliet.raw()) + ids_in(phone.raw()) + ids_in(self.asked(phone)[1])
        self.assertEqual(len(ids), 3)
        self.assertEqual(len(set(ids)), 1)

    def test_away(self) -> None:
        """A node that does not answer has the query refused, so that nothing is missed."""
        self.say("Ay me!")
        self.nodes.kill("a")
        self.juliet.raw()
        self.juliet.send(QUERY)
        self.nodes.settle()
        self.nodes["b"].clock.advance(10)
        self.nodes.settle()
        self.assertIn(b"resource-constraint", self.juliet.raw())
        self.nodes.lose("a")
        self.assertEqual(self.asked(self.juliet)[0], [b"Ay me!"])


class SecuredTests(NodesCase):
    def test_waits(self) -> None:
        """A client is told that its message was handled when it is in the archive of its recipient
        as well, at whichever node that is (OA-2).
        """
        self.romeo.send("<enable xmlns='urn:xmpp:sm:3'/>")
        self.romeo.raw()
        database = archive_of(self.nodes["b"]).database
        append, self.fails = database.append, True

        async def appending(*parts: NewRows, **options: Any) -> None:
            if self.fails:
                raise StoreError("The disk is full.")
            await append(*parts, **options)

        self.patch(database, "append", appending)
        self.romeo.send(chat(JULIET, "Ay me!") + "<r xmlns='urn:xmpp:sm:3'/>")
        self.pass_time(1)
        self.assertNotIn(b"<a ", self.romeo.raw())
        self.flushLoggedErrors(StoreError)
        self.fails = False
        self.pass_time(10)
        self.assertIn(b"<a ", self.romeo.raw())
        self.assertEqual(list(map(body_of, self.stored(JULIET))), ["Ay me!"])

    def pass_time(self, seconds: float) -> None:
        """Let time pass at all nodes."""
        for _ in range(10):
            self.nodes.settle()
            self.nodes.clock.advance(seconds / 10)
        self.nodes.settle()


class LostTests(NodesCase):
    def test_again(self) -> None:
        """A message that a lost node had archived, and not told that it had, is archived by the
        next one at the same position: so it is there once (OA-10).
        """
        told = self.nodes["b"].server.cluster.bus.take
        self.patch(self.nodes["b"].server.cluster.bus, "take", self.never_handled)
        self.taken = told
        self.say("Ay me!")
        before = self.stored(JULIET)
        self.assertEqual(list(map(body_of, before)), ["Ay me!"])
        self.nodes.lose("b")
        (juliet,) = self.nodes["c"].connect("juliet/2")
        self.nodes.settle()
        self.assertEqual(self.stored(JULIET), before)
        self.assertEqual(self.asked(juliet)[0], [b"Ay me!"])

    async def never_handled(self, node: NodeId, entry: BusEntry) -> None:
        outcome = self.taken(node, entry)
        if isinstance(outcome, Awaitable):
            await outcome
        if isinstance(entry, Routed):
            await Deferred[None]()
