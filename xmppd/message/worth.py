"""What a message is worth to somebody who is not here."""

from xmppd.stanza import Message
from xmppd.stanza.xml import local_name, namespace_of

HINTS = "urn:xmpp:hints"
CHAT_STATES = "http://jabber.org/protocol/chatstates"


def worth_storing(message: Message) -> bool:
    """Whether a message means anything later, and its sender lets it wait (OM-3)."""
    return lets_itself_be_kept(message) and means_something(message)


def lets_itself_be_kept(message: Message) -> bool:
    """Whether its sender lets it wait.

    ``no-permanent-store`` is about archives (:xep:`0334#no-permanent-store`): what waits is gone
    when it has arrived.
    """
    return "no-store" not in _hints(message)


def means_something(message: Message) -> bool:
    """Whether it is more than mere chat states (:xep:`0160`), or says itself that it is."""
    tags = [child.tag for child in message.payload.tree]
    return "store" in _hints(message) or any(
        namespace_of(tag) not in (CHAT_STATES, HINTS) and tag != "thread" for tag in tags
    )


def _hints(message: Message) -> set[str]:
    tags = [child.tag for child in message.payload.tree]
    return {local_name(tag) for tag in tags if namespace_of(tag) == HINTS}
