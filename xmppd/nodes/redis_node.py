"""RedisNode: one life of a node whose service is held together by Redis."""

from hashlib import sha256
from hmac import digest as hmac_digest
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ServerFactory

from xmppd.cluster.bus import Outcome
from xmppd.cluster.claims import Claims
from xmppd.cluster.cluster import Cluster
from xmppd.cluster.conversations import BusSettings
from xmppd.cluster.entries import PROTOCOL, BusEntry, Renew
from xmppd.cluster.joining import JoinError, join
from xmppd.cluster.leases import LeasedMembership
from xmppd.cluster.link_bus import LinkBus, LinkSettings
from xmppd.cluster.node import Node, NodeId
from xmppd.cluster.outbox import FrameWindow
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_claim_board import RedisClaimBoard
from xmppd.cluster.redis_directory import RedisDirectory
from xmppd.cluster.redis_errors import RedisError
from xmppd.cluster.redis_lease_board import RedisLeaseBoard
from xmppd.cluster.redis_rights import check_rights
from xmppd.cluster.stream_bus import StreamBus
from xmppd.config.config import Config, ListenSettings
from xmppd.host.data_directory import DataDirectory
from xmppd.host.machine import IReactor, Machine
from xmppd.net.node_dialer import DialingReactor, NodeDialer
from xmppd.net.node_tls import NodeTLS
from xmppd.net.turn_end import at_end_of_turn, at_end_of_turn_of_hub

SILENT_LEASES = 2.0
"""Where nodes have connections of their own, clients are told to look elsewhere when so many leases
have run out."""


class RedisNode:
    """What this process is to the other nodes, from connecting to Redis until it has left.

    Args:
        config: Says where Redis is, and what the node is called.
        reactor: Makes connections.
        machine: Its clocks.
        directory: Remembers the former lives of the node.
        database: Names the one that we use.

    Attributes:
        door: The factory for other nodes that come in; None if they do not.

    Raises:
        JoinError: Something that is needed is not installed, or not in its file.
    """

    def __init__(
        self,
        config: Config,
        reactor: IReactor,
        machine: Machine,
        directory: DataDirectory,
        database: str,
    ) -> None:
        settings = config.cluster
        self.config = config
        self._reactor = reactor
        self._clock = machine.clock
        self._directory = directory
        self._instance, last = directory.instance()
        try:
            self._redis = Redis(settings, reactor)
        except RedisError as error:
            raise JoinError(str(error)) from error
        door = next((listen for listen in config.listen if listen.kind == "node"), None)
        door = door if config.links == "direct" else None
        tls = NodeTLS() if door is not None and door.tls == "direct" else None
        node = Node(
            id=NodeId(settings.node, last),
            instance=self._instance,
            address="" if door is None else settings.address,
            certificate="" if tls is None else tls.digest,
            secret=hmac_digest(settings.secret, b"node", "sha256").hex(),
            domains=_digest(sorted(domain.name for domain in config.domain)),
            database=database,
            client_address=settings.client_address,
            protocol=PROTOCOL,
            since=machine.clocks.wall_clock(),
        )
        self._board = RedisLeaseBoard(self._redis, settings.name)
        self._membership = LeasedMembership(self._board, node, settings.lease_s, machine.clock)
        self._links = None if door is None else self._link_bus(door, tls)
        self._bus: LinkBus | StreamBus | None = self._links
        self.door: ServerFactory | None = None if self._links is None else self._links.door

    def _link_bus(self, door: ListenSettings, tls: NodeTLS | None) -> LinkBus:
        settings, is_in_hub = self.config.cluster, door.endpoint.startswith("epoll:")
        reactor = cast(DialingReactor, self._reactor)
        dialer = NodeDialer(reactor, in_hub=is_in_hub)
        links = LinkSettings(dialer.dial, tls, settings.secret, settings.lease_s)
        bus = LinkBus(
            self._membership,
            self._clock,
            at_end_of_turn_of_hub(reactor) if is_in_hub else at_end_of_turn(self._clock),
            self._bus_settings,
            links,
        )
        bus.take_beside = self._take_beside
        self._membership.links = bus
        self._membership.silence_s = SILENT_LEASES * settings.lease_s
        return bus

    def _look(self, _: bytes) -> None:
        """Look who is in, since somebody has come or gone."""
        Deferred.fromCoroutine(self._membership.refresh())

    def _stream_bus(self) -> StreamBus:
        settings = self.config.cluster
        self._membership.silence_s = settings.grace_s
        return StreamBus(
            self._redis, settings.name, self._membership, self._clock, self._bus_settings
        )

    @property
    def _bus_settings(self) -> BusSettings:
        settings = self.config.cluster
        domains = tuple(domain.name for domain in self.config.domain)
        return BusSettings(domains, FrameWindow(settings.window_bytes, settings.window_entries))

    async def connect(self) -> None:
        """Connect to Redis.

        Raises:
            JoinError: It cannot be reached, or is of no use to us.
        """
        try:
            await self._redis.open()
            await check_rights(self._redis, self.config.cluster.name)
        except RedisError as error:
            raise JoinError(f"cluster.redis: {error}") from error

    async def join(self) -> Cluster:
        """Join the others, who come in at our door if there is one.

        Raises:
            JoinError: We do not fit the others.
            BoardAway: Redis does not answer.
        """
        await join(self._membership, self._clock)
        self._directory.note_life(self._instance, self._membership.id.generation)
        self._redis.subscribe(self._board.channel, self._look)
        bus = self._bus = self._links or self._stream_bus()
        self._membership.on_voice = (bus.go_on,)
        bus.start()
        directory = RedisDirectory(self._redis, self.config.cluster.name, self._membership)
        board = RedisClaimBoard(self._redis, self.config.cluster.name)
        claims = Claims(board, self._membership, bus)
        return Cluster(self._membership, directory, bus, claims)

    async def leave(self) -> None:
        """Leave the others, unless that is done, and close all connections."""
        await self._membership.leave()
        if self._bus is not None:
            await self._bus.stop()
        await self._redis.close()

    def _take_beside(self, sender: NodeId, entry: BusEntry) -> Outcome:
        """Answer what is asked whether we may act or not."""
        if isinstance(entry, Renew):
            return self._membership.renew_for(sender, entry)
        return None


def _digest(names: list[str]) -> str:
    return sha256("\n".join(names).encode()).hexdigest()


__all__ = ["RedisNode"]
