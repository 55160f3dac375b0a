"""Configured listeners: each ``[[listen]]`` as an endpoint, and the certificates behind it."""

import re
import sys
from dataclasses import dataclass, replace
from errno import EADDRNOTAVAIL
from pathlib import Path
from socket import gaierror

from cryptography import x509
from msgspec import structs
from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IReactorCore,
    IStreamServerEndpoint,
)
from twisted.protocols.haproxy import proxyEndpoint

from xmppd.config.config import Config, ListenSettings, StreamSettings
from xmppd.net.certificate import load_authorities
from xmppd.net.epoll_connection import SocketLimits
from xmppd.net.epoll_endpoint import EPollServerEndpoint
from xmppd.net.node_dialer import NODE_LIMITS
from xmppd.net.tls import TLS

_THEIR_OWN_TLS = ("ssl", "tls")


class ListenError(Exception):
    """An error of a listener; the text is one sentence that names the key to look at."""


class ListenEndpoint:
    """An endpoint at which the server listens.

    Args:
        listen: Its configuration.
        stream: The limits of one connection, where the endpoint string has none.
        reactor: Will listen; does not yet.

    Raises:
        ListenError: The endpoint string is invalid, or contradicts ``listen.tls``.

    Attributes:
        listen: Its configuration.
        endpoint: Twisted's, made from it.
        port: None while it is closed.
        where: The address it listens on, such as ``127.0.0.1:5222``; empty while it is closed.
    """

    def __init__(
        self, listen: ListenSettings, stream: StreamSettings, reactor: IReactorCore
    ) -> None:
        self.listen = listen
        self.port: IListeningPort | None = None
        self.where = ""
        self._factory: IProtocolFactory | None = None
        self.endpoint = _endpoint(listen, stream, reactor)

    async def open(self, factory: IProtocolFactory) -> None:
        """Listen.

        Raises:
            ListenError: The port is taken, or not ours to take.
        """
        self._factory = factory
        try:
            self.port = await self.endpoint.listen(factory)
        except (CannotListenError, OSError, OverflowError) as error:  # tcp:99999 overflows
            advice = "stop the program that uses it, or choose another port or address"
            cause = getattr(error, "socketError", error)
            if getattr(cause, "errno", None) == EADDRNOTAVAIL:
                advice = "use one of the addresses that this machine has (`ip address` lists them)"
            if isinstance(cause, gaierror):
                advice = "correct the address after interface="
            if isinstance(cause, OverflowError):
                advice = "use a port from 1 to 65535"
            if isinstance(cause, PermissionError):
                advice = (
                    "ports below 1024 are only for root, and for a service with "
                    "AmbientCapabilities=CAP_NET_BIND_SERVICE, as in xmppd.service"
                )
            raise ListenError(
                f'listen.endpoint "{self.listen.endpoint}" cannot be opened ({_reason(error)}); '
                f"{advice}"
            ) from error
        self.where = _named(self.port.getHost())

    async def open_again(self) -> None:
        """Listen again, if it was closed.

        Raises:
            ListenError: The port is taken by now.
        """
        if self.port is None and self._factory is not None:
            await self.open(self._factory)

    async def close(self) -> None:
        """Stop listening."""
        if self.port is not None:
            port, self.port, self.where = self.port, None, ""
            await maybeDeferred(port.stopListening)


def _named(host: IAddress) -> str:
    """An address as people write it."""
    name, number = getattr(host, "host", None), getattr(host, "port", None)
    if number is None:
        return str(host)
    return f"[{name}]:{number}" if ":" in str(name) else f"{name}:{number}"


def _endpoint(
    listen: ListenSettings, stream: StreamSettings, reactor: IReactorCore
) -> IStreamServerEndpoint:
    kind, _, rest = listen.endpoint.partition(":")
    if kind == "haproxy":
        return _behind_proxy(listen, rest, stream, reactor)
    if kind == "epoll" and sys.platform != "linux":
        raise ListenError(f'listen.endpoint "{listen.endpoint}" works on Linux only; use "tcp:…"')
    if kind in _THEIR_OWN_TLS:
        raise ListenError(
            f'listen.endpoint "{listen.endpoint}" would do its own TLS; use "epoll:…" or "tcp:…" '
            'with listen.tls = "direct"'
        )
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, listen.endpoint)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        if kind == "systemd" and isinstance(error, IndexError):
            raise ListenError(
                f'listen.endpoint "{listen.endpoint}" needs a socket that systemd has not passed; '
                "start the socket unit that belongs to xmppd.service, or correct the index"
            ) from error
        raise ListenError(
            f'listen.endpoint "{listen.endpoint}" is not a valid endpoint{_why(error)}; '
            f"{_written(listen.endpoint)}"
        ) from error
    if isinstance(endpoint, EPollServerEndpoint) and endpoint.limits == SocketLimits():
        limits = SocketLimits(stream.max_queued_bytes, stream.close_timeout_s)
        return replace(endpoint, limits=NODE_LIMITS if listen.kind == "node" else limits)
    return endpoint


