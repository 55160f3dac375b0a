"""A look at Redis, for whoever is no node: which nodes there are."""

from typing import Any

from xmppd.cluster.lease_board import BoardAway
from xmppd.cluster.node import NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_connection import many, text
from xmppd.cluster.redis_errors import RedisError
from xmppd.config.config import ClusterSettings


async def living_nodes(settings: ClusterSettings, reactor: Any) -> list[NodeId]:
    """The nodes whose lease has not run out.

    Raises:
        BoardAway: Redis cannot be asked.
    """
    try:
        redis = Redis(settings, reactor)
        await redis.open()
        try:
            seconds, _ = many(await redis.execute("TIME"))
            since_ms = 1_000 * int(text(seconds))
            ids = await redis.execute(
                "ZRANGEBYSCORE", f"{settings.name}:leases", f"({since_ms}", "+inf"
            )
        finally:
            await redis.close()
    except RedisError as error:
        raise BoardAway(str(error)) from error
    return [NodeId.parse(text(id)) for id in many(ids)]


__all__ = ["living_nodes"]
