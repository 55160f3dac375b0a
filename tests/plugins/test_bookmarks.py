"""Bookmarks have one truth and three faces (CV-1, CV-2)."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.pep.verona import Publisher
from tests.plugins.pubsub.verona import EVENT, NS, result_of
from xmppd.stanza import Tree
from xmppd.testing.client import done
from xmppd.testing.house import House

NODE, OLD, PRIVATE = "urn:xmpp:bookmarks:1", "storage:bookmarks", "jabber:iq:private"
BALL, CRYPT = "ball@rooms.verona.lit", "crypt@rooms.verona.lit"


def conference(jid: str, name: str = "", more: str = "") -> str:
    """A bookmark as older clients have it."""
    return (
        f"<conference jid='{jid}' name='{name}' autojoin='1'><nick>Romeo</nick>{more}</conference>"
    )


def storage(*inside: str) -> str:
    """The element that older clients keep."""
    return f"<storage xmlns='{OLD}'>{''.join(inside)}</storage>"


class BookmarksCase(SynchronousTestCase):
    """Romeo has a client of today and an older one."""

    plugins: tuple[str, ...] = ("disco", "private_storage", "caps", "pubsub", "pep", "bookmarks")

    def setUp(self) -> None:
        self.house = House(plugins=self.plugins, romeo={"juliet": "both"}, juliet={})
        self.new = self.person("new", f"{NODE}+notify")
        self.old = self.person("old", f"{OLD}+notify")

    def person(self, resource: str, *wants: str) -> Publisher:
        """One of Romeo's clients."""
        found = Publisher(self.house.bind("romeo", resource), "romeo@montague.lit")
        found.arrive(*wants)
        found.forget()
        return found

    def put(self, jid: str, name: str, more: str = "") -> str:
        """Bookmark a room as clients of today do; returns how that ended."""
        inside = f"<nick>Romeo</nick>{more}"
        payload = f"<conference xmlns='{NODE}' name='{name}' autojoin='true'>{inside}</conference>"
        publish = f"<publish node='{NODE}'><item id='{jid}'>{payload}</item></publish>"
        return result_of(self.new.ask("set", f"<pubsub xmlns='{NS}'>{publish}</pubsub>"))

    def private(self, element: str = "") -> list[tuple[str, str]]:
        """Keep an element in private storage, or read it: the rooms and names in it."""
        kind, inside = ("set", element) if element else ("get", storage())
        answer = self.old.ask(kind, f"<query xmlns='{PRIVATE}'>{inside}</query>")
        self.assertEqual(result_of(answer), "result")
        return self.rooms(answer)

    def rooms(self, answer: Tree) -> list[tuple[str, str]]:
        """The rooms and names in an old element."""
        found = answer.iter(f"{{{OLD}}}conference")
        return [(each.get("jid", ""), each.get("name", "")) for each in found]

    def items(self) -> list[tuple[str, str]]:
        """The rooms and names in the node."""
        answer = self.new.ask("get", f"<pubsub xmlns='{NS}'><items node='{NODE}'/></pubsub>")
        return [
            (item.get("id", ""), item[0].get("name", "")) for item in answer.iter(f"{{{NS}}}item")
        ]

    def told(self, person: Publisher) -> list[str]:
        """The nodes of which somebody is told."""
        person.read()
        nodes = [
            items.get("node", "")
            for each in person.came
            for items in each.iter(f"{{{EVENT}}}items")
        ]
        person.came.clear()
        return nodes


