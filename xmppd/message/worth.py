"""Worth of a message: the table of what becomes of it beside its delivery (AR-7).

Each row is a kind of message, and has a column for each of those who may do something with it: the
archive, the store of offline messages, carbons, push, and the count of what is unread. The first
row that fits decides. Hints (:xep:`0334`) and the like are no rows: they change some cells of any.
"""

from collections.abc import Callable
from enum import IntEnum
from functools import cache

from xmppd.stanza import Message, Tree, qname
from xmppd.stanza.copies import COPIES, FORWARD
from xmppd.stanza.fate import CarbonFate, Fate, OfflineFate, PushFate, UnreadFate
from xmppd.stanza.xml import namespace_of

HINTS = "urn:xmpp:hints"
CHAT_STATES = "http://jabber.org/protocol/chatstates"
MARKERS = "urn:xmpp:chat-markers:0"
RECEIPTS = "urn:xmpp:receipts"
CALLS = "urn:xmpp:jingle-message:0"
DISPLAYED = qname(MARKERS, "displayed")

_MUC_USER = "http://jabber.org/protocol/muc#user"
_INVITE = qname(_MUC_USER, "invite")
_FORWARDED = qname(FORWARD, "forwarded")


class Worth(IntEnum):
    """The rows, in the order in which they are looked for."""

    ERROR = 0
    HEADLINE = 1
    GROUPCHAT = 2
    WRAPPER = 3
    RETRACTION = 4
    REACTION = 5
    CORRECTION = 6
    INVITATION = 7
    MENTION = 8
    BODY = 9
    ENCRYPTED = 10
    KEY_TRANSPORT = 11
    CALL = 12
    CALL_OVER = 13
    CALL_ANSWER = 14
    READ = 15
    RECEIPT = 16
    SUBJECT = 17
    FALLBACK = 18
    ANYTHING = 19
    PASSING = 20
    NOTHING = 21


_KEPT, _GONE = OfflineFate.KEPT, OfflineFate.DROPPED
_COPIED, _ALONE, _ERROR = CarbonFate.YES, CarbonFate.NO, CarbonFate.AS_ANSWERED
_TOLD, _QUIET, _RINGS = PushFate.MESSAGE, PushFate.NO, PushFate.CALL
_OVER, _BADGE = PushFate.CALL_OVER, PushFate.BADGE
_SAME, _MORE, _READ = UnreadFate.SAME, UnreadFate.MORE, UnreadFate.READ

# fmt: off
ROWS: dict[Worth, Fate] = {
    #                                                        archive offline carbon  push    unread
    Worth.ERROR:         Fate("an error",                   False, _GONE, _ERROR,  _QUIET, _SAME),
    Worth.HEADLINE:      Fate("a headline",                 False, _GONE, _ALONE,  _QUIET, _SAME),
    Worth.GROUPCHAT:     Fate("a room's message",           False, _GONE, _ALONE,  _QUIET, _SAME),
    Worth.WRAPPER:       Fate("a copy of another message",  False, _GONE, _ALONE,  _QUIET, _SAME),
    Worth.RETRACTION:    Fate("a retraction",               True,  _KEPT, _COPIED, _BADGE, _SAME),
    Worth.REACTION:      Fate("a reaction",                 True,  _KEPT, _COPIED, _QUIET, _SAME),
    Worth.CORRECTION:    Fate("a correction",               True,  _KEPT, _COPIED, _TOLD,  _SAME),
    Worth.INVITATION:    Fate("an invitation",              True,  _KEPT, _COPIED, _TOLD,  _MORE),
    Worth.MENTION:       Fate("a mention in a room",        True,  _KEPT, _COPIED, _TOLD,  _MORE),
    Worth.BODY:          Fate("a text",                     True,  _KEPT, _COPIED, _TOLD,  _MORE),
    Worth.ENCRYPTED:     Fate("something encrypted",        True,  _KEPT, _COPIED, _TOLD,  _MORE),
    Worth.KEY_TRANSPORT: Fate("a key for encryption",       True,  _KEPT, _COPIED, _QUIET, _SAME),
    Worth.CALL:          Fate("a call",                     True,  _KEPT, _COPIED, _RINGS, _SAME),
    Worth.CALL_OVER:     Fate("the end of a call",          True,  _GONE, _COPIED, _OVER,  _SAME),
    Worth.CALL_ANSWER:   Fate("an answer to a call",        True,  _GONE, _COPIED, _QUIET, _SAME),
    Worth.READ:          Fate("a marker of what was read",  True,  _KEPT, _COPIED, _QUIET, _READ),
    Worth.RECEIPT:       Fate("a receipt",                  True,  _KEPT, _COPIED, _QUIET, _SAME),
    Worth.SUBJECT:       Fate("a subject without a text",   True,  _KEPT, _ALONE,  _QUIET, _SAME),
    Worth.FALLBACK:      Fate("a fallback without a text",  True,  _KEPT, _COPIED, _QUIET, _SAME),
    Worth.ANYTHING:      Fate("something unknown",          False, _KEPT, _ALONE,  _QUIET, _SAME),
    Worth.PASSING:       Fate("a passing state",            False, _GONE, _COPIED, _QUIET, _SAME),
    Worth.NOTHING:       Fate("nothing worth keeping",      False, _GONE, _ALONE,  _QUIET, _SAME),
}
# fmt: on
"""The table. In a chat message everything is copied (:xep:`0280`, §6.1)."""


