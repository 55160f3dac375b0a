"""One service of nodes on three servers that are one."""

from xml.etree import ElementTree

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.pubsub.verona import ENTRY, EVENT, NS, OWNER, SERVICE, WORDS, result_of
from xmppd.stanza import Tree
from xmppd.testing.client import Client, done
from xmppd.testing.house import house_config
from xmppd.testing.nodes import Nodes
from xmppd_plugins.pubsub.tables import KIND

THING = f"{SERVICE} news"


class SeveralNodesTests(SynchronousTestCase):
    """Romeo is at a, Juliet at b, Tybalt at c; all have subscribed, and all may publish."""

    def setUp(self) -> None:
        config = house_config("montague.lit", pubsub={"create": "local"})
        self.nodes = Nodes(
            "a",
            "b",
            "c",
            config=replace(config, admins=("romeo@montague.lit",)),
            plugins=("pubsub",),
            romeo={},
            juliet={},
            tybalt={},
        )
        homes = {"romeo": "a", "juliet": "b", "tybalt": "c"}
        self.people = {name: self.nodes[at].connect(name)[0] for name, at in homes.items()}
        self.nodes.settle()
        self.ask("romeo", "set", "<create node='news'/>")
        open_it = (
            "<configure node='news'><x xmlns='jabber:x:data' type='submit'>"
            "<field var='pubsub#publish_model'><value>open</value></field></x></configure>"
        )
        self.assertEqual(result_of(self.ask("romeo", "set", open_it, OWNER)), "result")
        for name in homes:
            self.ask(name, "set", f"<subscribe node='news' jid='{name}@montague.lit'/>")
        self.forget()

    def forget(self) -> None:
        """What has come so far is forgotten."""
        for client in self.people.values():
            client.received()

    def test_counted(self) -> None:
        """What somebody publishes from another server counts for their session, at the server that
        has the node.
        """
        for node in self.nodes.houses.values():
            node.server.routing_table.take_fan_out()
        item = f"<item id='1'>{ENTRY.format('hi')}</item>"
        self.ask("juliet", "set", f"<publish node='news'>{item}</publish>")
        own = self.people["juliet"].handler.counts.fan_out
        caused = [node.server.routing_table.take_fan_out() for node in self.nodes.houses.values()]
        at_owner = sum(each.get("juliet@montague.lit/1", 0) for each in caused)
        self.assertEqual(own + at_owner, 3)

    def ask(self, name: str, kind: str, inside: str, namespace: str = NS) -> Tree:
        """The answer to a request."""
        client = self.people[name]
        query = f"<pubsub xmlns='{namespace}'>{inside}</pubsub>"
        client.send(f"<iq type='{kind}' id='q' to='{SERVICE}'>{query}</iq>")
        self.nodes.settle()
        self.came = [ElementTree.fromstring(each) for each in client.received()]
        (answer,) = [each for each in self.came if each.tag == "iq"]
        return answer

    def publish(self, name: str, words: str) -> str:
        """Publish; returns how that ended."""
        item = f"<publish node='news'><item id='{words}'>{ENTRY.format(words)}</item></publish>"
        return result_of(self.ask(name, "set", item))

    def told(self, client: Client) -> list[str]:
        """The words that somebody is told."""
        came = [ElementTree.fromstring(each) for each in client.received()]
        return [
            item.findtext(WORDS) or "" for each in came for item in each.iter(f"{{{EVENT}}}item")
        ]

    def words(self, name: str) -> list[str]:
        """What somebody reads."""
        answer = self.ask(name, "get", "<items node='news'/>")
        return [item.findtext(WORDS) or "" for item in answer.iter(f"{{{NS}}}item")]

    def owner(self) -> str:
        """The server that serves the node."""
        (name,) = (
            name
            for name, house in self.nodes.houses.items()
            if name in self.nodes.members
            and house.server.cluster.claims.mine(KIND, THING) is not None
        )
        return name

    def send_all(self) -> None:
        """All three publish at once."""
        for name, client in self.people.items():
            item = f"<item id='{name}'>{ENTRY.format(name)}</item>"
            query = f"<pubsub xmlns='{NS}'><publish node='news'>{item}</publish></pubsub>"
            client.send(f"<iq type='set' id='q' to='{SERVICE}'>{query}</iq>")
        self.nodes.settle()

    def test_once(self) -> None:
        """Everybody is told once, wherever they are and wherever it was published."""
        self.assertEqual(self.publish("juliet", "hi"), "result")
        others = [self.told(self.people[name]) for name in ("romeo", "tybalt")]
        own = [item.findtext(WORDS) for each in self.came for item in each.iter(f"{{{EVENT}}}item")]
        self.assertEqual([*others, own], [["hi"]] * 3)

    def test_one_order(self) -> None:
        """What is published at several servers at once comes to all in the order in which it is
        kept (NO-17).
        """
        self.send_all()
        told = [self.told(client) for client in self.people.values()]
        self.assertEqual(len(told[0]), 3)
        self.assertEqual(told, [told[0]] * 3)
        self.assertEqual(self.words("tybalt"), told[0])

    def test_read_anywhere(self) -> None:
        """What was published at one server is read at each."""
        self.publish("juliet", "hi")
        self.assertEqual([self.words(name) for name in self.people], [["hi"]] * 3)

    def test_refused(self) -> None:
        """A refusal is the same wherever the node is served."""
        for name in ("juliet", "tybalt"):
            answer = self.ask(name, "set", "<unsubscribe node='olds' jid='juliet@montague.lit'/>")
            self.assertEqual(result_of(answer), "item-not-found")
            answer = self.ask(name, "set", "<publish node='news'><item/></publish>")
            self.assertEqual(result_of(answer), "bad-request payload-required")

    def test_owner_is_lost(self) -> None:
        """When the server is lost that serves the node another one does, with all that was
        acknowledged.
        """
        self.publish("juliet", "1")
        self.forget()
        lost = self.owner()
        self.nodes.lose(lost)
        here = [name for name, at in zip(self.people, "abc", strict=True) if at != lost]
        self.assertEqual(self.publish(here[0], "2"), "result")
        self.assertEqual(self.told(self.people[here[1]]), ["2"])
        self.assertEqual(self.words(here[1]), ["1", "2"])

    def test_deposed(self) -> None:
        """A server that was thought dead publishes nothing more; who asks again finds the other."""
        self.publish("juliet", "1")
        tokens = self.nodes["a"].store.claim_tokens
        done(tokens.raise_token(KIND, THING, 1_000))
        self.assertEqual(self.publish("juliet", "2"), "remote-server-timeout")
        self.assertEqual(self.words("romeo"), ["1"])
