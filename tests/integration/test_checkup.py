"""xmppctl check, from outside: a server that runs, and faults that are planted."""

from collections.abc import Callable
from time import time
from typing import cast

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from tests.integration.processes import XMPPCTL, ProcessCase
from tests.integration.test_turn import SECRET, CoturnCase
from tests.name_server import NameThread
from tests.ports import free_port
from xmppd.checkup import turn
from xmppd.checkup.checked import Checked, Sight
from xmppd.config.config import PluginSettings
from xmppd.resolve.name_service import NameService
from xmppd.s2s.verification import Trust
from xmppd.testing.house import house_config
from xmppd.testing.signing_authority import SigningAuthority

CONFIG = """\
data = "data"
[[domain]]
name = "verona.lit"
certificate = "verona.lit.crt"
key = "verona.lit.key"
[[listen]]
endpoint = "epoll:{clients}:interface=127.0.0.1"
[[listen]]
endpoint = "epoll:{direct}:interface=127.0.0.1"
tls = "direct"
[[listen]]
endpoint = "epoll:{servers}:interface=127.0.0.1"
kind = "server"
[s2s]
dns_servers = ["127.0.0.1:{dns}"]
authorities = "authority.pem"
[auth]
scram_iterations = 16
"""


class CheckupCase(ProcessCase):
    """A server with a domain that DNS leads to."""

    def setUp(self) -> None:
        super().setUp()
        self.zone = NameThread()
        self.addCleanup(self.zone.stop)
        self.authority = SigningAuthority(self.directory)
        _, key = self.authority.issue("verona.lit", days=60)
        key.chmod(0o600)
        self.clients, self.direct, self.servers = free_port(), free_port(), free_port()
        self.write()
        self.zone.host("xmpp.verona.lit", "127.0.0.1")
        for service, port in (
            ("_xmpp-client", self.clients),
            ("_xmpps-client", self.direct),
            ("_xmpp-server", self.servers),
        ):
            self.zone.service(f"{service}._tcp.verona.lit", "xmpp.verona.lit", port)

    def write(self, more: str = "") -> None:
        """Write the configuration."""
        text = CONFIG.format(
            clients=self.clients,
            direct=self.direct,
            servers=self.servers,
            dns=self.zone.address[1],
        )
        self.config.write_text(text + more, encoding="utf-8")

    def said(self, *topics: str, bad: bool = False) -> str:
        """What it prints; its status tells whether something is bad."""
        ended = self.run_command(
            [*XMPPCTL, "--wide", "--config", str(self.config), "check", *topics]
        )
        self.assertEqual(ended.returncode, int(bad), ended.stdout + ended.stderr)
        self.assertEqual("checks failed" in ended.stderr, bad)
        return ended.stdout


class PortTests(CheckupCase):
    """The topics ports and dns, and all together."""

    def test_well(self) -> None:
        """At a server that runs all ways are open, with TLS and the right certificate."""
        self.start()
        said = self.said("ports")
        for peer in ("clients", "servers"):
            self.assertIn(f"{peer} reach verona.lit with TLSv1.3", said)
        self.assertNotIn("bad", said)
        self.assertIn("the configuration is valid", self.said("config"))
        self.assertIn("is not public", self.said("dns"))

    def test_closed(self) -> None:
        """At one that does not run each port is named, with what may be in the way."""
        said = self.said("ports", bad=True)
        self.assertIn(f"xmpp.verona.lit:{self.direct}", said)
        self.assertIn("Connection refused", said)
        self.assertIn("firewall", said)

    def test_other_certificate(self) -> None:
        """A port where another server answers is told by the certificate that it shows."""
        self.start()
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(text.replace("verona.lit", "mantua.lit"), encoding="utf-8")
        self.authority.issue("mantua.lit", days=60)
        for service, port in (("_xmpps-client", self.direct),):
            self.zone.service(f"{service}._tcp.mantua.lit", "xmpp.verona.lit", port)
        said = self.said("ports", bad=True)
        self.assertIn("clients of mantua.lit get a certificate for verona", said)

    def test_no_starttls(self) -> None:
        """A port that leads to something else is said to offer no STARTTLS."""
        self.start()
        self.zone.forget("_xmpp-client._tcp.verona.lit")
        self.zone.service("_xmpp-client._tcp.verona.lit", "xmpp.verona.lit", self.direct)
        self.assertIn("cannot reach", self.said("ports", bad=True))

    def test_all(self) -> None:
        """Without a topic all are looked at; a mistake of the configuration is found by itself."""
        self.start()
        said = self.said()
        for topic in ("config", "dns", "certs", "ports", "features"):
            self.assertRegex(said, f"(?m)^{topic} ")
        self.assertEqual(self.rows("check", "certs")[0]["result"], "ok")


class RelayTests(CoturnCase):
    """The topic turn, with Debian's coturn."""

    def look(self, *, port: int, secret: str) -> Checked:
        """What is said of the only server."""
        service = {"type": "turn", "host": "127.0.0.1", "port": port, "secret": secret}
        config = house_config("montague.lit", external_services={"service": [service]})
        config = replace(config, plugins=PluginSettings(load=("external_services",)))

        async def at_once(function: Callable[..., object], *args: object) -> object:
            return function(*args)

        class Hosts:
            async def addresses(self, host: str) -> tuple[str, ...]:
                return (host,)

        sight = Sight(config, cast(NameService, Hosts()), Trust(None, time), time, at_once)

        async def only() -> Checked:
            (found,) = [found async for found in turn.look(sight)]
            return found

        return self.successResultOf(Deferred.fromCoroutine(only()))

    def test_relays(self) -> None:
        """One with our secret relays."""
        found = self.look(port=self.port, secret=SECRET)
        self.assertEqual(found.result, "ok", found)

    def test_wrong_secret(self) -> None:
        """One with another secret does not take our credentials; that is said with what to do."""
        found = self.look(port=self.port, secret="south")
        self.assertEqual(found.result, "bad")
        self.assertIn("to its static-auth-secret", found.says)

    def test_away(self) -> None:
        """One that does not answer is said to be away."""
        found = self.look(port=free_port(), secret=SECRET)
        self.assertEqual(found.result, "bad")
        self.assertIn("check that it is running", found.says)


__all__ = ["PortTests", "RelayTests"]
