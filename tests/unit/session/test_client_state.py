"""What an inactive client learns at once, what waits, and what is left of it."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_client_state import (
    ACTIVE,
    BODY,
    DOMAIN,
    EVENT,
    GONE,
    HINT,
    INACTIVE,
    JULIET,
    PAUSED,
    RECEIPT,
    ROMEO,
    ROOM,
    SEEN,
    TYPING,
    ClientStateTestCase,
    message,
    said,
    status,
)
from xmppd.session.backlog import OVERHEAD_BYTES
from xmppd.session.client_state import LASTING, MAX_HELD_BYTES, news_of
from xmppd.stanza import IQ, JID, Message, Presence, Stanza
from xmppd.stanza.copies import carbon, forwarded
from xmppd.testing.house import House

SESSION = JID.parse(f"{JULIET}/1")
PEER = JID.parse(f"{ROMEO}/1")
MATE = JID.parse(f"{JULIET}/2")


def news(kind: type[Stanza], children: str = "", type: str | None = None, to: JID | None = SESSION,
         sender: JID = PEER) -> str | None:  # fmt: skip
    """What a stanza is news of."""
    return news_of(kind.make(to, sender, *([children.encode()] if children else []), type=type),
                   SESSION)  # fmt: skip


def copied(children: str, *, sent: bool) -> str | None:
    """The same of a copy of a chat message."""
    sender, to = (MATE, PEER) if sent else (PEER, MATE)
    original = Message.make(to, sender, children.encode(), type="chat")
    return news_of(
        carbon(original, forwarded(original), "sent" if sent else "received", SESSION.to_bare()),
        SESSION,
    )


class ImportanceTests(SynchronousTestCase):
    """Rule CS-4, row by row."""

    def test_presence(self) -> None:
        """Who comes, goes or changes waits; what asks for something or went wrong does not."""
        for type in (None, "unavailable"):
            for to in (None, SESSION.to_bare()):
                self.assertEqual(news(Presence, type=type, to=to), f"presence {PEER}")
        for type in ("subscribe", "subscribed", "unsubscribe", "unsubscribed", "probe", "error"):
            self.assertIsNone(news(Presence, type=type))

    def test_answers(self) -> None:
        """What answers this very session's presence does not wait, nor does that it is in a room
        now; who else is in there does.
        """
        self.assertIsNone(news(Presence))
        for type in (None, "unavailable"):
            self.assertEqual(news(Presence, ROOM.format("<item/>"), type), f"presence {PEER}")
            self.assertIsNone(news(Presence, ROOM.format("<item/><status code='110'/>"), type))

    def test_iq(self) -> None:
        """No iq waits."""
        for type in ("get", "set", "result", "error"):
            self.assertIsNone(news(IQ, "<query xmlns='urn:x'/>", type))

    def test_messages(self) -> None:
        """What says something does not wait, whatever goes with it; nor does the unknown."""
        for children in (
            BODY,
            BODY + TYPING,
            "<body/>",
            "<subject>s</subject>",
            EVENT + BODY,
            "<encrypted xmlns='eu.siacs.conversations.axolotl'/>" + HINT,
            "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
            "<x xmlns='jabber:x:conference' jid='hall@rooms.lit'/>",
            ROOM.format("<invite/>"),
            "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>",
            TYPING + "<x xmlns='urn:x'/>",
        ):
            for type in ("chat", "groupchat", None, "headline"):
                self.assertIsNone(news(Message, children, type), children)
        self.assertIsNone(news(Message, TYPING, "error"))

    def test_states(self) -> None:
        """A chat state alone waits, until another one of the same sender."""
        for children in (TYPING, PAUSED, TYPING + "<thread>t</thread>" + HINT):
            self.assertEqual(news(Message, children, "chat"), f"state {PEER}")
        self.assertNotEqual(news(Message, TYPING), news(Message, TYPING, sender=MATE))

    def test_lasting(self) -> None:
        """Receipts, markers and what was published wait, each of them."""
        for children in (RECEIPT, SEEN, RECEIPT + TYPING, HINT, ""):
            self.assertEqual(news(Message, children, "chat"), LASTING)
        for type in ("headline", None):
            self.assertEqual(news(Message, EVENT + HINT, type), LASTING)

    def test_copies(self) -> None:
        """A copy is as important as its message; and that I read something elsewhere is more."""
        for sent in (False, True):
            self.assertIsNone(copied(BODY, sent=sent))
            self.assertIsNotNone(copied(TYPING, sent=sent))
        self.assertNotEqual(copied(TYPING, sent=True), copied(TYPING, sent=False))
        self.assertEqual(copied(SEEN, sent=False), LASTING)
        self.assertIsNone(copied(SEEN, sent=True))

    def test_like_a_copy(self) -> None:
        """What only looks like a copy is judged as what it is."""
        forged = "<received xmlns='urn:xmpp:carbons:2'/>"
        self.assertIsNone(news(Message, forged, "chat"))
        self.assertEqual(news(Message, "", sender=SESSION.to_bare()), LASTING)


class LimitTests(ClientStateTestCase):
    """What waits is limited, and a wire that is full as well."""

    def test_held(self) -> None:
        """When too much waits it is written, all in one turn, and others wait again."""
        writes = self.count_writes()
        sent = 0
        while not writes:
            self.romeo.send(message(RECEIPT))
            sent += 1
        self.assertLess(sent * OVERHEAD_BYTES, MAX_HELD_BYTES)
        self.assertEqual(len(self.read()), sent)
        self.romeo.send(message(RECEIPT))
        self.assertEqual(self.read(), [])
        self.assertEqual(len(writes), sent)

    def test_news_take_no_room(self) -> None:
        """However often somebody changes, one presence and one chat state wait."""
        for number in range(2_000):
            self.romeo.send(status(str(number)) + message(TYPING) + message(PAUSED))
        backlog = self.session.backlog
        assert backlog is not None
        self.assertEqual(len(backlog), 2)
        self.assertEqual(self.activated(), ["1999", "paused"])
        self.assertEqual(backlog.size_bytes, 0)

    def test_full(self) -> None:
        """While the wire is full everything waits, also what is important; then all is written."""
        self.romeo.send(status("1"))
        self.juliet.stop_reading()
        self.romeo.send(message("<body>hi</body>"))
        self.romeo.send(status("2"))
        self.assertEqual(self.read(), [])
        self.juliet.read_on()
        self.assertEqual(self.read(), ["hi", "2"])
        self.romeo.send(status("3"))
        self.assertEqual(self.activated(), ["3"])

    def test_active_while_full(self) -> None:
        """A client that becomes active while its wire is full gets all when it is free."""
        self.juliet.stop_reading()
        self.romeo.send(status("1"))
        self.juliet.send(ACTIVE)
        self.romeo.send(message(TYPING))
        self.assertEqual(self.read(), [])
        self.juliet.read_on()
        self.assertEqual(self.read(), ["1", "composing"])
        self.assertIsNone(self.session.backlog)

    def test_full_again(self) -> None:
        """A wire that is full with what was held keeps what comes behind it."""
        self.romeo.send(status("1"))
        write = self.juliet.transport.write

        def write_and_be_full(data: bytes) -> None:
            write(data)
            self.juliet.stop_reading()

        self.patch(self.juliet.transport, "write", write_and_be_full)
        self.assertEqual(self.activated(), ["1"])
        self.romeo.send(status("2"))
        self.assertEqual(self.read(), [])
        self.juliet.read_on()
        self.assertEqual(self.read(), ["2"])

    def test_cut_off(self) -> None:
        """Only a client that does not read is cut off, never one that is inactive."""
        self.juliet.stop_reading()
        while not self.juliet.closed:
            self.romeo.send(message(f"<body>{'x' * 50_000}</body>"))
        self.assertNotIn(JULIET, self.house.server.routing_table.users)


WORDS = st.sampled_from(("presence", "gone", "typing", "paused", "message", "receipt", "slow"))


class EquivalenceTests(SynchronousTestCase):
    """Two clients of one account, of which one is inactive."""

    @given(st.integers(0, 2**32), st.lists(st.tuples(st.integers(0, 2), WORDS), max_size=60))
    @settings(max_examples=40, deadline=None)
    def test_same_in_the_end(self, seed: int, script: list[tuple[int, str]]) -> None:
        """In the end both know the same: everybody's last presence and chat state, and all else
        that was sent, in its order.
        """
        both = {"juliet": "both"}
        house = House(
            DOMAIN, plugins=("client_state",), romeo=both, nurse=both, paris=both,
            juliet={"romeo": "both", "nurse": "both", "paris": "both"},
        )  # fmt: skip
        *others, active, inactive = house.connect("romeo", "nurse", "paris", "juliet/1", "juliet/2")
        inactive.send(INACTIVE)
        active.raw()
        inactive.raw()
        random, got = Random(seed), View()
        for number, (who, word) in enumerate(script):
            if word == "slow":
                random.choice((inactive.stop_reading, inactive.read_on))()
            else:
                others[who].send(STANZAS[word].format(number))
            if random.random() < 0.1:
                got.take(inactive.received())
        inactive.send(ACTIVE)
        inactive.read_on()
        got.take(inactive.received())
        expected = View()
        expected.take(active.received())
        self.assertEqual(vars(got), vars(expected))


STANZAS = {
    "presence": status("{}"),
    "gone": GONE,
    "typing": message(TYPING),
    "paused": message(PAUSED),
    "message": message("<body>{}</body>"),
    "receipt": message("<received xmlns='urn:xmpp:receipts' id='{}'/>"),
}


class View:
    """What somebody knows who has read all that came."""

    def __init__(self) -> None:
        self.presences: dict[str, str] = {}
        self.states: dict[str, str] = {}
        self.messages: list[str] = []

    def take(self, stanzas: list[str]) -> None:
        """Read on."""
        for stanza in stanzas:
            sender = stanza.partition("from='")[2].partition("'")[0]
            if stanza.startswith("<presence"):
                self.presences[sender] = said(stanza)
            elif "chatstates" in stanza:
                self.states[sender] = said(stanza)
            else:
                self.messages.append(stanza)
