"""Archives of rooms where several nodes are one service."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.archive.queries import query, read_answer
from tests.plugins.muc.halls import INSTANT, MUC, ORCHARD, bodies, condition, rooms_config
from xmppd.cluster.claims import Claims
from xmppd.testing.client import Client
from xmppd.testing.nodes import NodeHouse, Nodes
from xmppd_plugins.muc.snapshot import WITHIN_S
from xmppd_plugins.muc.tables import KIND

PERSISTENT = INSTANT.replace(
    "type='submit'/>",
    "type='submit'><field var='muc#roomconfig_persistentroom'><value>1</value></field></x>",
)
NAMES = {"a": "romeo", "b": "juliet", "c": "nurse"}


class ArchiveOnNodesTests(SynchronousTestCase):
    """Romeo, Juliet and the nurse, each at another of three nodes, are in a room that stays."""

    def setUp(self) -> None:
        plugins = ("disco", "ping", "archive", "muc", "room_archive")
        self.nodes = Nodes(
            *NAMES, plugins=plugins, config=rooms_config(), romeo={}, juliet={}, nurse={}
        )
        self.people = {node: self.come(node) for node in NAMES}
        self.hush()

    def come(self, node: str, resource: str = "1") -> Client:
        """Somebody's client, which has entered; the first one makes the room."""
        name = NAMES[node]
        (client,) = self.nodes[node].connect(f"{name}/{resource}")
        nick = name.capitalize()
        client.send(f"<presence to='{ORCHARD}/{nick}'><x xmlns='{MUC}'/></presence>")
        self.nodes.settle()
        if "code='201'" in "".join(client.received()):
            client.send(f"<iq type='set' id='open' to='{ORCHARD}'>{PERSISTENT}</iq>")
            self.nodes.settle()
        return client

    def hush(self) -> None:
        self.nodes.settle()
        for client in self.people.values():
            client.raw()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        while seconds > 0:
            self.nodes.clock.advance(min(seconds, 0.5))
            self.nodes.settle()
            seconds -= 0.5

    def claims(self, house: NodeHouse) -> Claims:
        return house.server.cluster.claims

    def owner(self) -> str:
        """The name of the node that has the room."""
        (name,) = [
            name
            for name, house in self.nodes.houses.items()
            if name in self.nodes.members and self.claims(house).mine(KIND, ORCHARD)
        ]
        return name

    def say(self, node: str, body: str) -> None:
        self.people[node].send(
            f"<message type='groupchat' to='{ORCHARD}'><body>{body}</body></message>"
        )
        self.nodes.settle()

    def heard(self, node: str) -> list[tuple[str, str]]:
        """What somebody has heard since they looked, with the ids that the room has given it."""
        received = self.people[node].received()
        ids = re.findall("<stanza-id [^>]*id='([^']*)'", "".join(received))
        return list(zip(bodies(received), ids, strict=True))

    def archived(self, node: str) -> list[tuple[str, str]]:
        """The same of what is in the archive, as it is read at a node."""
        client = self.people[node]
        client.raw()
        client.send(query(to=ORCHARD))
        came: list[str] = []
        for _ in range(50):
            self.wait(0.5)
            came += client.received()
            if any(each.startswith("<iq") for each in came):
                break
        answer = read_answer(came)
        return list(zip(answer.said, answer.ids, strict=True))

    def test_read_anywhere(self) -> None:
        """What is said at any node is read at any node, in the order and under the ids that all
        have heard (RM-46, RM-70).
        """
        for number, node in enumerate("abcacb"):
            self.say(node, str(number))
        heard = [self.heard(node) for node in NAMES]
        self.assertEqual([body for body, _ in heard[0]], list("012345"))
        self.assertEqual(heard[0], heard[1])
        self.assertEqual(heard[0], heard[2])
        for node in NAMES:
            self.assertEqual(self.archived(node), heard[0], node)

    def test_owner_is_lost(self) -> None:
        """The archive goes on, and has all that was written, when the room's node is lost (RM-71):
        what was heard has the same ids there.
        """
        for number, node in enumerate("abc"):
            self.say(node, str(number))
        self.wait(WITHIN_S * 2)
        owner = self.owner()
        left = [node for node in NAMES if node != owner]
        before = self.heard(left[0])
        self.nodes.lose(owner)
        self.nodes.settle()
        self.hush()
        for number, node in enumerate(left * 2, 3):
            self.say(node, str(number))
        after = self.heard(left[0])
        self.assertEqual([body for body, _ in before + after], list("0123456"))
        for node in left:
            self.assertEqual(self.archived(node), before + after)

    def test_taken_back(self) -> None:
        """What a moderator takes back at one node is gone at all (RM-44)."""
        self.say("b", "Noise")
        ((_, id),) = self.heard("c")
        self.hush()
        self.people["a"].send(
            f"<iq type='set' id='m' to='{ORCHARD}'><moderate id='{id}' xmlns="
            "'urn:xmpp:message-moderate:1'><retract xmlns='urn:xmpp:message-retract:1'/>"
            "</moderate></iq>"
        )
        self.wait(2)
        for client in self.people.values():
            self.assertIn("message-moderate", "".join(client.received()))
        for node in NAMES:
            client = self.people[node]
            client.send(query(to=ORCHARD))
            self.wait(5)
            self.assertNotIn("Noise", "".join(client.received()))

    def test_not_theirs(self) -> None:
        """Who may not read it is refused at any node (RM-46)."""
        house = self.nodes["c"]
        house.add("tybalt")
        self.people["a"].send(
            f"<iq type='set' id='b' to='{ORCHARD}'><query xmlns='{MUC}#admin'>"
            "<item affiliation='outcast' jid='tybalt@montague.lit'/></query></iq>"
        )
        self.nodes.settle()
        (tybalt,) = house.connect("tybalt")
        tybalt.raw()
        tybalt.send(query(to=ORCHARD))
        self.wait(2)
        (refused,) = [each for each in tybalt.received() if each.startswith("<iq")]
        self.assertEqual(condition(refused), "forbidden")
