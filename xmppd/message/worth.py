"""Worth of a message for an account that is away."""

from xmppd.stanza import Message
from xmppd.stanza.xml import local_name, namespace_of

HINTS = "urn:xmpp:hints"
CHAT_STATES = "http://jabber.org/protocol/chatstates"


def worth_storing(message: Message) -> bool:
    """Whether a message is worth keeping, and its sender allows that (OM-3)."""
    return lets_itself_be_kept(message) and means_something(message)


def lets_itself_be_kept(message: Message) -> bool:
    """Whether its sender allows that it is kept.

    ``no-permanent-store`` is about archives (:xep:`0334#no-permanent-store`): a kept message is
    gone when it has arrived.
    """
    return "no-store" not in _hints(message)


def means_something(message: Message) -> bool:
    """Whether it has more than chat states (:xep:`0160`), or says itself that it is to be kept."""
    tags = [child.tag for child in message.payload.tree]
    return "store" in _hints(message) or any(
        namespace_of(tag) not in (CHAT_STATES, HINTS) and tag != "thread" for tag in tags
    )


def _hints(message: Message) -> set[str]:
    tags = [child.tag for child in message.payload.tree]
    return {local_name(tag) for tag in tags if namespace_of(tag) == HINTS}
