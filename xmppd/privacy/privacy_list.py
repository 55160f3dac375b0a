"""Privacy lists: rules as their owner wrote them, and the same compiled to look-ups (:xep:`0016`).

Blocking (:xep:`0191`) is made of the same rules: it denies a JID everything.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

from xmppd.stanza import JID, Tree, escape, qname

NS = "jabber:iq:privacy"
MAX_NAME_LENGTH = 255
"""Of a list, in characters."""

MAX_VALUE_LENGTH = 3_071
"""Of a rule's value, in characters: the longest address."""

MAX_ORDER = 2**32 - 1

Kind = Literal["message", "iq", "presence-in", "presence-out", "other"]
"""The kind of a stanza for a list. ``other`` are those that only a rule for everything is about:
subscriptions and probes, and stanzas of the owner that are not presence.
"""
NAMED: tuple[Kind, ...] = ("message", "iq", "presence-in", "presence-out")
KINDS: tuple[Kind, ...] = (*NAMED, "other")
TYPES = frozenset(("jid", "group", "subscription"))
SUBSCRIPTIONS = frozenset(("none", "to", "from", "both"))

Standing = tuple[str, tuple[str, ...]]
"""A contact's subscription and groups in a roster."""
UNKNOWN: Standing = ("none", ())

Verdict = int
"""A list's decision about a stanza: the order of the rule that decides, shifted by two, and in the
two lowest bits :data:`DENY` and :data:`BLOCK`. So the least of several verdicts is the one that
counts.
"""
DENY = 1
BLOCK = 2
"""The rule denies a JID everything: it is in the blocklist."""
NO_RULE: Verdict = (MAX_ORDER + 1) << 2


class Contacts(Protocol):
    """The part of a roster that a list needs."""

    def standing(self, jid: JID, /) -> Standing:
        """The subscription and groups of this JID."""


@dataclass(frozen=True, slots=True)
class Rule:
    """An item of a list.

    Attributes:
        order: Its place; unique in its list.
        allow: Whether a stanza that it fits passes.
        type: ``jid``, ``group`` or ``subscription``; empty if it fits every address.
        value: The prepared JID, the group's name, or the subscription.
        kinds: The kinds of stanzas that it is about, of :data:`NAMED`; all if empty.
    """

    order: int
    allow: bool
    type: str = ""
    value: str = ""
    kinds: frozenset[Kind] = frozenset()

    @property
    def blocks(self) -> bool:
        """Whether it denies a JID everything, as the blocking command does."""
        return self.type == "jid" and not self.allow and not self.kinds

    @property
    def verdict(self) -> Verdict:
        """The verdict on a stanza that it fits."""
        return self.order << 2 | (BLOCK if self.blocks else 0) | (0 if self.allow else DENY)

    def wire(self) -> bytes:
        """The rule as an ``<item/>``."""
        action = "allow" if self.allow else "deny"
        text = f"<item action='{action}' order='{self.order}'"
        if self.type:
            text += f" type='{self.type}' value='{escape(self.value)}'"
        kinds = "".join(f"<{kind}/>" for kind in NAMED if kind in self.kinds)
        return f"{text}>{kinds}</item>".encode() if kinds else f"{text}/>".encode()


class PrivacyList:
    """A named list of rules, in their order. Immutable: a changed list is another object.

    Attributes:
        name: Unique among the lists of an account.
        rules: In ascending order.
    """

    def __init__(self, name: str, rules: Iterable[Rule]) -> None:
        self.name = name
        self.rules = tuple(sorted(rules, key=lambda rule: rule.order))

    @classmethod
    def from_tree(cls, tree: Tree, *, address: Callable[[str], JID] = JID.parse) -> "PrivacyList":
        """Read a ``<list/>``.

        Args:
            tree: As the parser built it.
            address: Makes a JID of a rule's value.

        Raises:
            ValueError: It is not well-formed; the message says why.
        """
        rules = [rule_of(item, address) for item in tree]
        if len({rule.order for rule in rules}) != len(rules):
            raise ValueError("two items have the same order")
        return cls(name_of(tree), rules)

    @cached_property
    def compiled(self) -> "CompiledList":
        """The rules as look-ups, made when first used."""
        return CompiledList(self.rules)

    @property
    def groups(self) -> frozenset[str]:
        """The groups named by rules."""
        return frozenset(rule.value for rule in self.rules if rule.type == "group")

    @property
    def blocked(self) -> tuple[JID, ...]:
        """The JIDs that are denied everything (:xep:`0191`), in the order of the rules."""
        names = dict.fromkeys(rule.value for rule in self.rules if rule.blocks)
        return tuple(JID.prepared(name) for name in names)

    def with_blocked(self, jids: Iterable[JID]) -> "PrivacyList":
        """The list with these JIDs denied everything, before all other rules."""
        known = {rule.value for rule in self.rules if rule.blocks}
        added = [jid.full for jid in dict.fromkeys(jids) if jid.full not in known]
        first, after = [Rule(0, False, "jid", name) for name in added], list(self.rules)
        return PrivacyList(self.name, renumbered(first + after) if first else after)

    def without_blocked(self, jids: Iterable[JID] | None) -> "PrivacyList":
        """The list without the rules that deny these JIDs everything; None for all such rules."""
        gone = None if jids is None else {jid.full for jid in jids}
        return PrivacyList(
            self.name,
            (r for r in self.rules if not (r.blocks and (gone is None or r.value in gone))),
        )

    def wire(self) -> bytes:
        """The whole ``<list/>``, in whatever namespace stands around it."""
        items = b"".join(rule.wire() for rule in self.rules)
        return b"<list name='%b'>%b</list>" % (escape(self.name).encode(), items)


