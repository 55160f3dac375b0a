"""XEP-0352: Client State Indication."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.stanza import JID, ns
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"
JULIET = f"juliet@{DOMAIN}"
ROMEO = f"romeo@{DOMAIN}"
CSI = "urn:xmpp:csi:0"
ACTIVE, INACTIVE = f"<active xmlns='{CSI}'/>", f"<inactive xmlns='{CSI}'/>"
GONE = "<presence type='unavailable'/>"
STATES = "http://jabber.org/protocol/chatstates"
TYPING, PAUSED = f"<composing xmlns='{STATES}'/>", f"<paused xmlns='{STATES}'/>"
RECEIPT = "<received xmlns='urn:xmpp:receipts' id='7'/>"
SEEN = "<displayed xmlns='urn:xmpp:chat-markers:0' id='7'/>"
HINT = "<no-store xmlns='urn:xmpp:hints'/>"
EVENT = (
    "<event xmlns='http://jabber.org/protocol/pubsub#event'><items node='n'><item id='1'/>"
    "</items></event>"
)
ROOM = "<x xmlns='http://jabber.org/protocol/muc#user'>{}</x>"
BODY = "<body>Wherefore?</body>"


def status(text: str, to: str = "") -> str:
    """A presence that says something."""
    to = f" to='{to}'" if to else ""
    return f"<presence{to}><status>{text}</status></presence>"


def message(children: str = BODY, to: str = JULIET, kind: str = "chat") -> str:
    """A message as a client writes it."""
    return f"<message to='{to}' type='{kind}'>{children}</message>"


def said(stanza: str) -> str:
    """A stanza in a word."""
    for tag in ("body", "status"):
        if f"<{tag}>" in stanza:
            return stanza.partition(f"<{tag}>")[2].partition("<")[0]
    for word in ("composing", "paused", "unavailable", "subscribe", "ping"):
        if word in stanza:
            return word
    return ElementTree.fromstring(stanza).tag


class ClientStateTestCase(SynchronousTestCase):
    """Juliet's client is inactive; Romeo and the nurse are her contacts."""

    def setUp(self) -> None:
        both = {"juliet": "both"}
        self.store = SlowStore()
        self.house = House(
            DOMAIN,
            config=house_config(DOMAIN, stream={"max_queued_bytes": 2_000_000,
                                                "stanzas_per_s": 0.0, "bytes_per_s": 0.0}),
            plugins=("client_state", "ping", "invisible"), store=self.store,
            romeo=both, nurse=both, tybalt={}, juliet={"romeo": "both", "nurse": "both"},
        )  # fmt: skip
        self.romeo, self.nurse, self.juliet = self.house.connect("romeo", "nurse", "juliet")
        self.session = self.juliet.session
        self.juliet.send(INACTIVE)
        self.juliet.raw()

    def read(self) -> list[str]:
        """What has come to Juliet."""
        return [said(stanza) for stanza in self.juliet.received()]

    def activated(self) -> list[str]:
        """What comes when somebody looks at her client."""
        self.assertEqual(self.read(), [])
        self.juliet.send(ACTIVE)
        return self.read()

    def count_writes(self) -> list[bytes]:
        """What is written to Juliet from now on, write by write."""
        writes: list[bytes] = []
        write = self.juliet.transport.write

        def counted(data: bytes) -> None:
            writes.append(data)
            write(data)

        self.patch(self.juliet.transport, "write", counted)
        return writes


