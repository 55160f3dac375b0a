"""HTTPCaller: asks a service that speaks HTTP, within a time and up to a size."""

from collections.abc import Mapping
from io import BytesIO
from typing import Self, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    FileBodyProducer,
    HTTPConnectionPool,
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from xmppd.net.outgoing_trust import trust_root
from xmppd.stanza import Later

MAX_ANSWER_BYTES = 262_144
"""An answer that is larger is none."""

MAX_KEPT_CONNECTIONS = 8
"""Connections to a service that stay open for the questions to come."""

_LOST = (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    ResponseFailed,
    DeferredTimeoutError,
    CancelledError,
)


class NotAnswered(Exception):
    """An error: a service has not answered, whatever became of its connection; the text is what
    happened, in a word.
    """


class HTTPCaller:
    """Asks services, each question by a connection that is kept, or a new one.

    Args:
        agent: Sends requests.
        clock: The reactor's.
        timeout_s: An answer has to be whole within this time.
        pool: Has the connections that are kept.
    """

    def __init__(
        self,
        agent: IAgent,
        clock: IReactorTime,
        timeout_s: float,
        pool: HTTPConnectionPool | None = None,
    ) -> None:
        self._agent = agent
        self._clock = clock
        self._timeout_s = timeout_s
        self._pool = pool

    @classmethod
    def trusting(cls, authorities: str, clock: IReactorTime, timeout_s: float) -> Self:
        """One that believes no certificate but a good one for the service's name.

        Args:
            authorities: The file of who signs it; empty for those that this machine trusts.
            clock: The reactor.
            timeout_s: An answer has to be whole within this time.

        Raises:
            ValueError: One sentence: what is wrong with the file, what to do.
        """
        reactor = cast(IReactorTCP, clock)
        pool = HTTPConnectionPool(reactor)
        pool.maxPersistentPerHost = MAX_KEPT_CONNECTIONS
        policy = BrowserLikePolicyForHTTPS(trust_root(authorities))
        agent = Agent(reactor, policy, connectTimeout=timeout_s, pool=pool)
        return cls(cast(IAgent, agent), clock, timeout_s, pool)

    def close_kept(self) -> Later:
        """Close the connections that are kept."""
        return None if self._pool is None else self._pool.closeCachedConnections()

    async def ask(
        self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The status and the body of a service's answer.

        Raises:
            NotAnswered: There is none in time, or none that is whole.
        """
        sent = Headers({b"User-Agent": [b"xmppd"]})
        for name, value in (headers or {}).items():
            sent.addRawHeader(name.encode(), value.encode())
        answer = Deferred.fromCoroutine(self._answer(method.encode(), url.encode(), body, sent))
        try:
            return await answer.addTimeout(self._timeout_s, self._clock)
        except _LOST as error:
            raise NotAnswered(type(error).__name__) from error

    async def _answer(
        self, method: bytes, url: bytes, body: bytes, headers: Headers
    ) -> tuple[int, bytes]:
        try:
            response = await self._sent(method, url, body, headers)
        except ResponseNeverReceived as error:
            if any(reason.check(CancelledError) for reason in error.reasons):
                raise CancelledError from error  # its time is over
            # else it was a connection that was kept, and closed at the other end
            response = await self._sent(method, url, body, headers)
        reader = _Body()
        response.deliverBody(reader)
        return int(response.code), await reader.whole

    def _sent(
        self, method: bytes, url: bytes, body: bytes, headers: Headers
    ) -> Deferred[IResponse]:
        producer = FileBodyProducer(BytesIO(body)) if body else None
        return self._agent.request(method, url, headers, producer)


class _Body(Protocol):
    """Reads a body that is not too large.

    Attributes:
        whole: Fires with it.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._bytes = 0
        self.whole: Deferred[bytes] = Deferred(lambda _: self._cut())

    def dataReceived(self, data: bytes) -> None:
        """Keep it, unless it is too much."""
        self._bytes += len(data)
        if self._bytes > MAX_ANSWER_BYTES:
            self._parts.clear()
            self._cut()
            return
        self._parts.append(data)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give it to whoever waits."""
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss) and self._bytes <= MAX_ANSWER_BYTES:
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(Failure(ConnectionClosed("the answer is incomplete")))


__all__ = ["MAX_ANSWER_BYTES", "MAX_KEPT_CONNECTIONS", "HTTPCaller", "NotAnswered"]