class CompiledList:
    """For each kind of stanza, the first rule for each JID, group and subscription.

    Attributes:
        needs_roster: Whether a rule names a group or a subscription.
        apart: Bare JIDs of which a rule names a single resource, with the full JIDs that are named.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._tables = {kind: _Table() for kind in KINDS}
        self.needs_roster = False
        self.apart: dict[str, set[str]] = {}
        for rule in sorted(rules, key=lambda rule: rule.order):
            self.needs_roster |= rule.type in ("group", "subscription")
            for kind in rule.kinds or KINDS:
                self._tables[kind].add(rule)
            if rule.type == "jid" and "/" in rule.value:
                self.apart.setdefault(JID.prepared(rule.value).bare, set()).add(rule.value)

    def verdict(self, kind: Kind, jid: JID, contacts: Contacts) -> Verdict:
        """The verdict of the first rule that fits: a look-up for each way in which one could
        (PL-2).
        """
        table = self._tables[kind]
        first, named = table.everybody, table.jids
        if named:
            first = min(
                first,
                named.get(jid.full, NO_RULE),
                named.get(jid.bare, NO_RULE),
                named.get(jid.domain, NO_RULE),
            )
        if table.needs_roster:
            subscription, groups = contacts.standing(jid)
            first = min(first, table.subscriptions.get(subscription, NO_RULE))
            for group in groups:
                first = min(first, table.groups.get(group, NO_RULE))
        return first


class _Table:
    """The verdicts on one kind of stanza."""

    __slots__ = ("everybody", "groups", "jids", "needs_roster", "subscriptions")

    def __init__(self) -> None:
        self.jids: dict[str, Verdict] = {}
        self.groups: dict[str, Verdict] = {}
        self.subscriptions: dict[str, Verdict] = {}
        self.everybody: Verdict = NO_RULE
        self.needs_roster = False

    def add(self, rule: Rule) -> None:
        """Take in a rule that comes after all those before."""
        if not rule.type:
            self.everybody = min(self.everybody, rule.verdict)
            return
        verdicts = {"jid": self.jids, "group": self.groups, "subscription": self.subscriptions}
        verdicts[rule.type].setdefault(rule.value, rule.verdict)
        self.needs_roster |= rule.type != "jid"


def renumbered(rules: Iterable[Rule]) -> Iterator[Rule]:
    """The rules in the sequence given, numbered from 1."""
    for order, rule in enumerate(rules, 1):
        yield Rule(order, rule.allow, rule.type, rule.value, rule.kinds)


def name_of(tree: Tree) -> str:
    """The name that an element names.

    Raises:
        ValueError: It names none, or one that is too long.
    """
    name = tree.get("name")
    if not name:
        raise ValueError("the list has no name")
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"a name may have at most {MAX_NAME_LENGTH} characters")
    return name


def rule_of(item: Tree, address: Callable[[str], JID] = JID.parse) -> Rule:
    """Read an ``<item/>`` (:xep:`0016`, §2.1).

    Raises:
        ValueError: It is not well-formed; the message says why.
    """
    action, type = item.get("action"), item.get("type", "")
    if item.tag != qname(NS, "item"):
        raise ValueError("a list may contain only items")
    if action not in ("allow", "deny"):
        raise ValueError("an item's action must be allow or deny")
    if type and type not in TYPES:
        raise ValueError("an item's type must be jid, group or subscription")
    value = _value(type, item.get("value", ""), address) if type else ""
    return Rule(_order(item.get("order", "")), action == "allow", type, value, _kinds(item))


def _order(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_ORDER):
        raise ValueError(f"an item's order must be a number from 0 to {MAX_ORDER}")
    return int(text)


def _value(type: str, value: str, address: Callable[[str], JID]) -> str:
    if not value or len(value) > MAX_VALUE_LENGTH:
        raise ValueError(f"an item's {type} must have 1 to {MAX_VALUE_LENGTH} characters")
    if type == "subscription" and value not in SUBSCRIPTIONS:
        raise ValueError("an item's subscription must be none, to, from or both")
    return address(value).full if type == "jid" else value


def _kinds(item: Tree) -> frozenset[Kind]:
    known: dict[str, Kind] = {qname(NS, kind): kind for kind in NAMED}
    kinds = [known.get(child.tag) for child in item]
    if None in kinds:
        raise ValueError(f"an item may contain only {', '.join(NAMED)}")
    return frozenset(kind for kind in kinds if kind is not None)
