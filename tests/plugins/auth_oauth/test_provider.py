"""Tokens of an issuer, and what becomes of those who have logged in by them."""

import hmac
import json
import re
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.iweb import IAgent

from tests.plugins.auth_oauth.issuers import AUDIENCE, RSA_KEY, URL, TokenIssuer
from tests.unit.login.logins import BIND, PHONE, agent, authenticate
from xmppd.auth.base import SASLError
from xmppd.auth.sealing import Sealing
from xmppd.login.fast import NS as FAST
from xmppd.net.http_caller import MAX_ANSWER_BYTES, HTTPCaller
from xmppd.store.errors import StoreError
from xmppd.store.sql import Tables, select
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config
from xmppd.testing.nodes import Nodes
from xmppd_plugins.auth_oauth import provider as module
from xmppd_plugins.auth_oauth import uses as kept_uses
from xmppd_plugins.auth_oauth.issuer import (
    KEYS_KEPT_S,
    MAX_QUESTIONS,
    REFETCH_S,
    Issuer,
)
from xmppd_plugins.auth_oauth.provider import OAuthProvider
from xmppd_plugins.auth_oauth.settings import AuthOAuthSettings
from xmppd_plugins.auth_oauth.tables import metadata, tokens
from xmppd_plugins.auth_oauth.uses import TokenUse, TokenUses

DOMAIN = "montague.lit"
ROMEO = f"romeo@{DOMAIN}"
AWAY = "temporary-auth-failure"


class Wire:
    """An agent whose requests the issuer answers at once, or never."""

    def __init__(self, issuer: TokenIssuer) -> None:
        self.issuer = issuer
        self.is_silent = False
        self.body: bytes | None = None

    def request(self, method: bytes, uri: bytes, headers: Any, producer: Any) -> Deferred[Any]:
        """Ask the issuer."""
        if self.is_silent:
            return Deferred()
        sent = b"" if producer is None else producer._inputFile.read()
        shown = headers.getRawHeaders("authorization", [None])[0]
        said = self.issuer.answer(uri.decode().removeprefix(URL), sent, shown)
        return succeed(Answered(self.issuer.status, self.body or said.encode()))


class Answered:
    """An answer that is whole."""

    def __init__(self, code: int, body: bytes) -> None:
        self.code, self._body = code, body

    def deliverBody(self, protocol: Any) -> None:
        """Give all of it."""
        protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))


class IssuerCase(SynchronousTestCase):
    """An issuer, a provider that believes it, and a server whose people have its tokens."""

    def setUp(self) -> None:
        config = house_config(DOMAIN, domain=[{"name": DOMAIN, "auth": ["oauth"]}])
        self.house = House(config=config)
        done(self.house.store.tables.put(Tables(metadata), "auth_oauth"))
        self.clock = cast(Clock, self.house.server.clock)
        self.issuer = TokenIssuer(URL, self.house.server.wall_clock)
        self.wire = Wire(self.issuer)
        self.use()

    def use(self, **settings: Any) -> None:
        """Have a provider with these settings."""
        every = {"issuer": URL, "audience": AUDIENCE, "checked_every_s": 10.0}
        known = AuthOAuthSettings(**{**every, **settings})
        clock = cast(IReactorTime, self.clock)
        caller = HTTPCaller(cast(IAgent, self.wire), clock, known.timeout_s)
        issuer = Issuer(known, "known to both", caller, clock)
        server = self.house.server
        self.uses = TokenUses(self.house.store.database, server.sealing, server.wall_clock)
        self.provider = OAuthProvider(
            known, issuer, server.session_manager, server.devices, self.uses, server.wall_clock
        )
        server.auth_provider._there.pop("oauth", None)
        server.auth_provider.put(self.provider, "auth_oauth")

    def look(self) -> None:
        """Have the provider look after tokens, in its time."""
        self.clock.advance(self.provider._settings.checked_every_s)
        done(self.provider.look_after())

    def kept(self) -> list[str]:
        """The tokens that are looked after."""
        rows = done(self.house.store.database.read(select(tokens.c.proof), {}))
        return sorted(proof.hex() for (proof,) in rows)

    def ask_issuer(self, **settings: Any) -> None:
        """Have a provider that asks the issuer about each token."""
        self.use(by="introspection", client_id="xmppd", secret_file="/secret", **settings)

    def account(self, token: str) -> str:
        """Whom a token lets in; or a condition, or nobody."""
        try:
            grant = done(self.provider.check_token(DOMAIN, token))
        except SASLError as error:
            return error.condition
        return "nobody" if grant is None else grant.account


