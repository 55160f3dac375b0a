"""Buses by Redis that were not chosen, so that the choice can be measured again: by channels (which
lose what nobody hears), and by lists (which lose what a reader has taken and not handled).

Numbers, windows and acknowledgements are those of all conversations. Two nodes only: what comes is
from the other one.
"""

from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from typing_extensions import override

from xmppd.cluster.conversation import Conversation
from xmppd.cluster.conversations import BusSettings, Conversations
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_errors import RedisError

WAIT_S = 2
MOST_FRAMES = 100
"""That a reader takes out of its list at once."""


def ended(failure: Failure) -> None:
    """Do nothing about a Redis that has been stopped, since all is measured."""
    failure.trap(RedisError)


class CommandCarrier:
    """Has Redis run a command for each frame.

    Args:
        redis: The door to Redis.
        words: Of the command, before the frame.
    """

    def __init__(self, redis: Redis, *words: str) -> None:
        self.redis = redis
        self.words = words

    def send(self, frame: bytes) -> None:
        """Do so."""
        Deferred.fromCoroutine(self.redis.execute(*self.words, frame)).addErrback(ended)


class ChannelBus(Conversations):
    """A bus by channels: each node listens to its own.

    Attributes:
        ready: Done when it does.
    """

    way = "pubsub"

    def __init__(
        self, redis: Redis, membership: Membership, clock: IReactorTime, settings: BusSettings
    ) -> None:
        super().__init__(membership, clock, partial(clock.callLater, 0), settings)
        self.redis = redis
        self.ready = Deferred[None]()

    def start(self) -> None:
        """Listen."""
        self.redis.subscribe(str(self.membership.id), self.arrive)

    @override
    def begun(self, conversation: Conversation) -> None:
        conversation.carry(self.carrier(conversation.node))

    def carrier(self, node: NodeId) -> CommandCarrier:
        """Carries frames to a node."""
        return CommandCarrier(self.redis, "PUBLISH", str(node))

    def arrive(self, frame: bytes) -> None:
        """Take a frame of the other node."""
        if not frame:  # it begins to listen
            self.ready.callback(None)
            return
        for node in self.membership.nodes.values():
            conversation = self.conversation(node.id)
            if conversation is not None:
                conversation.receive(frame)


class ListBus(ChannelBus):
    """A bus by lists: each node takes what is in its own."""

    way = "lists"

    @override
    def start(self) -> None:
        Deferred.fromCoroutine(self._read()).addErrback(ended)
        self.ready.callback(None)

    @override
    def carrier(self, node: NodeId) -> CommandCarrier:
        return CommandCarrier(self.redis, "RPUSH", str(node))

    async def _read(self) -> None:
        connection = await self.redis.dedicated()
        words = ("BLMPOP", WAIT_S, 1, str(self.membership.id), "LEFT", "COUNT", MOST_FRAMES)
        while True:
            reply = await connection.execute(*words, within_s=2 * WAIT_S)
            if isinstance(reply, list) and isinstance(reply[1], list):
                for frame in reply[1]:
                    assert isinstance(frame, bytes)
                    self.arrive(frame)


__all__ = ["ChannelBus", "ListBus"]