class InactiveTests(ClientStateTestCase):
    """What waits, what does not, and how it comes."""

    def test_offered(self) -> None:
        """Who has logged in is told of it; a stranger is not (§4.1)."""
        stranger = self.house.unauthenticated()
        stranger.open(DOMAIN)
        self.assertNotIn(b"<csi", stranger.raw())
        stranger.send(INACTIVE)
        self.assertIn(b"not-authorized", stranger.raw())
        client = self.house.unauthenticated()
        client.open(DOMAIN)
        client.stanza_handler.authenticated(JID.parse(ROMEO))
        client.handler.restart()
        client.raw()
        client.open(DOMAIN)
        self.assertIn(f"<csi xmlns='{CSI}'/>".encode(), client.raw())

    def test_presence(self) -> None:
        """Of each sender the latest presence waits."""
        for text in "123":
            self.romeo.send(status(text))
            self.nurse.send(status(f"n{text}"))
        self.assertEqual(self.activated(), ["3", "n3"])
        self.romeo.send(status("4"))
        self.assertEqual(self.read(), ["4"])

    def test_goodbye(self) -> None:
        """Who went and came back is here; who came and went is gone."""
        self.romeo.send(GONE)
        self.romeo.send(status("back"))
        self.nurse.send(status("?"))
        self.nurse.send(GONE)
        self.assertEqual(self.activated(), ["back", "unavailable"])

    def test_one_turn(self) -> None:
        """All that waited comes in one turn, in its order (§5.1), each by a write of its own."""
        self.romeo.send(status("1"))
        self.romeo.send(message(TYPING))
        self.nurse.send(status("2"))
        writes = self.count_writes()
        self.assertEqual(self.activated(), ["1", "composing", "2"])
        self.assertEqual(len(writes), 3)

    def test_woken(self) -> None:
        """A message comes at once, behind all that waited, in one turn; then others wait again."""
        self.romeo.send(status("1"))
        self.nurse.send(status("2"))
        writes = self.count_writes()
        self.romeo.send(message("<body>hi</body>"))
        self.assertEqual(len(writes), 3)
        self.assertEqual(self.read(), ["1", "2", "hi"])
        self.romeo.send(status("3"))
        self.assertEqual(self.activated(), ["3"])

    def test_answer_comes_behind(self) -> None:
        """A request sent right behind `active` is answered behind what waited (§5.1)."""
        self.romeo.send(status("1"))
        ping = f"<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        self.juliet.send(ACTIVE + ping)
        self.assertEqual(self.read(), ["1", "iq"])

    def test_twice(self) -> None:
        """Saying it again and again changes nothing."""
        for _ in range(1_000):
            self.juliet.send(INACTIVE)
        self.romeo.send(status("1"))
        self.juliet.send(INACTIVE)
        self.assertEqual(self.activated(), ["1"])
        for _ in range(1_000):
            self.juliet.send(ACTIVE)
        self.assertIsNone(self.session.backlog)
        self.romeo.send(status("2"))
        self.assertEqual(self.read(), ["2"])

    def test_chat_states(self) -> None:
        """Of each sender the latest chat state waits."""
        for state in (TYPING, PAUSED, TYPING, HINT + PAUSED):
            self.romeo.send(message(state))
        self.nurse.send(message(TYPING))
        self.assertEqual(self.activated(), ["paused", "composing"])

    def test_requests(self) -> None:
        """Subscription requests and iqs come at once."""
        (tybalt,) = self.house.connect("tybalt")
        tybalt.send(f"<presence to='{JULIET}' type='subscribe'/>")
        self.assertEqual(self.read(), ["subscribe"])
        self.romeo.send(f"<iq to='{JULIET}/1' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertEqual(self.read(), ["ping"])

    def test_lost(self) -> None:
        """A client that is lost while others wait for it leaves nothing behind."""
        self.romeo.send(status("1"))
        self.romeo.send(message(TYPING))
        self.juliet.abort()
        self.assertFalse([stanza for stanza in self.romeo.received() if "error" in stanza])

    def test_unloaded(self) -> None:
        """When the plugin goes, nobody can say that they are active, so all are."""
        self.romeo.send(status("1"))
        done(self.house.plugins.unload("client_state"))
        self.assertEqual(self.read(), ["1"])
        self.romeo.send(status("2"))
        self.assertEqual(self.read(), ["2"])


class ArrivalTests(ClientStateTestCase):
    """The first presence brings who is here, whatever the client has said before (CS-3)."""

    def arrive(self, *, before: str = "", after: str = "") -> Client:
        self.romeo.send(status("r"))
        self.nurse.send(status("n"))
        client = self.house.bind("juliet", "phone")
        client.send(before + "<presence/>" + after)
        return client

    def assert_told(self, client: Client) -> None:
        told = [said(stanza) for stanza in client.received()]
        self.assertEqual(sorted(told), ["n", "presence", "presence", "r"])

    def test_before(self) -> None:
        """Inactive first, then presence."""
        client = self.arrive(before=INACTIVE)
        self.assert_told(client)
        self.romeo.send(status("later"))
        self.assertEqual(client.received(), [])
        client.send(ACTIVE)
        self.assertEqual([said(stanza) for stanza in client.received()], ["later"])

    def test_after(self) -> None:
        """Presence first, then inactive."""
        client = self.arrive(after=INACTIVE)
        self.assert_told(client)
        self.romeo.send(status("later"))
        self.assertEqual(client.received(), [])

    def test_before_binding(self) -> None:
        """Inactive even before there is a resource."""
        client = self.house.logged_in("juliet")
        client.send(INACTIVE)
        bind = f"<bind xmlns='{ns.BIND}'><resource>phone</resource></bind>"
        client.send(f"<iq type='set' id='b'>{bind}</iq><presence/>")
        told = [said(stanza) for stanza in client.received()]
        self.assertEqual(told.count("presence"), 4)
        self.romeo.send(status("later"))
        self.assertEqual(client.received(), [])

    def test_slow_store(self) -> None:
        """While the store is asked who is away, nothing that comes is held back."""
        self.nurse.send("<presence type='unavailable'><status>detached</status></presence>")
        self.house.server.presence_manager.last_presences.forget(f"nurse@{DOMAIN}")
        self.store.slow = True
        client = self.house.bind("juliet", "phone")
        client.send(INACTIVE + "<presence/>")
        self.assertNotIn("detached", [said(stanza) for stanza in client.received()])
        self.romeo.send(status("meanwhile"))
        self.assertEqual([said(stanza) for stanza in client.received()], ["meanwhile"])
        self.store.release_all()
        self.assertIn("detached", [said(stanza) for stanza in client.received()])
        self.romeo.send(status("later"))
        self.assertEqual(client.received(), [])

    def test_leave_and_come_back(self) -> None:
        """Who leaves and comes back is told who is here again."""
        self.juliet.send(GONE)
        self.assertEqual(self.read(), ["unavailable"])
        self.romeo.send(status("r"))
        self.juliet.send("<presence/>")
        self.assertEqual(sorted(self.read()), ["presence", "presence", "r"])
        self.romeo.send(status("later"))
        self.assertEqual(self.activated(), ["later"])

    def test_become_visible(self) -> None:
        """Who was invisible begins anew, and is told who is here again (XEP-0186)."""
        self.juliet.send(ACTIVE)
        for word in ("invisible", "visible"):
            self.juliet.send(f"<iq type='set' id='v'><{word} xmlns='urn:xmpp:invisible:1'/></iq>")
        self.romeo.send(status("r"))
        self.juliet.send(INACTIVE)
        self.juliet.raw()
        self.juliet.send("<presence/>")
        self.assertEqual(sorted(self.read()), ["presence", "presence", "r"])
        self.romeo.send(status("later"))
        self.assertEqual(self.activated(), ["later"])
