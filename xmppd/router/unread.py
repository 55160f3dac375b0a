"""What a client had not read when its session ended, and what becomes of it."""

from collections.abc import Iterable, Iterator, Mapping

from xmppd.clocks import UNKNOWN, Clocks
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.backlog import Waiting
from xmppd.stanza import IQ, JID, Message, Stanza
from xmppd.stanza.carbon import is_carbon
from xmppd.stanza.delay import Stood, Stored, returned, stamped

_FOR_ONE = ("chat", "error", "groupchat", "headline")
"""Types of message of which the router decides what becomes of them without their resource."""


def owed(
    unread: Iterable[Waiting],
    session: JID,
    routing_table: RoutingTable,
    clocks: Clocks,
    stood: Mapping[Stanza, Stood],
) -> Iterator[Stanza]:
    """Those stanzas that somebody waits for: they are routed as if the session had not been there.

    Args:
        unread: In the order in which they came.
        session: Full JID of the session that is gone.
        routing_table: Knows it no more.
        clocks: Say when a message came.
        stood: Where its messages stood in its queue.
    """
    others = any(other.priority >= 0 for other in routing_table.available(session.bare))
    for stanza, _, came in unread:
        if isinstance(stanza, IQ) and stanza.type in ("get", "set"):
            yield stanza
        elif isinstance(stanza, Message) and not isinstance(stanza.payload, Stored):
            if is_carbon(stanza, session.bare):
                continue  # its original has a fate of its own
            known = came != UNKNOWN
            late = _accepted(stanza, session, clocks.stamp(came)) if known else stanza
            if late.to is None:
                if others:
                    continue  # they have it: several resources got it
                late = late.addressed(session.to_bare())
            yield returned(late, stood[stanza]) if stanza in stood else late


def _accepted(message: Message, session: JID, stamp: float) -> Message:
    """One that was accepted for a client that acknowledges says when that was.

    Unless only this resource could have understood it, any of the account's will do.
    """
    late = stamped(message, session.domain, stamp)
    if late.to is None or late.type in _FOR_ONE:
        return late
    return late.addressed(session.to_bare())
