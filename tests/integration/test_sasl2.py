"""SASL2 over real TLS: channel binding, and one round trip from the handshake to being online."""

import asyncio
import hmac

from OpenSSL import SSL

from tests.integration.people import PASSWORD, ServerCase, people
from tests.integration.raw_client import QuickClient, RawClient
from tests.integration.test_login import binding_of
from tests.unit.auth.support import ScramClient
from tests.unit.login.logins import BIND, Answer, agent, authenticate, plain, response
from xmppd.login.fast import NS as FAST


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


BOUND_TO = {"EXPR": "tls-exporter", "ENDP": "tls-server-end-point", "NONE": ""}


class TokenTests(ServerCase):
    """A device that comes back with a token, over real TLS."""

    def setUp(self) -> None:
        super().setUp()
        self.address = self.account("romeo")
        self.name = self.address.partition("@")[0]

    def client(self) -> QuickClient:
        """Somebody whose handshake is done."""
        client = QuickClient(self.server)
        self.addCleanup(client.close)
        return client

    def token(self, mechanism: str) -> str:
        """A new token of the phone."""
        client = self.client()
        request = f"<request-token xmlns='{FAST}' mechanism='{mechanism}'/>"
        login = authenticate(plain(self.name), request, agent=agent())
        client.send(client.header + login.encode())
        answer = Answer(client.until(b"</success>"))
        token = answer["success"].find(f"{{{FAST}}}token")
        assert token is not None
        return token.get("token", "")

    def login(self, client: QuickClient, token: str, suffix: str, count: int) -> bytes:
        """Header and login by a token, as one piece."""
        data = binding_of(client.tls, BOUND_TO[suffix]) if BOUND_TO[suffix] else b""
        proof = hmac.digest(token.encode(), b"Initiator" + data, "sha256")
        login = authenticate(
            f"{self.name}\0".encode() + proof,
            f"<fast xmlns='{FAST}' count='{count}'/>",
            BIND,
            mechanism=f"HT-SHA-256-{suffix}",
            agent=agent(),
        )
        return client.header + login.encode()

    def test_quick_start(self) -> None:
        """Header and login in one record bring a device online, by each kind of binding."""
        for suffix in BOUND_TO:
            token = self.token(f"HT-SHA-256-{suffix}")
            client = self.client()
            client.send(self.login(client, token, suffix, 1) + b"<presence/>")
            answer = Answer(client.until(b"</success>") + client.until(b"</stream:features>"))
            self.assertEqual(answer.names, ["features", "success", "features"])
            self.assertTrue(answer.identifier.startswith(f"{self.address}/Balcony/"))
            (session,) = self.server.tell("session list", account=self.address)
            assert isinstance(session, dict)
            self.assertEqual(session["jid"], answer.identifier)

    @people
    async def test_among_others(self) -> None:
        """Who comes back by a token is there for people with other clients, at once."""
        juliet = self.account("juliet")
        self.server.tell("roster add", account=juliet, contact=self.address, mutual=True)
        nurse = await self.person(juliet).arrive()
        token = self.token("HT-SHA-256-EXPR")
        client = self.client()
        client.send(self.login(client, token, "EXPR", 1) + b"<presence/>")
        jid = Answer(client.until(b"</success>")).identifier
        await nurse.expect("presence", type="available", sender=jid)
        nurse.say(jid, "Ay me!")
        self.assertIn(b"Ay me!", await asyncio.to_thread(client.until, b"</message>"))
        client.send(f"<message to='{nurse.boundjid}'><body>She speaks</body></message>".encode())
        await nurse.expect("message", sender=jid, body="She speaks")

    def test_replayed(self) -> None:
        """What was recorded of a login opens no other connection, whatever it was bound to."""
        for suffix in BOUND_TO:
            token = self.token(f"HT-SHA-256-{suffix}")
            client = self.client()
            recorded = self.login(client, token, suffix, 1)
            client.send(recorded)
            client.until(b"</success>")
            thief = self.client()
            thief.send(recorded)
            self.assertEqual(Answer(thief.until(b"</failure>")).failure, "not-authorized")
            client = self.client()
            client.send(self.login(client, token, suffix, 2))
            client.until(b"</success>")

    def test_survives_a_crash(self) -> None:
        """Tokens, and how often they were used, are on disk before anybody is told."""
        token = self.token("HT-SHA-256-NONE")
        client = self.client()
        recorded = self.login(client, token, "NONE", 1)
        client.send(recorded)
        client.until(b"</success>")
        self.server.kill()
        self.server.start()
        thief, client = self.client(), self.client()
        thief.send(recorded)
        self.assertEqual(Answer(thief.until(b"</failure>")).failure, "not-authorized")
        client.send(self.login(client, token, "NONE", 2))
        client.until(b"</success>")
