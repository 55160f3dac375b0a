"""Copies of messages: what becomes of them where things go wrong, or somebody cheats."""

from xml.etree import ElementTree

from tests.plugins.test_carbons import (
    BODY,
    CARBONS,
    DOMAIN,
    ERROR,
    FORWARD,
    JULIET,
    ROMEO,
    CarbonsTestCase,
    carbons_of,
    in_a_word,
    message,
)
from xmppd.events import OWNER
from xmppd.message.decision import MATCH, Cell, Decision
from xmppd.message.follower import Course
from xmppd.session.interceptor_manager import PacketInterceptor, S
from xmppd.stanza import JID, Message, ns, stanza, xml
from xmppd.testing.client import Client, done
from xmppd_plugins.carbons import MAX_REMEMBERED

FORGED = (
    f"<received xmlns='{CARBONS}'><forwarded xmlns='{FORWARD}'><message xmlns='{ns.CLIENT}'"
    f" from='{ROMEO}/1' to='{JULIET}/a' type='chat'>{BODY}</message></forwarded></received>"
)


class Uppercase(PacketInterceptor):
    """Changes what goes out."""

    outgoing_kinds = (Message,)

    def outgoing(self, stanza: S, session: JID) -> S | None:
        return stanza.addressed(stanza.to or session)


class Buggy(PacketInterceptor):
    """Fails on everything that goes out."""

    outgoing_kinds = (Message,)

    def outgoing(self, stanza: S, session: JID) -> S | None:
        raise ZeroDivisionError


class ForgedTests(CarbonsTestCase):
    """Somebody writes what looks like a copy."""

    def senders(self, stanza: str) -> list[str | None]:
        """Who a forged copy seems to come from, for each resource of Juliet's that gets it."""
        return [
            ElementTree.fromstring(each).get("from")
            for client in self.juliet
            for each in client.received()
        ]

    def test_stranger(self) -> None:
        """It comes from who wrote it, and so no client takes it for a copy (§11)."""
        self.tybalt.send(message(f"{JULIET}/a", FORGED, "normal"))
        self.assertEqual(self.senders(FORGED), [f"tybalt@{DOMAIN}/1"])

    def test_stranger_in_chat(self) -> None:
        """A chat message is copied whatever is in it, and says in the copy who wrote it."""
        self.tybalt.send(message(f"{JULIET}/a", FORGED))
        original, copy, _ = (client.received()[0] for client in self.juliet)
        self.assertEqual(ElementTree.fromstring(original).get("from"), f"tybalt@{DOMAIN}/1")
        inner = ElementTree.fromstring(copy)[0][0][0]
        self.assertEqual(inner.get("from"), f"tybalt@{DOMAIN}/1")
        self.assertEqual(inner[0].tag, f"{{{CARBONS}}}received")

    def test_from_own_account(self) -> None:
        """Not even my own resource can write as my account: its full address is put there."""
        stanza = message(f"{JULIET}/b", FORGED, "normal")
        self.juliet[0].send(stanza.replace("<message", f"<message from='{JULIET}'", 1))
        self.assertEqual(self.senders(FORGED), [f"{JULIET}/a"])

    def test_from_somebody_else(self) -> None:
        """Who writes somebody else's address is cut off."""
        stanza = message(f"{JULIET}/a", FORGED)
        self.tybalt.send(stanza.replace("<message", f"<message from='{JULIET}'", 1))
        self.assertIn(b"invalid-from", self.tybalt.raw())
        self.assertEqual(self.senders(FORGED), [])


class LostTests(CarbonsTestCase):
    """What a lost session had not read."""

    def setUp(self) -> None:
        super().setUp()
        self.juliet[0].stop_reading()

    def stored(self) -> int:
        return len(done(self.house.store.offline.offline_messages(JULIET)))

    def test_copy_is_dropped(self) -> None:
        """A copy that nobody read is gone: the message itself has arrived elsewhere."""
        self.romeo.send(message(f"{JULIET}/b"))
        self.juliet[1].send(message(f"{ROMEO}/1"))
        self.clear()
        for client in self.juliet:
            client.abort()
        self.assertEqual(self.stored(), 0)
        self.assertEqual([each for each in self.romeo.received() if "<message" in each], [])

    def test_copied_once(self) -> None:
        """Who has had a copy does not get the message again when it is taken back."""
        self.juliet[1].send("<presence><priority>5</priority></presence>")
        self.clear()
        self.romeo.send(message(f"{JULIET}/a"))
        self.assertEqual(self.got(), ["", "received", "received"])
        self.juliet[0].abort()
        self.assertEqual(self.messages(), ["", ""])
        self.assertEqual(self.stored(), 0)

    def test_last(self) -> None:
        """The last that ends without having read it gives it back, copy or not."""
        for order in ((0, 1, 2), (2, 1, 0)):
            self.setUp()
            self.romeo.send(message(f"{JULIET}/a"))
            for number in order:
                self.assertEqual(self.stored(), 0)
                self.juliet[number].stop_reading()
            self.romeo.send(message(f"{JULIET}/a"))
            for number in order:
                self.assertEqual(self.stored(), 0)
                self.juliet[number].abort()
            self.assertEqual(self.stored(), 1, order)

    def test_copied_late(self) -> None:
        """Who asks for copies meanwhile gets one when the message is taken back."""
        for client in self.juliet:
            carbons_of(self.house).disable(client.session)
        self.romeo.send(message(f"{JULIET}/a"))
        self.juliet[1].send("<presence><priority>5</priority></presence>")
        carbons_of(self.house).enable(self.juliet[2].session)
        self.clear()
        self.juliet[0].abort()
        self.assertEqual(self.messages(), ["itself", "received"])

    def test_sent_once(self) -> None:
        """The sender's resources saw it when it was sent, and not again."""
        (orchard,) = self.house.connect("romeo/orchard")
        carbons_of(self.house).enable(orchard.session)
        self.romeo.send(message(f"{JULIET}/a"))
        self.assertEqual([in_a_word(each) for each in orchard.received()], ["sent"])
        self.juliet[0].abort()
        self.assertEqual([each for each in orchard.received() if "<body>" in each], [])

    def messages(self) -> list[str]:
        """What the other two got beside presence."""
        return [
            " ".join(in_a_word(each) for each in client.received() if each.startswith("<message"))
            for client in self.juliet[1:]
        ]


