"""Passwords from an HTTP service: one POST for each login (AU-10)."""

import json
from io import BytesIO
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import (
    Agent,
    BrowserLikePolicyForHTTPS,
    FileBodyProducer,
    HTTPConnectionPool,
    ResponseFailed,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from xmppd.auth.base import AuthProvider, SASLError
from xmppd.config.section import Section
from xmppd.net.outgoing_trust import trust_root
from xmppd.plugin.place import AtUnload, Part
from xmppd.plugin.plugin_error import PluginError
from xmppd.stanza import JID

MAX_CONNECTIONS = 8
"""Connections that stay open for the logins to come."""

_HERE = ("127.0.0.1", "::1", "localhost")
_LOST = (
    ConnectError,
    ConnectingCancelledError,
    ConnectionClosed,
    ResponseFailed,
    DeferredTimeoutError,
    CancelledError,
)
_log = Logger()


class AuthHTTPSettings(Section, frozen=True):
    """``[auth_http]``: the service that knows passwords of domains with ``auth = ["http"]``.

    Attributes:
        url: Where it is asked; with https, unless it is on this machine.
        secret_file: The absolute path of the secret by which it knows us.
        authorities: The absolute path of who signs its certificate; empty for those that this
            machine trusts.
        timeout_s: A login waits no longer for it.
        failures_before_pause: After so many failures in a row it is not asked for a while.
        pause_s: That while.
    """

    url: str = ""
    secret_file: str = ""
    authorities: str = ""
    timeout_s: float = 3.0
    failures_before_pause: int = 5
    pause_s: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _HERE):
            raise ValueError("url has to begin with https://, unless it is on this machine")
        for path in (self.secret_file, self.authorities):
            if path and not Path(path).is_absolute():
                raise ValueError(f"{path} has to be an absolute path")


class HTTPAuthProvider(AuthProvider):
    """Asks an HTTP service whether a password is right: it answers 200, or 403.

    Any other answer, or none in time, is no answer: the client may try again. After some of these
    in a row the service is left in peace for a while.

    Args:
        settings: Where it is, and how long it may take.
        secret: By which it knows us; empty for none.
        agent: Sends requests.
        clock: The reactor's.
    """

    name = "http"

    def __init__(
        self, settings: AuthHTTPSettings, secret: str, agent: IAgent, clock: IReactorTime
    ) -> None:
        self._settings = settings
        self._agent = agent
        self._clock = clock
        self._failures = 0
        self._paused_until = clock.seconds()
        self._headers = {b"Content-Type": [b"application/json"], b"User-Agent": [b"xmppd"]}
        if secret:
            self._headers[b"Authorization"] = [f"Bearer {secret}".encode()]

    async def check_password(self, account: str, password: str) -> bool:
        """Whether the service knows the account, by this password.

        Raises:
            SASLError: ``temporary-auth-failure``: it does not answer.
        """
        if self._clock.seconds() < self._paused_until:
            raise _away()
        jid = JID.parse(account)
        said = {"account": account, "user": jid.local, "domain": jid.domain, "password": password}
        try:
            status = await self._ask(json.dumps(said).encode()).addTimeout(
                self._settings.timeout_s, self._clock
            )
        except _LOST as error:
            self._failed(type(error).__name__)
            raise _away() from error
        if status not in (200, 403):
            self._failed(f"it answers {status}")
            raise _away()
        self._failures = 0
        return status == 200

    def _ask(self, body: bytes) -> Deferred[int]:
        return Deferred.fromCoroutine(self._answer(body))

    async def _answer(self, body: bytes) -> int:
        response: IResponse = await self._agent.request(
            b"POST",
            self._settings.url.encode(),
            Headers(self._headers),
            FileBodyProducer(BytesIO(body)),
        )
        rest = _Rest()
        response.deliverBody(rest)
        await rest.over  # so that the connection may be used again
        return int(response.code)

    def _failed(self, why: str) -> None:
        self._failures += 1
        _log.warn("{url} does not check passwords: {why}", url=self._settings.url, why=why)
        if self._failures >= self._settings.failures_before_pause:
            self._paused_until = self._clock.seconds() + self._settings.pause_s


class _Rest(Protocol):
    """Reads a body, and keeps nothing of it.

    Attributes:
        over: Fires when it is over.
    """

    def __init__(self) -> None:
        self.over: Deferred[None] = Deferred()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell it."""
        if not self.over.called:
            self.over.callback(None)


def _away() -> SASLError:
    return SASLError("temporary-auth-failure", "Passwords cannot be checked just now.")


def _agent(settings: AuthHTTPSettings, reactor: IReactorTCP, pool: HTTPConnectionPool) -> IAgent:
    """What asks the service, and believes no certificate but a good one for its name."""
    try:
        policy = BrowserLikePolicyForHTTPS(trust_root(settings.authorities))
    except ValueError as error:
        raise PluginError(f"auth_http.authorities: {error}") from error
    return cast(IAgent, Agent(reactor, policy, connectTimeout=settings.timeout_s, pool=pool))


def _secret(settings: AuthHTTPSettings) -> str:
    if not settings.secret_file:
        return ""
    try:
        return Path(settings.secret_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(
            f"auth_http.secret_file {settings.secret_file} cannot be read ({error})"
        ) from error


def plug(settings: AuthHTTPSettings, clock: IReactorTime) -> list[Part]:
    """A provider called http, for domains that name it."""
    reactor = cast(IReactorTCP, clock)
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = MAX_CONNECTIONS
    agent = _agent(settings, reactor, pool)
    provider = HTTPAuthProvider(settings, _secret(settings), agent, clock)
    return [provider, AtUnload(pool.closeCachedConnections)]
