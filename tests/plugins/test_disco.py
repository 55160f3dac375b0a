"""XEP-0030 from the wire."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from xmppd.components.service_domains import Component
from xmppd.disco.disco import Of, Says
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem
from xmppd.stanza import JID, Stanza
from xmppd.stanza.rsm import RSM
from xmppd.testing.client import Client, done
from xmppd.testing.house import House
from xmppd_plugins.disco import INFO, ITEMS


def ask(client: Client, namespace: str, to: str = "", node: str = "") -> ElementTree.Element:
    """The answer to a question of service discovery."""
    address = f" to='{to}'" if to else ""
    what = f" node='{node}'" if node else ""
    client.send(f"<iq type='get' id='d'{address}><query xmlns='{namespace}'{what}/></iq>")
    (answer,) = client.received()
    return ElementTree.fromstring(answer)


def features(answer: ElementTree.Element) -> list[str]:
    """The features that disco#info lists."""
    return [found.attrib["var"] for found in answer.iterfind(f".//{{{INFO}}}feature")]


def identities(answer: ElementTree.Element) -> list[dict[str, str]]:
    """The identities that disco#info lists."""
    return [found.attrib for found in answer.iterfind(f".//{{{INFO}}}identity")]


def items(answer: ElementTree.Element) -> list[dict[str, str]]:
    """The items that disco#items lists."""
    return [found.attrib for found in answer.iterfind(f".//{{{ITEMS}}}item")]


def condition(answer: ElementTree.Element) -> str:
    """The condition of an error."""
    error = answer.find("error")
    return "" if error is None else error[0].tag.rpartition("}")[2]


class Nowhere:
    """A component that takes nothing."""

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        return False


class ServerTests(SynchronousTestCase):
    """The server's domain."""

    def setUp(self) -> None:
        self.house = House(plugins=("disco", "ping"), romeo={})
        (self.romeo,) = self.house.connect("romeo")

    def test_identity(self) -> None:
        """The server says that it is a server for instant messaging."""
        answer = ask(self.romeo, INFO, "montague.lit")
        self.assertEqual(
            identities(answer), [{"category": "server", "type": "im", "name": "xmppd"}]
        )
        self.assertEqual(answer.attrib["from"], "montague.lit")

    def test_features(self) -> None:
        """It lists what it does itself and what its plugins do, each once and in order."""
        listed = features(ask(self.romeo, INFO, "montague.lit"))
        self.assertEqual(listed, sorted(set(listed)))
        self.assertLess(
            {INFO, ITEMS, "urn:xmpp:ping", "jabber:iq:roster", "msgoffline"}, set(listed)
        )

    def test_plugin_comes_and_goes(self) -> None:
        """What a plugin can do is listed while it is loaded."""
        done(self.house.plugins.unload("ping"))
        self.assertNotIn("urn:xmpp:ping", features(ask(self.romeo, INFO, "montague.lit")))
        done(self.house.plugins.load("ping"))
        self.assertIn("urn:xmpp:ping", features(ask(self.romeo, INFO, "montague.lit")))

    def test_features_of_parts(self) -> None:
        """A plugin may list features beside those of its handlers, on the server or on accounts."""
        disco = self.house.server.disco
        disco.put(Says(DiscoInfo(features=("urn:a",))), "a")
        disco.put(Says(DiscoInfo(features=("urn:b",)), Of.ACCOUNT), "b")
        server = features(ask(self.romeo, INFO, "montague.lit"))
        account = features(ask(self.romeo, INFO, "romeo@montague.lit"))
        self.assertEqual(("urn:a" in server, "urn:b" in server), (True, False))
        self.assertEqual(("urn:a" in account, "urn:b" in account), (False, True))

    def test_items(self) -> None:
        """Components and other items of the server are listed with their names."""
        server = self.house.server
        server.service_domains.put(
            Component("conference.montague.lit", Nowhere(), "Rooms"), "rooms"
        )
        news = DiscoItem(JID.parse("montague.lit"), "News", "news")
        server.disco.put(Says(DiscoInfo(items=(news,))), "news")
        self.assertEqual(
            items(ask(self.romeo, ITEMS, "montague.lit")),
            [
                {"jid": "conference.montague.lit", "name": "Rooms"},
                {"jid": "montague.lit", "node": "news", "name": "News"},
            ],
        )

    def test_no_items(self) -> None:
        """A server without items gives an empty list, not an error."""
        answer = ask(self.romeo, ITEMS, "montague.lit")
        self.assertEqual((answer.get("type"), items(answer)), ("result", []))

    def test_unknown_node(self) -> None:
        """Nobody knows a node that does not exist."""
        for namespace in (INFO, ITEMS):
            answer = ask(self.romeo, namespace, "montague.lit", "nonsense")
            self.assertEqual(condition(answer), "item-not-found")

    def test_known_node(self) -> None:
        """A node is answered by whoever knows it, and named in the answer."""
        item = DiscoItem(JID.parse("montague.lit"), "Stop", "stop")
        identity = DiscoIdentity("automation", "command-list")
        info = DiscoInfo((identity,), ("urn:c",), items=(item,))
        self.house.server.disco.put(
            Says(answer=lambda asked: info if asked.node == "commands" else None, nodes=True), "c"
        )
        said = ask(self.romeo, INFO, "montague.lit", "commands")
        self.assertEqual(said[0].get("node"), "commands")
        self.assertEqual(features(said), ["urn:c"])
        listed = ask(self.romeo, ITEMS, "montague.lit", "commands")
        self.assertEqual(listed[0].get("node"), "commands")
        self.assertEqual(items(listed), [{"jid": "montague.lit", "node": "stop", "name": "Stop"}])

    def test_pages(self) -> None:
        """XEP-0059: Who asks for pages gets the items one page after the other; of a node that has
        none there is none.
        """
        found = tuple(DiscoItem(JID.parse("montague.lit"), "", f"n{n}") for n in range(5))
        info = {"list": DiscoInfo(items=found), "empty": DiscoInfo()}
        self.house.server.disco.put(
            Says(answer=lambda asked: info.get(asked.node), nodes=True), "pages"
        )

        def page(behind: str = "", node: str = "list") -> ElementTree.Element:
            self.romeo.send(
                f"<iq type='get' id='d' to='montague.lit'><query xmlns='{ITEMS}' node='{node}'>"
                f"<set xmlns='{RSM}'><max>2</max>{behind}</set></query></iq>"
            )
            (answer,) = self.romeo.received()
            return ElementTree.fromstring(answer)

        nodes, behind = [], ""
        for _ in range(3):
            answer = page(behind)
            nodes.append([item["node"] for item in items(answer)])
            last = answer.findtext(f".//{{{RSM}}}last")
            self.assertEqual(answer.findtext(f".//{{{RSM}}}count"), "5")
            behind = f"<after>{last}</after>"
        self.assertEqual(nodes, [["n0", "n1"], ["n2", "n3"], ["n4"]])
        self.assertEqual(len(page(node="empty")[0]), 0)
        self.assertEqual(condition(page("<after>gone</after>")), "item-not-found")

    def test_before_presence(self) -> None:
        """A client may ask as soon as it has a resource."""
        client = self.house.bind("romeo", "early")
        self.assertEqual(ask(client, INFO, "montague.lit").get("type"), "result")

    def test_set(self) -> None:
        """Nothing can be set by service discovery."""
        self.romeo.send(f"<iq type='set' id='s' to='montague.lit'><query xmlns='{INFO}'/></iq>")
        (answer,) = self.romeo.received()
        self.assertEqual(condition(ElementTree.fromstring(answer)), "feature-not-implemented")

    def test_node_is_escaped(self) -> None:
        """What a client calls a node comes back as text, whatever it contains."""
        self.house.server.disco.put(Says(answer=lambda asked: DiscoInfo(), nodes=True), "all")
        answer = ask(self.romeo, INFO, "montague.lit", "&lt;&apos;&gt;")
        self.assertEqual(answer[0].get("node"), "<'>")


