"""RedisNode: one life of a node whose service is held together by Redis."""

from hashlib import sha256
from hmac import digest as hmac_digest
from typing import cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, Protocol, ServerFactory
from twisted.internet.task import deferLater

from xmppd.cluster.bus import Outcome, Unreachable
from xmppd.cluster.claims import Claims
from xmppd.cluster.cluster import Cluster
from xmppd.cluster.conversations import BusSettings
from xmppd.cluster.entries.any_entry import PROTOCOL
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.membership import AddressTried, Renew, TryAddress
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
from xmppd.cluster.redis_streams import RedisStreams
from xmppd.cluster.redis_tally import RedisTally
from xmppd.cluster.stream_bus import StreamBus
from xmppd.config.config import Config, ListenSettings, host_and_port
from xmppd.host.data_directory import DataDirectory
from xmppd.host.machine import IReactor, Machine
from xmppd.host.stop_limits import StopLimits, until
from xmppd.net.node_dialer import DialingReactor, NodeDialer
from xmppd.net.node_tls import NodeTLS
from xmppd.net.turn_end import at_end_of_turn, at_end_of_turn_of_hub

LINK_AFTER_S = 0.1
LINK_WITHIN_TRIES = 30
"""A node that joins looks so often, and after so long, for a connection with each other one, of
which some may be dead."""

TRIED_WITHIN_S = 4.0

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
            client_address=settings.client_address,
            client_url=settings.client_url.rstrip("/"),
            certificate="" if tls is None else tls.digest,
            secret=hmac_digest(settings.secret, b"node", "sha256").hex(),
            domains=_digest(sorted(domain.name for domain in config.domain)),
            database=database,
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
        self._membership.isolation_s = settings.grace_s
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
            JoinError: We do not fit the others, or they do not find us.
            BoardAway: Redis does not answer.
        """
        await join(self._membership, self._clock)
        self._directory.note_life(self._instance, self._membership.id.generation)
        self._redis.subscribe(self._board.channel, self._look)
        if self._links is not None:
            self._links.detour = RedisStreams(
                self._redis,
                self.config.cluster.name,
                self._membership,
                self._links.conversation,
                self._clock,
            )
        bus = self._bus = self._links or self._stream_bus()
        self._membership.on_voice = (bus.go_on,)
        bus.start()
        if self._links is not None:
            await self._check_address(self._links)
        directory = RedisDirectory(self._redis, self.config.cluster.name, self._membership)
        board = RedisClaimBoard(self._redis, self.config.cluster.name)
        claims = Claims(board, self._membership, bus)
        tally = RedisTally(self._redis, self.config.cluster.name)
        return Cluster(self._membership, directory, bus, claims, tally)

    async def leave(self) -> None:
        """Leave the others, unless that is done, and close all connections."""
        await self._membership.leave()
        await until(self._clock, StopLimits.LINKS, self._clock.seconds(), self._close())

    async def _close(self) -> None:
        if self._bus is not None:
            await self._bus.stop()
        await self._redis.close()

    async def _check_address(self, links: LinkBus) -> None:
        """Have the others try whether our address leads to us.

        Raises:
            JoinError: None of those who tried has found us.
        """
        others = [node.id for node in self._membership.nodes.values()]
        asked = [Deferred.fromCoroutine(self._trouble(links, id)) for id in others]
        answers: list[str | None] = await gatherResults(asked)
        tried = {id.name: why for id, why in zip(others, answers, strict=True) if why is not None}
        if tried and all(tried.values()):
            address = self.config.cluster.address
            told = ", ".join(f'"{name}" ({why})' for name, why in tried.items())
            raise JoinError(
                f'cluster.address "{address}" does not lead to this node, as node {told} found '
                "out; set it to the address of this node's listener"
            )

    async def _trouble(self, links: LinkBus, node: NodeId) -> str | None:
        """Why a node does not find us; empty if it does, None if it does not say."""
        for _ in range(LINK_WITHIN_TRIES):
            if links.linked(node):
                break
            await deferLater(self._clock, LINK_AFTER_S)
        try:
            answer = await links.ask_beside(node, TryAddress(), TRIED_WITHIN_S)
        except Unreachable:
            return None
        return answer.trouble if isinstance(answer, AddressTried) else None

    def _take_beside(self, sender: NodeId, entry: BusEntry) -> Outcome:
        """Answer what is asked whether we may act or not."""
        if isinstance(entry, Renew):
            return self._membership.renew_for(sender, entry)
        if isinstance(entry, TryAddress):
            return self._try_address(sender)
        return None

    async def _try_address(self, sender: NodeId) -> AddressTried:
        node = self._membership.nodes[sender.name]
        host, port = host_and_port(node.address)
        endpoint = HostnameEndpoint(self._reactor, host, port, TRIED_WITHIN_S / 2)
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        try:
            found = cast(Protocol, await endpoint.connect(factory))
        except (ConnectError, OSError) as error:
            return AddressTried(str(error).rstrip("."))
        assert found.transport is not None, "it is connected"
        found.transport.loseConnection()
        return AddressTried("")


def _digest(names: list[str]) -> str:
    return sha256("\n".join(names).encode()).hexdigest()


__all__ = ["RedisNode"]
