"""Errors of Redis, each in one sentence that says what to change."""

import re


class RedisError(Exception):
    """An error: Redis did not do it."""


class RedisAway(RedisError):
    """An error: Redis cannot be asked just now, or has not said whether it did it.

    Attributes:
        tried: Whether it may have done it.
    """

    def __init__(self, sentence: str, *, tried: bool = False) -> None:
        super().__init__(sentence)
        self.tried = tried


class RedisRefusal(RedisError):
    """An error: Redis, or one of our scripts, says no.

    Attributes:
        word: The first one of its answer, such as ``NOPERM``.
    """

    def __init__(self, word: str, sentence: str) -> None:
        super().__init__(sentence)
        self.word = word


_REPLICA = "name its master in cluster.redis, or the Sentinels that know it in cluster.sentinels"
_CLUSTER = "is a Redis Cluster, which xmppd cannot use: list single Redis servers in cluster.redis"

AWAY = {
    "LOADING": "is still loading its data",
    "READONLY": f"is a replica, and takes no writes: {_REPLICA}",
    "MASTERDOWN": f"is a replica that has lost its master: {_REPLICA}",
    "BUSY": "is busy with a script that somebody runs: redis-cli SCRIPT KILL ends it",
    "NOAUTH": "requires a password: add user and password to the URL in cluster.redis",
    "WRONGPASS": "refuses {user} with the password in cluster.redis",
}
"""What it says as long as it can do nothing at all for us."""

REFUSED = {
    "NOPERM": "does not let {user} {right}",
    "OOM": "has no memory left: raise its maxmemory, or let nobody else use it",
    "MISCONF": "cannot save to its disk, and takes no writes until it can:"
    " redis-cli LASTSAVE and its log say more",
    "NOREPLICAS": "has too few replicas to take writes: see its min-replicas-to-write",
    "MOVED": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "CLUSTERDOWN": _CLUSTER,
}
"""What it says if it does not do this."""

_COMMAND = re.compile(r"run the '([^']+)' command")
_ECHO = re.compile(r",? with args beginning with.*", re.DOTALL)


def redis_error(where: str, user: str, text: str) -> RedisError:
    """The error for what a Redis has answered.

    Args:
        where: The Redis, as people know it.
        user: As whom it is used; empty for ``default``.
        text: Its answer. What may be data of users in it is left out.
    """
    word, _, rest = text.partition(" ")
    user = f"user {user or 'default'}"
    if word == "ERR":
        word = _known(rest)
    if word in AWAY:
        return RedisAway(f"Redis at {where} {AWAY[word].format(user=user)}")
    if word in REFUSED:
        sentence = REFUSED[word].format(user=user, right=_right(rest))
        return RedisRefusal(word, f"Redis at {where} {sentence}")
    return RedisRefusal(word, f"Redis at {where} answered: {_ECHO.sub('', text)}")


def _known(text: str) -> str:
    """The word for what is told by ``ERR`` and a text only."""
    if "The user executing the script can't" in text:
        return "NOPERM"
    if "invalid password" in text or "AUTH <password> called without any password" in text:
        return "WRONGPASS"
    return "ERR"


def _right(text: str) -> str:
    """What somebody may not do, and what would let them."""
    command = _COMMAND.search(text)
    if command:
        name = command[1].lower()
        return f"run {name.upper()}: grant +{name} (ACL SETUSER)"
    if "channel" in text:
        return "use a channel: grant &NAME:* (ACL SETUSER), where NAME is cluster.name"
    if "key" in text:
        return "use a key: grant ~NAME:* (ACL SETUSER), where NAME is cluster.name"
    return "run the server's scripts: grant +@all, or what the manual lists (ACL SETUSER)"


__all__ = ["RedisAway", "RedisError", "RedisRefusal", "redis_error"]
