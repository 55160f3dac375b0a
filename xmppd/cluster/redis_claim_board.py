"""RedisClaimBoard: who has what, in Redis."""

from typing_extensions import override

from xmppd.cluster.claims import ClaimBoard, Ownership
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.node import NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_connection import Reply, many, number, text
from xmppd.cluster.redis_errors import RedisError
from xmppd.cluster.redis_lease_board import board_keys
from xmppd.cluster.redis_scripts import HAND_OVER, LOOK, OWN, OWN_AGAIN, VOID
from xmppd.cluster.script import Script

VOID_PAGE = 500
"""Keys that Redis looks at in a row."""


class RedisClaimBoard(ClaimBoard):
    """One node's way to it: it is at the first server, beside the board of nodes.

    Args:
        redis: Leads there.
        prefix: Of all keys of this cluster.
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._keys = board_keys(prefix)
        self._prefix = prefix

    @override
    async def look(self, kind: str, name: str) -> NodeId | None:
        found = await self._call(LOOK, kind, name)
        return None if found is None else _claim(found).owner

    @override
    async def own(self, kind: str, name: str, id: NodeId, above: int) -> Ownership:
        return _claim(await self._call(OWN, kind, name, str(id), above))

    @override
    async def own_again(self, kind: str, name: str, claim: Ownership) -> Ownership:
        return _claim(await self._call(OWN_AGAIN, kind, name, _text(claim)))

    @override
    async def hand_over(self, kind: str, name: str, claim: Ownership, to: NodeId | None) -> int:
        next_one = "" if to is None else str(to)
        return int(text(await self._call(HAND_OVER, kind, name, _text(claim), next_one)))

    @override
    async def void(self, *, remove: bool) -> int:
        count, cursor = 0, "0"
        while True:
            arguments = (cursor, VOID_PAGE, f"{self._prefix}:own:", int(remove))
            try:
                reply = await self._redis.call(VOID, self._keys, *arguments)
            except RedisError as error:
                raise DirectoryAway(str(error)) from None
            next_cursor, found = many(reply)
            cursor = text(next_cursor)
            count += number(found)
            if cursor == "0":
                return count

    async def _call(self, script: Script, kind: str, name: str, *arguments: str | int) -> Reply:
        keys = (*self._keys, f"{self._prefix}:own:{kind}:{name}", f"{self._prefix}:token:{kind}")
        try:
            return await self._redis.call(script, keys, *arguments)
        except RedisError as error:
            raise DirectoryAway(str(error)) from None


def _text(claim: Ownership) -> str:
    return f"{claim.owner}.{claim.token}"


def _claim(reply: Reply) -> Ownership:
    owner, _, token = text(reply).rpartition(".")
    return Ownership(NodeId.parse(owner), int(token))


__all__ = ["RedisClaimBoard"]
