"""RedisTally: counts in Redis, which ends them by itself."""

from contextlib import suppress

from typing_extensions import override

from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_errors import RedisError
from xmppd.cluster.redis_scripts import COUNT
from xmppd.cluster.tally import Tally


class RedisTally(Tally):
    """Counts at the first server.

    Args:
        redis: Leads there.
        prefix: Of all keys of this cluster.
    """

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    @override
    async def add(self, key: str, lasts_s: float) -> int:
        try:
            reply = await self._redis.call(COUNT, (self._key(key),), int(lasts_s * 1000))
        except RedisError:
            return 0
        assert isinstance(reply, int), "INCR says a number"
        return reply

    @override
    async def forget(self, key: str) -> None:
        with suppress(RedisError):
            await self._redis.execute("DEL", self._key(key))

    def _key(self, key: str) -> str:
        return f"{self._prefix}:fail:{key}"


__all__ = ["RedisTally"]
