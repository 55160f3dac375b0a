"""What is published at real nodes comes to all once, in one order, and outlives nodes that are
killed.
"""

import re
from functools import partial

from tests.integration.nodes_case import PASSWORD, NodeProcess, NodesCase
from tests.integration.processes import Peer
from tests.plugins.test_client_capabilities import presence, said, ver

PUBSUB = b"http://jabber.org/protocol/pubsub"
SERVICE = b"pubsub.localhost"
NEWS = "urn:news"
WANTS = (f"{NEWS}+notify",)
ASKED = re.compile(rb"<iq\b[^>]*>\s*<query\b[^>]*disco#info[^>]*/>")
ATTRIBUTE = re.compile(rb"\b(id|from|type)='([^']*)'")
EVENT = re.compile(rb"#event'>.*?</event>")
ITEM = re.compile(rb"<item id='([^']*)'")
MANY = 25


def publishing(node: bytes, id: bytes, to: bytes = b"") -> bytes:
    """A request to publish an item, which has the same id."""
    at = b" to='%b'" % to if to else b""
    return (
        b"<iq type='set' id='%b'%b><pubsub xmlns='%b'><publish node='%b'><item id='%b'>"
        b"<entry xmlns='urn:verona'/></item></publish></pubsub></iq>"
    ) % (id, at, PUBSUB, node, id)


