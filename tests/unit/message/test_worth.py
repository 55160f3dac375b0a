"""What becomes of a message beside its delivery: each cell of the table, and what changes them."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from xmppd.message.follower import ON_ITS_WAY, Course
from xmppd.message.worth import ROWS, Worth, fate
from xmppd.stanza import JID, Message
from xmppd.stanza.fate import CarbonFate, Fate, OfflineFate, PushFate, UnreadFate

ROMEO = JID.parse("romeo@montague.lit/orchard")
JULIET = JID.parse("juliet@montague.lit")

BODY = "<body>Wherefore?</body>"
TYPING = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
FORWARDED = "<forwarded xmlns='urn:xmpp:forward:0'/>"
ROOM = "<x xmlns='http://jabber.org/protocol/muc#user'>{}</x>"
FALLBACK = "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reactions:0'/>"
MARKER = "<{} xmlns='urn:xmpp:chat-markers:0' id='1'/>"
CALL = "<{} xmlns='urn:xmpp:jingle-message:0' id='1'/>"
UNKNOWN = "<x xmlns='urn:example:x'/>"
RECEIPT = "<{} xmlns='urn:xmpp:receipts' id='1'/>"
OMEMO = "<encrypted xmlns='urn:xmpp:omemo:2'><header/>{}</encrypted>"
AXOLOTL = "<encrypted xmlns='eu.siacs.conversations.axolotl'><header/>{}</encrypted>"
DIRECT = "<x xmlns='jabber:x:conference' jid='hall@rooms.lit'/>"
REPLACE = "<replace xmlns='urn:xmpp:message-correct:0' id='1'/>"
RETRACT = "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>"
REACTIONS = "<reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>♥</reaction></reactions>"
HINT = "<{} xmlns='urn:xmpp:hints'/>"
PRIVATE = "<private xmlns='urn:xmpp:carbons:2'/>"

# Of normal messages: whether it is archived; offline: kept, dropped; carbon: yes, no, as answered;
# push: no, message, call, over, badge; unread: same, more, read.
CELLS = {
    Worth.ERROR: "no  dropped  as_answered  no       same",
    Worth.HEADLINE: "no  dropped  no           no       same",
    Worth.GROUPCHAT: "no  dropped  no           no       same",
    Worth.WRAPPER: "no  dropped  no           no       same",
    Worth.RETRACTION: "yes kept     yes          badge    same",
    Worth.REACTION: "yes kept     yes          no       same",
    Worth.CORRECTION: "yes kept     yes          message  same",
    Worth.INVITATION: "yes kept     yes          message  more",
    Worth.MENTION: "yes kept     yes          message  more",
    Worth.BODY: "yes kept     yes          message  more",
    Worth.ENCRYPTED: "yes kept     yes          message  more",
    Worth.KEY_TRANSPORT: "yes kept     yes          no       same",
    Worth.CALL: "yes kept     yes          call     same",
    Worth.CALL_OVER: "yes dropped  yes          call_over same",
    Worth.CALL_ANSWER: "yes dropped  yes          no       same",
    Worth.READ: "yes kept     yes          no       read",
    Worth.RECEIPT: "yes kept     yes          no       same",
    Worth.SUBJECT: "yes kept     no           no       same",
    Worth.FALLBACK: "yes kept     yes          no       same",
    Worth.ANYTHING: "no  kept     no           no       same",
    Worth.PASSING: "no  dropped  yes          no       same",
    Worth.NOTHING: "no  dropped  no           no       same",
}

# Messages of each row, without a type unless it stands before them.
EXAMPLES: dict[Worth, tuple[str, ...]] = {
    Worth.ERROR: ("error:" + BODY, "error:" + TYPING),
    Worth.HEADLINE: ("headline:" + BODY, "headline:" + HINT.format("store")),
    Worth.GROUPCHAT: ("groupchat:" + BODY,),
    Worth.WRAPPER: (
        f"<sent xmlns='urn:xmpp:carbons:2'>{FORWARDED}</sent>",
        f"<received xmlns='urn:xmpp:carbons:2'>{FORWARDED}</received>{BODY}",
        f"<result xmlns='urn:xmpp:mam:2' id='1'>{FORWARDED}</result>",
    ),
    Worth.RETRACTION: (RETRACT, RETRACT + FALLBACK + BODY),
    Worth.REACTION: (
        REACTIONS,
        "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>",
        REACTIONS + FALLBACK + BODY,
        "<apply-to xmlns='urn:xmpp:fasten:0' id='1'/>",
    ),
    Worth.CORRECTION: (REPLACE, REPLACE + BODY, REPLACE + OMEMO.format("<payload/>")),
    Worth.INVITATION: (DIRECT, ROOM.format("<invite from='nurse@montague.lit'/>"), DIRECT + BODY),
    Worth.MENTION: (f"<mentions xmlns='urn:xmpp:mmn:0'>{FORWARDED}</mentions>",),
    Worth.BODY: (
        BODY,
        "<body> </body>",
        "<body/>" + BODY,
        "<body><i xmlns='urn:example:wrong'/>Wherefore?</body>",
        BODY + TYPING + UNKNOWN,
        FALLBACK + BODY,
        BODY + OMEMO.format(""),
    ),
    Worth.ENCRYPTED: (
        OMEMO.format("<payload/>"),
        AXOLOTL.format("<payload/>"),
        "<openpgp xmlns='urn:xmpp:openpgp:0'>AA==</openpgp>",
        "<x xmlns='jabber:x:encrypted'>AA==</x>",
        "<encryption xmlns='urn:xmpp:eme:0'/>" + OMEMO.format("<payload/>"),
    ),
    Worth.KEY_TRANSPORT: (OMEMO.format(""), AXOLOTL.format("")),
    Worth.CALL: (CALL.format("propose"),),
    Worth.CALL_OVER: (CALL.format("retract"),),
    Worth.CALL_ANSWER: tuple(map(CALL.format, ("accept", "reject", "finish"))),
    Worth.READ: (MARKER.format("displayed"),),
    Worth.RECEIPT: (RECEIPT.format("received"),),
    Worth.SUBJECT: ("<subject>Names</subject>", "<subject/><thread>1</thread>"),
    Worth.FALLBACK: (FALLBACK,),
    Worth.ANYTHING: (
        UNKNOWN,
        UNKNOWN + TYPING,
        ROOM.format("<decline from='nurse@montague.lit'/>"),
        "<sent xmlns='urn:xmpp:carbons:2'/>",
    ),
    Worth.PASSING: (
        TYPING,
        TYPING + "<thread>1</thread>",
        RECEIPT.format("request"),
        CALL.format("ringing"),
        *map(MARKER.format, ("markable", "received", "acknowledged")),
    ),
    Worth.NOTHING: (
        "",
        "<body/>",
        "<thread>1</thread>",
        "<origin-id xmlns='urn:xmpp:sid:0' id='1'/><stanza-id xmlns='urn:xmpp:sid:0'/>",
        "<delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:00Z'/>",
        HINT.format("no-permanent-storage"),
    ),
}


CONTENTS = [
    each
    for kind, row in EXAMPLES.items()
    for each in row
    if kind > Worth.GROUPCHAT and each and "muc#user" not in each  # which is a mark as well
]
RANKS = [ROWS[kind].says for kind in Worth]


def message(children: str, kind: str | None = None) -> Message:
    """From Romeo; its type may stand before its children."""
    if not children.startswith("<") and ":" in children:
        kind, _, children = children.partition(":")
    return Message.make(JULIET, ROMEO, children.encode(), type=kind)


def of(children: str, kind: str | None = None) -> Fate:
    """The fate of a message."""
    return fate(message(children, kind))


def rank(found: Fate) -> int:
    """The place of its row in the table."""
    return RANKS.index(found.says)


def cells(found: Fate) -> str:
    """Its cells as they stand above."""
    archive = "yes" if found.archive else "no"
    others = (found.offline, found.carbon, found.push, found.unread)
    return " ".join((archive, *(cell.name.lower() for cell in others)))


class TableTests(SynchronousTestCase):
    """AR-7: the rows, and each of their cells."""

    def test_cells(self) -> None:
        """Every row has a cell in every column."""
        for kind, row in ROWS.items():
            for number, column in enumerate(("archive", "offline", "carbon", "push", "unread")):
                with self.subTest(row=kind.name, column=column):
                    self.assertEqual(cells(row).split()[number], CELLS[kind].split()[number])

    def test_rows(self) -> None:
        """The first row that fits decides, whatever stands beside it (AR-8)."""
        self.assertEqual(set(EXAMPLES), set(Worth))
        for kind, examples in EXAMPLES.items():
            for example in examples:
                with self.subTest(row=kind.name, message=example):
                    self.assertEqual(of(example), ROWS[kind])

    def test_unheard_of_type(self) -> None:
        """A type that is none is a normal message (:rfc:`6121#section-5.2.2`)."""
        self.assertEqual(of(BODY, "unheard-of"), ROWS[Worth.BODY])

    def test_once(self) -> None:
        """A message is looked at once, and what is changed about it later does not matter."""
        text = message(BODY)
        course = Course(text, text.payload.tree, JULIET.bare, ON_ITS_WAY)
        first = course.fate
        text.payload.forget_trees()
        for same in (text, text.addressed(ROMEO), text.with_child(TYPING.encode())):
            self.assertIs(same.payload.fate, first)
        self.assertIsNone(message(BODY).payload.fate)


class MarkTests(SynchronousTestCase):
    """Hints, and other marks that change some cells."""

    def test_chat(self) -> None:
        """A chat message is always copied (:xep:`0280`, §6.1)."""
        for kind, examples in EXAMPLES.items():
            if kind > Worth.GROUPCHAT:
                found = of(examples[0], "chat")
                with self.subTest(row=kind.name):
                    self.assertIs(found.carbon, CarbonFate.YES)
                    self.assertEqual(
                        (found.archive, found.push), (ROWS[kind].archive, ROWS[kind].push)
                    )

    def test_no_store(self) -> None:
        """Neither archived, kept, pushed nor counted; copied as without it (OM-3)."""
        for kind, examples in EXAMPLES.items():
            for example, other in product(examples, ("", HINT.format("store"))):
                found, row = of(example + HINT.format("no-store") + other), ROWS[kind]
                refused = row.offline is OfflineFate.KEPT
                with self.subTest(row=kind.name, message=example):
                    self.assertFalse(found.archive)
                    offline = OfflineFate.REFUSED if refused else OfflineFate.DROPPED
                    self.assertIs(found.offline, offline)
                    self.assertIs(found.carbon, row.carbon)
                    self.assertEqual((found.push, found.unread), (PushFate.NO, UnreadFate.SAME))

    def test_no_permanent_store(self) -> None:
        """Not archived; all else is as without it (OM-3)."""
        for kind, examples in EXAMPLES.items():
            for hints in (("no-permanent-store",), ("store", "no-permanent-store")):
                found = of(examples[0] + "".join(map(HINT.format, hints)))
                row = ROWS[kind]
                with self.subTest(row=kind.name, hints=hints):
                    self.assertFalse(found.archive)
                    if "store" not in hints:
                        self.assertIs(found.offline, row.offline)
                    others = (row.carbon, row.push, row.unread)
                    self.assertEqual((found.carbon, found.push, found.unread), others)

    def test_store(self) -> None:
        """Archived and kept, whatever it is; all else is as without it."""
        for kind, examples in EXAMPLES.items():
            found, row = of(examples[0] + HINT.format("store")), ROWS[kind]
            with self.subTest(row=kind.name):
                others = (row.carbon, row.push, row.unread)
                self.assertEqual((found.carbon, found.push, found.unread), others)
                if kind <= Worth.WRAPPER:
                    self.assertEqual(found, row)
                else:
                    self.assertEqual((found.archive, found.offline), (True, OfflineFate.KEPT))

    def test_private(self) -> None:
        """What is not to be copied is not, and that changes nothing else (CA-4)."""
        for mark, kind in product((PRIVATE, HINT.format("no-copy")), (None, "chat")):
            found = of(BODY + mark, kind)
            self.assertIs(found.carbon, CarbonFate.NO)
            self.assertEqual((found.archive, found.push), (True, PushFate.MESSAGE))
            self.assertEqual(cells(of(TYPING + mark, kind)), "no dropped no no same")

    def test_occupant(self) -> None:
        """A private message of a room's occupants is copied to its sender's own sessions only."""
        for children in (BODY, TYPING, OMEMO.format("<payload/>")):
            self.assertIs(of(children + ROOM.format(""), "chat").carbon, CarbonFate.SENT)
        invited = ROOM.format("<invite from='nurse@montague.lit'/>")
        self.assertIs(of(invited, "chat").carbon, CarbonFate.YES)
        self.assertEqual(of(BODY + ROOM.format(""), "chat").unread, UnreadFate.MORE)

    @given(st.lists(st.sampled_from(CONTENTS), max_size=6))
    def test_order(self, children: list[str]) -> None:
        """The order of children does not matter: the first row that fits any of them decides."""
        found = of("".join(children))
        self.assertEqual(of("".join(reversed(children))), found)
        self.assertEqual(found, min((of(each) for each in children), key=rank, default=of("")))