class KeptTests(CarbonsTestCase):
    """Devices that acknowledge what they get: what was sent to them is kept, as bytes only."""

    def test_no_tree(self) -> None:
        """Whether a message is copied is seen without reading it again, and leaves no tree."""
        for client in self.juliet:
            client.enable()
        read: list[bytes] = []
        self.patch(stanza, "read", lambda data: read.append(data) or xml.read(data))
        for to in (f"{JULIET}/a", JULIET):
            self.romeo.send(message(to))
        self.assertEqual(read, [])
        for client in self.juliet:
            kept = [each for each, _, _ in client.session.unread() if isinstance(each, Message)]
            self.assertEqual(len(kept), 2)
            for each in kept:
                self.assertIsNone(each.payload._tree)


class ForbiddenTests(CarbonsTestCase):
    """Privacy lists and blocking."""

    def block(self, client: Client, jid: str) -> None:
        client.send(f"<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{jid}'/>"
                    "</block></iq>")  # fmt: skip
        self.clear()

    def test_blocked(self) -> None:
        """Who is blocked is neither heard nor copied."""
        self.block(self.juliet[0], ROMEO)
        for to in (JULIET, f"{JULIET}/a"):
            for kind in ("chat", "normal"):
                self.romeo.send(message(to, kind=kind))
                self.assertEqual(self.got(), ["", "", ""])

    def test_to_blocked(self) -> None:
        """What I may not send, my other resources do not see as sent."""
        self.block(self.juliet[0], ROMEO)
        self.juliet[0].send(message(ROMEO))
        self.assertEqual(self.got(), ["error", "", ""])

    def test_active_list(self) -> None:
        """A resource whose own list denies a sender gets no copy; what my others send, it gets."""
        self.juliet[2].send(
            "<iq type='set' id='1'><query xmlns='jabber:iq:privacy'><list name='no'>"
            f"<item type='jid' value='{ROMEO}' action='deny' order='1'><message/></item>"
            "</list></query></iq><iq type='set' id='2'><query xmlns='jabber:iq:privacy'>"
            "<active name='no'/></query></iq>"
        )
        self.clear()
        self.romeo.send(message(f"{JULIET}/a"))
        self.assertEqual(self.got(), ["itself", "received", ""])
        self.juliet[0].send(message(ROMEO))
        self.assertEqual(self.got(), ["", "sent", "sent"])


class InterceptedTests(CarbonsTestCase):
    """Plugins that look at what goes out."""

    def test_changed(self) -> None:
        """They see a copy as a message from the account to the resource, and its own content."""
        self.house.server.interceptors.put(Uppercase(), OWNER)
        self.romeo.send(message(f"{JULIET}/a"))
        (copy,) = self.juliet[1].received()
        tree = ElementTree.fromstring(copy)
        self.assertEqual((tree.get("from"), tree.get("to")), (JULIET, f"{JULIET}/b"))
        self.assertEqual(tree[0][0][0].tag, f"{{{ns.CLIENT}}}message")

    def test_failing(self) -> None:
        """One that fails costs nobody a copy."""
        self.house.server.interceptors.put(Buggy(), OWNER)
        self.romeo.send(message(f"{JULIET}/a"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        self.assertEqual(self.got(), ["itself", "received", "received"])


def came(message: Message) -> Course:
    """A message that has come for Juliet."""
    return Course(message, message.payload.tree, JULIET, Decision(Cell.DELIVERED, MATCH))


class LimitTests(CarbonsTestCase):
    """What is remembered."""

    def test_remembered(self) -> None:
        """Of so many messages, and no more, it is remembered that errors are copied."""
        carbons = carbons_of(self.house)
        romeo, juliet = JID.parse(f"{ROMEO}/1"), JID.parse(f"{JULIET}/a")
        for number in range(MAX_REMEMBERED):
            carbons.follow(came(Message.make(juliet, romeo, id=str(number), type="chat")))
        self.clear()

        def copied(number: int) -> bool:
            self.juliet[0].send(message(f"{ROMEO}/1", ERROR, "error", str(number)))
            return self.got()[1] == "sent"

        self.assertTrue(copied(0))
        carbons.follow(came(Message.make(juliet, romeo, id="one more", type="chat")))
        self.clear()
        self.assertFalse(copied(0))
        self.assertTrue(copied(MAX_REMEMBERED // 2))

    def test_reply_to_copy(self) -> None:
        """A client that answers a copy with an error bothers nobody (§10.3)."""
        self.romeo.send(message(f"{JULIET}/b"))
        self.clear()
        self.romeo.raw()
        self.juliet[0].send(message(JULIET, ERROR, "error"))
        self.assertEqual(self.got(), ["", "", ""])
        self.assertEqual(self.romeo.received(), [])