class KeyTests(IssuerCase):
    """Tokens that are checked by the issuer's keys (AU-7)."""

    def test_good(self) -> None:
        """A good one is its owner's."""
        self.assertEqual(self.account(self.issuer.token()), ROMEO)
        self.assertEqual(self.account(self.issuer.token(aud=["another", AUDIENCE])), ROMEO)

    def test_for_others(self) -> None:
        """One for another audience, or of another issuer, is nobody's."""
        for claims in (
            {"aud": "another"}, {"aud": ["another"]}, {"aud": None}, {"aud": {AUDIENCE: 1}},
            {"iss": "https://other.example"}, {"iss": None},
        ):  # fmt: skip
            with self.subTest(claims):
                self.assertEqual(self.account(self.issuer.token(**claims)), "nobody")

    def test_not_signed(self) -> None:
        """One that is not signed, or signed by what all may know, is nobody's."""
        claims = self.issuer.claims()
        none = jwt.encode(claims, "", "none", {"kid": "first"})
        for token in (none, none + "x", "", "x", "a.b.c", "\u0000.é.x", _by_public_key(claims)):
            with self.subTest(token[:20]):
                self.assertEqual(self.account(token), "nobody")
        head, body, signature = self.issuer.token().split(".")
        other = self.issuer.token(sub="juliet").split(".")[1]
        self.assertEqual(self.account(f"{head}.{other}.{signature}"), "nobody")
        self.assertEqual(self.account(f"{head}.{body}.{signature[:-6]}AAAAAA"), "nobody")

    def test_algorithms(self) -> None:
        """One that is signed in a way that is not listed is nobody's."""
        self.use(algorithms=("ES256",))
        self.assertEqual(self.account(self.issuer.token()), "nobody")

    def test_times(self) -> None:
        """One that has expired, or is not good yet, is nobody's; a minute is no matter."""
        now = self.issuer.now()
        for claims, good in (
            ({"exp": now - 59}, True), ({"exp": now - 60}, False), ({"exp": None}, False),
            ({"exp": "tomorrow"}, False), ({"exp": True}, False), ({"nbf": now + 59}, True),
            ({"nbf": now + 61}, False), ({"iat": now + 61}, False), ({"nbf": "x"}, False),
        ):  # fmt: skip
            with self.subTest(claims):
                account = self.account(self.issuer.token(**claims))
                self.assertEqual(account, ROMEO if good else "nobody")

    def test_identities(self) -> None:
        """An identity is one account, by the claim that is configured: as it is written, and no
        other that would be the same address (AU-8).
        """
        for sub in ("Romeo", "ROMEO", "romeo@x", "ro meo", "", "romeo/x", 7, None, "ｒomeo"):
            with self.subTest(sub):
                self.assertEqual(self.account(self.issuer.token(sub=sub)), "nobody")
        self.use(claim="jabber_id", name="address")
        self.assertEqual(self.account(self.issuer.token(jabber_id=ROMEO)), ROMEO)
        for other in ("romeo@capulet.lit", "romeo", f"{ROMEO}/x", DOMAIN):
            with self.subTest(other):
                self.assertEqual(self.account(self.issuer.token(jabber_id=other)), "nobody")

    def test_scope(self) -> None:
        """A token may have to be good for XMPP."""
        self.use(scope="xmpp:client:normal")
        for scope, who in ((None, "nobody"), ("openid", "nobody"), ("a xmpp:client:normal", ROMEO)):
            with self.subTest(scope):
                self.assertEqual(self.account(self.issuer.token(scope=scope)), who)


