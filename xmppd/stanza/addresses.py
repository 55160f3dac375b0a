"""Long lists of addresses: preparing them is work for more than one turn of the reactor."""

from collections.abc import Awaitable, Callable, Iterable

from xmppd.stanza.jid import JID, effort

SLICE_US = 5_000
"""Microseconds of preparing, about, between two turns."""


async def parse_all(texts: Iterable[str], next_turn: Callable[[], Awaitable[None]]) -> list[JID]:
    """The JIDs that these texts name, prepared a slice at a time.

    Args:
        texts: As a peer wrote them.
        next_turn: Waits for the next turn of the reactor.

    Raises:
        ValueError: One is not an address; the message says which part is wrong.
    """
    jids: list[JID] = []
    spent_us = effort.spent_us
    for text in texts:
        jids.append(JID.parse(text))
        if effort.spent_us - spent_us >= SLICE_US:
            await next_turn()
            spent_us = effort.spent_us
    return jids
