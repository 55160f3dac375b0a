"""What stands below /.well-known/."""

from dataclasses import dataclass
from json import loads
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import ListenSettings
from xmppd.testing.house import House, house_config
from xmppd.testing.web import WebClient
from xmppd.web.well_known import BOSH, WEB_SOCKET, XRD


@dataclass
class OpenEndpoint:
    """An endpoint that listens somewhere."""

    listen: ListenSettings
    where: str


def at(where: str, **settings: str) -> OpenEndpoint:
    """An endpoint with these settings."""
    listen = ListenSettings(endpoint="epoll:0", **{"kind": "http", **settings})  # type: ignore[arg-type]
    return OpenEndpoint(listen, where)


class HostMetaTests(SynchronousTestCase):
    def links(self, *endpoints: OpenEndpoint, proto: str = "", **web: object) -> dict[str, str]:
        """The links that are told, which are the same in XML and JSON."""
        web.setdefault("trusted_proxies", ["192.0.2.1"])
        house = House(config=house_config("montague.lit", web=web))
        house.server.http_doors.endpoints = endpoints
        client = WebClient(house, host="montague.lit:8443")
        headers = {"X-Forwarded-Proto": proto} if proto else {}
        xml = client.get("/.well-known/host-meta", headers)
        self.assertEqual(xml.headers["Content-Type"], "application/xrd+xml")
        json = client.get("/.well-known/host-meta.json", headers)
        self.assertEqual(json.headers["Content-Type"], "application/json")
        for answer in (xml, json):
            self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
        found = {
            each.get("rel", ""): each.get("href", "")
            for each in ElementTree.fromstring(xml.body).iter(f"{{{XRD}}}Link")
        }
        self.assertEqual(found, {each["rel"]: each["href"] for each in loads(json.body)["links"]})
        return found

    def test_addresses(self) -> None:
        """Where IP addresses are configured, JSON has all that a client or server needs to connect,
        and says that there is nothing else to ask for (HM-2).
        """
        ips = ["192.0.2.7", "2001:db8::7"]
        house = House(config=house_config("montague.lit", web={"ips": ips}))
        house.server.http_doors.endpoints = (
            at("0.0.0.0:5222", kind="client", tls="starttls"),
            at("0.0.0.0:5223", kind="client", tls="direct"),
            at("0.0.0.0:5270", kind="server", tls="direct"),
            at("0.0.0.0:5443", tls="direct"),
        )
        said = loads(WebClient(house).get("/.well-known/host-meta.json").body)
        self.assertEqual(said["xmpp"], {"ttl": 3_600})
        base, way = "montague.lit:5443", "urn:xmpp:alt-connections:"
        wanted: list[dict[str, object]] = [
            {"rel": f"{way}tls", "port": 5223},
            {"rel": f"{way}s2s-tls", "port": 5270},
            {"rel": f"{way}websocket", "href": f"wss://{base}/ws"},
            {"rel": f"{way}xbosh", "href": f"https://{base}/bosh"},
        ]
        for place, link in enumerate(wanted, 1):
            link |= {"ips": ips, "sni": "montague.lit", "priority": place * 10, "weight": 1}
        self.assertEqual(said["links"], wanted)

    def test_listener(self) -> None:
        """A client that knows a domain only finds its streams: at the first listener with TLS
        (HM-1).
        """
        found = self.links(
            at("0.0.0.0:5280", tls="none"),
            at("0.0.0.0:5222", kind="client", tls="direct"),
            at("0.0.0.0:5443", tls="direct"),
        )
        self.assertEqual(
            found,
            {
                WEB_SOCKET: "wss://montague.lit:5443/ws",
                BOSH: "https://montague.lit:5443/bosh",
            },
        )
        self.assertEqual(
            self.links(at("[::]:443", tls="direct"))[WEB_SOCKET], "wss://montague.lit/ws"
        )

    def test_url(self) -> None:
        """Where a proxy is in front, it is told what the configuration says."""
        found = self.links(at("0.0.0.0:5443", tls="direct"), url="https://chat.montague.lit/")
        self.assertEqual(found[WEB_SOCKET], "wss://chat.montague.lit/ws")

    def test_asked(self) -> None:
        """Where nobody has said it, it is the way by which the client has come."""
        found = self.links(at("127.0.0.1:5280", tls="none"), proto="https")
        self.assertEqual(found[WEB_SOCKET], "wss://montague.lit:8443/ws")

    def test_in_the_clear(self) -> None:
        """What is not encrypted is told to nobody."""
        self.assertEqual(self.links(at("127.0.0.1:5280", tls="none")), {})
        self.assertEqual(self.links(url="http://montague.lit"), {})


class SecurityTests(SynchronousTestCase):
    def test_contacts(self) -> None:
        """Whoever finds a hole finds whom to tell (HM-4)."""
        config = house_config("montague.lit", contact={"security": ["mailto:a@montague.lit"]})
        house = House(config=config)
        answer = WebClient(house).get("/.well-known/security.txt")
        self.assertEqual(
            answer.text, "Contact: mailto:a@montague.lit\nExpires: 2023-12-14T22:13:20Z\n"
        )
        house.reload(house_config("montague.lit"))
        self.assertEqual(WebClient(house).get("/.well-known/security.txt").status, 404)
