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

    def until_kept(self) -> None:
        """Wait until everybody who is in is kept to be."""
        kept = monotonic() + KEPT_WITHIN_S
        self.wait_for(lambda: monotonic() > kept)

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
