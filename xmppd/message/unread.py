"""Unread stanzas of a session that has ended, made ready to be routed again."""

from collections.abc import Iterable, Iterator, Mapping

from xmppd.host.clocks import UNKNOWN, Clocks
from xmppd.session.backlog import Waiting
from xmppd.stanza import IQ, JID, Message, Stanza
from xmppd.stanza.copies import is_copy, original
from xmppd.stanza.copy_count import CopiesElsewhere
from xmppd.stanza.delay import Stood, Stored, as_unread, returned, stamped
from xmppd.stanza.pulled import Pulled
from xmppd.stanza.result import is_result

_FOR_ONE = ("chat", "error", "groupchat", "headline")
"""Types of message that the router has a rule for without their resource."""


def owed(
    unread: Iterable[Waiting],
    session: JID,
    clocks: Clocks,
    stood: Mapping[Stanza, Stood],
) -> Iterator[Stanza]:
    """The stanzas that have to be routed again, as if the session had not been there.

    Args:
        unread: In the order in which they came.
        session: Full JID of the session that is gone.
        clocks: Give the time of a message.
        stood: The positions of its messages in its queue.
    """
    for stanza, _, came in unread:
        if isinstance(stanza, IQ) and stanza.type in ("get", "set"):
            yield stanza
        elif (
            isinstance(stanza, Message)
            and not isinstance(stanza.payload, Stored | Pulled)
            and not is_result(stanza)  # of whose bytes no more was known
        ):
            message = _last_of(stanza, session)
            if message is None:
                continue  # another session of the account has it
            late = message if came == UNKNOWN else _accepted(message, session, clocks.stamp(came))
            if late.to is None:
                late = late.addressed(session.to_bare())
            again = returned(late, stood[stanza]) if stanza in stood else as_unread(late)
            if isinstance(stanza.payload.copies, CopiesElsewhere):
                again.payload.copies = stanza.payload.copies
            yield again


def _last_of(message: Message, session: JID) -> Message | None:
    """The message, or the one inside a copy, if no other session of the account has it or has read
    it.
    """
    copies = message.payload.copies
    if copies is not None and copies.account == session.bare:
        if not copies.give_back():
            return None
        return original(message) if is_copy(message, session.bare) else message
    return None if is_copy(message, session.bare) else message


def _accepted(message: Message, session: JID, stamp: float) -> Message:
    """A message with the time when it was accepted, for any resource of the account, unless only
    this one could have understood it.
    """
    late = stamped(message, session.domain, stamp)
    if late.to is None or late.type in _FOR_ONE:
        return late
    return late.addressed(session.to_bare())
