"""Redis: the one door to the Redis servers of a cluster.

A command is sent at once, or fails at once: nothing waits for a Redis that is away (CL-71).
"""

from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.redis_connection import RedisConnection, RedisListener, Reply, check_reader
from xmppd.cluster.redis_errors import REFUSED, RedisAway, RedisError, RedisRefusal
from xmppd.cluster.redis_keeper import RedisKeeper
from xmppd.cluster.redis_place import RedisPlace
from xmppd.cluster.script import Script
from xmppd.config.config import ClusterSettings

_log = Logger()

COMPLAINT_S = 60.0
"""How often the log has the same refusal, at most."""

PING_S = 5.0
"""How often a Redis that is only listened to is asked whether it is there."""

Word = bytes | str | int


class RedisServer:
    """One of the servers, with one connection for all commands.

    Args:
        place: Where it is.
        reactor: Measures time.
        changed: Called when it is away or back.

    Attributes:
        run_id: Of the process that it is, or was when it was last heard of.
        why: The reason why it is away; None if it is not.
    """

    def __init__(self, place: RedisPlace, reactor: Any, changed: Callable[[], None]) -> None:
        self.place = place
        self.run_id = ""
        self.why: RedisError | None = RedisAway(f"Redis at {place.url} was not asked yet")
        self._reactor = reactor
        self._changed = changed
        self._connection: RedisConnection | None = None
        self._keeper = RedisKeeper(place, RedisConnection, self._use, self._failed, reactor)
        self._first: Deferred[None] | None = None
        self._logged = ""
        self._complained: dict[str, float] = {}

    async def start(self) -> None:
        """Connect, and stay connected from now on.

        Raises:
            RedisError: It cannot be reached, or is of no use to us.
        """
        self._first = Deferred()
        self._keeper.start()
        await self._first

    async def stop(self) -> None:
        """Disconnect."""
        await self._keeper.stop()
        self._connection = None

    async def execute(self, *words: Word) -> Reply:
        """Run a command.

        Raises:
            RedisError: It was not done; or that is not known.
        """
        if self._connection is None:
            raise RedisAway(str(self.why))
        try:
            return await self._connection.execute(*words)
        except RedisRefusal as refusal:
            if refusal.word in REFUSED:
                self._complain(refusal)
            raise

    async def _use(self, connection: RedisConnection) -> RedisError:
        self._connection = connection
        self.run_id = connection.run_id
        self.why = None
        if self._logged:
            _log.info("Redis at {where} is back", where=connection.where)
            self._logged = ""
        if connection.evicts:
            _log.warn(
                "Redis at {where} deletes data when its memory is full: set its maxmemory-policy "
                "to noeviction",
                where=connection.where,
            )
        self._tell(None)
        return await connection.gone

    def _failed(self, why: RedisError) -> None:
        self._connection = None
        self.why = why
        sentence = str(why)
        if sentence != self._logged and (self._first is None or self._first.called):
            _log.error("{why}", why=sentence)
            self._logged = sentence
        self._tell(why)

    def _tell(self, why: RedisError | None) -> None:
        """Tell whoever started it, or that something has changed."""
        first, self._first = self._first, None
        if first is None:
            self._changed()
        elif why is None:
            first.callback(None)
        else:
            first.errback(why)

    def _complain(self, refusal: RedisRefusal) -> None:
        now = self._reactor.seconds()
        last = self._complained.get(refusal.word)
        if last is None or now - last >= COMPLAINT_S:
            self._complained[refusal.word] = now
            _log.error("{refusal}", refusal=refusal)


class Subscription:
    """Hears what is published on a channel.

    What is published while Redis is away is not heard: then, and at the beginning, the listener is
    called with nothing.

    Args:
        place: Where Redis is.
        channel: Its name.
        heard: Called with each message.
        reactor: Measures time.

    Attributes:
        why: The reason why it was last not heard; None if there was none.
    """

    def __init__(
        self, place: RedisPlace, channel: str, heard: Callable[[bytes], None], reactor: Any
    ) -> None:
        self.why: RedisError | None = None
        self._channel = channel
        self._heard = heard
        self._reactor = reactor
        self._keeper = RedisKeeper(place, RedisListener, self._use, self._failed, reactor)
        self._keeper.start()

    async def stop(self) -> None:
        """Hear no more."""
        await self._keeper.stop()

    async def _use(self, connection: RedisListener) -> RedisError:
        try:
            await connection.listen(self._channel, self._heard)
        except RedisError as error:
            return error
        self._heard(b"")
        # Who only listens would not notice that nobody is there.
        pings = LoopingCall(_ping, connection)
        pings.clock = self._reactor
        pings.start(PING_S).addErrback(_told_by_gone)
        try:
            return await connection.gone
        finally:
            if pings.running:
                pings.stop()

    def _failed(self, why: RedisError) -> None:
        self.why = why