def _by_public_key(claims: dict[str, Any]) -> str:
    """A token whose secret is the issuer's public key."""

    def part(value: bytes) -> str:
        return urlsafe_b64encode(value).decode().rstrip("=")

    pem = RSA_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head = part(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "first"}).encode())
    text = f"{head}.{part(json.dumps(claims).encode())}"
    return f"{text}.{part(hmac.digest(pem, text.encode(), sha256))}"


class RotationTests(IssuerCase):
    """Keys that change."""

    def test_kept(self) -> None:
        """Keys are read once in an hour."""
        for _ in range(3):
            self.assertEqual(self.account(self.issuer.token()), ROMEO)
        self.assertEqual(self.issuer.asked.count("/keys"), 1)
        self.clock.advance(KEYS_KEPT_S)
        self.assertEqual(self.account(self.issuer.token()), ROMEO)
        self.assertEqual(self.issuer.asked.count("/keys"), 2)

    def test_rotated(self) -> None:
        """A new key is found when a token is signed by it; one that is gone is none any more."""
        old = self.issuer.token()
        self.account(old)
        self.clock.advance(REFETCH_S)
        self.issuer.rotate("second", kind="EC")
        self.assertEqual(self.account(self.issuer.token()), ROMEO)
        self.assertEqual(self.account(old), "nobody")

    def test_not_too_often(self) -> None:
        """Whoever makes up names of keys has them read once in a minute."""
        self.account(self.issuer.token())
        self.clock.advance(REFETCH_S)
        for number in range(5):
            token = jwt.encode(self.issuer.claims(), RSA_KEY, "RS256", {"kid": f"no {number}"})
            self.assertEqual(self.account(token), "nobody")
        self.assertEqual(self.issuer.asked.count("/keys"), 2)

    def test_away(self) -> None:
        """While it does not answer, keys that are known do for their hour; after that nobody's
        token is called wrong.
        """
        self.account(self.issuer.token())
        self.issuer.status = 503
        self.clock.advance(KEYS_KEPT_S - 1)
        self.assertEqual(self.account(self.issuer.token()), ROMEO)
        self.clock.advance(1)
        self.assertEqual(self.account(self.issuer.token()), AWAY)
        self.issuer.status = 200
        self.clock.advance(1)
        self.assertEqual(self.account(self.issuer.token()), ROMEO)

    def test_odd_answers(self) -> None:
        """An answer that makes no sense, is too large or of another issuer is none."""
        for body in (b"{", b"[]", b'{"keys": 7}', b"x" * (MAX_ANSWER_BYTES + 1), b"[" * 100_000):
            with self.subTest(body[:12]):
                self.use()
                self.wire.body = body
                self.assertEqual(self.account(self.issuer.token()), AWAY)
        self.wire.body = None
        self.use()
        self.issuer.named_issuer = "https://other.example"
        self.assertEqual(self.account(self.issuer.token()), AWAY)

    def test_silent(self) -> None:
        """One that says nothing costs a login five seconds."""
        self.wire.is_silent = True
        waiting = Deferred.fromCoroutine(self.provider.check_token(DOMAIN, self.issuer.token()))
        self.clock.advance(4.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.2)
        self.failureResultOf(waiting, SASLError)