# Marks: what changes some cells of a row.
_CHAT = 1
_STORE = 2
_NO_STORE = 4
_NO_PERMANENT_STORE = 8
_NO_COPY = 16
_OCCUPANT = 32

_TYPES = {"error": Worth.ERROR, "headline": Worth.HEADLINE, "groupchat": Worth.GROUPCHAT}
_MARKS = {
    qname(HINTS, "store"): _STORE,
    qname(HINTS, "no-store"): _NO_STORE,
    qname(HINTS, "no-permanent-store"): _NO_PERMANENT_STORE,
    qname(HINTS, "no-copy"): _NO_COPY,
    qname("urn:xmpp:carbons:2", "private"): _NO_COPY,
    qname(_MUC_USER, "x"): _OCCUPANT,
}


def _wrapper(child: Tree) -> Worth:
    return Worth.ANYTHING if child.find(_FORWARDED) is None else Worth.WRAPPER


def _body(child: Tree) -> Worth:
    return Worth.BODY if child.text or len(child) else Worth.NOTHING


def _omemo(child: Tree) -> Worth:
    payload = qname(namespace_of(child.tag), "payload")
    return Worth.KEY_TRANSPORT if child.find(payload) is None else Worth.ENCRYPTED


def _room(child: Tree) -> Worth:
    if not len(child):
        return Worth.NOTHING
    return Worth.ANYTHING if child.find(_INVITE) is None else Worth.INVITATION


_OMEMO = ("{eu.siacs.conversations.axolotl}encrypted", "{urn:xmpp:omemo:2}encrypted")
_LOOKS: dict[str, Callable[[Tree], Worth]] = {
    **dict.fromkeys((*COPIES, "{urn:xmpp:mam:2}result", "{urn:xmpp:mam:1}result"), _wrapper),
    "body": _body,
    qname(_MUC_USER, "x"): _room,
    **dict.fromkeys(_OMEMO, _omemo),
}
"""Children whose kind depends on what is in them."""

