"""RedisConnection: one connection with a Redis, by txredisapi and hiredis; nobody else knows them.

What txredisapi offers beyond a connection is not used: its pools let commands wait for ever while
Redis is away, believe any certificate, and give up for good after a wrong password.
"""

from collections.abc import Callable
from typing import TypeAlias

import txredisapi
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from typing_extensions import override

from xmppd.cluster.redis_errors import RedisAway, RedisError, redis_error
from xmppd.config.redis_url import RedisURL

COMMAND_S = 1.0
"""How long a command may take; whoever waited for longer takes Redis for gone."""

MAX_UNDER_WAY = 10_000
"""Commands that a connection has under way; one more fails at once."""

Reply: TypeAlias = "bytes | int | list[Reply] | None"
"""What Redis answers: text is bytes, and whatever users have written stays as it is."""
_NO_REDIS = (
    "does not answer like Redis: is its port right, and should the URL begin with rediss://?"
)


class RedisConnection(txredisapi.RedisProtocol):
    """A connection with a Redis.

    Args:
        url: As whom it is used, and how.
        where: The Redis, as people know it.
        clock: Measures how long commands take.

    Attributes:
        gone: Fires when it is of no use any more, with the reason.
        closed: Fires when it is closed.
        run_id: Of the Redis; another one is another process, which may know less.
        evicts: Whether the Redis forgets what it was told when its memory is full.
    """

    def __init__(self, url: RedisURL, where: str, clock: IReactorTime) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.where = where
        self.gone = Deferred[RedisAway]()
        self.closed = Deferred[None]()
        self.run_id = ""
        self.evicts = False
        self._url = url
        self._clock = clock
        self._answered = False
        self._why: RedisAway | None = None

    async def execute(self, *words: bytes | str | int, within_s: float = COMMAND_S) -> Reply:
        """Run a command.

        Args:
            words: Its name and its arguments, which are never taken for anything else.
            within_s: How long it may take. Redis answers in order, so a connection on which
                something takes longer is given up.

        Raises:
            RedisError: It was not done; or that is not known.
        """
        if self._why is not None:
            raise RedisAway(str(self._why))
        if len(self.replyQueue.waiting) >= MAX_UNDER_WAY:
            raise RedisAway(f"Redis at {self.where} has not answered {MAX_UNDER_WAY} commands yet")
        answer: Deferred[Reply] = self.execute_command(*words)
        answer.addTimeout(within_s, self._clock)
        try:
            return await answer
        except defer.TimeoutError:
            if self._url.tls and not self._answered:
                self.drop(f"has not started TLS for {within_s:g} s: does it use TLS on this port?")
            else:
                self.drop(
                    f"has not answered for {within_s:g} s: it hangs, is overloaded, or out of reach"
                )
            raise RedisAway(str(self._why), tried=True) from None
        except txredisapi.ConnectionError:
            raise RedisAway(str(self._why), tried=True) from None
        except txredisapi.ResponseError as answered:
            refusal = redis_error(self.where, self._url.user, str(answered))
            if isinstance(refusal, RedisAway):
                self._drop(refusal)
            raise refusal from None

    async def log_in(self) -> None:
        """Say who we are.

        Raises:
            RedisError: We are not welcome.
        """
        url = self._url
        if url.password:
            await self.execute("AUTH", *((url.user,) if url.user else ()), url.password)

    async def greet(self) -> None:
        """Log in, and see who that is.

        Raises:
            RedisError: It is of no use to us.
        """
        url = self._url
        await self.log_in()
        if url.database:
            await self.execute("SELECT", url.database)
        told = await self.execute("INFO")
        text = told.decode(errors="replace") if isinstance(told, bytes) else ""
        info = {key: value for key, _, value in (line.partition(":") for line in text.splitlines())}
        if "run_id" not in info:
            raise RedisError(f"Redis at {self.where} {_NO_REDIS}")
        if info.get("loading") == "1":
            raise redis_error(self.where, url.user, "LOADING")
        if info.get("role") == "slave":
            raise redis_error(self.where, url.user, "READONLY")
        self.run_id = info["run_id"]
        policy = info.get("maxmemory_policy", "noeviction")
        self.evicts = info.get("maxmemory", "0") != "0" and policy != "noeviction"

    def drop(self, why: str) -> None:
        """Cut the connection; everybody who waits is told why."""
        self._drop(RedisAway(f"Redis at {self.where} {why}"))

    def _drop(self, why: RedisAway) -> None:
        if self._why is None:
            self._why = why
            self.transport.abortConnection()
            self.gone.callback(why)

    @override
    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        self._answered = True
        try:
            super().dataReceived(data, unpause)
        except txredisapi.InvalidData:
            self.drop(
                "does not answer like Redis: is its port right, and should the URL begin with "
                "rediss://?"
            )

    @override
    def _build_command(self, *words: bytes | str | int, **options: object) -> bytes:
        packed: bytes = txredisapi.hiredis.pack_command(words)
        return packed

    @override
    def tryConvertData(self, data: Reply) -> Reply:
        return data  # neither numbers nor text are to be converted

    @override
    def connectionLost(self, why: Failure) -> None:
        if self._why is None:
            sentence = f"Redis at {self.where} has closed the connection"
            if self._url.tls and not self._answered:
                sentence = _tls_failed(self.where, why)
            self._why = RedisAway(sentence)
            self.gone.callback(self._why)
        super().connectionLost(why)
        self.closed.callback(None)


class RedisListener(RedisConnection, txredisapi.SubscriberProtocol):
    """A connection that hears what is published.

    Attributes:
        heard: Called with what is.
    """

    heard: Callable[[bytes], None]

    async def listen(self, channel: str, heard: Callable[[bytes], None]) -> None:
        """Hear a channel; one for each connection, since an answer for two is taken for one.

        Raises:
            RedisError: It is not heard.
        """
        self.heard = heard
        await self.execute("SUBSCRIBE", channel)

    @override
    def messageReceived(self, pattern: object, channel: bytes, message: bytes) -> None:
        self.heard(message)


def many(reply: Reply) -> list[Reply]:
    """A reply that is a list."""
    assert isinstance(reply, list)
    return reply


def number(reply: Reply) -> int:
    """A reply that is a number."""
    assert isinstance(reply, int)
    return reply


def text(reply: Reply) -> str:
    """A reply that is text."""
    assert isinstance(reply, bytes)
    return reply.decode()


def check_reader() -> None:
    """See that answers are read by hiredis.

    Raises:
        RedisError: It is not installed; what is read without it differs, and costs ten times more.
    """
    if txredisapi.RedisProtocol is not txredisapi.HiredisProtocol:
        raise RedisError("a cluster needs hiredis: install xmppd[cluster]")


def _tls_failed(where: str, why: Failure) -> str:
    """What to do about a connection that was lost before anything was said by TLS."""
    if why.check(ConnectionClosed):
        return f"Redis at {where} has closed the connection: does it use TLS on this port?"
    name = why.value.__class__.__name__
    if name == "VerificationError":
        return (
            f"the certificate of Redis at {where} is for other names: use one of them in "
            f"cluster.redis"
        )
    told = why.value.args[0] if why.value and why.value.args else ()
    reasons = [part[-1] for part in told if isinstance(part, tuple)] or [name]
    return (
        f"TLS with Redis at {where} fails ({', '.join(map(str, reasons))}): name the authority "
        f"that signed its certificate in cluster.authorities"
    )


__all__ = [
    "COMMAND_S",
    "RedisConnection",
    "RedisListener",
    "Reply",
    "check_reader",
    "many",
    "number",
    "text",
]
