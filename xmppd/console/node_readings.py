"""NodeReadings: how each node of the service did, also one that is gone."""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from msgspec.structs import replace

from xmppd.cluster.bus import ask_all
from xmppd.cluster.cluster import Cluster
from xmppd.cluster.entries.readings import ReadingsGiven, ReadingsWanted
from xmppd.cluster.node import NodeId
from xmppd.console.graphs import GRAPHS, NODES, NodeLines, lines_of
from xmppd.console.history import SPANS, LookBack, ReadingHistory
from xmppd.console.reading_keeper import placed
from xmppd.host.clocks import UNKNOWN, Clocks
from xmppd.host.locks import Locks
from xmppd.store.errors import StoreError
from xmppd.store.readings import ReadingStore

ASK_S = 2.0
"""How long another node may take to say how it did; then the store says it."""

GOOD_FOR_S = 5.0
"""The time for which what was asked is good enough for all who look."""


class NodeReadings:
    """The lines of all nodes: those that are in are asked; of others the store knows.

    Args:
        cluster: This node and the others.
        history: Of this node.
        store: Has what nodes have written.
        clocks: Tell the time of day.
    """

    def __init__(
        self, cluster: Cluster, history: ReadingHistory, store: ReadingStore, clocks: Clocks
    ) -> None:
        self._membership = cluster.membership
        self._bus = cluster.bus
        self._history = history
        self._store = store
        self._clocks = clocks
        self._turns = Locks()
        self._asked_at = dict.fromkeys(SPANS, UNKNOWN)
        self._lines: dict[str, Sequence[NodeLines]] = {}

    async def lines(self, over: str) -> Sequence[NodeLines]:
        """The lines of each node, by their names.

        Args:
            over: One of :data:`~xmppd.console.history.SPANS`.
        """
        async with self._turns.held(over):  # who asks meanwhile gets what was asked already
            now = self._clocks.seconds()
            if now - self._asked_at[over] >= GOOD_FOR_S:
                found = {**await self._of_others(over), **self._here(over)}
                stored = await self._stored(SPANS[over], found)
                known = self._known(over, found, stored)
                self._lines[over] = [each for _, each in sorted({**known, **found}.items())]
                self._asked_at[over] = now
            return self._lines[over]

    def _here(self, over: str) -> Mapping[str, NodeLines]:
        name = self._membership.id.name
        kept = self._history.over(SPANS[over])
        return {name: lines_of(NODES, kept, self._clocks.stamp, name)}

    async def _of_others(self, over: str) -> Mapping[str, NodeLines]:
        nodes = [node.id for node in self._membership.nodes.values()]
        answers = await ask_all(self._bus, nodes, ReadingsWanted(over), ASK_S)
        return {
            node.name: self._told(node.name, answer)
            for node, answer in answers.items()
            if isinstance(answer, ReadingsGiven) and _is_whole(answer)
        }

    def _told(self, name: str, answer: ReadingsGiven) -> NodeLines:
        today = self._clocks.wall_clock()
        at = [round(today - ago_s, 1) for ago_s in answer.ago_s]
        return NodeLines(name, at, {key: [line] for key, line in answer.lines.items()})

    async def _stored(
        self, span: LookBack, told: Mapping[str, NodeLines]
    ) -> Mapping[str, NodeLines]:
        """Those of nodes that have not told theirs, as far as they have written them lately."""
        now, found = self._clocks.seconds(), {}
        since = self._clocks.wall_clock() - span.seconds
        with suppress(StoreError):
            for name, newest in await self._store.nodes():
                if name in told or newest < since:
                    continue
                kept = placed(await self._store.readings(name, since), self._clocks)
                lines = lines_of(NODES, span.of(kept, now), self._clocks.stamp, name)
                is_gone = name not in self._membership.nodes
                found[name] = replace(lines, is_gone=is_gone)
        return found

    def _known(
        self, over: str, told: Mapping[str, NodeLines], stored: Mapping[str, NodeLines]
    ) -> Mapping[str, NodeLines]:
        """Those of nodes that have not told theirs now: what they have told before, if that is
        more than they have written.
        """
        found, since = dict(stored), self._clocks.wall_clock() - SPANS[over].seconds
        for before in self._lines.get(over, ()):
            at = found[before.node].at if before.node in found else []
            if before.node not in told and before.at and before.at[-1] > max((since, *at[-1:])):
                is_gone = before.node not in self._membership.nodes
                found[before.node] = replace(before.after(since), is_gone=is_gone)
        return found

    def wanted(self, sender: NodeId, entry: ReadingsWanted) -> ReadingsGiven:
        """Say how this node did."""
        span = SPANS.get(entry.over)
        kept = self._history.over(span) if span is not None else []
        now = self._clocks.seconds()
        lines = lines_of(NODES, kept, lambda at: now - at)
        return ReadingsGiven(lines.at, {key: list(line) for key, (line,) in lines.graphs.items()})


def _is_whole(answer: ReadingsGiven) -> bool:
    """Whether a node has told all lines, which one of another version may not."""
    lengths = {kind.key: len(answer.ago_s) for kind in GRAPHS[NODES]}
    return {key: len(line) for key, line in answer.lines.items()} == lengths


__all__ = ["ASK_S", "GOOD_FOR_S", "NodeReadings"]
