"""XEP-0492: Chat Notification Settings (PN-8)."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from tests.plugins.inbox.inboxes import ask_inbox
from tests.plugins.push.service import (
    DOMAIN,
    GAP_S,
    JULIET,
    PLUGINS,
    ROMEO,
    PushCase,
    PushService,
    config,
    enable,
    message,
)
from xmppd.testing.client import done
from xmppd.testing.nodes import Nodes
from xmppd_plugins.notification_settings import NS

NODE = "urn:xmpp:bookmarks:1"
PUBSUB = "http://jabber.org/protocol/pubsub"
NURSE = f"nurse@{DOMAIN}"
NEEDED = ("caps", "private_storage", "pubsub", "pep", "bookmarks")
NEVER, MENTIONS, ALWAYS = "<never/>", "<on-mention/>", "<always/>"
PHONE = "identity-category='client' identity-type='phone'"


def bookmark(setting: str, peer: str = ROMEO) -> str:
    """What keeps a setting."""
    notify = f"<extensions><notify xmlns='{NS}'>{setting}</notify></extensions>"
    made = f"<conference xmlns='{NODE}'><nick>Jule</nick>{notify}</conference>"
    publish = f"<publish node='{NODE}'><item id='{peer}'>{made}</item></publish>"
    return f"<pubsub xmlns='{PUBSUB}'>{publish}</pubsub>"


class SettingsCase(PushCase):
    """Juliet's phone is away, and at her desk she says what it is to tell her."""

    plugins = ("archive", "inbox", *PLUGINS, *NEEDED, "notification_settings")

    def setUp(self) -> None:
        super().setUp()
        self.house.add("nurse")
        (self.nurse,) = self.house.connect("nurse")
        self.away()
        (self.desk,) = self.house.connect("juliet/desk")

    def bookmark(self, setting: str, peer: str = ROMEO) -> str:
        """At her desk she says so; how that was answered."""
        return condition(ask(self.desk, "set", bookmark(setting, peer)))

    def is_told(self, children: str = "<body>Wherefore?</body>") -> bool:
        """Whether a message of Romeo's is told to her phone."""
        self.wait(GAP_S)
        self.send(children)
        return bool(self.service.heard())


class MutedTests(SettingsCase):
    def test_never(self) -> None:
        """Of a conversation that is muted nothing is told, from the next message on; of others all
        is, and of this one again when it is muted no more.
        """
        self.assertTrue(self.is_told())
        self.assertEqual(self.bookmark(NEVER), "result")
        self.assertFalse(self.is_told())
        self.wait(GAP_S)
        self.nurse.send(message(JULIET))
        self.assertEqual(len(self.service.heard()), 1)
        self.bookmark(ALWAYS)
        self.assertTrue(self.is_told())

    def test_retracted(self) -> None:
        """Without its bookmark a conversation is not muted."""
        self.bookmark(NEVER)
        self.assertFalse(self.is_told())
        retract = f"<retract node='{NODE}'><item id='{ROMEO}'/></retract>"
        ask(self.desk, "set", f"<pubsub xmlns='{PUBSUB}'>{retract}</pubsub>")
        self.assertTrue(self.is_told())

    def test_mentions(self) -> None:
        """If mentions are told, a message is that has her name as a word, refers to her, or answers
        her.
        """
        self.bookmark(MENTIONS)
        reference = "<reference xmlns='urn:xmpp:reference:0' type='{}' uri='xmpp:{}'/>"
        reply = "<reply xmlns='urn:xmpp:reply:0' to='{}' id='1'/>"
        body = "<body>{}</body>"
        for children, is_told in (
            (body.format("a jule"), True),
            (body.format("Jule: come"), True),
            (body.format("jules, julep, unjule"), False),
            (body.format("you") + reference.format("mention", JULIET), True),
            (body.format("you") + reference.format("data", JULIET), False),
            (body.format("you") + reference.format("mention", NURSE), False),
            (body.format("yes") + reply.format(f"{JULIET}/desk"), True),
            (body.format("yes") + reply.format(f"{ROMEO}/1"), False),
            (body.format("yes") + reply.format("@"), False),
            ("<mentions xmlns='urn:xmpp:mmn:0'/>", True),
        ):
            with self.subTest(children=children):
                self.assertEqual(self.is_told(children), is_told)

    def test_identity(self) -> None:
        """What is said for phones holds for phones, else what is said for all clients, else what is
        said for all; other programs have their own.
        """
        other = "<always identity-category='client' identity-type='pc'/>"
        client = "<always identity-category='client'/>"
        for setting, is_told in (
            (f"<never {PHONE}/>{ALWAYS}", False),
            (f"{NEVER}<always {PHONE}/><never identity-category='client'/>", True),
            (f"{NEVER}{client}", True),
            (f"{NEVER}{other}", False),
            (other.replace("always", "never"), True),
            ("<never xmlns='urn:x'/>", True),
            ("", True),
        ):
            with self.subTest(setting=setting):
                self.bookmark(setting)
                self.assertEqual(self.is_told(), is_told)

    def test_count(self) -> None:
        """What is unread in a muted conversation is not in the number that a phone is told; the
        inbox shows it all the same.
        """
        self.bookmark(NEVER)
        self.send()
        self.send()
        self.nurse.send(message(JULIET))
        self.assertEqual([told.count for told in self.service.heard()], [1])
        answer = ask_inbox(self.desk)
        self.assertEqual(answer.unread, {"romeo": 2, "nurse": 1})
        self.assertEqual(answer.totals, (2, 2, 3))

    def test_no_address(self) -> None:
        """A bookmark that is of nobody mutes nobody."""
        for peer in ("@", "current"):
            self.bookmark(NEVER, peer)
        self.assertTrue(self.is_told())

    def test_unloaded(self) -> None:
        """Without the plugin everything is told, and with it again what is muted is not."""
        self.bookmark(NEVER)
        done(self.house.plugins.unload("notification_settings"))
        self.assertTrue(self.is_told())
        done(self.house.plugins.load("notification_settings"))
        self.assertFalse(self.is_told())

    def test_removed(self) -> None:
        """Who gets the name of an account has muted nothing."""
        self.bookmark(NEVER)
        self.assertFalse(self.is_told())
        done(self.house.server.accounts.remove(self.house.jid("juliet")))
        self.house.add("juliet")
        self.away()
        self.assertTrue(self.is_told())


class NodesTests(SynchronousTestCase):
    """Romeo is at a, and Juliet has her phone at b and her desk at c."""

    def test_elsewhere(self) -> None:
        """What is said at one node holds at all others."""
        plugins = (*PLUGINS, *NEEDED, "notification_settings")
        nodes = Nodes(
            "a", "b", "c", config=config(*plugins), plugins=plugins, romeo={}, juliet={}
        )  # fmt: skip
        service = PushService(*nodes.houses.values())
        (phone,) = nodes["b"].connect("juliet/phone")
        self.assertEqual(enable(phone), "result")
        phone.send("</stream:stream>")
        (romeo,), (desk,) = nodes["a"].connect("romeo"), nodes["c"].connect("juliet/desk")
        for setting, told in (("", 1), (NEVER, 0), (ALWAYS, 1)):
            nodes.settle()
            self.assertEqual(condition(ask(desk, "set", bookmark(setting))), "result")
            for _ in range(int(GAP_S)):
                nodes.clock.advance(1)
                nodes.settle()
            romeo.send(message(JULIET))
            nodes.settle()
            self.assertEqual(len(service.heard()), told, setting)
            nodes.settle()
