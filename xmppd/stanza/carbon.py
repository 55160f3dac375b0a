"""Carbon copies: a message as another resource of its sender or recipient gets it (:xep:`0280`).

A copy is its owner's account speaking: it comes from the bare JID, which no client can write.
"""

from typing import Literal

from xmppd.stanza import ns
from xmppd.stanza.jid import JID
from xmppd.stanza.stanza import Message, Payload
from xmppd.stanza.xml import Tree, escape, qname

CARBONS = "urn:xmpp:carbons:2"
FORWARD = "urn:xmpp:forward:0"
Direction = Literal["sent", "received"]
_COPIES = (qname(CARBONS, "sent"), qname(CARBONS, "received"))
_INSIDE = f"<message xmlns='{ns.CLIENT}'".encode()


def carbon(message: Message, direction: Direction, account: JID) -> Message:
    """The copy of a message for the resources of an account; who gets it is spliced in.

    The message is in it with the very bytes that its recipient gets, behind a declaration of the
    namespace that they have on a stream of their own.

    Args:
        message: Addressed.
        direction: From the account's point of view.
        account: Bare JID.
    """
    kind = "" if message.type is None else f" type='{escape(message.type)}'"
    head = f"<message{kind}><{direction} xmlns='{CARBONS}'><forwarded xmlns='{FORWARD}'>"
    raw = b"%b%b%b</forwarded></%b></message>" % (
        head.encode(),
        _INSIDE,
        message.wire()[message.after_name :],
        direction.encode(),
    )
    return Message(None, account, None, message.type, Payload(raw))


def is_carbon(message: Message, account: str) -> bool:
    """Whether a message for a session of this account, a bare JID, is a copy.

    Somebody else's message may look like one, and is only what it is.
    """
    if message.sender.full != account:
        return False
    tree = message.payload.tree
    return len(tree) == 1 and tree[0].tag in _COPIES


def copied(copy: Message) -> Tree:
    """The message that a copy is of; its names are in the namespace of clients."""
    return copy.payload.tree[0][0][0]