async def _ping(connection: RedisListener) -> None:
    await connection.execute("PING")


def _told_by_gone(failure: Failure) -> None:
    """A ping that was not answered has ended the connection already."""
    failure.trap(RedisError)


class Redis:
    """The Redis servers of a cluster: the first one has everything but what belongs to accounts,
    which is spread over all of them.

    Args:
        settings: Which ones there are.
        reactor: Makes connections.

    Attributes:
        servers: In their order.
        subscriptions: What is heard.

    Raises:
        RedisError: Something that is needed is not installed, or not in its file.
    """

    def __init__(self, settings: ClusterSettings, reactor: Any) -> None:
        check_reader()
        self._reactor = reactor
        self._listeners: list[Callable[[], None]] = []
        self.subscriptions: list[Subscription] = []
        sentinels = settings.sentinel_urls
        self.servers = tuple(
            RedisServer(
                RedisPlace(url, sentinels, settings.authorities, reactor), reactor, self._changed
            )
            for url in settings.redis_urls
        )

    @property
    def away(self) -> bool:
        """Whether one of them does not answer."""
        return any(server.why is not None for server in self.servers)

    @property
    def run_ids(self) -> str:
        """What names the processes that they are: if it is another, something may be forgotten."""
        return " ".join(server.run_id for server in self.servers)

    async def open(self) -> None:
        """Connect with all of them.

        Raises:
            RedisError: One of them cannot be reached, or is of no use to us.
        """
        try:
            for server in self.servers:
                await server.start()
            if len({server.run_id for server in self.servers}) < len(self.servers):
                raise RedisError("cluster.redis names one Redis twice: remove one of its URLs")
        except RedisError:
            await self.close()
            raise

    async def close(self) -> None:
        """Disconnect."""
        for subscription in self.subscriptions:
            await subscription.stop()
        for server in self.servers:
            await server.stop()

    def watch(self, listener: Callable[[], None]) -> None:
        """Call a function whenever one of them is away, or back."""
        self._listeners.append(listener)

    def shard_of(self, account: str) -> int:
        """The number of the server that has what belongs to an account."""
        return crc32(account.encode()) % len(self.servers) if len(self.servers) > 1 else 0

    async def execute(self, *words: Word, shard: int = 0) -> Reply:
        """Run a command; one whose arguments may be anything that users have written.

        Raises:
            RedisError: It was not done; or that is not known.
        """
        return await self.servers[shard].execute(*words)

    async def call(
        self, script: Script, keys: Sequence[Word], *arguments: Word, shard: int = 0
    ) -> Reply:
        """Run a script, whose keys and arguments may be anything that users have written.

        Raises:
            RedisRefusal: It refuses; the word says why.
            RedisAway: It is not known whether it ran.
        """
        words = (len(keys), *keys, *arguments)
        server = self.servers[shard]
        try:
            return await server.execute("EVALSHA", script.digest, *words)
        except RedisRefusal as refusal:
            if refusal.word != "NOSCRIPT":
                raise
        return await server.execute("EVAL", script.text, *words)

    async def dedicated(self, shard: int = 0) -> RedisConnection:
        """A connection of the caller's own, for commands that wait in Redis. The caller drops it,
        and asks for another one if it is gone.

        Raises:
            RedisError: There is none.
        """
        return await self.servers[shard].place.connect(RedisConnection)

    def subscribe(self, channel: str, heard: Callable[[bytes], None]) -> Subscription:
        """Hear what is published at the first server on a channel, until it is stopped."""
        place = self.servers[0].place
        subscription = Subscription(place, channel, heard, self._reactor)
        self.subscriptions.append(subscription)
        return subscription

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()


__all__ = ["Redis", "RedisServer", "Subscription"]
