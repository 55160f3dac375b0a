"""XEP-0280: Message Carbons."""

from typing import cast
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.stanza import ns
from xmppd.testing.client import Client, done
from xmppd.testing.house import House
from xmppd_plugins.carbons import Carbons

DOMAIN = "montague.lit"
JULIET = f"juliet@{DOMAIN}"
ROMEO = f"romeo@{DOMAIN}"
CARBONS = "urn:xmpp:carbons:2"
FORWARD = "urn:xmpp:forward:0"
PRIVATE = f"<private xmlns='{CARBONS}'/>"
NO_COPY = "<no-copy xmlns='urn:xmpp:hints'/>"
BODY = "<body>Wherefore?</body>"
TYPING = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
RECEIPT = "<received xmlns='urn:xmpp:receipts' id='7'/>"
MARKER = "<displayed xmlns='urn:xmpp:chat-markers:0' id='7'/>"
ROOM = "<x xmlns='http://jabber.org/protocol/muc#user'>{}</x>"
MEDIATED = ROOM.format("<invite from='nurse@montague.lit'/>")
DIRECT = "<x xmlns='jabber:x:conference' jid='hall@rooms.lit'/>"
ERROR = f"<error type='cancel'><gone xmlns='{ns.STANZA_ERRORS}'/></error>"


def enable(client: Client, word: str = "enable") -> str:
    """Turn carbons on, or off; how that was answered."""
    return condition(ask(client, "set", f"<{word} xmlns='{CARBONS}'/>"))


def carbons_of(house: House) -> Carbons:
    """Those of the plugin that is loaded."""
    for follower in house.server.followers.all():
        if follower.__class__.__name__ == Carbons.__name__:
            return cast(Carbons, follower)  # it may have been read anew since this was
    raise AssertionError("the plugin is not loaded")


def message(to: str, children: str = BODY, kind: str | None = "chat", id: str = "m") -> str:
    """A message as a client writes it."""
    written = "" if kind is None else f" type='{kind}'"
    return f"<message to='{to}'{written} id='{id}'>{children}</message>"


class CarbonsTestCase(SynchronousTestCase):
    """Romeo has one resource; Juliet has three, all with carbons."""

    def setUp(self) -> None:
        both = {"juliet": "both"}
        self.house = House(
            DOMAIN, plugins=("carbons", "disco", "blocking", "privacy_lists"),
            romeo=both, tybalt={}, juliet={"romeo": "both"},
        )  # fmt: skip
        (self.romeo, self.tybalt, *self.juliet) = self.house.connect(
            "romeo", "tybalt", "juliet/a", "juliet/b", "juliet/c"
        )
        for client in self.juliet:
            self.assertEqual(enable(client), "result")
        self.clear()

    def clear(self) -> None:
        for client in (self.romeo, self.tybalt, *self.juliet):
            client.raw()

    def got(self) -> list[str]:
        """What each of Juliet's resources got, in a word."""
        return [" ".join(map(in_a_word, client.received())) for client in self.juliet]


def in_a_word(stanza: str) -> str:
    """Whether a message came as itself or as a copy."""
    tree = ElementTree.fromstring(stanza)
    for direction in ("sent", "received"):
        if tree.find(f"{{{CARBONS}}}{direction}") is not None:
            return direction
    return "error" if tree.get("type") == "error" else "itself"