class Listener(Peer):
    """A client that says what it wants to be told, and answers when it is asked.

    Attributes:
        told: The ids of items that it was told of, in order.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.told: list[bytes] = []
        self._answered: set[bytes] = set()

    def arrive(self) -> None:
        """Become available with a client that wants news."""
        self.send(presence(ver(*WANTS)).encode())

    def until(self, end: bytes) -> bytes:
        while end not in self._read:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError(self._read)
            self._read += data
            self._answer()
        taken = super().until(end)
        for event in EVENT.findall(taken):
            self.told += ITEM.findall(event)
        return taken

    def _answer(self) -> None:
        for asked in ASKED.findall(self._read):
            told = dict(ATTRIBUTE.findall(asked))
            if told.get(b"type") == b"get" and told[b"id"] not in self._answered:
                self._answered.add(told[b"id"])
                head = b"<iq type='result' id='%b' to='%b'>" % (told[b"id"], told[b"from"])
                self.send(head + said(WANTS).encode() + b"</iq>")

    def ping(self) -> None:
        """Read all that has come until now."""
        self.send(b"<iq type='get' id='now'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.until(b"id='now'")
        self.until(b">")

    def ask(self, query: bytes, to: bytes = SERVICE, kind: bytes = b"set") -> bytes:
        """The answer to a request."""
        self.send(
            b"<iq type='%b' id='ask' to='%b'><pubsub xmlns='%b'>%b</pubsub></iq>"
            % (kind, to, PUBSUB, query)
        )
        before = self.until(b"id='ask'")
        head = before.rpartition(b"<iq")[2]
        inside = self.until(b"</iq>") if b"/>" not in self._read[:2] else self.until(b"/>")
        return head + inside

    def items(self, node: bytes) -> list[bytes]:
        """The ids of a node of the service."""
        return ITEM.findall(self.ask(b"<items node='%b'/>" % node, kind=b"get"))


class PubSubNodesCase(NodesCase):
    """Romeo, Juliet and the nurse, each at another node."""

    def setUp(self) -> None:
        super().setUp()
        self.processes.tables["pubsub"] = {"create": "local"}
        self.nodes = self.started("a", "b", "c")
        for name in ("romeo", "juliet", "nurse"):
            self.nodes[0].add_user(name, PASSWORD)

    def listener(self, node: NodeProcess, name: str) -> Listener:
        """Somebody who has logged in at a node."""
        peer = Listener(node.direct_tls_port)
        self.addCleanup(peer.close)
        peer.log_in(name, PASSWORD)
        return peer


class ServiceTests(PubSubNodesCase):
    """All three have subscribed to a node of the service, where all may publish."""

    def setUp(self) -> None:
        super().setUp()
        names = ("romeo", "juliet", "nurse")
        self.people = [
            self.listener(node, name) for node, name in zip(self.nodes, names, strict=True)
        ]
        fields = b"".join(
            b"<field var='pubsub#%b'><value>%b</value></field>" % each
            for each in ((b"publish_model", b"open"), (b"max_items", b"max"))
        )
        kind = (
            b"<field var='FORM_TYPE' type='hidden'><value>%b#node_config</value></field>" % PUBSUB
        )
        form = b"<x xmlns='jabber:x:data' type='submit'>%b%b</x>" % (kind, fields)
        made = self.people[0].ask(b"<create node='news'/><configure>%b</configure>" % form)
        self.assertIn(b"type='result'", made)
        for person, name in zip(self.people, names, strict=True):
            jid = f"{name}@localhost".encode()
            answer = person.ask(b"<subscribe node='news' jid='%b'/>" % jid)
            self.assertIn(b"subscription='subscribed'", answer)

    def publish(self, person: Listener, id: bytes) -> None:
        """Have somebody publish, again as long as nobody serves the node."""
        answer = b""
        while b"type='result'" not in answer:
            answer = person.ask(
                b"<publish node='news'><item id='%b'><entry xmlns='urn:verona'/></item></publish>"
                % id
            )
            if b"type='result'" not in answer:
                self.assertIn(b"<remote-server-timeout", answer)

    def test_one_order(self) -> None:
        """What two publish at once at two nodes comes to all in the order in which it is kept."""
        for number in range(MANY):
            for person, name in zip(self.people[:2], (b"a", b"b"), strict=True):
                person.send(publishing(b"news", b"%b%d" % (name, number), SERVICE))
        self.publish(self.people[2], b"last")
        for person, name in zip(self.people[:2], (b"a", b"b"), strict=True):
            for number in range(MANY):
                person.until(b"<item id='%b%d'/></publish>" % (name, number))
        self.publish(self.people[2], b"end")
        kept = self.people[2].items(b"news")
        self.assertEqual(len(kept), 2 * MANY + 2)
        for person in self.people:
            while b"end" not in person.told:
                person.until(b"</message>")
            self.assertEqual(person.told, kept)

    def test_killed(self) -> None:
        """Whatever was acknowledged is there, whichever nodes are killed while people publish."""
        acknowledged: list[bytes] = []
        for number, (node, person) in enumerate(zip(self.nodes[:2], self.people, strict=False)):
            for each in range(MANY):
                person.send(publishing(b"news", b"%d-%d" % (number, each), SERVICE))
            for each in range(MANY // 2):
                id = b"%d-%d" % (number, each)
                person.until(b"<item id='%b'/></publish>" % id)
                acknowledged.append(id)
            node.kill()
            self.until_they_know(*self.nodes[number + 1 :])
            survivor = self.people[2]
            self.publish(survivor, b"after %d" % number)
            acknowledged.append(b"after %d" % number)
            self.assertLessEqual(set(acknowledged), set(survivor.items(b"news")))
        kept = self.people[2].items(b"news")
        self.assertEqual([each for each in kept if each in acknowledged], acknowledged)
        self.assertEqual(len(kept), len(set(kept)))


class AccountTests(PubSubNodesCase):
    """Romeo has a client at each node, Juliet at two; the nurse, at c, does not see him."""

    def setUp(self) -> None:
        super().setUp()
        self.nodes[0].tell(
            "roster add", account="romeo@localhost", contact="juliet@localhost", mutual=True
        )
        homes = ("romeo", 0), ("romeo", 1), ("romeo", 2), ("juliet", 1), ("juliet", 2)
        self.hearing = [self.listener(self.nodes[at], name) for name, at in homes]
        self.nurse = self.listener(self.nodes[2], "nurse")
        for peer in (*self.hearing, self.nurse):
            peer.arrive()
            peer.ping()
            peer.ping()  # what it was asked meanwhile it has answered

    def publish(self, peer: Listener, id: bytes) -> None:
        """Have one of Romeo's clients publish."""
        peer.send(publishing(NEWS.encode(), id))
        peer.until(b"id='%b'/></publish>" % id)

    def test_told(self) -> None:
        """Each client is told of each event once, at whatever nodes they and the publisher are; and
        who comes is sent the newest one, wherever that is. Whose wish has not come to the owner of
        the account when the first item is published is sent that one in both ways.
        """
        expected: list[bytes] = []
        for number in range(3):
            for publisher in self.hearing[:3]:
                id = b"%d-%d" % (number, len(expected))
                self.publish(publisher, id)
                expected.append(id)
                for peer in self.hearing:
                    self.wait_for(partial(self.has_heard, peer, id))
        for peer in self.hearing:
            peer.ping()
            again = [id for id in peer.told[1:] if id != expected[0]]
            self.assertEqual([*peer.told[:1], *again], expected)
            self.assertLessEqual(len(peer.told), len(expected) + 1)
        self.nurse.ping()
        self.assertEqual(self.nurse.told, [])
        for node in self.nodes:
            late = self.listener(node, "juliet")
            late.arrive()
            self.wait_for(partial(self.has_heard, late, expected[-1]))
            self.assertEqual(late.told, expected[-1:])

    def has_heard(self, peer: Listener, id: bytes) -> bool:
        """Whether a client was told of an item by now."""
        peer.ping()
        return id in peer.told

    def test_killed(self) -> None:
        """What was acknowledged is sent to who comes, also if the node is killed that took it."""
        self.publish(self.hearing[0], b"kept")
        self.nodes[0].kill()
        self.until_they_know(*self.nodes[1:])
        late = self.listener(self.nodes[2], "juliet")
        late.arrive()
        self.wait_for(partial(self.has_heard, late, b"kept"))
        self.assertEqual(late.told, [b"kept"])
