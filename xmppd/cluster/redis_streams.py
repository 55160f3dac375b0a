"""RedisStreams: frames between nodes by streams in Redis.

Each node has a stream, to which the others add their frames and from which it takes them. Redis may
lose frames, when it fails over or is restarted empty: their senders have them until they are
acknowledged, and add them again.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from msgspec import convert
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from xmppd.cluster.conversation import Conversation
from xmppd.cluster.frame import BadFrame
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_connection import RedisConnection, Reply
from xmppd.cluster.redis_errors import RedisError

READ_FRAMES = 100
"""The frames that are taken out of the stream at once."""

READ_S = 2.0
"""For so long a reader waits for a frame, and is answered all the same."""

ANSWER_S = 1.0
"""A Redis that says nothing for so much longer hangs."""

TRIM_FRAMES = 50
"""When so many frames were read they are taken out of the stream; sooner if there are no others."""

LOOK_S = 1.0
"""How often it is looked for frames that may be lost."""

LAG_S = 5.0
"""A frame that is not acknowledged for so long may be lost."""

AGAIN_S = 0.1
AGAIN_AT_MOST_S = 60.0
"""The time between two attempts to add the same frames; it doubles, up to this."""

READ_AGAIN_AT_MOST_S = 5.0
"""The time between two attempts to read, likewise."""

MAX_FRAMES = 100_000
"""Frames in a stream, about: of a node that reads none, which is lost or ill."""

COMPLAINT_S = 60.0
"""How often the log has the same complaint, at most."""

_NOBODY = NodeId("nobody", 0)
_log = Logger()


class RedisStreams:
    """The streams of all nodes, as one of them uses them.

    Args:
        redis: The door to Redis.
        prefix: Of the keys of this service.
        membership: Knows which nodes are in.
        conversation: The conversation with a node; None if it is not in.
        clock: The reactor's.
    """

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        membership: Membership,
        conversation: Callable[[NodeId], Conversation | None],
        clock: IReactorTime,
    ) -> None:
        self.redis = redis
        self.membership = membership
        self.clock = clock
        self._prefix = prefix
        self._conversation = conversation
        self._carriers: dict[NodeId, StreamCarrier] = {}
        self._complained: dict[NodeId, float] = {}
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock
        self._run_ids = redis.run_ids
        self._reader = StreamReader(self, self.key(membership.id))
        redis.watch(self._look)

    def key(self, node: NodeId) -> str:
        """The stream of a node."""
        return f"{self._prefix}:to:{node}"

    def start(self) -> None:
        """Begin to take what others add."""
        self._reader.start()
        self._looking.start(LOOK_S, now=False)

    async def stop(self) -> None:
        """Take no more, and leave no stream behind."""
        if self._looking.running:
            self._looking.stop()
        await self._reader.stop()
        await self._remove(self.membership.id)

    def carrier(self, conversation: Conversation) -> "StreamCarrier":
        """Adds the frames of a conversation to the other node's stream."""
        carrier = self._carriers[conversation.node] = StreamCarrier(self, conversation)
        return carrier

    def forget(self, node: NodeId) -> None:
        """Add nothing more for a node, and remove its stream if it is lost."""
        self._carriers.pop(node, None)
        self._complained.pop(node, None)
        if not self.membership.is_in(node):
            Deferred.fromCoroutine(self._remove(node))

    async def arrive(self, name: bytes, frame: bytes) -> None:
        """Take a frame that a node has added; whoever else may write to Redis is not heard."""
        try:
            sender = NodeId.parse(name.decode())
        except ValueError:
            self._complain(_NOBODY, BadFrame("the frame has no sender"))
            return
        conversation = self._conversation(sender)
        if conversation is None:
            await self.membership.refresh()  # it may have joined just now
            conversation = self._conversation(sender)
        if conversation is None:
            return
        try:
            conversation.receive(frame)
        except BadFrame as error:
            # One before it may be lost: then its sender adds all again that is not acknowledged.
            self._complain(sender, error)

    def _complain(self, node: NodeId, error: BadFrame) -> None:
        now = self.clock.seconds()
        if now - self._complained.get(node, -COMPLAINT_S) >= COMPLAINT_S:
            self._complained[node] = now
            _log.warn("rejected a frame from node {node}: {error}", node=node, error=error)

    def _look(self) -> None:
        """Add again what may be lost."""
        is_another, self._run_ids = self._run_ids != self.redis.run_ids, self.redis.run_ids
        for node, carrier in tuple(self._carriers.items()):
            if carrier.is_in_use:
                carrier.look(is_another=is_another)
            else:
                del self._carriers[node]

    async def _remove(self, node: NodeId) -> None:
        with suppress(RedisError):  # its keys end with Redis, or at the next loss
            await self.redis.execute("DEL", self.key(node))