class CopyTests(CarbonsTestCase):
    """Who gets a copy, and what it looks like."""

    def test_counted(self) -> None:
        """Copies are counted for who has sent what they are of."""
        before = self.romeo.handler.counts.so_far()
        self.romeo.send(message(f"juliet@{DOMAIN}/a"))
        grown = self.romeo.handler.counts.so_far()
        self.assertEqual(grown.deliveries - before.deliveries, 3)

    def test_disco(self) -> None:
        """The server says that it knows carbons, and by which rules (§3, §6.2)."""
        info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        answer = ask(self.romeo, "get", info, DOMAIN)
        features = [feature.get("var") for feature in answer[0]]
        self.assertIn(CARBONS, features)
        self.assertIn("urn:xmpp:carbons:rules:0", features)

    def test_received(self) -> None:
        """What comes for one of my resources, the others get as a copy (§7)."""
        self.romeo.send(message(f"{JULIET}/a"))
        self.assertEqual(self.got(), ["itself", "received", "received"])

    def test_bytes(self) -> None:
        """A copy comes from my account to my resource, around the message as it was sent (§7)."""
        self.romeo.send(message(f"{JULIET}/a", "<body>a &amp; b</body><x xmlns='urn:x'><y/></x>"))
        self.assertEqual(
            self.juliet[1].raw().decode(),
            f"<message from='{JULIET}' to='{JULIET}/b' type='chat'>"
            f"<received xmlns='{CARBONS}'><forwarded xmlns='{FORWARD}'>"
            f"<message xmlns='{ns.CLIENT}' from='{ROMEO}/1' to='{JULIET}/a' type='chat' id='m'>"
            "<body>a &amp; b</body><x xmlns='urn:x'><y/></x></message>"
            "</forwarded></received></message>",
        )

    def test_sent(self) -> None:
        """What one of my resources sends, the others see, and it does not (§8)."""
        self.juliet[0].send(message(f"{ROMEO}/1"))
        self.assertEqual(self.got(), ["", "sent", "sent"])
        (original,) = self.romeo.received()
        self.assertNotIn(CARBONS, original)

    def test_sender_without_carbons(self) -> None:
        """A resource that wants no copies is copied all the same (§8)."""
        self.assertEqual(enable(self.juliet[0], "disable"), "result")
        self.juliet[0].send(message(ROMEO))
        self.assertEqual(self.got(), ["", "sent", "sent"])

    def test_sent_elsewhere(self) -> None:
        """What is sent where nothing can arrive is copied, and so is the error (§6.1)."""
        self.juliet[0].send(message("hamlet@elsinore.lit"))
        self.assertEqual(self.got(), ["error", "sent received", "sent received"])

    def test_bare(self) -> None:
        """Whoever gets a message itself gets no copy of it (§7)."""
        self.juliet[1].send("<presence><priority>5</priority></presence>")
        self.clear()
        self.romeo.send(message(JULIET))
        self.assertEqual(self.got(), ["received", "itself", "received"])

    def test_forked(self) -> None:
        """A message that all resources get is not copied to any."""
        self.romeo.send(message(JULIET))
        self.assertEqual(self.got(), ["itself"] * 3)

    def test_to_myself(self) -> None:
        """A note to my own account reaches each other resource, once."""
        self.juliet[1].send("<presence><priority>5</priority></presence>")
        self.clear()
        self.juliet[0].send(message(JULIET))
        self.assertEqual(self.got(), ["", "itself", "sent"])
        self.juliet[0].send(f"<message type='chat'>{BODY}</message>")
        self.assertEqual(self.got(), ["", "itself", "sent"])
        self.juliet[0].send(message(f"{JULIET}/c"))
        self.assertEqual(self.got(), ["", "sent", "itself"])

    def test_not_available(self) -> None:
        """Copies go to every resource that asked for them, with or without presence (§7)."""
        self.juliet[1].send("<presence type='unavailable'/>")
        self.juliet[2].send("<presence><priority>-1</priority></presence>")
        self.clear()
        self.romeo.send(message(JULIET))
        self.assertEqual(self.got(), ["itself", "received", "received"])

    def test_stored(self) -> None:
        """A message that is stored for whoever comes next is copied to those that do not want it
        themselves, and to nobody who gets it when they are available (CA-3).
        """
        for client in self.juliet:
            client.send("<presence type='unavailable'/>")
        self.juliet[2].send("<presence><priority>-1</priority></presence>")
        self.clear()
        self.romeo.send(message(JULIET))
        self.assertEqual(self.got(), ["", "", "received"])
        self.assertEqual(len(done(self.house.store.offline.offline_messages(JULIET))), 1)
        self.juliet[0].send("<presence/>")
        self.assertEqual([client.raw().count(b"<body>") for client in self.juliet], [1, 0, 0])

    def test_about_to_come(self) -> None:
        """Who has enabled carbons and is about to become available gets each message once, however
        many came meanwhile (MR-7).
        """
        for client in self.juliet:
            client.send("</stream:stream>")
        self.romeo.send(message(JULIET))
        phone, desk = self.house.bind("juliet", "phone"), self.house.bind("juliet", "desk")
        for client in (phone, desk):
            self.assertEqual(enable(client), "result")
        self.romeo.send(message(JULIET))
        self.romeo.send(message(f"{JULIET}/phone"))
        for client in (phone, desk):
            self.assertEqual(client.raw().count(b"<body>"), 0)
        phone.send("<presence/>")
        self.assertEqual(phone.raw().count(b"<body>"), 3)
        desk.send("<presence/>")
        self.assertEqual(desk.raw().count(b"<body>"), 0)

    def test_bounced(self) -> None:
        """A message that comes back to its sender is not copied."""
        self.romeo.send(message(f"{JULIET}/gone", kind="normal"))
        self.assertEqual(self.got(), ["", "", ""])
        (answer,) = self.romeo.received()
        self.assertIn("service-unavailable", answer)

    def test_resource_gone(self) -> None:
        """A chat message to a resource that has left goes to the account, and is copied (§7)."""
        self.juliet[1].send("<presence><priority>5</priority></presence>")
        self.clear()
        self.romeo.send(message(f"{JULIET}/gone"))
        self.assertEqual(self.got(), ["received", "itself", "received"])

    def test_left(self) -> None:
        """A session that has gone gets no copies, nor does its successor that did not ask."""
        self.juliet[1].abort()
        self.juliet[2].abort()
        (self.juliet[2],) = self.house.connect("juliet/c")
        self.clear()
        self.romeo.send(message(f"{JULIET}/a"))
        self.assertEqual(self.got(), ["itself", "", ""])
        self.assertEqual(len(carbons_of(self.house).sessions[JULIET]), 1)
        self.juliet[0].abort()
        self.assertEqual(self.house.server.followers.of, {})


