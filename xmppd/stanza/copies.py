"""Carbon copies: a message as another resource of its sender or recipient gets it (:xep:`0280`).

A copy comes from the bare JID of its owner, which no client can write.
"""

from typing import Literal

from xmppd.stanza import ns
from xmppd.stanza.jid import JID
from xmppd.stanza.stanza import Message, Payload
from xmppd.stanza.xml import Tree, escape, qname

CARBONS = "urn:xmpp:carbons:2"
FORWARD = "urn:xmpp:forward:0"
Direction = Literal["sent", "received"]
COPIES = (qname(CARBONS, "sent"), qname(CARBONS, "received"))
"""The names of a copy's first child."""

_INSIDE = f"<message xmlns='{ns.CLIENT}'".encode()
_CHAT = b"<message type='chat'"
_BEFORE: dict[Direction, bytes] = {
    "sent": f"><sent xmlns='{CARBONS}'><forwarded xmlns='{FORWARD}'>".encode(),
    "received": f"><received xmlns='{CARBONS}'><forwarded xmlns='{FORWARD}'>".encode(),
}
_BEHIND: dict[Direction, bytes] = {
    "sent": b"</forwarded></sent></message>",
    "received": b"</forwarded></received></message>",
}


_FORWARDED = b"</forwarded>"


def forwarded(message: Message) -> bytes:
    """An addressed message as it stands in a copy: with the very bytes that its recipient gets,
    behind a declaration of the namespace that they have on a stream of their own.
    """
    return _INSIDE + message.wire()[message.after_name :]


def carbon(message: Message, inside: bytes, direction: Direction, account: JID) -> Message:
    """The copy of a message for the resources of an account; each one's address is spliced in.

    Args:
        message: The original.
        inside: The same, :func:`forwarded`.
        direction: From the account's point of view.
        account: Bare JID.
    """
    kind = message.type
    head = _CHAT if kind == "chat" else b"<message" if kind is None else _head(kind)
    parts = (head, _BEFORE[direction], inside, _BEHIND[direction])
    return Message(None, account, None, message.type, Payload(b"".join(parts)))


def _head(kind: str) -> bytes:
    return f"<message type='{escape(kind)}'".encode()


def original(copy: Message) -> Message:
    """The message inside a copy of ours, with the bytes that its recipient got."""
    raw = copy.payload.raw
    start = raw.index(_INSIDE)
    inside = raw[start + len(_INSIDE) : raw.rindex(_FORWARDED)]
    return Message.from_bytes(b"<message" + inside)


def is_copy(message: Message, account: str) -> bool:
    """Whether a message for a session of this account, a bare JID, is a copy.

    It may have a delay stamp as well. A message from another address may look like a copy, and is
    none.
    """
    if message.sender.full != account:
        return False
    tree = message.payload.tree
    return len(tree) > 0 and tree[0].tag in COPIES


def copied(copy: Message) -> Tree:
    """The message inside a copy; its names are in the namespace of clients."""
    return copy.payload.tree[0][0][0]