class IntrospectionTests(IssuerCase):
    """Tokens that the issuer is asked about."""

    def setUp(self) -> None:
        super().setUp()
        self.ask_issuer()

    def test_good(self) -> None:
        """It says whose a token is; we are known to it by a name and a password."""
        self.issuer.active["moonlight"] = self.issuer.claims()
        self.assertEqual(self.account("moonlight"), ROMEO)
        self.assertEqual(self.account("sunlight"), "nobody")
        self.assertEqual(self.issuer.credentials, "Basic eG1wcGQ6a25vd24lMjB0byUyMGJvdGg=")

    def test_for_others(self) -> None:
        """It may say that a token is for others, or over."""
        for claims in ({"aud": "another"}, {"iss": "https://other.example"}, {"exp": 7}):
            with self.subTest(claims):
                self.issuer.active["moonlight"] = self.issuer.claims(**claims)
                self.assertEqual(self.account("moonlight"), "nobody")

    def test_away(self) -> None:
        """What is no answer is no refusal."""
        self.issuer.status = 500
        self.assertEqual(self.account("moonlight"), AWAY)

    def test_too_many(self) -> None:
        """Who does not get a turn in time is told to try again."""
        turns = self.provider._issuer._turns
        for _ in range(MAX_QUESTIONS):
            self.successResultOf(turns.acquire())
        waiting = Deferred.fromCoroutine(self.provider.check_token(DOMAIN, "moonlight"))
        self.clock.advance(5.0)
        self.assertEqual(self.failureResultOf(waiting, SASLError).value.condition, AWAY)
        self.assertEqual(self.issuer.asked, [])