class EligibleTests(CarbonsTestCase):
    """Which messages are copied (§6.1)."""

    def assert_copied(
        self, children: str, kind: str | None, *, sent: bool, received: bool | None = None
    ) -> None:
        received = sent if received is None else received
        with self.subTest(children=children, kind=kind):
            self.romeo.send(message(f"{JULIET}/a", children, kind))
            copy = "received" if received else ""
            got = ["error" if kind == "error" else "itself", copy, copy]
            self.assertEqual(self.got(), got)
            self.juliet[0].send(message(f"{ROMEO}/1", children, kind))
            copy = "sent" if sent else ""
            self.assertEqual(self.got(), ["", copy, copy])

    def test_types(self) -> None:
        """Chat is copied whatever is in it, a normal message with a body, and nothing else."""
        self.assert_copied(BODY, "chat", sent=True)
        self.assert_copied("<x xmlns='urn:x'/>", "chat", sent=True)
        for kind in (None, "normal", "unheard-of"):
            self.assert_copied(BODY, kind, sent=True)
            self.assert_copied("<subject>?</subject>", kind, sent=False)
            self.assert_copied("<x xmlns='urn:x'/>", kind, sent=False)
        self.assert_copied(BODY, "headline", sent=False)
        self.assert_copied(BODY + MEDIATED + TYPING, "groupchat", sent=False)

    def test_instant_messaging(self) -> None:
        """Receipts, chat states and markers are copied in messages of any type."""
        for payload in (TYPING, RECEIPT, MARKER):
            for kind in ("chat", "normal", None):
                self.assert_copied(payload, kind, sent=True)

    def test_private(self) -> None:
        """What is marked as private, or not to be copied, is not copied (§9)."""
        for kind in ("chat", "normal"):
            for payload in (PRIVATE, NO_COPY, PRIVATE + NO_COPY, TYPING + PRIVATE):
                self.assert_copied(BODY + payload, kind, sent=False)

    def test_private_stays(self) -> None:
        """The mark arrives with the message: nobody should be misled about what was copied (§9)."""
        self.romeo.send(message(f"{JULIET}/a", BODY + PRIVATE + NO_COPY))
        (original,) = self.juliet[0].received()
        self.assertIn(PRIVATE, original)
        self.assertIn(NO_COPY, original)

    def test_rooms(self) -> None:
        """Invitations are copied; a private message in a room only to the one who writes it."""
        for kind in (None, "normal", "chat"):
            self.assert_copied(MEDIATED, kind, sent=True)
            self.assert_copied(DIRECT, kind, sent=True)
        self.assert_copied(BODY + ROOM.format(""), "chat", sent=True, received=False)

    def test_errors(self) -> None:
        """An error is copied if what it answers was copied, in both directions."""
        self.juliet[0].send(message(f"{ROMEO}/1", id="bad"))
        self.romeo.send(message(f"{JULIET}/b", id="worse"))
        self.juliet[0].send(message(f"{ROMEO}/1", BODY + PRIVATE, id="mine"))
        self.clear()
        self.romeo.send(message(f"{JULIET}/a", ERROR, "error", "bad"))
        self.assertEqual(self.got(), ["error", "received", "received"])
        self.juliet[1].send(message(f"{ROMEO}/1", ERROR, "error", "worse"))
        self.assertEqual(self.got(), ["sent", "", "sent"])
        for sender, id in ((self.romeo, "mine"), (self.romeo, "unheard-of"), (self.tybalt, "bad")):
            sender.send(message(f"{JULIET}/a", BODY + ERROR, "error", id))
            self.assertEqual(self.got(), ["error", "", ""])

    def test_error_of_forked(self) -> None:
        """An error that answers what all resources got is copied to the others."""
        self.romeo.send(message(JULIET, id="bad"))
        self.clear()
        self.juliet[0].send(message(f"{ROMEO}/1", ERROR, "error", "bad"))
        self.assertEqual(self.got(), ["", "sent", "sent"])

    def test_error_to_nobody(self) -> None:
        """An error for a resource that has left still reaches the others (§6.1)."""
        self.juliet[0].send(message(f"{ROMEO}/1", id="bad"))
        self.juliet[0].abort()
        self.clear()
        self.romeo.send(message(f"{JULIET}/a", ERROR, "error", "bad"))
        self.assertEqual(self.got(), ["", "received", "received"])


