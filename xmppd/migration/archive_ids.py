"""Ids of archives in messages that wait: where somebody has moved to, nothing is called by them."""

from functools import partial

from xmppd.stanza import Message, Tree, qname
from xmppd.stanza.result import STANZA_ID

_IDS = (qname(STANZA_ID, "stanza-id"), qname("urn:xmpp:mam:tmp", "archived"))


def without_archive_ids(message: Message, account: str) -> Message:
    """The message without ids of the archive of an account.

    Args:
        message: That waits.
        account: Bare JID of whom it waits for.
    """
    return message.without_children(partial(_is_id_by, account))


def _is_id_by(account: str, child: Tree) -> bool:
    return child.tag in _IDS and child.get("by") == account


__all__ = ["without_archive_ids"]
