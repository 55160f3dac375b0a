"""Unread messages in rooms where several nodes are one service."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.inbox.inboxes import MARKERS, ask_inbox
from tests.plugins.muc.halls import MUC, ORCHARD, rooms_config
from tests.plugins.room_archive.orchards import ids
from tests.plugins.room_archive.test_nodes import PERSISTENT
from tests.plugins.room_unread.readers import PLUGINS, bookmark, display
from xmppd.store.gathered import GATHER_S
from xmppd.testing.client import Client
from xmppd.testing.nodes import Nodes


class UnreadOnNodesTests(SynchronousTestCase):
    """Romeo is at a, where the room is; the nurse, who has bookmarked it, is at b and at c."""

    def setUp(self) -> None:
        self.nodes = Nodes(
            "a", "b", "c", plugins=PLUGINS, config=rooms_config(), romeo={}, nurse={}
        )
        (self.romeo,) = self.nodes["a"].connect("romeo")
        self.enter(self.romeo, "Romeo")
        self.send(self.romeo, f"<iq type='set' id='open' to='{ORCHARD}'>{PERSISTENT}</iq>")
        self.nurses = [self.nodes[node].connect(f"nurse/{node}")[0] for node in "bc"]
        self.wait()

    def wait(self) -> None:
        """Let all be written that was noted anywhere."""
        for _ in range(5):
            self.nodes.settle()
            self.nodes.clock.advance(GATHER_S)
        self.nodes.settle()

    def send(self, client: Client, stanza: str) -> None:
        """Somebody sends something, and it arrives."""
        client.send(stanza)
        self.wait()

    def enter(self, client: Client, nick: str) -> None:
        self.send(client, f"<presence to='{ORCHARD}/{nick}'><x xmlns='{MUC}'/></presence>")

    def says(self, *texts: str, client: Client | None = None) -> list[str]:
        """Somebody says something to all; returns the ids of that."""
        self.romeo.raw()
        for text in texts:
            body = f"<body>{text}</body>"
            self.send(
                client or self.romeo,
                f"<message type='groupchat' to='{ORCHARD}'>{body}</message>",
            )
        return ids(self.romeo.received())

    def unread(self) -> list[dict[str, int]]:
        """What the nurse is told at each of her nodes."""
        found = []
        for client in self.nurses:
            found.append(ask_inbox(client).unread)
            self.wait()
        return found

    def test_counted(self) -> None:
        """Wherever she asks, what was said in a room that lives elsewhere is counted (RM-81)."""
        self.follows()
        self.says("1", "2")
        self.assertEqual(self.unread(), [{"orchard": 2}] * 2)

    def test_read(self) -> None:
        """What she reads at one node is read: what she publishes, marks or says (RM-81)."""
        self.follows()
        first, second, _ = self.says("1", "2", "3")
        display(self.nurses[0], first)
        self.assertEqual(self.unread(), [{"orchard": 2}] * 2)
        self.enter(self.nurses[1], "Nurse")
        marker = f"<displayed xmlns='{MARKERS}' id='{second}'/>"
        self.send(self.nurses[1], f"<message type='groupchat' to='{ORCHARD}'>{marker}</message>")
        self.assertEqual(self.unread(), [{"orchard": 1}] * 2)
        self.says("here", client=self.nurses[1])
        self.assertEqual(self.unread(), [{"orchard": 0}] * 2)

    def test_node_lost(self) -> None:
        """When the node that had the room is lost, nothing of it is (RM-81)."""
        self.follows()
        first, _, _ = self.says("1", "2", "3")
        display(self.nurses[0], first)
        self.nodes.lose("a")
        self.wait()
        self.enter(self.nurses[0], "Nurse")
        self.assertEqual(self.unread(), [{"orchard": 2}] * 2)
        self.says("here", client=self.nurses[0])
        self.assertEqual(self.unread(), [{"orchard": 0}] * 2)

    def follows(self) -> None:
        """She bookmarks the room."""
        bookmark(self.nurses[0])
        self.wait()