class EnableTests(CarbonsTestCase):
    """Turning carbons on and off."""

    def test_many_times(self) -> None:
        """Thousands of enables are one (§10.1)."""
        for _ in range(2_000):
            self.assertEqual(enable(self.juliet[0]), "result")
        self.assertEqual(len(carbons_of(self.house).sessions[JULIET]), 3)
        self.romeo.send(message(f"{JULIET}/b"))
        self.assertEqual(self.got(), ["received", "itself", "received"])

    def test_disable(self) -> None:
        """Who turns them off gets none; doing so twice is no mistake (§10.1)."""
        for _ in range(2):
            self.assertEqual(enable(self.juliet[2], "disable"), "result")
        self.romeo.send(message(f"{JULIET}/b"))
        self.assertEqual(self.got(), ["received", "itself", ""])
        for client in self.juliet[:2]:
            enable(client, "disable")
        self.assertEqual(self.house.server.followers.of, {})

    def test_others(self) -> None:
        """Nobody turns them on for somebody else (§4.1)."""
        answer = ask(self.tybalt, "set", f"<enable xmlns='{CARBONS}'/>", JULIET)
        self.assertEqual(condition(answer), "not-allowed")
        answer = ask(self.tybalt, "set", f"<enable xmlns='{CARBONS}'/>", DOMAIN)
        self.assertEqual(condition(answer), "result")

    def test_plugin_reloaded(self) -> None:
        """Whoever turned them on has them on when the plugin comes back."""
        done(self.house.plugins.unload("carbons"))
        done(self.house.plugins.load("carbons"))
        self.romeo.send(message(f"{JULIET}/a"))
        self.assertEqual(self.got(), ["itself", "received", "received"])
