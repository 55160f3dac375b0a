"""HTTPDoors: the listeners of HTTP, and the address by which the world reaches them."""

from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory

from xmppd.config.config import ListenSettings, WebSettings
from xmppd.net.certificate import ascii_domain
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.tls import TLS, Kind
from xmppd.web.http_channel import HTTPChannel, HTTPDoor
from xmppd.web.http_connections import HTTPConnections
from xmppd.web.http_path import HTTPPaths, Site

_LOOPBACK = ("127.", "[::1]")


class HTTPListener(ServerFactory):
    """The factory of the connections at one endpoint.

    Args:
        door: What they have in common.
    """

    noisy = False

    def __init__(self, door: HTTPDoor) -> None:
        self.door = door

    def buildProtocol(self, addr: IAddress | None) -> HTTPChannel:
        """The protocol of a new connection."""
        return HTTPChannel(self.door)


class Listening(Protocol):
    """An endpoint that is open, or was."""

    @property
    def listen(self) -> ListenSettings:
        """Its configuration."""

    @property
    def where(self) -> str:
        """The address it listens on, such as ``127.0.0.1:5443``."""


class HTTPDoors:
    """The listeners of HTTP, one for each endpoint.

    Args:
        paths: All there are.
        connections: Those of all listeners.
        domains: Those that are served.
        tls: The certificates; None if there are none.
        clock: The reactor's.
        wall_clock: Tells the time of day.

    Attributes:
        endpoints: All that are open, of every kind.
        serves_web: Whether a listener of the configuration serves paths to everybody.
    """

    def __init__(
        self,
        paths: HTTPPaths,
        connections: HTTPConnections,
        domains: Iterable[str],
        tls: TLS | None,
        clock: IReactorTime,
        wall_clock: Callable[[], float],
    ) -> None:
        self.paths = paths
        self.connections = connections
        self.endpoints: tuple[Listening, ...] = ()
        self.serves_web = False
        self._domains = frozenset(map(ascii_domain, domains))
        self._tls = tls
        self._clock = clock
        self._wall_clock = wall_clock

    @property
    def settings(self) -> WebSettings:
        """The present ones."""
        return self.connections.settings

    def listener(
        self, listen: ListenSettings, stream: Callable[[], ConnectionHandler] | None = None
    ) -> HTTPListener:
        """The factory for those who come in by an endpoint.

        Args:
            listen: Its configuration.
            stream: Makes the handler of a client's stream, where those come in as well.
        """
        contexts = None
        if self._tls is not None and listen.tls == "direct":
            kind: Kind = "http" if stream is None else "client or http"
            contexts = self._tls.context_factory(kind, direct_tls=True)
        door = HTTPDoor(
            self.paths,
            listen.sites,
            self._domains,
            contexts,
            stream,
            self.connections,
            self._clock,
            self._wall_clock,
        )
        return HTTPListener(door)

    def tls_ports(self, kind: str) -> list[int]:
        """The ports at which peers of this kind come in with TLS from the first byte."""
        return [
            int(endpoint.where.rpartition(":")[2])
            for endpoint in self.endpoints
            if endpoint.listen.kind == kind and endpoint.listen.tls == "direct" and endpoint.where
        ]

    def base_url(self, domain: str, site: Site = "web") -> str | None:
        """The URL by which the paths of a domain are reached, without a slash at its end.

        It is ``web.url``, for what is served where the web is; else that of the first listener with
        TLS, or, for what is not for the world, of one on the machine itself. None if there is none.
        """
        serving = [each for each in self.endpoints if site in each.listen.sites and each.where]
        if self.settings.url and (site == "web" or _any_serves(serving, "web")):
            return self.settings.url.rstrip("/")
        for endpoint in serving:
            if endpoint.listen.tls == "direct":
                port = endpoint.where.rpartition(":")[2]
                host = ascii_domain(domain)
                return f"https://{host}" if port == "443" else f"https://{host}:{port}"
        here = [each.where for each in serving if each.where.startswith(_LOOPBACK)]
        return f"http://{here[0]}" if site != "web" and here else None


def _any_serves(endpoints: Iterable[Listening], site: Site) -> bool:
    return any(site in endpoint.listen.sites for endpoint in endpoints)
