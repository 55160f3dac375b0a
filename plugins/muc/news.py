"""What is news in a room: a text that nobody has heard yet."""

from dataclasses import dataclass

from xmppd.message.worth import ENCRYPTED
from xmppd.stanza import Tree, qname

_REPLACE = qname("urn:xmpp:message-correct:0", "replace")


@dataclass(frozen=True)
class ReadRoom:
    """An account has seen what was said in a room.

    Attributes:
        room: Bare JID of the room.
        account: That of the account.
    """

    room: str
    account: str


def is_news(tree: Tree) -> bool:
    """Whether a message says something, and something else than one before."""
    if tree.find(_REPLACE) is not None:
        return False
    return bool(tree.findtext("body")) or any(child.tag in ENCRYPTED for child in tree)


__all__ = ["ReadRoom", "is_news"]
