"""Privacy lists: the compiled form says what a slow, literal reading of XEP-0016 says."""

from dataclasses import dataclass
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from xmppd.privacy.privacy_list import (
    BLOCK,
    DENY,
    KINDS,
    MAX_ORDER,
    NAMED,
    NO_RULE,
    NS,
    Kind,
    PrivacyList,
    Rule,
    Standing,
)
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.stanza import IQ, JID, Message, Presence, Stanza
from xmppd.stanza.xml import Tree

OWNER = JID.parse("juliet@capulet.lit/balcony")
DOMAINS = ("montague.lit", "capulet.lit", "rooms.lit")
JIDS = [
    JID.of(local, domain, resource)
    for domain in DOMAINS
    for local in (None, "romeo", "juliet")
    for resource in (None, "1", "balcony")
]
GROUPS = ("Friends", "Enemies", "Work")


@dataclass(frozen=True)
class Contacts:
    """A roster."""

    known: dict[str, Standing]

    def standing(self, jid: JID) -> Standing:
        """What this JID is to the owner."""
        return self.known.get(jid.bare, ("none", ()))


def literal(rules: list[Rule], contacts: Contacts, stanza: Stanza) -> bool:
    """Whether a stanza passes: XEP-0016 read aloud, rule after rule (§2.1, §2.2)."""
    incoming = stanza.to is not None and stanza.to.bare == OWNER.bare
    other = stanza.sender if incoming else stanza.to
    assert other is not None
    if other.bare == OWNER.bare:
        return True  # "from one of a user's resources to another"
    if other.local is None and other.domain == OWNER.domain:
        return True  # its own server
    for rule in sorted(rules, key=lambda rule: rule.order):
        if fits_kind(rule, stanza, incoming=incoming) and fits_subject(rule, contacts, other):
            return rule.allow
    return True


def fits_kind(rule: Rule, stanza: Stanza, *, incoming: bool) -> bool:
    """Whether a rule is about a stanza of this kind."""
    if not rule.kinds:
        return True
    if isinstance(stanza, Message):
        return incoming and "message" in rule.kinds
    if isinstance(stanza, IQ):
        return incoming and "iq" in rule.kinds
    notification = stanza.type in (None, "unavailable")
    return notification and ("presence-in" if incoming else "presence-out") in rule.kinds


def fits_subject(rule: Rule, contacts: Contacts, other: JID) -> bool:
    """Whether a rule is about somebody."""
    subscription, groups = contacts.standing(other)
    if rule.type == "subscription":
        return subscription == rule.value
    if rule.type == "group":
        return rule.value in groups
    if rule.type == "jid":
        named = JID.parse(rule.value)
        if named.local is not None and named.resource is not None:
            return other == named  # only that resource matches
        if named.local is not None:
            return other.local == named.local and other.domain == named.domain
        if named.resource is not None:
            return other == named
        return other.domain == named.domain  # the domain itself, and everybody there
    return True


@st.composite
def rule_lists(draw: st.DrawFn) -> list[Rule]:
    """Rules with different orders, in any sequence."""
    orders = draw(st.lists(st.integers(0, MAX_ORDER), unique=True, max_size=8))
    return [draw(rules(order)) for order in orders]


def rules(order: int) -> st.SearchStrategy[Rule]:
    """A rule of this order."""
    subjects = st.one_of(
        st.just(("", "")),
        st.tuples(st.just("jid"), st.sampled_from([jid.full for jid in JIDS])),
        st.tuples(st.just("group"), st.sampled_from(GROUPS)),
        st.tuples(st.just("subscription"), st.sampled_from(("none", "to", "from", "both"))),
    )
    kinds: st.SearchStrategy[frozenset[Kind]] = st.frozensets(st.sampled_from(NAMED))
    return st.builds(
        lambda allow, subject, kinds: Rule(order, allow, subject[0], subject[1], kinds),
        st.booleans(), subjects, kinds,
    )  # fmt: skip


def rosters() -> st.SearchStrategy[Contacts]:
    """Contacts with subscriptions and groups."""
    standings = st.tuples(
        st.sampled_from(("none", "to", "from", "both")),
        st.lists(st.sampled_from(GROUPS), unique=True).map(tuple),
    )
    bare = sorted({jid.bare for jid in JIDS})
    return st.builds(Contacts, st.dictionaries(st.sampled_from(bare), standings))