_SEALED = ("{urn:xmpp:openpgp:0}openpgp", "{jabber:x:encrypted}x")
_CHILDREN = {
    "subject": Worth.SUBJECT,
    "thread": Worth.NOTHING,
    "{urn:xmpp:message-retract:1}retract": Worth.RETRACTION,
    "{urn:xmpp:reactions:0}reactions": Worth.REACTION,
    "{urn:xmpp:fasten:0}apply-to": Worth.REACTION,
    "{urn:xmpp:message-correct:0}replace": Worth.CORRECTION,
    "{jabber:x:conference}x": Worth.INVITATION,
    "{urn:xmpp:mmn:0}mentions": Worth.MENTION,
    **dict.fromkeys(_SEALED, Worth.ENCRYPTED),
    qname(CALLS, "propose"): Worth.CALL,
    qname(CALLS, "retract"): Worth.CALL_OVER,
    qname(CALLS, "accept"): Worth.CALL_ANSWER,
    qname(CALLS, "reject"): Worth.CALL_ANSWER,
    qname(CALLS, "finish"): Worth.CALL_ANSWER,
    qname(CALLS, "ringing"): Worth.PASSING,
    DISPLAYED: Worth.READ,
    qname(MARKERS, "received"): Worth.PASSING,
    qname(MARKERS, "acknowledged"): Worth.PASSING,
    qname(MARKERS, "markable"): Worth.PASSING,
    qname(RECEIPTS, "received"): Worth.RECEIPT,
    qname(RECEIPTS, "request"): Worth.PASSING,
    qname("urn:xmpp:carbons:2", "private"): Worth.NOTHING,
    "{urn:xmpp:fallback:0}fallback": Worth.FALLBACK,
}
ENCRYPTED = frozenset((*_SEALED, *_OMEMO))
"""Children that are encrypted; a body beside one says only that."""

_NAMESPACES = {
    CHAT_STATES: Worth.PASSING,
    HINTS: Worth.NOTHING,
    "urn:xmpp:sid:0": Worth.NOTHING,
    "urn:xmpp:delay": Worth.NOTHING,
    "jabber:x:delay": Worth.NOTHING,
}


def fate(message: Message, tree: Tree | None = None) -> Fate:
    """What becomes of a message beside its delivery; looked for once, then kept with its payload.

    Args:
        message: It need not be addressed.
        tree: Of the message, if somebody has it.
    """
    payload = message.payload
    if payload.fate is None:
        kind = _TYPES.get(message.type or "normal")
        if kind is not None:
            payload.fate = ROWS[kind]
        else:
            payload.fate = _fate(*_look(message.type, payload.tree if tree is None else tree))
    return payload.fate


def _look(type: str | None, tree: Tree) -> tuple[Worth, int]:
    """The row of a message that is no error, headline or room's, and its marks."""
    kind, marks = Worth.NOTHING, _CHAT if type == "chat" else 0
    for child in tree:
        tag = child.tag
        marks |= _MARKS.get(tag, 0)
        look = _LOOKS.get(tag)
        found = _CHILDREN.get(tag) if look is None else look(child)
        if found is None:
            found = _NAMESPACES.get(namespace_of(tag), Worth.ANYTHING)
        kind = min(kind, found)
    return kind, marks


def fate_in_room(tree: Tree) -> Fate:
    """What becomes of a message that is said to all in a room, in the room (RM-48): it is kept if
    an account would keep it, and a marker or receipt only if its sender says so.

    Args:
        tree: Of the message.
    """
    kind, marks = _look("groupchat", tree)
    if kind in (Worth.READ, Worth.RECEIPT) and not marks & _STORE:
        return ROWS[Worth.GROUPCHAT]
    return _fate(kind, marks)


def is_chat_state(tree: Tree) -> bool:
    """Whether a message says only what its sender is doing, such as writing (:xep:`0085`)."""
    kind, _ = _look("groupchat", tree)
    return kind is Worth.PASSING and any(namespace_of(child.tag) == CHAT_STATES for child in tree)


@cache
def _fate(kind: Worth, marks: int) -> Fate:
    """The row with its marks: each is made once."""
    row = ROWS[kind]
    archive, offline, carbon = row.archive, row.offline, row.carbon
    push, unread = row.push, row.unread
    if marks & _CHAT:
        carbon = _COPIED
    if marks & _OCCUPANT and kind is not Worth.INVITATION and carbon is _COPIED:
        carbon = CarbonFate.SENT
    if marks & _NO_COPY:
        carbon = _ALONE
    if marks & _NO_STORE:
        archive, push, unread = False, _QUIET, _SAME
        offline = OfflineFate.REFUSED if offline is _KEPT else offline
    elif marks & _STORE and kind is not Worth.WRAPPER:
        archive, offline = True, _KEPT
    if marks & _NO_PERMANENT_STORE:
        archive = False
    return Fate(row.says, archive, offline, carbon, push, unread)
