"""XEP-0049: Private XML Storage."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.stanza import Tree
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config

NOTES = "<storage xmlns='storage:rosternotes'>{}</storage>"
BOOKMARKS = "<storage xmlns='storage:bookmarks'><conference jid='hall@rooms.lit'/></storage>"


def query(inside: str) -> str:
    """Elements as they are asked for or brought."""
    return f"<query xmlns='jabber:iq:private'>{inside}</query>"


def found(client: Client, *asked: str) -> list[Tree]:
    """What is kept under these names."""
    answer = ask(client, "get", query("".join(asked)))
    return list(answer[0])


class PrivateStorageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(plugins=("private_storage",), romeo={}, juliet={})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def test_keep(self) -> None:
        """What one client keeps another client of mine finds."""
        self.assertEqual(condition(ask(self.juliet, "set", query(NOTES.format("wise")))), "result")
        other = self.house.bind("juliet", "balcony")
        (kept,) = found(other, NOTES.format(""))
        self.assertEqual((kept.tag, kept.text), ("{storage:rosternotes}storage", "wise"))

    def test_missing(self) -> None:
        """What was never kept comes back empty."""
        (kept,) = found(self.juliet, BOOKMARKS)
        self.assertEqual((kept.tag, len(kept)), ("{storage:bookmarks}storage", 0))

    def test_several(self) -> None:
        """Several elements are kept and found at once, each by its name."""
        ask(self.juliet, "set", query(NOTES.format("wise") + BOOKMARKS))
        notes, bookmarks = found(self.juliet, NOTES.format(""), BOOKMARKS)
        self.assertEqual(notes.text, "wise")
        self.assertEqual(bookmarks[0].get("jid"), "hall@rooms.lit")

    def test_several_of_one_name(self) -> None:
        """Elements of the same name that come together are kept together."""
        ask(self.juliet, "set", query(NOTES.format("one") + NOTES.format("two")))
        kept = found(self.juliet, NOTES.format(""))
        self.assertEqual([tree.text for tree in kept], ["one", "two"])

    def test_replace_and_forget(self) -> None:
        """A new element replaces the old one, and an empty one leaves nothing."""
        ask(self.juliet, "set", query(NOTES.format("wise")))
        ask(self.juliet, "set", query(NOTES.format("wiser")))
        self.assertEqual(found(self.juliet, NOTES.format(""))[0].text, "wiser")
        ask(self.juliet, "set", query(NOTES.format("")))
        self.assertIsNone(found(self.juliet, NOTES.format(""))[0].text)

    def test_private(self) -> None:
        """Nobody sees or changes what is somebody else's; nor does anybody see it by asking."""
        ask(self.juliet, "set", query(NOTES.format("secret")))
        for type in ("get", "set"):
            for to in ("juliet@montague.lit", "montague.lit"):
                with self.subTest(type=type, to=to):
                    answer = ask(self.romeo, type, query(NOTES.format("mine")), to)
                    self.assertEqual(condition(answer), "forbidden")
        self.assertEqual(found(self.juliet, NOTES.format(""))[0].text, "secret")
        self.assertIsNone(found(self.romeo, NOTES.format(""))[0].text)

    def test_refused(self) -> None:
        """Requests that name nothing, or something that is not a client's to name."""
        cases = [
            ("get", "", "bad-request"),
            ("set", "", "not-acceptable"),
            ("set", "only text", "not-acceptable"),
            ("get", "<storage/>", "not-acceptable"),
            ("set", "<storage xmlns=''>x</storage>", "not-acceptable"),
            ("set", "<query xmlns='jabber:client'>x</query>", "not-acceptable"),
            ("set", "<query xmlns='jabber:iq:roster'/>", "not-acceptable"),
            ("set", NOTES.format("x") + "<storage/>", "not-acceptable"),
            ("get", "".join(f"<a xmlns='urn:{n}'/>" for n in range(33)), "not-acceptable"),
        ]
        for type, inside, expected in cases:
            with self.subTest(type=type, inside=inside[:40]):
                self.assertEqual(condition(ask(self.juliet, type, query(inside))), expected)
        self.assertIsNone(found(self.juliet, NOTES.format(""))[0].text)

    def test_asked_often_in_one_request(self) -> None:
        """To name one element many times gets it once."""
        ask(self.juliet, "set", query(NOTES.format("wise")))
        self.assertEqual(len(found(self.juliet, *[NOTES.format("")] * 32)), 1)


class LimitTests(SynchronousTestCase):
    def client(self, **items: int) -> Client:
        """Juliet in a house with such limits."""
        config = house_config("montague.lit", items=items)
        return House(config=config, plugins=("private_storage",), juliet={}).connect("juliet")[0]

    def test_large_element(self) -> None:
        """An element that is too large is refused, and nothing that came with it is kept."""
        juliet = self.client(max_item_bytes=200)
        answer = ask(juliet, "set", query(BOOKMARKS + NOTES.format("x" * 200)))
        self.assertEqual(condition(answer), "not-acceptable")
        self.assertEqual(len(found(juliet, BOOKMARKS)[0]), 0)

    def test_quota(self) -> None:
        """When there is no room, that is what the client is told."""
        juliet = self.client(max_items=2)
        for number in range(2):
            ask(juliet, "set", query(f"<a xmlns='urn:{number}'>x</a>"))
        answer = ask(juliet, "set", query("<a xmlns='urn:2'>x</a>"))
        self.assertEqual(condition(answer), "resource-constraint")
        self.assertIn("2 items", answer.findtext("error/{*}text") or "")