@st.composite
def stanzas(draw: st.DrawFn) -> Stanza:
    """A stanza to the owner, or from it."""
    kind: type[Stanza] = draw(st.sampled_from((Message, IQ, Presence)))
    types: tuple[str | None, ...] = (None, "get", "result", "chat", "error")
    if kind is Presence:
        types = (None, "unavailable", "subscribe", "unsubscribed", "probe", "error")
    ends = [draw(st.sampled_from(JIDS)), draw(st.sampled_from((OWNER, OWNER.to_bare())))]
    if draw(st.booleans()):
        ends = [OWNER, ends[0]]
    return kind.make(ends[1], ends[0], type=draw(st.sampled_from(types)))


def passes(privacy: SessionPrivacy, stanza: Stanza) -> bool:
    """What the server makes of it."""
    if stanza.to is not None and stanza.to.bare == OWNER.bare:
        return privacy.lets_in(stanza)
    try:
        privacy.check_out(stanza)
    except Exception:
        return False
    return True


class CompiledListTests(SynchronousTestCase):
    @given(rule_lists(), rosters(), stanzas())
    def test_as_written(self, written: list[Rule], contacts: Contacts, stanza: Stanza) -> None:
        """Whatever the list, the roster and the stanza: the look-ups say what the rules say."""
        compiled = PrivacyList("l", written).compiled
        privacy = SessionPrivacy(OWNER.to_bare(), contacts, compiled)
        if stanza.sender == OWNER and stanza.to is not None and stanza.to.bare == OWNER.bare:
            self.assertTrue(passes(privacy, stanza))
        else:
            self.assertEqual(passes(privacy, stanza), literal(written, contacts, stanza))

    @given(rule_lists())
    def test_round_trip(self, written: list[Rule]) -> None:
        """What is stored of a list is the list."""
        kept = PrivacyList("a 'list' <&>", written)
        read = PrivacyList.from_tree(tree_of(kept))
        self.assertEqual((read.name, read.rules), (kept.name, kept.rules))

    @given(rule_lists(), st.lists(st.sampled_from(JIDS)), rosters())
    def test_blocking(self, written: list[Rule], blocked: list[JID], contacts: Contacts) -> None:
        """Who is blocked is denied everything, before any other rule; and then as before again."""
        before = PrivacyList("l", written)
        during = before.with_blocked(blocked)
        for jid in blocked:
            for kind in KINDS:
                verdict = during.compiled.verdict(kind, jid, contacts)
                self.assertEqual(verdict & DENY, DENY)
        self.assertLessEqual(set(blocked), set(during.blocked))
        after = during.without_blocked([jid for jid in blocked if jid not in before.blocked])
        for jid in JIDS:
            for kind in KINDS:
                was = before.compiled.verdict(kind, jid, contacts)
                now = after.compiled.verdict(kind, jid, contacts)
                self.assertEqual(was & (DENY | BLOCK), now & (DENY | BLOCK))

    def test_no_rule(self) -> None:
        """Without a rule that fits everything passes (§2.2, rule 7)."""
        compiled = PrivacyList("l", ()).compiled
        self.assertEqual(compiled.verdict("message", OWNER, Contacts({})), NO_RULE)
        self.assertFalse(NO_RULE & DENY)

    def test_look_ups(self) -> None:
        """A list of rules about JIDs asks no roster, however long it is."""
        written = [Rule(n, False, "jid", f"u{n}@x.lit") for n in range(1_000)]
        compiled = PrivacyList("l", written).compiled
        self.assertFalse(compiled.needs_roster)
        asked: list[JID] = []

        class Nobody:
            def standing(self, jid: JID) -> Standing:
                asked.append(jid)
                return "none", ()

        self.assertTrue(compiled.verdict("iq", JID.parse("u999@x.lit/1"), Nobody()) & DENY)
        self.assertEqual(asked, [])


def tree_of(kept: PrivacyList) -> Tree:
    """A list as it comes in a request."""
    return ElementTree.fromstring(f"<query xmlns='{NS}'>{kept.wire().decode()}</query>")[0]
