"""LDAPDirectory: its servers, asked in their order by connections that are kept (AU-4)."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from twisted.internet import ssl
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, UnsupportedAddressFamily
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from xmppd.net.outgoing_trust import TrustRoot

from .connection import SUCCESS, LDAPConnection, LDAPFails, LDAPLost
from .settings import AuthLDAPSettings, LDAPServer

T = TypeVar("T")
Question = Callable[[LDAPConnection], Awaitable[T]]

MAX_CONNECTIONS = 8
"""Questions under way at the same time; others wait for their turn, as long as for an answer."""

IDLE_S = 60.0
"""A connection that nobody has used for so long is not used again: something may have cut it."""

RESTS_S = 30.0
"""A server that has failed is asked behind the others for so long."""

_log = Logger()


class LDAPAway(Exception):
    """An error: no server of a directory has answered."""


class LDAPDirectory:
    """Asks the first server that answers.

    Args:
        settings: Where they are, and how long an answer may take.
        secret: The password of ``bind_dn``.
        trust: Who signs their certificates; None for those whom this machine trusts.
        reactor: Connects.
        as_reader: Whether questions are put in the name of ``bind_dn``; else each gives a name of
            its own, as those do that try a password.
    """

    def __init__(
        self,
        settings: AuthLDAPSettings,
        secret: str,
        trust: TrustRoot | None,
        reactor: IReactorTime,
        *,
        as_reader: bool,
    ) -> None:
        self._settings = settings
        self._reactor = reactor
        self._turns = DeferredSemaphore(MAX_CONNECTIONS)
        reader = (settings.bind_dn, secret) if as_reader and settings.bind_dn else None
        self._servers = [
            _Server(LDAPServer.of(url), settings.tls, reader, trust, reactor)
            for url in settings.servers
        ]

    async def ask(self, question: Question[T], *, within_s: float | None = None) -> T:
        """The answer of the first server that has one.

        Args:
            question: What is done with a connection.
            within_s: How long a server may take for all of it; None for ``timeout_s``.

        Raises:
            LDAPAway: None has, or too many ask.
        """
        try:
            await self._turns.acquire().addTimeout(self._settings.timeout_s, self._reactor)
        except DeferredTimeoutError as error:
            raise LDAPAway("too many requests are waiting") from error
        try:
            return await self._ask(question, within_s or self._settings.timeout_s)
        finally:
            self._turns.release()

    async def _ask(self, question: Question[T], within_s: float) -> T:
        now = self._reactor.seconds()
        for server in sorted(self._servers, key=lambda server: server.rests_until > now):
            asked = Deferred.fromCoroutine(server.ask(question))
            try:
                return await asked.addTimeout(within_s, self._reactor)
            except (LDAPFails, ConnectError, UnsupportedAddressFamily) as error:
                self._failed(server, str(error))
            except DeferredTimeoutError:
                self._failed(server, f"no answer within {self._settings.timeout_s:g} s")
        raise LDAPAway("no server answers")

    def _failed(self, server: "_Server", why: str) -> None:
        server.rests_until = self._reactor.seconds() + RESTS_S
        _log.warn(
            "the directory {url} does not answer: {why}",
            url=server.address.url,
            why=why.rstrip("."),
        )  # fmt: skip

    def close(self) -> None:
        """End all connections; questions under way fail."""
        for server in self._servers:
            server.close()


class _Server:
    """One of them, and its connections.

    Attributes:
        address: Where it is.
        rests_until: The moment until which others are asked before.
    """

    def __init__(
        self,
        address: LDAPServer,
        starttls: bool,
        reader: tuple[str, str] | None,
        trust: TrustRoot | None,
        reactor: IReactorTime,
    ) -> None:
        self.address = address
        self.rests_until = reactor.seconds()
        self._starttls = starttls and address.kind == "ldap"
        self._reader = reader
        self._trust = trust
        self._reactor = reactor
        self._idle: list[tuple[LDAPConnection, float]] = []
        self._all: set[LDAPConnection] = set()

    async def ask(self, question: Question[T]) -> T:
        """Its answer, on a connection that is there if one is; if that one was cut meanwhile, on a
        new one.
        """
        kept = self._take_idle()
        if kept is not None:
            try:
                return await self._use(kept, question)
            except LDAPLost:
                self._end_idle()  # whatever has cut it has cut them all
        connection = await self._connect()
        return await self._use(connection, question)

    def close(self) -> None:
        """End all connections."""
        self._idle.clear()
        for connection in tuple(self._all):
            connection.abort()
        self._all.clear()

    # -- connections ------------------------------------------------------------------------------

    def _take_idle(self) -> LDAPConnection | None:
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_open and self._reactor.seconds() - since < IDLE_S:
                return connection
            self._end(connection)
        return None

    def _end_idle(self) -> None:
        while self._idle:
            self._end(self._idle.pop()[0])

    def _end(self, connection: LDAPConnection) -> None:
        self._all.discard(connection)
        connection.abort()

    async def _use(self, connection: LDAPConnection, question: Question[T]) -> T:
        try:
            answer = await question(connection)
        except BaseException:  # also when nobody waits for it any more
            self._end(connection)
            raise
        if connection.is_open and connection in self._all:
            self._idle.append((connection, self._reactor.seconds()))
        else:
            self._end(connection)
        return answer

    async def _connect(self) -> LDAPConnection:
        """A new connection, by TLS unless that is off, with the reader's name given."""
        connection = await self._endpoint().connect(Factory.forProtocol(LDAPConnection))
        assert isinstance(connection, LDAPConnection), "the factory makes these"
        self._all.add(connection)
        try:
            if self._starttls:
                await connection.start_tls(self._options())
            elif self.address.kind == "ldaps":
                await connection.secured()
            if self._reader is not None and await connection.bind(*self._reader) != SUCCESS:
                raise LDAPFails(
                    "the directory rejects auth_ldap.bind_dn with the password in secret_file"
                )
        except BaseException:
            self._end(connection)
            raise
        return connection

    def _endpoint(self) -> IStreamClientEndpoint:
        if self.address.kind == "ldapi":
            return UNIXClientEndpoint(self._reactor, self.address.path)
        plain = HostnameEndpoint(self._reactor, self.address.host, self.address.port)
        return wrapClientTLS(self._options(), plain) if self.address.kind == "ldaps" else plain

    def _options(self) -> IOpenSSLClientConnectionCreator:
        """TLS that believes no certificate but a good one for the name of this server (AU-3)."""
        return ssl.optionsForClientTLS(self.address.host, self._trust)


__all__ = ["IDLE_S", "MAX_CONNECTIONS", "RESTS_S", "LDAPAway", "LDAPDirectory"]
