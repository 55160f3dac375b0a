"""Rights: a node tries each command of Redis that it will need, so that a missing one is named."""

from xmppd.cluster.redis import Redis

PROBES: tuple[tuple[str, ...], ...] = (
    ("TIME",),
    ("EVAL", "return 1", "1", "$text"),
    ("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "1", "$text"),
    ("SCAN", "0", "COUNT", "1"),
    ("SET", "$text", "1"),
    ("SETNX", "$text", "1"),
    ("GET", "$text"),
    ("INCR", "$text"),
    ("PEXPIRE", "$text", "60000"),
    ("EXISTS", "$text"),
    ("HSET", "$hash", "a", "1"),
    ("HSETNX", "$hash", "a", "1"),
    ("HGET", "$hash", "a"),
    ("HMGET", "$hash", "a"),
    ("HGETALL", "$hash"),
    ("HVALS", "$hash"),
    ("HEXISTS", "$hash", "a"),
    ("HDEL", "$hash", "a"),
    ("ZADD", "$set", "1", "a"),
    ("ZSCORE", "$set", "a"),
    ("ZRANGEBYSCORE", "$set", "-inf", "1"),
    ("ZREM", "$set", "a"),
    ("XADD", "$stream", "*", "a", "1"),
    ("XREAD", "COUNT", "1", "STREAMS", "$stream", "0"),
    ("XTRIM", "$stream", "MAXLEN", "0"),
    ("DEL", "$text", "$hash", "$set", "$stream"),
    ("PUBLISH", "$version", ""),
    ("PING",),
)
"""Each command that nodes use, harmless; the second script is ``return 1``, too."""


async def check_rights(redis: Redis, name: str) -> None:
    """Try everything that nodes do in Redis, on keys of their own that are removed again.

    Args:
        redis: Open.
        name: Of the cluster, with which all keys begin.

    Raises:
        RedisError: Something is refused, and what would let us.
    """
    for shard in range(len(redis.servers)):
        for words in PROBES:
            await redis.execute(
                *(word.replace("$", f"{name}:rights-") if word[:1] == "$" else word
                  for word in words),
                shard=shard,
            )  # fmt: skip
    channel = await redis.dedicated()
    try:
        await channel.execute("SUBSCRIBE", f"{name}:version")
    finally:
        channel.drop("was tried")


__all__ = ["PROBES", "check_rights"]
