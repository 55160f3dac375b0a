"""What becomes of a message: each cell of the table, without a server."""

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from xmppd.message.decision import (
    ADMINS,
    BARE,
    ELSEWHERE,
    KINDS,
    MATCH,
    MATCH_UNWANTED,
    NO_MATCH,
    NO_ROOM,
    NOT_TO_BE_KEPT,
    NOTHING_TO_KEEP,
    SERVER,
    UNTOLD,
    Cell,
    Decision,
    DecisionRow,
    KnownAccount,
    decide,
    decided,
    settle,
)
from xmppd.privacy.privacy_list import UNKNOWN, PrivacyList, Rule, Standing
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.saved_sessions import NOBODY
from xmppd.stanza import JID, Condition, Message

JULIET = JID.parse("juliet@montague.lit")
ROMEO = JID.parse("romeo@montague.lit/orchard")
BODY = b"<body>Wherefore?</body>"
STATE = b"<composing xmlns='http://jabber.org/protocol/chatstates'/>"
NO_STORE = b"<no-store xmlns='urn:xmpp:hints'/>"
HERE, DENIES, NOWHERE = (
    KnownAccount(True, False),
    KnownAccount(True, True),
    KnownAccount(False, False),
)


class Strangers:
    """A roster with nobody in it."""

    def standing(self, jid: JID, /) -> Standing:
        """Nobody is anything to anybody."""
        return UNKNOWN


def session(resource: str, priority: int = 0, *, denies: bool = False) -> LocalClientSession:
    """One of Juliet's."""
    made = LocalClientSession(
        resource, JULIET.with_resource(resource), NOBODY, InterceptorManager(), 0.0
    )
    made.priority = priority
    if denies:
        rules = PrivacyList("no", [Rule(1, False, "jid", ROMEO.bare)]).compiled
        made.privacy = SessionPrivacy(JULIET, Strangers(), rules)
    return made


def message(to: JID, kind: str | None, content: bytes = BODY) -> Message:
    """From Romeo."""
    return Message.make(to, ROMEO, content, type=kind)


class TableTestCase(SynchronousTestCase):
    """Five types of message in one row."""

    def check(
        self,
        to: str,
        row: DecisionRow,
        cells: str,
        sessions: Sequence[LocalClientSession] = (),
        account: KnownAccount | None = HERE,
        named: LocalClientSession | None = None,
    ) -> None:
        """Each cell, by its letter in RFC 6121, in the order of the columns."""
        jid = JULIET.with_resource(to) if to else JULIET
        for kind, letter in zip(KINDS, cells.split(), strict=True):
            with self.subTest(kind):
                decision = decide(message(jid, kind), named, sessions, account)
                self.assertEqual((decision.cell.value, decision.row.says), (letter, row.says))
                self.assertEqual(decision.bounced, letter == "E")
                self.assertEqual(bool(decision.sessions), letter in "DMA")


class BareTests(TableTestCase):
    """To an account; the columns are normal, chat, groupchat, headline, error."""

    def test_no_account(self) -> None:
        """There is no such account (OM-1)."""
        self.check("", BARE.no_account, "E E E S S", account=NOWHERE)

    def test_denied(self) -> None:
        """It denies the sender while nobody is here (PL-5): as if there were none."""
        self.check("", BARE.denied, "E E E S S", account=DENIES)

    def test_nobody(self) -> None:
        """No resource is available."""
        self.check("", BARE.nobody, "O O E S S")

    def test_negative(self) -> None:
        """Some are, with negative priorities (RT-17)."""
        self.check("", BARE.negative, "O O E S S", [session("a", -1), session("b", -5)])

    def test_one(self) -> None:
        """One wants messages, beside one that does not."""
        self.check("", BARE.one, "D D E D S", [session("a", -1), session("b")])

    def test_several(self) -> None:
        """Several want them: those of the highest priority get them, and all get a headline."""
        self.check("", BARE.several, "M M E A S", [session("a", 1), session("b", 5)])

    def test_unwanted(self) -> None:
        """All that want messages want none of this sender's (PL-3)."""
        self.check("", BARE.unwanted, "E E E S S", [session("a", denies=True), session("b", -1)])


