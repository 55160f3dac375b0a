"""A room at real nodes, with its people at all of them."""

from time import monotonic

from tests.integration.nodes_case import PASSWORD, NodeProcess, NodesCase
from tests.integration.processes import Peer

ROOM = b"orchard@conference.localhost"
JOIN = b"<presence to='" + ROOM + b"/%b'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
OPEN = (
    b"<iq type='set' id='open' to='" + ROOM + b"'>"
    b"<query xmlns='http://jabber.org/protocol/muc#owner'>"
    b"<x xmlns='jabber:x:data' type='submit'/></query></iq>"
)
SAY = b"<message type='groupchat' to='" + ROOM + b"'><body>%b</body></message>"
KEPT_WITHIN_S = 1.0
"""Who enters is kept by then (RM-65)."""

NAMES = ("romeo", "juliet", "nurse")


class RoomNodesTests(NodesCase):
    """Romeo, Juliet and the nurse, each at another node, are in the orchard."""

    def setUp(self) -> None:
        super().setUp()
        self.nodes = self.started("a", "b", "c")
        self.people: dict[NodeProcess, Peer] = {}
        for node, name in zip(self.nodes, NAMES, strict=True):
            self.nodes[0].add_user(name, PASSWORD)
            peer = self.people[node] = self.client(node, name)
            peer.send(JOIN % name.encode())
            peer.until(b"<subject")
            peer.until(b"</message>")
            if name == "romeo":
                peer.send(OPEN)
                peer.until(b"id='open'")

    def say(self, speaker: Peer, text: bytes, *listeners: Peer) -> None:
        """Have somebody say something that all hear, again as long as nobody has the room."""
        while True:
            speaker.send(SAY % text)
            answer = speaker.until(b"</message>")
            if b"type='error'" not in answer:
                break
            self.assertIn(b"<remote-server-timeout", answer)
        self.assertIn(text, answer)
        for each in listeners:
            each.until(text + b"</body>")
            each.until(b"</message>")

    def until_kept(self) -> None:
        """Wait until everybody who is in is kept to be."""
        kept = monotonic() + KEPT_WITHIN_S
        self.wait_for(lambda: monotonic() > kept)

    def enter(self, node: NodeProcess, name: str) -> Peer:
        """Somebody who has logged in at a node, and is in the room, of which nothing is left to
        read.
        """
        peer = self.people[node] = self.client(node, name)
        peer.send(JOIN % name.encode())
        peer.until(b"<subject")
        peer.until(b"</message>")
        return peer

    def test_paused(self) -> None:
        """Whichever node stands still under talk, and goes on when it was lost, the others talk on
        in one order with one id for all; what its people said to it meanwhile is heard by nobody,
        and they enter again (RM-70, RM-71).
        """
        heard = []
        for turn, (node, name) in enumerate(zip(self.nodes, NAMES, strict=True)):
            left = [each for each in self.nodes if each is not node]
            here = [self.people[each] for each in left]
            self.until_kept()
            node.pause()
            self.people[node].send(SAY % b"ghost %d" % turn)
            for each in left:
                self.wait_for_line(each, rf"node {node.name}\.1 is lost")
            for number in range(3):
                text = b"round %d, %d" % (turn, number)
                self.say(here[number % 2], text, here[(number + 1) % 2])
            node.go_on()
            self.assertIn(b"<reset ", self.people[node].until(b"</stream:error>"))
            self.wait_for_line(node, "this node has started again")
            for each in left:
                self.wait_for_line(each, rf"node {node.name}\.2 has joined")
            node.ports("client")
            back = self.enter(node, name)
            self.say(back, b"back %d" % turn, *here)
            end = b"end %d" % turn
            here[0].send(SAY % end)
            for peer in (*here, back):
                heard.append(peer.until(end + b"</body>"))
                peer.until(b"</message>")
        self.assertNotIn(b"ghost", b"".join(heard))

    def test_killed(self) -> None:
        """Whichever nodes are killed, who is left talks on, and does not enter again (RM-71)."""
        everybody = list(self.people.values())
        self.say(everybody[0], b"one", *everybody[1:])
        for node in self.nodes[1:]:
            self.until_kept()
            node.kill()
            left = [each for each in self.nodes if each.pid]
            self.until_they_know(*left)
            here = [self.people[each] for each in left]
            self.say(here[0], b"after %d" % len(left), *here[1:])
