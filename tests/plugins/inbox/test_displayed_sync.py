"""XEP-0490: Message Displayed Synchronization."""

from typing import Any

from tests.plugins.archive.archives import archive_of
from tests.plugins.asking import ask, condition
from tests.plugins.inbox.inboxes import ask_inbox
from tests.plugins.push.service import GAP_S, JULIET, PLUGINS, ROMEO, PushCase
from xmppd.testing.client import done
from xmppd_plugins.archive.entries import ALL
from xmppd_plugins.displayed_sync import MAX_WAITING
from xmppd_plugins.pubsub.state import NodeName

NODE = "urn:xmpp:mds:displayed:0"
PUBSUB = "http://jabber.org/protocol/pubsub"


class DisplayedSyncTests(PushCase):
    """Juliet's phone is asleep, and her desk publishes what it has shown."""

    plugins = ("archive", "inbox", *PLUGINS, "caps", "pubsub", "pep", "displayed_sync")

    def setUp(self) -> None:
        super().setUp()
        (self.desk,) = self.house.connect("juliet/desk")
        self.asleep()
        for id in "123":
            self.send(id=id)
        self.wait(GAP_S)
        self.service.heard()

    def publish(self, id: str, peer: str = ROMEO, by: str = JULIET) -> str:
        """Her desk publishes that it has shown a message; how that was answered."""
        shown = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{by}' id='{id}'/>"
        item = f"<item id='{peer}'><displayed xmlns='{NODE}'>{shown}</displayed></item>"
        publish = f"<publish node='{NODE}'>{item}</publish>"
        answer = condition(ask(self.desk, "set", f"<pubsub xmlns='{PUBSUB}'>{publish}</pubsub>"))
        self.wait(GAP_S)
        return answer

    def ids(self) -> list[str]:
        """The ids of the messages from Romeo, in the order in which they came."""
        archive = archive_of(self.house)
        found = done(archive.entries.page(JULIET, ALL, 10))
        return [archive.id_of(JULIET, each.position) for each in found]

    def unread(self) -> dict[str, int]:
        """What is unread at her desk."""
        return ask_inbox(self.desk).unread

    def test_read(self) -> None:
        """Messages are read up to the one that is named, and never back."""
        first, second, third = self.ids()
        self.assertEqual(self.unread(), {"romeo": 3})
        for id, left in ((second, 1), (first, 1), (third, 0)):
            self.assertEqual(self.publish(id), "result")
            self.assertEqual(self.unread(), {"romeo": left})

    def test_cleared(self) -> None:
        """Her phone's service is told how many are left."""
        _, second, _ = self.ids()
        self.publish(second)
        self.assertEqual([(told.count, told.body) for told in self.service.heard()], [(1, None)])
        self.publish(second)
        self.assertEqual(self.service.heard(), [])

    def shown(self, id: str, beside: str = "", to: str = ROMEO) -> None:
        """Her desk says in a message to somebody what it has shown."""
        found = f"<stanza-id xmlns='urn:xmpp:sid:0' by='{JULIET}' id='{id}'/>"
        inside = f"<displayed xmlns='{NODE}'>{found}</displayed>"
        self.desk.send(f"<message to='{to}'>{inside}{beside}</message>")

    def items(self) -> list[str]:
        """The conversations in the node."""
        query = f"<pubsub xmlns='{PUBSUB}'><items node='{NODE}'/></pubsub>"
        answer = ask(self.desk, "get", query)
        return [item.get("id", "") for item in answer.iter(f"{{{PUBSUB}}}item")]

    def test_assisted(self) -> None:
        """What a message says is published, and taken out before anybody else sees it (UN-6)."""
        _, second, _ = self.ids()
        self.romeo.raw()
        marker = "<displayed xmlns='urn:xmpp:chat-markers:0' id='2'/>"
        self.shown(second, marker)
        (came,) = self.romeo.received()
        self.assertIn(marker, came)
        self.assertNotIn(second, came)
        self.assertEqual(self.unread(), {"romeo": 1})
        self.assertEqual(self.items(), [ROMEO])

    def test_nothing_else(self) -> None:
        """A message that says nothing else goes nowhere."""
        *_, last = self.ids()
        self.romeo.raw()
        self.shown(last)
        self.assertEqual(self.romeo.received(), [])
        self.assertEqual(self.unread(), {"romeo": 0})

    def test_whose(self) -> None:
        """The conversation is with an account, or with an occupant of a room."""
        occupant = "<x xmlns='http://jabber.org/protocol/muc#user'/>"
        for to, beside in (
            ("nurse@capulet.lit/1", "<body>hi</body>"),
            ("ball@rooms.capulet.lit/nurse", f"<body>hi</body>{occupant}"),
        ):
            self.shown("1", beside, to)
        self.assertEqual(self.items(), ["nurse@capulet.lit", "ball@rooms.capulet.lit/nurse"])

    def test_open_node(self) -> None:
        """Nothing is published that others may read."""
        options = (
            "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' "
            f"type='hidden'><value>{PUBSUB}#publish-options</value></field>"
            "<field var='pubsub#access_model'><value>open</value></field></x></publish-options>"
        )
        publish = f"<publish node='{NODE}'><item id='x'><a xmlns='urn:a'/></item></publish>"
        ask(self.desk, "set", f"<pubsub xmlns='{PUBSUB}'>{publish}{options}</pubsub>")
        self.shown(self.ids()[0], "<body>hi</body>")
        self.assertEqual(self.items(), ["x"])

    def test_many(self) -> None:
        """Of many that wait those that are said last are published."""
        offered = self.house.plugins.offers.by_class
        nodes: Any = next(e for kind, e in offered.items() if kind.__name__ == "PubSubRequests")
        with_lock = nodes.engine.nodes.alone(NodeName(JULIET, NODE))
        done(with_lock.__aenter__())
        for number in range(MAX_WAITING + 5):
            self.shown("1", "<body>hi</body>", f"nurse{number}@capulet.lit")
        done(with_lock.__aexit__(None, None, None))
        kept = [f"nurse{number}@capulet.lit" for number in range(5, MAX_WAITING + 5)]
        self.assertEqual(self.items(), ["nurse0@capulet.lit", *kept])

    def test_nonsense(self) -> None:
        """What names nothing of her archive changes nothing."""
        first, *_ = self.ids()
        for id, peer, by in (
            ("unheard-of", ROMEO, JULIET),
            (first, "nurse@montague.lit", JULIET),
            (first, ROMEO, ROMEO),
        ):
            self.publish(id, peer, by)
        self.assertEqual(self.unread(), {"romeo": 3})

    def test_at_once(self) -> None:
        """What was shown in the moment in which it came is read as well."""
        self.send(id="4")
        *_, last = self.ids()
        self.assertEqual(self.publish(last), "result")
        self.assertEqual(self.unread(), {"romeo": 0})

    def test_unloaded(self) -> None:
        """Without the plugin the node is there, and nobody reads it."""
        done(self.house.plugins.unload("displayed_sync"))
        *_, last = self.ids()
        self.assertEqual(self.publish(last), "result")
        self.assertEqual(self.unread(), {"romeo": 3})