class AccountTests(SynchronousTestCase):
    """An account's bare JID."""

    def setUp(self) -> None:
        self.house = House(
            plugins=("disco", "ping"),
            romeo={"juliet": "both", "tybalt": "to"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.romeo, self.juliet, self.tybalt = self.house.connect(
            "romeo/orchard", "juliet", "tybalt"
        )
        for client in (self.romeo, self.juliet, self.tybalt):
            client.raw()

    def test_own_account(self) -> None:
        """My account says that it is registered, and what the server does for it."""
        for to in ("", "romeo@montague.lit"):
            answer = ask(self.romeo, INFO, to)
            self.assertEqual(identities(answer), [{"category": "account", "type": "registered"}])
            self.assertEqual(features(answer), [INFO, ITEMS, RSM, "urn:xmpp:ping"])
            self.assertEqual(answer.attrib["from"], "romeo@montague.lit")

    def test_contact(self) -> None:
        """A contact who may see my presence may ask about my account, and my resources."""
        self.assertEqual(
            identities(ask(self.juliet, INFO, "romeo@montague.lit")),
            [{"category": "account", "type": "registered"}],
        )
        self.assertEqual(
            items(ask(self.juliet, ITEMS, "romeo@montague.lit")),
            [{"jid": "romeo@montague.lit/orchard"}],
        )

    def test_unavailable_resources_are_not_listed(self) -> None:
        """A resource that has not sent presence is nobody's business."""
        self.house.bind("romeo", "hidden")
        self.assertEqual(
            items(ask(self.juliet, ITEMS, "romeo@montague.lit")),
            [{"jid": "romeo@montague.lit/orchard"}],
        )

    def test_stranger(self) -> None:
        """To strangers an account looks like one that does not exist, with an empty list (§8)."""
        for namespace in (INFO, ITEMS):
            for node in ("", "nonsense"):
                there = ask(self.tybalt, namespace, "romeo@montague.lit", node)
                nowhere = ask(self.tybalt, namespace, "nobody@montague.lit", node)
                if namespace == INFO:
                    self.assertEqual(condition(there), "service-unavailable")
                else:
                    self.assertEqual(items(there), [])
                there.attrib.pop("from")
                nowhere.attrib.pop("from")
                self.assertEqual(ElementTree.tostring(there), ElementTree.tostring(nowhere))

    def test_unknown_node(self) -> None:
        """My account has no nodes."""
        for namespace in (INFO, ITEMS):
            answer = ask(self.romeo, namespace, "romeo@montague.lit", "nonsense")
            self.assertEqual(condition(answer), "item-not-found")

    def test_full_address(self) -> None:
        """A question for a resource goes to that client."""
        self.juliet.send(
            f"<iq type='get' id='q' to='romeo@montague.lit/orchard'><query xmlns='{INFO}'/></iq>"
        )
        self.assertEqual(self.juliet.received(), [])
        self.assertEqual(len(self.romeo.received()), 1)
