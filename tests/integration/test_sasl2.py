"""SASL2 over real TLS: channel binding, and one round trip from the handshake to being online."""

from OpenSSL import SSL

from tests.integration.people import PASSWORD, ServerCase
from tests.integration.raw_client import QuickClient, RawClient
from tests.integration.test_login import binding_of
from tests.unit.auth.support import ScramClient
from tests.unit.net.logins import BIND, Answer, authenticate, plain, response


class QuickStartTests(ServerCase):
    """What goes out with the first bytes under TLS."""

    def test_one_round_trip(self) -> None:
        """Header, login and what follows go out at once, and are answered in order."""
        address = self.account("romeo")
        client = QuickClient(self.server)
        self.addCleanup(client.close)
        login = authenticate(plain(address.partition("@")[0]), BIND)
        roster = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>"
        client.send(client.header + login.encode() + roster.encode())
        answer = Answer(client.until(b"</iq>"))
        self.assertEqual(answer.names, ["features", "success", "features", "iq"])
        self.assertEqual(answer["iq"].get("to"), answer.identifier)
        self.assertTrue(answer.identifier.startswith(f"{address}/Balcony/"))

    def test_binding(self) -> None:
        """SCRAM-PLUS works inside of SASL2, by each type that is announced."""
        address = self.account("romeo")
        for version, types in (
            (SSL.TLS1_3_VERSION, ("tls-exporter", "tls-server-end-point")),
            (SSL.TLS1_2_VERSION, ("tls-server-end-point",)),
        ):
            for binding in types:
                with self.subTest(version=version, binding=binding):
                    client = RawClient(self.server, version=version)
                    self.addCleanup(client.close)
                    features = client.features.decode()
                    for announced in ("tls-exporter", "tls-server-end-point"):
                        self.assertEqual(f"type='{announced}'" in features, announced in types)
                    scram = ScramClient(
                        username=address.partition("@")[0],
                        password=PASSWORD,
                        gs2_header=f"p={binding},,",
                        channel=binding_of(client.tls, binding),
                    )
                    first = authenticate(scram.first(), BIND, mechanism="SCRAM-SHA-256-PLUS")
                    client.send(first.encode())
                    challenge = Answer(client.until(b"</challenge>")).challenge
                    client.send(response(scram.final(challenge)).encode())
                    answer = Answer(client.until(b"</success>"))
                    self.assertTrue(scram.accepts(answer.additional))
