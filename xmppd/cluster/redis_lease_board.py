"""RedisLeaseBoard: the board of all nodes in Redis."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from urllib.parse import quote
from uuid import uuid4

from msgspec.msgpack import Decoder, Encoder
from msgspec.structs import replace
from typing_extensions import override

from xmppd.cluster.lease_board import (
    BoardAway,
    BoardState,
    GenerationFenced,
    LeaseBoard,
    NameTaken,
    NotOnBoard,
    Renewal,
)
from xmppd.cluster.node import Node, NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_connection import Reply, many, number, text
from xmppd.cluster.redis_errors import RedisError, RedisRefusal
from xmppd.cluster.redis_scripts import DESCRIBE, FENCE, JOIN, LEAVE, READ, RENEW
from xmppd.cluster.script import Script

FORGET_MS = 86_400_000
"""After how long the board forgets that a generation is gone."""

KEYS = ("epoch", "nodes", "version", "generations", "leases", "fenced")
REFUSALS: dict[str, type[Exception]] = {
    "FENCED": GenerationFenced,
    "ALIVE": NameTaken,
    "UNKNOWN": NotOnBoard,
}

_encode, _decode = Encoder().encode, Decoder(Node).decode


def board_keys(prefix: str) -> tuple[str, ...]:
    """The keys of the board, as its scripts want them."""
    return tuple(f"{prefix}:{key}" for key in KEYS)


class RedisLeaseBoard(LeaseBoard):
    """One node's way to the board, which is at the first server.

    Args:
        redis: Leads there.
        prefix: Of all keys of this cluster.

    Attributes:
        channel: Where it is published that something on the board has changed.
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._keys = board_keys(prefix)
        self.channel = f"{prefix}:version"

    @override
    async def join(
        self,
        node: Node,
        lease_s: float,
        *,
        again: bool = False,
        fenced: Collection[NodeId] = (),
    ) -> tuple[NodeId, Renewal]:
        reply = await self._call(
            JOIN,
            node.id.name,
            node.id.generation,
            int(again),
            int(lease_s * 1000),
            uuid4().hex,
            quote(node.instance),
            _encode(node),
            FORGET_MS,
            *map(str, fenced),
        )
        generation, *renewal = many(reply)
        return NodeId(node.id.name, number(generation)), self._renewal(renewal)

    @override
    async def renew(self, id: NodeId, lease_s: float) -> Renewal:
        return self._renewal(many(await self._call(RENEW, str(id), int(lease_s * 1000))))

    @override
    def is_of(self, era: str) -> bool:
        return era.partition(".")[2] == self._redis.run_ids

    @override
    async def fence(self, target: NodeId, by: NodeId, era: str) -> bool:
        if not self.is_of(era):
            return False
        epoch = era.partition(".")[0]
        done = await self._call(FENCE, str(target), str(by), epoch)
        if done:
            await self._note_at_others(target, by)
        return bool(done)

    @override
    async def leave(self, id: NodeId) -> None:
        await self._call(LEAVE, str(id))

    @override
    async def describe(self, node: Node) -> None:
        await self._call(DESCRIBE, str(node.id), quote(node.instance), _encode(node))

    @override
    async def read(self, known: Collection[NodeId]) -> BoardState:
        asked = tuple(known)
        reply = await self._call(READ, *map(str, asked))
        records, fates = map(many, many(reply))
        gone = {id: text(fate) for id, fate in zip(asked, fates, strict=True) if fate is not None}
        left = frozenset(id for id, fate in gone.items() if fate.startswith("left "))
        return BoardState(tuple(map(_node, records)), frozenset(gone) - left, left)

    async def _note_at_others(self, target: NodeId, by: NodeId) -> None:
        """Have the other servers refuse what it still asks of them."""
        for shard in range(1, len(self._redis.servers)):
            # Whoever reads knows that it is gone, so nobody has to be told if that fails.
            with suppress(RedisError):
                await self._redis.execute(
                    "HSETNX", self._keys[-1], str(target), str(by), shard=shard
                )

    async def _call(self, script: Script, *arguments: bytes | str | int) -> Reply:
        try:
            return await self._redis.call(script, self._keys, *arguments)
        except RedisRefusal as refusal:
            raise REFUSALS.get(refusal.word, BoardAway)(str(refusal)) from None
        except RedisError as error:
            raise BoardAway(str(error)) from None

    def _renewal(self, reply: Sequence[Reply]) -> Renewal:
        epoch, version, late = reply
        names = (NodeId.parse(text(id)).name for id in many(late))
        era = f"{text(epoch)}.{self._redis.run_ids}"
        return Renewal(era, number(version), frozenset(names))


def _node(record: Reply) -> Node:
    """The node in ``generation number instance record``, packed by itself before it had these."""
    assert isinstance(record, bytes)
    generation, its_number, _, packed = record.split(b" ", 3)
    node = _decode(packed)
    id = NodeId(node.id.name, int(generation))
    return replace(node, id=id, number=int(its_number))


__all__ = ["RedisLeaseBoard", "board_keys"]
