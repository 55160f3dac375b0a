"""RedisKeeper: keeps a connection with a Redis, and makes another one when it is gone."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from xmppd.cluster.redis_connection import RedisConnection
from xmppd.cluster.redis_errors import RedisError
from xmppd.cluster.redis_place import ConnectionKind, RedisPlace

_log = Logger()

FIRST_RETRY_S = 0.1
RETRY_S = 1.0
"""How long after one attempt to connect the next one begins, at first and in the end."""

C = TypeVar("C", bound=RedisConnection)
T = TypeVar("T")


class RedisKeeper(Generic[C]):
    """Has always one connection, if there can be one.

    Args:
        place: Where Redis is.
        kind: Makes the connection.
        use: Called with each new one; returns when that is of no use any more, with the reason.
        failed: Called when there is none, with the reason.
        reactor: Measures time.
    """

    def __init__(
        self,
        place: RedisPlace,
        kind: ConnectionKind[C],
        use: Callable[[C], Awaitable[RedisError]],
        failed: Callable[[RedisError], None],
        reactor: Any,
    ) -> None:
        self._place = place
        self._kind = kind
        self._use = use
        self._failed = failed
        self._reactor = reactor
        self._work: Deferred[None] | None = None
        self._connection: C | None = None
        self._waiting: Deferred[Any] | None = None
        self._pause_s = FIRST_RETRY_S
        self._stopped = False

    def start(self) -> None:
        """Connect, and connect again, from now on."""
        self._work = Deferred.fromCoroutine(self._keep())
        self._work.addErrback(
            lambda failure: _log.failure("the connection to Redis failed", failure)
        )

    async def stop(self) -> None:
        """Disconnect."""
        self._stopped = True
        if self._connection is not None:
            self._connection.drop("is not needed any more")
        elif self._waiting is not None:
            self._waiting.cancel()
        if self._work is not None:
            await self._work

    async def _keep(self) -> None:
        with suppress(CancelledError):
            while True:
                await self._keep_once()

    async def _keep_once(self) -> None:
        """Connect, use that, and wait a little."""
        try:
            connecting = Deferred.fromCoroutine(self._place.connect(self._kind))
            self._connection = await self._unless_stopped(connecting)
        except RedisError as error:
            self._failed(error)
        else:
            self._pause_s = FIRST_RETRY_S
            await self._use_up(self._connection)
        await self._unless_stopped(deferLater(self._reactor, self._pause_s))
        self._pause_s = min(2 * self._pause_s, RETRY_S)

    async def _use_up(self, connection: C) -> None:
        why = await self._use(connection)
        self._connection = None
        if not self._stopped:
            self._failed(why)
        connection.drop("is not needed any more")
        await connection.closed

    async def _unless_stopped(self, waiting: Deferred[T]) -> T:
        self._waiting = waiting
        if self._stopped:
            waiting.cancel()
        try:
            return await waiting
        finally:
            self._waiting = None


__all__ = ["RedisKeeper"]
