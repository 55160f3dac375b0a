"""StreamBus: a bus by streams in Redis, for nodes that have no links."""

from functools import partial

from twisted.internet.interfaces import IReactorTime
from typing_extensions import override

from xmppd.cluster.conversation import Conversation
from xmppd.cluster.conversations import BusSettings, Conversations
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_streams import RedisStreams


class StreamBus(Conversations):
    """A bus by streams in Redis.

    Args:
        redis: The door to Redis.
        prefix: Of the keys of this service.
        membership: Knows which nodes are in.
        clock: The reactor's.
        settings: What it goes by.

    Attributes:
        streams: Carry everything.
    """

    way = "redis"

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        membership: Membership,
        clock: IReactorTime,
        settings: BusSettings,
    ) -> None:
        super().__init__(membership, clock, partial(clock.callLater, 0), settings)
        self.streams = RedisStreams(redis, prefix, membership, self.conversation, clock)

    def start(self) -> None:
        """Begin to take what others send."""
        self.streams.start()

    async def stop(self) -> None:
        """Take no more, and end all conversations."""
        await self.streams.stop()
        for node in tuple(self.states()):
            super().take_back(node)

    @override
    def begun(self, conversation: Conversation) -> None:
        conversation.carry(self.streams.carrier(conversation))

    @override
    def take_back(self, node: NodeId) -> list[BusEntry]:
        self.streams.forget(node)
        return super().take_back(node)


__all__ = ["StreamBus"]