class BookmarkTests(BookmarksCase):
    def test_shown(self) -> None:
        """What is bookmarked today is found in private storage, and in the old node."""
        self.assertEqual(self.put(BALL, "Ball"), "result")
        self.assertEqual(self.private(), [(BALL, "Ball")])
        query = f"<pubsub xmlns='{NS}'><items node='{OLD}'/></pubsub>"
        self.assertEqual(self.rooms(self.old.ask("get", query)), [(BALL, "Ball")])

    def test_none_yet(self) -> None:
        """Who has bookmarked nothing yet reads an empty list, not an error (CV-1)."""
        answer = self.new.ask("get", f"<pubsub xmlns='{NS}'><items node='{NODE}'/></pubsub>")
        self.assertEqual(result_of(answer), "result")
        self.assertEqual([each.get("node") for each in answer.iter(f"{{{NS}}}items")], [NODE])
        self.assertEqual(self.items(), [])
        self.assertEqual(self.put(BALL, "Ball"), "result")
        self.assertEqual(self.items(), [(BALL, "Ball")])

    def test_taken(self) -> None:
        """What an older client keeps is there for others: what is new, different or missing is
        changed, and nothing else.
        """
        self.private(storage(conference(BALL, "Ball"), conference(CRYPT, "Crypt")))
        self.assertEqual(self.items(), [(BALL, "Ball"), (CRYPT, "Crypt")])
        self.new.forget()
        self.private(storage(conference(BALL, "Ball"), conference(CRYPT, "Tomb")))
        self.assertEqual(self.told(self.new), [NODE])
        self.private(storage(conference(CRYPT, "Tomb")))
        self.assertEqual(self.items(), [(CRYPT, "Tomb")])

    def test_old_node(self) -> None:
        """The same by the old node."""
        item = f"<item id='current'>{storage(conference(BALL, 'Ball'))}</item>"
        publish = f"<publish node='{OLD}'>{item}</publish>"
        answer = self.old.ask("set", f"<pubsub xmlns='{NS}'>{publish}</pubsub>")
        self.assertEqual(result_of(answer), "result")
        self.assertEqual(self.items(), [(BALL, "Ball")])

    def test_told(self) -> None:
        """Each client is told of the face that it wants, once for each change."""
        self.put(BALL, "Ball")
        self.assertEqual((self.told(self.new), self.told(self.old)), ([NODE], [OLD]))
        self.private(storage(conference(BALL, "Feast"), conference(CRYPT, "Crypt")))
        self.assertEqual((self.told(self.new), self.told(self.old)), ([NODE], [OLD]))

    def test_extensions(self) -> None:
        """What an older client does not know stays."""
        pinned = "<extensions><pinned xmlns='urn:pin'/></extensions>"
        self.put(BALL, "Ball", pinned)
        self.private(storage(conference(BALL, "Feast")))
        answer = self.new.ask("get", f"<pubsub xmlns='{NS}'><items node='{NODE}'/></pubsub>")
        self.assertIn("urn:pin", ElementTree.tostring(answer, encoding="unicode"))
        self.assertEqual(self.items(), [(BALL, "Feast")])

    def test_aside(self) -> None:
        """What is no room is given back as it was, and deletes nothing."""
        link = "<url name='Verona' url='https://verona.lit'/>"
        self.private(storage(conference(BALL, "Ball"), link, conference("a b@c", "odd")))
        self.assertEqual(self.items(), [(BALL, "Ball")])
        answer = self.old.ask("get", f"<query xmlns='{PRIVATE}'>{storage()}</query>")
        text = ElementTree.tostring(answer, encoding="unicode")
        self.assertIn("https://verona.lit", text)
        self.assertIn("a b@c", text)

    def test_password(self) -> None:
        """A password, and a nick that is missing, are kept as they are."""
        self.put(BALL, "Ball", "<password>masks</password>")
        answer = self.old.ask("get", f"<query xmlns='{PRIVATE}'>{storage()}</query>")
        self.assertEqual(answer.findtext(f".//{{{OLD}}}password"), "masks")

    def test_too_large(self) -> None:
        """Bookmarks that do not fit into one element are shown where they are, and nowhere else."""
        pinned = f"<extensions><pinned xmlns='urn:pin'>{'a' * 200_000}</pinned></extensions>"
        for number in range(6):
            self.assertEqual(self.put(f"{number}{BALL}", "Ball", pinned), "result")
        answer = self.old.ask("get", f"<query xmlns='{PRIVATE}'>{storage()}</query>")
        self.assertEqual(result_of(answer), "resource-constraint")
        self.assertEqual(len(self.items()), 5)
        for number in range(2):
            gone = f"<retract node='{NODE}'><item id='{number}{BALL}'/></retract>"
            self.new.ask("set", f"<pubsub xmlns='{NS}'>{gone}</pubsub>")
        self.assertEqual(len(self.private()), 4)

    def test_nobody_else(self) -> None:
        """Nobody else sees any of them."""
        self.put(BALL, "Ball")
        (client,) = self.house.connect("juliet")
        juliet = Publisher(client, "juliet@montague.lit")
        for node in (NODE, OLD):
            query = f"<pubsub xmlns='{NS}'><items node='{node}'/></pubsub>"
            answer = juliet.ask("get", query, "romeo@montague.lit")
            self.assertEqual(answer.get("type"), "error")

    def test_announced(self) -> None:
        """Clients learn that they need not keep both."""
        info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        answer = self.new.ask("get", info, "romeo@montague.lit")
        features = {each.get("var") for each in answer[0]}
        self.assertLessEqual({f"{NODE}#compat", f"{NODE}#compat-pep"}, features)


class FirstUseTests(BookmarksCase):
    """Bookmarks that clients have kept before there was the plugin."""

    plugins = ("disco", "private_storage")

    def person(self, resource: str, *wants: str) -> Publisher:
        found = Publisher(self.house.bind("romeo", resource), "romeo@montague.lit")
        found.client.send("<presence/>")
        found.forget()
        return found

    def test_taken_in(self) -> None:
        """They are taken in when somebody looks, at whichever face, once (CV-2)."""
        self.private(storage(conference(BALL, "Ball")))
        for name in ("caps", "pubsub", "pep", "bookmarks"):
            if name not in self.house.plugins.loaded:
                done(self.house.plugins.load(name))
        self.assertEqual(self.items(), [(BALL, "Ball")])
        self.assertEqual(self.private(), [(BALL, "Ball")])
        self.private(storage())
        self.assertEqual(self.items(), [])
