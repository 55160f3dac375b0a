"""Client state: stanzas that an inactive client gets at once, and news that wait (:xep:`0352`)."""

from collections.abc import Iterable

from xmppd.stanza import JID, Message, Presence, Stanza, Tree, ns, qname
from xmppd.stanza.copies import copied, is_copy
from xmppd.stanza.xml import namespace_of

MAX_HELD_BYTES = 262_144
"""Bytes that wait for an inactive client, with overhead; beyond that, all of it is written."""

LASTING = ""
"""News that stays news, whatever comes after it."""

_CHAT_STATES = "http://jabber.org/protocol/chatstates"
_ASIDE = frozenset(("urn:xmpp:hints", "urn:xmpp:sid:0", ns.DELAY))
"""Namespaces of elements that say nothing by themselves; nor does a thread."""
_TICKS = frozenset(("urn:xmpp:receipts", "urn:xmpp:chat-markers:0"))
_EVENT = qname("http://jabber.org/protocol/pubsub#event", "event")
_ROOM = "{http://jabber.org/protocol/muc#user}x"
_STATUS = "{http://jabber.org/protocol/muc#user}status"
_SELF_PRESENCE = "110"


def news_of(stanza: Stanza, session: JID) -> str | None:
    """The key of a stanza that is only news, if the client of an inactive session need not get it
    now.

    Args:
        stanza: A stanza for the session.
        session: Full JID.

    Returns:
        The same key for two stanzas of which the later one makes the earlier one old, or
        :data:`LASTING`; None if the client should get it at once (CS-4).
    """
    if isinstance(stanza, Presence):
        return _presence(stanza)
    if not isinstance(stanza, Message) or stanza.type == "error":
        return None
    if not is_copy(stanza, session.bare):
        return _message(stanza.payload.tree, stanza.sender.full)
    inner = copied(stanza)
    news = _message(inner, f"{inner.get('from')} {inner.get('to')}")
    sent = inner.get("from", "").startswith(f"{session.bare}/")
    return None if sent and news == LASTING else news


def _presence(presence: Presence) -> str | None:
    """The key of an available or unavailable presence; None for requests and answers."""
    if presence.type not in (None, "unavailable"):
        return None
    to = presence.to
    if to is not None and not to.is_bare:
        tree = presence.payload.tree
        if tree.find(_ROOM) is None or _SELF_PRESENCE in _codes(tree):
            return None
    return f"presence {presence.sender.full}"


def _codes(tree: Tree) -> Iterable[str | None]:
    return (status.get("code") for status in tree.iterfind(f"{_ROOM}/{_STATUS}"))


def _message(tree: Tree, talk: str) -> str | None:
    """The key of a chat state, receipt, marker or published item; None for other messages."""
    tags = [child.tag.removeprefix(f"{{{ns.CLIENT}}}") for child in tree]
    if _EVENT in tags and "body" not in tags:
        return LASTING
    said = {namespace_of(tag) for tag in tags if tag != "thread"} - _ASIDE
    if said == {_CHAT_STATES}:
        return f"state {talk}"
    return LASTING if said <= _TICKS | {_CHAT_STATES} else None
