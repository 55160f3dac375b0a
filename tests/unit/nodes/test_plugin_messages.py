"""What plugins say from node to node."""

from collections.abc import Awaitable

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.cluster.claims_contract import KIND, Shelf
from xmppd.cluster.node import NodeId
from xmppd.nodes.plugin_messages import ASK_S, PluginMessages, Tell
from xmppd.stanza import JID, Condition, ErrorType, StanzaError
from xmppd.testing.client import done
from xmppd.testing.nodes import NodeHouse, Nodes

JULIET = JID.parse("juliet@montague.lit")
HALL = (KIND, "hall")


class Say(Struct, frozen=True):
    """Something is said."""

    words: str


class Heard(Struct, frozen=True):
    """By this one."""

    node: str


class MessageTests(SynchronousTestCase):
    """A plugin on three nodes; Juliet is at b and at c."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", "c", romeo={}, juliet={})
        self.heard: list[tuple[str, str]] = []
        self.silent: list[Deferred[None]] = []
        for name, house in self.nodes.houses.items():
            self.plug(name, house)
        self.nodes["b"].connect("juliet/1")
        self.nodes["c"].connect("juliet/2")

    def plug(self, name: str, house: NodeHouse) -> None:
        """Load the plugin."""

        def take(said: Say) -> Awaitable[Heard] | Heard:
            self.heard.append((name, said.words))
            if said.words == "no":
                raise StanzaError(
                    Condition.NOT_ALLOWED,
                    "nobody says no",
                    type=ErrorType.WAIT,
                    application=("urn:no", "no"),
                    attribute=("till", "noon"),
                )
            return self.wait(name) if said.words == "wait" else Heard(name)

        house.server.plugin_messages.put(Tell(Say, take), "plugin")
        house.server.cluster.claims.put(Shelf(), "plugin")

    async def wait(self, name: str) -> Heard:
        turn = Deferred[None]()
        self.silent.append(turn)
        await turn
        return Heard(name)

    def messages(self, name: str) -> PluginMessages:
        return self.nodes[name].server.plugin_messages

    def ask(self, name: str, words: str = "hi") -> Deferred[Heard]:
        """Say something to the hall."""
        asked = Deferred.fromCoroutine(self.messages(name).ask(HALL, Say(words), Heard))
        self.nodes.settle()
        return asked

    def owner(self) -> str:
        """The node that has the hall."""
        return self.successResultOf(self.ask("a")).node

    def another(self) -> str:
        """A node that has not."""
        owner = self.owner()
        return next(name for name in "abc" if name != owner)

    def test_account(self) -> None:
        """A message reaches the nodes of an account, in order, and no others."""
        for words in ("1", "2"):
            done(self.messages("a").tell(JULIET, Say(words)))
        self.nodes.settle()
        self.assertEqual(sorted(self.heard), [("b", "1"), ("b", "2"), ("c", "1"), ("c", "2")])
        for name in "bc":
            self.assertEqual([words for at, words in self.heard if at == name], ["1", "2"])

    def test_account_here(self) -> None:
        """It is taken here first if the account is here; if somebody fails, the others have it."""
        done(self.messages("b").tell(JULIET, Say("no")))
        self.assertEqual(self.heard, [("b", "no")])
        self.nodes.settle()
        self.assertEqual(self.heard, [("b", "no"), ("c", "no")])

    def test_all(self) -> None:
        """What all nodes are told reaches each once, this one first, and in order."""
        for words in ("1", "no", "2"):
            done(self.messages("c").tell_all(JULIET, Say(words)))
        self.assertEqual(self.heard, [("c", "1"), ("c", "no"), ("c", "2")])
        self.nodes.settle()
        for name in "abc":
            heard = [words for at, words in self.heard if at == name]
            self.assertEqual(heard, ["1", "no", "2"])

    def test_nobody(self) -> None:
        """To an account that is nowhere nothing is said."""
        done(self.messages("a").tell(JID.parse("romeo@montague.lit"), Say("1")))
        self.nodes.settle()
        self.assertEqual(self.heard, [])

    def test_thing(self) -> None:
        """Whoever asks a thing is answered by the one node that has it."""
        answers = {self.successResultOf(self.ask(name)).node for name in "abcabc"}
        self.assertEqual(len(answers), 1)
        self.assertEqual({at for at, _ in self.heard}, answers)

    def test_refused(self) -> None:
        """What is refused there is refused here."""
        for name in "abc":
            error = self.failureResultOf(self.ask(name, "no"), StanzaError).value
            assert isinstance(error, StanzaError)
            self.assertEqual(
                (error.condition, error.text, error.type),
                (Condition.NOT_ALLOWED, "nobody says no", ErrorType.WAIT),
            )
            self.assertEqual(error.application, ("urn:no", "no"))
            self.assertEqual(error.attribute, ("till", "noon"))

    def test_moved(self) -> None:
        """Who does not know yet that a thing has moved finds it."""
        asker = self.another()
        there = self.owner()
        to = next(name for name in "abc" if name not in (there, asker))
        giving = self.nodes[there].server.cluster.claims.give_up(*HALL, NodeId(to, 1))
        given = Deferred.fromCoroutine(giving)
        self.nodes.settle()
        self.successResultOf(given)
        self.assertEqual(self.successResultOf(self.ask(asker)).node, to)

    def test_lost(self) -> None:
        """When the owner is lost another one answers."""
        asker, before = self.another(), self.owner()
        self.nodes.lose(before)
        after = self.successResultOf(self.ask(asker)).node
        self.assertNotEqual(after, before)

    def test_killed_while_it_is_asked(self) -> None:
        """Who was waiting for an answer is told to try again."""
        asker, before = self.another(), self.owner()
        asked = self.ask(asker, "wait")
        self.assertNoResult(asked)
        self.nodes.lose(before)
        error = self.failureResultOf(asked, StanzaError).value
        assert isinstance(error, StanzaError)
        self.assertEqual(error.condition, Condition.REMOTE_SERVER_TIMEOUT)

    def test_too_late(self) -> None:
        """So is who is not answered in five seconds."""
        asked = self.ask(self.another(), "wait")
        self.nodes.clock.advance(ASK_S)
        self.nodes.settle()
        error = self.failureResultOf(asked, StanzaError).value
        assert isinstance(error, StanzaError)
        self.assertEqual(error.condition, Condition.REMOTE_SERVER_TIMEOUT)

    def test_not_loaded(self) -> None:
        """A node without the plugin has no things of it, and takes no messages of it."""
        server = self.nodes["b"].server
        take_out = server.plugin_messages.put(Tell(Heard, lambda heard: None), "plugin")
        self.assertRaises(
            ValueError, server.plugin_messages.put, Tell(Heard, lambda heard: None), "plugin"
        )
        take_out()
        server.plugin_messages._tells.clear()
        server.cluster.claims._parts.clear()
        for name in "ac":
            self.assertNotEqual(self.successResultOf(self.ask(name)).node, "b")
        done(self.messages("c").tell(JULIET, Say("1")))
        self.nodes.settle()
        self.assertNotIn("b", [at for at, _ in self.heard])