class StreamCarrier:
    """Adds the frames for one node to its stream.

    Args:
        streams: Those of all nodes.
        conversation: With the node.
    """

    def __init__(self, streams: RedisStreams, conversation: Conversation) -> None:
        self._streams = streams
        self._conversation = conversation
        self._key = streams.key(conversation.node)
        self._sender = str(streams.membership.id)
        self._failed = False
        self._pause_s = AGAIN_S
        self._next_s = 0.0

    @property
    def is_in_use(self) -> bool:
        """Whether the conversation has no other carrier."""
        return self._conversation.carrier is self

    def send(self, frame: bytes) -> None:
        """Add a frame, unless one before it could not be added."""
        if not self._failed:
            Deferred.fromCoroutine(self._add(frame))

    async def _add(self, frame: bytes) -> None:
        try:
            added = await self._streams.redis.execute(
                "XADD", self._key, "NOMKSTREAM", "MAXLEN", "~", MAX_FRAMES, "*",
                "", self._sender, "", frame,
            )  # fmt: skip
        except RedisError:
            added = None  # the door has said why
        if added is None:
            self._failed = True

    def look(self, *, is_another: bool) -> None:
        """Add all again that is not acknowledged, if that could not be done, or takes too long.

        Args:
            is_another: Whether Redis is another process now, which may have lost something.
        """
        now = self._streams.clock.seconds()
        lag_s = self._conversation.state().lag_s
        if not self._failed and not is_another and lag_s < LAG_S:
            self._pause_s, self._next_s = AGAIN_S, 0.0
        elif now >= self._next_s or is_another:
            self._failed = False
            self._next_s = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, AGAIN_AT_MOST_S)
            self._conversation.carry(self)


@dataclass
class StreamReader:
    """Takes frames out of the stream of this node.

    Attributes:
        streams: Takes them.
        key: Of the stream.
    """

    streams: RedisStreams
    key: str
    _work: Deferred[None] | None = None
    _connection: RedisConnection | None = None
    _run_id: str = ""
    _last: bytes = b"0"
    _read: int = 0
    _stopped: bool = False

    def start(self) -> None:
        """Begin."""
        self._stopped = False
        self._work = Deferred.fromCoroutine(self._go_on())
        self._work.addErrback(lambda failure: failure.trap(CancelledError))

    async def stop(self) -> None:
        """End."""
        self._stopped = True
        work, self._work = self._work, None
        if work is not None:
            work.cancel()
            await work
        if self._connection is not None:
            self._connection.drop("is not needed any more")

    async def _go_on(self) -> None:
        pause_s = AGAIN_S
        while not self._stopped:  # a connection that is given up may say that Redis is away
            try:
                self._connection = await self.streams.redis.dedicated()
                await self._begin(self._connection)
                pause_s = AGAIN_S
                while True:
                    await self._take(self._connection)
            except RedisError as error:
                _log.debug("the stream of this node cannot be read: {error}", error=error)
            await deferLater(self.streams.clock, pause_s, lambda: None)
            pause_s = min(2 * pause_s, READ_AGAIN_AT_MOST_S)

    async def _begin(self, connection: RedisConnection) -> None:
        """Make the stream, if it is not there; another Redis may have other frames in it."""
        if connection.run_id != self._run_id:
            self._run_id, self._last = connection.run_id, b"0"
        if not await connection.execute("EXISTS", self.key):
            self._last = b"0"
            await connection.execute("XADD", self.key, "*", "", "", "", "")

    async def _take(self, connection: RedisConnection) -> None:
        reply = await connection.execute(
            "XREAD",
            "COUNT", READ_FRAMES,
            "BLOCK", round(READ_S * 1000),
            "STREAMS", self.key, self._last,
            within_s=READ_S + ANSWER_S,
        )  # fmt: skip
        frames = frames_in(reply)
        for id, sender, frame in frames:
            self._last = id
            if sender:
                await self.streams.arrive(sender, frame)
        self._read += len(frames)
        if self._read >= TRIM_FRAMES or (self._read and not frames):
            self._read = 0
            await connection.execute("XTRIM", self.key, "MINID", after(self._last))
        if reply is None and not await connection.execute("EXISTS", self.key):
            await self._begin(connection)  # somebody has emptied Redis


def frames_in(reply: Reply) -> list[tuple[bytes, bytes, bytes]]:
    """The frames of an answer to XREAD: their ids, their senders, and themselves."""
    if not isinstance(reply, list):
        return []
    ((_, messages),) = convert(reply, _OfOneStream)
    return [
        (id, fields[1], fields[3]) if len(fields) == _FIELDS else (id, b"?", b"")
        for id, fields in messages
    ]


_OfOneStream = tuple[tuple[bytes, list[tuple[bytes, list[bytes]]]]]
_FIELDS = 4  # the names and values of sender and frame


def after(id: bytes) -> bytes:
    """The first id behind this one."""
    time, _, number = id.partition(b"-")
    return b"%b-%d" % (time, int(number) + 1)


__all__ = ["RedisStreams", "StreamCarrier", "StreamReader"]
