"""What an archive reads in a message as it was routed."""

import re
from collections.abc import Callable
from html import unescape

from xmppd.message.worth import fate_in_room
from xmppd.stanza import JID, Message, Payload, Tree, qname
from xmppd.stanza.fate import UnreadFate

from .tables import GROUPCHAT, SPEAKS

SID = "urn:xmpp:sid:0"
STANZA_ID = qname(SID, "stanza-id")
NAMED = b"stanza-id"
"""In the bytes of every message that has an id."""

_ROOMS = "http://jabber.org/protocol/muc#user"
_ROOMS_WIRE = _ROOMS.encode()
_IN_ROOM = qname(_ROOMS, "x")

_WRITTEN = rb"([^\s=<>\"']+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\")"
_START = re.compile(rb"<message((?:\s+[^\s=<>\"']+\s*=\s*(?:'[^']*'|\"[^\"]*\"))*)\s*/?>").match
_END = b"</message>"
_ATTRIBUTE = re.compile(_WRITTEN).findall
_AUTHOR = re.compile(
    rb"<x xmlns='%b'><item [^<>]*jid='([^'<>]*)'/></x></message>\Z" % re.escape(_ROOMS_WIRE)
).search


def is_none(owner: str, id: str) -> bool:
    """False: the message has not had an id of ours yet."""
    return False


def without_ids_by(
    message: Message, owner: str, is_ours: Callable[[str, str], bool] = is_none
) -> Message:
    """The message without ids that somebody else has written in the name of an archive (AR-20).

    Those inside of other elements stay. A message without any costs one search (AR-21).

    Args:
        message: As it came.
        owner: Bare JID of the archive's owner.
        is_ours: Says whether an id in the owner's name was given by the archive, in a message that
            has had one.
    """
    if NAMED not in message.payload.raw:
        return message

    def is_forged(child: Tree) -> bool:
        is_one = child.tag == STANZA_ID and _is_by(child, owner)
        return is_one and not is_ours(owner, child.get("id", ""))

    return message.without_children(is_forged)


def _is_by(stanza_id: Tree, owner: str) -> bool:
    try:
        return JID.parse(stanza_id.get("by", "")).full == owner
    except ValueError:
        return False


def peers(message: Message) -> tuple[str, str]:
    """Whom its sender's archive has it with, and its recipient's: of a private message in a room
    that is an occupant, and not the room.
    """
    to, sender, payload = message.to, message.sender, message.payload
    assert to is not None, "it is addressed"
    if _ROOMS_WIRE in payload.raw and payload.tree.find(_IN_ROOM) is not None:
        return to.full, sender.full
    return to.bare, sender.bare


def flags_of(message: Message) -> int:
    """Its flags, but for those that depend on whose archive it is in."""
    if message.type != "groupchat":
        return 0
    speaks = fate_in_room(message.payload.tree).unread is UnreadFate.MORE
    return GROUPCHAT | SPEAKS if speaks else GROUPCHAT


def with_id(message: Message, owner: JID, id: str) -> Message:
    """The message with its id in an archive (AR-22)."""
    return message.with_child(
        b"<stanza-id xmlns='urn:xmpp:sid:0' id='%b' by='%b'/>" % (id.encode(), owner.wire)
    )


def author_of(wire: bytes) -> str | None:
    """The bare JID of who has said something in a room, as its archive has it behind all else: not
    everybody may see it. None of what nobody in particular has said.
    """
    found = _AUTHOR(wire)
    if found is None:
        return None
    try:
        return JID.prepared(unescape(found[1].decode())).bare
    except ValueError:
        return None


def author_in(wire: bytes) -> bytes:
    """The element that says so; empty if there is none."""
    found = _AUTHOR(wire)
    return b"" if found is None else wire[found.start() : -len(_END)]


def without_author(wire: bytes) -> bytes:
    """What was said in a room without who has said that."""
    found = _AUTHOR(wire)
    return wire if found is None else wire[: found.start()] + _END


def read_back(wire: bytes) -> Message:
    """A message from its bytes in an archive; which are read no further than needed.

    It costs a tenth of reading the whole, which is what a start of the server has no time for.

    Raises:
        ValueError: They are no message any more.
    """
    start = _START(wire)
    if start is None:
        raise ValueError("not the start of a routed message")
    attributes = {
        name.decode(): unescape((single or double).decode())
        for name, single, double in _ATTRIBUTE(start[1])
    }
    sender, to = JID.prepared(attributes["from"]), attributes.get("to")
    return Message(
        sender.to_bare() if to is None else JID.prepared(to),
        sender,
        attributes.get("id"),
        attributes.get("type"),
        Payload(wire),
    )


__all__ = [
    "NAMED",
    "SID",
    "STANZA_ID",
    "author_in",
    "author_of",
    "flags_of",
    "is_none",
    "peers",
    "read_back",
    "with_id",
    "without_author",
    "without_ids_by",
]
