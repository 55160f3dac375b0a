"""The example that is written with wokkel, inside the server."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd_plugins.example_wokkel import MAX_BOARDS, MAX_NOTICES

BOARD = "board.montague.lit"
PUBSUB = "http://jabber.org/protocol/pubsub"
INFO = "<query xmlns='http://jabber.org/protocol/disco#info'/>"


def publish(node: str, id: str, text: str) -> str:
    """A request to hang up a notice."""
    return (
        f"<pubsub xmlns='{PUBSUB}'><publish node='{node}'><item id='{id}'>"
        f"<notice xmlns='urn:example:notice'>{text}</notice></item></publish></pubsub>"
    )


def items(node: str) -> str:
    """A request for what hangs there."""
    return f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>"


def subscribe(node: str, jid: str) -> str:
    """A request to hear of more."""
    return f"<pubsub xmlns='{PUBSUB}'><subscribe node='{node}' jid='{jid}'/></pubsub>"


class NoticeboardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(plugins=("disco", "example_wokkel"), romeo={}, juliet={})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def test_publish(self) -> None:
        """A reader hears of each notice, and whoever comes later can read it."""
        self.assertEqual(
            condition(ask(self.juliet, "set", publish("verona", "1", "A plague"), BOARD)), "result"
        )
        self.assertEqual(
            condition(ask(self.romeo, "set", subscribe("verona", "romeo@montague.lit"), BOARD)),
            "result",
        )
        ask(self.juliet, "set", publish("verona", "2", "on both houses"), BOARD)
        (event,) = self.romeo.received()
        self.assertTrue(event.startswith(f"<message from='{BOARD}' to='romeo@montague.lit'>"))
        self.assertIn("<notice xmlns='urn:example:notice'>on both houses</notice>", event)
        found = ask(self.romeo, "get", items("verona"), BOARD)
        self.assertEqual("".join(found.itertext()), "A plagueon both houses")

    def test_others(self) -> None:
        """Nobody subscribes somebody else."""
        ask(self.juliet, "set", publish("verona", "1", "A plague"), BOARD)
        answer = ask(self.romeo, "set", subscribe("verona", "juliet@montague.lit"), BOARD)
        self.assertEqual(condition(answer), "forbidden")

    def test_nothing_there(self) -> None:
        """A board that nobody has used is not there."""
        answer = ask(self.romeo, "get", items("mantua"), BOARD)
        self.assertEqual(condition(answer), "item-not-found")

    def test_bounded(self) -> None:
        """Old notices fall off, and there are only so many boards."""
        for number in range(MAX_NOTICES + 5):
            ask(self.romeo, "set", publish("verona", str(number), "."), BOARD)
        found = ask(self.romeo, "get", items("verona"), BOARD)
        self.assertEqual("".join(found.itertext()), "." * MAX_NOTICES)
        for number in range(MAX_BOARDS - 1):
            ask(self.romeo, "set", publish(str(number), "1", "."), BOARD)
        answer = ask(self.romeo, "set", publish("one more", "1", "."), BOARD)
        self.assertEqual(condition(answer), "resource-constraint")

    def test_looked_at(self) -> None:
        """It is listed, says what it is, which boards it has, and answers pings."""
        found = ask(self.romeo, "get", "<query xmlns='http://jabber.org/protocol/disco#items'/>",
                    "montague.lit")  # fmt: skip
        self.assertEqual([item.get("jid") for item in found.iter() if item.get("jid")], [BOARD])
        info = ask(self.romeo, "get", INFO, BOARD)
        features = {feature.get("var") for feature in info[0]}
        self.assertTrue({f"{PUBSUB}#publish", "urn:xmpp:ping", "jabber:iq:version"} <= features)
        self.assertEqual(
            condition(ask(self.romeo, "get", "<ping xmlns='urn:xmpp:ping'/>", BOARD)), "result"
        )
        version = ask(self.romeo, "get", "<query xmlns='jabber:iq:version'/>", BOARD)
        self.assertEqual("".join(version.itertext()), "Notice board1.0")

    def test_unload(self) -> None:
        """It goes while the server runs, and comes back."""
        done(self.house.plugins.unload("example_wokkel"))
        self.assertEqual(condition(ask(self.romeo, "get", INFO, BOARD)), "remote-server-not-found")
        done(self.house.plugins.load("example_wokkel"))
        self.assertEqual(condition(ask(self.romeo, "get", INFO, BOARD)), "result")
