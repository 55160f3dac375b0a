"""Components that are connected to some of several nodes."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing.client import Client, ComponentClient
from xmppd.testing.house import house_config
from xmppd.testing.nodes import Nodes

DOMAIN, SECRET = "echo.montague.lit", "only for tests"
COMPONENT = {"name": DOMAIN, "secret": SECRET, "max_connections": 4}
PING = "<query xmlns='jabber:iq:version'/>"


class ComponentEntryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.start()

    def start(self, **more: object) -> None:
        config = house_config("montague.lit", component=[{**COMPONENT, **more}])
        self.nodes = Nodes("a", "b", "c", config=config)
        for number in range(8):
            self.nodes["a"].add(f"person{number}")

    def component(self, node: str) -> ComponentClient:
        return self.nodes[node].service(DOMAIN, SECRET)

    def person(self, node: str, number: int = 0) -> Client:
        (client,) = self.nodes[node].connect(f"person{number}")
        return client

    def test_anywhere(self) -> None:
        """A component that is connected to one node is there for people at all nodes."""
        component = self.component("a")
        for number, node in enumerate("abc"):
            person = self.person(node, number)
            person.send(f"<message to='x@{DOMAIN}' id='{number}'><body>o</body></message>")
            (got,) = component.received()
            self.assertIn(f"id='{number}'", got)
            component.send(f"<message from='x@{DOMAIN}' to='{person.jid}'><body>e</body></message>")
            (got,) = person.received()
            self.assertIn("<body>e</body>", got)

    def test_not_connected(self) -> None:
        """Where it is connected nowhere, senders are told so."""
        person = self.person("b")
        person.send(f"<message to='{DOMAIN}' type='chat'><body>o</body></message>")
        (got,) = person.received()
        self.assertIn("<remote-server-timeout", got)
        self.component("a")
        person.send(f"<message to='{DOMAIN}' type='chat'><body>o</body></message>")
        self.assertEqual(person.received(), [])

    def test_one_connection(self) -> None:
        """What a person says comes by one connection, whichever node it is said at."""
        components = {node: self.component(node) for node in "abc"}
        used: set[str] = set()
        for number in range(8):
            got: set[str] = set()
            for node in "abc":
                (person,) = self.nodes[node].connect(f"person{number}/{node}")
                person.send(f"<message to='{DOMAIN}' type='chat'><body>o</body></message>")
                got |= {at for at, each in components.items() if each.received()}
            self.assertEqual(len(got), 1)
            used |= got
        self.assertGreater(len(used), 1)

    def test_answer(self) -> None:
        """An answer goes to the node whose connection has asked."""
        components = {node: self.component(node) for node in "ab"}
        person = self.person("c")
        for at, component in components.items():
            component.send(
                f"<iq type='get' id='{at}' from='{DOMAIN}' to='{person.jid}'>{PING}</iq>"
            )
            person.received()
            person.send(f"<iq type='result' id='{at}' to='{DOMAIN}'/>")
            (got,) = component.received()
            self.assertIn("type='result'", got)

    def test_hung_up(self) -> None:
        """What the connection of a person does not take any more goes to another node's."""
        first, second = self.component("a"), self.component("b")
        first.abort()
        person = self.person("c")
        for number in range(4):
            person.send(f"<message to='{number}@{DOMAIN}' type='chat'><body>o</body></message>")
        self.assertEqual(len(second.received()), 4)
        second.abort()
        person.send(f"<message to='{DOMAIN}' type='chat'><body>o</body></message>")
        (got,) = person.received()
        self.assertIn("<remote-server-timeout", got)

    def test_newcomer(self) -> None:
        """A node that joins knows where components are."""
        component = self.component("a")
        self.nodes.start("d")
        self.nodes.settle()
        self.person("d").send(f"<message to='{DOMAIN}' type='chat'><body>o</body></message>")
        self.assertEqual(len(component.received()), 1)

    def test_node_lost(self) -> None:
        """The component of a lost node is not there any more."""
        self.component("a")
        self.nodes.lose("a")
        person = self.person("b")
        person.send(f"<message to='{DOMAIN}' type='chat'><body>o</body></message>")
        (got,) = person.received()
        self.assertIn("<remote-server-timeout", got)

    def test_too_many(self) -> None:
        """The limit of connections is that of the service."""
        for node in "aabb":
            self.component(node)
        late = self.nodes["c"].service(DOMAIN)
        late.shake_hands(SECRET)
        self.assertIn(b"<conflict", late.raw())

    def test_privileged(self) -> None:
        """A component that may see everybody sees the people of all nodes."""
        self.start(presence="managed_entity")
        self.person("b", 1)
        component = self.nodes["a"].service(DOMAIN)
        component.shake_hands(SECRET)
        self.person("c", 2)
        got = component.raw().decode()
        for number in (1, 2):
            self.assertIn(f"from='person{number}@montague.lit/1'", got)
