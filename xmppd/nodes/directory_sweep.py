"""DirectorySweep: takes the sessions of a lost node out of the directory."""

from collections.abc import Awaitable, Coroutine, Mapping
from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.claims import Claims
from xmppd.cluster.directory import Directory, DirectoryAway
from xmppd.cluster.entries.membership import Swept
from xmppd.cluster.membership import NodeLost
from xmppd.cluster.node import Location, Node, NodeId
from xmppd.presence.presence_manager import PresenceManager
from xmppd.stanza import JID, Presence
from xmppd.store.errors import StoreError

MAX_LOST_NODES = 1_000
"""Lost nodes that are remembered, since another one may be lost that was sweeping behind them."""

RETRY_S = 10.0
"""How long after the directory or the store was away it is tried again."""

_log = Logger()


class DirectorySweep:
    """One node sweeps behind each lost one, when its people have had time to come back (CL-76).

    Whoever of them has not, is seen as gone by contacts on other servers, and was last here when
    that is found out; contacts here know already. All of it can be done twice.

    Args:
        claims: Say which node does it; who is lost is a thing that lives once.
        directory: Is swept.
        presence: Keeps when an account was last here.
        grace_s: How long people have to come back.
        clock: The reactor's.
    """

    kind = "sweep"

    def __init__(
        self,
        claims: Claims,
        directory: Directory,
        presence: PresenceManager,
        grace_s: float,
        clock: IReactorTime,
    ) -> None:
        self._claims = claims
        self._directory = directory
        self._presence = presence
        self._routing_table = presence.routing_table
        self._grace_s = grace_s
        self._clock = clock
        self._lost: dict[NodeId, None] = {}
        self._unswept: dict[NodeId, None] = {}
        self._seeking: Deferred[None] | None = None
        self._sweeping: dict[str, Deferred[None]] = {}

    def node_lost(self, event: NodeLost) -> None:
        """Have somebody sweep behind a lost node, and behind those that it was to sweep behind."""
        if len(self._lost) >= MAX_LOST_NODES:
            del self._lost[next(iter(self._lost))]
        self._lost[event.node.id] = None
        self._unswept.update(self._lost)
        if self._seeking is None:
            self._seeking = _started(self._seek())
            self._seeking.addBoth(self._sought)

    async def _seek(self) -> None:
        """See that each lost node has somebody who sweeps behind it."""
        while self._unswept:
            failed: dict[NodeId, None] = {}
            while self._unswept:
                node = next(iter(self._unswept))
                del self._unswept[node]
                try:
                    await self.behind(node)
                except (DirectoryAway, StoreError):
                    failed[node] = None
            self._unswept.update(failed)
            if failed:
                await deferLater(self._clock, RETRY_S)

    def _sought(self, _: object) -> None:
        self._seeking = None

    def stop(self) -> None:
        """Sweep no more: another node does."""
        for work in (self._seeking, *self._sweeping.values()):
            if work is not None:
                work.cancel()

    # -- what lives once: the work behind a lost node ---------------------------------------------

    async def take_up(self, name: str, token: int, state: bytes | None) -> None:
        """Begin to sweep behind a node."""
        self._sweeping[name] = _started(self._sweep(NodeId.parse(name)))

    async def lay_down(self, name: str) -> bytes:
        """End it; who goes on begins anew."""
        self.lost(name)
        return b""

    def lost(self, name: str) -> None:
        """End it."""
        work = self._sweeping.pop(name, None)
        if work is not None:
            work.cancel()

    def absent(self, node: Node) -> None:
        """Nothing to do: it is swept behind when that is claimed."""

    async def _sweep(self, node: NodeId) -> None:
        await deferLater(self._clock, self._grace_s)
        while True:
            try:
                await self._directory.sweep(node, self._found)
                await self._claims.void(remove=True)
            except (DirectoryAway, StoreError) as error:
                _log.warn("the clean-up of the directory was postponed: {error}", error=error)
                await deferLater(self._clock, RETRY_S)
            else:
                break
        await self._end(node)

    async def _end(self, node: NodeId) -> None:
        """Have nobody do it once more (CL-125)."""
        self._lost.pop(node, None)
        for other in self._routing_table.membership.nodes.values():
            self._routing_table.bus.tell(other.id, Swept(str(node)))
        del self._sweeping[str(node)]
        with suppress(DirectoryAway):
            await self._claims.end(self.kind, str(node))

    def swept(self, sender: NodeId, entry: Swept) -> None:
        """Note that another node has done it."""
        self._claims.forget(self.kind, entry.node)
        with suppress(ValueError):
            self._lost.pop(NodeId.parse(entry.node), None)

    async def behind(self, node: NodeId) -> None:
        """Have somebody sweep behind a node of which something is left although it is gone.

        Raises:
            DirectoryAway: Nobody can say who.
            StoreError: The same.
        """
        owner = self._claims.owner(self.kind, str(node))
        if isinstance(owner, Awaitable):
            await owner

    async def _found(self, page: Mapping[str, Mapping[str, Location]]) -> None:
        for account, sessions in page.items():
            here = await self._directory.sessions_of(account)
            gone = [resource for resource in sessions if resource not in here]
            await self._say_goodbye(JID.prepared(account), gone, was_last=not here)

    async def _say_goodbye(self, account: JID, resources: list[str], *, was_last: bool) -> None:
        """Tell other servers of sessions that are gone, and note that nobody of the account is
        here.
        """
        roster = await self._presence.rosters.look(account)
        is_local = self._routing_table.is_local
        senders = [JID.prepared(f"{account.bare}/{resource}") for resource in resources]
        for contact in [each for each in roster.viewers() if not is_local(each)]:
            if await self._presence.can_see(contact, account):
                for sender in senders:
                    gone = Presence.make(contact, sender, type="unavailable")
                    self._routing_table.route(gone)
        if was_last:
            later = self._presence.left(account, None)
            if later is not None:
                await later


def _started(work: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
    """Work that goes on by itself, until it is cancelled."""
    return Deferred.fromCoroutine(work).addErrback(_told)


def _told(failure: Failure) -> None:
    if not failure.check(CancelledError):
        _log.failure("the clean-up of the directory failed", failure)


__all__ = ["MAX_LOST_NODES", "DirectorySweep"]
