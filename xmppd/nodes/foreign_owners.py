"""ForeignOwners: which node speaks with another server for a domain of ours."""

from collections.abc import Awaitable
from typing import Protocol

from twisted.internet.defer import Deferred

from xmppd.cluster.claims import Claims, Owned
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.routes import ServerLost
from xmppd.cluster.entries.stanzas import Routed, Way
from xmppd.cluster.node import Node, NodeId
from xmppd.events import Events
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.routing.routing_table import MAX_PASSED_ON
from xmppd.session.session import Route
from xmppd.stanza import Stanza
from xmppd.store.errors import StoreError

MAX_WAITING = 1_000
"""Stanzas that wait for each pair of domains until it is known which node has it."""


class RouteFromHere(Route, Protocol):
    """The route to other servers from this node."""

    async def let_go(self, local: str, remote: str) -> None:
        """Have what waits between two domains leave, and close their stream."""


class ForeignOwners(Owned):
    """The route to every domain that is not ours, where several nodes are one service (CL-80).

    Each pair of a domain of ours and one elsewhere has an owner, to which all nodes pass on what is
    for it: so the other server sees one stream, and whatever one account sends is in order.

    Args:
        foreign: The route from this node.
        claims: Know who has which pair.
        router: Returns what cannot be sent.
        events: Hear that a server is lost, also if another node has found out.
    """

    kind = "s2s"

    def __init__(
        self, foreign: RouteFromHere, claims: Claims, router: PacketRouter, events: Events
    ) -> None:
        self._foreign = foreign
        self._claims = claims
        self._router = router
        self._table = router.routing_table
        self._events = events
        self._waiting: dict[str, list[tuple[Stanza, bytes]]] = {}
        self._seeking: dict[str, Deferred[None]] = {}
        self._is_told = False

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Send a stanza to another server, from the node that has the pair of domains."""
        to = stanza.to
        if to is None:
            return False
        pair = f"{stanza.sender.domain} {to.domain}"
        waiting = self._waiting.get(pair)
        if waiting is not None:
            if len(waiting) >= MAX_WAITING:
                return False
            waiting.append((stanza, wire))
            return True
        if stanza.payload.passed_on and self._claims.mine(self.kind, pair) is None:
            # Who has passed it on knows better, or worse: both have to look.
            self._claims.forget(self.kind, pair)
        owner = self._claims.owner(self.kind, pair)
        if isinstance(owner, NodeId):
            return self._send(owner, stanza, wire)
        self._waiting[pair] = [(stanza, wire)]
        seeking = self._seeking[pair] = Deferred.fromCoroutine(self._seek(pair, owner))
        seeking.addBoth(lambda _: self._seeking.pop(pair, None))
        return True

    def _send(self, owner: NodeId, stanza: Stanza, wire: bytes) -> bool:
        here = self._table.membership.id
        if owner == here or stanza.payload.passed_on > MAX_PASSED_ON or stanza.to is None:
            return self._foreign.deliver(stanza, wire)
        self._table.bus.tell(owner, Routed.of(stanza, stanza.to, Way.FOREIGN))
        return True

    async def _seek(self, pair: str, owner: Awaitable[NodeId]) -> None:
        """Find out whose a pair is, and send what waits; as long as nobody can say, each node has a
        stream of its own.
        """
        try:
            found = await owner
        except (DirectoryAway, StoreError):
            found = self._table.membership.id
        for stanza, wire in self._waiting.pop(pair):
            if not self._send(found, stanza, wire):
                self._router.bounce(stanza, self._table.unreached(stanza))

    # -- a pair: its streams and its queue are made when they are needed --------------------------

    async def take_up(self, name: str, token: int, state: bytes | None) -> None:
        """Have a pair from now on."""

    async def lay_down(self, name: str) -> bytes:
        """Have it no more; what waits leaves before the next one sends anything."""
        local, remote = name.split(" ", 1)
        await self._foreign.let_go(local, remote)
        return b""

    def lost(self, name: str) -> None:
        """Have it no more."""

    def absent(self, node: Node) -> None:
        """Do nothing: people of other servers are at no node."""

    # -- servers that are lost --------------------------------------------------------------------

    def server_lost(self, event: RemoteServerLost) -> None:
        """Tell all nodes of it, since people there may have seen somebody of that server."""
        if self._is_told or event.remote_domain in self._table.components:
            return
        entry = ServerLost(event.local_domain, event.remote_domain)
        for node in self._table.membership.nodes.values():
            self._table.bus.tell(node.id, entry)

    def told(self, sender: NodeId, entry: ServerLost) -> None:
        """Fire the event that another node has fired."""
        self._is_told = True
        try:
            self._events.fire(RemoteServerLost(entry.local, entry.remote))
        finally:
            self._is_told = False


__all__ = ["MAX_WAITING", "ForeignOwners"]
