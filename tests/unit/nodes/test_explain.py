"""Explanations of what happens between people on different nodes."""

from tests.unit.nodes.test_node_commands import NodeCommandsTestCase
from xmppd.testing.nodes import Nodes

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"


class ExplainTests(NodeCommandsTestCase):
    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", "c", plugins=("invisible", "privacy_lists"))
        for name, contact in (("romeo", "juliet"), ("juliet", "romeo")):
            self.nodes["a"].add(name, {contact: "both"})
        (self.romeo,) = self.nodes["a"].connect("romeo/garden")
        (self.juliet,) = self.nodes["b"].connect("juliet/balcony")

    def explain(self, at: str, owner: str = JULIET, watcher: str = ROMEO) -> list[str]:
        """What a node says of what the watcher sees."""
        return [str(row["says"]) for row in
                self.rows("explain presence", at, owner=owner, watcher=watcher)]  # fmt: skip

    def test_anywhere(self) -> None:
        """Each node says the same, also one to which neither is connected."""
        for at in "abc":
            said = self.explain(at)
            self.assertEqual(said[0], f"{ROMEO} sees {JULIET}, available at balcony.")
            self.assertIn(f"{JULIET}/balcony is available with priority 0 (PM-1).", said)

    def test_what_only_its_node_knows(self) -> None:
        """Of a session on another node it says which one that is."""
        (there,) = [each for each in self.explain("a") if "is connected to node" in each]
        self.assertIn(f"{JULIET}/balcony is connected to node b", there)

    def test_invisible(self) -> None:
        """A session on another node that is invisible is not seen, and that is why."""
        self.juliet.send("<iq type='set' id='i'><invisible xmlns='urn:xmpp:invisible:1'/></iq>")
        said = self.explain("a")
        self.assertEqual(said[0], f"{ROMEO} sees {JULIET} as unavailable.")
        self.assertIn(f"{JULIET}/balcony is invisible (PL-10).", said)

    def test_active_list(self) -> None:
        """So is one whose active list denies the watcher."""
        self.juliet.send(
            "<iq type='set' id='l'><query xmlns='jabber:iq:privacy'><list name='shy'>"
            "<item action='deny' order='1'/></list></query></iq>"
            "<iq type='set' id='m'><query xmlns='jabber:iq:privacy'><active name='shy'/></query>"
            "</iq>"
        )
        said = self.explain("a")
        self.assertIn(
            f"{JULIET}/balcony has an active privacy list that hides it from {ROMEO} (PL-6).", said
        )

    def test_watcher(self) -> None:
        """A watcher on another node is no one who is away."""
        (first, *_) = self.explain("b")
        self.assertEqual(first, f"{ROMEO} sees {JULIET}, available at balcony.")
        self.romeo.abort()
        self.assertIn(
            f"{ROMEO} is not connected; its client gets this presence when it logs in (PM-7).",
            self.explain("b"),
        )

    def test_message(self) -> None:
        """The node says what becomes of a message that decides about it."""
        for at in "abc":
            (said, *_) = self.rows("explain message", at, sender=ROMEO, to=JULIET)
            self.assertEqual(said["says"], f"the message is delivered to {JULIET}/balcony (RT-6).")

    def test_message_to_nobody(self) -> None:
        """When she is nowhere, it is kept."""
        self.juliet.abort()
        (said, *_) = self.rows("explain message", "a", sender=ROMEO, to=JULIET)
        self.assertEqual(said["says"], f"the message is stored until {JULIET} comes online (OM-2).")

    def test_message_unheard(self) -> None:
        """A node that decides about it, and says nothing, is named."""
        self.rows("explain message", "a", sender=ROMEO, to=JULIET)
        del self.nodes.ends[self.nodes["b"].id]
        _, refused = self.give("explain message", sender=ROMEO, to=JULIET)
        self.assertEqual(str(refused), "node b decides about this message, but does not answer")

    def test_directory_away(self) -> None:
        """While nobody knows who is where, that is what is said."""
        self.nodes = Nodes("a", "b", late_directory=True, romeo={}, juliet={})
        self.nodes.directories["a"].away = True
        _, refused = self.give("explain presence", "a", owner=JULIET, watcher=ROMEO)
        assert refused is not None
        self.assertIn("Redis does not answer", str(refused))