class SessionTests(IssuerCase):
    """Those who have logged in."""

    def setUp(self) -> None:
        super().setUp()
        self.ask_issuer(sessions_end_with_token=False)
        self.issuer.active["moonlight"] = self.issuer.claims()

    def client(
        self, token: str = "moonlight", *inline: str, who: str = "", account: str = ""
    ) -> Client:
        """Somebody who logs in by a token, to an account that they may name."""
        client = self.house.unauthenticated(encrypted=True)
        client.open(DOMAIN)
        self.features = client.raw().decode()
        named = f"a={account}" if account else ""
        message = f"n,{named},\x01auth=Bearer {token}\x01\x01"
        client.send(authenticate(message, BIND, *inline, mechanism="OAUTHBEARER", agent=who))
        return client

    def test_login(self) -> None:
        """OAUTHBEARER is offered only; whoever has a token is in, with a whole account."""
        answer = self.client().raw().decode()
        self.assertIn("<success", answer)
        self.assertEqual(self.features.count("<mechanism>OAUTHBEARER</mechanism>"), 2)
        self.assertNotIn("<mechanism>PLAIN", self.features)
        self.assertNotIn("SCRAM", self.features)
        self.assertTrue(done(self.house.server.store.accounts.exists(ROMEO)))

    def test_refused(self) -> None:
        """Whoever has none is told where to get one, and that is the end of it."""
        client = self.client("sunlight")
        self.assertIn("<challenge", client.raw().decode())
        client.send("<response xmlns='urn:xmpp:sasl:2'>AQ==</response>")
        self.assertIn("<not-authorized", client.raw().decode())

    def test_nobody(self) -> None:
        """Whether somebody is there is not to be learned: by a token that is none, or one of
        others, the answers are the same.
        """
        self.client().abort()
        self.assertTrue(done(self.house.server.store.accounts.exists(ROMEO)))
        self.issuer.active["starlight"] = self.issuer.claims(sub="juliet")
        for token in ("sunlight", "starlight"):
            answers = set()
            for account in (ROMEO, f"nobody@{DOMAIN}"):
                client = self.client(token, account=account)
                answer = client.raw()
                client.send("<response xmlns='urn:xmpp:sasl:2'>AQ==</response>")
                answers.add(answer + client.raw())
            self.assertEqual(len(answers), 1, answers)

    def test_revoked(self) -> None:
        """A token that is revoked ends its session at the next look, and the device comes back by
        no token of ours; others stay.
        """
        self.issuer.active["starlight"] = self.issuer.claims()
        ask = f"<request-token xmlns='{FAST}' mechanism='HT-SHA-256-NONE'/>"
        phone = self.client("moonlight", ask, who=agent())
        self.assertIn("<token ", phone.raw().decode())
        other = self.client("starlight")
        other.raw()
        self.look()
        self.assertFalse(phone.raw())
        del self.issuer.active["moonlight"]
        self.look()
        self.assertIn("access of this client was revoked", phone.raw().decode())
        self.assertFalse(other.raw())
        self.assertEqual(done(self.house.server.tokens.devices(ROMEO)), [])
        asked = len(self.issuer.asked)
        del self.issuer.active["starlight"]
        self.look()
        self.assertEqual(len(self.issuer.asked), asked + 1)

    def test_revoked_while_away(self) -> None:
        """A device that has left has lost its tokens as well."""
        ask = f"<request-token xmlns='{FAST}' mechanism='HT-SHA-256-NONE'/>"
        self.client("moonlight", ask, who=agent()).abort()
        self.assertEqual(len(done(self.house.server.tokens.devices(ROMEO))), 1)
        self.issuer.active.clear()
        self.look()
        self.assertEqual(done(self.house.server.tokens.devices(ROMEO)), [])

    def test_issuer_away(self) -> None:
        """While the issuer does not answer, nobody's access ends."""
        client = self.client()
        client.raw()
        self.issuer.status = 500
        self.look()
        self.assertFalse(client.raw())
        self.assertEqual(len(self.kept()), 1)

    def test_expired(self) -> None:
        """A token that expires leaves its session, unless that is to end with it."""
        for ends in (False, True):
            self.ask_issuer(sessions_end_with_token=ends)
            self.issuer.active["moonlight"] = self.issuer.claims()
            client = self.client(who=agent(PHONE))
            client.raw()
            self.clock.advance(700)
            client.raw()
            self.issuer.active.clear()
            self.look()
            self.assertEqual(b"revoked" in client.raw(), ends)
            self.assertEqual(self.kept(), [])

    def test_bounded(self) -> None:
        """So many tokens of an account are looked after: those that are good for longest."""
        self.patch(kept_uses, "MAX_TOKENS_PER_ACCOUNT", 2)
        for number in (1, 3, 2):
            token = f"token {number}"
            self.issuer.active[token] = self.issuer.claims(exp=self.issuer.now() + 600 + number)
            grant = done(self.provider.check_token(DOMAIN, token))
            assert grant is not None
            grant.used_by("")
        good = [sha256(f"token {number}".encode()).hexdigest()[:32] for number in (2, 3)]
        self.assertEqual(self.kept(), sorted(good))

    def test_so_many_questions(self) -> None:
        """So many are asked about in one look; the others have their turn at the next."""
        self.patch(module, "MAX_ASKED", 2)
        for number in range(3):
            self.issuer.active[f"token {number}"] = self.issuer.claims()
            self.client(f"token {number}")
        for total in (3 + 2, 3 + 3):
            self.clock.advance(5 if total == 5 else 0)
            done(self.provider.look_after())
            self.assertEqual(len(self.issuer.asked), total + 1)  # with what it says of itself

    def test_not_written(self) -> None:
        """While the database fails people come in; what they came by is written when it works."""
        write = self.uses._database.write

        async def fails(*_: object) -> None:
            raise StoreError("it is away")

        self.patch(self.uses._database, "write", fails)
        self.patch(kept_uses, "MAX_UNWRITTEN", 2)
        for number in range(3):
            token = f"token {number}"
            self.issuer.active[token] = self.issuer.claims()
            use = TokenUse(f"0{number}" * 16, ROMEO, token, self.issuer.now() + 600)
            self.provider._used(use, "")
        self.patch(self.uses._database, "write", write)
        self.look()
        self.assertEqual(self.kept(), ["01" * 16, "02" * 16])

    def test_nothing_to_look_after(self) -> None:
        """Where nothing could become of a token, it is not kept; where it is, it is sealed."""
        self.assertIn("<success", self.client().raw().decode())
        rows = done(self.house.store.database.read(select(tokens.c.sealed), {}))
        self.assertEqual(len(rows), 1)
        self.assertNotIn(b"moonlight", rows[0][0])
        self.use()
        self.client(self.issuer.token()).raw()
        self.assertEqual(len(self.kept()), 1)


