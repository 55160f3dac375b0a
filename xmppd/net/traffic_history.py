"""TrafficHistory: who has caused how much, over the last minutes."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from heapq import nlargest
from types import MappingProxyType
from typing import NamedTuple

from xmppd.net.connection_handler import ConnectionHandler
from xmppd.session.peer_counts import NOTHING, Growth, Peer

PARTS = 5
"""Connections are looked at in parts, one after the other, so that no look takes long."""

MINUTES = 10
MINUTE_S = 60.0

MAX_RANKED = 20
"""Peers that are kept of one look, for each thing by which they are ranked; all others are one."""

MAX_GONE = 5_000
"""Connections that are lost between two looks, and are told apart; of more all others are one."""

OTHERS = Peer(*["(others)"] * 5)

RANKS: dict[str, Callable[[Growth], float]] = {
    "stanzas": lambda grown: grown.stanzas,
    "messages": lambda grown: grown.messages,
    "presences": lambda grown: grown.presences,
    "iqs": lambda grown: grown.iqs,
    "bytes": lambda grown: grown.bytes,
    "deliveries": lambda grown: grown.deliveries,
    "busy": lambda grown: grown.busy_s,
    "slowed": lambda grown: grown.slowed,
    "failed-logins": lambda grown: grown.failed_logins,
}
"""The things by which peers are ranked, with the name of each."""

Growths = dict[Peer, Growth]


class Look(NamedTuple):
    """The growth that was seen in a look.

    Attributes:
        at: The time, on the clock.
        grown: By peer.
    """

    at: float
    grown: Growths


class TrafficHistory:
    """What all peers have caused in the last :data:`MINUTES`, also those that are gone.

    Args:
        places: The connections of each kind.
        elsewhere: Gives the deliveries, beyond one each, that people elsewhere have caused since
            the last time: by full JID of sessions at other nodes, by bare JID of others, or by
            domain.
    """

    def __init__(
        self,
        places: Sequence[Collection[ConnectionHandler]],
        elsewhere: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._places = places
        self._elsewhere = elsewhere
        self._part = 0
        self._gone: Growths = {}
        self._looks: deque[Look] = deque()
        self._minute: Growths = {}
        self._minute_ends = 0.0
        self._minutes: deque[Growths] = deque(maxlen=MINUTES - 1)
        self._sums: dict[tuple[str, int], Mapping[str, Growth]] = {}  # that were asked for

    def gone(self, handler: ConnectionHandler) -> None:
        """Note what a connection that is lost has caused since it was looked at."""
        grown = handler.counts.grown()
        if grown is not None:
            self.note(handler.peer, grown)

    def note(self, peer: Peer, grown: Growth) -> None:
        """Note what somebody has caused, apart from what connections count that are there."""
        if len(self._gone) >= MAX_GONE and peer not in self._gone:
            peer = OTHERS
        _add(self._gone, peer, grown)

    def look(self, now: float) -> None:
        """Note what the next part of all connections has caused since it was looked at."""
        self._part = (self._part + 1) % PARTS
        grown, self._gone = self._gone, {}
        for place in self._places:
            for handler in place:
                if hash(handler) % PARTS == self._part:
                    more = handler.counts.grown()
                    if more is not None:
                        _add(grown, handler.peer, more)
        for who, fan_out in self._elsewhere().items():
            bare, _, resource = who.partition("/")
            domain = bare.rpartition("@")[2]
            account = bare if bare != domain else ""
            peer = Peer(who if resource else domain, account, "", "", domain)
            _add(grown, peer, Growth(fan_out=fan_out))
        self._keep(Look(now, _pruned(grown)))

    def _keep(self, look: Look) -> None:
        self._sums.clear()
        self._looks.append(look)
        while look.at - self._looks[0].at >= MINUTE_S:
            self._looks.popleft()
        if look.at >= self._minute_ends:
            self._minutes.append(_pruned(self._minute))
            self._minute, self._minute_ends = {}, look.at + MINUTE_S
        _add_all(self._minute, look.grown)

    def lately(self, minutes: int) -> Growths:
        """What each peer has caused in the last minute, or in this one and those before it."""
        total: Growths = {}
        if minutes == 1:
            for look in self._looks:
                _add_all(total, look.grown)
            return total
        _add_all(total, self._minute)
        for before in tuple(self._minutes)[1 - minutes :]:
            _add_all(total, before)
        return total

    def by(self, part: str, minutes: int) -> Mapping[str, Growth]:
        """The sums of the last minutes by one part of a peer, such as ``account``; added up once
        for all who ask before the next look.
        """
        known = self._sums.get((part, minutes))
        if known is None:
            known = self._sums[part, minutes] = MappingProxyType(by(part, self.lately(minutes)))
        return known


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


def _add_all(total: Growths, growths: Growths) -> None:
    for peer, grown in growths.items():
        known = total.get(peer)
        total[peer] = grown if known is None else known.plus(grown)


def _pruned(grown: Growths) -> Growths:
    """Those that have caused most of anything, and all others together."""
    if len(grown) <= MAX_RANKED * len(RANKS):
        return grown
    kept = {peer: grown[peer] for rank in RANKS.values() for peer in _first(rank, grown)}
    for peer, more in grown.items():
        if peer not in kept:
            _add(kept, OTHERS, more)
    return kept


def _first(rank: Callable[[Growth], float], grown: Growths) -> Iterable[Peer]:
    """The peers that have caused most of one thing, as far as they have caused any of it."""
    most = nlargest(MAX_RANKED, ((rank(more), peer) for peer, more in grown.items() if rank(more)))
    return [peer for _, peer in most]


__all__ = ["MAX_GONE", "MINUTES", "OTHERS", "PARTS", "RANKS", "TrafficHistory", "by"]