def _behind_proxy(
    listen: ListenSettings, inner: str, stream: StreamSettings, reactor: IReactorCore
) -> IStreamServerEndpoint:
    if listen.tls == "direct":  # it would begin before the header that is in the clear
        instead = "none" if listen.kind == "http" else "starttls"
        raise ListenError(
            f'listen.endpoint "{listen.endpoint}" cannot have listen.tls = "direct"; '
            f'use "{instead}"'
        )
    inside = structs.replace(listen, endpoint=inner)
    wrapped: IStreamServerEndpoint = proxyEndpoint(_endpoint(inside, stream, reactor))
    return wrapped


def _why(error: Exception) -> str:
    """What is wrong with an endpoint, where our own parser says it; Python's words help nobody."""
    text = str(error)
    unknown = re.search(r"unexpected keyword argument '(\w+)'", text)
    if unknown is not None:
        return f' (unknown argument "{unknown[1]}")'
    pythons = not isinstance(error, ValueError) or re.search("literal|unpack|Unknown", text)
    return "" if pythons else f" ({text})"


def _written(endpoint: str) -> str:
    """How an endpoint is written right."""
    found = re.search(r"interface=\[?([0-9a-fA-F:]+)\]?", endpoint)
    if found is not None and ":" in found[1].rstrip(":"):
        address = found[1].replace(":", r"\:")
        kind, _, rest = endpoint.partition(":")
        return f"write it as '{kind}:{rest.partition(':')[0]}:interface={address}'"
    return 'write it as "epoll:5222" or "tcp:5222:interface=127.0.0.1"'


def _reason(error: Exception) -> str:
    cause = getattr(error, "socketError", error)
    return getattr(cause, "strerror", None) or str(cause)


def listen_endpoints(config: Config, reactor: IReactorCore) -> list[ListenEndpoint]:
    """The configured endpoints, still closed.

    Raises:
        ListenError: There is none, or one of them cannot be made.
    """
    if not config.listen:
        raise ListenError(
            'no listener is configured; add a [[listen]] table with endpoint = "epoll:5222"'
        )
    return [ListenEndpoint(listen, config.stream, reactor) for listen in config.listen]


# --- certificates ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Certificates:
    """The configured certificates, as their files were when they were read.

    Attributes:
        tls: Those that we show, checked; None if there are none.
        authorities: The authorities for other servers' certificates; None for those of the machine.
    """

    tls: TLS | None = None
    authorities: tuple[x509.Certificate, ...] | None = None


NO_CERTIFICATES = Certificates()


def certificates(config: Config) -> Certificates:
    """The certificates that are configured, read once and checked.

    Raises:
        ListenError: One of them cannot be used.
    """
    authorities = None
    try:
        if config.s2s.authorities:
            authorities = tuple(load_authorities(Path(config.s2s.authorities)))
    except ValueError as error:
        raise ListenError(f"s2s.authorities: {error}") from error
    if not any(domain.certificate for domain in config.domain):
        return Certificates(None, authorities)
    try:
        tls = TLS(config.tls, config.domain)
        tls.context_factory("client")
    except ValueError as error:
        raise ListenError(f"{key_of(str(error), config)}: {error}") from error
    return Certificates(tls, authorities)


def has_other_certificates(config: Config, other: Config) -> bool:
    """Whether one names files or settings of certificates that the other does not."""
    return (config.tls, config.domain) != (
        other.tls,
        other.domain,
    ) or config.s2s.authorities != other.s2s.authorities


def key_of(sentence: str, config: Config) -> str:
    """The key of the configuration that an error of TLS is about."""
    for domain in config.domain:
        for key in ("key", "certificate"):
            if getattr(domain, key) and sentence.startswith(getattr(domain, key)):
                return f"domain.{key}"
    client_ca = config.tls.client_ca
    return "tls.client_ca" if client_ca and sentence.startswith(client_ca) else "tls.ciphers"


__all__ = [
    "NO_CERTIFICATES",
    "Certificates",
    "ListenEndpoint",
    "ListenError",
    "certificates",
    "has_other_certificates",
    "key_of",
    "listen_endpoints",
]