class RestartTests(IssuerCase):
    """Those who have logged in, and the server was stopped meanwhile."""

    def setUp(self) -> None:
        super().setUp()
        self.ask_issuer()
        self.issuer.active["moonlight"] = self.issuer.claims()

    def restart(self) -> None:
        """Stop the server, and start it again with the same provider."""
        self.house = self.house.restarted()
        self.clock = cast(Clock, self.house.server.clock)
        self.issuer.now = self.house.server.wall_clock
        self.ask_issuer()

    def detached(self, who: str = "") -> Client:
        """Somebody who has logged in, can resume, and was cut off."""
        enable = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
        bind = BIND.replace("</bind>", f"{enable}</bind>")
        client = self.house.unauthenticated(encrypted=True)
        client.open(DOMAIN)
        message = "n,,\x01auth=Bearer moonlight\x01\x01"
        client.send(authenticate(message, bind, mechanism="OAUTHBEARER", agent=who))
        self.assertIn(b"<enabled", client.raw())
        client.abort()
        return client

    def here(self) -> int:
        """How many sessions there are."""
        self.clock.advance(0)
        return len(self.house.server.session_manager.sessions)

    def test_revoked_after_a_restart(self) -> None:
        """A session that has outlived a restart ends when its token is revoked, with a client that
        has said who it is and with one that has not.
        """
        for who in ("", agent()):
            with self.subTest(who):
                self.issuer.active["moonlight"] = self.issuer.claims()
                self.detached(who)
                self.restart()
                self.look()
                self.assertEqual(self.here(), 1)
                self.issuer.active.clear()
                self.look()
                self.assertEqual(self.here(), 0)

    def test_device_after_a_restart(self) -> None:
        """So do the tokens of ours with which a device would come back."""
        ask = f"<request-token xmlns='{FAST}' mechanism='HT-SHA-256-NONE'/>"
        client = self.house.unauthenticated(encrypted=True)
        client.open(DOMAIN)
        message = "n,,\x01auth=Bearer moonlight\x01\x01"
        client.send(authenticate(message, BIND, ask, mechanism="OAUTHBEARER", agent=agent()))
        client.abort()
        self.restart()
        self.assertEqual(len(done(self.house.server.tokens.devices(ROMEO))), 1)
        self.issuer.active.clear()
        self.look()
        self.assertEqual(done(self.house.server.tokens.devices(ROMEO)), [])

    def test_revoked_meanwhile(self) -> None:
        """One whose token another node has found revoked, while this one was stopped, ends at the
        first look.
        """
        self.detached()
        self.house.stop_and_wait()
        self.issuer.active.clear()
        self.look()  # by the provider of before, whose sessions are stopped
        self.house = self.house.again()
        self.clock = cast(Clock, self.house.server.clock)
        self.ask_issuer()
        self.assertEqual(self.here(), 1)
        asked = len(self.issuer.asked)
        self.look()
        self.assertEqual((self.here(), len(self.issuer.asked)), (0, asked))

    def test_expired_meanwhile(self) -> None:
        """One whose token has expired meanwhile ends if sessions are to end with it."""
        for ends, stay in ((False, 1), (True, 0)):
            with self.subTest(ends):
                self.ask_issuer(sessions_end_with_token=ends)
                self.issuer.active["moonlight"] = self.issuer.claims(exp=self.issuer.now() + 100)
                self.detached()
                self.restart()
                self.ask_issuer(sessions_end_with_token=ends, checked_every_s=200.0)
                self.look()
                self.assertEqual(self.here(), stay)

    def test_another_secret(self) -> None:
        """A token that cannot be read any more, since the secret is another, is none: nobody could
        ask about it.
        """
        self.detached()
        self.restart()
        self.uses._sealing = Sealing(b"another")
        self.look()
        self.assertEqual(self.here(), 0)


