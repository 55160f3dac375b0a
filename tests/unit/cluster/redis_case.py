"""A test that has a Redis, with the real reactor."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from tests.redis_server import RedisProcess
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_errors import RedisError
from xmppd.config.config import ClusterSettings

PATIENCE_S = 60.0


class RedisCase(TestCase):
    """Starts servers, and doors to them, that do not outlive the test."""

    def server(self, *options: str, **more: Any) -> RedisProcess:
        """A Redis of the test's own."""
        server = RedisProcess(*options, **more)
        self.addCleanup(server.stop)
        return server.start()

    def door(self, *urls: str, **settings: Any) -> Redis:
        """A door that is not open yet."""
        redis = Redis(ClusterSettings(redis=urls, **settings), reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(redis.close()))
        return redis

    async def open(self, *urls: str, **settings: Any) -> Redis:
        """An open door."""
        redis = self.door(*urls, **settings)
        await redis.open()
        return redis

    async def refusal(self, work: Awaitable[object]) -> str:
        """What Redis refuses, in one sentence."""
        try:
            answer = await work
        except RedisError as error:
            return str(error)
        raise AssertionError(f"it answered {answer!r}")

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it is so."""
        for _ in range(int(PATIENCE_S / 0.01)):
            if condition():
                return
            await deferLater(reactor, 0.01)
        self.fail("it did not happen")

    def log(self) -> Sequence[LogEvent]:
        """What is logged from now on."""
        return self.enterContext(capturedLogs())


def sentences(events: Sequence[LogEvent]) -> list[str]:
    """What we have logged, as people read it."""
    return [formatEvent(event) for event in events if event["log_namespace"].startswith("xmppd")]


def with_user(url: str, user: str, password: str) -> str:
    """The URL, with a user."""
    scheme, _, place = url.partition("://")
    return f"{scheme}://{user}:{password}@{place}"


__all__ = ["RedisCase", "sentences", "with_user"]
