"""Doors: each ``[[listen]]`` table as an endpoint, and the port it has once it is open."""

import sys
from dataclasses import replace

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorCore,
    IStreamServerEndpoint,
)

from xmppd.config import Listen, Stream
from xmppd.net.epoll_connection import Limits
from xmppd.net.epoll_endpoint import EPollServerEndpoint

_THEIR_OWN_TLS = ("ssl", "tls")


class DoorError(Exception):
    """A door cannot be made or opened; the text is one sentence that names its endpoint."""


class Door:
    """Where clients come in.

    Args:
        listen: What is configured.
        stream: What one connection may take, where the endpoint string does not say.
        reactor: Where it will listen; not yet.

    Raises:
        DoorError: The endpoint string is none, or contradicts ``listen.tls``.

    Attributes:
        listen: What is configured.
        port: None while it is closed.
    """

    def __init__(self, listen: Listen, stream: Stream, reactor: IReactorCore) -> None:
        self.listen = listen
        self.port: IListeningPort | None = None
        self._endpoint = _endpoint(listen, stream, reactor)

    @property
    def where(self) -> str:
        """The address it listens on, such as ``127.0.0.1:5222``; empty while it is closed."""
        if self.port is None:
            return ""
        host = self.port.getHost()
        name, number = getattr(host, "host", None), getattr(host, "port", None)
        if number is None:
            return str(host)
        return f"[{name}]:{number}" if ":" in str(name) else f"{name}:{number}"

    async def open(self, factory: IProtocolFactory) -> None:
        """Listen.

        Raises:
            DoorError: The port is taken, or not ours to take.
        """
        try:
            self.port = await self._endpoint.listen(factory)
        except (CannotListenError, OSError) as error:
            raise DoorError(
                f'listen.endpoint "{self.listen.endpoint}" cannot be opened ({_reason(error)}); '
                "stop what listens there, or choose another port or address"
            ) from error

    async def close(self) -> None:
        """Let nobody in any more."""
        if self.port is not None:
            await self.port.stopListening()
            self.port = None


def _endpoint(listen: Listen, stream: Stream, reactor: IReactorCore) -> IStreamServerEndpoint:
    kind = listen.endpoint.partition(":")[0]
    if kind == "epoll" and sys.platform != "linux":
        raise DoorError(f'listen.endpoint "{listen.endpoint}" works on Linux only; use "tcp:…"')
    if kind in _THEIR_OWN_TLS:
        raise DoorError(
            f'listen.endpoint "{listen.endpoint}" would speak TLS of its own; '
            'use "epoll:…" or "tcp:…" with listen.tls = "direct"'
        )
    try:
        endpoint = serverFromString(reactor, listen.endpoint)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise DoorError(
            f'listen.endpoint "{listen.endpoint}" is no endpoint ({error}); '
            'write it as "epoll:5222" or "tcp:5222:interface=127.0.0.1"'
        ) from error
    if isinstance(endpoint, EPollServerEndpoint) and endpoint.limits == Limits():
        limits = Limits(stream.max_queued_bytes, stream.close_timeout_s)
        return replace(endpoint, limits=limits)
    return endpoint


def _reason(error: Exception) -> str:
    cause = getattr(error, "socketError", error)
    return getattr(cause, "strerror", None) or str(cause)


__all__ = ["Door", "DoorError"]
