"""Well-known paths: the ways to a domain's streams (:xep:`0156`), and whom to tell of a hole."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from json import dumps
from urllib.parse import urlsplit

from xmppd.config.config import ContactSettings
from xmppd.net.certificate import ascii_domain
from xmppd.stanza.date_time import date_time
from xmppd.stanza.text import escape
from xmppd.web.http_doors import HTTPDoors
from xmppd.web.http_path import HTTPPath, anybody
from xmppd.web.request import HTTPError, HTTPRequest, HTTPResponse

XRD = "http://docs.oasis-open.org/ns/xri/xrd-1.0"
WEB_SOCKET = "urn:xmpp:alt-connections:websocket"
BOSH = "urn:xmpp:alt-connections:xbosh"
_BY_TLS = {
    "client": "urn:xmpp:alt-connections:tls",
    "server": "urn:xmpp:alt-connections:s2s-tls",
}
TTL_S = 3_600
RANK_STEP = 10
GOOD_FOR_S = 30 * 86_400.0


class WellKnown:
    """What stands below ``/.well-known/`` (HM-1, HM-4).

    Args:
        doors: Know how the world reaches them.
        contacts: Whom to tell.
        wall_clock: Tells the time of day.
    """

    def __init__(
        self, doors: HTTPDoors, contacts: ContactSettings, wall_clock: Callable[[], float]
    ) -> None:
        self._doors = doors
        self._contacts = contacts
        self._wall_clock = wall_clock

    def use(self, contacts: ContactSettings) -> None:
        """Name other contacts."""
        self._contacts = contacts

    def paths(self) -> Iterator[HTTPPath]:
        """Where they are; pages of all origins may read them."""
        for name, handle in (
            ("host-meta", self.host_meta),
            ("host-meta.json", self.host_meta_json),
            ("security.txt", self.security),
        ):
            path = f"/.well-known/{name}"
            yield HTTPPath(path=path, access=anybody, handle=handle, origins=("*",))

    def links(self, request: HTTPRequest) -> list[tuple[str, str]]:
        """The relation and address of each way to the streams of a domain; only those with TLS.

        Where nobody has said how the world comes here, it is the way by which the request did.
        """
        base = self._doors.base_url(request.host) or request.origin
        if not base.startswith("https://"):
            return []
        socket = base.replace("https://", "wss://", 1)
        return [(WEB_SOCKET, f"{socket}/ws"), (BOSH, f"{base}/bosh")]

    def host_meta(self, request: HTTPRequest) -> HTTPResponse:
        """The links, in XML (:rfc:`6415`)."""
        links = "".join(
            f"<Link rel='{rel}' href='{escape(href)}'/>" for rel, href in self.links(request)
        )
        text = f"<?xml version='1.0' encoding='UTF-8'?><XRD xmlns='{XRD}'>{links}</XRD>"
        return HTTPResponse(200, text.encode(), (("Content-Type", "application/xrd+xml"),))

    def host_meta_json(self, request: HTTPRequest) -> HTTPResponse:
        """The links, in JSON; where IP addresses are configured, with all that is needed to connect
        (HM-2).
        """
        links: list[Mapping[str, object]] = [
            {"rel": rel, "href": href} for rel, href in self.links(request)
        ]
        said: dict[str, object] = {"links": links}
        if self._doors.settings.ips:
            said = {"xmpp": {"ttl": TTL_S}, "links": list(self._whole(request.host, links))}
        text = dumps(said)
        return HTTPResponse(200, text.encode(), (("Content-Type", "application/json"),))

    def _whole(
        self, domain: str, links: Iterable[Mapping[str, object]]
    ) -> Iterator[Mapping[str, object]]:
        """The links of :xep:`0487`, those of TLS first."""
        ips, rank = self._doors.settings.ips, count(RANK_STEP, RANK_STEP)
        own = [
            {"rel": rel, "port": port, "sni": ascii_domain(domain)}
            for kind, rel in _BY_TLS.items()
            for port in self._doors.tls_ports(kind)
        ]
        there = [{**link, "sni": urlsplit(str(link["href"])).hostname} for link in links]
        for link in (*own, *there):
            yield {**link, "ips": ips, "priority": next(rank), "weight": 1}

    def security(self, request: HTTPRequest) -> HTTPResponse:
        """Whom to tell of a hole (:rfc:`9116`).

        Raises:
            HTTPError: Nobody is named.
        """
        if not self._contacts.security:
            raise HTTPError(404, "No security contact is configured: see contact.security.")
        lines = [f"Contact: {uri}" for uri in self._contacts.security]
        lines.append(f"Expires: {date_time(self._wall_clock() + GOOD_FOR_S)}")
        text = "\n".join(lines) + "\n"
        return HTTPResponse(200, text.encode(), (("Content-Type", "text/plain; charset=utf-8"),))
