"""What is news in a room: a text that nobody has heard yet."""

from xmppd.message.worth import ENCRYPTED
from xmppd.stanza import Tree, qname

_REPLACE = qname("urn:xmpp:message-correct:0", "replace")


def is_news(tree: Tree) -> bool:
    """Whether a message says something, and something else than one before."""
    if tree.find(_REPLACE) is not None:
        return False
    return bool(tree.findtext("body")) or any(child.tag in ENCRYPTED for child in tree)


__all__ = ["is_news"]
