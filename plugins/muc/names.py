"""The namespaces of rooms, and what the room alone says of who and what it shows."""

from xmppd.stanza import Tree, ns, qname

SUBDOMAIN = "conference."
MUC = "http://jabber.org/protocol/muc"
MUC_USER = f"{MUC}#user"
MUC_ADMIN = f"{MUC}#admin"
MUC_OWNER = f"{MUC}#owner"
OCCUPANT_ID = "urn:xmpp:occupant-id:0"
STANZA_ID = "urn:xmpp:sid:0"
HATS = "urn:xmpp:hats:0"
AFFILIATIONS = "urn:xmpp:muc:affiliations:1"
JOIN = qname(MUC, "x")
USER = qname(MUC_USER, "x")

_OURS = frozenset(
    (
        JOIN,
        USER,
        qname(OCCUPANT_ID, "occupant-id"),
        qname(HATS, "hats"),
        qname(ns.DELAY, "delay"),
        qname("http://jabber.org/protocol/address", "addresses"),
    )
)


def is_forged(child: Tree, room: str) -> bool:
    """Whether only the room may say so (RM-41).

    Args:
        child: Of a stanza that an occupant has sent.
        room: Bare JID of the room.
    """
    if child.tag == _STANZA_ID:
        return child.get("by") == room
    return child.tag in _OURS


_STANZA_ID = qname(STANZA_ID, "stanza-id")

__all__ = [
    "AFFILIATIONS",
    "HATS",
    "JOIN",
    "MUC",
    "MUC_ADMIN",
    "MUC_OWNER",
    "MUC_USER",
    "OCCUPANT_ID",
    "STANZA_ID",
    "SUBDOMAIN",
    "USER",
    "is_forged",
]
