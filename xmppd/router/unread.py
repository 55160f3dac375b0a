"""What a client had not read when it was lost, and what becomes of it."""

from collections.abc import Iterable, Iterator

from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import IQ, JID, Message, Stanza, ns, qname
from xmppd.stanza.carbon import is_carbon

_DELAY = qname(ns.DELAY, "delay")


def owed(unread: Iterable[Stanza], session: JID, routing_table: RoutingTable) -> Iterator[Stanza]:
    """Those stanzas that somebody waits for: they are routed as if the session had not been there.

    Args:
        unread: In the order in which they came.
        session: Full JID of the session that is gone.
        routing_table: Knows it no more.
    """
    others = any(other.priority >= 0 for other in routing_table.available(session.bare))
    for stanza in unread:
        if isinstance(stanza, IQ) and stanza.type in ("get", "set"):
            yield stanza
        elif isinstance(stanza, Message) and not _is_stored(stanza, session.domain):
            if is_carbon(stanza, session.bare):
                continue  # its original has a fate of its own
            if stanza.to is not None:
                yield stanza
            elif not others:  # else they have it: several resources got it
                yield stanza.addressed(session.to_bare())


def _is_stored(message: Message, domain: str) -> bool:
    """Whether it came out of the store: there it stays until its recipient has it (OS-3)."""
    return any(delay.get("from") == domain for delay in message.payload.tree.iterfind(_DELAY))
