"""RedisPlace: where a Redis is, or who says where it is."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import (
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates

from xmppd.cluster.redis_connection import RedisConnection
from xmppd.cluster.redis_errors import RedisAway, RedisError
from xmppd.config.redis_url import RedisURL

CONNECT_S = 3.0
"""How long it may take until there is a connection, or until it is known that there is none."""

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

C_co = TypeVar("C_co", bound=RedisConnection, covariant=True)


class ConnectionKind(Protocol[C_co]):
    """Makes connections of a kind."""

    def __call__(self, url: RedisURL, where: str, clock: IReactorTime) -> C_co:
        """Make one."""


class RedisPlace:
    """Where a Redis is: at its address, or where its Sentinels say.

    Args:
        url: Its address; with Sentinels the host is the name of a master.
        sentinels: Those who know where it is, if there are any.
        authorities: PEM file with those whose signatures count for its certificate; empty for
            those that this machine trusts.
        reactor: Makes connections.

    Raises:
        RedisError: The file is not to be used.
    """

    def __init__(
        self, url: RedisURL, sentinels: Sequence[RedisURL], authorities: str, reactor: Any
    ) -> None:
        self.url = url
        self._sentinels = tuple(sentinels)
        self._trust = trustRootFromCertificates(read(authorities)) if authorities else None
        self._reactor = reactor

    async def connect(self, kind: ConnectionKind[C_co]) -> C_co:
        """A connection that was greeted.

        Raises:
            RedisError: There is none.
        """
        attempt = Deferred.fromCoroutine(self._connect(kind))
        attempt.addTimeout(CONNECT_S, self._reactor)
        try:
            return await attempt
        except defer.TimeoutError:
            raise RedisAway(f"Redis at {self.url} cannot be reached: nobody answers") from None

    async def _connect(self, kind: ConnectionKind[C_co]) -> C_co:
        url = await self._find_master() if self._sentinels else self.url
        connection = await self._dial(url, kind)
        try:
            await connection.greet()
        except BaseException:
            connection.drop("is of no use")
            await connection.closed
            raise
        return connection

    async def _find_master(self) -> RedisURL:
        """Where it is now."""
        why: RedisError | None = None
        for number, sentinel in enumerate(self._sentinels):
            try:
                found = await self._ask(sentinel)
            except RedisError as error:
                why = why or error
            else:
                # Who knows is asked first the next time.
                self._sentinels = self._sentinels[number:] + self._sentinels[:number]
                return found
        raise RedisAway(f"no Sentinel knows where Redis {self.url.host} is: {why}")

    async def _ask(self, sentinel: RedisURL) -> RedisURL:
        """Where the master is, says this one."""
        connection = await self._dial(sentinel, RedisConnection)
        try:
            await connection.log_in()
            found = await connection.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.url.host)
        finally:
            connection.drop("was asked")
            await connection.closed
        if not isinstance(found, list):
            raise RedisAway(f"the one at {sentinel} does not know it")
        host, port = found
        assert isinstance(host, bytes) and isinstance(port, bytes)
        return replace(self.url, host=host.decode(), port=int(port))

    async def _dial(self, url: RedisURL, kind: ConnectionKind[C_co]) -> C_co:
        connection = kind(url, str(url), self._reactor)
        factory = Factory.forProtocol(lambda: connection)
        factory.noisy = False
        try:
            await self._endpoint(url).connect(factory)
        except ConnectingCancelledError:
            raise defer.CancelledError from None
        except (ConnectError, OSError, ValueError) as error:
            raise RedisAway(f"Redis at {url} cannot be reached: {reason(error)}") from None
        return connection

    def _endpoint(self, url: RedisURL) -> IStreamClientEndpoint:
        if url.path:
            return UNIXClientEndpoint(self._reactor, url.path, CONNECT_S)
        endpoint = HostnameEndpoint(self._reactor, url.host, url.port, CONNECT_S)
        if not url.tls:
            return endpoint
        return wrapClientTLS(optionsForClientTLS(url.host, self._trust), endpoint)


def reason(error: Exception) -> str:
    """What is wrong, as a part of a sentence."""
    return str(error).rstrip(".").removeprefix("An error occurred while connecting: ")


def read(file: str) -> list[Certificate]:
    """The certificates in a file.

    Raises:
        RedisError: There are none.
    """
    try:
        data = Path(file).read_bytes()
        found = [Certificate.loadPEM(pem) for pem in CERTIFICATE.findall(data)]
    except (OSError, ValueError) as error:
        raise RedisError(f"cluster.authorities cannot be read: {error}") from None
    if not found:
        raise RedisError(f"cluster.authorities, {file}, has no certificate in it")
    return found


__all__ = ["RedisPlace"]