class NodeTests(SynchronousTestCase):
    """Several nodes, whose people have tokens."""

    def setUp(self) -> None:
        config = house_config(DOMAIN, domain=[{"name": DOMAIN, "auth": ["oauth"]}])
        self.nodes = Nodes("a", "b", config=config)
        self.issuer = TokenIssuer(URL, self.nodes["a"].server.wall_clock)
        self.issuer.active["moonlight"] = self.issuer.claims()
        self.providers = {name: self.provider(name) for name in "ab"}

    def provider(self, name: str) -> OAuthProvider:
        """The provider of a node."""
        server, clock = self.nodes[name].server, cast(IReactorTime, self.nodes.clock)
        done(server.store.tables.put(Tables(metadata), "auth_oauth"))
        settings = AuthOAuthSettings(
            issuer=URL, audience=AUDIENCE, by="introspection", client_id="x", secret_file="/secret"
        )
        caller = HTTPCaller(cast(IAgent, Wire(self.issuer)), clock, settings.timeout_s)
        uses = TokenUses(server.store.database, server.sealing, server.wall_clock)
        provider = OAuthProvider(
            settings,
            Issuer(settings, "known to both", caller, clock),
            server.session_manager,
            server.devices,
            uses,
            server.wall_clock,
        )
        server.auth_provider.put(provider, "auth_oauth")
        return provider

    def look(self, name: str) -> None:
        """Have a node look after tokens."""
        self.nodes.clock.advance(300)
        work = Deferred.fromCoroutine(self.providers[name].look_after())
        self.nodes.settle()
        self.successResultOf(work)

    def log_in(self, name: str, *inline: str) -> Client:
        """A client that has no id, at a node."""
        client = self.nodes[name].unauthenticated(encrypted=True)
        client.open(DOMAIN)
        message = "n,,\x01auth=Bearer moonlight\x01\x01"
        client.send(authenticate(message, *inline, mechanism="OAUTHBEARER"))
        self.nodes.settle()
        return client

    def test_moved(self) -> None:
        """A session that has moved to another node ends when its token is revoked, whichever node
        finds that.
        """
        enable = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
        for finder in "ab":
            with self.subTest(finder):
                self.issuer.active["moonlight"] = self.issuer.claims()
                client = self.log_in("a", BIND.replace("</bind>", f"{enable}</bind>"))
                key = re.findall(r"<enabled [^>]*id='([^']+)'", client.raw().decode())[0]
                client.abort()
                resume = f"<resume xmlns='urn:xmpp:sm:3' h='0' previd='{key}'/>"
                there = self.log_in("b", resume)
                self.assertIn(b"<resumed", there.raw())
                self.assertEqual(self.nodes["a"].server.session_manager.local_sessions(ROMEO), ())
                self.issuer.active.clear()
                self.look(finder)
                self.assertIn(b"access of this client was revoked", there.raw())

    def test_asked_once(self) -> None:
        """Of several nodes one asks about a token."""
        self.log_in("a", BIND)
        asked = len(self.issuer.asked)
        self.nodes.clock.advance(300)
        for name in "ab":
            done(self.providers[name].look_after())
        self.assertEqual(len(self.issuer.asked), asked + 1)


class SettingTests(SynchronousTestCase):
    """The table ``[auth_oauth]``."""

    def test_sentences(self) -> None:
        """What is wrong with it is told with what to change."""
        good: dict[str, Any] = {"issuer": URL, "audience": AUDIENCE}
        AuthOAuthSettings(**good)
        for changed, said in (
            ({"issuer": ""}, "issuer is missing; write its address"),
            ({"issuer": "http://issuer.example"}, "issuer must begin with https://"),
            ({"keys_url": "ftp://x"}, "keys_url must begin"),
            ({"audience": ""}, "audience is empty"),
            ({"algorithms": ("none",)}, 'algorithms has "none"'),
            ({"algorithms": ("HS256",)}, 'algorithms has "HS256"'),
            ({"claim": "email"}, 'claim must not be "email"'),
            ({"by": "introspection"}, "client_id is missing"),
            ({"client_id": "x"}, "go together"),
            ({"authorities": "x"}, "absolute path"),
        ):
            with self.subTest(changed):
                with self.assertRaises(ValueError) as caught:
                    AuthOAuthSettings(**{**good, **changed})
                self.assertIn(said, str(caught.exception))


__all__ = [
    "IntrospectionTests",
    "KeyTests",
    "NodeTests",
    "RestartTests",
    "RotationTests",
    "SessionTests",
    "SettingTests",
]
