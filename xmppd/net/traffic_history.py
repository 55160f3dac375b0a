"""TrafficHistory: who has caused how much, over the last minutes."""

from collections import deque
from collections.abc import Collection, Sequence
from heapq import nlargest
from typing import NamedTuple

from xmppd.net.connection_handler import ConnectionHandler
from xmppd.session.peer_counts import NOTHING, Growth, Peer

LOOKED_AT_EACH_S = 5.0
"""How often the counts of all connections are looked at; only those that have grown cost more than
a comparison."""

KEPT_S = 600.0

MAX_RANKED = 40
"""Peers that are kept of one look, for each thing by which they are ranked; all others are one."""

MAX_GONE = 5_000
"""Connections that are lost between two looks, and are told apart; of more all others are one."""

OTHERS = Peer(*["(others)"] * 5)

RANKS = ("stanzas", "messages", "presences", "iqs", "bytes", "busy_s", "slowed", "failed_logins")
"""The things by which peers are ranked: fields and properties of Growth."""

Growths = dict[Peer, Growth]


class Look(NamedTuple):
    """The growth between two looks.

    Attributes:
        at: The time of the later one, on the clock.
        grown: By peer.
    """

    at: float
    grown: Growths


class TrafficHistory:
    """What all peers have caused in the last :data:`KEPT_S`, also those that are gone.

    Args:
        places: The connections of each kind.
    """

    def __init__(self, places: Sequence[Collection[ConnectionHandler]]) -> None:
        self._places = places
        self._looks: deque[Look] = deque()
        self._gone: Growths = {}
        self._next = 0.0

    def gone(self, handler: ConnectionHandler) -> None:
        """Note what a connection that is lost has caused since the last look."""
        if not handler.counts.is_still:
            peer = handler.peer
            if len(self._gone) >= MAX_GONE and peer not in self._gone:
                peer = OTHERS
            _add(self._gone, peer, handler.counts.grown())

    def look(self, now: float) -> None:
        """Note what has grown, if it is time."""
        if now < self._next:
            return
        self._next = now + LOOKED_AT_EACH_S
        grown, self._gone = self._gone, {}
        for place in self._places:
            for handler in place:
                if not handler.counts.is_still:
                    _add(grown, handler.peer, handler.counts.grown())
        self._looks.append(Look(now, _pruned(grown)))
        while self._looks and now - self._looks[0].at > KEPT_S:
            self._looks.popleft()

    def lately(self, seconds: float) -> Growths:
        """What each peer has caused in so many seconds before the last look."""
        total: Growths = {}
        since = self._looks[-1].at - seconds if self._looks else 0.0
        for look in self._looks:
            if look.at > since:
                for peer, grown in look.grown.items():
                    _add(total, peer, grown)
        return total


def by(part: str, growths: Growths) -> dict[str, Growth]:
    """The sums by one part of a peer, such as ``account``."""
    total: dict[str, Growth] = {}
    for peer, grown in growths.items():
        name = getattr(peer, part)
        total[name] = total.get(name, NOTHING).plus(grown)
    return total


def _add(total: Growths, peer: Peer, grown: Growth) -> None:
    known = total.get(peer)
    total[peer] = grown if known is None else known.plus(grown)


def _pruned(grown: Growths) -> Growths:
    """Those that have caused most of anything, and all others together."""
    if len(grown) <= MAX_RANKED * len(RANKS):
        return grown
    kept: Growths = {}
    for rank in RANKS:
        largest = nlargest(MAX_RANKED, grown.items(), key=lambda item: getattr(item[1], rank))
        kept.update(largest)
    for peer, more in grown.items():
        if peer not in kept:
            _add(kept, OTHERS, more)
    return kept


__all__ = ["KEPT_S", "LOOKED_AT_EACH_S", "MAX_GONE", "OTHERS", "RANKS", "TrafficHistory", "by"]
