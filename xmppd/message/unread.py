"""What a client had not read when its session ended, and what becomes of it."""

from collections.abc import Iterable, Iterator, Mapping

from xmppd.host.clocks import UNKNOWN, Clocks
from xmppd.session.backlog import Waiting
from xmppd.stanza import IQ, JID, Message, Stanza
from xmppd.stanza.copies import is_copy, original
from xmppd.stanza.delay import Stood, Stored, returned, stamped

_FOR_ONE = ("chat", "error", "groupchat", "headline")
"""Types of message of which the router decides what becomes of them without their resource."""


def owed(
    unread: Iterable[Waiting],
    session: JID,
    clocks: Clocks,
    stood: Mapping[Stanza, Stood],
) -> Iterator[Stanza]:
    """Those stanzas that somebody waits for: they are routed as if the session had not been there.

    Args:
        unread: In the order in which they came.
        session: Full JID of the session that is gone.
        clocks: Say when a message came.
        stood: Where its messages stood in its queue.
    """
    for stanza, _, came in unread:
        if isinstance(stanza, IQ) and stanza.type in ("get", "set"):
            yield stanza
        elif isinstance(stanza, Message) and not isinstance(stanza.payload, Stored):
            message = _last_of(stanza, session)
            if message is None:
                continue  # somebody else of the account has it
            late = message if came == UNKNOWN else _accepted(message, session, clocks.stamp(came))
            if late.to is None:
                late = late.addressed(session.to_bare())
            yield returned(late, stood[stanza]) if stanza in stood else late


def _last_of(message: Message, session: JID) -> Message | None:
    """The message, if nobody else of the account has it or has read it; of a copy what it is of."""
    copies = message.payload.copies
    if copies is not None and copies.account == session.bare:
        copies.left -= 1
        if copies.left > 0:
            return None
        return original(message) if is_copy(message, session.bare) else message
    return None if is_copy(message, session.bare) else message


def _accepted(message: Message, session: JID, stamp: float) -> Message:
    """One that was accepted for a client that acknowledges says when that was.

    Unless only this resource could have understood it, any of the account's will do.
    """
    late = stamped(message, session.domain, stamp)
    if late.to is None or late.type in _FOR_ONE:
        return late
    return late.addressed(session.to_bare())