class NoMatchTests(TableTestCase):
    """To a resource that is not here."""

    def test_no_account(self) -> None:
        """There is no such account."""
        self.check("x", NO_MATCH.no_account, "E E E S S", account=NOWHERE)

    def test_denied(self) -> None:
        """It denies the sender while nobody is here."""
        self.check("x", NO_MATCH.denied, "E E E S S", account=DENIES)

    def test_nobody(self) -> None:
        """No other is available (MR-6)."""
        self.check("x", NO_MATCH.nobody, "O O E S S")

    def test_negative(self) -> None:
        """Others are, with negative priorities."""
        self.check("x", NO_MATCH.negative, "O O E S S", [session("a", -1)])

    def test_one(self) -> None:
        """Another wants messages."""
        self.check("x", NO_MATCH.one, "E D E S S", [session("a")])

    def test_several(self) -> None:
        """Several others do."""
        self.check("x", NO_MATCH.several, "E M E S S", [session("a"), session("b")])

    def test_unwanted(self) -> None:
        """Others do, but none of this sender's."""
        self.check("x", NO_MATCH.unwanted, "E E E S S", [session("a", denies=True)])


class MatchTests(TableTestCase):
    """To a resource that is here, whatever its priority (MR-5)."""

    def test_wanted(self) -> None:
        """It gets what is for it."""
        for priority in (-1, 0):
            self.check("a", MATCH, "D D D D D", named=session("a", priority))

    def test_unwanted(self) -> None:
        """It denies the sender, and nobody else gets it (PL-3)."""
        named, other = session("a", denies=True), session("b")
        self.check("a", MATCH_UNWANTED, "E E E S S", [other], named=named)


class OtherRowsTests(SynchronousTestCase):
    """Rows that the RFC does not have."""

    def check(self, row: DecisionRow, cells: str) -> None:
        for kind, letter in zip(KINDS, cells.split(), strict=True):
            with self.subTest(kind):
                self.assertEqual(decided(message(JULIET, kind), row).cell.value[0], letter)

    def test_not_kept(self) -> None:
        """What would be kept, and cannot be (OS-1, OM-3, OM-4)."""
        self.check(NOTHING_TO_KEEP, "S S E S S")
        self.check(NOT_TO_BE_KEPT, "E E E S S")
        self.check(NO_ROOM, "E E E S S")
        self.check(UNTOLD, "S S S S S")

    def test_server(self) -> None:
        """To the server itself, with and without administrators (MR-3, MR-4)."""
        self.check(SERVER, "E E E E S")
        self.check(ADMINS, "t t t t S")

    def test_elsewhere(self) -> None:
        """To another domain, whose route decides."""
        self.check(ELSEWHERE, "t t t t t")


class ChoiceTests(SynchronousTestCase):
    """Which sessions get it."""

    def names(self, decision: Decision) -> str:
        return " ".join(each.jid.resource or "" for each in decision.sessions)

    def test_priority(self) -> None:
        """Those with the highest priority of those that let the sender in (RT-17, RT-20)."""
        sessions = [session("a", 5), session("b", 5), session("c", 1), session("d", 9, denies=True)]
        for kind, names in (("chat", "a b"), ("headline", "a b c"), ("unheard-of", "a b")):
            self.assertEqual(self.names(decide(message(JULIET, kind), None, sessions)), names)

    def test_no_type(self) -> None:
        """A message that says no type is a normal one (RFC 6121 §5.2.2)."""
        self.assertEqual(decide(message(JULIET, None), None, ()).cell, Cell.KEPT)

    def test_closing(self) -> None:
        """A session that is about to end is passed over (SE-3)."""
        going, staying = session("a", 5), session("b")
        going.closed = True
        self.assertEqual(self.names(decide(message(JULIET, "chat"), None, [going, staying])), "b")


class KeptTests(SynchronousTestCase):
    """What is to be kept, when the account is known."""

    def test_unknown(self) -> None:
        """While nobody has asked the store, it is kept if there is such an account."""
        decision = decide(message(JULIET, "chat", STATE), None, ())
        self.assertIs(decision.cell, Cell.KEPT)
        self.assertIs(settle(decision, message(JULIET, "chat"), HERE).cell, Cell.KEPT)

    def test_nothing_to_keep(self) -> None:
        """What means nothing later is dropped (OS-1)."""
        decision = decide(message(JULIET, "chat", STATE), None, (), HERE)
        self.assertEqual((decision.cell, decision.bounced), (Cell.DROPPED, False))

    def test_not_to_be_kept(self) -> None:
        """What is not to be kept comes back, and says so (OM-3); to nobody it just comes back."""
        for account, text in (
            (HERE, "the message is not meant to be stored"),
            (NOWHERE, None),
            (DENIES, None),
        ):
            decision = decide(message(JULIET, "chat", BODY + NO_STORE), None, (), account)
            self.assertTrue(decision.bounced)
            refusal = decision.refusal()
            self.assertIs(refusal.condition, Condition.SERVICE_UNAVAILABLE)
            self.assertEqual(refusal.text, text)

    def test_fresh_error(self) -> None:
        """Each bounce has an error of its own: one that was raised knows where."""
        decision = decided(message(JULIET, "chat"), BARE.no_account)
        self.assertIsNot(decision.refusal(), decision.refusal())
